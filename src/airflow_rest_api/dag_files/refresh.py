"""Have the DAG processor parse files now, and see what it made of them; without one, parse them here."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from airflow_rest_api.airflow import parsing
from airflow_rest_api.airflow.asking import ask
from airflow_rest_api.airflow.parsing import File, Seen
from airflow_rest_api.dag_files.parse_local import parse_here
from airflow_rest_api.dag_files.parsed import HERE, Parsed, ParsedFile
from airflow_rest_api.dag_files.watch import Watch

if TYPE_CHECKING:
    from airflow_rest_api.operations.runs import WorkContext

PAUSE = 0.2
"""Seconds between two looks at the database."""

PATIENCE = 60.0
"""Seconds to wait while no file gets further."""

PULSE = 5.0
"""Seconds between two looks at whether a DAG processor is alive."""

Progress = Callable[..., None]
"""Takes a step and its details: `WorkContext.progress`."""


@dataclass(frozen=True)
class Asked:
    """
    Files that the DAG processor has been asked for.

    :ivar since: before it was asked, and after the files were written
    :ivar before: what Airflow had of them at that moment
    """

    files: tuple[File, ...]
    since: datetime
    before: Mapping[File, Seen] = field(repr=False)


async def processor_alive() -> bool:
    """Return whether a DAG processor is alive, by its heartbeat."""
    return await ask(parsing.processor_alive)


async def request_parse(files: Iterable[File]) -> Asked:
    """
    Ask the DAG processor to parse files before all others, new ones included; works without one as well.

    Only what it parses makes sense: `.py` files with DAGs in them, and `.zip` archives. What Airflow had of
    the files is looked at first, so this has to come after they were written.

    A request makes the DAG processor list the files of the bundle at once
    (`DagFileProcessorManager._queue_requested_files_for_parsing`): it need not know the file.
    """
    wanted = tuple(dict.fromkeys(files))
    since = parsing.now()
    before = await ask(parsing.look, wanted)
    await ask(parsing.ask, wanted)
    return Asked(wanted, since, before)


async def until_parsed(
    asked: Asked,
    *,
    dag_ids: Mapping[File, Collection[str]] | None = None,
    progress: Progress | None = None,
    patience: float = PATIENCE,
    at_most: float = math.inf,
    stored: bool = True,
) -> Parsed:
    """
    Wait until the DAG processor has parsed files as they are now, and what it found is what Airflow runs.

    :param dag_ids: what is in the files; one with nothing in it leaves no trace, and is not waited for
    :param progress: is told `parsed` of each file, with `file`, `done`, `of` and `error`; and `resting`, with
        `file` and `seconds`, where Airflow does not store a DAG anew before these have passed
    :param patience: seconds to wait while no file gets further
    :param at_most: seconds to wait in all
    :param stored: False takes a DAG as done that Airflow knows and does not store anew yet
    """
    known = dag_ids or {}
    watches = {
        file: Watch(asked.since, asked.before.get(file, Seen()))
        for file in asked.files
        if file not in known or known[file]
    }
    waiting, done = dict(watches), len(asked.files) - len(watches)
    results = {file: ParsedFile(*file, parsed=True) for file in asked.files if file not in watches}
    rest = parsing.rest_between_versions() if stored else timedelta()
    pulse, end = time.monotonic() + PULSE, time.monotonic() + patience
    lost, latest = False, time.monotonic() + at_most
    while waiting and time.monotonic() < min(end, latest) and not lost:
        await asyncio.sleep(PAUSE)
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
            results[file] = _parsed(file, watch, seen[file], versions)
            if progress is not None:
                progress("parsed", file=file[1], done=done, of=len(asked.files), error=results[file].error)
        if again:
            await ask(parsing.ask, again)
        if waiting and time.monotonic() >= pulse:
            lost, pulse = not await processor_alive(), time.monotonic() + PULSE
    if waiting:
        seen, versions = await asyncio.to_thread(_look, dict(waiting))
        for file in waiting:
            dags = {dag_id: _number(versions, dag_id) for dag_id in seen[file].dags}
            results[file] = ParsedFile(*file, parsed=False, dags=dags, error=seen[file].error)
    return Parsed([results[file] for file in asked.files], lost=lost)


def _look(watches: Mapping[File, Watch]) -> tuple[dict[File, Seen], dict[str, parsing.Stored]]:
    seen = parsing.look(list(watches))
    news = [
        dag_id for file, watch in watches.items() if watch.is_news(seen[file]) for dag_id in seen[file].dags
    ]
    return seen, parsing.stored(news)


def _parsed(file: File, watch: Watch, seen: Seen, versions: Mapping[str, parsing.Stored]) -> ParsedFile:
    dags = {dag_id: _number(versions, dag_id) for dag_id in watch.dag_ids}
    return ParsedFile(*file, parsed=True, dags=dags, error=seen.error)


def _number(versions: Mapping[str, parsing.Stored], dag_id: str) -> int | None:
    return versions[dag_id].version if dag_id in versions else None


async def bring_up_to_date(
    conductor: WorkContext,
    files: Iterable[File],
    *,
    wait: bool,
    dag_ids: Mapping[File, Collection[str]] | None = None,
    here: bool = True,
    stored: bool = True,
) -> Parsed:
    """
    Have files parsed, by the DAG processor where one is alive, else here; the operation says so.

    :param wait: for the DAG processor; what is parsed here has been parsed when this returns
    :param dag_ids: what is in the files, where that is known
    :param here: whether they may be parsed here; if not, the DAG processor finds the request once it is there
    :param stored: see `until_parsed`
    """
    wanted = tuple(dict.fromkeys(files))
    if here and not await processor_alive():
        return await _here(conductor, wanted, "No DAG processor is alive")
    asked = await request_parse(wanted)
    conductor.progress("asked", of=len(wanted))
    if not here and not await processor_alive():
        conductor.warn("No DAG processor is alive: the files will be parsed when one is started.")
    elif wait:
        parsed = await until_parsed(asked, dag_ids=dag_ids, progress=conductor.progress, stored=stored)
        if parsed.lost and here:
            return await _here(conductor, wanted, "The DAG processor has come to its end")
        if not parsed.complete:
            conductor.warn(_late(parsed))
        return parsed
    return Parsed([ParsedFile(*file, parsed=False) for file in wanted])


async def _here(conductor: WorkContext, files: tuple[File, ...], why: str) -> Parsed:
    conductor.warn(f"{why}: the files were parsed by the API server.")
    conductor.progress("asked", of=len(files), parsed_by=HERE)
    parsed = await parse_here(conductor, files)
    for done, file in enumerate(parsed.files, 1):
        if file.parsed:
            conductor.progress("parsed", file=file.path, done=done, of=len(files), error=file.error)
    return parsed


def _late(parsed: Parsed) -> str:
    late = [file.path for file in parsed.files if not file.parsed]
    named = ", ".join(late[:5]) + (", …" if len(late) > 5 else "")
    if parsed.lost:
        return f"The DAG processor came to its end before it had parsed {named}."
    return f"The DAG processor has been asked, and has not shown yet that it parsed {named}."
