"""Looking into DAG files before they count: in a child of the engine, within limits of time and memory."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_rest_api.airflow import parsing
from airflow_rest_api.airflow.asking import ask
from airflow_rest_api.dag_files.child import check as child
from airflow_rest_api.dag_files.report import BrokenFile, Duplicate, Findings, FoundDag, findings
from airflow_rest_api.engine.job import Ending, Job
from airflow_rest_api.errors import NoSpace
from airflow_rest_api.room import has_room

if TYPE_CHECKING:
    from airflow_rest_api.dag_files.bundles import Place
    from airflow_rest_api.dag_files.upload import Received
    from airflow_rest_api.operations.conduct import Conductor, Finished

MIB = 2**20
LARGEST_RESULT = 64 * MIB

ANOTHER = "another file"
"""The owner of a DAG that somebody may not hear of."""


@dataclass(frozen=True)
class CheckLimits:
    """
    What the check of one file may take; 0 for no limit.

    :param memory: megabytes
    """

    seconds: int = 60
    memory: int = 2048


async def check(conductor: Conductor, place: Place, received: Received, limits: CheckLimits) -> Findings:
    """
    Parse the files as if they were in their bundle already.

    What they print becomes the operation's output. Whatever they do, there is an answer: a file that ends its
    process, or does not come to an end, has an error.
    """
    # The last part of the bundle's path is all of it that code often asks for.
    view = received.private_folder("view") / (place.root.name or "bundle")
    result = received.private_folder("found") / "result.json"
    cwd = received.private_folder("cwd")
    view.mkdir()
    paths = [file.path for file in received.files]
    order = child.order(
        root=str(place.root),
        bundle=place.bundle.name,
        view=str(view),
        files={file.path: str(file.content) for file in received.files},
        timeout=limits.seconds,
        memory=limits.memory * MIB,
        result=str(result),
    )
    # The files have a limit of their own; what checks them is our own code.
    job = Job([order], shown=["check"], entry=child.ENTRY, cwd=str(cwd), mask=True, limited=False)
    finished = await conductor.run(job)
    for text, stream in ((finished.stdout, "stdout"), (finished.stderr, "stderr")):
        conductor.say(_in_clients_words(text, view, place.root), "stderr" if stream == "stderr" else "stdout")
    said = await asyncio.to_thread(_read, result)
    if said is None:
        if not await asyncio.to_thread(has_room, received.path):
            raise NoSpace
        return Findings((), (), (BrokenFile(paths[0], None, _why(finished)),), ())
    return findings(said, paths)


async def duplicates(
    bundle: str,
    dags: Iterable[FoundDag],
    root: Path,
    files: Collection[str],
    covers: Callable[[str, str], bool],
) -> list[Duplicate]:
    """
    Return the DAGs that another file defines as well.

    :param files: of the deployment: what Airflow knows of them is about to change
    :param covers: whether whoever asks may hear of a file of a bundle
    """
    found: list[Duplicate] = []
    first: dict[str, str] = {}
    known = list(dags)
    for dag in known:
        if first.setdefault(dag.dag_id, dag.file) != dag.file:
            found.append(Duplicate(dag.dag_id, dag.file, f"{bundle}:{first[dag.dag_id]}"))
    owners = await ask(parsing.owners, list(first))
    for dag in known:
        owner = owners.get(dag.dag_id)
        if owner is None or owner == (bundle, dag.file):
            continue
        if owner[0] == bundle and (owner[1] in files or not (root / owner[1]).exists()):
            # It moves from one file to another, or has moved before Airflow noticed.
            continue
        found.append(Duplicate(dag.dag_id, dag.file, f"{owner[0]}:{owner[1]}" if covers(*owner) else ANOTHER))
    return found


def _read(result: Path) -> Any:
    try:
        if result.stat().st_size > LARGEST_RESULT:
            return None
        return json.loads(result.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None


def _why(finished: Finished) -> str:
    if finished.outcome.ending is not Ending.EXITED:
        return f"The check did not come to its end: {finished.outcome.message}"
    return f"The check did not come to its end (exit code {finished.outcome.exit_code})."


def _in_clients_words(text: bytes, view: Path, root: Path) -> str:
    words = text.decode(errors="replace")
    for folder in (view, root):
        words = words.replace(f"{folder}/", "")
    return words
