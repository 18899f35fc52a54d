"""Have the DAG processor parse files now, and see what it made of them; without one, parse them locally."""

from __future__ import annotations

import asyncio
import json
import logging
import math
import shutil
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_rest_api import private_folders
from airflow_rest_api.airflow import dag_processor
from airflow_rest_api.airflow.dag_processor import File, FileState, Parse, Stored
from airflow_rest_api.airflow.queries import ask
from airflow_rest_api.dag_files.child import parse
from airflow_rest_api.dag_files.upload import named
from airflow_rest_api.engine.job import Ending, Job
from airflow_rest_api.storage.transient import of_database

if TYPE_CHECKING:
    from airflow_rest_api.operations.runs import WorkContext

log = logging.getLogger(__name__)

BY_PROCESSOR, BY_API_SERVER, BY_RUNNER = "dag-processor", "api-server", "runner"


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

    :ivar by: `dag-processor`; `api-server` or `runner` where they were parsed locally
    :ivar lost: the DAG processor was alive when it was asked, and then no longer was
    :ivar unparsed: a sentence on why a file was not parsed locally, empty where that is not known
    """

    files: list[ParsedFile]
    by: str = BY_PROCESSOR
    lost: bool = False
    unparsed: Mapping[File, str] = field(default_factory=dict)

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
        for sentence in filter(None, self.unparsed.values()):
            return sentence
        late = [file.path for file in self.files if not file.parsed]
        return f"{late[0]} has not been parsed yet." if late else None


POLL = 0.2
"""Seconds between two looks at the database."""

PARSE_TIMEOUT = 60.0
"""Seconds to wait while no file gets further."""

PROCESSOR_CHECK = 5.0
"""Seconds between two looks at whether a DAG processor is alive."""

LARGEST_RESULT = 16 * 1024 * 1024
LONGEST_SENTENCE = 2000

ALLOWANCE = 0.5
"""Seconds more than Airflow's rest between two versions of a DAG: who waits for it must not be early."""


@dataclass(frozen=True)
class Step:
    """
    What a look at a file comes to.

    :ivar done: the file has been parsed, and Airflow runs what was found
    :ivar again: the DAG processor has to be asked once more
    :ivar until: the moment, on the clock given, before which asking again is of no use
    """

    done: bool = False
    again: bool = False
    until: float | None = None


class Watch:
    """
    Follows one file; pure of database and clock.

    That a new result is there does not suffice:

    * The DAG processor may have begun to read the file before it was written. A request that it takes in that
      moment is dropped (`DagFileProcessorManager._start_new_processes`). A result counts when it began late
      enough, or when it is the second one that is seen: the same file is not parsed twice at a time.
    * Airflow leaves a DAG as it was when it has stored it less than ``[core]
      min_serialized_dag_update_interval`` ago (`SerializedDagModel.write_dag`): then a later parse decides.

    :param since: before the DAG processor was asked, and after the file was written
    :param before: what Airflow had of the file at that moment
    """

    def __init__(self, since: datetime, before: FileState) -> None:
        self._since = since
        self._last = before
        # The first result of a new file counts, and else the second.
        self._next_counts = not (before.dags or before.error_at)
        self._ask_at: float | None = None
        self.dag_ids: list[str] = []
        """The DAGs that the file has, once done."""

    def is_news(self, seen: FileState) -> bool:
        """Return whether there is a result that has not been looked at."""
        return (_time(seen.newest), seen.error_at) != (_time(self._last.newest), self._last.error_at)

    def look(self, seen: FileState, stored: Mapping[str, Stored], rest: timedelta, clock: float) -> Step:
        """
        Look at what Airflow has of the file.

        :param stored: the newest versions of its DAGs
        :param rest: the time that Airflow leaves between two versions of a DAG
        :param clock: seconds on any clock that is never set
        """
        if not self.is_news(seen):
            if self._ask_at is not None and clock >= self._ask_at:
                self._ask_at = None
                return Step(again=True)
            return Step()
        before, self._last = self._last, seen
        parse, earlier = seen.newest, _time(before.newest)
        if parse is None or parse.at == earlier:
            # An import error; or one that is gone, which a file that still had it cannot have brought about.
            done = seen.error_at is None or self._counts(None)
            return Step(done=done, again=not done)
        if not self._counts(parse.began):
            return Step(again=True)
        floor = max(moment for moment in (earlier, parse.began, self._since) if moment is not None)
        # The others are leftovers of an earlier parse.
        dags = {
            dag_id: one
            for dag_id, one in seen.dags.items()
            if (earlier is None or one.at > earlier) and (parse.began is None or one.at >= parse.began)
        }
        delay = max(
            (_delay(one, stored.get(dag_id), floor, rest) for dag_id, one in dags.items()), default=0.0
        )
        if delay > 0 and seen.error is None:
            self._ask_at = clock + delay + ALLOWANCE
            return Step(until=self._ask_at)
        self.dag_ids = sorted(dags)
        return Step(done=True)

    def _counts(self, began: datetime | None) -> bool:
        """Return whether a result is of the file as it is now."""
        counts = self._next_counts or (began is not None and began >= self._since)
        self._next_counts = True
        return counts


def _delay(parse: Parse, stored: Stored | None, floor: datetime, rest: timedelta) -> float:
    """Return the seconds until a parse can store a DAG that this one left as it was; 0 where it did not."""
    if stored is None or stored.at >= floor:
        return 0.0
    return max((rest - (parse.at - stored.at)).total_seconds(), 0.0)


def _time(parse: Parse | None) -> datetime | None:
    return None if parse is None else parse.at


async def request_parse(files: Iterable[File]) -> dict[File, Watch]:
    """
    Ask the DAG processor to parse files before all others, new ones included; return what watches them.

    Works without one as well. Only what it parses makes sense: `.py` files with DAGs in them, and `.zip`
    archives. What Airflow had of them is looked at first, so this has to come after they were written.

    A request makes the DAG processor list the files of the bundle at once
    (`DagFileProcessorManager._queue_requested_files_for_parsing`): it need not know the file.
    """
    wanted = tuple(dict.fromkeys(files))
    since = dag_processor.now()
    before = await ask(dag_processor.look, wanted)
    await ask(dag_processor.request_parsing, wanted)
    return {file: Watch(since, before[file]) for file in wanted}


async def until_parsed(
    asked: Mapping[File, Watch],
    *,
    dag_ids: Mapping[File, Collection[str]] | None = None,
    progress: Callable[..., None] | None = None,
    patience: float = PARSE_TIMEOUT,
    at_most: float = math.inf,
) -> Parsed:
    """
    Wait until the DAG processor has parsed files as they are now, and what it found is what Airflow runs.

    :param dag_ids: what is in the files; one with nothing in it leaves no trace, and is not waited for
    :param progress: `WorkContext.progress`: gets `parsed` for each file, with `file`, `done`, `of` and
        `error`; and `resting`, with `file` and `seconds`, where Airflow stores no DAG anew before these
    :param patience: seconds to wait while no file gets further
    :param at_most: seconds to wait in all
    :raises Exception: the database is away at the end; before, it is asked again in the next round
    """
    known = dag_ids or {}
    waiting = {file: watch for file, watch in asked.items() if file not in known or known[file]}
    results = {file: ParsedFile(*file, parsed=True) for file in asked if file not in waiting}
    rest = dag_processor.rest_between_versions()
    check_at, end = time.monotonic() + PROCESSOR_CHECK, time.monotonic() + patience
    lost, latest = False, time.monotonic() + at_most
    again: list[File] = []
    while waiting and time.monotonic() < min(end, latest) and not lost:
        await asyncio.sleep(POLL)
        with _through_outages():
            seen, versions = await ask(_look, dict(waiting))
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
                end = max(end, time.monotonic() + patience)
                dags, error = _numbers(versions, watch.dag_ids), seen[file].error
                results[file] = ParsedFile(*file, parsed=True, dags=dags, error=error)
                if progress is not None:
                    progress("parsed", file=file[1], done=len(results), of=len(asked), error=error)
            if again:
                await ask(dag_processor.request_parsing, again)
                again = []
            if waiting and time.monotonic() >= check_at:
                lost = not await ask(dag_processor.processor_alive)
                check_at = time.monotonic() + PROCESSOR_CHECK
    if waiting:
        seen, versions = await ask(_look, dict(waiting))
        for file in waiting:
            dags = _numbers(versions, seen[file].dags)
            results[file] = ParsedFile(*file, parsed=False, dags=dags, error=seen[file].error)
    return Parsed([results[file] for file in asked], lost=lost)


@contextmanager
def _through_outages() -> Iterator[None]:
    """Pass over an answer that the database did not give, for the next round to ask again."""
    try:
        yield
    except Exception as error:
        if of_database(error) is None:
            raise
        log.warning("The database did not answer while files were being parsed: %s", type(error).__name__)


def _look(watches: Mapping[File, Watch]) -> tuple[dict[File, FileState], dict[str, Stored]]:
    seen = dag_processor.look(list(watches))
    news = [
        dag_id for file, watch in watches.items() if watch.is_news(seen[file]) for dag_id in seen[file].dags
    ]
    return seen, dag_processor.stored(news)


def _numbers(versions: Mapping[str, Stored], dag_ids: Iterable[str]) -> dict[str, int | None]:
    return {dag_id: versions[dag_id].version if dag_id in versions else None for dag_id in dag_ids}


async def bring_up_to_date(
    work: WorkContext,
    files: Iterable[File],
    *,
    wait: bool,
    dag_ids: Mapping[File, Collection[str]] | None = None,
    locally: bool = True,
) -> Parsed:
    """
    Have files parsed, by the DAG processor where one is alive, else locally, of which the operation warns.

    :param wait: for the DAG processor; what is parsed locally has been parsed when this returns
    :param dag_ids: what is in the files, where that is known
    :param locally: whether this process may parse them; if not, the DAG processor finds the request later
    """
    wanted = tuple(dict.fromkeys(files))
    if locally and not await ask(dag_processor.processor_alive):
        return await _parse_locally(work, wanted, "No DAG processor is alive")
    asked = await request_parse(wanted)
    work.progress("asked", of=len(wanted))
    if not locally and not await ask(dag_processor.processor_alive):
        work.warn("No DAG processor is alive: the files will be parsed when one is started.")
    elif wait:
        parsed = await until_parsed(asked, dag_ids=dag_ids, progress=work.progress)
        if parsed.lost and locally:
            return await _parse_locally(work, wanted, "The DAG processor has come to its end")
        if not parsed.complete:
            late = named(file.path for file in parsed.files if not file.parsed)
            work.warn(
                f"The DAG processor came to its end before it had parsed {late}."
                if parsed.lost
                else f"The DAG processor has been asked, and has not shown yet that it parsed {late}."
            )
        return parsed
    return Parsed([ParsedFile(*file, parsed=False) for file in wanted])


async def _parse_locally(work: WorkContext, files: tuple[File, ...], why: str) -> Parsed:
    """
    Have files parsed in a child of the engine, and what is in them recorded as the DAG processor would.

    What the files print becomes the operation's output. A child that does not come to its end, as when a file
    ends the process, leaves the rest unparsed.
    """
    by, who = (BY_API_SERVER, "API server") if work.runner is None else (BY_RUNNER, "runner")
    work.progress("asked", of=len(files), parsed_by=by)
    before = await ask(dag_processor.look, files)
    folder = await asyncio.to_thread(private_folders.make)
    try:
        order = json.dumps({"files": files, "result": str(folder / "result.json")})
        finished = await work.run(Job([order], entry=parse.ENTRY, mask=True))
        unparsed = await asyncio.to_thread(_unparsed, folder / "result.json", files)
    finally:
        await asyncio.shield(asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True))
    work.say(finished.stdout)
    work.say(finished.stderr, "stderr")
    complete = finished.outcome.ending is Ending.EXITED and finished.outcome.exit_code == 0
    done = f"the files were parsed by the {who}" if complete else f"the {who} did not get through the files"
    work.warn(f"{why}: {done}.")
    for sentence in filter(None, (unparsed or {}).values()):
        work.warn(sentence)
    if finished.outcome.message:
        work.warn(finished.outcome.message)
    after = await ask(dag_processor.look, files)
    recorded = {
        file: [dag_id for dag_id, one in after[file].dags.items() if before[file].dags.get(dag_id) != one]
        for file in files
    }
    versions = await ask(dag_processor.stored, [one for dag_ids in recorded.values() for one in dag_ids])
    parsed = []
    for number, file in enumerate(files, 1):
        error = after[file].error
        if unparsed is not None:
            new = file not in unparsed
        else:
            new = complete or bool(recorded[file]) or after[file].error_at != before[file].error_at
        parsed.append(ParsedFile(*file, parsed=new, dags=_numbers(versions, recorded[file]), error=error))
        if new:
            work.progress("parsed", file=file[1], done=number, of=len(files), error=error)
    return Parsed(parsed, by=by, unparsed=unparsed or {})


def _unparsed(result: Path, files: Sequence[File]) -> dict[File, str] | None:
    """
    Return what a child says of the files that it has not parsed, None where it says nothing.

    The code of the files ran below it, so it can be anything.
    """
    try:
        if result.stat().st_size > LARGEST_RESULT:
            return None
        said = json.loads(result.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(said, list) or len(said) != len(files):
        return None
    told = zip(files, said, strict=True)
    return {file: str(sentence)[:LONGEST_SENTENCE] for file, sentence in told if sentence is not None}
