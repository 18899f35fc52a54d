"""Parse DAG files and record what is in them, as the DAG processor would: for where there is none."""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from airflow_rest_api import processes
from airflow_rest_api.dag_files.child.check import passed_over
from airflow_rest_api.dag_files.child.worker import flush_and_end, how_ended, import_ahead, leave_connections

ENTRY = f"{__name__}:main"

DONE = 100
"""The exit code of a process that has parsed its file: none that the file chooses by accident."""


def main(argv: Sequence[str]) -> int:
    """
    Order: `files`, pairs of bundle and path; what Airflow made of them is in its database afterwards.

    In the file `result`, if there is to be one: for each file a sentence on why it was not parsed, which is
    empty where it has ended its process, or null.

    Each is parsed in a process of its own, as in the DAG processor: what a file imports, and what it does to
    `sys.path`, is of no other file, and one that ends its process does not keep the others from being parsed.
    """
    from airflow_rest_api.airflow.compat.dags import database_read, stored_at_once

    # There is no later parse for a DAG that Airflow leaves as it was.
    order = json.loads(argv[0])
    files = [(bundle, path) for bundle, path in order["files"]]
    out = left_out(files)
    import_ahead(Path(_bundle(bundle).path, path) for bundle, path in files)
    with database_read(), stored_at_once():
        done = {file: _parse_apart(file) for file in files if file not in out}
    if "result" in order:
        said = [out[file] if file in out else None if done[file] else "" for file in files]
        Path(order["result"]).write_text(json.dumps(said))
    return 0 if all(done.values()) else 1


def left_out(files: Sequence[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """Return a sentence on each file that the DAG processor would not parse, as it is gone or passed over."""
    found: dict[tuple[str, str], str] = {}
    for name in dict.fromkeys(bundle for bundle, _ in files):
        root = Path(_bundle(name).path)
        of_bundle = [path for bundle, path in files if bundle == name]
        there = [path for path in of_bundle if (root / path).exists()]
        found |= {(name, path): f"{path} is not there." for path in of_bundle if path not in there}
        over = passed_over(root, there)
        found |= {(name, path): f"An .airflowignore has Airflow pass over {path}." for path in over}
    return found


def _parse_apart(file: tuple[str, str]) -> bool:
    """Parse a file in a fork of this process; return whether that came to its end."""
    sys.stdout.flush()
    sys.stderr.flush()
    parent = os.getpid()
    if (pid := os.fork()) == 0:
        _parse_and_end(file, parent)
    _, status = os.waitpid(pid, 0)
    if os.waitstatus_to_exitcode(status) == DONE:
        return True
    sys.stderr.write(f"{file[1]}: the process that parsed it ended {how_ended(status)}.\n")
    return False


def _parse_and_end(file: tuple[str, str], parent: int) -> NoReturn:
    code = 1
    try:
        processes.end_with(parent, signal.SIGKILL)
        leave_connections()
        _parse(*file)
        code = DONE
    except BaseException:
        traceback.print_exc()
    finally:
        flush_and_end(code)


def parse_files(files: Sequence[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """Parse files, pairs of bundle and path, in this process; return those that were not: see `left_out`."""
    out = left_out(files)
    for file in files:
        if file not in out:
            _parse(*file)
    return out


def _bundle(name: str) -> Any:
    from airflow.dag_processing.bundles.manager import DagBundlesManager

    bundles: Any = DagBundlesManager
    manager = bundles()
    # The rows of the bundles, to which those of the DAGs refer, are made by DAG processors else.
    manager.sync_bundles_to_db()
    bundle = manager.get_bundle(name)
    bundle.initialize()
    return bundle


def _parse(name: str, path: str) -> None:
    from airflow.utils.session import create_session

    from airflow_rest_api.airflow.compat import dags

    bundle = _bundle(name)
    root = Path(bundle.path)
    bag = dags.bag_of_file(str(root / path), root, name)
    with create_session() as session:
        dags.store(bag, name, bundle.get_current_version(), session)
