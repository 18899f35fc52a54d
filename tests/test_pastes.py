from __future__ import annotations

from pathlib import Path

import pytest

from tests.pastes import blocks, fenced, run, section

PAGE = """\
# Title

    at the top

## First

Text.

    one \\
      two

    after an empty line
* An item:

      in a list

## Second

```sh
    fenced
```

Text
    that goes on.
"""


@pytest.fixture
def page(tmp_path: Path) -> Path:
    path = tmp_path / "page.md"
    path.write_text(PAGE)
    return path


def test_the_blocks_of_a_section_are_found_without_their_indentation(page: Path):
    assert blocks(page, "") == ["at the top\n"]
    assert [block.rstrip("\n") for block in blocks(page, "First")] == [
        "one \\\n  two\n\nafter an empty line",
        "in a list",
    ]
    assert blocks(page, "Second") == []
    assert fenced(page, "Second", "sh") == "    fenced\n"


def test_a_section_that_is_not_there_is_an_error(page: Path):
    with pytest.raises(KeyError):
        section(page, "Third")


def test_lines_are_run_together_until_one_fails(tmp_path: Path):
    assert run("A=…\necho $A", {"…": "one"}, env={}, cwd=tmp_path) == "one\n"
    with pytest.raises(AssertionError, match="before"):
        run("echo before; false | cat; echo after", {}, env={}, cwd=tmp_path)
    with pytest.raises(AssertionError):
        run("echo $NOT_SET", {}, env={}, cwd=tmp_path)


def test_a_placeholder_that_nobody_replaces_is_noticed(tmp_path: Path):
    with pytest.raises(AssertionError):
        run("A=…", {}, env={}, cwd=tmp_path)
