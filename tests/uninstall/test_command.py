from __future__ import annotations

import io
from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path

import pytest

from airflow_rest_api import uninstall as command
from airflow_rest_api.__main__ import main
from airflow_rest_api.dag_files.bundles import BundleInfo
from airflow_rest_api.uninstall import Leftover

Uninstall = Callable[..., int]


@pytest.fixture
def removed() -> list[str]:
    """What has been removed."""
    return []


@pytest.fixture
def uninstall(removed: list[str], monkeypatch: pytest.MonkeyPatch) -> Uninstall:
    """Run the command where three things are left: the real ones are looked for in `tests/dist`."""

    def remove(what: str) -> None:
        if what == "closed":
            raise PermissionError(13, "Permission denied")
        removed.append(what)

    def uninstall(*words: str, left: str = "one two three", runs: str = "", said: str = "") -> int:
        steps = [Leftover(what, lambda what=what: remove(what)) for what in left.split()]
        monkeypatch.setattr(command, "engines", lambda settings: (None, None))
        monkeypatch.setattr(command, "leftovers", lambda ours, airflows: steps)
        monkeypatch.setattr(command, "running", lambda engine: [runs] if runs else [])
        monkeypatch.setattr("sys.stdin", io.StringIO(said))
        return main(["uninstall", *words])

    return uninstall


def test_what_is_left_is_listed_and_removed_in_its_order(
    uninstall: Uninstall, removed: list[str], capsys: pytest.CaptureFixture[str]
):
    assert uninstall("--yes") == 0
    assert removed == ["one", "two", "three"]
    printed = capsys.readouterr().out
    assert printed.startswith("- one\n- two\n- three\n")
    assert "pip uninstall airflow-rest-api-plugin" in printed


def test_a_dry_run_removes_nothing_and_does_not_ask(
    uninstall: Uninstall, removed: list[str], capsys: pytest.CaptureFixture[str]
):
    assert uninstall("--dry-run", "--yes", runs="an API server") == 0
    assert removed == []
    assert capsys.readouterr().out == "- one\n- two\n- three\nNothing was removed.\n"


@pytest.mark.parametrize(("said", "code"), [("y\n", 0), ("Yes\n", 0), ("", 1), ("n\n", 1), ("yet\n", 1)])
def test_without_a_clear_yes_nothing_is_removed(
    uninstall: Uninstall, removed: list[str], said: str, code: int
):
    assert uninstall(said=said) == code
    assert bool(removed) is (code == 0)


def test_while_something_runs_nothing_is_removed_but_by_force(
    uninstall: Uninstall, removed: list[str], capsys: pytest.CaptureFixture[str]
):
    assert uninstall("--yes", runs="the API server on host, process 7") == 1
    assert removed == []
    assert "process 7" in capsys.readouterr().err
    assert uninstall("--yes", "--force", runs="the API server on host, process 7") == 0
    assert removed == ["one", "two", "three"]


def test_where_something_cannot_be_removed_what_comes_after_stays_to_be_found(
    uninstall: Uninstall, removed: list[str], capsys: pytest.CaptureFixture[str]
):
    assert uninstall("--yes", left="one closed three") == 1
    assert removed == ["one"]
    assert "closed could not be removed: [Errno 13] Permission denied" in capsys.readouterr().err


def test_where_nothing_is_left_that_is_said(uninstall: Uninstall, capsys: pytest.CaptureFixture[str]):
    assert uninstall("--yes", left="") == 0
    assert capsys.readouterr().out == "Nothing of the plugin is left here.\n"


def test_a_database_that_is_away_is_said_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    address = "postgresql+psycopg2://somebody:s3cret@127.0.0.1:1/name"
    monkeypatch.setenv("AIRFLOW__REST_API_PLUGIN__OPERATIONS_DATABASE", address)

    assert main(["uninstall", "--yes"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("A database cannot be read: ")
    assert len(said.splitlines()) == 1
    assert "s3cret" not in said


def test_a_folder_that_another_user_has_closed_is_said_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def closed(_: Path) -> None:
        raise PermissionError(13, "Permission denied", "/closed/logs")

    monkeypatch.setattr(Path, "iterdir", closed)
    monkeypatch.setattr(Path, "is_dir", lambda _: True)
    monkeypatch.setattr(command, "engines", lambda settings: (None, None))
    monkeypatch.setattr(command, "in_airflows", lambda engine: [])

    assert main(["uninstall", "--yes"]) == 1
    assert capsys.readouterr().err == "[Errno 13] Permission denied: '/closed/logs'\n"


def test_what_lies_in_a_bundle_that_cannot_be_written_is_not_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / ".airflow_rest_api").mkdir()
    closed = BundleInfo("dags-folder", "local", tmp_path, False, "its folder cannot be written on this host.")
    monkeypatch.setattr(command, "bundles", lambda: [closed])
    monkeypatch.setattr(command, "engines", lambda settings: (None, None))
    for databases in ("in_airflows", "in_our_database"):
        monkeypatch.setattr(command, databases, lambda engine: [])
    # Whoever runs the tests may write everywhere.
    refused = PermissionError(13, "Permission denied")
    monkeypatch.setattr("shutil.rmtree", lambda folder: (_ for _ in ()).throw(refused))

    assert main(["uninstall", "--yes", "--force"]) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"the folder {tmp_path}/.airflow_rest_api, of the deployments into a DAG bundle")
    assert "could not be removed: [Errno 13] Permission denied" in said


def test_the_documentation_has_every_option():
    page = Path(__file__).parents[2] / "docs" / "installation.md"
    parser = ArgumentParser(add_help=False)
    command.add_arguments(parser)

    for action in parser._actions:
        assert f"| `{action.option_strings[0]}` |" in page.read_text()
