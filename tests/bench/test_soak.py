from __future__ import annotations

import itertools
import json
from collections import Counter
from typing import Any

import pytest

from bench.connections import Requests
from bench.load import Tally
from bench.memory import Usage
from bench.rows import MANY
from bench.soak import (
    FORKED_EVERY,
    HEADERS,
    Count,
    conclusion,
    exchanges,
    has_row,
    is_given,
    prints,
    result_is,
    steps,
)


def some(client: int, count: int = 200) -> list[tuple[str, Any, Any]]:
    return list(itertools.islice(exchanges(client), count))


def test_no_two_clients_write_the_same_and_no_value_comes_twice() -> None:
    values = [
        (arguments["key"], arguments["value"])
        for client in range(MANY)
        for command, arguments, _ in some(client)
        if command == "variables set"
    ]
    assert len({value for _, value in values}) == len(values)
    assert len({key for key, _ in values}) == MANY


def test_what_is_read_must_be_what_was_written_last() -> None:
    (_, written, _), (command, _, right) = some(3, 2)
    assert command == "variables get"
    assert right({"result": written["value"]})
    (_, other, _), *_ = some(4, 2)
    assert not right({"result": other["value"]})


def test_an_answer_to_another_command_is_a_wrong_one() -> None:
    first = next(steps(Requests("http://localhost:1", "token"), 0))
    assert first.right is not None
    answer = {"command": "variables set", "stdout": "Variable soak_00 created"}
    assert first.right(answer)
    assert not first.right({**answer, "command": "variables get"})
    assert not first.right({**answer, "stdout": "Variable soak_01 created"})


def test_the_request_is_the_command_with_its_arguments() -> None:
    first = next(steps(Requests("http://localhost:1", "token"), 0))
    head, _, body = first.request.partition(b"\r\n\r\n")
    assert b"/v2/commands/variables/set " in head
    assert json.loads(body) == {"key": "soak_00", "value": "of client 0, round 0"}


def test_every_client_runs_a_task_now_and_then_each_for_a_date_of_its_own() -> None:
    dates = [
        arguments["logical_date_or_run_id"]
        for client in range(MANY)
        for command, arguments, _ in some(client, 12 * FORKED_EVERY)
        if command == "tasks test"
    ]
    assert len(dates) == len(set(dates)) >= MANY


@pytest.mark.airflow
def test_the_arguments_are_those_of_the_commands() -> None:
    from airflow_rest_api.commands.catalog import load_catalog

    catalog = load_catalog()
    for command, arguments, _ in some(0):
        assert catalog.bind(catalog.get(command), arguments, json_output=True).command.name == command


def test_an_answer_is_right_or_wrong_by_what_it_says() -> None:
    operation = {"result": [{"pool": "a", "slots": "3"}], "stdout": "Pool a\n", "argv": ["pools", "get"]}
    assert has_row(pool="a", slots="3")(operation)
    assert not has_row(pool="a", slots="4")(operation)
    assert not has_row(pool="a")({"result": None})
    assert prints("Pool a\n")(operation)
    assert not prints("Pool b\n")(operation)
    assert result_is([{"pool": "a", "slots": "3"}])(operation)
    assert not result_is(None)(operation)
    assert is_given("get")(operation)
    assert not is_given("set")(operation)


def count(requests: int, children: int, megabytes: int) -> Count:
    size = megabytes * 2**20
    return Count("later", requests, Usage(1, 30, size), Usage(1, 20, size), Usage(children, 40, size))


def test_the_conclusion_counts_what_is_wrong_and_what_has_grown() -> None:
    tally = Tally(16, 60.0, Counter({"200": 90, "200 wrong": 3, "429": 7}))
    lines = conclusion(tally, [count(0, 4, 100), count(50, 9, 110), count(100, 5, 105)])
    assert lines == [
        "* Wrong answers: 3 of 100",
        "* Processes below the API server: 5 before, 5 to 10 since, 6 after",
        "* Descriptors of all: 90 before, 90 after",
        "* Memory of all: 300.0 MB before, 330.0 MB at most, 315.0 MB after",
    ]


def test_every_column_has_a_cell() -> None:
    cells = count(7, 4, 100).cells()
    assert len(cells) == len(HEADERS)
    assert cells[:2] == ["later", "7"]
    assert cells[-1] == "300.0"
