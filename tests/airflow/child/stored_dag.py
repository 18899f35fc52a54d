"""The beginning of scripts of their own that need a database with the DAG of one file in it."""

from __future__ import annotations

SCRIPT = """
import sys
from datetime import datetime, timezone
from pathlib import Path
from airflow import settings
from airflow.models import import_all_models
from airflow.models.base import Base
from airflow.utils.session import create_session

DAY = datetime(2026, 11, 10, tzinfo=timezone.utc)

def store_dag(*rows):
    '''Make the tables and rows of them, and store what `dags` beside the script defines.'''
    from airflow.models.dagbundle import DagBundleModel
    from airflow_rest_api.airflow.compat.dags import filled_bag, store
    from airflow.utils.db import synchronize_log_template

    import_all_models()
    Base.metadata.create_all(settings.engine)
    synchronize_log_template()
    name, folder = "dags-folder", Path(sys.argv[0]).parent / "dags"
    with create_session() as session:
        session.add_all([DagBundleModel(name=name), *rows])
        session.flush()
        store(filled_bag(str(folder), folder, name), name, None, session)
"""
"""Put in front of a script: `store_dag` makes the database of its AIRFLOW_HOME, and `DAY` is a date."""
