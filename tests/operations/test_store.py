from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from itertools import chain, count
from typing import Any

import pytest
from sqlalchemy import event, func, select, update
from sqlalchemy.engine import Connection

from airflow_rest_api.commands.needs import Ask, Resource
from airflow_rest_api.errors import UnknownOperation, UnknownResultFile
from airflow_rest_api.operations import heartbeat
from airflow_rest_api.operations import store as store_module
from airflow_rest_api.operations.model import (
    CUT,
    Filter,
    Key,
    KeyTaken,
    Operation,
    OutputFile,
    Server,
    State,
)
from airflow_rest_api.operations.rows import LONGEST_DETAILS
from airflow_rest_api.operations.store import Store
from airflow_rest_api.operations.tables import CANCEL, FILE, OPERATION, OUTPUT
from airflow_rest_api.operations.transcript import Block, Stream, Transcript
from airflow_rest_api.storage.database import Database
from tests.operations.scene import append, begin, end

NOW = datetime.now(timezone.utc)
NUMBERS = count()
SOON = timedelta(milliseconds=1)


@pytest.fixture(autouse=True)
def _now(monkeypatch: pytest.MonkeyPatch) -> None:
    # What the tests are read at can be long before they run.
    monkeypatch.setitem(globals(), "NOW", datetime.now(timezone.utc))


@pytest.fixture
def store(every_database: Database) -> Store:
    return Store(every_database)


def operation(**changes: Any) -> Operation:
    ended = {"state": State.SUCCEEDED, "exit_code": 0, "started_at": NOW, "finished_at": NOW}
    given = {
        # Those of one millisecond are in no order.
        "id": f"{int(NOW.timestamp() * 1000):012x}7{next(NUMBERS):019x}",
        "command": "dags list",
        "effect": "read",
        "argv": ["dags", "list"],
        "user": "u",
        "host": "h",
        "created_at": NOW,
        "server": "s",
    }
    return Operation(**{**given, **ended, **changes})


def running(**changes: Any) -> Operation:
    return operation(
        **{"state": State.QUEUED, "exit_code": None, "started_at": None, "finished_at": None, **changes}
    )


def printed(*pieces: str | tuple[Stream, str], begin: int = 0, seq: int = 1) -> list[Block]:
    """Return pieces of stdout, or of the stream given, as they follow upon each other."""
    offsets: dict[Stream, int] = {"stdout": begin, "stderr": begin, "progress": 0}
    blocks = []
    for number, piece in enumerate(pieces, seq):
        stream, text = ("stdout", piece) if isinstance(piece, str) else piece
        blocks.append(Block(number, stream, offsets[stream], NOW + number * SOON, text.encode()))
        offsets[stream] += len(text.encode())
    return blocks


def text_of(blocks: list[Block]) -> str:
    return b"".join(block.data for block in blocks).decode()


async def run(store: Store, work: Callable[..., Any], *arguments: Any) -> Any:
    return await store.database.run(lambda connection: work(connection, *arguments))


async def ids(store: Store, wanted: Filter | None = None, **page: Any) -> list[str]:
    return [each.id for each in await store.list(wanted, **page)]


async def rows_of(store: Store, identifier: str) -> dict[str, int]:
    """Return how many rows there are of an operation, by table."""

    def work(connection: Any) -> dict[str, int]:
        return {
            table.name: connection.execute(
                select(func.count()).select_from(table).where(column == identifier)
            ).scalar()
            for table, column in (
                (OPERATION, OPERATION.c.id),
                (OUTPUT, OUTPUT.c.operation_id),
                (FILE, FILE.c.operation_id),
                (CANCEL, CANCEL.c.operation_id),
            )
        }

    return await store.database.run(work)


def test_what_was_kept_comes_back_as_it_was(store: Store):
    full = operation(
        user="Jürgen 🐘",
        dag_id="d",
        state=State.FAILED,
        exit_code=3,
        message="It \x00 failed: ☃",
        argv=["a", "\x00", "\udcff", "☃"],
        warnings=["w"],
        files=[OutputFile("file_path", "f.json", 3, "application/json")],
        refused="no",
        rerun_of="r",
        endpoint="trigger_dag",
        asks=(
            Ask(Resource.DAG, "GET", None, ("a", "b")),
            Ask(Resource.POWER, "PUT", "Execute", None),
        ),
        result={"rows": [1, None, "\x00☃"]},
        created_at=datetime(2026, 1, 2, 3, 4, 5, 678901, timezone(timedelta(hours=5))),
    )

    async def main() -> None:
        await store.insert(full, printed("out", ("stderr", "err"), "put\n"))
        found = await store.get(full.id)
        assert (found.stdout, found.stderr) == ("output\n", "err")
        assert found == replace(full, stdout="output\n", stderr="err", message="It � failed: ☃")
        assert found.created_at.utcoffset() == timedelta(0)

    asyncio.run(main())


def test_an_operation_that_has_ended_is_one_row(store: Store):
    async def main() -> None:
        ended = operation(result=[1])
        await store.insert(ended, printed("a", ("stderr", "b"), ("progress", "{}")))
        assert await rows_of(store, ended.id) == {
            OPERATION.name: 1,
            OUTPUT.name: 0,
            FILE.name: 0,
            CANCEL.name: 0,
        }

    asyncio.run(main())


def test_large_output_files_and_results_come_back_whole(every_database: Database):
    store = Store(every_database)
    out, content = "ü" * 1_500_000, bytes(range(256)) * 10_000
    result = [f"{number:032x}"[::-1] + str(hash((number, "x"))) for number in range(60_000)]
    ended = operation(
        result=result, files=[OutputFile("a", "f", len(content), "b"), OutputFile("a", "e", 0, "b")]
    )

    async def main() -> None:
        transcript = Transcript(8 * 1024 * 1024)
        transcript.add("stdout", out.encode())
        await store.insert(ended, transcript.since(0), {"f": content, "e": b""})
        found = await store.get(ended.id)
        assert (found.stdout == out, found.result == result, found.truncated) == (True, True, False)
        assert await store.file(ended.id, "f") == content
        assert await store.file(ended.id, "e") == b""
        blocks, state = await store.blocks(ended.id, limit=10_000)
        assert (blocks == transcript.since(0), state) == (True, State.SUCCEEDED)

    asyncio.run(main())


def test_a_command_line_that_is_too_long_is_cut(store: Store):
    async def main() -> None:
        words = operation(argv=["a", "x" * 30_000_000, "b"])
        many = operation(argv=["xyz"] * 500_000, warnings=["w" * 1000] * 50)
        whole = operation(argv=["x" * 2000] * 16)
        for each in (words, many, whole):
            await store.insert(each)
        assert (await store.get(words.id)).argv == ["a", CUT]
        kept = await store.get(many.id)
        assert kept.argv == ["xyz"] * (LONGEST_DETAILS // 2 // len('"xyz"')) + [CUT]
        assert kept.warnings == ["w" * 1000] * 32 + [CUT]
        assert (await store.get(whole.id)).argv == whole.argv

    asyncio.run(main())


def test_from_the_queue_to_the_end(store: Store):
    async def main() -> None:
        one = running()
        await store.insert(one)
        assert await store.state(one.id) is State.QUEUED

        one.started_at = NOW + SOON
        await begin(store, one)
        await append(store, one.id, printed("first\n"))
        found = await store.get(one.id)
        assert (found.state, found.started_at, found.stdout) == (State.RUNNING, NOW + SOON, "first\n")

        one.state, one.exit_code, one.finished_at, one.result = State.FAILED, 7, NOW + 2 * SOON, {"a": 1}
        one.files = [OutputFile("a", "f", 1, "b")]
        await end(store, one, printed("second\n", begin=6, seq=2), {"f": b"1"})
        assert await store.get(one.id) == replace(one, stdout="first\nsecond\n")
        assert await store.file(one.id, "f") == b"1"

    asyncio.run(main())


def test_the_true_end_comes_after_lost_and_stays(store: Store):
    async def main() -> None:
        one = running()
        await store.insert(one)
        assert await run(store, heartbeat.mark_lost, "s") == [one.id]
        assert await store.state(one.id) is State.LOST
        await begin(store, replace(one, started_at=NOW))
        assert await store.state(one.id) is State.LOST
        await end(store, replace(one, state=State.SUCCEEDED, exit_code=0, finished_at=NOW))
        found = await store.get(one.id)
        assert (found.state, found.message) == (State.SUCCEEDED, None)

    asyncio.run(main())


def test_an_end_is_kept_although_the_operation_is_gone(store: Store):
    async def main() -> None:
        one = running()
        await store.insert(one)
        await store.discard(one.id)
        await end(store, replace(one, state=State.SUCCEEDED, finished_at=NOW), printed("x"))
        assert (await store.get(one.id)).stdout == "x"

    asyncio.run(main())


def test_what_is_written_again_after_an_outage_is_there_once(store: Store):
    async def main() -> None:
        one = running()
        await store.insert(one)
        await append(store, one.id, printed("a", ("stderr", "b")))
        await append(store, one.id, printed("a", ("stderr", "b"), "c"))
        assert text_of((await store.blocks(one.id))[0]) == "abc"
        ended = replace(one, state=State.SUCCEEDED, finished_at=NOW)
        await end(store, ended, printed("d", begin=2, seq=4), {"f": b"1"})
        await end(store, ended, printed("d", begin=2, seq=4), {"f": b"1"})
        await store.insert(ended, printed("a", ("stderr", "b"), "c", "d"), {"f": b"1"})
        found = await store.get(one.id)
        assert (found.stdout, found.stderr, found.truncated) == ("acd", "b", False)
        assert await store.file(one.id, "f") == b"1"

    asyncio.run(main())


def test_output_is_in_the_order_of_printing_and_can_be_read_on(store: Store):
    async def main() -> None:
        one = running()
        await store.insert(one)
        made = printed("1", ("stderr", "2"), "3", ("progress", '{"step": 4}'), ("stderr", "5"))
        await append(store, one.id, made)
        assert await store.blocks(one.id) == (made, State.QUEUED)
        assert await store.blocks(one.id, 1, limit=2) == (made[1:3], State.QUEUED)
        assert await store.blocks(one.id, 5) == ([], State.QUEUED)
        last = printed("six", begin=2, seq=6)
        await end(store, replace(one, state=State.SUCCEEDED, finished_at=NOW), last)
        assert await store.blocks(one.id, 3) == (made[3:] + last, State.SUCCEEDED)
        assert await store.blocks_of(one.id, "stdout", 1) == ([made[2], *last], State.SUCCEEDED)
        assert await store.blocks_of(one.id, "stdout", 4) == (last, State.SUCCEEDED)
        assert await store.blocks_of(one.id, "stderr", 2) == ([], State.SUCCEEDED)

    asyncio.run(main())


def test_a_clock_that_is_set_back_changes_no_order(store: Store):
    async def main() -> None:
        one = running()
        await store.insert(one)
        await append(store, one.id, printed("1"))
        await append(store, one.id, [Block(2, "stderr", 0, NOW - timedelta(hours=1), b"2")])
        await append(store, one.id, [Block(3, "stdout", 1, NOW - timedelta(hours=2), b"3")])
        assert text_of((await store.blocks(one.id))[0]) == "123"
        assert (await store.get(one.id)).stdout == "13"

    asyncio.run(main())


def test_head_and_tail_stay_and_the_middle_goes(store: Store):
    async def main() -> None:
        one, transcript, written = running(), Transcript(1000), 0
        await store.insert(one)
        text = "".join(f"{number:04}\n" for number in range(600))
        for start in range(0, len(text), 70):
            transcript.add("stdout", text[start : start + 70].encode())
            transcript.close()
            blocks = transcript.since(written)
            await append(store, one.id, blocks, dropped=transcript.take_dropped())
            written = transcript.last
        found = await store.get(one.id)
        assert found.truncated
        assert found.stdout == transcript.text("stdout")
        assert found.stdout.startswith(text[:500])
        assert found.stdout.endswith(text[-500:])
        assert (await rows_of(store, one.id))[OUTPUT.name] == len(transcript.since(0))
        assert (await store.blocks(one.id))[0] == transcript.since(0)

    asyncio.run(main())


def test_what_was_dropped_is_deleted_of_its_own_stream_alone(store: Store):
    async def main() -> None:
        one = running()
        await store.insert(one)
        made = printed(*["x" * 100] * 6, ("stderr", "e"), "x" * 100, "y" * 100)
        await append(store, one.id, made[:-1])
        await append(store, one.id, made[-1:], dropped={"stdout": (5, 8)})
        found = await store.get(one.id)
        assert (found.stdout, found.stderr, found.truncated) == (
            "x" * 400 + "\n… 300 bytes left out …\n" + "y" * 100,
            "e",
            True,
        )

    asyncio.run(main())


def test_an_operation_and_a_file_that_are_not_there_are_told_apart(store: Store):
    async def main() -> None:
        ended = operation()
        await store.insert(ended, (), {"f": b"1"})
        with pytest.raises(UnknownResultFile):
            await store.file(ended.id, "g")
        with pytest.raises(UnknownResultFile):
            await store.file(ended.id, "")
        asks: list[Callable[[str], Awaitable[Any]]] = [
            store.get,
            store.state,
            store.blocks,
            lambda missing: store.file(missing, "f"),
            lambda missing: store.ask_cancel(missing, "r"),
        ]
        for ask in asks:
            with pytest.raises(UnknownOperation):
                await ask("0" * 32)

    asyncio.run(main())


def test_the_newest_come_first_page_by_page(store: Store):
    async def main() -> None:
        made = [operation() for _ in range(5)]
        for each in made:
            await store.insert(each, printed("x"))
        newest = [each.id for each in reversed(made)]
        assert await ids(store, limit=2) == newest[:2]
        assert await ids(store, limit=2, before=newest[1]) == newest[2:4]
        assert await ids(store, before=newest[4]) == []
        assert (await store.list(limit=1))[0].stdout == ""

    asyncio.run(main())


def test_a_list_holds_what_was_asked_for(store: Store):
    async def main() -> None:
        old = NOW - timedelta(days=2)
        plain = operation()
        other = operation(user="U", command="dags test", effect="execute", dag_id="d", state=State.FAILED)
        waiting = running(dag_id="D")
        early = operation(id=f"{int(old.timestamp() * 1000):012x}" + "7" + "0" * 19, created_at=old)
        for each in (early, plain, other, waiting):
            await store.insert(each)
        assert await ids(store, Filter(user="u")) == [waiting.id, plain.id, early.id]
        assert await ids(store, Filter(user="U")) == [other.id]
        assert await ids(store, Filter(command="dags test")) == [other.id]
        assert await ids(store, Filter(effects=("read",), user="u"), limit=1) == [waiting.id]
        changing = Filter(effects=("write", "execute"))
        assert await ids(store, changing) == [other.id]
        assert await ids(store, Filter(effects=("execute", "read"))) == await ids(store)
        assert await ids(store, Filter(effects=("read", "execute"), states=(State.FAILED,))) == [other.id]
        assert await ids(store, changing, before=other.id) == []
        assert await ids(store, Filter(dag_id="d")) == [other.id]
        assert await ids(store, Filter(states=(State.FAILED,))) == [other.id]
        assert await ids(store, Filter(states=(State.FAILED, State.QUEUED))) == [waiting.id, other.id]
        assert await ids(store, Filter(states=(State.FAILED, State.QUEUED)), before=waiting.id) == [other.id]
        assert await ids(store, Filter(until=NOW)) == [early.id]
        assert await ids(store, Filter(since=NOW)) == [waiting.id, other.id, plain.id]
        assert await ids(store, Filter(since=old, until=old + SOON)) == [early.id]
        assert await ids(store, Filter(since=NOW + timedelta(seconds=1))) == []

    asyncio.run(main())


def test_those_of_several_endpoints_are_one_list(store: Store):
    async def main() -> None:
        names = ("pause", "pool", None, "pause", "version", "pool")
        made = [operation(endpoint=name) for name in names]
        made[0] = replace(made[0], state=State.FAILED)
        for each in made:
            await store.insert(each)
        pause, pool, plain, pause2, version, pool2 = (each.id for each in made)
        both = Filter(endpoints=("pause", "pool"))
        assert await ids(store, both) == [pool2, pause2, pool, pause]
        assert await ids(store, both, limit=2) == [pool2, pause2]
        assert await ids(store, both, limit=2, before=pause2) == [pool, pause]
        assert await ids(store, Filter(endpoints=(None,))) == [plain]
        assert await ids(store, Filter(endpoints=(None, "version"))) == [version, plain]
        assert await ids(store, replace(both, states=(State.FAILED, State.LOST))) == [pause]

    asyncio.run(main())


def test_a_key_leads_to_one_operation(store: Store):
    async def main() -> None:
        first, second = running(), running()
        key = Key("u", "k" * 500, "f" * 64)
        assert await store.find_key("u", key.key) is None
        await store.insert(first, key=key)
        with pytest.raises(KeyTaken) as taken:
            await store.insert(second, key=key)
        assert (taken.value.identifier, taken.value.fingerprint) == (first.id, "f" * 64)
        assert await store.find_key("u", key.key) == (first.id, "f" * 64)
        assert await store.find_key("U", key.key) is None
        await store.insert(second, key=replace(key, user="U"))
        await end(store, replace(first, state=State.SUCCEEDED, finished_at=NOW))
        assert await store.find_key("u", key.key) == (first.id, "f" * 64)
        await store.discard(first.id)
        assert await store.find_key("u", key.key) is None

    asyncio.run(main())


def test_of_many_with_the_same_key_at_once_one_comes_to_be(store: Store):
    async def main() -> None:
        made = [running() for _ in range(12)]
        key = Key("u", "k", "f" * 64)
        ends = await asyncio.gather(*(store.insert(each, key=key) for each in made), return_exceptions=True)
        winners = [each.id for each, end in zip(made, ends, strict=True) if end is None]
        assert len(winners) == 1
        assert {end.identifier for end in ends if isinstance(end, KeyTaken)} == set(winners)
        assert [end for end in ends if end is not None and not isinstance(end, KeyTaken)] == []

    asyncio.run(main())


def test_who_asks_for_the_end_is_heard_by_the_server_that_runs_it(store: Store):
    async def main() -> None:
        one, elsewhere, ended = running(), running(server="t"), operation()
        for each in (one, elsewhere, ended):
            await store.insert(each)
        assert await store.ask_cancel(one.id, "because") is State.QUEUED
        assert await store.ask_cancel(one.id, "another") is State.QUEUED
        assert await store.ask_cancel(ended.id, "late") is State.SUCCEEDED
        assert await store.cancels("s") == {one.id: "because"}
        assert await store.cancels("t") == {}
        await end(store, replace(one, state=State.CANCELLED, finished_at=NOW))
        assert await store.cancels("s") == {}

    asyncio.run(main())


def test_one_whose_state_is_damaged_counts_as_lost_for_who_asks_for_its_end(store: Store):
    async def main() -> None:
        made = running()
        await store.insert(made)
        damage = update(OPERATION).where(OPERATION.c.id == made.id).values(state="nonsense")
        await run(store, lambda connection: connection.execute(damage) and None)

        assert await store.ask_cancel(made.id, "r") is State.LOST
        assert await store.cancels("s") == {}

    asyncio.run(main())


def test_servers_come_with_their_first_beat_and_leave(store: Store):
    async def main() -> None:
        server = Server("s", "h", 1, NOW)
        await run(store, heartbeat.beat, server)
        await run(store, heartbeat.beat, replace(server, beat=1))
        await run(store, heartbeat.beat, Server("t", "h", 2, NOW))
        assert await run(store, heartbeat.known) == [replace(server, beat=1), Server("t", "h", 2, NOW)]
        await run(store, heartbeat.leave, "t")
        assert await run(store, heartbeat.known) == [replace(server, beat=1)]

    asyncio.run(main())


def test_what_a_dead_server_ran_is_lost_with_the_output_it_had(store: Store):
    async def main() -> None:
        await run(store, heartbeat.beat, Server("s", "h", 1, NOW))
        await run(store, heartbeat.beat, Server("t", "h", 2, NOW))
        theirs, elsewhere, ended = running(), running(server="t"), operation()
        for each in (theirs, elsewhere, ended):
            await store.insert(each)
        await append(store, theirs.id, printed("so far"))
        await store.ask_cancel(theirs.id, "r")

        assert await run(store, heartbeat.mark_lost, "s") == [theirs.id]

        found = await store.get(theirs.id)
        assert (found.state, found.stdout) == (State.LOST, "so far")
        assert found.message
        assert found.finished_at is not None
        assert await store.state(elsewhere.id) is State.QUEUED
        assert await store.state(ended.id) is State.SUCCEEDED
        assert [server.id for server in await run(store, heartbeat.known)] == ["t"]
        assert await store.cancels("s") == {}
        assert await run(store, heartbeat.mark_lost, "s") == []

    asyncio.run(main())


def test_each_operation_is_buried_by_one_of_several(store: Store):
    async def main() -> None:
        made = [running() for _ in range(20)]
        for each in made:
            await store.insert(each)
        buried = await asyncio.gather(*(run(store, heartbeat.mark_lost, "s") for _ in range(4)))
        assert sorted(chain(*buried)) == sorted(each.id for each in made)

    asyncio.run(main())


def test_unfinished_operations_of_unknown_servers_are_found(store: Store):
    async def main() -> None:
        await run(store, heartbeat.beat, Server("s", "h", 1, NOW))
        for each in (running(), running(server="gone"), operation(server="ended")):
            await store.insert(each)
        assert await run(store, heartbeat.orphans) == {"gone"}

    asyncio.run(main())


def test_the_oldest_go_beyond_the_count_with_all_that_is_theirs(
    store: Store, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(store_module, "BATCH", 3)

    async def main() -> None:
        made = [operation(finished_at=NOW + number * SOON) for number in range(10)]
        for each in reversed(made):
            await store.insert(each, (), {"f": b"1"})
        open_one = running(created_at=NOW - timedelta(days=1))
        await store.insert(open_one)
        await append(store, made[0].id, printed("x"))
        assert await store.sweep(2, 1000) == 8
        assert set(await ids(store)) == {made[8].id, made[9].id, open_one.id}
        assert set((await rows_of(store, made[0].id)).values()) == {0}
        assert await store.sweep(2, 1000) == 0

    asyncio.run(main())


def test_those_that_ended_in_the_same_moment_are_counted_too(store: Store):
    async def main() -> None:
        for _ in range(6):
            await store.insert(operation())
        assert await store.sweep(4, 1000) == 2
        assert len(await ids(store)) == 4

    asyncio.run(main())


def test_the_old_go_by_their_end_not_by_their_beginning(store: Store):
    async def main() -> None:
        hour_ago = NOW - timedelta(hours=1)
        old = operation(finished_at=hour_ago)
        long_one = operation(created_at=hour_ago, started_at=hour_ago, finished_at=NOW)
        for each in (old, long_one):
            await store.insert(each)
        assert await store.sweep(100, 1800) == 1
        assert await ids(store) == [long_one.id]

    asyncio.run(main())


def test_several_servers_may_sweep_at_once(store: Store, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(store_module, "BATCH", 5)

    async def main() -> None:
        for number in range(40):
            await store.insert(operation(finished_at=NOW + number * SOON))
        await asyncio.gather(*(store.sweep(10, 1000) for _ in range(3)))
        assert len(await ids(store)) == 10

    asyncio.run(main())


LISTED = datetime.now(timezone.utc)

# Without these PostgreSQL reads a small table from one end to the other, and rightly so.
ONLY_INDEXES = ("enable_seqscan", "enable_bitmapscan", "enable_sort")


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        (Filter(), "key"),
        (Filter(states=(State.FAILED,)), "state"),
        (Filter(states=(State.QUEUED, State.RUNNING)), "state"),
        (Filter(command="dags list"), "command"),
        (Filter(user="u"), "user"),
        (Filter(effects=("read",)), "effect"),
        (Filter(effects=("write", "execute", "service", "destructive")), "effect"),
        (Filter(dag_id="d"), "dag_id"),
        (Filter(endpoints=("pause",)), "endpoint"),
        (Filter(endpoints=("pause", "pool")), "endpoint"),
        (Filter(since=LISTED), "key"),
        (Filter(until=LISTED), "key"),
    ],
    ids=lambda value: (
        next((n for n, v in vars(value).items() if v), "all") if isinstance(value, Filter) else ""
    ),
)
@pytest.mark.parametrize("migrated", ["sqlite", "postgresql"], indirect=True)
def test_a_page_is_read_off_its_index_in_its_order(every_database: Database, wanted: Filter, index: str):
    plans = explained(every_database, wanted)
    names = {"key": ("sqlite_autoindex_rest_api_operation_1", "rest_api_operation_pkey")}
    expected = names.get(index, (f"rest_api_operation_{index}",))
    assert len(plans) == max(1, len(wanted.states), len(wanted.endpoints), len(wanted.effects))
    for plan in plans:
        assert any(f" {name} " in plan for name in expected), plan
        assert "Sort" not in plan
        assert "TEMP B-TREE" not in plan


def explained(database: Database, wanted: Filter) -> list[str]:
    """Return how the database goes about a page: the words of each of its statements."""
    statements: list[tuple[str, Any]] = []

    def note(_: object, __: object, statement: str, parameters: Any, *___: object) -> None:
        if "FROM rest_api_operation" in statement:
            statements.append((statement, parameters))

    engine = database.engine()
    event.listen(engine, "before_cursor_execute", note)
    asyncio.run(Store(database).list(wanted, before="f" * 32))
    event.remove(engine, "before_cursor_execute", note)

    def work(connection: Connection) -> list[str]:
        how = "EXPLAIN QUERY PLAN"
        if engine.dialect.name == "postgresql":
            how = "EXPLAIN"
            for option in ONLY_INDEXES:
                connection.exec_driver_sql(f"SET LOCAL {option} = off")
        plans = [connection.exec_driver_sql(f"{how} {sql}", given) for sql, given in list(statements)]
        return ["\n".join(" ".join(map(str, row)) for row in plan) for plan in plans]

    return database.call(work)
