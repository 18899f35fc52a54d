from __future__ import annotations

import asyncio
import io
import json
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from airflow_rest_api.engine.job import Ending, Outcome
from airflow_rest_api.errors import BadArgument, Busy, TooManyWaiting, Unavailable, UnknownOperation
from airflow_rest_api.operations.files import Upload, Workspace
from airflow_rest_api.operations.model import Cancel, Filter, Key, KeyTaken, Operation, Origin, State, new_id
from airflow_rest_api.operations.result import DEEPEST
from tests.operations.scene import CATALOG, database_of, late_answers, make_store, operations, until
from tests.permits import permit
from tests.standin import Script, StandInProcess, own_database, prints, until_cancelled


def run(script: Script, *argv: str, **options: Any) -> Operation:
    """Run a command line to its end."""

    async def main() -> Operation:
        service, _ = operations(script, **options)
        started = await service.start(permit(), CATALOG.parse(argv), parser=CATALOG)
        ended = await service.wait(started.id, 60)
        await service.settle()
        return ended

    return asyncio.run(main())


def ends(ending: Ending, code: int | None = None, message: str | None = None) -> Script:
    async def script(process: StandInProcess) -> Outcome:
        process.stderr.add(b"usage: words")
        return Outcome(ending, code, None, message)

    return script


@pytest.mark.parametrize(
    ("ending", "code", "state"),
    [
        (Ending.EXITED, 0, State.SUCCEEDED),
        (Ending.EXITED, 1, State.FAILED),
        (Ending.KILLED, None, State.FAILED),
        (Ending.TIMED_OUT, None, State.TIMED_OUT),
        (Ending.CANCELLED, None, State.CANCELLED),
        (Ending.LOST, None, State.LOST),
    ],
)
def test_the_state_tells_how_the_command_ended(ending: Ending, code: int | None, state: State):
    operation = run(ends(ending, code, "words"), "version")

    assert (operation.state, operation.exit_code, operation.message) == (state, code, "words")
    assert operation.created_at <= operation.started_at <= operation.finished_at  # type: ignore[operator]


def test_a_refusal_of_the_parser_is_a_failure_with_its_words():
    operation = run(ends(Ending.USAGE, None, "the following arguments are required: x"), "version")

    assert (operation.state, operation.exit_code) == (State.FAILED, 2)
    assert operation.refused == "the following arguments are required: x"
    assert run(ends(Ending.USAGE, 2), "version").refused == "usage: words"


def test_the_result_is_the_json_that_was_asked_for():
    assert run(prints('log\n[{"a": 1}]\n'), "dags", "list", "--output", "json").result == [{"a": 1}]
    assert run(prints('[{"a": 1}]\n'), "dags", "list").result is None
    assert run(prints('[{"a": 1}]\n'), "version").result is None


def test_a_long_result_is_read_as_well():
    text = "[" + ", ".join(["1"] * 50_000) + "]"

    assert len(run(prints(text), "dags", "list", "-o", "json").result) == 50_000


def test_output_that_was_cut_is_no_result_and_says_why():
    operation = run(prints("[" + "1," * 2000 + "1]"), "dags", "list", "-o", "json", output_limit=1024)

    assert (operation.truncated, operation.result) == (True, None)
    assert "output_limit" in operation.warnings[0]


@pytest.mark.parametrize("padding", [0, 100_000], ids=["short", "long"])
def test_a_result_that_is_nested_too_deeply_to_be_answered_is_none_and_says_why(padding: int):
    answered, refused = [
        run(prints("[" * depth + "]" * depth + " " * padding), "dags", "list", "-o", "json")
        for depth in (DEEPEST, DEEPEST + 1)
    ]

    assert (answered.state, answered.warnings) == (State.SUCCEEDED, [])
    assert answered.result == json.loads("[" * DEEPEST + "]" * DEEPEST)
    assert (refused.state, refused.result) == (State.SUCCEEDED, None)
    assert "nested" in refused.warnings[0]


def test_a_running_operation_shows_what_was_printed_so_far():
    async def main() -> None:
        store = make_store()
        service, engine = operations(until_cancelled, store=store)
        started = await service.start(permit(), CATALOG.parse(["version"]))

        async def printed() -> bool:
            return bool((await service.get(started.id)).stdout)

        await until(printed)
        now = await service.wait(started.id, 0.05)
        assert (now.state, now.stdout, now.finished_at) == (State.RUNNING, "working\n", None)
        # Whoever was answered finds it, here and on any other server.
        assert [each.id for each in await store.list()] == [started.id]
        engine.processes[0].cancel()
        await service.settle()

    asyncio.run(main())


def test_cancel_ends_a_command_once_and_changes_nothing_after():
    async def main() -> None:
        service, _ = operations(until_cancelled)
        started = await service.start(permit(), CATALOG.parse(["version"]))
        await asyncio.sleep(0)
        assert await service.cancel(started.id, "first") is Cancel.ASKED
        assert await service.cancel(started.id, "second") is Cancel.ASKED_BEFORE
        ended = await service.wait(started.id, 60)
        assert (ended.state, ended.message) == (State.CANCELLED, "first")
        await service.settle()
        assert await service.cancel(started.id, "third") is Cancel.ENDED_BEFORE
        assert await service.get(started.id) == ended

    asyncio.run(main())


def test_a_waiting_client_that_goes_away_does_not_stop_the_command():
    async def main() -> None:
        service, engine = operations(until_cancelled)
        started = await service.start(permit(), CATALOG.parse(["version"]))
        waiting = asyncio.create_task(service.wait(started.id, 60))
        await asyncio.sleep(0.01)
        waiting.cancel()
        await asyncio.sleep(0.01)
        assert not (await service.get(started.id)).state.ended
        assert not engine.processes[0].cancelled.is_set()
        await service.cancel(started.id, "enough")
        assert (await service.wait(started.id, 60)).state is State.CANCELLED

    asyncio.run(main())


def test_many_may_wait_for_one_operation():
    async def main() -> None:
        service, _ = operations(until_cancelled)
        started = await service.start(permit(), CATALOG.parse(["version"]))
        waiting = [asyncio.create_task(service.wait(started.id, 60)) for _ in range(20)]
        await asyncio.sleep(0)
        await service.cancel(started.id, "enough")
        assert {(await each).state for each in waiting} == {State.CANCELLED}

    asyncio.run(main())


def test_a_busy_engine_leaves_no_operation_and_no_folder(tmp_path: Path):
    async def main() -> None:
        store = make_store()
        service, engine = operations(prints(), tmp_path, store=store)
        engine.busy = True
        with pytest.raises(Busy):
            await service.start(permit(), CATALOG.parse(["variables", "export", "v.json"]), parser=CATALOG)
        assert await store.list() == []

    asyncio.run(main())
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_missing_leaves_no_operation_and_no_folder(tmp_path: Path):
    async def main() -> None:
        store = make_store()
        service, engine = operations(prints(), tmp_path, store=store)
        with pytest.raises(BadArgument):
            await service.start(permit(), CATALOG.parse(["pools", "import", "p.json"]), parser=CATALOG)
        assert (await store.list(), engine.jobs) == ([], [])

    asyncio.run(main())
    assert list(tmp_path.iterdir()) == []


async def copies(process: StandInProcess) -> Outcome:
    """Read or write the file that the last word names, as the commands do."""
    path = Path(process.job.argv[-1])
    if process.job.argv[1] == "import":
        process.stdout.add(f"read {path}: ".encode() + path.read_bytes())
    else:
        path.write_bytes(b'{"a": 1}')
        process.stdout.add(f"written {path}".encode())
    return Outcome(Ending.EXITED, 0)


def test_a_file_goes_in_by_upload_and_the_folder_is_gone_afterwards(tmp_path: Path):
    async def main() -> Operation:
        service, _ = operations(copies, tmp_path)
        upload = Upload("../mine.json", io.BytesIO(b"content"))
        invocation = CATALOG.bind(CATALOG.get("pools import"), {"file": "mine.json"})
        started = await service.start(permit(), invocation, files={"file": upload}, parser=CATALOG)
        return await service.wait(started.id, 60)

    operation = asyncio.run(main())
    assert operation.stdout == "read ../mine.json: content"
    assert operation.argv[-1] == "mine.json"
    assert list(tmp_path.iterdir()) == []


def test_a_file_comes_out_and_the_folder_is_gone_afterwards(tmp_path: Path):
    async def main() -> None:
        service, _ = operations(copies, tmp_path)
        started = await service.start(
            permit(), CATALOG.parse(["pools", "export", "/x/p.json"]), parser=CATALOG
        )
        ended = await service.wait(started.id, 60)
        assert [(f.argument, f.name, f.size) for f in ended.files] == [("file", "p.json", 8)]
        assert await service.file(ended.id, "p.json") == b'{"a": 1}'
        assert ended.stdout == "written /x/p.json"

    asyncio.run(main())
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_too_large_is_named_and_not_kept(tmp_path: Path):
    operation = run(copies, "pools", "export", "p.json", folder=tmp_path, file_limit=7)

    assert operation.files == []
    assert operation.warnings == ["p.json has 8 bytes, more than max_upload: it was not kept."]


def test_an_end_that_cannot_be_read_is_recorded_and_cleaned_up(tmp_path: Path):
    async def breaks(process: StandInProcess) -> Outcome:
        raise RuntimeError("inside")

    operation = run(breaks, "pools", "export", "p.json", folder=tmp_path)

    assert operation.state is State.LOST
    assert "inside" not in str(operation.message)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_removed_keeps_no_operation_from_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    def remove(self: Workspace) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(Workspace, "remove", remove)

    operation = run(prints("done"), "pools", "export", "p.json", folder=tmp_path)

    assert (operation.state, operation.stdout) == (State.SUCCEEDED, "done")
    assert "can't start new thread" in caplog.text


def test_a_folder_that_cannot_be_removed_hides_no_reason_why_nothing_began(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def remove(self: Workspace) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(Workspace, "remove", remove)
    with pytest.raises(BadArgument):
        run(prints(), "variables", "import", "v.json", folder=tmp_path)


def test_secrets_are_masked_in_the_record_and_not_in_the_job():
    async def main() -> None:
        service, engine = operations(prints())
        invocation = CATALOG.parse(["connections", "add", "c", "--conn-uri", "http://u:hidden@h"])
        started = await service.start(permit(), invocation)
        assert "hidden" not in str((await service.wait(started.id, 60)).argv)
        assert "hidden" in str(engine.jobs[0].argv)

    asyncio.run(main())


@pytest.mark.parametrize("timeout", [60, None])
def test_a_command_has_the_timeout_of_the_settings(timeout: float | None):
    async def main() -> None:
        service, engine = operations(prints(), command_timeout=timeout)
        await service.start(permit(), CATALOG.parse(["version"]))
        assert engine.jobs[0].timeout == timeout
        await service.settle()

    asyncio.run(main())


async def never(process: StandInProcess) -> Outcome:
    """Wait for its turn until cancelled."""
    process.state, process.started_at = "queued", None
    await process.cancelled.wait()
    return Outcome(Ending.CANCELLED, None, None, process.reason)


def test_a_short_command_costs_a_single_write():
    async def main() -> None:
        store = make_store()
        service, _ = operations(prints("out", "err"), store=store)
        await store.list()  # the tables are made
        before = database_of(store).calls
        started = await service.start(permit(), CATALOG.parse(["version"]))
        ended = await service.wait(started.id, 60)
        await service.written()
        assert database_of(store).calls == before + 1
        await service.settle()
        assert await service.get(ended.id) == ended
        assert (ended.stdout, ended.stderr, ended.server) == ("out", "err", service.server.id)

    asyncio.run(main())


@pytest.mark.slow
def test_what_runs_longer_is_in_the_database_with_what_it_printed_so_far():
    async def main() -> None:
        store = make_store()
        service, engine = operations(until_cancelled, store=store)
        started = await service.start(permit(), CATALOG.parse(["version"]))

        async def there() -> bool:
            try:
                found = await store.get(started.id)
            except UnknownOperation:
                return False
            return (found.state, found.stdout) == (State.RUNNING, "working\n")

        await until(there)
        engine.processes[0].stderr.add(b"more")

        async def more() -> bool:
            return (await store.get(started.id)).stderr == "more"

        await until(more)
        engine.processes[0].cancel("enough")
        await service.settle()
        ended = await store.get(started.id)
        assert (ended.state, ended.stdout, ended.stderr) == (State.CANCELLED, "working\n", "more")

    asyncio.run(main())


def test_what_a_client_does_not_wait_for_is_in_the_database_before_it_begins():
    async def main() -> None:
        store = make_store()
        service, engine = operations(never, store=store)
        started = await service.start(permit(), CATALOG.parse(["version"]), origin=Origin(recorded=True))
        # It may have begun since.
        assert (await store.get(started.id)).state in (State.QUEUED, State.RUNNING)
        database_of(store).away = True
        with pytest.raises(Unavailable):
            await service.start(permit(), CATALOG.parse(["version"]), origin=Origin(recorded=True))
        assert len(engine.jobs) == 1
        database_of(store).away = False
        service.stop("enough")
        await service.settle()

    asyncio.run(main())


def test_a_key_leads_to_one_operation():
    async def main() -> None:
        store = make_store()
        service, engine = operations(prints(), store=store)
        key = Key("u", "k", "f" * 64)
        started = await service.start(permit(), CATALOG.parse(["version"]), origin=Origin(key=key))
        with pytest.raises(KeyTaken) as taken:
            await service.start(permit(), CATALOG.parse(["version"]), origin=Origin(key=key))
        assert (taken.value.identifier, taken.value.fingerprint) == (started.id, "f" * 64)
        assert await store.find_key("u", "k") == (started.id, "f" * 64)
        assert len(engine.jobs) == 1
        await service.settle()

    asyncio.run(main())


def test_a_busy_engine_is_seen_before_anything_is_recorded():
    async def main() -> None:
        store = make_store()
        service, engine = operations(prints(), store=store)
        engine.busy = True
        with pytest.raises(Busy):
            await service.start(permit(), CATALOG.parse(["version"]), origin=Origin(recorded=True))
        assert database_of(store).calls == 0

    asyncio.run(main())


def test_who_finds_what_is_just_given_up_is_told_so(monkeypatch: pytest.MonkeyPatch):
    async def main() -> None:
        store = make_store()
        service, engine = operations(prints(), store=store)
        engine.busy = True
        monkeypatch.setattr(service, "check_room", lambda user: None)
        discard, go_on = store.discard, asyncio.Event()

        async def late(identifier: str) -> None:
            await go_on.wait()
            await discard(identifier)

        monkeypatch.setattr(store, "discard", late)
        origin = Origin(key=Key("u", "k", "f" * 64))
        first = asyncio.create_task(service.start(permit(), CATALOG.parse(["version"]), origin=origin))
        found = await until(lambda: store.find_key("u", "k"))
        assert found is not None
        second = asyncio.create_task(service.peek(found[0]))
        await asyncio.sleep(0.3)
        assert not second.done()
        go_on.set()
        with pytest.raises(UnknownOperation):
            await second
        with pytest.raises(Busy):
            await first

    asyncio.run(main())


def test_a_key_is_free_again_when_nothing_began(monkeypatch: pytest.MonkeyPatch):
    async def main() -> None:
        service, engine = operations(prints())
        engine.busy = True
        # There was room when the request was looked at.
        monkeypatch.setattr(service, "check_room", lambda user: None)
        key = Key("u", "k", "f" * 64)
        with pytest.raises(Busy):
            await service.start(permit(), CATALOG.parse(["version"]), origin=Origin(key=key))
        engine.busy = False
        started = await service.start(permit(), CATALOG.parse(["version"]), origin=Origin(key=key))
        assert (await service.wait(started.id, 60)).state is State.SUCCEEDED
        await service.settle()

    asyncio.run(main())


@pytest.mark.parametrize("origin", [Origin(key=Key("u", "k", "f" * 64)), Origin(recorded=True)])
def test_what_was_answered_as_unavailable_leaves_no_row_and_a_free_key(origin: Origin):
    async def main() -> None:
        store = make_store()
        service, engine = operations(prints(), store=store)
        await store.list()
        with late_answers(store), pytest.raises(Unavailable):
            await service.start(permit(), CATALOG.parse(["version"]), origin=origin)

        async def gone() -> bool:
            return not await store.list()

        await until(gone)
        assert engine.jobs == []
        started = await service.start(permit(), CATALOG.parse(["version"]), origin=origin)
        assert (await service.wait(started.id, 60)).state is State.SUCCEEDED
        await service.settle()

    asyncio.run(main())


@pytest.mark.slow
def test_while_the_database_is_away_commands_go_on_and_are_recorded_when_it_is_back():
    async def main() -> None:
        store = make_store()
        service, _ = operations(prints("out"), store=store)
        await store.list()
        database_of(store).away = True
        started = await service.start(permit(), CATALOG.parse(["version"]))
        # The answer has the result all the same.
        ended = await service.wait(started.id, 60)
        assert (ended.state, ended.stdout) == (State.SUCCEEDED, "out")
        with pytest.raises(Unavailable):
            await store.list()
        database_of(store).away = False
        await service.settle()
        assert await store.get(started.id) == ended

    asyncio.run(main())


def test_one_user_cannot_fill_the_queue_for_all():
    async def main() -> None:
        service, engine = operations(never, queue_per_user=2)
        for _ in range(2):
            await service.start(permit(), CATALOG.parse(["version"]))
        with pytest.raises(TooManyWaiting):
            await service.start(permit(), CATALOG.parse(["version"]))
        await service.start(permit("other"), CATALOG.parse(["version"]))
        assert len(engine.jobs) == 3
        service.stop("enough")
        await service.settle()

    asyncio.run(main())


def test_one_user_cannot_fill_the_queue_with_requests_at_the_same_time_either(
    monkeypatch: pytest.MonkeyPatch,
):
    async def waits(process: StandInProcess) -> Outcome:
        return await never(process)

    monkeypatch.setattr(StandInProcess, "_run", waits)

    async def main() -> None:
        store = make_store()
        service, engine = operations(never, queue_per_user=2, store=store)
        origin = Origin(recorded=True)
        started = [service.start(permit(), CATALOG.parse(["version"]), origin=origin) for _ in range(20)]
        said = await asyncio.gather(*started, return_exceptions=True)
        assert len([one for one in said if isinstance(one, Operation)]) == len(engine.jobs) == 2
        assert {type(one) for one in said} == {Operation, TooManyWaiting}
        service.stop("enough")
        await service.settle()
        assert len(await store.list()) == 2

    asyncio.run(main())


def test_another_server_answers_for_an_operation():
    async def main() -> None:
        store = make_store()
        here, engine = operations(until_cancelled, store=store)
        there, _ = operations(prints(), store=store)
        started = await here.start(permit(), CATALOG.parse(["version"]), origin=Origin(recorded=True))
        waiting = asyncio.create_task(there.wait(started.id, 60))

        async def printed() -> bool:
            return (await there.get(started.id)).stdout == "working\n"

        await until(printed)
        assert [each.id for each in await store.list()] == [started.id]
        assert await there.output(started.id, "stdout", 3, 100) == (3, b"king\n", False)
        assert await there.cancel(started.id, "from there") is Cancel.ASKED
        assert await there.cancel(started.id, "again") is Cancel.ASKED_BEFORE
        here.cancel_here(await store.cancels(here.server.id))
        ended = await waiting
        assert (ended.state, ended.message) == (State.CANCELLED, "from there")
        assert engine.processes[0].cancelled.is_set()
        assert await there.cancel(started.id, "once more") is Cancel.ENDED_BEFORE
        assert await there.output(started.id, "stdout", 0, 4) == (0, b"work", False)
        assert await there.output(started.id, "stdout", 4, 100) == (4, b"ing\n", True)
        await here.settle()
        await there.settle()

    asyncio.run(main())


def test_output_in_pieces_says_where_some_is_missing():
    async def main() -> None:
        service, engine = operations(until_cancelled, output_limit=16)
        started = await service.start(permit(), CATALOG.parse(["version"]))
        await asyncio.sleep(0.01)
        engine.processes[0].stdout.add(b"0123456789" * 10)

        async def both() -> list[tuple[int, bytes, bool]]:
            return [await service.output(started.id, "stdout", offset, 100) for offset in (0, 8, 108)]

        here = await both()
        engine.processes[0].cancel()
        await service.settle()
        stored = await both()
        # To the block: the last of 64 bytes at most reaches into what is kept.
        tail = (b"0123456789" * 10)[64:]
        assert here == [(0, b"working\n", False), (72, tail, False), (108, b"", False)]
        assert stored == [(0, b"working\n", False), (72, tail, True), (108, b"", True)]

    asyncio.run(main())


def test_an_operation_that_repeats_another_says_so_and_names_its_dag():
    async def main() -> None:
        store = make_store()
        service, _ = operations(prints(), store=store)
        invocation = CATALOG.parse(["dags", "pause", "mine"])
        started = await service.start(
            permit(), invocation, origin=Origin(rerun_of="0" * 32, endpoint="pause")
        )
        ended = await service.wait(started.id, 60)
        await service.settle()
        assert (ended.rerun_of, ended.dag_id, ended.endpoint) == ("0" * 32, "mine", "pause")
        assert [each.id for each in await store.list(Filter(dag_id="mine"))] == [ended.id]

    asyncio.run(main())


def test_what_only_reads_is_answered_before_it_is_written_and_found_all_the_while():
    async def main() -> None:
        store = make_store()
        service, _ = operations(prints("out"), store=store)
        await store.list()  # the tables are made
        before = database_of(store).calls
        started = await service.start(permit(), CATALOG.parse(["version"]))
        ended = await service.wait(started.id, 60)
        assert ended.state is State.SUCCEEDED
        assert database_of(store).calls == before
        assert await service.get(ended.id) == ended
        await service.settle()
        assert [one.id for one in await store.list()] == [ended.id]
        assert await service.get(ended.id) == ended

    asyncio.run(main())


def test_what_writes_is_in_the_database_before_it_is_answered():
    async def main() -> None:
        store = make_store()
        service, _ = operations(prints("out"), store=store)
        await store.list()  # the tables are made
        before = database_of(store).calls
        started = await service.start(permit(), CATALOG.parse(["pools", "delete", "a"]))
        ended = await service.wait(started.id, 60)
        assert database_of(store).calls == before + 1
        assert [one.id for one in await store.list()] == [ended.id]
        await service.settle()

    asyncio.run(main())


def test_what_another_server_writes_in_a_moment_is_waited_for():
    async def main() -> None:
        address = own_database()
        here, _ = operations(prints("out"), store=make_store(address))
        there, _ = operations(prints(), store=make_store(address))
        await there.written()
        ended = await here.wait((await here.start(permit(), CATALOG.parse(["version"]))).id, 60)
        assert await there.get(ended.id) == ended
        await here.settle()

    asyncio.run(main())


@pytest.mark.parametrize("ahead", [-30, 0, 30])
def test_what_another_server_writes_is_waited_for_although_their_clocks_differ(
    monkeypatch: pytest.MonkeyPatch, ahead: int
):
    async def main() -> None:
        store = make_store()
        service, _ = operations(prints(), store=store)
        now = datetime.now(timezone.utc) + timedelta(seconds=ahead)
        identifier = f"{int(now.timestamp() * 1000):012x}{new_id()[12:]}"
        theirs = Operation(identifier, "version", "read", ["version"], "u", "h", now)
        get = store.get

        async def written_behind(identifier: str, **how: bool) -> Operation:
            try:
                return await get(identifier, **how)
            except UnknownOperation:
                await store.insert(theirs)
                raise

        monkeypatch.setattr(store, "get", written_behind)
        assert (await service.get(identifier)).id == identifier

    asyncio.run(main())


def test_a_command_whose_file_is_still_to_be_fetched_is_written_before_its_answer(tmp_path: Path):
    async def main() -> None:
        address = own_database()
        here, _ = operations(copies, tmp_path, store=make_store(address))
        there, _ = operations(prints(), store=make_store(address))
        invocation = CATALOG.parse(["pools", "export", "p.json"])
        ended = await here.wait((await here.start(permit(), invocation, parser=CATALOG)).id, 60)
        assert [file.name for file in ended.files] == ["p.json"]
        assert await there.file(ended.id, "p.json")
        await here.settle()

    asyncio.run(main())
