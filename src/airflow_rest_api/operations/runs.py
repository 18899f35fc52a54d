"""How the work of an operation runs: a command in the engine, or a coroutine of this server."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Literal

from airflow_rest_api.airflow.child import setup
from airflow_rest_api.commands.model import Effect, Invocation
from airflow_rest_api.disk_full import of_disk
from airflow_rest_api.engine.job import Ending, Job, Outcome
from airflow_rest_api.errors import ApiError, Busy, Recorded
from airflow_rest_api.operations.files import media_type
from airflow_rest_api.operations.model import LONG_TEXT, Operation, OutputFile, State
from airflow_rest_api.operations.result import DEEPEST, Read, reason, too_deep
from airflow_rest_api.operations.transcript import Stream, Transcript

if TYPE_CHECKING:
    from airflow_rest_api.engine.engine import Engine
    from airflow_rest_api.engine.process import Process
    from airflow_rest_api.operations.files import Renamer, Workspace
    from airflow_rest_api.operations.live import Live

log = logging.getLogger(__name__)

STATES = {
    Ending.KILLED: State.FAILED,
    Ending.TIMED_OUT: State.TIMED_OUT,
    Ending.CANCELLED: State.CANCELLED,
    Ending.LOST: State.LOST,
    Ending.USAGE: State.FAILED,
}
USAGE_EXIT_CODE = 2  # what argparse exits with
UNREAD = "The end of the command could not be read; the server's log says more."
CHILD_OUTPUT = 1024 * 1024
"""Bytes kept of each stream of a child that a coroutine runs."""
PAUSE = 0.2
"""Seconds between the attempts to find a place in the engine's queue."""


class OutputListener:
    """Puts what a process prints into a transcript, with the client's file names for private paths."""

    def __init__(self, transcript: Transcript, workspace: Workspace | None = None) -> None:
        self._transcript = transcript
        self._renamers: dict[Stream, Renamer] = {}
        if workspace is not None:
            self._renamers = {"stdout": workspace.renamer(), "stderr": workspace.renamer()}

    def __call__(self, stream: str, data: bytes) -> None:
        """Take the next bytes of a stream."""
        which: Stream = "stderr" if stream == "stderr" else "stdout"
        if renamer := self._renamers.get(which):
            data = renamer.feed(data)
        self._transcript.add(which, data)

    def finish(self) -> None:
        """Pass on what was held back; nothing more comes."""
        for stream, renamer in self._renamers.items():
            self._transcript.add(stream, renamer.finish())
        self._transcript.settle()


async def follow(
    live: Live,
    process: Process,
    listener: OutputListener,
    invocation: Invocation,
    workspace: Workspace | None,
    file_limit: int,
    read: Read | None,
) -> dict[str, bytes]:
    """
    Return, once a process has ended, the files that it wrote; its operation then has its end, its state last.

    :param file_limit: bytes kept of each file
    :param read: reads the result off what was printed
    """
    operation = live.operation
    files: dict[str, bytes] = {}
    try:
        outcome = await process.wait()
        listener.finish()
        if process.started_at is not None:
            live.begin(datetime.fromtimestamp(process.started_at, timezone.utc))
        await _read_result(live, read, outcome)
        if workspace is not None:
            files = await asyncio.to_thread(_collect, workspace, operation, invocation, file_limit)
        # Last, so that no client sees an ended operation whose result is still to come.
        _conclude(live, outcome, invocation)
    except Exception:
        log.exception("The end of operation %s could not be read", operation.id)
        operation.state, operation.message = State.LOST, UNREAD
    return files


async def _read_result(live: Live, read: Read | None, outcome: Outcome) -> None:
    operation = live.operation
    if read is None:
        return
    if live.transcript.truncated:
        operation.warnings.append("The output was cut at [rest_api_plugin] output_limit: there is no result.")
        return
    text, done = live.transcript.text("stdout"), outcome.ending is Ending.EXITED and outcome.exit_code == 0

    def read_within() -> tuple[Any, bool]:
        result = read(text, done)
        return (None, True) if too_deep(result) else (result, False)

    long = len(text) > LONG_TEXT
    operation.result, deeper = await asyncio.to_thread(read_within) if long else read_within()
    if deeper:
        operation.warnings.append(f"It is nested more than {DEEPEST} levels deep: there is no result.")


def _collect(
    workspace: Workspace, operation: Operation, invocation: Invocation, limit: int
) -> dict[str, bytes]:
    contents: dict[str, bytes] = {}
    for argument in invocation.command.files(invocation.values, invocation.given):
        if argument.file != "out":
            continue
        for file, content in workspace.collect(argument.name, limit):
            if content is None:
                operation.warnings.append(
                    f"{file.name} has {file.size} bytes, more than max_upload: it was not kept."
                )
            elif file.name not in contents:
                contents[file.name] = content
                operation.files.append(file)
    return contents


def _conclude(live: Live, outcome: Outcome, invocation: Invocation) -> None:
    operation, stderr = live.operation, live.transcript.text("stderr")
    operation.exit_code = outcome.exit_code
    operation.message = outcome.message
    if outcome.ending is Ending.USAGE:
        operation.exit_code = USAGE_EXIT_CODE if outcome.exit_code is None else outcome.exit_code
        operation.refused = outcome.message or stderr.strip()
    failed = outcome.ending is Ending.USAGE or (outcome.ending is Ending.EXITED and outcome.exit_code != 0)
    if failed and not operation.message:
        operation.message = reason(
            stderr,
            live.transcript.text("stdout"),
            operation.exit_code,
            secretive=invocation.reveals_secrets,
            foreign=invocation.effect is Effect.EXECUTE,
        )
        operation.quotes = True
    if outcome.ending is Ending.EXITED:
        operation.state = State.SUCCEEDED if outcome.exit_code == 0 else State.FAILED
    else:
        operation.state = STATES[outcome.ending]


class Failed(Exception):
    """
    Ends the operation of a coroutine in the state `failed`.

    :param message: one sentence, for the client
    :param result: what the operation has to show all the same
    :param quotes: whether the message is read off what a child has printed
    """

    def __init__(self, message: str, exit_code: int = 1, result: Any = None, *, quotes: bool = False) -> None:
        super().__init__(message)
        self.exit_code = exit_code
        self.result = result
        self.quotes = quotes


class Refused(Failed):
    """
    Ends the operation of a coroutine with an error of the API, which `refusal` reads off its result.

    :param report: what the operation has to show all the same
    """

    def __init__(self, error: ApiError, report: Mapping[str, Any] | None = None) -> None:
        problem = {"status": error.status, "reason": error.reason, "message": error.message}
        more = {"more": error.more} if error.more else {}
        super().__init__(error.message, result={**(report or {}), "problem": {**problem, **more}})


def refusal(operation: Operation) -> ApiError | None:
    """Return the error with which an operation was `Refused`, None where it was not."""
    result = operation.result
    if operation.state is not State.FAILED or not isinstance(result, dict) or "problem" not in result:
        return None
    problem = result["problem"]
    report = {name: value for name, value in result.items() if name != "problem"}
    return Recorded(
        problem["status"],
        problem["reason"],
        problem["message"],
        headers={"Retry-After": "5"} if problem["status"] == 503 else None,
        **{**problem.get("more", {}), "id": operation.id},
        **({"report": report} if report else {}),
    )


@dataclass(frozen=True)
class Finished:
    """A child that has ended, with what of its output was kept; secrets are masked in it."""

    outcome: Outcome
    stdout: str
    stderr: str


class WorkContext:
    """
    What a coroutine of this server has of its operation.

    :ivar id: the id of the operation
    :ivar runner: the name of the runner that this process is; None for an API server
    :ivar files: what was kept, by name
    """

    def __init__(self, live: Live, engine: Engine) -> None:
        self._live = live
        self._engine = engine
        self.id = live.operation.id
        self.runner = live.operation.runner
        self.files: dict[str, bytes] = {}

    def say(self, text: str, stream: Literal["stdout", "stderr"] = "stdout") -> None:
        """Add to what the operation prints; a line ends with a newline of its own."""
        self._live.transcript.add(stream, text.encode(errors="replace"))

    def progress(self, step: str, **details: Any) -> None:
        """Tell all who follow the operation how far it is; the details must be good for JSON."""
        report = {"step": step, "at": datetime.now(timezone.utc).isoformat(), **details}
        self._live.transcript.add("progress", json.dumps(report).encode())

    def warn(self, text: str) -> None:
        """Put a warning on the operation."""
        self._live.operation.warnings.append(text)

    def keep(self, name: str, content: bytes) -> None:
        """Have a file among those that the operation has written."""
        self.files[name] = content
        self._live.operation.files.append(OutputFile("", name, len(content), media_type(name)))

    async def run(self, job: Job) -> Finished:
        """
        Run an engine child to its end; one that finds no room in the queue tries again until there is some.

        What Airflow writes down of it carries the user of the operation.
        The child is cancelled with the operation, and has ended when this is left.
        """
        user = self._live.operation.user
        job = replace(job, setup={**job.setup, setup.PREPARE: setup.order(user, ())})
        printed = Transcript(CHILD_OUTPUT)
        listener = OutputListener(printed)
        while True:
            try:
                process = self._engine.submit(job, listener)
                break
            except Busy:
                await asyncio.sleep(PAUSE)
        try:
            outcome = await process.wait()
        except asyncio.CancelledError:
            process.cancel(self._live.reason or "The operation was ended.")
            await process.wait()
            raise
        listener.finish()
        return Finished(outcome, printed.text("stdout"), printed.text("stderr"))


Work = Callable[[WorkContext], Awaitable[Any]]
"""Returns the operation's result; raises `Failed`; is cancelled on cancel and timeout."""


async def perform(live: Live, engine: Engine, work: Work, timeout: float | None) -> dict[str, bytes]:
    """Do the work of an operation, set on it how it ended, its state last, and return the files it kept."""
    operation = live.operation
    live.begin(datetime.now(timezone.utc))
    context = WorkContext(live, engine)
    task = asyncio.ensure_future(work(context))
    asked = asyncio.ensure_future(live.asked.wait())
    try:
        await asyncio.wait({task, asked}, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        # What came to its end in the same moment has come to its end.
        stopped = None if task.done() else State.CANCELLED if live.asked.is_set() else State.TIMED_OUT
        if stopped is not None:
            task.cancel()
        state = State.SUCCEEDED
        exit_code: int | None = 0
        try:
            operation.result = await task
        except asyncio.CancelledError:
            state, exit_code = stopped or State.CANCELLED, None
            operation.message = live.reason
            if stopped is State.TIMED_OUT:
                operation.message = f"The operation was ended after {timeout:g} seconds."
        except Failed as failed:
            state, exit_code = State.FAILED, failed.exit_code
            operation.message, operation.result = str(failed), failed.result
            operation.quotes = failed.quotes
        except Exception as error:
            state, exit_code = State.FAILED, 1
            if found := of_disk(error):
                operation.message = found.message
            else:
                log.exception("Operation %s (%s) failed", operation.id, operation.command)
                operation.message = (
                    f"Something went wrong in the server; its log says more under {operation.id}."
                )
        operation.exit_code, operation.state = exit_code, state
        return context.files
    finally:
        asked.cancel()
