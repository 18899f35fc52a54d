"""Parse DAG files and record what is in them, as the DAG processor would: for where there is none."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ENTRY = f"{__name__}:main"


def main(argv: Sequence[str]) -> int:
    """Order: `files`, pairs of bundle and path; what Airflow made of them is in its database afterwards."""
    from airflow_rest_api.airflow.compat.dags import database_read, stored_at_once

    # There is no later parse for a DAG that Airflow leaves as it was.
    with database_read(), stored_at_once():
        parse_files([(bundle, path) for bundle, path in json.loads(argv[0])["files"]])
    return 0


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
