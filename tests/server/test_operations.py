"""Operations on two real API servers that share a database."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.server.conftest import Client, engine, family, parent, wait_gone
from tests.stacks import Stack

pytestmark = pytest.mark.airflow

SLOW = ("tasks", "test", "example_slow", "work", "2024-01-01", "--task-params", '{"seconds": 120}')
PATIENCE = 180.0


@pytest.fixture(scope="module")
def other(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    other = Stack(tmp_path_factory.mktemp("second"), components=("api-server",), like=stack)
    yield other
    other.stop()


@pytest.fixture
def second(other: Stack) -> Stack:
    """Another API server on the same database, which a test may end: it is started where it does not run."""
    if not other.components or other.components[0].process.poll() is not None:
        other.stop()
        other.start()
    return other


class Stream:
    """The events of an operation, read in a thread."""

    def __init__(self, client: Client, operation: str, **headers: str) -> None:
        self.events: list[tuple[str, Any]] = []
        self.ids: list[str] = []
        self._changed = threading.Condition()
        self.thread = threading.Thread(target=self._read, args=(client, operation, headers), daemon=True)
        self.thread.start()

    def until(self, name: str, text: str = "") -> Any:
        """Return the data of the first event of a name in which a text is, once it is there."""
        deadline = time.monotonic() + PATIENCE
        with self._changed:
            while True:
                for kind, data in self.events:
                    if kind == name and text in json.dumps(data):
                        return data
                assert self._changed.wait(deadline - time.monotonic()), (name, text, self.events)

    def _read(self, client: Client, operation: str, headers: dict[str, str]) -> None:
        path, name = f"/operations/{operation}/events", ""
        try:
            with client.stream("GET", path, headers=headers) as answer:
                for line in answer.iter_lines():
                    field, _, value = line.partition(": ")
                    if field == "id":
                        self.ids.append(value)
                    elif field == "event":
                        name = value
                    elif field == "data":
                        with self._changed:
                            self.events.append((name, json.loads(value)))
                            self._changed.notify_all()
        except httpx.HTTPError:
            pass  # the server was killed


def server(stack: Stack) -> int:
    """Return the process id of a stack's API server."""
    return next(one.process.pid for one in stack.components if one.name == "api-server")


def begun(client: Client) -> str:
    """Start a slow command and return its operation once it prints."""
    made = client.line(*SLOW, Prefer="respond-async").json()
    stream = Stream(client, made["id"])
    stream.until("output", "of 120 seconds")
    return str(made["id"])


def test_an_operation_is_followed_and_cancelled_on_a_server_that_does_not_run_it(
    stack: Stack, admin: Client, second: Stack
):
    with Client(second) as there:
        # Each server has an engine of its own.
        assert there.command("version").json()["state"] == "succeeded"
        assert parent(second).pid != parent(stack).pid
        made = admin.line(*SLOW, Prefer="respond-async").json()
        here, far = Stream(admin, made["id"]), Stream(there, made["id"])
        for stream in (here, far):
            stream.until("state", "running")
            stream.until("output", "of 120 seconds")
        listed = there.get("/operations", params={"state": "running"}).json()["operations"]
        assert made["id"] in [one["id"] for one in listed]

        again = Stream(there, made["id"], **{"Last-Event-ID": far.ids[-1]})
        asked = there.post(f"/operations/{made['id']}/cancel", headers={"Prefer": "wait=0"}).json()
        assert asked["cancel"] == "asked"
        for stream in (here, far, again):
            end = stream.until("end")
            assert (end["state"], end["message"]) == ("cancelled", "The command was cancelled by admin.")
            stream.thread.join(PATIENCE)
            assert not stream.thread.is_alive()

        def printed(stream: Stream) -> str:
            return "".join(data["text"] for name, data in stream.events if name == "output")

        assert printed(here) == printed(far)
        assert printed(far).endswith(printed(again))
        assert len(printed(again)) < len(printed(far))
        stored = there.get(f"/operations/{made['id']}").json()
        assert len(stored["stdout"]) + len(stored["stderr"]) == len(printed(far))


def test_a_server_that_is_killed_leaves_lost_operations_with_what_they_printed(
    stack: Stack, admin: Client, second: Stack
):
    with Client(second) as there:
        identifier = begun(there)
        stream = Stream(admin, identifier)
        stream.until("output", "of 120 seconds")
        members = family(second)
        children = engine(second)
        members[0].send_signal(signal.SIGKILL)
        assert wait_gone(children) == []
        end = stream.until("end")

    assert end["state"] == "lost"
    assert "of 120 seconds" in admin.get(f"/operations/{identifier}").json()["stdout"]


def test_a_server_that_is_told_to_stop_ends_at_once_with_streams_open_and_commands_running(
    stack: Stack, admin: Client, second: Stack
):
    with Client(second) as there, Client(second) as waiting:
        identifier = begun(there)
        stream = Stream(there, identifier)
        stream.until("output", "of 120 seconds")
        answers: list[httpx.Response] = []
        asking = threading.Thread(
            target=lambda: answers.append(
                waiting.get(f"/operations/{identifier}", headers={"Prefer": "wait=300"})
            )
        )
        asking.start()
        members = family(second)
        members[0].terminate()
        # uvicorn's own patience is two minutes.
        assert wait_gone(members, 60) == []
        stream.thread.join(PATIENCE)
        asking.join(PATIENCE)
        assert not stream.thread.is_alive()

    ended = admin.get(f"/operations/{identifier}").json()
    assert (ended["state"], ended["message"]) == ("cancelled", "The API server was stopped.")
    assert "of 120 seconds" in ended["stdout"]
    # The other one goes on.
    assert admin.command("version").json()["state"] == "succeeded"
    assert [answer.json()["state"] for answer in answers] == ["cancelled"]
