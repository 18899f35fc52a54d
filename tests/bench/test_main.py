from __future__ import annotations

from pathlib import Path

import pytest

from bench.__main__ import parse
from bench.measure import spread
from bench.rows import ROWS

SOURCES = Path(__file__).resolve().parents[2] / "src"


def test_processes_are_spread_over_the_rounds() -> None:
    assert spread(5, 25) == {0, 5, 10, 15, 20}
    assert spread(1, 3) == {0}
    assert spread(9, 3) == {0, 1, 2}


def test_the_issue_s_repetitions_are_the_default() -> None:
    options = parse([])
    assert options.runs >= 15
    assert options.processes >= 5
    assert options.rows == list(ROWS)


def test_quick_is_less_of_all_and_can_be_overridden() -> None:
    quick, full = parse(["--quick"]), parse([])
    assert (quick.runs, quick.seconds, quick.processes) < (full.runs, full.seconds, full.processes)
    assert 0 < quick.deployments < full.deployments
    assert 0 < quick.first_lines < full.first_lines
    assert 0 < quick.stored < full.stored
    assert 0 < quick.runners < full.runners
    assert 0 < quick.requests < full.requests
    assert 0 < quick.bundles < full.bundles
    assert parse(["--quick", "--runs", "7"]).runs == 7


def test_there_are_no_more_processes_than_rounds() -> None:
    assert parse(["--runs", "2", "--processes", "9"]).processes == 2


def test_rows_are_chosen_by_name() -> None:
    chosen = parse(["--rows", "pools list, version"]).rows
    assert [row.command for row in chosen] == ["version", "pools list"]


def test_the_second_server_is_the_isolated_one_unless_told_otherwise() -> None:
    assert (parse([]).isolated, parse([]).before) == (True, None)
    assert parse(["--no-isolated"]).isolated is False
    assert parse(["--before", str(SOURCES)]).before == SOURCES
    assert parse(["--no-command-line"]).command_line is False


@pytest.mark.parametrize(
    "wrong",
    [
        ["--rows", "pool list"],
        ["--runs", "0"],
        ["--before", "nowhere"],
        ["--before", str(SOURCES), "--no-isolated"],
    ],
)
def test_a_wrong_option_is_refused_before_anything_is_started(
    wrong: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as refused:
        parse(wrong)
    assert refused.value.code == 2
    assert wrong[1] in (said := capsys.readouterr().err) or wrong[0] in said
