"""Parse DAG files in a child of the engine: for where no DAG processor is alive."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from airflow_rest_api.airflow import parsing
from airflow_rest_api.airflow.asking import ask
from airflow_rest_api.dag_files.child import parse
from airflow_rest_api.dag_files.parsed import HERE, Parsed, ParsedFile
from airflow_rest_api.engine.job import Ending, Job

if TYPE_CHECKING:
    from airflow_rest_api.airflow.parsing import File, Seen
    from airflow_rest_api.operations.runs import WorkContext


async def parse_here(conductor: WorkContext, files: tuple[File, ...]) -> Parsed:
    """
    Parse files and have what is in them recorded as the DAG processor would have.

    What the files print becomes the operation's output. A child that does not come to its end, as when a file
    ends the process, leaves the rest unparsed.
    """
    before = await ask(parsing.look, files)
    finished = await conductor.run(Job([parse.order(files)], entry=parse.ENTRY, env=parse.ENV, mask=True))
    conductor.say(finished.stdout)
    conductor.say(finished.stderr, "stderr")
    complete = finished.outcome.ending is Ending.EXITED and finished.outcome.exit_code == 0
    if finished.outcome.message:
        conductor.warn(finished.outcome.message)
    after = await ask(parsing.look, files)
    found = {file: _recorded(before[file], after[file]) for file in files}
    versions = await asyncio.to_thread(parsing.stored, [dag_id for dags in found.values() for dag_id in dags])
    return Parsed(
        [
            ParsedFile(
                *file,
                parsed=complete or bool(found[file]) or after[file].error_at != before[file].error_at,
                dags={dag: versions[dag].version if dag in versions else None for dag in found[file]},
                error=after[file].error,
            )
            for file in files
        ],
        by=HERE,
    )


def _recorded(before: Seen, after: Seen) -> list[str]:
    """Return the DAGs that were recorded in between."""
    return [dag_id for dag_id, parse in after.dags.items() if before.dags.get(dag_id) != parse]
