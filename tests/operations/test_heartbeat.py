from __future__ import annotations

import asyncio
from datetime import datetime, timedelta, timezone
from functools import partial
from typing import Any

import pytest

from airflow_rest_api.errors import Unavailable
from airflow_rest_api.operations import work_queue
from airflow_rest_api.operations.heartbeat import UNKNOWN, UNWRITTEN, Heartbeat, known, mark_lost, sweeper
from airflow_rest_api.operations.model import Key, Operation, Origin, State, new_id
from airflow_rest_api.operations.service import Operations
from airflow_rest_api.operations.store import Store
from tests.operations.scene import CATALOG, database_of, make_store, operations, until
from tests.permits import permit
from tests.standin import until_cancelled


async def keep(store: Store, *, ended: timedelta | None) -> str:
    now = datetime.now(timezone.utc)
    operation = Operation(new_id(), "version", "read", [], "u", "h", now, server="s" * 32)
    if ended is not None:
        operation.state, operation.finished_at = State.SUCCEEDED, now - ended
    await store.insert(operation)
    # Ids sort by the millisecond: the next one is to come after this.
    await asyncio.sleep(0.002)
    return operation.id


def test_the_old_go_and_what_runs_stays():
    async def main() -> None:
        store = make_store()
        await keep(store, ended=timedelta(hours=2))
        young, runs = await keep(store, ended=timedelta(0)), await keep(store, ended=None)
        assert await store.sweep(10, 3600) == 1
        assert [each.id for each in await store.list()] == [runs, young]

    asyncio.run(main())


def test_those_beyond_the_number_go():
    async def main() -> None:
        store = make_store()
        kept = [await keep(store, ended=timedelta(seconds=10 - n)) for n in range(5)]
        await store.sweep(2, 3600)
        assert [each.id for each in await store.list()] == kept[:2:-1]

    asyncio.run(main())


def test_it_goes_round_by_itself_and_through_an_outage():
    async def main() -> None:
        store = make_store()
        await keep(store, ended=timedelta(hours=2))
        database_of(store).away = True
        janitor = sweeper(store, 10, 3600, every=0.05)
        janitor.start()
        await asyncio.sleep(0.2)
        database_of(store).away = False

        async def clean() -> bool:
            return not await store.list()

        await until(clean)
        await janitor.stop()

    asyncio.run(main())


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def server(store: Store) -> tuple[Operations, Heartbeat, Clock]:
    service, _ = operations(until_cancelled, store=store)
    clock = Clock()
    return service, Heartbeat(service, store, clock=clock), clock


async def passes(heartbeat: Heartbeat, clock: Clock, seconds: float, step: float = 5.0) -> None:
    for _ in range(int(seconds / step)):
        clock.now += step
        await heartbeat.look()


async def started(service: Operations, store: Store) -> str:
    """Start a command that does not end by itself; return its id once the database says that it runs."""
    begun = await service.start(permit(), CATALOG.parse(["version"]), origin=Origin(recorded=True))
    identifier = begun.id

    async def running() -> bool:
        return (await store.get(identifier)).state is State.RUNNING

    await until(running)
    return identifier


def test_a_server_without_a_sign_of_life_leaves_lost_operations_with_their_output():
    async def main() -> None:
        store = make_store()
        dead, its_last, _ = server(store)
        _, heartbeat, clock = server(store)
        identifier = await started(dead, store)
        await its_last.look()

        async def printed() -> bool:
            return bool((await store.get(identifier)).stdout)

        await until(printed)
        await heartbeat.look()
        await passes(heartbeat, clock, 25)
        assert (await store.get(identifier)).state is State.RUNNING
        await passes(heartbeat, clock, 10)
        lost = await store.get(identifier)
        assert (lost.state, lost.stdout) == (State.LOST, "working\n")
        assert "gone" in str(lost.message)
        # It was not dead after all: how it really ended is the last word.
        dead.stop("it ended")
        await dead.settle()
        assert (await store.get(identifier)).message == "it ended"
        assert (await store.get(identifier)).state is State.CANCELLED

    asyncio.run(main())


def test_a_server_that_was_only_cut_off_has_its_operations_back_and_they_can_be_cancelled_from_elsewhere():
    async def main() -> None:
        store = make_store()
        here, its_heartbeat, _ = server(store)
        there, heartbeat, clock = server(store)
        runs = await started(here, store)
        elsewhere = await keep(store, ended=None)
        await its_heartbeat.look()
        await heartbeat.look()
        await passes(heartbeat, clock, 35)
        assert (await store.get(runs)).state is State.LOST

        await its_heartbeat.look()

        found = await store.get(runs)
        assert (found.state, found.message, found.finished_at) == (State.RUNNING, None, None)
        assert (await store.get(elsewhere)).state is State.LOST
        await there.cancel(runs, "from there")
        await its_heartbeat.apply_cancels()
        assert (await here.wait(runs, 60)).message == "from there"
        await here.settle()

    asyncio.run(main())


def test_what_waits_at_a_server_that_was_cut_off_waits_on():
    async def main() -> None:
        store = make_store()
        here, engine = operations(until_cancelled, store=store)
        its_heartbeat = Heartbeat(here, store)
        engine.warming = asyncio.Event()
        begun = await here.start(permit(), CATALOG.parse(["version"]), origin=Origin(recorded=True))
        await its_heartbeat.look()
        await store.database.run(partial(mark_lost, server=here.server.id))
        assert (await store.get(begun.id)).state is State.LOST

        await its_heartbeat.look()

        assert (await store.get(begun.id)).state is State.QUEUED
        engine.warming.set()
        here.stop("enough")
        await here.settle()

    asyncio.run(main())


def test_a_first_heartbeat_changes_no_operation():
    async def main() -> None:
        store = make_store()
        here, its_heartbeat, _ = server(store)
        identifier = await started(here, store)
        await store.database.run(partial(mark_lost, server=here.server.id))

        await its_heartbeat.look()

        assert (await store.get(identifier)).state is State.LOST
        here.stop("enough")
        await here.settle()

    asyncio.run(main())


def test_a_server_that_beats_keeps_its_operations():
    async def main() -> None:
        store = make_store()
        other, its_heartbeat, _ = server(store)
        _, heartbeat, clock = server(store)
        identifier = await started(other, store)
        for _ in range(20):
            await its_heartbeat.look()
            await passes(heartbeat, clock, 5)
        assert (await store.get(identifier)).state is State.RUNNING
        other.stop("enough")
        await other.settle()

    asyncio.run(main())


def test_time_in_which_we_saw_nothing_kills_nobody():
    async def main() -> None:
        store = make_store()
        other, its_heartbeat, _ = server(store)
        _, heartbeat, clock = server(store)
        identifier = await started(other, store)
        await its_heartbeat.look()
        await heartbeat.look()
        # We were asleep, or the database was away.
        for _ in range(5):
            clock.now += 3600
            await heartbeat.look()
        assert (await store.get(identifier)).state is State.RUNNING
        other.stop("enough")
        await other.settle()

    asyncio.run(main())


def test_operations_of_a_server_that_nobody_knows_are_lost_as_well():
    async def main() -> None:
        store = make_store()
        gone, _, _ = server(store)
        _, heartbeat, clock = server(store)
        identifier = await started(gone, store)
        await heartbeat.look()
        assert (await store.get(identifier)).state is State.RUNNING
        await passes(heartbeat, clock, 35)
        assert (await store.get(identifier)).state is State.LOST
        gone.stop("enough")
        await gone.settle()

    asyncio.run(main())


def test_a_cancel_that_another_server_was_asked_for_is_heard():
    async def main() -> None:
        store = make_store()
        here, heartbeat, _ = server(store)
        there, _, _ = server(store)
        identifier = await started(here, store)
        await there.cancel(identifier, "from there")
        await heartbeat.apply_cancels()
        ended = await here.wait(identifier, 60)
        assert (ended.state, ended.message) == (State.CANCELLED, "from there")
        await here.settle()

    asyncio.run(main())


def test_a_server_beats_by_itself_through_an_outage_and_leaves_in_order():
    async def main() -> None:
        store = make_store()
        service, _ = operations(until_cancelled, store=store)
        heartbeat = Heartbeat(service, store, every=0.05)
        heartbeat.start()

        async def number() -> int:
            return max((each.beat for each in await store.database.run(known)), default=0)

        await until(number)
        database_of(store).away = True
        await asyncio.sleep(0.2)
        database_of(store).away = False
        before = await number()

        async def more() -> bool:
            return await number() > before

        await until(more)
        await heartbeat.stop()
        assert await store.database.run(known) == []
        await service.settle()

    asyncio.run(main())


def test_what_a_runner_has_just_claimed_is_kept_however_long_it_has_waited():
    async def main() -> None:
        store = make_store()
        service, _ = operations(until_cancelled, store=store, runner={"runner": "one@here", "queues": "dags"})
        asked = datetime.now(timezone.utc) - timedelta(hours=1)
        waits = Operation(new_id(), "version", "read", ["version"], "u", "", asked, queue="dags")
        await store.insert(waits)
        claiming = partial(work_queue.claim, identifier=waits.id, server=service.server, share=1)
        await store.claimed(waits.id, claiming)

        # Its order is being decrypted.
        await service.forget_unbegun()

        assert (await store.get(waits.id)).state is State.RUNNING
        await service.settle()

    asyncio.run(main())


def test_what_a_runner_claimed_and_does_not_know_is_lost_and_keeps_its_key():
    async def main() -> None:
        store = make_store()
        service, _ = operations(until_cancelled, store=store, runner={"runner": "one@here", "queues": "dags"})
        made = datetime.now(timezone.utc) - timedelta(minutes=10)
        # Its claim was committed after the runner had stopped waiting for that.
        row = Operation(new_id(), "version", "read", ["version"], "u", "h", made, server=service.server.id)
        row.state, row.started_at, row.runner = State.RUNNING, made, "one@here"
        await store.insert(row, key=Key("u", "k", "f"))

        await service.forget_unbegun()

        found = await store.get(row.id)
        assert (found.state, found.message) == (State.LOST, UNKNOWN)
        assert found.finished_at is not None
        assert await store.find_key("u", "k") == (row.id, "f")

    asyncio.run(main())


@pytest.mark.parametrize("refused", ["its end", "its start and its end"])
def test_what_ran_and_could_not_be_written_is_lost_and_keeps_its_key(refused: str):
    async def main() -> None:
        store = make_store()
        service, engine = operations(until_cancelled, store=store)
        if refused != "its end":
            engine.warming = asyncio.Event()
        origin = Origin(key=Key("u", "k", "f"))
        identifier = (await service.start(permit(), CATALOG.parse(["version"]), origin=origin)).id
        state = State.QUEUED if engine.warming else State.RUNNING

        async def recorded() -> bool:
            return (await store.get(identifier)).state is state

        await until(recorded)
        database_of(store).refuses = True
        if engine.warming:
            engine.warming.set()
        await asyncio.sleep(0.1)
        service.stop("it ended")

        async def over() -> bool:
            return not service.running

        await until(over)
        database_of(store).refuses = False
        assert (await store.get(identifier)).state is state

        await service.forget_unbegun()

        found = await store.get(identifier)
        assert (found.state, found.message) == (State.LOST, UNWRITTEN)
        assert await store.find_key("u", "k") == (identifier, "f")
        await service.settle()

    asyncio.run(main())


def test_a_row_that_nothing_belongs_to_is_forgotten_and_its_key_is_free():
    async def main() -> None:
        store = make_store()
        service, _, _ = server(store)
        ghost, young = new_id(), new_id()
        for identifier, age in ((ghost, 600), (young, 10)):
            made = datetime.now(timezone.utc) - timedelta(seconds=age)
            row = Operation(
                identifier, "version", "read", ["version"], "u", "h", made, server=service.server.id
            )
            await store.insert(row, key=Key("u", identifier, "f"))
        running = await started(service, store)

        await service.forget_unbegun()

        assert await store.find_key("u", ghost) is None
        assert await store.find_key("u", young) is not None
        assert (await store.get(running)).state is State.RUNNING
        service.stop("enough")
        await service.settle()

    asyncio.run(main())


def test_what_the_database_took_without_saying_so_is_removed_with_the_next_heartbeat(
    monkeypatch: pytest.MonkeyPatch,
):
    async def main() -> None:
        store = make_store()
        service, heartbeat, _ = server(store)
        call = store.database.call

        def lost_in_the_commit(work: Any) -> None:
            call(work)
            raise Unavailable

        origin = Origin(key=Key("u", "k", "f"))
        with monkeypatch.context() as patch:
            patch.setattr(store.database, "call", lost_in_the_commit)
            with pytest.raises(Unavailable):
                await service.start(permit(), CATALOG.parse(["version"]), origin=origin)
        assert await store.find_key("u", "k") is not None

        await heartbeat.look()

        assert await store.find_key("u", "k") is None
        assert service.withdrawn == set()

    asyncio.run(main())
