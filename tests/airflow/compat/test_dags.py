"""DAGs are stored in the same way by every version, in a database of its own."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_rest_api.airflow.compat import dags
from airflow_rest_api.airflow.compat.version_compat import AIRFLOW_V_3_2_PLUS, AIRFLOW_V_3_3_PLUS
from tests.standin import airflow_database

pytestmark = pytest.mark.airflow

BUNDLE = "stored"
DAG = """
from airflow.sdk import DAG

dag = DAG("{dag_id}", schedule=None, tags=["{tag}"])
"""


@pytest.fixture(autouse=True)
def _rests(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables, and Airflow's default: a DAG is left as it was for 30 seconds."""
    from airflow.models.dagbundle import DagBundleModel
    from airflow.utils.session import create_session

    airflow_database()
    with create_session() as session:
        session.merge(DagBundleModel(name=BUNDLE))
    if AIRFLOW_V_3_2_PLUS:
        monkeypatch.setenv("AIRFLOW__CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL", "30")
    else:
        monkeypatch.setattr("airflow.settings.MIN_SERIALIZED_DAG_UPDATE_INTERVAL", 30)


def store(file: Path, tag: str, version: Any = None) -> None:
    from airflow.utils.session import create_session

    # Of another length: Python may take a file of the same second and size for the one before.
    file.write_text(DAG.format(dag_id=file.stem, tag=tag))
    bag = dags.filled_bag(str(file), file.parent, BUNDLE, safe_mode=False)
    with create_session() as session:
        dags.store(bag, BUNDLE, version, session)


def tags_of(dag_id: str) -> set[str]:
    from airflow.models.serialized_dag import SerializedDagModel

    dag: Any = SerializedDagModel.get_dag(dag_id)
    return set(dag.tags)


def test_a_dag_that_was_stored_only_just_now_is_stored_again_where_that_is_asked_for(tmp_path: Path):
    file = tmp_path / "at_once.py"
    store(file, "first")
    store(file, "left out")
    assert tags_of("at_once") == {"first"}

    with dags.stored_at_once():
        store(file, "changed")
    assert tags_of("at_once") == {"changed"}

    store(file, "left out again")
    assert tags_of("at_once") == {"changed"}


@pytest.mark.skipif(not AIRFLOW_V_3_3_PLUS, reason="a version of a bundle is only a name before Airflow 3.3")
def test_what_a_bundle_says_of_its_version_is_stored_with_it(tmp_path: Path):
    from airflow.models.dag_version import DagVersion

    store(tmp_path / "described.py", "tag", SimpleNamespace(version="1", data={"commit": "abc"}))

    stored: Any = DagVersion.get_latest_version("described")
    assert (stored.bundle_version, stored.version_data) == ("1", {"commit": "abc"})
