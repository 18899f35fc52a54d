from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import replace

import pytest

from airflow_rest_api.commands.catalog import load_catalog
from tests.parity import record
from tests.parity.running import (
    DAGS,
    ENVIRONMENT,
    OWN,
    RECORDED,
    SCRIPT,
    End,
    Ends,
    Plain,
    Rest,
    comparable,
    folder_of_one_length,
    know_the_dags,
    run_lanes,
)
from tests.parity.script import LANES, NOT_RUN, OPPOSITE
from tests.stacks import Stack


@pytest.fixture(scope="module")
def ends() -> Iterator[tuple[Ends, Ends]]:
    """How each line ends through REST, and as a process: the record of this Python, where there is one."""
    known = record.read() if record.RECORD.exists() else {}
    with (
        folder_of_one_length() as folder,
        Stack(folder / "rest", components=("api-server",), dags=DAGS, env=ENVIRONMENT) as rest,
        Stack(folder / "same", components=(), dags=DAGS, env=ENVIRONMENT) as plain,
    ):
        know_the_dags(rest)
        if not known:
            know_the_dags(plain)
        live = run_lanes(lambda lane: Plain(plain, folder / lane), OWN if known else SCRIPT)
        yield run_lanes(lambda lane: Rest(rest), SCRIPT), {**known, **live}


@pytest.mark.airflow
@pytest.mark.timeout(2400)
@pytest.mark.parametrize("at", SCRIPT, ids=[LANES[lane][number] for lane, number in SCRIPT])
def test_a_command_ends_through_rest_as_it_does_in_a_process(ends: tuple[Ends, Ends], at: tuple[str, int]):
    lane, number = at
    line = LANES[lane][number]
    rest, plain = (comparable(line, each[at]) for each in ends)
    if line in OPPOSITE:
        before, after = OPPOSITE[line]
        assert before in plain.stdout, "it is the state from after there as well"
        plain = replace(plain, stdout=plain.stdout.replace(before, after))

    if plain.exit_code == 2:
        assert rest.exit_code == 2
        assert rest.stderr in plain.stderr
    else:
        assert rest == plain


@pytest.mark.skipif(
    not record.RECORD.exists(), reason="there is no record for this Python: processes are run"
)
def test_the_record_is_of_this_airflow_and_this_script() -> None:
    assert list(record.read()) == RECORDED


def test_a_record_of_something_else_is_stale(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = {RECORDED[0]: End(1, "a\nb", "", {"name": "c\n"})}
    record.write(kept, tmp_path / "record.json")
    assert record.read(tmp_path / "record.json") == kept

    monkeypatch.setattr(record, "ENVIRONMENT", {})
    with pytest.raises(record.Stale, match="make parity"):
        record.read(tmp_path / "record.json")


def test_every_command_is_compared_or_has_a_reason_why_not():
    names = {_name(line) for lines in LANES.values() for line in lines}
    installed = set(load_catalog().commands)

    assert names | set(NOT_RUN) == installed
    assert names & set(NOT_RUN) == set()
    assert len(names) >= 60


def _name(line: str) -> str:
    first, *rest = shlex.split(line)
    return first if first in load_catalog().commands else f"{first} {rest[0]}"
