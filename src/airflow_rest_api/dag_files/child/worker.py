"""The process that runs the code of DAG files to see what is in them."""

from __future__ import annotations

import ctypes
import errno
import json
import os
import re
import resource
import signal
import sys
import traceback
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

LONGEST = 2000

_FRAME = re.compile(r'^\s*File "([^"\n]+)", line (\d+)', re.MULTILINE)


def sentence(path: str, text: str) -> str:
    """
    Return what is wrong with a file, in one line, from a traceback as Airflow keeps it.

    :param path: of the file, in its bundle
    """
    lines = [line for file, line in _FRAME.findall(text) if file == path or file.endswith(f"/{path}")]
    place = f"{path}, line {lines[-1]}" if lines else path
    return f"{place}: {' '.join(_last_words(text).split())}"[:LONGEST]


class Words:
    """
    Words about one file.

    :param view: where the files lie while they are checked
    :param root: the bundle as it is
    :param path: of the file, in the bundle
    """

    def __init__(self, view: Path, root: Path, path: str) -> None:
        self._folders = (f"{view}/", f"{root}/")
        self._path = path

    def shown(self, text: str) -> str:
        """Return a text with paths relative to the bundle."""
        for folder in self._folders:
            text = text.replace(folder, "")
        return text

    def of_exception(self, error: BaseException) -> dict[str, Any]:
        """Return what is wrong, and in which line of the file."""
        return self.of_text("".join(traceback.format_exception(error)))

    def of_text(self, text: str) -> dict[str, Any]:
        """
        Return the same from a traceback as Airflow keeps it.

        The line is the innermost one in the file itself; where a module of the bundle failed, the message
        names it.
        """
        text = self.shown(text)
        message = _last_words(text)
        frames = _FRAME.findall(text)
        lines = [int(line) for file, line in frames if file == self._path]
        inner = [(file, line) for file, line in frames if not file.startswith(("/", "<"))]
        if inner and inner[-1][0] != self._path:
            message += f" ({inner[-1][0]}, line {inner[-1][1]})"
        return {"line": lines[-1] if lines else None, "message": message[:LONGEST]}


def _last_words(text: str) -> str:
    """Return the exception at the end of a traceback, with all its lines."""
    lines = text.strip().splitlines()
    # Below the last indented line: the exception and whatever lines it has.
    for number in range(len(lines) - 1, -1, -1):
        if lines[number].startswith(" "):
            return "\n".join(lines[number + 1 :]).strip() or lines[-1].strip()
    return "\n".join(lines[-20:])


_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

# Events of https://docs.python.org/3/library/audit_events.html, and how many of their arguments are paths.
_EVENTS = {
    "os.chmod": 1,
    "os.chown": 1,
    "os.link": 2,
    "os.mkdir": 1,
    "os.remove": 1,
    "os.rename": 2,
    "os.rmdir": 1,
    "os.symlink": 2,
    "os.truncate": 1,
    "os.utime": 1,
}
MOST = 20

_tried: list[str] = []
_roots: list[str] = []
_busy = False


def watch(roots: Iterable[Path]) -> None:
    """Refuse everything in this process that writes below some folders. There is no way back."""
    _roots[:] = [os.path.realpath(root) for root in roots]
    sys.addaudithook(_hook)


def forget() -> None:
    """Forget what was refused."""
    _tried.clear()


def written() -> list[str]:
    """Return a sentence for what was refused since, none for nothing."""
    if not _tried:
        return []
    named = ", ".join(dict.fromkeys(_tried[:MOST]))
    return [f"The file writes into its bundle when it is parsed, which was refused here: {named}"]


def _hook(event: str, args: tuple[Any, ...]) -> None:
    global _busy
    if event == "open":
        path, _, flags = args
        paths = [path] if isinstance(flags, int) and flags & _WRITES else []
    elif event in _EVENTS:
        paths = list(args[: _EVENTS[event]])
    else:
        return
    if _busy or not paths:
        return
    _busy = True
    try:
        found = [inside for path in paths if (inside := _inside(path)) is not None]
    finally:
        _busy = False
    if found:
        _tried.extend(found)
        raise PermissionError(
            errno.EACCES, "A DAG file must not write into its bundle while it is checked", found[0]
        )


def _inside(path: Any) -> str | None:
    """Return a path relative to the bundle, None where it lies elsewhere."""
    if not isinstance(path, (str, bytes, os.PathLike)):
        return None
    try:
        # Not the file itself: a link in the bundle is written there, whatever it leads to.
        absolute = os.path.abspath(os.fsdecode(path))
        real = os.path.join(os.path.realpath(os.path.dirname(absolute)), os.path.basename(absolute))
        candidates = (real, os.path.realpath(real))
    except (OSError, ValueError, UnicodeError):
        return None
    for root in _roots:
        for candidate in candidates:
            if candidate == root or candidate.startswith(root + os.sep):
                return os.path.relpath(candidate, root)
    return None


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
            forget()
            finding = _parse(path, settings)
            finding["warnings"] += written()
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
    watch((settings.root, settings.view))


def _parse(path: str, settings: Settings) -> dict[str, Any]:
    from airflow.configuration import conf
    from airflow.dag_processing.dagbag import DagBag
    from airflow.utils.file import might_contain_dag

    file = str(settings.view / path)
    finding: dict[str, Any] = {"dags": [], "errors": [], "warnings": []}
    words = Words(settings.view, settings.root, path)
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


def _look(bag: Any, found: Sequence[Any], finding: dict[str, Any], words: Words, path: str) -> None:
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
