from __future__ import annotations

import asyncio
from datetime import datetime, timedelta, timezone

from airflow_rest_api.operations.janitor import Janitor
from airflow_rest_api.operations.model import Operation, State, new_id
from airflow_rest_api.operations.store import Store
from tests.operations.scene import database_of, make_store, until


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
        assert await Janitor(store, count=10, age=3600).round() == 1
        assert [each.id for each in await store.list()] == [runs, young]

    asyncio.run(main())


def test_those_beyond_the_number_go():
    async def main() -> None:
        store = make_store()
        kept = [await keep(store, ended=timedelta(seconds=10 - n)) for n in range(5)]
        await Janitor(store, count=2, age=3600).round()
        assert [each.id for each in await store.list()] == kept[:2:-1]

    asyncio.run(main())


def test_it_goes_round_by_itself_and_through_an_outage():
    async def main() -> None:
        store = make_store()
        await keep(store, ended=timedelta(hours=2))
        database_of(store).away = True
        janitor = Janitor(store, count=10, age=3600, every=0.05)
        janitor.start()
        await asyncio.sleep(0.2)
        database_of(store).away = False

        async def clean() -> bool:
            return not await store.list()

        await until(clean)
        await janitor.stop()

    asyncio.run(main())
