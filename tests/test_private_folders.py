from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

from airflow_rest_api import private_folders, processes

SRC = Path(__file__).parents[1] / "src"
MAKES = (
    "import sys, time; from pathlib import Path; from airflow_rest_api import private_folders;"
    "made = private_folders.make(Path(sys.argv[1])); (made / 'secret').write_text('x');"
    "print(made, flush=True); time.sleep(600)"
)


def test_a_private_folder_is_entered_by_its_user_alone(tmp_path: Path) -> None:
    made = private_folders.make(tmp_path)
    assert stat.S_IMODE(made.stat().st_mode) == 0o700
    assert made.parent == tmp_path
    assert private_folders.make(tmp_path) != made


def test_what_a_killed_process_leaves_is_removed_and_nothing_else(tmp_path: Path) -> None:
    ours = private_folders.make(tmp_path)
    others = ["airflow-rest-api-tests-x", "airflow-rest-api-12345678-1-12345678-x", "airflow-rest-api-", "x"]
    for name in others:
        (tmp_path / name).mkdir()
    process = subprocess.Popen(
        [sys.executable, "-c", MAKES, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(SRC)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    theirs = Path(process.stdout.readline().strip())
    assert private_folders.sweep(tmp_path) == []
    process.kill()
    process.wait()
    process.stdout.close()

    assert private_folders.sweep(tmp_path) == [theirs]
    assert {path.name for path in tmp_path.iterdir()} == {ours.name, *others}


def test_a_name_that_somebody_else_has_made_keeps_nothing_from_being_removed(tmp_path: Path) -> None:
    start = processes.start_of(os.getpid())
    assert start is not None
    gone = private_folders.make(tmp_path)
    gone = gone.rename(tmp_path / gone.name.replace(private_folders._short(start), "0" * 8))
    for number in ("²", "٣", "1" * 150):
        (tmp_path / gone.name.replace(f"-{os.getpid()}-", f"-{number}-")).symlink_to(tmp_path)
    assert private_folders.sweep(tmp_path) == [gone]


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    gone = private_folders.make(tmp_path)
    start = processes.start_of(os.getpid())
    assert start is not None
    name = gone.name.replace(private_folders._short(start), "0" * 8)
    gone.rmdir()
    (tmp_path / name).symlink_to(tmp_path / "elsewhere")
    assert private_folders.sweep(tmp_path) == []
    assert (tmp_path / "elsewhere").is_dir()


def test_one_that_was_removed_or_exchanged_is_not_there(tmp_path: Path) -> None:
    folder = private_folders.make(tmp_path)
    assert private_folders.is_there(str(folder))

    folder.rmdir()
    assert not private_folders.is_there(str(folder))
    folder.symlink_to(tmp_path)
    assert not private_folders.is_there(str(folder))
