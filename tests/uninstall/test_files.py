from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from airflow_rest_api.airflow.installation import Places
from airflow_rest_api.operations.model import new_id
from airflow_rest_api.services.files import log_name
from airflow_rest_api.services.kinds import KINDS
from airflow_rest_api.uninstall.files import folders, section

HEX = "0" * 32

CONFIGURATION = """\
# At the top.
[core]
load_examples = True

[rest_api_plugin]
# The REST API plugin.

# A secret.
operations_database = postgresql://user:s3cret@host/name
deploy_folders =
    [not a section]

[rest_api_plugin_of_somebody]
mine = [rest_api_plugin]
"""


def names(steps) -> list[str]:
    return [step.what for step in steps]


@pytest.fixture
def here(tmp_path: Path) -> Places:
    (tmp_path / "home").mkdir()
    (tmp_path / "logs").mkdir()
    return Places(str(tmp_path / "home"), str(tmp_path / "logs"), "here")


def test_our_folders_and_the_logs_of_components_go_and_what_others_put_beside_them_stays(
    here: Places, tmp_path: Path
):
    bundle, home, logs = tmp_path / "dags", Path(here.home), Path(here.logs)
    ours = (
        bundle / ".airflow_rest_api" / "work",
        home / "rest_api" / "services" / HEX,
        logs / ".rest_api" / "notes",
    )
    for folder in ours:
        folder.mkdir(parents=True)
        (folder / "file").touch()
    kept = [bundle / "mine.py", home / "airflow.cfg", logs / "scheduler.out", logs / "rest-api-mine.out"]
    for path in kept:
        path.touch()
    for ending in ("out", "err"):
        (logs / f"rest-api-celery-worker-{HEX}.{ending}").touch()
    (logs / f"rest-api-scheduler-{HEX}.out").symlink_to(kept[0])

    found = list(folders(here, [bundle]))
    assert len(found) == 5
    for step in found:
        step.remove()
    assert all(path.exists() for path in kept)
    assert list(bundle.iterdir()) == [kept[0]]
    assert list(home.iterdir()) == [kept[1]]
    assert names(folders(here, [bundle])) == []


def test_a_link_in_the_place_of_our_folder_is_left_alone(here: Places, tmp_path: Path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / ".airflow_rest_api").symlink_to(tmp_path / "elsewhere")

    assert names(folders(here, [tmp_path])) == []


def test_the_folder_of_a_process_that_was_killed_goes_and_that_of_a_living_one_stays(
    here: Places, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    from airflow_rest_api import private_folders

    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    mine = private_folders.make(tmp_path)
    dead = mine.with_name(mine.name.replace(f"-{os.getpid()}-", "-4194999-"))
    dead.mkdir(mode=0o700)

    [step] = folders(here, [])
    assert str(dead) in step.what
    step.remove()
    assert mine.is_dir()
    assert not dead.exists()


def test_our_section_goes_with_its_comments_and_everything_else_stays_as_it_was(tmp_path: Path):
    path = tmp_path / "airflow.cfg"
    path.write_text(CONFIGURATION)
    path.chmod(0o640)

    [step] = section(path, "rest_api_plugin")
    assert "s3cret" not in step.what
    step.remove()
    begin, end = CONFIGURATION.index("[rest_api_plugin]"), CONFIGURATION.index("[rest_api_plugin_of")
    assert path.read_text() == CONFIGURATION[:begin] + CONFIGURATION[end:]
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert [each.name for each in tmp_path.iterdir()] == ["airflow.cfg"]
    assert names(section(path, "rest_api_plugin")) == []


def test_a_link_to_the_configuration_stays_one(tmp_path: Path):
    (tmp_path / "real.cfg").write_text(CONFIGURATION)
    (tmp_path / "airflow.cfg").symlink_to("real.cfg")

    [step] = section(tmp_path / "airflow.cfg", "rest_api_plugin")
    step.remove()
    assert (tmp_path / "airflow.cfg").is_symlink()
    assert "[rest_api_plugin]\n#" not in (tmp_path / "real.cfg").read_text()


def test_no_configuration_has_no_section(tmp_path: Path):
    assert names(section(tmp_path / "airflow.cfg", "rest_api_plugin")) == []


@pytest.mark.parametrize("kind", list(KINDS))
def test_the_logs_of_every_kind_of_component_are_known_by_their_names(here: Places, kind: str):
    (Path(here.logs) / f"{log_name(kind, new_id())}.out").touch()

    assert len(names(folders(here, []))) == 1
