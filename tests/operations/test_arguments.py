from __future__ import annotations

import io
from pathlib import Path

import pytest

from airflow_rest_api.commands.catalog import load_catalog
from airflow_rest_api.errors import BadArgument
from airflow_rest_api.operations.arguments import with_files
from airflow_rest_api.operations.files import Upload, Workspace


def lines(tmp_path: Path, *argv: str, **uploads: str) -> tuple[list[str], Workspace]:
    catalog = load_catalog()
    workspace = Workspace(tmp_path)
    files = {name: Upload(filename, io.BytesIO(b"content")) for name, filename in uploads.items()}
    return with_files(catalog, catalog.parse(argv), workspace, files), workspace


def test_a_file_to_be_read_is_the_uploaded_one(tmp_path: Path):
    argv, workspace = lines(tmp_path, "pools", "import", "/etc/passwd", file="mine.json")

    assert argv[-1] == str(workspace.path / "file" / "mine.json")
    assert Path(argv[-1]).read_bytes() == b"content"


def test_a_file_to_be_written_goes_to_the_private_folder(tmp_path: Path):
    argv, workspace = lines(tmp_path, "variables", "export", "../../x.json")

    assert argv[-1] == str(workspace.path / "file" / "x.json")


def test_an_option_that_names_a_file_keeps_its_flag(tmp_path: Path):
    argv, workspace = lines(tmp_path, "dags", "show", "a", "--save", "a.png")

    assert f"--save={workspace.path}/save/a.png" in argv
    assert argv[-1] == "a"


@pytest.mark.parametrize("word", ["import", "overwrite", "--", "-x.json", "variables"])
def test_only_the_files_place_changes_when_the_same_word_stands_elsewhere(tmp_path: Path, word: str):
    argv, workspace = lines(
        tmp_path, "variables", "import", "--action-on-existing-key", "overwrite", "--", word, file="v.json"
    )

    assert "--action-on-existing-key=overwrite" in argv
    assert argv[:2] == ["variables", "import"]
    assert argv[-1] == str(workspace.path / "file" / "v.json")


def test_a_positional_with_the_same_value_is_left_alone(tmp_path: Path):
    argv, workspace = lines(tmp_path, "dags", "show", "--save", "b.png", "b.png")

    assert argv[2:] == [f"--save={workspace.path}/save/b.png", "--", "b.png"]


def test_a_file_to_be_read_that_was_not_sent_is_asked_for(tmp_path: Path):
    with pytest.raises(BadArgument, match="file: the file must be uploaded") as caught:
        lines(tmp_path, "pools", "import", "/etc/passwd")

    assert caught.value.argument == "file"
