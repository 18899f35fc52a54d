from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from airflow_rest_api.commands.model import Command, Effect, Invocation
from airflow_rest_api.hosts.event_log import Event
from airflow_rest_api.operations.model import Operation, State
from airflow_rest_api.security import audit as module
from airflow_rest_api.security.access import Forbidden
from airflow_rest_api.security.audit import Audit
from tests.keeping import wait_for


class Table:
    """Keeps rows, after as many failures as it is told to have."""

    def __init__(self, failures: int = 0) -> None:
        self.rows: list[Event] = []
        self.failures = failures
        self.refuses: set[str] = set()

    def __call__(self, events: Sequence[Event]) -> None:
        if self.failures:
            self.failures -= 1
            raise ConnectionError("hidden words of the database")
        if any(event.name in self.refuses for event in events):
            raise ValueError("hidden words of the database")
        self.rows += events


class Someone:
    name = "ada"
    address = "203.0.113.5"


def someone() -> Any:
    return Someone()


def invocation(effect: Effect = Effect.WRITE, *, reveals: bool = False, **values: Any) -> Invocation:
    command = Command(("dags", "pause"), "", None, (), effect, reveals_secrets=reveals)
    return Invocation(command, [], values, frozenset(values), ["dags", "pause", "***"])


def operation() -> Operation:
    began = datetime(2026, 1, 1, tzinfo=timezone.utc)
    return Operation(
        id="1",
        command="dags pause",
        effect="write",
        argv=["dags", "pause", "***"],
        user="ada",
        host="h",
        created_at=began,
        state=State.FAILED,
        exit_code=3,
        started_at=began,
        finished_at=began + timedelta(seconds=1.5),
    )


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSES", (0.01,) * 4)


def test_the_end_of_a_command_is_one_row_with_all_there_is_to_know() -> None:
    table = Table()
    audit = Audit(table)
    record = audit.ended(someone(), invocation(dag_id="a", task_id="t", logical_date_or_run_id="r"))
    assert record is not None
    record(operation())
    audit.close()

    [row] = table.rows
    assert (row.name, row.owner) == ("rest_api.dags pause", "ada")
    assert (row.dag_id, row.task_id, row.run_id) == ("a", "t", "r")
    assert row.extra == {
        "operation_id": "1",
        "state": "failed",
        "exit_code": 3,
        "arguments": ["dags", "pause", "***"],
        "address": "203.0.113.5",
        "duration": 1.5,
        "via": "REST API",
    }


def test_events_wait_for_each_other_but_not_when_the_server_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GATHERED_FOR", 60.0)
    written: list[list[str]] = []
    audit = Audit(lambda events: written.append([event.name for event in events]))
    audit.record(Event("1", "ada"))
    assert wait_for(audit._queue.empty)
    audit.record(Event("2", "ada"))
    audit.close(30)

    assert written == [["1", "2"]]


@pytest.mark.parametrize(
    ("effect", "reveals", "recorded"),
    [
        (Effect.READ, False, False),
        (Effect.READ, True, True),
        *((effect, False, True) for effect in Effect if effect is not Effect.READ),
    ],
)
def test_only_plain_reads_are_not_recorded(effect: Effect, reveals: bool, recorded: bool) -> None:
    record = Audit(Table()).ended(someone(), invocation(effect, reveals=reveals))
    assert (record is not None) is recorded


def test_a_refusal_is_recorded_and_still_a_refusal() -> None:
    table = Table()
    audit = Audit(table)
    with pytest.raises(Forbidden), audit.refusals(someone(), "dags pause", invocation(dag_id="a")):
        raise Forbidden("no")
    audit.close()

    [row] = table.rows
    assert (row.name, row.dag_id) == ("rest_api.dags pause", "a")
    assert (row.extra["state"], row.extra["message"]) == ("refused", "no")
    assert row.extra["arguments"] == ["dags", "pause", "***"]


def test_a_database_that_is_away_for_a_while_gets_every_row(no_pauses: None) -> None:
    table = Table(failures=3)
    audit = Audit(table)
    for number in range(20):
        audit.record(Event(str(number), "ada"))
    assert wait_for(lambda: len(table.rows) == 20)
    audit.close()

    assert [row.name for row in table.rows] == [str(number) for number in range(20)]


def test_what_the_database_does_not_take_goes_to_the_log_without_the_words_of_the_database(
    no_pauses: None, caplog: pytest.LogCaptureFixture
) -> None:
    table = Table()
    table.refuses = {"bad"}
    audit = Audit(table)
    with caplog.at_level(logging.DEBUG):
        for name in ("good", "bad", "fine"):
            audit.record(Event(name, "ada", extra={"what": "***"}))
        audit.close()

    assert sorted(row.name for row in table.rows) == ["fine", "good"]
    assert "bad by ada" in caplog.text
    assert "hidden words" not in caplog.text


def test_recording_never_waits_and_what_finds_no_room_goes_to_the_log(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "ROOM", 10)
    go = threading.Event()
    rows: list[Event] = []

    def slow(events: Sequence[Event]) -> None:
        go.wait(60)
        rows.extend(events)

    audit = Audit(slow)
    began = time.monotonic()
    for number in range(200):
        audit.record(Event(str(number), "ada"))
    assert time.monotonic() - began < 10
    go.set()
    audit.close()

    logged = [record for record in caplog.records if "no room" in record.getMessage()]
    assert len(rows) + len(logged) == 200
    assert rows
    assert logged


def test_closing_does_not_wait_for_a_database_that_is_away() -> None:
    audit = Audit(Table(failures=10_000))
    audit.record(Event("a", "ada"))
    began = time.monotonic()
    audit.close()
    assert time.monotonic() - began < 5


def test_a_command_line_of_any_length_fits_a_row() -> None:
    bounded = module._bounded(["x" * 10_000] * 10_000)
    assert sum(map(len, bounded)) < 250_000
    assert module._bounded(["a", "b"]) == ["a", "b"]
