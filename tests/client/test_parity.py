"""The lines of `tests/parity`, typed at `airflow-rest`: output, exit codes and files of `airflow`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.client.conftest import CommandLine
from tests.parity import record
from tests.parity.running import (
    DAGS,
    ENVIRONMENT,
    RECORDED,
    End,
    Ends,
    Through,
    comparable,
    folder_of_one_length,
    know_the_dags,
    run_lanes,
)
from tests.parity.script import LANES, OPPOSITE
from tests.stacks import Stack

pytestmark = [
    pytest.mark.airflow,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(
        not record.RECORD.exists(),
        reason="there is no record for this Python; tests/parity runs processes there",
    ),
]


class Typed(Through):
    """As a process of `airflow-rest` each, in a folder that is made for the lane."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        super().__init__(stack)
        self.folder = folder
        folder.mkdir()
        self.command_line = CommandLine(stack, folder / "home")

    def run(self, words: list[str]) -> End:
        for word in words:
            if word.startswith("@"):
                (self.folder / word[1:]).write_text(self.written[word[1:]])
        done = self.command_line(*(word.lstrip("@>") for word in words), cwd=self.folder)
        files = {word[1:]: (self.folder / word[1:]).read_text() for word in words if word.startswith(">")}
        # As a shell's user would: what is kept of one lane must not stand in the way of the next.
        for name in files:
            (self.folder / name).unlink()
        return self.end(done.returncode, done.stdout, done.stderr, files)


@pytest.fixture(scope="module")
def ends() -> Iterator[tuple[Ends, Ends]]:
    """How each line ends at `airflow-rest`, and as it was recorded of `airflow`."""
    with (
        folder_of_one_length() as folder,
        Stack(folder / "rest", components=("api-server",), dags=DAGS, env=ENVIRONMENT) as stack,
    ):
        stack.wait_for_commands()
        know_the_dags(stack)
        yield run_lanes(lambda lane: Typed(stack, folder / lane), RECORDED), record.read()


@pytest.mark.parametrize("at", RECORDED, ids=[LANES[lane][number] for lane, number in RECORDED])
def test_a_line_ends_at_airflow_rest_as_at_airflow(ends: tuple[Ends, Ends], at: tuple[str, int]):
    lane, number = at
    line = LANES[lane][number]
    typed, plain = (comparable(line, each[at]) for each in ends)
    if line in OPPOSITE:
        before, after = OPPOSITE[line]
        plain = replace(plain, stdout=plain.stdout.replace(before, after))

    if plain.exit_code == 2:
        assert typed.exit_code == 2
        assert typed.stderr.strip() in plain.stderr
    else:
        assert typed == plain
