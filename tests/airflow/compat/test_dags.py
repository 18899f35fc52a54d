"""DAGs are stored in the same way by every version, in a database of its own."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.utils.session import create_session

from airflow_rest_api.airflow import dag_processor
from airflow_rest_api.airflow.compat import dags
from airflow_rest_api.airflow.compat.version_compat import AIRFLOW_V_3_2_PLUS, AIRFLOW_V_3_3_PLUS
from tests.standin import airflow_database, rows_of_airflow

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

    airflow_database()
    with create_session() as session:
        session.merge(DagBundleModel(name=BUNDLE))
    if AIRFLOW_V_3_2_PLUS:
        monkeypatch.setenv("AIRFLOW__CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL", "30")
    else:
        monkeypatch.setattr("airflow.settings.MIN_SERIALIZED_DAG_UPDATE_INTERVAL", 30)


def store(file: Path, tag: str, version: Any = None) -> None:
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


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a bundle that is configured."""
    local = "airflow.dag_processing.bundles.local.LocalDagBundle"
    bundles = [{"name": BUNDLE, "classpath": local, "kwargs": {"path": str(tmp_path), "refresh_interval": 1}}]
    monkeypatch.setenv("AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST", json.dumps(bundles))
    return tmp_path


def parse(file: Path) -> None:
    bag = dags.filled_bag(str(file), file.parent, BUNDLE, safe_mode=False)
    with create_session() as session, dags.stored_at_once():
        dags.store(bag, BUNDLE, None, session)


def test_a_file_imports_what_lies_beside_it_in_its_bundle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.models.dag import DagModel

    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "beside_it.py").write_text("TAG = 'imported'")
    file = tmp_path / "importing.py"
    file.write_text("from beside_it import TAG\n" + DAG.format(dag_id="importing", tag="x"))
    parse(file)
    assert tags_of("importing") == {"x"}
    assert not DagModel.get_current("importing").is_stale


def test_so_it_does_where_airflow_has_no_bag_of_its_own_for_bundles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As in 3.0, and in 3.1.0 to 3.1.6, whose bag takes the examples in if nothing is said of them.
    before_bundles = SimpleNamespace(DagBag=lambda path, **options: {"path": path, **options})
    monkeypatch.setattr(dags, "_module", before_bundles)
    monkeypatch.setattr(sys, "path", list(sys.path))
    made = dags.filled_bag("a.py", tmp_path, BUNDLE, safe_mode=False)
    assert (
        made.items()
        >= {"path": "a.py", "bundle_path": tmp_path, "include_examples": False, "safe_mode": False}.items()
    )
    assert str(tmp_path) in sys.path


def test_an_import_error_is_found_by_the_file_in_its_bundle(bundle: Path) -> None:
    file = bundle / "folder" / "broken.py"
    file.parent.mkdir()
    file.write_text("import is_nowhere")
    bag = dags.filled_bag(str(file), bundle, BUNDLE, safe_mode=False)
    with create_session() as session:
        dags.store(bag, BUNDLE, None, session)
    [state] = dag_processor.look([(BUNDLE, "folder/broken.py")]).values()
    assert "No module named 'is_nowhere'" in str(state.error)


WEEKLY = """
from datetime import datetime, timezone
from airflow.sdk import DAG

dag = DAG("weekly", schedule="0 0 * * 1", start_date=datetime(2026, 1, 1, tzinfo=timezone.utc))
"""


def test_a_backfill_without_a_run_is_known_where_airflow_does_not_refuse_it(tmp_path: Path) -> None:
    file = tmp_path / "weekly.py"
    file.write_text(WEEKLY)
    parse(file)
    monday, wednesday = datetime(2026, 11, 2, tzinfo=timezone.utc), datetime(2026, 11, 4, tzinfo=timezone.utc)
    assert dags.has_no_run("weekly", wednesday, wednesday) is not AIRFLOW_V_3_3_PLUS
    assert not dags.has_no_run("weekly", monday, wednesday)
    assert not dags.has_no_run("is not there", monday, wednesday)


WITH_TASK = (
    DAG
    + """
from airflow.providers.standard.operators.empty import EmptyOperator

EmptyOperator(task_id="task", dag=dag)
"""
)


def test_a_dag_with_several_versions_is_listed_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # The tables are those of the models, and have no version.
    monkeypatch.setattr("airflow.utils.db.check_and_run_migrations", lambda: None)
    from airflow.cli.cli_parser import get_parser

    file = tmp_path / "versions.py"
    for tag in ("first", "the second"):
        file.write_text(WITH_TASK.format(dag_id="versions", tag=tag))
        parse(file)
        # A version that has run stays, and the next one comes beside it.
        _run_of("versions", tag)
    arguments = get_parser().parse_args(["dags", "list", "--columns", "dag_id", "--output", "json"])
    with dags.newest_listed():
        arguments.func(arguments)
    # Behind what is logged.
    listed = json.loads("[{" + capsys.readouterr().out.rpartition("[{")[2])
    assert listed.count({"dag_id": "versions"}) == 1


def _run_of(dag_id: str, run_id: str) -> None:
    from airflow.models.serialized_dag import SerializedDagModel
    from airflow.utils.db import synchronize_log_template
    from airflow.utils.state import DagRunState
    from airflow.utils.types import DagRunTriggeredByType, DagRunType

    synchronize_log_template()
    with create_session() as session:
        stored: Any = SerializedDagModel.get_dag(dag_id, session=session)
        now = datetime.now(timezone.utc)
        stored.create_dagrun(
            run_id=run_id.replace(" ", "_"),
            logical_date=now,
            data_interval=(now, now),
            run_after=now,
            session=session,
            run_type=DagRunType.MANUAL,
            triggered_by=DagRunTriggeredByType.TEST,
            state=DagRunState.SUCCESS,
        )


@pytest.fixture
def _asked_for() -> Iterator[None]:
    from airflow.models import Connection, Variable

    connection = Connection(conn_id="compat", conn_type="http", schema="s", port=1)
    with rows_of_airflow(Variable(key="compat", val="1"), connection):
        yield


@pytest.mark.usefixtures("_asked_for")
def test_dag_files_read_variables_and_connections_of_the_database_while_that_is_asked_for():
    from airflow.sdk import Connection, Variable
    from airflow.sdk.exceptions import AirflowRuntimeError

    with dags.database_read():
        assert Variable.get("compat") == "1"
        assert Variable.get("no_such", default=None) is None
        assert Connection.get("compat").conn_type == "http"
    with pytest.raises((ImportError, AirflowRuntimeError)):
        Variable.get("compat")


@pytest.mark.usefixtures("_asked_for")
def test_what_answers_in_the_place_of_a_supervisor_has_all_of_a_connection():
    from airflow.sdk.execution_time.comms import DeleteVariable, GetConnection, GetVariable

    comms = dags.DatabaseComms()

    found = comms.send(GetConnection(conn_id="compat"))
    assert (found.conn_id, found.conn_type, found.schema_, found.port) == ("compat", "http", "s", 1)
    assert comms.send(GetVariable(key="compat")).value == "1"
    assert comms.send(GetVariable(key="no_such")).error.value == "VARIABLE_NOT_FOUND"
    assert comms.send(GetConnection(conn_id="no_such")).error.value == "CONNECTION_NOT_FOUND"
    assert comms.send(DeleteVariable(key="compat")) is None


@pytest.mark.skipif(not AIRFLOW_V_3_2_PLUS, reason="Airflow looks for what varies since 3.2")
def test_a_file_whose_dags_vary_is_stored_as_the_import_error_that_the_dag_processor_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("AIRFLOW__DAG_PROCESSOR__DAG_VERSION_INFLATION_CHECK_LEVEL", "error")
    (tmp_path / "varies.py").write_text(
        'from datetime import datetime\nfrom airflow.sdk import DAG\nDAG("v", start_date=datetime.now())\n'
    )

    bag = dags.bag_of_file(str(tmp_path / "varies.py"), tmp_path, BUNDLE)
    with create_session() as session:
        dags.store(bag, BUNDLE, None, session)

    found = dag_processor.look([(BUNDLE, "varies.py")])[(BUNDLE, "varies.py")]
    assert "datetime.now()" in (found.error or "")
    assert found.dags == {}
