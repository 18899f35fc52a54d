from __future__ import annotations

import errno
import json
import os
import pwd
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_rest_api.dag_files.bundles import (
    IGNORE,
    BundleFolder,
    BundleInfo,
    bundles,
    can_make,
    control_folder,
    effective_user,
    named,
    resolve,
)
from airflow_rest_api.dag_files.upload import CONTROL
from airflow_rest_api.errors import ApiError, BundleNotWritable, NoSpace
from tests.small_disk import fill, make_room, small_disk

LOCAL = "airflow.dag_processing.bundles.local.LocalDagBundle"
GIT = "airflow.providers.git.bundles.git.GitDagBundle"
S3 = "airflow.providers.amazon.aws.bundles.s3.S3DagBundle"
GCS = "airflow.providers.google.cloud.bundles.gcs.GCSDagBundle"

Configure = Callable[..., None]


@pytest.fixture
def configure(monkeypatch: pytest.MonkeyPatch) -> Configure:
    """Configure bundles: name, class, and what the class is made with."""

    def configure(*wanted: tuple[str, str, dict[str, Any]]) -> None:
        text = json.dumps([{"name": name, "classpath": path, "kwargs": more} for name, path, more in wanted])
        monkeypatch.setenv("AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST", text)

    return configure


@pytest.fixture
def folder(tmp_path: Path, configure: Configure) -> Path:
    """The folder of the only bundle."""
    folder = tmp_path / "dags"
    folder.mkdir()
    configure(("mine", LOCAL, {"path": str(folder)}))
    return folder


def refused(bundle: str | None = None, folder: str = "") -> dict[str, Any]:
    with pytest.raises(ApiError) as caught:
        resolve(bundle, folder)
    return {"status": caught.value.status, **caught.value.detail}


def test_without_configuration_the_dags_folder_is_the_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("airflow.settings.DAGS_FOLDER", str(tmp_path))

    assert bundles() == [BundleInfo("dags-folder", "local", tmp_path, writable=True, reason=None)]
    assert resolve(None, "") == BundleFolder(bundles()[0], tmp_path, "")


def test_a_git_bundle_says_which_repository_its_files_come_from_without_the_credentials(configure: Configure):
    configure(
        (
            "repo",
            GIT,
            {"repo_url": "https://ada:s3cret@git.example/dags.git?token=s3cret", "tracking_ref": "main"},
        )
    )

    assert refused("repo") == {
        "status": 409,
        "reason": "bundle_not_writable",
        "message": "Nothing can be put into the bundle 'repo': its files come from the Git repository "
        "https://git.example/dags.git, main. Change them there.",
        "argument": "bundle",
        "bundle": "repo",
        "kind": "git",
    }


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("git@git.example:team/dags.git", "git.example:team/dags.git"),
        ("ssh://git@git.example:22/team/dags.git", "ssh://git.example:22/team/dags.git"),
        ("https://p%40ss@git.example/a@b.git#s3cret", "https://git.example/a@b.git"),
        ("/srv/dags.git", "/srv/dags.git"),
    ],
)
def test_no_form_of_a_repository_shows_its_user(configure: Configure, url: str, shown: str):
    configure(("repo", GIT, {"repo_url": url}))

    assert bundles()[0].reason == f"its files come from the Git repository {shown}. Change them there."


def test_a_git_bundle_without_a_url_names_its_connection(configure: Configure):
    configure(("repo", GIT, {"git_conn_id": "dags_repo"}), ("other", GIT, {}))

    assert "of the connection dags_repo." in str(bundles()[0].reason)
    assert "of the connection git_default." in str(bundles()[1].reason)


def test_a_bundle_of_a_bucket_names_it_and_its_provider_need_not_be_installed(configure: Configure):
    configure(
        ("s3", S3, {"bucket_name": "dags", "prefix": "team/a/"}), ("gcs", GCS, {"bucket_name": "of-google"})
    )

    assert [(one.kind, one.writable, one.reason) for one in bundles()] == [
        ("s3", False, "its files come from the bucket s3://dags/team/a. Change them there."),
        ("gcs", False, "its files come from the bucket gs://of-google/. Change them there."),
    ]
    assert not any(name.startswith("airflow.providers.amazon") for name in sys.modules)


def test_nothing_is_put_into_a_bundle_of_a_class_that_we_do_not_know(configure: Configure, tmp_path: Path):
    configure(("ours", "company.bundles.ShareBundle", {"path": str(tmp_path)}))

    assert bundles() == [
        BundleInfo(
            "ours",
            "ShareBundle",
            None,
            writable=False,
            reason="only company.bundles.ShareBundle knows where its files come from.",
        )
    ]


def test_nothing_is_put_among_the_examples_of_airflow(configure: Configure, monkeypatch: pytest.MonkeyPatch):
    configure()
    monkeypatch.setenv("AIRFLOW__CORE__LOAD_EXAMPLES", "True")

    [examples] = bundles()
    assert (examples.name, examples.writable) == ("example_dags", False)
    assert examples.root is not None
    assert examples.root.is_dir()


def test_a_missing_folder_in_a_folder_of_ours_can_be_written_and_is_not_made_by_looking(
    configure: Configure, tmp_path: Path
):
    configure(("mine", LOCAL, {"path": str(tmp_path / "missing")}))

    assert bundles()[0].writable
    place = resolve("mine", "team")
    assert (place.root, place.folder) == (tmp_path / "missing", "team")
    assert not (tmp_path / "missing").exists()


def make_nothing(tmp_path: Path) -> Path:
    return tmp_path / "not" / "mounted"


def make_a_file(tmp_path: Path) -> Path:
    (tmp_path / "file").touch()
    return tmp_path / "file"


def make_a_folder_of_others(tmp_path: Path) -> Path:
    # Nobody owns /proc but root, and nobody makes anything in it.
    return Path("/proc/dags")


def make_a_link_to_a_place_of_others(tmp_path: Path) -> Path:
    (tmp_path / "link").symlink_to("/proc/dags")
    return tmp_path / "link"


@pytest.mark.parametrize(
    "make", [make_nothing, make_a_file, make_a_folder_of_others, make_a_link_to_a_place_of_others]
)
def test_a_folder_that_cannot_be_made_is_named_with_who_has_to_write_there(
    configure: Configure, tmp_path: Path, make: Callable[[Path], Path], monkeypatch: pytest.MonkeyPatch
):
    # Tests run as root too, to whom /proc belongs.
    monkeypatch.setattr(os, "access", lambda path, mode: not str(path).startswith("/proc"))
    path = make(tmp_path)
    configure(("mine", LOCAL, {"path": str(path)}))

    problem = refused("mine")
    assert (problem["status"], problem["reason"]) == (409, "bundle_not_writable")
    assert f"its folder {path} " in problem["message"]
    assert f"writable for the user of the API server ({effective_user()})" in problem["message"]


def close(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have nobody look into a folder: a file mode would not keep root out, whom tests run as."""

    def closed(real: Callable[..., os.stat_result]) -> Callable[..., os.stat_result]:
        def look(path: Any, *rest: Any, **more: Any) -> os.stat_result:
            if not isinstance(path, int) and str(path).startswith(f"{folder}/"):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
            return real(path, *rest, **more)

        return look

    monkeypatch.setattr(os, "stat", closed(os.stat))
    monkeypatch.setattr(os, "lstat", closed(os.lstat))
    # The paths of Python 3.10 have kept what was `os.stat` when they were imported.
    monkeypatch.setattr(Path, "stat", lambda path, **how: os.stat(path, **how))
    monkeypatch.setattr(os, "access", lambda path, mode: folder not in (Path(path), *Path(path).parents))


def test_a_bundle_in_a_folder_that_is_closed_to_us_leaves_the_others_as_they_are(
    configure: Configure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "home" / "dags").mkdir(parents=True)
    (tmp_path / "mine").mkdir()
    home = {"path": str(tmp_path / "home" / "dags")}
    configure(("home", LOCAL, home), ("mine", LOCAL, {"path": str(tmp_path / "mine")}))
    close(tmp_path / "home", monkeypatch)

    assert named(None).name == "mine"
    assert "cannot be reached on this host (Permission denied)" in refused("home")["message"]


def test_a_folder_of_a_bundle_behind_one_that_is_closed_to_us_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch
):
    (folder / "closed" / "inner").mkdir(parents=True)
    close(folder / "closed", monkeypatch)

    problem = refused(None, "closed/inner")
    assert (problem["status"], problem["argument"]) == (400, "folder")
    assert "cannot be looked into on this host (Permission denied)" in problem["message"]


def test_a_folder_that_is_read_only_is_not_written(folder: Path, monkeypatch: pytest.MonkeyPatch):
    # A file mode would not keep root out, whom tests run as in a container.
    monkeypatch.setattr(os, "access", lambda path, mode: not mode & os.W_OK)

    assert "cannot be written on this host" in refused()["message"]


def test_a_configuration_that_cannot_be_read_is_said_to_be_one(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST", '[{"name": "mine"}]')

    with pytest.raises(ApiError, match="dag_bundle_config_list") as caught:
        bundles()
    assert (caught.value.status, caught.value.detail["reason"]) == (500, "bad_configuration")


def test_the_only_bundle_that_can_be_written_is_the_default(configure: Configure, tmp_path: Path):
    configure(("repo", GIT, {}), ("mine", LOCAL, {"path": str(tmp_path)}))

    assert named(None).name == "mine"


def test_among_several_the_dags_folder_is_the_default_and_else_one_has_to_be_named(
    configure: Configure, tmp_path: Path
):
    here = {"path": str(tmp_path)}
    configure(("a", LOCAL, here), ("dags-folder", LOCAL, here))
    assert resolve(None).bundle.name == "dags-folder"

    configure(("a", LOCAL, here), ("b", LOCAL, here))
    assert refused()["message"] == "Say which bundle: one of a, b."
    assert resolve("b").bundle.name == "b"


def test_a_bundle_that_is_not_there_is_named_in_the_answer(folder: Path):
    assert refused("other") == {
        "status": 404,
        "reason": "unknown_bundle",
        "message": "There is no bundle 'other'.",
        "argument": "bundle",
    }


def test_a_folder_of_the_bundle_need_not_exist_yet(folder: Path):
    place = resolve("mine", "team//a/")

    assert (place.root, place.folder) == (folder, "team/a")


@pytest.mark.parametrize("name", ["/etc", "..", "a/../../b", "a\\b", "a\0b", "a\nb", "x" * 300])
def test_a_folder_outside_the_bundle_is_refused(folder: Path, name: str):
    problem = refused(None, name)

    assert (problem["status"], problem["argument"]) == (400, "folder")


def test_a_link_is_not_followed_wherever_it_leads(folder: Path, tmp_path: Path):
    (folder / "inside").mkdir()
    (folder / "to_inside").symlink_to(folder / "inside")
    (folder / "to_outside").symlink_to(tmp_path)

    for name in ("to_inside", "to_outside", "to_outside/deeper"):
        assert "symbolic link" in refused(None, name)["message"]


def test_the_folder_of_the_bundle_itself_may_be_reached_by_a_link(
    configure: Configure, folder: Path, tmp_path: Path
):
    (tmp_path / "link").symlink_to(folder)
    configure(("linked", LOCAL, {"path": str(tmp_path / "link")}))

    assert (resolve("linked", "a").root, resolve("linked", "a").folder) == (folder, "a")


def test_a_file_is_no_folder(folder: Path):
    (folder / "a.py").touch()

    assert "is a file" in refused(None, "a.py")["message"]


def test_nothing_is_made_in_a_folder_of_somebody_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    mine = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: mine + 1)

    assert not can_make(tmp_path / "dags")


def test_what_is_there_is_not_made(tmp_path: Path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")

    assert not any(can_make(tmp_path / name) for name in ("folder", "file", "link"))


def test_a_user_is_named_with_the_number_and_one_without_a_name_by_it(monkeypatch: pytest.MonkeyPatch):
    assert effective_user() == f"{pwd.getpwuid(os.geteuid()).pw_name}, uid {os.geteuid()}"
    monkeypatch.setattr(os, "geteuid", lambda: 987654321)
    assert effective_user() == "uid 987654321"


@pytest.mark.parametrize("mode", [0o700, 0o755, 0o2775])
def test_a_missing_bundle_is_made_with_the_mode_and_the_group_of_the_folder_above(tmp_path: Path, mode: int):
    above = tmp_path / "home"
    above.mkdir()
    above.chmod(mode)

    with control_folder(above / "dags") as folder:
        assert folder.samefile(above / "dags" / CONTROL)
    status = (above / "dags").stat()
    assert stat.S_IMODE(status.st_mode) == mode
    assert status.st_gid == above.stat().st_gid


def test_only_the_last_folder_on_the_way_is_made(tmp_path: Path):
    assert not can_make(tmp_path / "not" / "mounted")
    with pytest.raises(BundleNotWritable), control_folder(tmp_path / "not" / "mounted"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_link_in_the_place_of_our_folder_is_not_followed(folder: Path, tmp_path: Path):
    precious = tmp_path / "precious"
    precious.mkdir(mode=0o700)
    folder.chmod(0o777)
    (folder / CONTROL).symlink_to(precious)

    with pytest.raises(BundleNotWritable, match="is no folder"), control_folder(folder):
        pass
    assert stat.S_IMODE(precious.stat().st_mode) == 0o700
    assert list(precious.iterdir()) == []


def test_the_file_that_airflow_ignores_our_folder_by_is_not_written_through_a_link(
    folder: Path, tmp_path: Path
):
    (folder / CONTROL).mkdir()
    (folder / CONTROL / ".airflowignore").symlink_to(tmp_path / "elsewhere")

    with control_folder(folder):
        pass
    assert not (tmp_path / "elsewhere").exists()


def test_a_full_disk_leaves_no_folder_of_ours_that_airflow_looks_into(tmp_path: Path):
    with small_disk(tmp_path / "small") as root:
        fill(root)
        with pytest.raises(NoSpace), control_folder(root):
            pass
        make_room(root)
        with control_folder(root) as folder:
            ignores = folder / ".airflowignore"
            assert (ignores.read_text(), [path.name for path in folder.iterdir()]) == (IGNORE, [ignores.name])


def test_a_file_that_was_cut_off_is_written_again(folder: Path):
    (folder / CONTROL).mkdir()
    (folder / CONTROL / ".airflowignore").touch()

    with control_folder(folder) as control:
        assert (control / ".airflowignore").read_text() == IGNORE
        assert stat.S_IMODE((control / ".airflowignore").stat().st_mode) == 0o644
