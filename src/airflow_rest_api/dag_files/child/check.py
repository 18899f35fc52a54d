"""
Parse DAG files as if they were in their bundle, and report what is in them.

Three kinds of processes: the API server gives the order; this one, the engine's child, runs no code of the
files; a worker runs that of one file, as each has a process of its own in the DAG processor: what it imports,
and what it does to `sys.path`, is of no other file. What was found is written into a file, and not believed
beyond its form: the code of the files can have written it.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import cast

from airflow_rest_api.airflow.compat.version_compat import ARCHIVES_HAVE_ANY_NAME
from airflow_rest_api.dag_files.child.worker import (
    READY,
    CheckOrder,
    CheckResult,
    Finding,
    how_ended,
    import_ahead,
    only_error,
    work,
)

ENTRY = f"{__name__}:main"

LONGEST_LINE = 8 * 1024 * 1024
"""Bytes of what a worker may report of one file."""
WORKER_POLL = 0.05
"""Seconds between two looks at whether the worker is still alive."""
IGNORE_FILE = ".airflowignore"
CACHE = "__pycache__"
CONTROL = ".airflow_rest_api"  # `upload.CONTROL`, which does not belong into a child


def main(argv: Sequence[str]) -> int:
    """Check files: the only argument is a `CheckOrder`."""
    from airflow_rest_api.airflow.compat.dags import database_read

    order = CheckOrder(**json.loads(argv[0]))
    view, root = Path(order.view), Path(order.root)
    gone = {view / path for path in order.deleted}
    _put_files(view, order.files, order.deleted)
    _link(view, root, _is_ignore_file, gone)
    candidates = [path for path, content in order.files.items() if is_parsed(path, content)]
    faults = _faults(order)
    # With one of these Airflow looks at no file.
    seen = set() if faults else not_ignored(view)
    uncovered = [] if faults else _uncovered(order)
    _link(view, root, _shown, gone)
    _stand_in(view, root)
    wanted = [] if order.deleted else [*(path for path in candidates if path in seen), *uncovered]
    import_ahead(view / path for path in wanted)
    with database_read():
        found = dict(_check(wanted, order))
    result: CheckResult = {
        "files": {**found, **faults},
        "ignored": sorted(set(candidates) - seen),
        "uncovered": uncovered,
    }
    draft = Path(order.result + ".draft")
    draft.write_text(json.dumps(result), encoding="utf-8")
    draft.rename(order.result)
    return 0


def is_parsed(path: str, content: str | Path | None = None) -> bool:
    """
    Return whether a file is of a kind in which Airflow may find DAGs.

    That is by its name Python, or by its content an archive (`airflow.utils.file.find_dag_file_paths`): since
    3.2 of a name that an importer of Airflow's is for, in letters of any size.

    :param content: where it is, None where nobody knows
    """
    name = path.lower()
    if path.endswith(".py") or name.endswith(".zip"):
        return True
    named = ARCHIVES_HAVE_ANY_NAME or name.endswith(".py")
    return named and content is not None and _is_archive(content)


def _is_archive(file: str | Path) -> bool:
    # Nothing else is opened: a pipe waits for somebody to write into it.
    return os.path.isfile(file) and zipfile.is_zipfile(file)


def _put_files(view: Path, files: Mapping[str, str], deleted: Sequence[str]) -> None:
    """
    Copy the files of the deployment to their places in the view, and make the folders of those to delete.

    A copy, and not a hard link: the code under check runs, and through a link it could write into the file
    that is deployed next.
    """
    for path, content in files.items():
        target = view / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(content, target)
    for path in deleted:
        (view / path).parent.mkdir(parents=True, exist_ok=True)


def _is_ignore_file(entry: os.DirEntry[str]) -> bool:
    return entry.name == IGNORE_FILE and entry.is_file()


def _shown(entry: os.DirEntry[str]) -> bool:
    return entry.name not in (CACHE, CONTROL)


def _link(
    view: Path,
    root: Path,
    wanted: Callable[[os.DirEntry[str]], bool],
    gone: Collection[Path],
    below: Collection[Path] | None = None,
) -> None:
    """
    Link what is wanted of the bundle, beside the files of the deployment, into the folders of these.

    :param gone: what is not to be there
    :param below: folders of the view beyond which nothing is linked
    """
    for folder, _, _ in list(os.walk(view)):
        beside = Path(folder)
        of_root = root / beside.relative_to(view)
        if not of_root.is_dir() or not (below is None or any(map(beside.is_relative_to, below))):
            continue
        with os.scandir(of_root) as entries:
            for entry in entries:
                target = beside / entry.name
                if wanted(entry) and target not in gone and not os.path.lexists(target):
                    target.symlink_to(entry.path)


def not_ignored(view: Path) -> set[str]:
    """Return the files that Airflow would look at: that no `.airflowignore` names."""
    from airflow.configuration import conf

    from airflow_rest_api.airflow.compat.dags import find_path_from_directory

    syntax = conf.get("core", "dag_ignore_file_syntax", fallback="glob")
    return {os.path.relpath(path, view) for path in find_path_from_directory(view, IGNORE_FILE, syntax)}


def passed_over(root: Path, paths: Collection[str]) -> set[str]:
    """Return those of some files of a bundle that an `.airflowignore` on their way names."""
    with tempfile.TemporaryDirectory() as name:
        # With nothing else in it: what of the bundle Airflow cannot read may be of somebody else.
        view = Path(name)
        for path in set(paths):
            (view / path).parent.mkdir(parents=True, exist_ok=True)
            (view / path).symlink_to(root / path)
        _link(view, root, _is_ignore_file, ())
        return set(paths) - not_ignored(view)


def _faults(order: CheckOrder) -> dict[str, Finding]:
    """Return what is wrong with each `.airflowignore` of the deployment at which Airflow fails."""
    found: dict[str, Finding] = {}
    for path, content in order.files.items():
        if os.path.basename(path) != IGNORE_FILE:
            continue
        # Alone, with a file to be held against its patterns.
        with tempfile.TemporaryDirectory(dir=Path(order.view).parent) as folder:
            shutil.copyfile(content, Path(folder) / IGNORE_FILE)
            (Path(folder) / "a.py").touch()
            try:
                not_ignored(Path(folder))
            except Exception as error:
                found[path] = only_error(f"Airflow cannot read it: {type(error).__name__}: {error}")
    return found


def _uncovered(order: CheckOrder) -> list[str]:
    """
    Return the files of the bundle that an `.airflowignore` has named until now, and none names any more.

    They were let in unparsed, so what they define has been held against no other file.
    """
    view, root = Path(order.view), Path(order.root)
    ignores = [
        view / path for path in (*order.files, *order.deleted) if os.path.basename(path) == IGNORE_FILE
    ]
    if not ignores:
        return []
    # An `.airflowignore` says something of what lies below it: the rest may be in whatever state.
    folders = [path.parent for path in ignores]
    _link(view, root, _shown, [view / path for path in order.deleted], folders)
    after = not_ignored(view) - order.files.keys()
    with tempfile.TemporaryDirectory(dir=view.parent) as name:
        until_now = Path(name)
        of_now = [until_now / folder.relative_to(view) for folder in folders]
        for folder in of_now:
            folder.mkdir(parents=True, exist_ok=True)
        _link(until_now, root, _is_ignore_file, ())
        _link(until_now, root, _shown, (), of_now)
        try:
            before = not_ignored(until_now)
        except Exception:
            # Where Airflow cannot read an `.airflowignore` it looks at no file.
            before = set()
    return sorted(path for path in after - before if _is_looked_at(path, view / path))


def _is_looked_at(path: str, file: Path) -> bool:
    """
    Return whether Airflow looks for DAGs in a file that no `.airflowignore` names.

    As in `airflow.utils.file.find_dag_file_paths`, but one of which nobody can say is not passed over.
    """
    from airflow.configuration import conf
    from airflow.utils.file import might_contain_dag

    try:
        if not file.is_file() or not is_parsed(path, file):
            return False
        if not path.endswith(".py") and not _is_archive(file):
            return False
        return bool(might_contain_dag(str(file), conf.getboolean("core", "dag_discovery_safe_mode")))
    except Exception:
        return True


def _stand_in(view: Path, root: Path) -> None:
    """Have the view be where the bundle is, for imports and as the DAGs folder."""
    from airflow import settings

    sys.path[:] = [str(view) if os.path.realpath(path or ".") == str(root) else path for path in sys.path]
    if str(view) not in sys.path:
        sys.path.append(str(view))
    if os.path.realpath(settings.DAGS_FOLDER) == str(root):
        settings.DAGS_FOLDER = str(view)
        os.environ["AIRFLOW__CORE__DAGS_FOLDER"] = str(view)


def _check(paths: Sequence[str], order: CheckOrder) -> Iterator[tuple[str, Finding]]:
    """Yield what was found in each file."""
    for path in paths:
        worker = _Worker(path, order)
        try:
            yield path, worker.finding()
        finally:
            worker.end()


class _Worker:
    """The process of one file, which reports in one line."""

    def __init__(self, path: str, order: CheckOrder) -> None:
        self._seconds = order.timeout
        self._received = b""
        self._status: str | None = None
        sys.stdout.flush()
        sys.stderr.flush()
        self._reader, writer = os.pipe()
        parent = os.getpid()
        self._pid = os.fork()
        if self._pid == 0:
            os.close(self._reader)
            work(path, order, writer, parent)
        os.close(writer)
        self._begin()

    def _begin(self) -> None:
        """
        Wait until it is about to look at its file.

        :raises RuntimeError: it cannot, which says nothing about the file
        """
        while b"\n" not in self._received:
            if not self._read() and (ended := self._ended()) is not None and not self._read():
                raise RuntimeError(f"The worker that parses the files could not begin: it ended {ended}")
        begun, _, self._received = self._received.partition(b"\n")
        if begun + b"\n" != READY:
            raise RuntimeError("The worker that parses the files did not begin as it should")

    def finding(self) -> Finding:
        """Return the finding of the file; or what became of the worker instead."""
        end = time.monotonic() + self._seconds if self._seconds else None
        while b"\n" not in self._received:
            if end is not None and time.monotonic() > end:
                return only_error(f"TimeoutError: it was still being parsed after {self._seconds:g} seconds")
            if len(self._received) > LONGEST_LINE:
                return only_error("there is more in it than can be reported")
            if not self._read() and (ended := self._ended()) is not None:
                # The last of it may have come in between.
                while self._read():
                    pass
                if b"\n" not in self._received:
                    return only_error(f"it ended the process that parsed it, {ended}")
        line, _, self._received = self._received.partition(b"\n")
        try:
            finding = json.loads(line)
        except ValueError:
            finding = None
        if not isinstance(finding, dict):
            # The code of the file can write there as well.
            return only_error("the file wrote to the pipe that reports parse results")
        return cast("Finding", finding)

    def end(self) -> None:
        """Kill the worker, if it has not ended."""
        if self._ended() is None:
            os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)
        os.close(self._reader)

    def _read(self) -> bool:
        """Return whether the worker has written something."""
        readable, _, _ = select.select([self._reader], [], [], WORKER_POLL)
        data = os.read(self._reader, 65536) if readable else b""
        self._received += data
        if readable and not data:
            time.sleep(WORKER_POLL)  # closed, and about to end
        return bool(data)

    def _ended(self) -> str | None:
        """Return how the worker ended, None where it has not."""
        if self._status is None:
            pid, status = os.waitpid(self._pid, os.WNOHANG)
            if pid:
                self._status = how_ended(status)
        return self._status
