from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_rest_api.api import following, sse
from airflow_rest_api.operations.transcript import Transcript
from tests.standin import own_database, prints, serving, until_cancelled

EVENTS = {"Accept": "text/event-stream"}


def events(text: str) -> list[tuple[str, Any]]:
    """Return the names and data of events."""
    found = []
    for block in text.split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if lines:
            found.append((lines["event"], json.loads(lines["data"])))
    return found


@pytest.mark.parametrize(
    ("path", "body"), [("/v2/run", {"argv": ["version"]}), ("/v2/commands/version", {})], ids=["line", "name"]
)
def test_a_command_can_be_answered_with_its_events(path: str, body: Any):
    with serving(prints("out\n", "err\n", 3)) as (client, _):
        answer = client.post(path, json=body, headers=EVENTS)
        found = events(answer.text)
        operation = client.get(answer.headers["Location"]).json()

    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/event-stream; charset=utf-8")
    output = [(data["stream"], data["text"]) for name, data in found if name == "output"]
    assert sorted(output) == [("stderr", "err\n"), ("stdout", "out\n")]
    name, end = found[-1]
    assert (name, end["state"], end["exit_code"], end["id"]) == ("end", "failed", 3, operation["id"])


def test_what_is_refused_is_an_error_also_where_events_are_asked_for():
    with serving() as (client, engine):
        answer = client.post("/v2/run", json={"argv": ["dags", "lst"]}, headers=EVENTS)
        assert engine.jobs == []

    assert (answer.status_code, answer.json()["detail"]["reason"]) == (404, "unknown_command")


def test_with_one_stream_too_many_a_command_is_answered_as_ever(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sse, "PER_USER", 0)
    with serving(prints("x")) as (client, _):
        answer = client.post("/v2/run", json={"argv": ["version"]}, headers=EVENTS)

    assert (answer.status_code, answer.json()["stdout"]) == (200, "x")


def test_a_request_sent_twice_follows_the_same_operation():
    headers = {**EVENTS, "Idempotency-Key": "a"}
    with serving(prints("x"), operations_database=own_database()) as (client, engine):
        first, second = (
            client.post("/v2/run", json={"argv": ["version"]}, headers=headers) for _ in range(2)
        )
        assert len(engine.jobs) == 1

    assert first.headers["Location"] == second.headers["Location"]
    assert second.headers["Idempotency-Replayed"] == "true"
    assert events(second.text)[-1][1]["state"] == "succeeded"


def test_the_state_comes_before_a_command_has_said_anything():
    with serving(until_cancelled) as (client, _):
        made = client.post("/v2/commands/version", headers={"Prefer": "respond-async"}).json()
        client.post(f"/v2/operations/{made['id']}/cancel")
        found = events(client.get(f"/v2/operations/{made['id']}/events").text)

    assert found[-1][0] == "end"


def test_what_is_here_already_is_not_waited_for(monkeypatch: pytest.MonkeyPatch):
    waited = []
    changed = Transcript.changed

    async def noted(self: Transcript, version: int, seconds: float) -> None:
        waited.append(self.ended)
        await changed(self, version, seconds)

    text = "x" * (2 * following.AT_ONCE)
    with serving(prints(text)) as (client, _):
        made = client.post("/v2/commands/version").json()
        monkeypatch.setattr(Transcript, "changed", noted)
        found = events(client.get(f"/v2/operations/{made['id']}/events").text)

    assert "".join(data["text"] for name, data in found if name == "output") == text
    assert True not in waited
