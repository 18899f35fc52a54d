from __future__ import annotations

from pathlib import Path

import pytest

from demo.examples import SOURCE, renew


@pytest.fixture
def source(tmp_path: Path) -> Path:
    source = tmp_path / "source"
    source.mkdir()
    (source / "one.py").write_text("first of one")
    (source / "two.py").write_text("first of two")
    return source


@pytest.fixture
def folder(tmp_path: Path, source: Path) -> Path:
    """A DAGs folder to which the examples have been copied."""
    folder = tmp_path / "home" / "dags"
    folder.parent.mkdir()
    assert renew(folder, source) == ["one", "two"]
    return folder


def contents(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_each_example_of_the_clone_is_copied(tmp_path: Path):
    shipped = {path.name: path.read_text() for path in SOURCE.glob("*.py")}
    assert renew(tmp_path / "dags") == sorted(name.removesuffix(".py") for name in shipped)
    assert contents(tmp_path / "dags") == shipped


def test_what_was_deployed_stays_and_an_example_is_renewed(folder: Path, source: Path):
    (folder / "mine.py").write_text("mine")
    (source / "one.py").write_text("second of one")
    assert renew(folder, source) == ["one", "two"]
    assert contents(folder) == {"mine.py": "mine", "one.py": "second of one", "two.py": "first of two"}


def test_an_example_that_was_changed_or_deleted_stays_so(folder: Path, source: Path):
    (folder / "one.py").write_text("of the user")
    (folder / "two.py").unlink()
    for version in ("second", "third"):
        (source / "one.py").write_text(f"{version} of one")
        (source / "two.py").write_text(f"{version} of two")
        assert renew(folder, source) == []
        assert contents(folder) == {"one.py": "of the user"}


def test_a_file_that_was_there_before_is_no_example(tmp_path: Path, source: Path):
    folder = tmp_path / "dags"
    folder.mkdir()
    (folder / "one.py").write_text("of the user")
    assert renew(folder, source) == ["two"]
    assert contents(folder) == {"one.py": "of the user", "two.py": "first of two"}


def test_what_is_no_example_any_more_goes_unless_it_was_changed(folder: Path, source: Path):
    (folder / "two.py").write_text("of the user")
    for path in source.iterdir():
        path.unlink()
    assert renew(folder, source) == []
    assert contents(folder) == {"two.py": "of the user"}
