"""The check of DAG files before they are deployed: in a child process, within limits of time and memory."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_rest_api.airflow import dag_processor
from airflow_rest_api.airflow.queries import ask
from airflow_rest_api.dag_files.child import check as child
from airflow_rest_api.dag_files.child.worker import MOST_TASKS, CheckOrder, FileWords
from airflow_rest_api.dag_files.upload import named
from airflow_rest_api.disk_full import has_room
from airflow_rest_api.engine.job import Ending, Job
from airflow_rest_api.errors import CheckFailed, NoSpace

if TYPE_CHECKING:
    from airflow_rest_api.dag_files.bundles import BundleFolder
    from airflow_rest_api.dag_files.upload import Received
    from airflow_rest_api.operations.runs import Finished, WorkContext

MIB = 2**20
LARGEST_RESULT = 64 * MIB

LONGEST_TEXT = 2000
"""Characters of any text in a finding."""
MOST_DAGS = 5000
MOST_WARNINGS = 200
MOST_UNCOVERED = 100_000

ANOTHER = "another file"
"""The owner of a DAG that the user may not know of."""


@dataclass(frozen=True)
class CheckLimits:
    """What the check of one file may take, in seconds and in megabytes; 0 for no limit."""

    seconds: int = 60
    memory: int = 2048


@dataclass(frozen=True)
class FoundDag:
    """A DAG of a file; the version is that of Airflow, once it has parsed the file."""

    dag_id: str
    file: str
    tasks: list[str] = field(default_factory=list)
    schedule: str = ""
    tags: list[str] = field(default_factory=list)
    version: int | None = None


@dataclass(frozen=True)
class BrokenFile:
    """What keeps a file from being imported."""

    file: str
    line: int | None
    message: str


@dataclass(frozen=True)
class Duplicate:
    """A DAG id that a file defines and another file as well; `owner` is the other one, as `bundle:path`."""

    dag_id: str
    file: str
    owner: str


@dataclass
class Findings:
    """
    What a check found.

    :ivar files: those that were parsed
    :ivar ignored: those that Airflow passes over
    :ivar uncovered: those of the bundle that it has passed over until now
    """

    files: list[str] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)
    uncovered: list[str] = field(default_factory=list)
    dags: list[FoundDag] = field(default_factory=list)
    errors: list[BrokenFile] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @property
    def seen(self) -> frozenset[str]:
        """The files about which the check says something."""
        return frozenset((*self.files, *self.ignored))


async def check(
    work: WorkContext,
    place: BundleFolder,
    received: Received,
    limits: CheckLimits,
    deleted: Sequence[str] = (),
) -> Findings:
    """
    Parse the files as if they were in their bundle already, and those that they have Airflow look at anew.

    What they print becomes the operation's output. A file that ends its process, or does not come to an end,
    has an error.

    :param deleted: files that are to be taken away, for which nothing is parsed: see `CheckOrder`
    :raises CheckFailed: there is no answer for every file: none may be taken for a good one
    :raises NoSpace: because the disk is full
    """
    # The last part of the bundle's path is all of it that code often asks for.
    view = received.private_folder("view") / (place.root.name or "bundle")
    result = received.private_folder("found") / "result.json"
    cwd = received.private_folder("cwd")
    view.mkdir()
    paths = [file.path for file in received.files]
    parsed = await asyncio.to_thread(_parsed, received)
    order = CheckOrder(
        root=str(place.root),
        bundle=place.bundle.name,
        view=str(view),
        files={file.path: str(file.content) for file in received.files},
        timeout=limits.seconds,
        memory=limits.memory * MIB,
        result=str(result),
        deleted=list(deleted),
    )
    argv = [json.dumps(asdict(order))]
    # The files have a limit of their own; what checks them is our own code.
    job = Job(argv, shown=["check"], entry=child.ENTRY, cwd=str(cwd), mask=True, limited=False)
    finished = await work.run(job)
    shown = FileWords(order.view, order.root).shown
    work.say(shown(finished.stdout))
    work.say(shown(finished.stderr), "stderr")
    found = await asyncio.to_thread(_read, result)
    if found is None:
        if not await asyncio.to_thread(has_room, received.path):
            raise NoSpace
        raise CheckFailed(f"{_why(finished)} Nothing was written.")
    answer = await asyncio.to_thread(findings, found, paths)
    expected = [*parsed, *(() if deleted else answer.uncovered)]
    if unanswered := [path for path in expected if path not in answer.seen]:
        raise CheckFailed(f"The check says nothing about {unanswered[0]}. Nothing was written.")
    return answer


def _parsed(received: Received) -> list[str]:
    return [file.path for file in received.files if child.is_parsed(file.path, file.content)]


async def duplicates(
    bundle: str,
    dags: Collection[FoundDag],
    root: Path,
    files: Collection[str],
    covers: Callable[[str, str], bool],
) -> list[Duplicate]:
    """
    Return the DAGs that another file defines as well.

    :param files: of the deployment: what Airflow knows of them is about to change
    :param covers: whether the user may know of a file of a bundle
    """
    found: list[Duplicate] = []
    first: dict[str, str] = {}
    for dag in dags:
        if first.setdefault(dag.dag_id, dag.file) != dag.file:
            found.append(Duplicate(dag.dag_id, dag.file, f"{bundle}:{first[dag.dag_id]}"))
    owners = await ask(dag_processor.owners, list(first))
    own = set(files)
    for dag in dags:
        owner = owners.get(dag.dag_id)
        if owner is None or (owner[0] == bundle and _is_in(owner[1], {dag.file})):
            continue
        if owner[0] == bundle and (
            _is_in(owner[1], own) or await asyncio.to_thread(_is_gone, root / owner[1])
        ):
            # It moves from one file to another, or has moved before Airflow noticed.
            continue
        found.append(Duplicate(dag.dag_id, dag.file, f"{owner[0]}:{owner[1]}" if covers(*owner) else ANOTHER))
    return found


def _is_in(path: str, files: Collection[str]) -> bool:
    """Return whether a path is one of files, or is inside one: in an archive, which may have any name."""
    parts = path.split("/")
    return any("/".join(parts[:count]) in files for count in range(1, len(parts) + 1))


def _is_gone(path: Path) -> bool:
    try:
        path.stat()
    except FileNotFoundError:
        return True
    except OSError:
        # It is in an archive that is not called one, which Airflow knows by its content; or closed to us.
        return False
    return False


def findings(result: Any, paths: Iterable[str]) -> Findings:
    """
    Read the result of a child that was to check files, a `CheckResult` if it is right.

    The code of the files ran there, so it can be anything.
    """
    found = Findings(uncovered=_texts(_mapping(result).get("uncovered"), MOST_UNCOVERED))
    known = {*paths, *found.uncovered}
    for path, value in _mapping(_mapping(result).get("files")).items():
        if path not in known:
            continue
        finding = _mapping(value)
        found.files.append(path)
        found.dags += [_dag(path, _mapping(dag)) for dag in _items(finding.get("dags"), MOST_DAGS)]
        found.errors += [_error(path, _mapping(error)) for error in _items(finding.get("errors"), MOST_DAGS)]
        found.warnings += _texts(finding.get("warnings"), MOST_WARNINGS)
    found.ignored = [path for path in _texts(_mapping(result).get("ignored"), len(known)) if path in known]
    found.warnings += [f"{path}: an .airflowignore has Airflow pass over it." for path in found.ignored]
    if found.uncovered:
        found.warnings.append(f"No .airflowignore has Airflow pass over {named(found.uncovered)} any more.")
    del found.warnings[MOST_WARNINGS:]
    return found


def _dag(path: str, dag: Mapping[str, Any]) -> FoundDag:
    return FoundDag(
        dag_id=_text(dag.get("dag_id")),
        file=path,
        tasks=_texts(dag.get("tasks"), MOST_TASKS),
        schedule=_text(dag.get("schedule")),
        tags=_texts(dag.get("tags"), MOST_TASKS),
    )


def _error(path: str, error: Mapping[str, Any]) -> BrokenFile:
    line = error.get("line")
    return BrokenFile(path, line if type(line) is int else None, _text(error.get("message")))


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _items(value: Any, most: int) -> list[Any]:
    return value[:most] if isinstance(value, list) else []


def _texts(value: Any, most: int) -> list[str]:
    return [_text(item) for item in _items(value, most) if isinstance(item, str)]


def _text(value: Any) -> str:
    return value[:LONGEST_TEXT].encode(errors="replace").decode() if isinstance(value, str) else ""


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
    code = finished.outcome.exit_code
    return f"The check did not come to its end (exit code {code}); the operation's output says more."
