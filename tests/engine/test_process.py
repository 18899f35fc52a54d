"""Commands whose code writes on the socket of their child, which DAG code can."""

from __future__ import annotations

import asyncio
import errno
import json
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_rest_api.engine import process as process_module
from airflow_rest_api.engine import wire
from airflow_rest_api.engine.engine import Engine
from airflow_rest_api.engine.job import Ending, Job
from airflow_rest_api.engine.process import CHUNK, Process
from airflow_rest_api.loop_share import LoopShare
from tests.engine.conftest import Run, act, outcome
from tests.engine.test_wire import NO_MESSAGES


def framed(body: bytes, length: int | None = None) -> str:
    return (wire.HEADER.pack(len(body) if length is None else length) + body).hex()


def test_a_forged_message_of_another_type_changes_nothing(run: Run[Any], engine: Engine):
    forged = "".join(framed(json.dumps(message).encode()) for message in NO_MESSAGES)
    how, process = run(outcome(engine, act("forge", forged, "3")))

    assert (how.ending, how.exit_code) == (Ending.EXITED, 3)
    assert process.stdout.text == "still here\n"


@pytest.mark.parametrize(
    "forged",
    [
        framed(b"", 2**31),
        framed(b"", wire.LONGEST + 1),
        framed(b"no JSON"),
        framed(b"[]"),
        framed(b"5"),
        framed(b"[" * 50_000),
        framed(b'{"descriptors": "x"}'),
        framed(b'{"descriptors": 1000000}'),
        framed(b'{"exit_code": ' + b"9" * 6000 + b"}"),
        "ff" * 1000,
    ],
    ids=["2 GiB", "too long", "no JSON", "list", "number", "deep", "type", "many", "digits", "noise"],
)
def test_a_child_that_sends_what_is_no_message_is_ended(run: Run[Any], engine: Engine, forged: str):
    how, _ = run(outcome(engine, act("forge", forged, "0", "for ever")))

    assert how.ending is Ending.KILLED
    assert how.message == process_module.DISTURBED


def test_a_child_that_never_stops_talking_is_ended(
    run: Run[Any], engine: Engine, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(process_module, "MOST_SENT", 2**20)
    job = act("forge_on", framed(json.dumps({"x": "y" * 10_000}).encode()), timeout=120)
    how, _ = run(outcome(engine, job))

    assert how.message == process_module.DISTURBED


def test_a_child_that_announces_much_and_sends_it_does_not_make_the_server_grow(
    run: Run[Any], engine: Engine, monkeypatch: pytest.MonkeyPatch
):
    largest = 0

    def feed(self: Any, data: bytes, descriptors: Any = ()) -> None:
        nonlocal largest
        takes(self, data, descriptors)
        largest = max(largest, len(self._bytes))

    takes = wire.Inbox.feed
    monkeypatch.setattr(wire.Inbox, "feed", feed)
    how, _ = run(outcome(engine, act("forge_on", framed(b" " * 60_000, 2**31 - 1), timeout=120)))

    assert how.message == process_module.DISTURBED
    assert 0 < largest < 4 * wire.LONGEST


def test_the_next_command_runs_after_one_that_was_ended(run: Run[Any], engine: Engine):
    run(outcome(engine, act("forge", "ff" * 100, "0", "for ever")))
    how, process = run(outcome(engine, act("echo", "hello")))

    assert (how.exit_code, process.stdout.text) == (0, "'hello'\n")


@pytest.mark.parametrize("turns", range(8))
def test_a_command_that_ends_in_the_moment_in_which_it_is_asked_to_has_ended_as_it_says(
    run: Run[Any], turns: int
):
    async def race() -> Any:
        loop = asyncio.get_running_loop()
        child: Any = SimpleNamespace(
            exited=loop.create_future(), send_signal=lambda _: None, end_unless_it_leaves=lambda _: None
        )
        report: asyncio.Future[Any] = loop.create_future()
        process = Process(Job(("version",)))
        following = loop.create_task(process._follow(child, report, 10.0))
        await asyncio.sleep(0)
        process.cancel()
        for _ in range(turns):
            await asyncio.sleep(0)
        # The loop finds both, and the timer, when it was kept from looking for a while.
        report.set_result(wire.ExitReport(0))
        child.exited.set_result(0)
        return await asyncio.wait_for(following, 30)

    how = run(race())
    assert (how.ending, how.exit_code) == (Ending.EXITED, 0)


class OneByOne(LoopShare):
    """What lets one step be made in each turn."""

    def __init__(self) -> None:
        super().__init__()
        self.turns = 0
        self._had = False

    @property
    def used_up(self) -> bool:
        return self._had

    def spend(self, seconds: float) -> None:
        self._had = True

    async def turn(self, number: int) -> None:
        await asyncio.sleep(0)
        self.turns += 1
        self._had = False


@pytest.mark.parametrize("secrets", [(), ("a secret",)])
def test_output_without_end_waits_for_its_turns_and_arrives_as_a_whole(
    run: Run[Any], engine: Engine, secrets: tuple[str, ...]
):
    async def pour() -> tuple[Any, int, list[int], int]:
        pieces: list[int] = []
        process: Any = engine.submit(
            act("pour", "4", secrets=secrets), lambda _, data: pieces.append(len(data))
        )
        process.loop_share = OneByOne()
        how = await asyncio.wait_for(process.wait(), 60)
        return how, process.stdout.size, pieces, process.loop_share.turns

    how, size, pieces, turns = run(pour())
    assert how.exit_code == 0
    assert size == sum(pieces) == 4 * 2**20 + len("first line\nlast line\n")
    # Short output waits for nobody, nor does the first piece after it, nor what is left at the end.
    assert turns >= size // CHUNK - 3
    assert max(pieces) <= CHUNK


@pytest.mark.parametrize("resident", [False, True])
def test_a_job_that_could_not_be_sent_to_its_child_is_given_to_another(
    run: Run[Any], engine: Engine, monkeypatch: pytest.MonkeyPatch, resident: bool
):
    send, refused = process_module.socket.send_fds, []

    def send_second(*args: Any) -> int:
        if not refused:
            refused.append(args)
            raise OSError(errno.ENOBUFS, "No buffer space available")
        return send(*args)

    monkeypatch.setattr(process_module.socket, "send_fds", send_second)

    async def ends() -> Any:
        return await asyncio.wait_for(outcome(engine, act("both", resident=resident)), 30)

    how, process = run(ends())
    assert (how.ending, how.exit_code, len(refused)) == (Ending.EXITED, 0, 1)
    assert process.stdout.text == "to stdout\n"
