from __future__ import annotations

import asyncio
import concurrent.futures
import json
import threading
from collections.abc import Collection
from datetime import datetime, timezone
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.testclient import TestClient

from airflow_rest_api.api import models
from airflow_rest_api.api.answers import LONGEST_WAIT, _checked, once, preference
from airflow_rest_api.errors import UnknownOperation
from airflow_rest_api.operations.model import LONG_TEXT, Key, KeyTaken, Operation, Origin
from tests.standin import bearer, own_database, prints, serving, until_cancelled


def an_operation(identifier: str = "1" * 32, **parts: Any) -> Operation:
    now = datetime.now(timezone.utc)
    return Operation(identifier, "version", "read", [], "ada", "h", now, **parts)


def test_a_key_that_is_given_up_and_taken_time_and_again_leads_to_the_last_operation():
    key = Key("ada", "k", "f")
    others = iter(["1" * 32, "2" * 32, "3" * 32])

    async def find_key(user: str, key: str) -> None:
        return None

    async def start() -> Operation:
        raise KeyTaken(next(others), "f")

    async def peek(identifier: str) -> Operation:
        if identifier != "3" * 32:
            raise UnknownOperation
        return an_operation(identifier)

    context: Any = SimpleNamespace(
        store=SimpleNamespace(find_key=find_key), operations=SimpleNamespace(peek=peek)
    )
    operation, headers = asyncio.run(once(context, Origin(key=key), start))

    assert (operation.id, headers) == ("3" * 32, {"Idempotency-Replayed": "true"})


@pytest.mark.parametrize(
    ("headers", "wait", "applied"),
    [
        ([], 30, None),
        ([""], 30, None),
        (["wait=5"], 5, "wait=5"),
        (["WAIT = 5"], 5, "wait=5"),
        (['wait="5"'], 5, "wait=5"),
        (["wait=0"], 0, "wait=0"),
        (["respond-async"], 0, "respond-async"),
        (["Respond-Async; foo=bar"], 0, "respond-async"),
        (["respond-async, wait=10"], 10, "respond-async, wait=10"),
        (["respond-async", "wait=10"], 10, "respond-async, wait=10"),
        (["return=minimal, wait=7; strict"], 7, "wait=7"),
        (["wait=5, wait=9"], 5, "wait=5"),
        (["wait=999999999999"], LONGEST_WAIT, f"wait={LONGEST_WAIT}"),
        (["wait=-1"], 30, None),
        (["wait=abc"], 30, None),
        (["wait=1.5"], 30, None),
        (["wait=²"], 30, None),
        (["wait"], 30, None),
        (['=;,,;="\\'], 30, None),
    ],
)
def test_the_header_is_read_as_rfc_7240_says(headers: list[str], wait: float, applied: str | None):
    preferred = preference(headers, 30)

    assert (preferred.wait, preferred.applied) == (wait, applied)
    assert preferred.headers == ({"Preference-Applied": applied} if applied else {})


def pause(client: TestClient, key: str | None, dag_id: str = "a", **headers: str) -> Any:
    sent = {**headers, **({} if key is None else {"Idempotency-Key": key})}
    return client.post("/v2/commands/dags/pause", json={"dag_id": dag_id}, headers=sent)


def test_the_same_request_with_the_same_key_is_done_once():
    with serving(prints("out")) as (client, engine):
        first, second = pause(client, "k-1"), pause(client, '"k-1"')
        other, none = pause(client, "k-2"), pause(client, None)

    assert first.status_code == second.status_code == 200
    assert first.json() == second.json()
    assert "Idempotency-Replayed" not in first.headers
    assert second.headers["Idempotency-Replayed"] == "true"
    assert len({first.json()["id"], other.json()["id"], none.json()["id"]}) == len(engine.jobs) == 3


def test_another_request_with_the_same_key_is_a_conflict():
    with serving() as (client, engine):
        first = pause(client, "k")
        answers = [
            pause(client, "k", "b"),
            client.post("/v2/commands/dags/unpause", json={"dag_id": "a"}, headers={"Idempotency-Key": "k"}),
            client.post("/v2/run", json={"argv": ["version"]}, headers={"Idempotency-Key": "k"}),
        ]

    assert {(a.status_code, a.json()["detail"]["reason"]) for a in answers} == {(409, "idempotency_conflict")}
    assert {a.json()["detail"]["id"] for a in answers} == {first.json()["id"]}
    assert len(engine.jobs) == 1


def test_keys_belong_to_their_users():
    with serving() as (client, engine):
        mine, theirs = pause(client, "k"), pause(client, "k", **bearer("op"))

    assert mine.json()["id"] != theirs.json()["id"]
    assert len(engine.jobs) == 2


def test_the_content_of_a_file_is_part_of_the_request():
    def send(client: TestClient, content: bytes) -> Any:
        files = {"file": ("p.json", content)}
        return client.post("/v2/commands/pools/import", files=files, headers={"Idempotency-Key": "k"})

    with serving() as (client, engine):
        first, same, other = send(client, b"{}"), send(client, b"{}"), send(client, b"{ }")

    assert first.json()["id"] == same.json()["id"]
    assert (other.status_code, len(engine.jobs)) == (409, 1)


def test_a_command_line_and_a_repetition_have_keys_as_well():
    with serving() as (client, engine):
        headers = {"Idempotency-Key": "line"}
        lines = [client.post("/v2/run", json={"argv": ["version"]}, headers=headers).json() for _ in range(2)]
        headers = {"Idempotency-Key": "again"}
        path = f"/v2/operations/{lines[0]['id']}/run-again"
        again = [client.post(path, headers=headers).json() for _ in range(2)]

    assert (lines[0], again[0]) == (lines[1], again[1])
    assert len(engine.jobs) == 2


def test_a_retry_waits_for_the_first_one_to_end_on_another_server_too():
    address = own_database()
    with (
        serving(until_cancelled, operations_database=address) as (here, _),
        serving(operations_database=address) as (there, engine),
    ):
        first = pause(here, "k", Prefer="respond-async")
        again = pause(there, "k", Prefer="respond-async")
        here.post(f"/v2/operations/{first.json()['id']}/cancel")
        ended = pause(there, "k", Prefer="wait=60")

    assert (first.status_code, again.status_code, ended.status_code) == (202, 202, 200)
    assert first.json()["id"] == again.json()["id"] == ended.json()["id"]
    assert ended.json()["state"] == "cancelled"
    assert engine.jobs == []


def test_many_at_once_are_one():
    with serving(prints("out")) as (client, engine), concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: pause(client, "k"), range(16)))

    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["id"] for answer in answers}) == len(engine.jobs) == 1


@pytest.mark.parametrize("key", ["", " ", "a b", "k" * 256, "ä", '""', "a\tb"])
def test_what_is_no_key_is_refused(key: str):
    with serving() as (client, engine):
        sent = [(b"Idempotency-Key", key.encode("latin-1")), (b"Content-Type", b"application/json")]
        headers = [*sent, (b"Authorization", client.headers["Authorization"].encode())]
        answer = client.post("/v2/commands/version", content=b"{}", headers=headers)  # type: ignore[arg-type]

    assert (answer.status_code, answer.json()["detail"]["argument"]) == (400, "Idempotency-Key")
    assert engine.jobs == []


def test_who_was_refused_may_try_again_with_the_same_key():
    with serving() as (client, engine):
        engine.busy = True
        busy = pause(client, "k")
        engine.busy = False
        done = pause(client, "k")

    assert (busy.status_code, done.status_code) == (429, 200)


def test_the_record_gives_nothing_of_the_request_away():
    with serving() as (client, _):
        made = client.post(
            "/v2/commands/variables/set",
            json={"key": "password", "value": "hidden-1"},
            headers={"Idempotency-Key": "k"},
        ).json()
        found = client.get(f"/v2/operations/{made['id']}").json()

    assert "hidden-1" not in json.dumps(found)


def on_the_event_loop(given: Collection[object]) -> bool:
    seen: list[threading.Thread] = []

    def check() -> Any:
        seen.append(threading.current_thread())

    asyncio.run(_checked(check, given))
    return seen == [threading.main_thread()]


@pytest.mark.parametrize("given", [[], ["a" * 200, None, True, 3], {"dag_id": "a"}.values()])
def test_few_short_arguments_are_checked_at_once(given: Collection[object]):
    assert on_the_event_loop(given)


@pytest.mark.parametrize("given", [["a" * 201], ["a"] * 21, [21], [1.5], [["a"]], [{"a": 1}]])
def test_what_may_take_longer_is_checked_in_a_thread(given: Collection[object]):
    assert not on_the_event_loop(given)


@pytest.mark.parametrize(
    ("parts", "long"),
    [
        ({"stdout": "a"}, False),
        ({"stdout": "[1]", "result": [1]}, False),
        ({"stdout": "a" * LONG_TEXT, "stderr": "b"}, True),
        # A report of DAG files, which has an entry for each task.
        ({"result": {"dags": [{"dag_id": "a"}]}}, True),
    ],
)
@pytest.mark.parametrize("model", [models.OperationBody, models.OperationEnd])
def test_an_answer_that_may_be_long_is_made_in_a_thread(
    monkeypatch: pytest.MonkeyPatch, parts: dict[str, Any], long: bool, model: type[models.OperationEnd]
):
    threads: list[threading.Thread] = []

    def as_json(body: models.OperationEnd) -> str:
        threads.append(threading.current_thread())
        return body.model_dump_json()

    monkeypatch.setattr(models, "as_json", as_json)
    text = asyncio.run(models.operation_json(an_operation(**parts), model=model))

    assert json.loads(text)["result"] == parts.get("result")
    assert (threads != [threading.main_thread()]) == long
