"""A server whose temporary folder has no room."""

from __future__ import annotations

import errno
import io
import json
import subprocess
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_rest_api.disk_full import has_room, no_room, of_disk
from tests.deploying import BUNDLE, BUNDLES, LOCAL
from tests.small_disk import FULL, make_room, small_disk
from tests.standin import prints, serving

LARGE = b"x" * (3 * 1024 * 1024)
"""More than is kept in memory of an upload (``starlette.formparsers.MultiPartParser.spool_max_size``)."""


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The temporary folder of this process, a small one."""
    with small_disk(tmp_path / "small") as folder:
        monkeypatch.setattr(tempfile, "tempdir", str(folder))
        yield folder


@pytest.fixture
def closed(disk: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A disk that nothing can be written to, as the only place for a temporary folder."""
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", lambda: [str(disk / "missing"), str(disk)])
    monkeypatch.setattr(tempfile, "tempdir", None)
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    return disk


@pytest.fixture(autouse=True)
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a bundle, on a disk with room."""
    root = tmp_path / "dags"
    root.mkdir()
    bundles = [{"name": BUNDLE, "classpath": LOCAL, "kwargs": {"path": str(root)}}]
    monkeypatch.setenv(BUNDLES, json.dumps(bundles))


@pytest.fixture(params=FULL)
def fill(request: pytest.FixtureRequest) -> Callable[[Path], None]:
    return FULL[request.param]


def archive() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        for number in range(5):
            file.writestr(f"dag_{number}.py", f"# {number}\n" * 100)
    return content.getvalue()


UPLOADS: dict[str, tuple[str, dict[str, Any]]] = {
    "a file for a command": ("/v2/commands/variables/import", {"files": {"file": ("a.json", b"{}")}}),
    "a large file for a command": ("/v2/commands/variables/import", {"files": {"file": ("a.json", LARGE)}}),
    "a command line with a file": (
        "/v2/run",
        {"files": {"file": ("a.json", LARGE)}, "data": {"argv": '["variables", "import", "a.json"]'}},
    ),
    "a DAG file": ("/v2/dag-files", {"files": {"file": ("a.py", b"x = 1\n")}}),
    "a large DAG file": ("/v2/dag-files", {"files": {"file": ("a.py", LARGE)}}),
    "an archive": ("/v2/dag-files", {"files": {"archive": ("a.zip", archive())}}),
}


@pytest.mark.parametrize("what", UPLOADS)
def test_an_upload_without_room_is_told_why_and_leaves_nothing(
    disk: Path, fill: Callable[[Path], None], what: str
):
    path, body = UPLOADS[what]
    with serving(prints()) as (client, engine):
        fill(disk)
        before = set(disk.iterdir())
        answer = client.post(path, **body)
        assert answer.status_code == 507, answer.text
        assert answer.json()["detail"]["reason"] == "no_space"
        assert "room" in answer.json()["detail"]["message"]
        assert engine.jobs == []
        assert set(disk.iterdir()) <= before
        make_room(disk)
        assert client.get("/v2/commands").status_code == 200


@pytest.mark.parametrize("content", [b"# a DAG", LARGE])
def test_clients_of_the_1x_plugin_are_told_in_their_envelope(
    disk: Path, fill: Callable[[Path], None], content: bytes
):
    with serving(prints()) as (client, engine):
        fill(disk)
        answer = client.post("/api?api=deploy_dag", files={"dag_file": ("a.py", content)})
        assert answer.status_code == 507, answer.text
        assert answer.json()["status"] == "ERROR"
        assert "no room left" in answer.json()["output"]
        assert engine.jobs == []


def test_a_temporary_folder_that_cannot_be_found_for_want_of_room_is_none(
    disk: Path, fill: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", lambda: [str(disk)])
    monkeypatch.setattr(tempfile, "tempdir", None)
    fill(disk)
    with pytest.raises(OSError, match=r"temporary directory|No space left") as caught:
        tempfile.mkdtemp()
    assert no_room(caught.value)


@pytest.mark.parametrize("what", UPLOADS)
def test_a_temporary_folder_that_cannot_be_written_is_not_taken_for_a_full_one(closed: Path, what: str):
    path, body = UPLOADS[what]
    with serving(prints()) as (client, _):
        answer = client.post(path, **body)
        assert answer.status_code == 503, answer.text
        assert answer.json()["detail"]["reason"] == "misconfigured"
        assert "TMPDIR" in answer.json()["detail"]["message"]


@pytest.mark.parametrize("content", [b"# a DAG", LARGE])
def test_clients_of_the_1x_plugin_are_not_blamed_for_it(closed: Path, content: bytes):
    with serving(prints()) as (client, _):
        answer = client.post("/api?api=deploy_dag", files={"dag_file": ("a.py", content)})
        assert answer.status_code == 503, answer.text
        assert "TMPDIR" in answer.json()["output"]


def test_a_disk_has_room_or_has_not(disk: Path, fill: Callable[[Path], None]):
    assert has_room(disk)
    assert list(disk.iterdir()) == []
    fill(disk)
    assert not has_room(disk)
    make_room(disk)
    assert has_room(disk)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_want_of_room_is_507(number: int):
    found = of_disk(OSError(number, "no"))
    assert found is not None
    assert (found.status, found.detail["reason"]) == (507, "no_space")


@pytest.mark.parametrize(
    "error", [OSError(errno.EACCES, "no"), FileNotFoundError(2, "no"), ValueError("no room")]
)
def test_nothing_else_is(error: Exception):
    assert of_disk(error) is None
