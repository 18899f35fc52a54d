from __future__ import annotations

import asyncio
import gc
import logging
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import StatementError

from airflow_rest_api.errors import Unavailable
from airflow_rest_api.operations import recorder as recorder_module
from airflow_rest_api.operations.model import Operation, State, new_id
from airflow_rest_api.operations.recorder import BEHIND, REFUSED, Recorder, Written
from airflow_rest_api.operations.rows import appended, inserted, started
from airflow_rest_api.operations.rows import ended as finished
from airflow_rest_api.operations.store import Store
from airflow_rest_api.operations.transcript import Block
from airflow_rest_api.storage.database import Database, own_engine
from tests.databases import database_of_our_own
from tests.proxy import Proxy

NOW = datetime.now(timezone.utc)
DEADLINE = 60


def queued(**changes: Any) -> Operation:
    given = {
        "id": new_id(),
        "command": "dags list",
        "effect": "read",
        "argv": ["dags", "list"],
        "user": "u",
        "host": "h",
        "created_at": NOW,
        "server": "s",
    }
    return Operation(**{**given, **changes})


def ended(one: Operation, **changes: Any) -> Operation:
    return replace(one, state=State.SUCCEEDED, exit_code=0, started_at=NOW, finished_at=NOW, **changes)


def out(offset: int, text: str) -> Block:
    """Return a block of stdout whose number is its place in it."""
    return Block(offset + 1, "stdout", offset, NOW + timedelta(microseconds=offset), text.encode())


class Forgetful(Database):
    """Does the work and says that it could not be reached, each second time."""

    def __init__(self, database: Database) -> None:
        super().__init__(database.engine)
        self._turns = count()

    def call(self, work: Callable[[Any], Any]) -> Any:
        result = super().call(work)
        if next(self._turns) % 2 == 0:
            raise Unavailable
        return result


@pytest.fixture
def store(every_database: Database) -> Store:
    return Store(every_database)


@pytest.fixture
def far(tmp_path: Path) -> Iterator[tuple[Store, Proxy]]:
    """A store on a PostgreSQL behind a proxy."""
    with database_of_our_own("postgresql", tmp_path) as address:
        url = make_url(address)
        with Proxy(str(url.host), url.port or 0) as proxy:
            engine = own_engine(url.set(port=proxy.port).render_as_string(hide_password=False))
            database = Database(lambda: engine)
            yield Store(database), proxy
            database.close()
            proxy.restore()
            engine.dispose()


async def until(holds: Callable[[], bool]) -> None:
    async def wait() -> None:
        while not holds():
            await asyncio.sleep(0.01)

    await asyncio.wait_for(wait(), DEADLINE)


def test_many_operations_share_a_transaction(store: Store):
    commits: list[object] = []
    engine = store.database.engine()
    count_one = commits.append
    event.listen(engine, "commit", count_one)

    async def main() -> None:
        recorder = Recorder(store)
        made = [ended(queued(), result=[number]) for number in range(1000)]
        written = [recorder.put(inserted(each, [out(0, each.id)])) for each in made]
        await asyncio.gather(*(recorder.done(each) for each in written))
        assert len(commits) < 100
        assert {each.id for each in await store.list(limit=2000)} == {each.id for each in made}
        assert (await store.get(made[500].id)).stdout == made[500].id
        await recorder.close()

    asyncio.run(main())
    event.remove(engine, "commit", count_one)


def transactions_of(store: Store) -> list[float]:
    """Return a list that gets the time of each transaction of a store from now on."""
    found: list[float] = []
    event.listen(store.database.engine(), "commit", lambda _: found.append(time.monotonic()))
    return found


def test_what_nobody_waits_for_gathers_for_a_moment(store: Store):
    recorder = Recorder(store)
    commits = transactions_of(store)
    operations = [ended(queued()) for _ in range(20)]

    async def write() -> float:
        begun = time.monotonic()
        written = [recorder.put(inserted(one, ()), behind=True) for one in operations]
        for each in written:
            await recorder.done(each)
        await recorder.close()
        return begun

    begun = asyncio.run(write())
    assert len(commits) == 1
    assert commits[0] - begun >= BEHIND
    assert {one.id for one in asyncio.run(store.list(limit=50))} >= {one.id for one in operations}


def test_what_is_waited_for_takes_along_what_is_not(store: Store):
    recorder = Recorder(store)
    commits = transactions_of(store)

    async def write() -> None:
        behind = recorder.put(inserted(ended(queued()), ()), behind=True)
        await recorder.done(recorder.put(inserted(queued())))
        assert behind.done()
        await recorder.close()

    asyncio.run(write())
    assert len(commits) == 1


def test_as_much_as_goes_into_one_transaction_waits_for_no_more(
    store: Store, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(recorder_module, "BEHIND", 600.0)
    monkeypatch.setattr(recorder_module, "TOGETHER", 5)
    recorder = Recorder(store)

    async def write() -> None:
        written = [recorder.put(inserted(ended(queued()), ()), behind=True) for _ in range(5)]
        for each in written:
            await asyncio.wait_for(recorder.done(each), DEADLINE)
        await recorder.close()

    asyncio.run(write())


@pytest.mark.parametrize("how", ["flushed", "closed"])
def test_what_gathers_is_written_when_it_is_asked_for_and_at_the_close(
    store: Store, monkeypatch: pytest.MonkeyPatch, how: str
):
    monkeypatch.setattr(recorder_module, "BEHIND", 600.0)
    recorder = Recorder(store)
    one = ended(queued())

    async def write() -> list[Operation]:
        recorder.put(inserted(one, ()), behind=True)
        await (recorder.flush(DEADLINE) if how == "flushed" else recorder.close())
        found = await store.list(limit=50)
        await recorder.close()
        return found

    assert one.id in {found.id for found in asyncio.run(write())}


def test_the_order_of_each_operation_is_kept(store: Store):
    async def main() -> None:
        recorder = Recorder(store)
        made = [queued() for _ in range(20)]
        written = []
        for each in made:
            written.append(recorder.put(inserted(each)))
        for number in range(10):
            for each in made:
                written.append(recorder.put(appended(each.id, [out(number, str(number))])))
            if number == 3:
                written += [recorder.put(started(replace(each, started_at=NOW))) for each in made]
            if number % 4 == 0:
                await recorder.done(written[-1])
        for each in made:
            written.append(
                recorder.put(finished(ended(each, result=each.id), [out(10, "!")], {"f": each.id.encode()}))
            )
        await asyncio.gather(*(recorder.done(each) for each in written))
        for each in made:
            assert await store.get(each.id) == ended(each, result=each.id, stdout="0123456789!")
            assert await store.file(each.id, "f") == each.id.encode()
        await recorder.close()

    asyncio.run(main())


def test_what_is_given_may_change_afterwards(store: Store):
    async def main() -> None:
        recorder = Recorder(store)
        one, files, chunks = ended(queued()), {"f": b"1"}, [out(0, "a")]
        written = recorder.put(inserted(one, chunks, files))
        one.command, one.argv[0] = "x", "x"
        chunks.clear()
        files.clear()
        await recorder.done(written)
        found = await store.get(one.id)
        assert (found.command, found.argv[0], found.stdout) == ("dags list", "dags", "a")
        assert await store.file(one.id, "f") == b"1"
        await recorder.close()

    asyncio.run(main())


@pytest.mark.slow
def test_nothing_is_lost_while_the_database_is_away(
    far: tuple[Store, Proxy], caplog: pytest.LogCaptureFixture
):
    store, proxy = far
    caplog.set_level(logging.WARNING)

    async def main() -> None:
        recorder = Recorder(store)
        early, late = queued(), [queued() for _ in range(50)]
        await recorder.done(recorder.put(inserted(early)))
        await recorder.done(recorder.put(appended(early.id, [out(0, "before ")])))
        proxy.cut()
        written = [recorder.put(appended(early.id, [out(7, "meanwhile ")]))]
        await until(lambda: "Operations wait to be written" in caplog.text)
        written += [recorder.put(inserted(each)) for each in late]
        written += [recorder.put(started(each)) for each in late]
        written += [recorder.put(appended(each.id, [out(0, "x" * 1000)])) for each in late]
        written += [recorder.put(finished(ended(each, result=each.id), [out(1000, "y")])) for each in late]
        written += [recorder.put(finished(ended(early), [out(17, "after")]))]
        await asyncio.sleep(1)
        assert not any(each.done() for each in written)
        with pytest.raises(Unavailable):
            await store.get(early.id)

        proxy.restore()

        await asyncio.wait_for(asyncio.gather(*(recorder.done(each) for each in written)), DEADLINE)
        assert await store.get(early.id) == ended(early, stdout="before meanwhile after")
        for each in late:
            assert await store.get(each.id) == ended(each, result=each.id, stdout="x" * 1000 + "y")
        assert "The database is back" in caplog.text
        await recorder.close()

    asyncio.run(main())


def test_what_makes_no_connection_costs_no_record(store: Store, caplog: pytest.LogCaptureFixture):
    engine = store.database.engine()

    def token(*arguments: object) -> None:
        raise LookupError("no token")  # of a library that makes passwords, and knows no DBAPI

    async def main() -> None:
        recorder, one = Recorder(store), ended(queued())
        engine.dispose()
        event.listen(engine, "do_connect", token)
        written = recorder.put(inserted(one))
        await until(lambda: "Operations wait to be written" in caplog.text)
        event.remove(engine, "do_connect", token)
        await asyncio.wait_for(recorder.done(written), DEADLINE)
        assert await store.get(one.id) == one
        await recorder.close()

    asyncio.run(main())


@pytest.mark.slow
def test_connections_that_die_again_and_again_lose_nothing_and_double_nothing(far: tuple[Store, Proxy]):
    store, proxy = far

    async def main() -> None:
        recorder = Recorder(store)
        made = [queued() for _ in range(30)]
        written = [recorder.put(inserted(each)) for each in made]
        for number in range(40):
            written += [
                recorder.put(appended(each.id, [out(number, chr(65 + number % 26))])) for each in made
            ]
            if number % 4 == 0:
                proxy.cut()
                proxy.restore()
            await asyncio.sleep(0.005)
        written += [recorder.put(finished(ended(each), [out(40, "!")])) for each in made]
        await asyncio.wait_for(asyncio.gather(*(recorder.done(each) for each in written)), DEADLINE)
        text = "".join(chr(65 + number % 26) for number in range(40)) + "!"
        for each in made:
            assert await store.get(each.id) == ended(each, stdout=text)
        await recorder.close()

    asyncio.run(main())


@pytest.mark.slow
def test_what_was_written_although_nobody_heard_of_it_is_there_once(every_database: Database):
    store = Store(Forgetful(every_database))
    honest = Store(every_database)

    async def main() -> None:
        recorder = Recorder(store)
        one = queued()
        await recorder.done(recorder.put(inserted(one)))
        await recorder.done(recorder.put(appended(one.id, [out(0, "a"), out(1, "b")])))
        await recorder.done(recorder.put(appended(one.id, [out(2, "c")])))
        await recorder.done(recorder.put(finished(ended(one), [out(3, "d")], {"f": b"1"})))
        whole = ended(queued())
        await recorder.done(recorder.put(inserted(whole, [out(0, "x")], {"f": b"2"})))
        assert await honest.get(one.id) == ended(one, stdout="abcd")
        assert await honest.get(whole.id) == replace(whole, stdout="x")
        assert (await honest.file(one.id, "f"), await honest.file(whole.id, "f")) == (b"1", b"2")
        await recorder.close()

    asyncio.run(main())


def test_of_too_much_output_the_middle_goes_but_no_result(
    far: tuple[Store, Proxy], caplog: pytest.LogCaptureFixture
):
    store, proxy = far
    caplog.set_level(logging.WARNING)

    async def main() -> None:
        recorder = Recorder(store, buffer=400_000)
        made = [queued() for _ in range(4)]
        for each in made:
            await recorder.done(recorder.put(inserted(each)))
        proxy.cut()
        recorder.put(appended(made[0].id, [out(0, "first ")]))
        await until(lambda: "Operations wait to be written" in caplog.text)
        for number in range(100):
            for each in made[1:]:
                recorder.put(appended(each.id, [out(number * 10_000, f"{number:05}" + "x" * 9_995)]))
                assert recorder._size <= 400_000
        written = [
            recorder.put(finished(ended(each, result=["r"] * 1000), [out(1_000_000, "end")])) for each in made
        ]
        proxy.restore()
        await asyncio.wait_for(asyncio.gather(*(recorder.done(each) for each in written)), DEADLINE)
        for each in made[1:]:
            found = await store.get(each.id)
            assert found.truncated
            assert found.result == ["r"] * 1000
            assert found.stdout.startswith("00000xxx")
            assert found.stdout.endswith("xend")
            assert "bytes left out" in found.stdout
            assert len(found.stdout) < 300_000
        await recorder.close()

    asyncio.run(main())


def test_closing_writes_what_waits(store: Store):
    async def main() -> None:
        recorder = Recorder(store)
        made = [ended(queued()) for _ in range(300)]
        written = [recorder.put(inserted(each)) for each in made]
        await recorder.close(DEADLINE)
        assert all(each.done() and each.exception() is None for each in written)
        assert len(await store.list(limit=400)) == 300
        with pytest.raises(Unavailable):
            await recorder.done(recorder.put(inserted(ended(queued()))))

    asyncio.run(main())


@pytest.mark.slow
def test_closing_does_not_wait_for_ever_for_a_database_that_is_away(far: tuple[Store, Proxy]):
    store, proxy = far

    async def main() -> None:
        recorder = Recorder(store)
        await recorder.done(recorder.put(inserted(ended(queued()))))
        proxy.cut()
        written = [recorder.put(inserted(ended(queued()))) for _ in range(3)]
        await asyncio.wait_for(recorder.close(1), DEADLINE)
        for each in written:
            with pytest.raises(Unavailable):
                await recorder.done(each)

    asyncio.run(main())


@pytest.mark.slow
def test_closing_does_not_wait_for_ever_for_a_network_that_swallows_everything(far: tuple[Store, Proxy]):
    store, proxy = far

    async def main() -> None:
        recorder = Recorder(store)
        await recorder.done(recorder.put(inserted(ended(queued()))))
        proxy.freeze()
        written = [recorder.put(inserted(ended(queued()))) for _ in range(3)]
        await asyncio.wait_for(recorder.close(0.5), DEADLINE)
        for each in written:
            with pytest.raises(Unavailable):
                await recorder.done(each)

    asyncio.run(main())
    proxy.cut()


def test_one_that_never_wrote_anything_is_closed_at_once(store: Store):
    asyncio.run(Recorder(store).close())


def test_what_the_database_refuses_costs_its_output_but_not_its_end_and_nobody_elses(
    store: Store, caplog: pytest.LogCaptureFixture
):
    secret = Block(1, "stdout", 0, NOW.replace(tzinfo=None), b"words")  # a time without a zone is not taken

    async def main() -> None:
        recorder = Recorder(store)
        bad, good = queued(), ended(queued())
        await recorder.done(recorder.put(inserted(bad)))
        refused = recorder.put(appended(bad.id, [secret]))
        written = recorder.put(inserted(good, [out(0, "a")]))
        with pytest.raises(StatementError):
            await recorder.done(refused)
        await recorder.done(written)
        assert (await store.get(good.id)).stdout == "a"
        assert (await store.get(bad.id)).truncated
        await recorder.done(recorder.put(finished(ended(bad), [out(5, "b")])))
        assert (await store.get(bad.id)).state is State.SUCCEEDED

        worse = ended(queued(), result=1)
        with pytest.raises(TypeError):
            await recorder.done(recorder.put(inserted(worse, [secret])))
        found = await store.get(worse.id)
        assert (found.state, found.message, found.result) == (State.SUCCEEDED, REFUSED, None)
        assert "words" not in caplog.text
        await recorder.close()

    asyncio.run(main())


def test_what_is_refused_while_nobody_waits_any_longer_gets_no_value_into_the_log(
    store: Store, caplog: pytest.LogCaptureFixture
):
    async def main() -> None:
        recorder = Recorder(store)
        bad = queued(user="precious", created_at=NOW.replace(tzinfo=None))  # without a zone it is not taken
        for wait in (lambda written: recorder.flush(0), impatient(recorder)):
            written = recorder.put(inserted(bad))
            await wait(written)
            with pytest.raises(StatementError) as refused:
                await recorder.done(written)
            assert "precious" not in str(refused.value)
        await recorder.close()

    def impatient(recorder: Recorder) -> Callable[[Written], Awaitable[None]]:
        async def wait(written: Written) -> None:
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(recorder.done(written), 0)

        return wait

    asyncio.run(main())
    gc.collect()
    assert "never retrieved" not in caplog.text
    assert "precious" not in caplog.text
