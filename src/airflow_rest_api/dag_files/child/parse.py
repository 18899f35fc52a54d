"""Parse DAG files and record what is in them, as the DAG processor would: for where there is none."""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from airflow_rest_api import processes
from airflow_rest_api.dag_files.child.check import passed_over
from airflow_rest_api.dag_files.child.worker import flush_and_end, how_ended, import_ahead, leave_connections

ENTRY = f"{__name__}:main"

DONE = 100
"""The exit code of a process that has parsed its file: none that the file chooses by accident."""


@dataclass(frozen=True)
class Prepared:
    """
    A bundle as all of its files are parsed: to prepare it anew can take it to another version.

    :ivar version: as the bundle has it, None where it has none
    """

    root: Path
    version: Any


def main(argv: Sequence[str]) -> int:
    """
    Order: `files`, pairs of bundle and path; what Airflow made of them is in its database afterwards.

    In the file `result`, if there is to be one: for each file a sentence on why it was not parsed, which is
    empty where it has ended its process or its bundle cannot be looked into, or null.

    Each is parsed in a process of its own, as in the DAG processor: what a file imports, and what it does to
    `sys.path`, is of no other file, and one that ends its process does not keep the others from being parsed.
    """
    from airflow_rest_api.airflow.compat.dags import database_read, stored_at_once

    # There is no later parse for a DAG that Airflow leaves as it was.
    order = json.loads(argv[0])
    files = [(bundle, path) for bundle, path in order["files"]]
    bundles = _prepared(files)
    out = left_out(files, bundles)
    wanted = [file for file in files if file not in out]
    import_ahead(bundles[bundle].root / path for bundle, path in wanted)
    with database_read(), stored_at_once():
        done = {file: _parse_apart(file, bundles[file[0]]) for file in wanted}
    if "result" in order:
        said = [out[file] if file in out else None if done[file] else "" for file in files]
        Path(order["result"]).write_text(json.dumps(said))
    return 0 if all(done.values()) and all(out.values()) else 1


def left_out(files: Sequence[tuple[str, str]], bundles: Mapping[str, Prepared]) -> dict[tuple[str, str], str]:
    """
    Return a sentence on each file that the DAG processor would not parse, as it is gone or passed over.

    It is empty for all files of a bundle that cannot be looked into, which keeps those of no other from being
    parsed; standard error says why.

    :param bundles: those of the files that can be had
    """
    found: dict[tuple[str, str], str] = {}
    for name, paths in _by_bundle(files).items():
        sentences = dict.fromkeys(paths, "")
        if name in bundles:
            try:
                sentences = _left_out_of(bundles[name].root, paths)
            except Exception:
                traceback.print_exc()
        found |= {(name, path): sentence for path, sentence in sentences.items()}
    return found


def _left_out_of(root: Path, paths: Sequence[str]) -> dict[str, str]:
    # No pipe: to open it waits for somebody to write.
    there = [path for path in paths if os.path.isfile(root / path)]
    over = passed_over(root, there)
    return {
        **{path: f"{path} is not there." for path in paths if path not in there},
        **{path: f"An .airflowignore has Airflow pass over {path}." for path in over},
    }


def _parse_apart(file: tuple[str, str], bundle: Prepared) -> bool:
    """Parse a file in a fork of this process; return whether that came to its end."""
    sys.stdout.flush()
    sys.stderr.flush()
    parent = os.getpid()
    if (pid := os.fork()) == 0:
        _parse_and_end(file, parent, bundle)
    _, status = os.waitpid(pid, 0)
    if os.waitstatus_to_exitcode(status) == DONE:
        return True
    sys.stderr.write(f"{file[1]}: the process that parsed it ended {how_ended(status)}.\n")
    return False


def _parse_and_end(file: tuple[str, str], parent: int, bundle: Prepared) -> NoReturn:
    code = 1
    try:
        processes.end_with(parent, signal.SIGKILL)
        leave_connections()
        _parse(*file, bundle)
        code = DONE
    except BaseException:
        traceback.print_exc()
    finally:
        flush_and_end(code)


def parse_files(files: Sequence[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """
    Parse files, pairs of bundle and path, in this process.

    :return: a sentence on each that was not parsed, as it is gone or passed over
    :raises Exception: what keeps a bundle from being looked into, as Airflow says it
    """
    out: dict[tuple[str, str], str] = {}
    for name, paths in _by_bundle(files).items():
        bundle = _prepare(name)
        sentences = _left_out_of(bundle.root, paths)
        out |= {(name, path): sentence for path, sentence in sentences.items()}
        for path in paths:
            if path not in sentences:
                _parse(name, path, bundle)
    return out


def _by_bundle(files: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for bundle, path in files:
        found.setdefault(bundle, []).append(path)
    return found


def _prepared(files: Sequence[tuple[str, str]]) -> dict[str, Prepared]:
    """Prepare the bundles of files, once; one that cannot be is left out, and standard error says why."""
    found: dict[str, Prepared] = {}
    for name in _by_bundle(files):
        try:
            found[name] = _prepare(name)
        except Exception:
            traceback.print_exc()
    return found


def _prepare(name: str) -> Prepared:
    from airflow.dag_processing.bundles.manager import DagBundlesManager

    bundles: Any = DagBundlesManager
    manager = bundles()
    # The rows of the bundles, to which those of the DAGs refer, are made by DAG processors else.
    manager.sync_bundles_to_db()
    bundle = manager.get_bundle(name)
    bundle.initialize()
    return Prepared(Path(bundle.path), bundle.get_current_version())


def _parse(name: str, path: str, bundle: Prepared) -> None:
    from airflow.utils.session import create_session

    from airflow_rest_api.airflow.compat import dags

    bag = dags.bag_of_file(str(bundle.root / path), bundle.root, name)
    with create_session() as session:
        dags.store(bag, name, bundle.version, session)
