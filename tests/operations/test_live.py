from __future__ import annotations

import asyncio
from datetime import datetime, timezone

import pytest

from airflow_rest_api.errors import UnknownOperation
from airflow_rest_api.operations import live
from airflow_rest_api.operations.live import Followed, Live, Watcher
from airflow_rest_api.operations.model import Operation, State, new_id
from airflow_rest_api.operations.recorder import Recorder
from airflow_rest_api.operations.store import Store
from airflow_rest_api.operations.transcript import Block
from tests.operations.scene import append, begin, database_of, end, make_store, until

NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)


def elsewhere(state: State = State.RUNNING) -> Operation:
    return Operation(new_id(), "version", "read", ["version"], "u", "h", NOW, state, server="s" * 32)


async def finish(store: Store, operation: Operation) -> None:
    operation.state, operation.finished_at, operation.exit_code = State.SUCCEEDED, NOW, 0
    await end(store, operation, [Block(2, "stderr", 0, NOW, b"last")])


async def text(followed: Followed) -> str:
    return "".join(chunk.data.decode() for chunk in followed.transcript.since(0))


def test_output_state_and_end_arrive():
    async def main() -> None:
        store, operation = make_store(), elsewhere(State.QUEUED)
        await store.insert(operation)
        async with Watcher(store, 1000).follow(operation.id) as followed:
            operation.state, operation.started_at = State.RUNNING, NOW
            await begin(store, operation)

            async def running() -> bool:
                return followed.operation.state is State.RUNNING

            await until(running)
            await append(store, operation.id, [Block(1, "stdout", 0, NOW, b"first ")])

            async def printed() -> bool:
                return await text(followed) == "first "

            await until(printed)
            await finish(store, operation)
            await followed.until_ended(60)
            assert (followed.operation.state, await text(followed)) == (State.SUCCEEDED, "first last")

    asyncio.run(main())


@pytest.mark.slow
def test_many_followers_ask_the_database_no_more_than_one():
    async def main() -> None:
        store, operation = make_store(), elsewhere()
        await store.insert(operation)
        watcher = Watcher(store, 1000)
        looks = 0
        blocks = store.blocks

        async def counted(*arguments: object) -> object:
            nonlocal looks
            looks += 1
            return await blocks(*arguments)  # type: ignore[arg-type]

        store.blocks = counted  # type: ignore[method-assign, assignment]
        entered = 0

        async def follow() -> None:
            nonlocal entered
            async with watcher.follow(operation.id) as followed:
                entered += 1
                await followed.until_ended(60)
                assert followed.operation.state is State.SUCCEEDED

        followers = [asyncio.create_task(follow()) for _ in range(100)]

        async def all_in() -> bool:
            return entered == 100 and looks > 0

        await until(all_in)
        before, calls = looks, database_of(store).calls
        await asyncio.sleep(0.5)
        # The first ones follow each other closely: some 40 in this time, for one follower or for a hundred.
        assert looks - before <= 45
        assert database_of(store).calls - calls <= 45
        await finish(store, operation)
        await asyncio.gather(*followers)

    asyncio.run(main())


def test_nobody_looks_when_nobody_follows():
    async def main() -> None:
        store, operation = make_store(), elsewhere()
        await store.insert(operation)
        watcher = Watcher(store, 1000)
        async with watcher.follow(operation.id) as followed:
            assert followed.task is not None
        await asyncio.wait({followed.task}, timeout=60)
        assert followed.task.done()
        # Whoever comes later starts anew.
        async with watcher.follow(operation.id) as again:
            assert again is not followed

    asyncio.run(main())


def test_what_has_ended_is_read_to_its_end_and_no_further():
    async def main() -> None:
        store, operation = make_store(), elsewhere(State.SUCCEEDED)
        pieces = [Block(at + 1, "stdout", at, NOW, b"x") for at in range(2500)]
        await store.insert(operation, pieces)
        async with Watcher(store, 10_000).follow(operation.id) as followed:
            await followed.until_ended(60)
            assert await text(followed) == "x" * 2500

    asyncio.run(main())


@pytest.mark.parametrize("recorded", [False, True])
def test_one_that_ends_while_it_is_to_be_recorded_is_answered_then(
    recorded: bool, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(live, "STORED_WITHIN", 3600.0)

    async def main() -> None:
        store, operation = make_store(), elsewhere()
        recorder = Recorder(store)
        running = Live(operation, recorder, 1000, recorded=recorded)
        running.start()
        answer = asyncio.create_task(running.until_ended(0))
        await asyncio.sleep(0)
        operation.state, operation.finished_at = State.SUCCEEDED, NOW
        await running.finished(running.finish({}))

        await asyncio.wait_for(answer, 60)
        await recorder.close()

    asyncio.run(main())


@pytest.mark.slow
def test_an_outage_of_the_database_is_waited_out():
    async def main() -> None:
        store, operation = make_store(), elsewhere()
        await store.insert(operation)
        async with Watcher(store, 1000).follow(operation.id) as followed:
            database_of(store).away = True
            await asyncio.sleep(0.3)
            assert not followed.transcript.ended
            database_of(store).away = False
            await finish(store, operation)
            await followed.until_ended(60)
            assert followed.operation.state is State.SUCCEEDED

    asyncio.run(main())


def test_an_operation_that_is_no_longer_kept_ends_its_transcript():
    async def main() -> None:
        store, operation = make_store(), elsewhere()
        await store.insert(operation)
        watcher = Watcher(store, 1000)
        async with watcher.follow(operation.id) as followed:
            await store.discard(operation.id)
            await followed.until_ended(60)
            assert followed.transcript.ended
        with pytest.raises(UnknownOperation):
            async with watcher.follow(operation.id):
                pass

    asyncio.run(main())


def test_a_server_that_stops_lets_everybody_go():
    async def main() -> None:
        store, operation = make_store(), elsewhere()
        await store.insert(operation)
        watcher = Watcher(store, 1000)
        async with watcher.follow(operation.id) as followed:
            watcher.stop()
            await followed.until_ended(60)
        async with watcher.follow(operation.id) as another:
            await another.until_ended(60)
            assert another.operation.state is State.RUNNING

    asyncio.run(main())
