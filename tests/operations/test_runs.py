from __future__ import annotations

import asyncio
import json
from datetime import datetime, timezone
from typing import Any

import pytest

from airflow_rest_api.airflow.child import setup
from airflow_rest_api.commands.model import Command, Effect, Invocation
from airflow_rest_api.engine.job import Job
from airflow_rest_api.errors import FilesExist
from airflow_rest_api.operations.model import Key, KeyTaken, Operation, Origin, State
from airflow_rest_api.operations.runs import Failed, Refused, Work, WorkContext, refusal
from airflow_rest_api.operations.service import Operations
from airflow_rest_api.operations.work_orders import NamedWork
from tests.operations.scene import make_store, operations, until
from tests.permits import permit
from tests.standin import prints, until_cancelled


async def begun(service: Operations, work: Work, user: str = "u", **options: Any) -> Operation:
    values = {"dag_id": options.pop("dag_id")} if "dag_id" in options else {}
    command = Command(("deploy",), "", None, (), Effect.WRITE)
    shown = Invocation(command, [], values, frozenset(), ["deploy", "a.py"])
    named = NamedWork("deploy", {}, work, options.pop("workspace", None))
    return await service.start_work(permit(user), shown, named, **options)


def worked(work: Work, command_timeout: float | None = 3600, **options: Any) -> Operation:
    """Do some work to its end."""

    async def main() -> Operation:
        service, _ = operations(prints("from a child", "and its errors"), command_timeout=command_timeout)
        started = await begun(service, work, **options)
        ended = await service.wait(started.id, 60)
        await service.settle()
        assert await service.get(ended.id) == ended
        return ended

    return asyncio.run(main())


def test_what_it_says_warns_and_returns_is_the_operations():
    async def work(context: WorkContext) -> Any:
        context.say("one\n")
        context.say("two\n", "stderr")
        context.warn("careful")
        return {"done": context.id}

    ended = worked(work, dag_id="d")
    assert (ended.state, ended.exit_code, ended.result) == (State.SUCCEEDED, 0, {"done": ended.id})
    assert (ended.stdout, ended.stderr, ended.warnings) == ("one\n", "two\n", ["careful"])
    assert (ended.command, ended.argv, ended.effect, ended.dag_id) == (
        "deploy",
        ["deploy", "a.py"],
        "write",
        "d",
    )


def test_a_failure_has_its_words_its_code_and_a_result():
    async def work(context: WorkContext) -> Any:
        raise Failed("It exists already.", 3, {"file": "a.py"})

    ended = worked(work)
    assert (ended.state, ended.exit_code) == (State.FAILED, 3)
    assert (ended.message, ended.result) == ("It exists already.", {"file": "a.py"})


def test_what_nobody_foresaw_is_a_failure_without_a_word_about_the_inside():
    async def work(context: WorkContext) -> Any:
        raise RuntimeError("inside")

    ended = worked(work)
    assert (ended.state, ended.exit_code) == (State.FAILED, 1)
    assert "inside" not in str(ended.message)


def test_a_child_runs_and_its_output_comes_back():
    async def work(context: WorkContext) -> Any:
        finished = await context.run(Job(["version"]))
        return [finished.outcome.exit_code, finished.stdout, finished.stderr]

    assert worked(work).result == [0, "from a child", "and its errors"]


def test_what_a_child_does_carries_the_user_of_the_operation():
    async def work(context: WorkContext) -> Any:
        await context.run(Job(["dags", "delete"]))

    async def main() -> list[Job]:
        service, engine = operations(prints())
        started = await begun(service, work, user="ada")
        await service.wait(started.id, 60)
        await service.settle()
        return engine.jobs

    (job,) = asyncio.run(main())
    assert job.setup == {setup.PREPARE: setup.order("ada", [])}


def test_work_that_takes_too_long_is_ended():
    async def work(context: WorkContext) -> Any:
        await asyncio.sleep(600)

    ended = worked(work, command_timeout=0.05)
    assert (ended.state, ended.exit_code) == (State.TIMED_OUT, None)
    assert ended.message == "The operation was ended after 0.05 seconds."


def test_a_cancel_ends_the_work_and_the_child_that_it_waits_for():
    async def main() -> None:
        service, engine = operations(until_cancelled)
        cleaned = asyncio.Event()

        async def work(context: WorkContext) -> Any:
            try:
                await context.run(Job(["version"]))
            finally:
                cleaned.set()

        started = await begun(service, work)

        async def running() -> bool:
            return bool(engine.processes)

        await until(running)
        await service.cancel(started.id, "enough")
        ended = await service.wait(started.id, 60)
        assert (ended.state, ended.message) == (State.CANCELLED, "enough")
        assert engine.processes[0].cancelled.is_set()
        assert cleaned.is_set()
        await service.settle()

    asyncio.run(main())


def test_a_child_waits_for_room_in_the_queue():
    async def main() -> None:
        service, engine = operations(prints("x"))
        engine.busy = True

        async def work(context: WorkContext) -> Any:
            return (await context.run(Job(["version"]))).stdout

        started = await begun(service, work)
        assert (await service.wait(started.id, 0.3)).state is State.RUNNING
        engine.busy = False
        assert (await service.wait(started.id, 60)).result == "x"
        await service.settle()

    asyncio.run(main())


def test_progress_is_told_to_whoever_follows_in_the_order_of_the_words():
    async def main() -> None:
        service, _ = operations(prints())
        going = asyncio.Event()

        async def work(context: WorkContext) -> Any:
            await going.wait()
            context.progress("received", files=2)
            context.say("words")
            context.progress("written")

        started = await begun(service, work)
        async with service.follow(started.id) as followed:
            going.set()
            while not followed.transcript.ended:
                await followed.transcript.changed(followed.transcript.version, 60)
            chunks = followed.transcript.since(0)
        assert [chunk.stream for chunk in chunks] == ["progress", "stdout", "progress"]
        first, last = json.loads(chunks[0].data), json.loads(chunks[2].data)
        assert (first["step"], first["files"], last["step"]) == ("received", 2, "written")
        assert set(last) == {"step", "at"}
        await service.settle()

    asyncio.run(main())


def test_a_key_leads_to_one_piece_of_work():
    async def main() -> None:
        service, _ = operations(prints(), store=make_store())
        key, times = Key("u", "k", "f" * 64), 0

        async def work(context: WorkContext) -> Any:
            nonlocal times
            times += 1

        started = await begun(service, work, origin=Origin(key=key))
        with pytest.raises(KeyTaken):
            await begun(service, work, origin=Origin(key=key))
        await service.wait(started.id, 60)
        assert times == 1
        await service.settle()

    asyncio.run(main())


@pytest.mark.parametrize("cancelled", [False, True])
def test_what_it_works_on_is_removed_however_it_ends(cancelled: bool):
    class Files:
        removed = False

        def remove(self) -> None:
            self.removed = True

    async def work(context: WorkContext) -> Any:
        if cancelled:
            await asyncio.sleep(60)
        return not files.removed

    async def main() -> Operation:
        service, _ = operations(prints())
        started = await begun(service, work, workspace=files)
        if cancelled:
            service.stop("It is to end.")
        ended = await service.wait(started.id, 60)
        await service.settle()
        return ended

    files = Files()
    ended = asyncio.run(main())
    assert files.removed
    assert ended.state is (State.CANCELLED if cancelled else State.SUCCEEDED)
    assert ended.result is (None if cancelled else True)


def ended(error: Refused) -> Operation:
    operation = Operation(
        "id", "deploy_dag", "execute", [], "u", "h", datetime.now(timezone.utc), state=State.FAILED
    )
    operation.result = json.loads(json.dumps(error.result))
    return operation


def test_an_error_comes_back_from_the_result_of_its_operation() -> None:
    report = {"bundle": "b", "errors": [{"file": "a.py", "line": 3, "message": "SyntaxError"}]}
    found = refusal(ended(Refused(FilesExist("It is there.", argument="file"), report)))
    assert found is not None
    assert (found.status, found.detail["reason"], found.detail["id"]) == (409, "exists", "id")
    assert found.detail["message"] == "It is there."
    assert (found.detail["argument"], found.detail["report"]) == ("file", report)
    without = refusal(ended(Refused(FilesExist("It is there."), None)))
    assert without is not None
    assert "report" not in without.detail


def test_another_end_is_no_refusal() -> None:
    operation = ended(Refused(FilesExist("It is there."), None))
    operation.state = State.SUCCEEDED
    assert refusal(operation) is None
    operation.state, operation.result = State.FAILED, None
    assert refusal(operation) is None
