"""Have the DAG processor parse files now, and see what it made of them; without one, parse them locally."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow_rest_api.airflow import dag_processor
from airflow_rest_api.airflow.dag_processor import File, FileState
from airflow_rest_api.airflow.queries import ask
from airflow_rest_api.dag_files.child import parse
from airflow_rest_api.dag_files.freshness import Watch
from airflow_rest_api.engine.job import Ending, Job

if TYPE_CHECKING:
    from airflow_rest_api.operations.runs import WorkContext


BY_PROCESSOR, BY_API_SERVER = "dag-processor", "api-server"


@dataclass(frozen=True)
class ParsedFile:
    """
    What Airflow made of a file.

    :ivar parsed: False where it has not been seen to parse the file; what it has of it may be old
    :ivar dags: the number of the version that runs from now on, by DAG; None where none is stored
    :ivar error: the import error
    """

    bundle: str
    path: str
    parsed: bool
    dags: dict[str, int | None] = field(default_factory=dict)
    error: str | None = None

    def result(self) -> dict[str, Any]:
        """Return it as part of such a result."""
        dags = [{"dag_id": dag_id, "version": version} for dag_id, version in sorted(self.dags.items())]
        return {**asdict(self), "dags": dags}


@dataclass(frozen=True)
class Parsed:
    """
    What Airflow made of files.

    :ivar by: `dag-processor`, or `api-server` where they were parsed locally
    :ivar lost: the DAG processor was alive when it was asked, and then no longer was
    """

    files: list[ParsedFile]
    by: str = BY_PROCESSOR
    lost: bool = False

    @property
    def complete(self) -> bool:
        """Whether every file has been parsed."""
        return all(file.parsed for file in self.files)

    def result(self) -> dict[str, Any]:
        """Return it as the result of an operation."""
        return {"parsed_by": self.by, "files": [file.result() for file in self.files]}

    @property
    def failure(self) -> str | None:
        """A sentence on the first file that has an import error, or that was not parsed; None without one."""
        for file in self.files:
            if file.error is not None:
                lines = file.error.strip().splitlines()
                return f"{file.path}: {lines[-1] if lines else 'import error'}"
        late = [file.path for file in self.files if not file.parsed]
        return f"{late[0]} has not been parsed yet." if late else None


POLL = 0.2
"""Seconds between two looks at the database."""

PARSE_TIMEOUT = 60.0
"""Seconds to wait while no file gets further."""

PROCESSOR_CHECK = 5.0
"""Seconds between two looks at whether a DAG processor is alive."""

Progress = Callable[..., None]
"""Takes a step and its details: `WorkContext.progress`."""


@dataclass(frozen=True)
class Requested:
    """
    Files that the DAG processor has been asked to parse.

    :ivar since: before it was asked, and after the files were written
    :ivar before: what Airflow had of them at that moment
    """

    files: tuple[File, ...]
    since: datetime
    before: Mapping[File, FileState] = field(repr=False)


async def processor_alive() -> bool:
    """Return whether a DAG processor is alive, by its heartbeat."""
    return await ask(dag_processor.processor_alive)


async def request_parse(files: Iterable[File]) -> Requested:
    """
    Ask the DAG processor to parse files before all others, new ones included; works without one as well.

    Only what it parses makes sense: `.py` files with DAGs in them, and `.zip` archives. What Airflow had of
    the files is looked at first, so this has to come after they were written.

    A request makes the DAG processor list the files of the bundle at once
    (`DagFileProcessorManager._queue_requested_files_for_parsing`): it need not know the file.
    """
    wanted = tuple(dict.fromkeys(files))
    since = dag_processor.now()
    before = await ask(dag_processor.look, wanted)
    await ask(dag_processor.request_parsing, wanted)
    return Requested(wanted, since, before)


async def until_parsed(
    asked: Requested,
    *,
    dag_ids: Mapping[File, Collection[str]] | None = None,
    progress: Progress | None = None,
    patience: float = PARSE_TIMEOUT,
    at_most: float = math.inf,
    stored: bool = True,
) -> Parsed:
    """
    Wait until the DAG processor has parsed files as they are now, and what it found is what Airflow runs.

    :param dag_ids: what is in the files; one with nothing in it leaves no trace, and is not waited for
    :param progress: gets `parsed` for each file, with `file`, `done`, `of` and `error`; and `resting`, with
        `file` and `seconds`, where Airflow does not store a DAG anew before these have passed
    :param patience: seconds to wait while no file gets further
    :param at_most: seconds to wait in all
    :param stored: False takes a DAG as done that Airflow knows and does not store anew yet
    """
    known = dag_ids or {}
    watches = {
        file: Watch(asked.since, asked.before.get(file, FileState()))
        for file in asked.files
        if file not in known or known[file]
    }
    waiting, done = dict(watches), len(asked.files) - len(watches)
    results = {file: ParsedFile(*file, parsed=True) for file in asked.files if file not in watches}
    rest = dag_processor.rest_between_versions() if stored else timedelta()
    check_at, end = time.monotonic() + PROCESSOR_CHECK, time.monotonic() + patience
    lost, latest = False, time.monotonic() + at_most
    while waiting and time.monotonic() < min(end, latest) and not lost:
        await asyncio.sleep(POLL)
        seen, versions = await asyncio.to_thread(_look, dict(waiting))
        again: list[File] = []
        for file, watch in list(waiting.items()):
            step = watch.look(seen[file], versions, rest, time.monotonic())
            if step.again:
                again.append(file)
            if step.until is not None:
                end = max(end, step.until + patience)
                if progress is not None:
                    progress("resting", file=file[1], seconds=round(step.until - time.monotonic(), 1))
            if not step.done:
                continue
            del waiting[file]
            done, end = done + 1, max(end, time.monotonic() + patience)
            dags = _numbers(versions, watch.dag_ids)
            results[file] = ParsedFile(*file, parsed=True, dags=dags, error=seen[file].error)
            if progress is not None:
                progress("parsed", file=file[1], done=done, of=len(asked.files), error=results[file].error)
        if again:
            await ask(dag_processor.request_parsing, again)
        if waiting and time.monotonic() >= check_at:
            lost, check_at = not await processor_alive(), time.monotonic() + PROCESSOR_CHECK
    if waiting:
        seen, versions = await asyncio.to_thread(_look, dict(waiting))
        for file in waiting:
            dags = _numbers(versions, seen[file].dags)
            results[file] = ParsedFile(*file, parsed=False, dags=dags, error=seen[file].error)
    return Parsed([results[file] for file in asked.files], lost=lost)


def _look(watches: Mapping[File, Watch]) -> tuple[dict[File, FileState], dict[str, dag_processor.Stored]]:
    seen = dag_processor.look(list(watches))
    news = [
        dag_id for file, watch in watches.items() if watch.is_news(seen[file]) for dag_id in seen[file].dags
    ]
    return seen, dag_processor.stored(news)


def _numbers(versions: Mapping[str, dag_processor.Stored], dag_ids: Iterable[str]) -> dict[str, int | None]:
    return {dag_id: versions[dag_id].version if dag_id in versions else None for dag_id in dag_ids}


async def bring_up_to_date(
    work: WorkContext,
    files: Iterable[File],
    *,
    wait: bool,
    dag_ids: Mapping[File, Collection[str]] | None = None,
    locally: bool = True,
    stored: bool = True,
) -> Parsed:
    """
    Have files parsed, by the DAG processor where one is alive, else locally, of which the operation warns.

    :param wait: for the DAG processor; what is parsed locally has been parsed when this returns
    :param dag_ids: what is in the files, where that is known
    :param locally: whether the API server may parse them; if not, the DAG processor finds the request later
    :param stored: see `until_parsed`
    """
    wanted = tuple(dict.fromkeys(files))
    if locally and not await processor_alive():
        return await _parse_locally(work, wanted, "No DAG processor is alive")
    asked = await request_parse(wanted)
    work.progress("asked", of=len(wanted))
    if not locally and not await processor_alive():
        work.warn("No DAG processor is alive: the files will be parsed when one is started.")
    elif wait:
        parsed = await until_parsed(asked, dag_ids=dag_ids, progress=work.progress, stored=stored)
        if parsed.lost and locally:
            return await _parse_locally(work, wanted, "The DAG processor has come to its end")
        if not parsed.complete:
            work.warn(_late(parsed))
        return parsed
    return Parsed([ParsedFile(*file, parsed=False) for file in wanted])


async def _parse_locally(work: WorkContext, files: tuple[File, ...], why: str) -> Parsed:
    """
    Have files parsed in a child of the engine, and what is in them recorded as the DAG processor would.

    What the files print becomes the operation's output. A child that does not come to its end, as when a file
    ends the process, leaves the rest unparsed.
    """
    work.warn(f"{why}: the files were parsed by the API server.")
    work.progress("asked", of=len(files), parsed_by=BY_API_SERVER)
    before = await ask(dag_processor.look, files)
    finished = await work.run(Job([parse.order(files)], entry=parse.ENTRY, env=parse.ENV, mask=True))
    work.say(finished.stdout)
    work.say(finished.stderr, "stderr")
    complete = finished.outcome.ending is Ending.EXITED and finished.outcome.exit_code == 0
    if finished.outcome.message:
        work.warn(finished.outcome.message)
    after = await ask(dag_processor.look, files)
    recorded = {
        file: [dag_id for dag_id, one in after[file].dags.items() if before[file].dags.get(dag_id) != one]
        for file in files
    }
    versions = await asyncio.to_thread(
        dag_processor.stored, [one for dag_ids in recorded.values() for one in dag_ids]
    )
    parsed = []
    for done, file in enumerate(files, 1):
        error = after[file].error
        new = complete or bool(recorded[file]) or after[file].error_at != before[file].error_at
        parsed.append(ParsedFile(*file, parsed=new, dags=_numbers(versions, recorded[file]), error=error))
        if new:
            work.progress("parsed", file=file[1], done=done, of=len(files), error=error)
    return Parsed(parsed, by=BY_API_SERVER)


def _late(parsed: Parsed) -> str:
    late = [file.path for file in parsed.files if not file.parsed]
    named = ", ".join(late[:5]) + (", …" if len(late) > 5 else "")
    if parsed.lost:
        return f"The DAG processor came to its end before it had parsed {named}."
    return f"The DAG processor has been asked, and has not shown yet that it parsed {named}."
