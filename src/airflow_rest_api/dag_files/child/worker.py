"""The process that runs the code of DAG files to see what is in them."""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from airflow_rest_api.dag_files.child import guard, traces

PR_SET_PDEATHSIG = 1
MOST_TASKS = 2000
MOST_WARNINGS = 20
LONGEST_WARNING = 500


@dataclass(frozen=True)
class Settings:
    """
    What the worker has to know.

    :ivar view: the bundle as it will be
    :ivar root: the bundle as it is
    :ivar memory: bytes of private memory, 0 for no limit
    """

    view: Path
    root: Path
    bundle: str
    memory: int


def work(paths: Sequence[str], settings: Settings, mouth: int) -> NoReturn:
    """Parse files one after the other in this process, say of each what is in it, and end."""
    try:
        _prepare(settings)
        for path in paths:
            guard.forget()
            finding = _parse(path, settings)
            finding["warnings"] += guard.written()
            _say(mouth, finding)
    except BaseException as error:
        # Nothing of this is in a file's power, but who knows.
        _say(
            mouth,
            {"dags": [], "errors": [{"line": None, "message": repr(error)}], "warnings": [], "spent": True},
        )
    finally:
        _flush()
        # Without exit handlers and without waiting for threads that a file has started.
        os._exit(0)


def _prepare(settings: Settings) -> None:
    from airflow import settings as airflow_settings

    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    # A connection of the other process must not be used by two.
    if (engine := getattr(airflow_settings, "engine", None)) is not None:
        engine.dispose(close=False)
    sys.dont_write_bytecode = True
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if settings.memory:
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        limit = settings.memory if hard == resource.RLIM_INFINITY else min(settings.memory, hard)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))
    guard.watch((settings.root, settings.view))


def _parse(path: str, settings: Settings) -> dict[str, Any]:
    from airflow.configuration import conf
    from airflow.dag_processing.dagbag import DagBag
    from airflow.utils.file import might_contain_dag

    file = str(settings.view / path)
    finding: dict[str, Any] = {"dags": [], "errors": [], "warnings": []}
    words = traces.Words(settings.view, settings.root, path)
    try:
        safe = conf.getboolean("core", "dag_discovery_safe_mode")
        if path.endswith(".py") and (error := _compiled(file)) is not None:
            finding["errors"].append(words.of_exception(error))
        elif might_contain_dag(file, safe):
            bag: Any = DagBag(
                file, collect_dags=False, bundle_path=settings.view, bundle_name=settings.bundle
            )
            found = bag.process_file(file, only_if_updated=False, safe_mode=safe)
            _look(bag, found, finding, words, path)
    except BaseException as error:
        finding["errors"].append(words.of_exception(error))
        finding["spent"] = True
    if any(error["message"].startswith("MemoryError") for error in finding["errors"]):
        # What it had taken may still be in its hands.
        finding["spent"] = True
    return finding


def _look(bag: Any, found: Sequence[Any], finding: dict[str, Any], words: traces.Words, path: str) -> None:
    for text in bag.import_errors.values():
        finding["errors"].append(words.of_text(text))
    for dag in bag.dags.values():
        try:
            finding["dags"].append(_described(dag))
        except Exception as error:
            # The DAG processor has to serialize it as well, and shows this as an import error.
            finding["errors"].append(words.of_exception(error))
    twice = sorted({dag.dag_id for dag in found if sum(dag.dag_id == other.dag_id for other in found) > 1})
    warnings = [f"The DAG {dag_id!r} is defined more than once in {path}." for dag_id in twice]
    if not finding["dags"] and not finding["errors"]:
        warnings.append(f"{path} defines no DAG.")
    captured = [text for texts in bag.captured_warnings.values() for text in texts]
    warnings += [words.shown(text)[:LONGEST_WARNING] for text in captured[:MOST_WARNINGS]]
    finding["warnings"] += warnings


def _described(dag: Any) -> dict[str, Any]:
    from airflow.serialization.serialized_objects import LazyDeserializedDAG

    lazy = LazyDeserializedDAG.from_dag(dag)
    tasks = [str(task.task_id) for task in dag.tasks]
    return {
        "dag_id": str(dag.dag_id),
        "tasks": tasks[:MOST_TASKS],
        "schedule": str(lazy.timetable.summary),
        "tags": sorted(map(str, dag.tags or ())),
    }


def _compiled(file: str) -> BaseException | None:
    """Return what keeps a file from being Python at all; Airflow says so only where it looks for a DAG."""
    try:
        with open(file, "rb") as content:
            compile(content.read(), file, "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError) as error:
        return error
    return None


def _say(mouth: int, finding: dict[str, Any]) -> None:
    data = json.dumps(finding).encode() + b"\n"
    while data:
        data = data[os.write(mouth, data) :]


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            continue
