from __future__ import annotations

import json
import threading
from typing import Any

import pytest
from starlette.testclient import TestClient

from airflow_rest_api.api import sse
from airflow_rest_api.engine import Ending
from airflow_rest_api.engine.job import Outcome
from tests.keeping import wait_for
from tests.standin import (
    StandInProcess,
    bearer,
    own_database,
    prints,
    serving,
    token,
    until_cancelled,
)


def events(text: str) -> list[tuple[str, Any, str | None]]:
    """Return the events of a stream: name, data, id. Comments are left out."""
    found = []
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if line and line[0] != ":")
        if fields:
            found.append((fields["event"], json.loads(fields["data"]), fields.get("id")))
    return found


@pytest.fixture
def spoken(monkeypatch: pytest.MonkeyPatch) -> set[int]:
    """Which streams have said something."""
    said: set[int] = set()
    spoke = sse.Lease.spoke

    def heard(lease: sse.Lease) -> None:
        said.add(id(lease))
        spoke(lease)

    monkeypatch.setattr(sse.Lease, "spoke", heard)
    return said


def follow(client: TestClient, identifier: str, **params: Any) -> list[tuple[str, Any, str | None]]:
    answer = client.get(f"/v2/operations/{identifier}/events", params=params)
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"] == "text/event-stream; charset=utf-8"
    assert answer.headers["Cache-Control"] == "no-store"
    return events(answer.text)


async def talks(process: StandInProcess) -> Outcome:
    process.stdout.add(b"one ")
    process.stderr.add(b"two ")
    process.stdout.add("drei€".encode())
    return Outcome(Ending.EXITED, 0)


def test_an_ended_operation_is_told_in_order_and_its_end_comes_last():
    with serving(talks) as (client, _):
        made = client.post("/v2/commands/version").json()
        found = follow(client, made["id"])

    assert [(name, data.get("stream"), data.get("text"), key) for name, data, key in found] == [
        ("output", "stdout", "one ", "1"),
        ("output", "stderr", "two ", "2"),
        ("output", "stdout", "drei€", "3"),
        ("end", None, None, "3"),
    ]
    assert found[2][1]["offset"] == 4
    end = found[-1][1]
    assert {name: made[name] for name in end} == end
    assert set(made) - set(end) == {"stdout", "stderr"}


@pytest.mark.parametrize("header", [True, False])
def test_a_client_resumes_behind_the_last_event_it_received(header: bool):
    with serving(talks) as (client, _):
        made = client.post("/v2/commands/version").json()
        path = f"/v2/operations/{made['id']}/events"
        if header:
            answer = client.get(path, headers={"Last-Event-ID": "2"})
        else:
            answer = client.get(path, params={"after": "2"}, headers={"Last-Event-ID": "0"})

    assert [(name, data.get("text")) for name, data, _ in events(answer.text)] == [
        ("output", "drei€"),
        ("end", None),
    ]


@pytest.mark.parametrize("after", ["x", "1.2", "-1", "9" * 16, "٣", "1\n"])
def test_an_id_that_was_never_given_out_is_refused(after: str):
    with serving(talks) as (client, _):
        made = client.post("/v2/commands/version").json()
        answer = client.get(f"/v2/operations/{made['id']}/events", params={"after": after})

    assert (answer.status_code, answer.json()["detail"]["argument"]) == (400, "after")


def test_what_was_let_go_is_told_as_a_gap():
    with serving(prints("0123456789" * 1000), output_limit=1024) as (client, _):
        made = client.post("/v2/commands/version").json()
        found = follow(client, made["id"])

    names = [name for name, _, _ in found]
    gap = names.index("gap")
    assert names == ["output"] * gap + ["gap"] + ["output"] * (len(names) - gap - 2) + ["end"]
    head, tail = ("".join(data["text"] for _, data, _ in part) for part in (found[:gap], found[gap + 1 : -1]))
    assert found[gap][1] == {"stream": "stdout", "missing": 10_000 - len(head) - len(tail)}
    assert 512 <= len(head) < 512 + 64
    assert 512 <= len(tail) < 512 + 64
    assert found[gap + 1][1]["offset"] == 10_000 - len(tail)


def test_a_client_that_resumes_is_told_of_the_gap_behind_what_it_has():
    with serving(prints("0123456789" * 1000), output_limit=1024) as (client, _):
        made = client.post("/v2/commands/version").json()
        whole = follow(client, made["id"])
        found = follow(client, made["id"], after="2")
        nothing = follow(client, made["id"], after=whole[-1][2])

    assert found == whole[2:]
    assert [name for name, _, _ in nothing] == ["end"]


def test_who_may_not_see_an_operation_may_not_follow_it():
    with serving(talks) as (client, _):
        made = client.post("/v2/commands/dags/pause", json={"dag_id": "a"}).json()
        answer = client.get(f"/v2/operations/{made['id']}/events", headers=bearer("viewer"))

    assert answer.status_code == 404


def test_a_running_operation_is_followed_until_it_ends_here_and_on_another_server(spoken: set[int]):
    database = own_database()
    with (
        serving(until_cancelled, operations_database=database) as (here, engine),
        serving(operations_database=database) as (there, _),
    ):
        made = here.post("/v2/commands/version", headers={"Prefer": "respond-async"}).json()
        address = f"/v2/operations/{made['id']}"
        assert wait_for(lambda: there.get(address).json()["state"] == "running")
        found: dict[str, Any] = {}
        threads = [
            threading.Thread(target=lambda name=name, c=c: found.update({name: follow(c, made["id"])}))
            for name, c in (("here", here), ("there", there))
        ]
        for thread in threads:
            thread.start()
        contexts = [client.app.state.context for client in (here, there)]  # type: ignore[attr-defined]
        assert wait_for(lambda: len(spoken) == 2)
        here.portal.call(engine.processes[0].stderr.add, b"late")  # type: ignore[union-attr]
        here.post(f"/v2/operations/{made['id']}/cancel")
        for thread in threads:
            thread.join(60)
        open_streams = [context.streams.number for context in contexts]

    for told in (found["here"], found["there"]):
        assert [(name, data.get("text")) for name, data, _ in told if name == "output"] == [
            ("output", "working\n"),
            ("output", "late"),
        ]
        assert (told[0][0], told[0][1]["state"]) == ("state", "running")
        assert (told[-1][0], told[-1][1]["state"]) == ("end", "cancelled")
    assert open_streams == [0, 0]


@pytest.mark.slow
def test_a_stream_ends_with_the_token(monkeypatch: pytest.MonkeyPatch):
    with serving(until_cancelled) as (client, _):
        made = client.post("/v2/commands/version", headers={"Prefer": "respond-async"}).json()
        client.headers["Authorization"] = f"Bearer {token('admin', seconds=10)}"
        found = follow(client, made["id"])

    assert [name for name, _, _ in found] == ["state", "output"]


def test_a_stream_ends_when_its_reader_may_no_longer_see_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sse, "CHECK", 0.0)
    with serving(until_cancelled, user="viewer") as (client, _):
        made = client.post("/v2/commands/version", headers={"Prefer": "respond-async"}).json()
        gate = client.app.state.context.gate  # type: ignore[attr-defined]
        may_see, asked = gate.may_see, []

        async def once(caller: Any, operations: Any) -> set[str]:
            asked.append(caller)
            return await may_see(caller, operations) if len(asked) < 3 else set()

        gate.may_see = once
        found = follow(client, made["id"])

    assert "end" not in [name for name, _, _ in found]
    # The auth manager is asked anew each time.
    assert len({id(caller) for caller in asked}) == 3


@pytest.mark.slow
def test_an_idle_stream_shows_that_it_lives(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sse, "HEARTBEAT", 0.0)
    with serving(until_cancelled) as (client, _):
        made = client.post("/v2/commands/version", headers={"Prefer": "respond-async"}).json()
        client.headers["Authorization"] = f"Bearer {token('admin', seconds=10)}"
        text = client.get(f"/v2/operations/{made['id']}/events").text

    assert "\n\n: \n\n" in text


def test_a_user_may_not_open_streams_without_end():
    with serving(talks) as (client, _):
        made = client.post("/v2/commands/version").json()
        streams = client.app.state.context.streams  # type: ignore[attr-defined]
        for _ in range(sse.PER_USER):
            streams.opened("admin")
        refused = client.get(f"/v2/operations/{made['id']}/events")
        other = client.get(f"/v2/operations/{made['id']}/events", headers=bearer("viewer"))
        streams.closed("admin")
        assert follow(client, made["id"])[-1][0] == "end"

    assert (refused.status_code, refused.json()["detail"]["reason"]) == (429, "too_many_streams")
    assert refused.headers["Retry-After"]
    assert other.status_code == 200


def test_streams_end_when_the_server_stops(spoken: set[int]):
    with serving(until_cancelled) as (client, _):
        made = client.post("/v2/commands/version", headers={"Prefer": "respond-async"}).json()
        found: list[Any] = []
        thread = threading.Thread(target=lambda: found.extend(follow(client, made["id"])))
        thread.start()
        assert wait_for(lambda: spoken)
        client.app.state.context.streams.close()  # type: ignore[attr-defined]
        thread.join(60)
        assert not thread.is_alive()

    assert [name for name, _, _ in found][:1] == ["state"]
