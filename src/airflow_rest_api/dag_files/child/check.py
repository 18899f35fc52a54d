"""
Parse DAG files as if they were in their bundle, and tell what is in them.

Three processes: the API server gives the order; this one, the engine's child, runs no code of the files; a
worker of its own runs it, and is replaced when a file ends it, or does not come to an end. What was found is
written into a file that the worker does not know of.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from airflow_rest_api.dag_files.child import worker

IGNORE_FILE = ".airflowignore"
CACHE = "__pycache__"
CONTROL = ".airflow_rest_api"  # names.CONTROL, which does not belong into a child


def put_files(view: Path, files: Mapping[str, str]) -> None:
    """
    Copy the files that came in to their places.

    :param files: where the content lies, by the path in the bundle
    """
    for path, content in files.items():
        target = view / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(content, target)


def put_ignore_files(view: Path, root: Path) -> None:
    """Link the ignore files of the bundle that say something about the files that came in."""
    for folder in _folders(view):
        source, target = root / folder / IGNORE_FILE, view / folder / IGNORE_FILE
        if source.is_file() and not os.path.lexists(target):
            target.symlink_to(source)


def put_the_rest(view: Path, root: Path) -> None:
    """Link everything else that lies in the folders of the files that came in."""
    for folder in _folders(view):
        source, target = root / folder, view / folder
        if not source.is_dir():
            continue
        with os.scandir(source) as entries:
            for entry in entries:
                if entry.name not in (CACHE, CONTROL) and not os.path.lexists(target / entry.name):
                    (target / entry.name).symlink_to(entry.path)


def _folders(view: Path) -> list[str]:
    return [os.path.relpath(folder, view) for folder, _, _ in os.walk(view)]


ENTRY = f"{__name__}:main"

LONGEST_WORD = 8 * 1024 * 1024
"""Bytes that a worker may say about one file."""
PAUSE = 0.05
"""Seconds between two looks at whether the worker is still there."""
PARSED = (".py", ".zip")


def main(argv: Sequence[str]) -> int:
    """
    Check files.

    Order: `root` and `bundle`; `view`, an empty folder; `files`, where the content lies by path in the
    bundle; `timeout` in seconds and `memory` in bytes for each file (0: no limit); `result`, the file that
    takes the answer: `{"files": {path: finding}, "ignored": [path]}`.
    """
    order = json.loads(argv[0])
    folder, root = Path(order["view"]), Path(order["root"])
    files: dict[str, str] = order["files"]
    put_files(folder, files)
    put_ignore_files(folder, root)
    candidates = [path for path in files if path.lower().endswith(PARSED)]
    seen = _not_ignored(folder)
    put_the_rest(folder, root)
    _stand_in(folder, root)
    wanted = [path for path in candidates if path in seen]
    found = dict(
        _check(wanted, worker.Settings(folder, root, order["bundle"], order["memory"]), order["timeout"])
    )
    draft = Path(order["result"] + ".draft")
    draft.write_text(
        json.dumps({"files": found, "ignored": sorted(set(candidates) - seen)}), encoding="utf-8"
    )
    draft.rename(order["result"])
    return 0


def order(**words: Any) -> str:
    """Return the one word that the child takes."""
    return json.dumps(words)


def _not_ignored(folder: Path) -> set[str]:
    """Return the files that Airflow would look at: that no `.airflowignore` names."""
    from airflow._shared.module_loading.file_discovery import find_path_from_directory
    from airflow.configuration import conf

    syntax = conf.get("core", "dag_ignore_file_syntax", fallback="glob")
    return {os.path.relpath(path, folder) for path in find_path_from_directory(folder, IGNORE_FILE, syntax)}


def _stand_in(folder: Path, root: Path) -> None:
    """Have the view be where the bundle is for whoever looks for modules, or for the DAGs folder."""
    from airflow import settings

    sys.path[:] = [str(folder) if os.path.realpath(path or ".") == str(root) else path for path in sys.path]
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
    if os.path.realpath(settings.DAGS_FOLDER) == str(root):
        settings.DAGS_FOLDER = str(folder)
        os.environ["AIRFLOW__CORE__DAGS_FOLDER"] = str(folder)


def _check(paths: Sequence[str], settings: worker.Settings, seconds: float) -> Iterator[tuple[str, Any]]:
    """Yield what was found in each file; a file that ends its worker is the last one of that worker."""
    left = list(paths)
    while left:
        process = _Worker(left, settings)
        try:
            while left:
                finding = process.next(seconds)
                yield left.pop(0), finding
                if process.spent:
                    break
        finally:
            process.end()


class _Worker:
    """One worker process; it is given files, and says something about each of them in turn."""

    def __init__(self, paths: Sequence[str], settings: worker.Settings) -> None:
        self.spent = False
        self._said = b""
        self._status: str | None = None
        sys.stdout.flush()
        sys.stderr.flush()
        self._ear, mouth = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            os.close(self._ear)
            worker.work(paths, settings, mouth)
        os.close(mouth)

    def next(self, seconds: float) -> dict[str, Any]:
        """Return what the worker says about the next file; or what became of it instead."""
        end = time.monotonic() + seconds if seconds else None
        while b"\n" not in self._said:
            if end is not None and time.monotonic() > end:
                self.spent = True
                return _lost(f"TimeoutError: it was still being parsed after {seconds:g} seconds")
            if len(self._said) > LONGEST_WORD:
                self.spent = True
                return _lost("there is more in it than can be told")
            if not self._listen() and (ended := self._ended()) is not None:
                # Its last words may have come in between.
                while self._listen():
                    pass
                if b"\n" not in self._said:
                    self.spent = True
                    return _lost(f"it ended the process that parsed it, {ended}")
        line, _, self._said = self._said.partition(b"\n")
        try:
            finding: dict[str, Any] = json.loads(line)
        except ValueError:
            # The code of the file can write there as well.
            self.spent = True
            return _lost("it spoke in the place of the process that parsed it")
        self.spent = bool(finding.pop("spent", False))
        return finding

    def end(self) -> None:
        """End the worker, if it has not come to its end."""
        if self._ended() is None:
            os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)
        os.close(self._ear)

    def _listen(self) -> bool:
        """Return whether the worker has said something."""
        readable, _, _ = select.select([self._ear], [], [], PAUSE)
        data = os.read(self._ear, 65536) if readable else b""
        self._said += data
        if readable and not data:
            time.sleep(PAUSE)  # closed, and about to end
        return bool(data)

    def _ended(self) -> str | None:
        """Return how the worker ended, None where it has not."""
        if self._status is None:
            pid, status = os.waitpid(self._pid, os.WNOHANG)
            if pid:
                code = os.waitstatus_to_exitcode(status)
                self._status = f"with exit code {code}" if code >= 0 else f"by {signal.Signals(-code).name}"
        return self._status


def _lost(message: str) -> dict[str, Any]:
    return {"dags": [], "errors": [{"line": None, "message": message}], "warnings": []}
