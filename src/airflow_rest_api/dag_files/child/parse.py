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
from airflow_rest_api.dag_files.child.worker import flush_and_end, how_ended, leave_connections

ENTRY = f"{__name__}:main"

DONE = 100
"""The exit code of a process that has parsed its file: none that the file chooses by accident."""


def main(argv: Sequence[str]) -> int:
    """
    Order: `files`, pairs of bundle and path; what Airflow made of them is in its database afterwards.

    Each is parsed in a process of its own, as in the DAG processor: what a file imports, and what it does to
    `sys.path`, is of no other file, and one that ends its process does not keep the others from being parsed.
    """
    from airflow_rest_api.airflow.compat.dags import database_read, stored_at_once

    # There is no later parse for a DAG that Airflow leaves as it was.
    with database_read(), stored_at_once():
        done = [_parse_apart((bundle, path)) for bundle, path in json.loads(argv[0])["files"]]
    return 0 if all(done) else 1


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
    sys.stderr.write(f"{file[1]}: the process that parsed it ended {how_ended(status)}\n")
    return False


def _parse_and_end(file: tuple[str, str], parent: int) -> NoReturn:
    code = 1
    try:
        processes.end_with(parent, signal.SIGKILL)
        leave_connections()
        parse_files([file])
        code = DONE
    except BaseException:
        traceback.print_exc()
    finally:
        flush_and_end(code)


def parse_files(files: Sequence[tuple[str, str]]) -> None:
    """Parse files, pairs of bundle and path, in this process."""
    for name in dict.fromkeys(bundle for bundle, _ in files):
        _parse(name, [path for bundle, path in files if bundle == name])


def _parse(name: str, paths: Sequence[str]) -> None:
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.utils.session import create_session

    from airflow_rest_api.airflow.compat import dags

    bundles: Any = DagBundlesManager
    manager = bundles()
    # The rows of the bundles, to which those of the DAGs refer, are made by DAG processors else.
    manager.sync_bundles_to_db()
    bundle = manager.get_bundle(name)
    bundle.initialize()
    root, version = Path(bundle.path), bundle.get_current_version()
    for path in paths:
        # Without safe mode, which passes over files that do not look like DAG files, broken ones among them.
        bag = dags.filled_bag(str(root / path), root, name, safe_mode=False)
        with create_session() as session:
            dags.store(bag, name, version, session)
