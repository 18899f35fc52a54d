"""`deploy_dag` on top of the deployment of today: a real engine, Airflow's database without an Airflow."""

from __future__ import annotations

import asyncio
import io
import socket
import zipfile
from collections.abc import Iterator
from typing import Any

import pytest

from tests.deploying import LOCAL, Site, about, dag, deploying

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    fresh = {
        name: {"classpath": LOCAL, "kwargs": {"path": str(folder / path)}}
        for name, path in {"fresh": "fresh", "unmounted": "not/mounted"}.items()
    }
    with deploying(folder, more=fresh) as site:
        yield site


def send(site: Site, name: str, content: bytes, **fields: str) -> tuple[int, dict[str, Any]]:
    answer = site.client.post("/api?api=deploy_dag", files={"dag_file": (name, content)}, data=fields)
    return answer.status_code, answer.json()


def test_a_file_is_stored_once_and_replaced_by_force(site: Site) -> None:
    status, answer = send(site, "once.py", dag("once"))
    assert (status, answer["output"]) == (200, "DAG File [once.py] has been uploaded")
    assert site.state()["once.py"] == dag("once")
    # The same content as well, as it always was.
    status, answer = send(site, "once.py", dag("once"))
    host = socket.gethostname()
    assert (status, answer["output"]) == (400, f"The file 'once.py' already exists on host '{host}'.")
    status, answer = send(site, "once.py", dag("another"), force="on")
    assert (status, answer["output"]) == (200, "DAG File [once.py] has been uploaded")
    assert site.state()["once.py"] == dag("another")


def test_the_first_file_makes_the_folder_of_its_bundle_or_the_answer_names_it(site: Site) -> None:
    assert send(site, "first.py", dag("first_of_all"), bundle="fresh")[0] == 200
    assert (site.root.parent / "fresh" / "first.py").is_file()

    status, answer = send(site, "first.py", dag("first_of_all"), bundle="unmounted")
    assert status == 409
    assert f"its folder {site.root.parent / 'not/mounted'} does not exist" in answer["output"]
    assert "Make it there, writable for the user of the API server" in answer["output"]


def test_the_dags_of_the_files_are_named(site: Site) -> None:
    assert send(site, "named.py", dag("named_b") + dag("named_a"))[1]["dag_ids"] == ["named_a", "named_b"]
    assert send(site, "nameless.py", b"x = 1\n")[1]["dag_ids"] == []


BROKEN = {
    "syntax": (b"def broken(:\n", "wrong.py, line 1: SyntaxError: "),
    "import": (
        b"import airflow.sdk\n# dag\nimport no_such_module\n",
        "wrong.py, line 3: ModuleNotFoundError: No module named 'no_such_module'",
    ),
    "duplicate": (dag("owned"), "wrong.py: the DAG 'owned' comes from dags-folder:owner.py already"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_file_with_something_wrong_is_not_stored(site: Site, kind: str) -> None:
    assert send(site, "owner.py", dag("owned"), force="on", wait="on")[0] == 200
    send(site, "wrong.py", dag("right"), force="on")
    before = site.state()
    content, words = BROKEN[kind]
    status, answer = send(site, "wrong.py", content, force="on")
    assert (status, answer["status"]) == (400, "ERROR")
    assert answer["output"].startswith(words)
    assert answer["output"].endswith(" Nothing was written.")
    assert site.state() == before


@pytest.mark.parametrize("kind", BROKEN)
def test_a_file_with_something_wrong_is_stored_by_force_and_a_warning_says_what(
    site: Site, kind: str
) -> None:
    assert send(site, "owner.py", dag("owned"), force="on", wait="on")[0] == 200
    content, words = BROKEN[kind]
    status, answer = send(site, "wrong.py", content, force="on", force_invalid="on")
    assert (status, answer["output"]) == (200, "DAG File [wrong.py] has been uploaded")
    assert (words if kind != "duplicate" else "The DAG 'owned' of wrong.py") in answer["warning"]
    assert site.state()["wrong.py"] == content


def path_of(site: Site, dag_id: str) -> str | None:
    """Return the file that a DAG was deployed in, as every API server knows it."""
    app: Any = site.client.app
    found = asyncio.run(app.state.context.dag_files.history.dag(dag_id))
    return None if found is None else str(found.path)


def test_in_which_file_a_dag_was_deployed_is_known_until_it_is_there_no_more(site: Site) -> None:
    assert send(site, "kept.py", dag("kept_a") + dag("kept_b"))[0] == 200
    assert [path_of(site, name) for name in ("kept_a", "kept_b")] == ["kept.py", "kept.py"]
    assert send(site, "kept.py", dag("kept_a"), force="on")[0] == 200
    assert [path_of(site, name) for name in ("kept_a", "kept_b")] == ["kept.py", None]
    # Nobody can say what a broken file defines.
    assert send(site, "kept.py", b"def broken(:\n", force="on")[0] == 400
    assert send(site, "kept.py", b"def broken(:\n", force="on", force_invalid="on")[0] == 200
    assert path_of(site, "kept_a") == "kept.py"
    wait = {"Prefer": "wait=100"}
    rolled = site.client.post(about("kept.py", "rollback"), json={"version": 1}, headers=wait)
    assert rolled.json()["state"] == "succeeded"
    assert path_of(site, "kept_b") == "kept.py"
    assert site.client.delete(about("kept.py"), headers=wait).json()["state"] == "succeeded"
    assert [path_of(site, name) for name in ("kept_a", "kept_b")] == [None, None]


def test_a_state_that_cannot_be_set_is_a_warning(site: Site) -> None:
    status, answer = send(site, "stateless.py", b"def broken(:\n", force_invalid="on", pause="on")
    assert status == 200
    assert (
        "Failed to set the state (pause, unpause) of the DAG: stateless.py, line 1: Syntax"
        in answer["warning"]
    )
    status, answer = send(site, "none.py", b"x = 1\n", pause="on")
    assert "Failed to set the state (pause, unpause) of the DAG: the file defines none" in answer["warning"]


def test_every_dag_of_a_file_is_paused_and_resumed(site: Site) -> None:
    for field, expected in (("unpause", False), ("pause", True)):
        status, _ = send(
            site, "state.py", dag("old_a") + dag("old_b"), force="on", wait="on", **{field: "on"}
        )
        assert status == 200
        assert [paused(name) for name in ("old_a", "old_b")] == [expected, expected]


def paused(dag_id: str) -> bool:
    from airflow.models.dag import DagModel
    from airflow.utils.session import create_session

    with create_session() as session:
        model = session.get(DagModel, dag_id)
        assert model is not None
        return bool(model.is_paused)


def test_a_file_goes_into_a_folder_of_a_bundle(site: Site) -> None:
    assert send(site, "a.py", dag("in_folder"), bundle="dags-folder", path="team/a")[0] == 200
    assert site.state()["team/a/a.py"] == dag("in_folder")


def test_an_archive_is_unpacked(site: Site) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("dags/a.py", dag("archived"))
        archive.writestr("lib/b.py", b"x = 1\n")
    status, answer = send(site, "project.zip", packed.getvalue(), path="project")
    assert (status, answer["output"]) == (200, "DAG File [project.zip] has been uploaded")
    assert site.state()["project/lib/b.py"] == b"x = 1\n"
    assert site.state()["project/dags/a.py"] == dag("archived")


@pytest.mark.parametrize(
    ("name", "content", "fields", "status", "words"),
    [
        ("a.txt", b"", {}, 400, "dag_file is not a *.py file"),
        ("../a.py", b"", {}, 400, "The name of dag_file"),
        ("a.py", b"", {"bundle": "nowhere"}, 404, "no bundle 'nowhere'"),
        ("a.py", b"", {"path": "../x"}, 400, "'../x'"),
        ("a.zip", b"no archive", {}, 400, "archive: it is damaged"),
    ],
)
def test_what_cannot_be_done_is_said(
    site: Site, name: str, content: bytes, fields: dict[str, str], status: int, words: str
) -> None:
    before = site.state()
    answered, answer = send(site, name, content, **fields)
    assert answered == status, answer
    assert words in answer["output"]
    assert site.state() == before


def test_it_is_in_the_history_and_in_the_operations(site: Site) -> None:
    send(site, "known.py", dag("known"))
    [version] = site.client.get(about("known.py", "history")).json()["versions"]
    deployment = site.client.get(f"/v2/dag-files/deployments/{version['deployment']}").json()
    operation = site.client.get(f"/v2/operations/{deployment['operation_id']}").json()
    assert (operation["command"], operation["state"]) == ("deploy_dag", "succeeded")


def test_its_operation_knows_the_endpoint(site: Site) -> None:
    _, answer = send(site, "known.py", dag("known"))
    listed = site.client.get("/v2/operations", params={"endpoint": "deploy_dag"}).json()["operations"]
    assert (listed[0]["id"], listed[0]["endpoint"]) == (answer["operation_id"], "deploy_dag")
