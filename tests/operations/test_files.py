from __future__ import annotations

import io
import os
import stat
from pathlib import Path

import pytest

from airflow_rest_api.commands.catalog import load_catalog
from airflow_rest_api.errors import BadArgument
from airflow_rest_api.operations.files import (
    LONGEST_NAME,
    MOST_FILES,
    Upload,
    Workspace,
    media_type,
    safe_name,
    with_files,
)


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("pools.json", "pools.json"),
        ("../../etc/passwd", "passwd"),
        ("/etc/passwd", "passwd"),
        ("C:\\temp\\a b.yaml", "a_b.yaml"),
        ("..", "file"),
        (".", "file"),
        ("", "file"),
        ("a/", "file"),
        (".env", ".env"),
        ("a\0b\nc.json", "a_b_c.json"),
        ("$(x);'\".json", "__x____.json"),
        ("größe.json", "gr__e.json"),
        ("x" * 300 + ".json", "x" * (LONGEST_NAME - 5) + ".json"),
        ("x" * 300, "x" * LONGEST_NAME),
    ],
)
def test_a_name_is_made_safe_and_keeps_its_extension(name: str, safe: str):
    assert safe_name(name) == safe


def test_only_the_servers_user_can_enter_the_folder(tmp_path: Path):
    workspace = Workspace(tmp_path)
    path = workspace.write("file", Upload("../a.json", io.BytesIO(b"{}")))

    assert path.read_bytes() == b"{}"
    assert path.parent.parent == workspace.path
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in (path.parent, workspace.path)} == {0o700}


def test_what_was_written_is_collected_up_to_the_limit(tmp_path: Path):
    workspace = Workspace(tmp_path)
    workspace.place("save", "graph.png").write_bytes(b"12345")
    workspace.place("save", "graph").write_bytes(b"1234567890")

    found = {
        file.name: (file.size, file.media_type, content) for file, content in workspace.collect("save", 5)
    }

    assert found == {"graph.png": (5, "image/png", b"12345"), "graph": (10, "application/octet-stream", None)}


def test_links_and_folders_are_not_collected(tmp_path: Path):
    secret = tmp_path / "secret"
    secret.write_text("x")
    workspace = Workspace(tmp_path)
    workspace.place("file", "a").symlink_to(secret)
    workspace.place("file", "b").mkdir()

    assert list(workspace.collect("file", 100)) == []
    assert list(workspace.collect("other", 100)) == []


def test_the_folder_goes_with_all_it_holds(tmp_path: Path):
    workspace = Workspace(tmp_path)
    workspace.place("file", "a").write_text("x")
    workspace.remove()

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_paths_in_output_are_shown_as_the_clients_names_wherever_a_piece_ends(tmp_path: Path, size: int):
    workspace = Workspace(tmp_path)
    path, other = workspace.place("file", "pools.json"), workspace.place("other", "b.csv")
    printed = f"Exported to {path}.\n{other}{path} and {tmp_path}/else {path}".encode()
    renamer = workspace.renamer()
    shown = b"".join(renamer.feed(printed[at : at + size]) for at in range(0, len(printed), size))

    words = f"Exported to pools.json.\nb.csvpools.json and {tmp_path}/else pools.json"
    assert (shown + renamer.finish()).decode() == words


def test_what_can_be_no_path_is_passed_on_at_once(tmp_path: Path):
    workspace = Workspace(tmp_path)
    path = str(workspace.place("file", "pools.json"))
    renamer = workspace.renamer()

    assert renamer.feed(b"a line\n") == b"a line\n"
    assert renamer.feed(path[:5].encode()) == b""
    assert renamer.feed(b"?") == path[:5].encode() + b"?"
    assert Workspace(tmp_path).renamer().feed(b"anything") == b"anything"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.json", "application/json"),
        ("a.YAML", "application/yaml"),
        (".env", "text/plain"),
        ("a", "application/octet-stream"),
    ],
)
def test_media_types_do_not_depend_on_the_system(name: str, kind: str):
    assert media_type(name) == kind


def test_no_more_files_are_collected_than_are_kept(tmp_path: Path):
    workspace = Workspace(tmp_path)
    place = workspace.place("file", "wanted.json")
    for number in range(MOST_FILES + 50):
        (place.parent / f"{number}.txt").write_text("x")
    assert len(list(workspace.collect("file", 1000))) == MOST_FILES


def test_the_limit_is_for_all_files_of_an_argument_together(tmp_path: Path):
    workspace = Workspace(tmp_path)
    place = workspace.place("file", "a")
    for name in ("a", "b", "c"):
        (place.parent / name).write_bytes(b"x" * 40)
    kept = [content for _, content in workspace.collect("file", 100)]
    assert kept == [b"x" * 40, b"x" * 40, None]


def test_a_name_has_no_blanks_at_its_end_which_databases_do_not_see(tmp_path: Path):
    workspace = Workspace(tmp_path)
    for name in ("a", "a ", " ", " b"):
        workspace.place("file", "x").with_name(name).touch()
    assert [file.name for file, _ in workspace.collect("file", 100)] == ["file", " b", "a", "a"]


def test_a_name_that_is_no_text_is_shown_as_one(tmp_path: Path):
    workspace = Workspace(tmp_path)
    place = workspace.place("file", "a")
    (place.parent / os.fsdecode(b"\xff.json")).write_text("{}")
    [(file, content)] = workspace.collect("file", 100)
    assert (file.name, file.media_type, content) == ("?.json", "application/json", b"{}")


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
