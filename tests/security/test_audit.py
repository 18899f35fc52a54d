from __future__ import annotations

import asyncio
import json
import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import parse_qsl

import pytest
from sqlalchemy.exc import TimeoutError as PoolTimeout

from airflow_rest_api.airflow.event_log import Event
from airflow_rest_api.commands.model import Command, Effect, Invocation
from airflow_rest_api.errors import Forbidden
from airflow_rest_api.operations.model import Operation, State
from airflow_rest_api.security import audit as module
from airflow_rest_api.security.audit import Audit, AuditBacklog, QuietQuery, quiet
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
    assert wait_for(lambda: not audit._changed._waiters)  # type: ignore[attr-defined]
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


def test_secrets_of_another_user_are_read_in_one_row_for_each_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_READERS", 2)
    table = Table()
    audit = Audit(table)
    of_bob = replace(operation(), user="bob", command="connections get", reveals=True)
    for identifier in ("1", "1", "2", "3", "3", "1"):
        audit.reads(someone(), replace(of_bob, id=identifier))
    audit.reads(someone(), replace(of_bob, reveals=False))
    audit.reads(someone(), replace(of_bob, user="ada"))
    audit.close()

    # The oldest was forgotten meanwhile: what is remembered does not grow.
    assert [row.extra["operation_id"] for row in table.rows] == ["1", "2", "3", "1"]
    assert {(row.name, row.owner) for row in table.rows} == {("rest_api.operations read", "ada")}
    assert table.rows[0].extra["message"] == "What connections get showed bob was read."


def test_nothing_is_read_of_which_there_could_be_no_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ROOM", 0)
    audit = Audit(Table())
    with pytest.raises(AuditBacklog):
        audit.reads(someone(), replace(operation(), user="bob", reveals=True))


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


class Slow:
    """A table that takes nothing until it may."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.rows: list[Event] = []

    def __call__(self, events: Sequence[Event]) -> None:
        self.go.wait(60)
        self.rows += events


def refusals(audit: Audit, number: int, user: Any = None) -> None:
    for count in range(number):
        why = Forbidden(f"'dags pause' needs PUT on the DAG 'dag_{count}'; ada has no such permission.")
        audit.refused(user or someone(), "dags pause", why, invocation(dag_id=f"dag_{count}"))


@pytest.mark.slow
def test_a_flood_of_refusals_takes_no_room_of_what_was_done_and_no_memory() -> None:
    table = Slow()
    audit = Audit(table)
    record = audit.ended(someone(), invocation())
    assert record is not None
    refusals(audit, 20_000)
    record(operation())
    assert len(audit._refusals) <= 2 * module.ONE_BY_ONE + 1
    assert audit.ended(someone(), invocation()) is not None
    table.go.set()
    audit.close()

    done = [row for row in table.rows if row.extra.get("operation_id")]
    refused = [row for row in table.rows if row.extra["state"] == "refused"]
    assert len(done) == 1
    assert len(refused) <= 2 * module.ONE_BY_ONE + 1
    # Each is in a row, and those without one of their own are counted.
    assert sum(row.extra.get("times", 1) for row in refused) == 20_000


def test_nothing_is_begun_whose_end_could_not_be_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ROOM", 10)
    table = Slow()
    audit = Audit(table)
    records = [audit.ended(someone(), invocation()) for _ in range(100)]
    for record in records:
        assert record is not None
        record(operation())
    assert audit.ended(someone(), invocation(Effect.READ)) is None
    with pytest.raises(AuditBacklog):
        audit.ended(someone(), invocation())
    with pytest.raises(AuditBacklog):
        audit.admit()
    refusals(audit, 1)
    table.go.set()
    assert wait_for(lambda: len(table.rows) > 99)
    audit.close()

    # Whatever was begun is recorded all the same, and room is there again.
    assert len([row for row in table.rows if row.extra["state"] == "failed"]) == 100
    assert audit.ended(someone(), invocation()) is not None


def test_what_was_left_out_is_said_in_the_log_and_in_a_row(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "MOST_REFUSALS", 5)
    table = Table()
    audit = Audit(table)
    for number in range(20):
        user = Someone()
        user.name = f"user_{number}"
        refusals(audit, 1, user)
    audit.close()

    [said] = [row for row in table.rows if row.owner == module.NO_USER]
    assert "15 refusals are in no row" in said.extra["message"]
    assert [record.getMessage() for record in caplog.records] == [
        "15 refusals were left out of the event log: too many at a time"
    ]


def test_refusing_and_recording_never_wait_for_the_database() -> None:
    table = Slow()
    audit = Audit(table)
    began = time.monotonic()
    for _ in range(50):
        refusals(audit, 100)
        audit.did(someone(), "services stop", service="1")
    assert time.monotonic() - began < 10
    table.go.set()
    audit.close()


def test_a_database_that_is_away_is_not_asked_for_each_row(
    no_pauses: None, caplog: pytest.LogCaptureFixture
) -> None:
    asked: list[int] = []

    def away(events: Sequence[Event]) -> None:
        asked.append(len(events))
        raise PoolTimeout

    audit = Audit(away)
    for number in range(40):
        audit.record(Event(str(number), "ada"))
    audit.close()
    assert asked.count(1) == 1
    assert len([record for record in caplog.records if "by ada" in record.getMessage()]) == 40


def test_closing_does_not_wait_for_a_database_that_is_away() -> None:
    audit = Audit(Table(failures=10_000))
    audit.record(Event("a", "ada"))
    began = time.monotonic()
    audit.close()
    assert time.monotonic() - began < 5


def test_whatever_is_asked_for_a_row_is_small() -> None:
    table = Table()
    audit = Audit(table)
    long = "😀" * 100_000
    call = replace(invocation(dag_id=long, task_id=long, run_id=long), masked=[long] * 10_000)
    user = Someone()
    user.name, user.address = long, long
    audit.refused(user, long, Forbidden(long), call)
    audit.did(user, "services stop", service=long, arguments=[long] * 1000)
    record = audit.ended(user, call)
    assert record is not None
    record(replace(operation(), argv=[long] * 10_000, message=long, command=long))
    audit.close()
    assert len(table.rows) == 3
    for row in table.rows:
        texts = (
            row.name,
            row.owner,
            row.owner,
            row.dag_id,
            row.task_id,
            row.run_id,
            json.dumps(dict(row.extra)),
        )
        assert sum(len((text or "").encode()) for text in texts) <= 4096


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("api=connections&conn_uri=http%3A%2F%2Fme%3Ahunter22%40host", {"conn_uri": "***"}),
        ("conn_password=hunter22&conn_id=c", {"conn_password": "***", "conn_id": "c"}),
        ("conn-extra=hunter22", {"conn-extra": "***"}),
        ("cmd=set&key=my_password&value=hunter22", {"key": "my_password", "value": "***"}),
        ("cmd=set&value=hunter22", {"value": "***"}),
        ("cmd=set&value=hunter22&key=api_key", {"key": "api_key", "value": "***"}),
        ('conf={"token": "hunter22", "a": 1}', {"conf": '{"token": "***", "a": 1}'}),
        ("broker=amqp://me:hunter22@host", {"broker": "amqp://me:***@host"}),
        ("password=hunter22&password=hunter22", {"password": "***"}),
    ],
)
def test_secrets_in_a_query_are_masked(query: str, shown: dict[str, str]) -> None:
    result = quiet(query.encode())
    assert b"hunter22" not in result
    assert shown.items() <= dict(parse_qsl(result.decode())).items()


@pytest.mark.parametrize(
    "query", [b"", b"api=version", b"cmd=set&key=colour&value=red", b"a=%ff&b", b"%&=&;\xff"]
)
def test_a_query_without_secrets_stays_as_it_is(query: bytes) -> None:
    assert quiet(query) is query


def test_the_query_is_whole_for_the_app_and_masked_for_what_logs_after_it() -> None:
    seen = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["query_string"])
        raise RuntimeError

    scope: Any = {"type": "http", "query_string": b"password=hunter22"}
    with pytest.raises(RuntimeError):
        asyncio.run(QuietQuery(app)(scope, None, None))  # type: ignore[arg-type]
    assert seen == [b"password=hunter22"]
    assert b"hunter22" not in scope["query_string"]


@pytest.mark.parametrize("first", ["http.response.start", "websocket.close"])
def test_the_query_is_masked_before_the_first_message_of_the_answer_goes_out(first: str) -> None:
    scope: Any = {"type": "http", "query_string": b"api=variables&key=my_password&value=hunter22"}
    logged = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": first})

    async def send(message: Any) -> None:
        # As uvicorn does, whose access log is Airflow's before 3.2.
        logged.append(scope["query_string"])

    asyncio.run(QuietQuery(app)(scope, None, send))  # type: ignore[arg-type]
    assert logged == [b"api=variables&key=my_password&value=%2A%2A%2A"]
