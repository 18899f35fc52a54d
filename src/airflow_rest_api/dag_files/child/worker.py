"""
The process that runs the code of DAG files to see what is in them.

That code is kept from writing into its bundle by way of Python. This is no sandbox: a program that it starts,
or a library in C, writes wherever the user of the API server may.
"""

from __future__ import annotations

import contextlib
import errno
import importlib
import json
import os
import re
import resource
import signal
import stat
import sys
import traceback
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn, TypedDict

from airflow_rest_api import processes

LONGEST_MESSAGE = 2000
MOST_REFUSED = 20
MOST_TASKS = 2000
MOST_WARNINGS = 20
LONGEST_WARNING = 500

LARGEST_AHEAD = 64 * 1024
"""
Bytes of a file whose imports are looked for ahead of it.

That is done in a process without limits of memory and time, and Python's syntax tree can be 500 times as
large as the file. A larger one imports for itself, within its limits.
"""
MOST_AHEAD = 1024 * 1024
"""Bytes of all of these: each can take a second, and what they import of Airflow is much the same in all."""

_FRAME = re.compile(r'^\s*File "([^"\n]+)", line (\d+)', re.MULTILINE)
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


@dataclass(frozen=True)
class CheckOrder:
    """
    What is to be checked, and how; good for JSON.

    :ivar root: the bundle as it is
    :ivar view: an empty folder for the bundle as it will be
    :ivar files: where the content of each file is, by path in the bundle
    :ivar timeout: seconds for each file, 0 for no limit
    :ivar memory: bytes of private memory for each file, 0 for no limit
    :ivar result: the file that takes the answer, a `CheckResult`
    :ivar deleted: files that the bundle will have no more; those of it that this uncovers are named, and no
        file is parsed
    """

    root: str
    bundle: str
    view: str
    files: dict[str, str]
    timeout: int
    memory: int
    result: str
    deleted: list[str] = field(default_factory=list)


class ErrorFinding(TypedDict):
    """What keeps a file from being imported."""

    line: int | None
    message: str


class DagFinding(TypedDict):
    """A DAG of a file."""

    dag_id: str
    tasks: list[str]
    schedule: str
    tags: list[str]


class Finding(TypedDict):
    """What was found in a file."""

    dags: list[DagFinding]
    errors: list[ErrorFinding]
    warnings: list[str]


class CheckResult(TypedDict):
    """
    What was found in each file, by path, and the files that an `.airflowignore` names.

    `uncovered` are files of the bundle that none names any more: Airflow has not looked at them until now.
    """

    files: dict[str, Finding]
    ignored: list[str]
    uncovered: list[str]


def only_error(message: str) -> Finding:
    """Return the finding of a file of which nothing else is known."""
    return {"dags": [], "errors": [{"line": None, "message": message}], "warnings": []}


READY = b"ready\n"
"""The first line that a worker writes: what keeps one from writing it is no fault of the files."""


def work(path: str, order: CheckOrder, pipe: int, parent: int) -> NoReturn:
    """Parse a file in this process, write what is in it as a line of JSON, and end."""
    ready = False
    try:
        processes.end_with(parent, signal.SIGKILL)
        guard = _prepare(order)
        os.write(pipe, READY)
        ready = True
        finding = _parse(path, order)
        finding["warnings"] += guard.take()
        _send(pipe, finding)
    except BaseException as error:
        if ready:
            # The code of a file does not normally get here (its errors are findings): the last resort, so
            # that the reader of the pipe gets a message.
            _send(pipe, only_error(repr(error)))
        else:
            traceback.print_exc()
    finally:
        flush_and_end(0)


def flush_and_end(code: int) -> NoReturn:
    """End this process, without exit handlers and without waiting for threads that a file has started."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            continue
    os._exit(code)


def how_ended(status: int) -> str:
    """Return in words how a process ended, from what `os.waitpid` says."""
    code = os.waitstatus_to_exitcode(status)
    return f"with exit code {code}" if code >= 0 else f"by {processes.signal_name(-code)}"


def import_ahead(files: Iterable[Path]) -> None:
    """
    Import what DAG files import of Airflow, once for all forks of this process.

    As the DAG processor does (`airflow.dag_processing.processor._pre_import_airflow_modules`), and by its
    option; nothing of the files runs.
    """
    from airflow.configuration import conf
    from airflow.utils.file import iter_airflow_imports

    if not conf.getboolean("dag_processor", "parsing_pre_import_modules", fallback=True):
        return
    names = (name for file in _read_ahead(files) for name in iter_airflow_imports(str(file)))
    for name in dict.fromkeys(names):
        # One that cannot be imported is an error of the file, which says so itself.
        with contextlib.suppress(Exception):
            importlib.import_module(name)


def _read_ahead(files: Iterable[Path]) -> Iterator[Path]:
    """Yield those that are Python's and small, and no pipe or device, which may never come to an end."""
    left = MOST_AHEAD
    for file in files:
        if file.suffix != ".py":
            continue
        try:
            status = os.stat(file)
        except (OSError, ValueError):
            continue
        if stat.S_ISREG(status.st_mode) and status.st_size <= LARGEST_AHEAD:
            left -= status.st_size
            if left < 0:
                return
            yield file


def leave_connections() -> None:
    """Have this process, a fork, make connections of its own: one must not be used by two."""
    from airflow import settings as airflow_settings

    if (engine := getattr(airflow_settings, "engine", None)) is not None:
        engine.dispose(close=False)


def _prepare(order: CheckOrder) -> WriteGuard:
    from airflow_rest_api.airflow.compat.dags import empty_bag

    # What the files are looked into with: that it cannot be made is no fault of theirs.
    empty_bag(order.view, Path(order.view), order.bundle)

    leave_connections()
    sys.dont_write_bytecode = True
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if order.memory:
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        limit = order.memory if hard == resource.RLIM_INFINITY else min(order.memory, hard)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))
    return WriteGuard(order.root, order.view)


def _parse(path: str, order: CheckOrder) -> Finding:
    from airflow.configuration import conf
    from airflow.utils.file import might_contain_dag

    from airflow_rest_api.airflow.compat.dags import empty_bag, instability

    view = Path(order.view)
    file = str(view / path)
    finding: Finding = {"dags": [], "errors": [], "warnings": []}
    words = FileWords(order.view, order.root, path)
    try:
        safe = conf.getboolean("core", "dag_discovery_safe_mode")
        if path.endswith(".py") and (error := _not_python(file)) is not None:
            finding["errors"].append(words.of_exception(error))
            return finding
        unstable, warning = instability(file, view)
        if unstable is not None:
            finding["errors"].append({"line": None, "message": words.shown(unstable)[:LONGEST_MESSAGE]})
        elif might_contain_dag(file, safe):
            bag = empty_bag(file, view, order.bundle)
            found = bag.process_file(file, only_if_updated=False, safe_mode=safe)
            _look(bag, found, finding, words, path)
            if warning is not None and finding["dags"]:
                finding["warnings"].append(words.shown(f"{path}: {warning}")[:LONGEST_MESSAGE])
    except BaseException as error:
        finding["errors"].append(words.of_exception(error))
    return finding


def _look(bag: Any, found: Sequence[Any], finding: Finding, words: FileWords, path: str) -> None:
    finding["errors"] += [words.of_text(text) for text in bag.import_errors.values()]
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


def _described(dag: Any) -> DagFinding:
    from airflow_rest_api.airflow.compat.dags import schedule_of

    return {
        "dag_id": str(dag.dag_id),
        "tasks": [str(task.task_id) for task in dag.tasks][:MOST_TASKS],
        "schedule": schedule_of(dag),
        "tags": sorted(map(str, dag.tags or ())),
    }


def _not_python(file: str) -> BaseException | None:
    """Return what keeps a file from being Python at all; Airflow shows that only where it looks for a DAG."""
    try:
        with open(file, "rb") as content:
            compile(content.read(), file, "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError) as error:
        return error
    return None


def _send(pipe: int, finding: Finding) -> None:
    data = json.dumps(finding).encode() + b"\n"
    while data:
        data = data[os.write(pipe, data) :]


class WriteGuard:
    """Refuses everything in this process that writes below some folders; once made, it cannot be removed."""

    def __init__(self, *roots: str) -> None:
        self._roots = [os.path.realpath(root) for root in roots]
        self._refused: list[str] = []
        self._busy = False
        sys.addaudithook(self._hook)

    def take(self) -> list[str]:
        """Return a sentence on what was refused since the last time, none for nothing."""
        refused, self._refused = self._refused, []
        if not refused:
            return []
        named = ", ".join(dict.fromkeys(refused[:MOST_REFUSED]))
        return [f"The file writes into its bundle when it is parsed, which was refused: {named}"]

    def _hook(self, event: str, args: tuple[Any, ...]) -> None:
        if event == "open":
            path, _, flags = args
            paths = [path] if isinstance(flags, int) and flags & _WRITES else []
        elif event in _EVENTS:
            paths = list(args[: _EVENTS[event]])
        else:
            return
        if self._busy or not paths:
            return
        self._busy = True
        try:
            found = [inside for path in paths if (inside := self._inside(path)) is not None]
        finally:
            self._busy = False
        if found:
            self._refused += found
            raise PermissionError(
                errno.EACCES, "A DAG file must not write into its bundle while it is checked", found[0]
            )

    def _inside(self, path: Any) -> str | None:
        """Return a path relative to the bundle, None for one outside of it."""
        if not isinstance(path, (str, bytes, os.PathLike)):
            return None
        try:
            # Not the file itself: a link in the bundle is written there, whatever it leads to.
            absolute = os.path.abspath(os.fsdecode(path))
            real = os.path.join(os.path.realpath(os.path.dirname(absolute)), os.path.basename(absolute))
            candidates = (real, os.path.realpath(real))
        except (OSError, ValueError, UnicodeError):
            return None
        for root in self._roots:
            for candidate in candidates:
                if candidate == root or candidate.startswith(root + os.sep):
                    return os.path.relpath(candidate, root)
        return None


class FileWords:
    """Words about one file, without the places of the server: the view, and the bundle as it is."""

    def __init__(self, view: str, root: str, path: str = "") -> None:
        self._folders = (f"{view}/", f"{root}/")
        self._path = path

    def shown(self, text: str) -> str:
        """Return a text with paths relative to the bundle."""
        for folder in self._folders:
            text = text.replace(folder, "")
        return text

    def of_exception(self, error: BaseException) -> ErrorFinding:
        """Return what is wrong, and in which line of the file."""
        return self.of_text("".join(traceback.format_exception(error)))

    def of_text(self, text: str) -> ErrorFinding:
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
        return {"line": lines[-1] if lines else None, "message": message[:LONGEST_MESSAGE]}


def sentence(path: str, text: str) -> str:
    """Return what is wrong with a file of a bundle, in one line, from a traceback as Airflow keeps it."""
    lines = [line for file, line in _FRAME.findall(text) if file == path or file.endswith(f"/{path}")]
    place = f"{path}, line {lines[-1]}" if lines else path
    return f"{place}: {' '.join(_last_words(text).split())}"[:LONGEST_MESSAGE]


def _last_words(text: str) -> str:
    """Return the exception at the end of a traceback, with all its lines."""
    lines = text.strip().splitlines()
    # Below the last indented line: the exception and whatever lines it has.
    for number in range(len(lines) - 1, -1, -1):
        if lines[number].startswith(" "):
            return "\n".join(lines[number + 1 :]).strip() or lines[-1].strip()
    return "\n".join(lines[-20:])
