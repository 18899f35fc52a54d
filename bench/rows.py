"""What is measured: tables, without code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Call:
    """A request to Airflow's own REST API; the path is below `/api/v2/`."""

    method: str
    path: str
    body: Any = None


@dataclass(frozen=True)
class Row:
    """
    One command, and what else can do its job.

    :ivar own: Airflow's own REST API doing the same
    :ivar before: what makes there be something to do; not measured
    """

    command: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    own: Call | None = None
    before: Call | None = None


@dataclass(frozen=True)
class Load:
    """
    What clients do one after the other, again and again; `{client}` is the number of the client.

    :ivar own: Airflow's own REST API doing the same
    """

    name: str
    steps: tuple[tuple[str, Mapping[str, str]], ...]
    own: tuple[Call, ...]


@dataclass(frozen=True)
class LegacyRow:
    """A request of the 1.x plugin's contract, and the seconds the original took for it."""

    api: str
    arguments: Mapping[str, str]
    original: float
    before: Call | None = None


SETTINGS: Mapping[str, str] = {
    "AIRFLOW__API__EXPOSE_CONFIG": "True",
    # So that one request lists all DAGs, as the command does.
    "AIRFLOW__API__MAXIMUM_PAGE_LIMIT": "1000",
    # `GET /api/v2/pools` of Airflow asks the database on the event loop while it writes its answer down: with
    # the fifteen connections of the default in the hands of requests that need the loop, it stands still.
    "AIRFLOW__DATABASE__SQL_ALCHEMY_MAX_OVERFLOW": "30",
    # Each file is parsed once: who parses in the background would be measured too.
    "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "86400",
    "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "86400",
}

EXPECTED = ("bench_109", "example_slow", "example_template")
"""DAGs to wait for: one of each file that is used."""

DAY = "2024-01-01T00:00:00+00:00"
UNRUN = "2024-02-01"
"""A date without a run: Airflow 3.1 cannot render for a run that is queued."""
SETUP: tuple[Call, ...] = (
    Call("POST", "variables", {"key": "bench", "value": "of the benchmark"}),
    Call("POST", "connections", {"connection_id": "bench", "conn_type": "http", "host": "localhost"}),
    Call("POST", "dags/example_template/dagRuns", {"dag_run_id": "bench", "logical_date": DAY}),
)

UNPAUSE = Call("PATCH", "dags/bench_000", {"is_paused": False})
GREET = {"dag_id": "example_template", "task_id": "greet"}
TOTAL = {"dag_id": "example_template", "task_id": "total"}

ROWS: tuple[Row, ...] = (
    Row("version", own=Call("GET", "version")),
    Row(
        "config get-value",
        {"section": "core", "option": "executor"},
        own=Call("GET", "config/section/core/option/executor"),
    ),
    Row("variables get", {"key": "bench"}, own=Call("GET", "variables/bench")),
    Row("pools list", own=Call("GET", "pools")),
    Row("connections list", own=Call("GET", "connections")),
    Row("dags list", own=Call("GET", "dags?limit=1000")),
    Row(
        "dags pause",
        {"dag_id": "bench_000"},
        own=Call("PATCH", "dags/bench_000", {"is_paused": True}),
        before=UNPAUSE,
    ),
    Row(
        "dags trigger",
        {"dag_id": "bench_001"},
        own=Call("POST", "dags/bench_001/dagRuns", {"logical_date": None}),
    ),
    Row(
        "tasks state",
        {**GREET, "logical_date_or_run_id": "bench"},
        own=Call("GET", "dags/example_template/dagRuns/bench/taskInstances/greet"),
    ),
    Row("tasks list", {"dag_id": "example_template"}, own=Call("GET", "dags/example_template/tasks")),
    Row("tasks render", {**GREET, "logical_date_or_run_id": UNRUN}),
    Row("tasks test", {**TOTAL, "logical_date_or_run_id": UNRUN}),
)

_ITS_DAG = "bench_{client:03}"
LOADS: tuple[Load, ...] = (
    Load("version", (("version", {}),), (Call("GET", "version"),)),
    Load("variables get", (("variables get", {"key": "bench"}),), (Call("GET", "variables/bench"),)),
    Load("pools list", (("pools list", {}),), (Call("GET", "pools"),)),
    Load(
        "dags pause, unpause",
        (("dags pause", {"dag_id": _ITS_DAG}), ("dags unpause", {"dag_id": _ITS_DAG})),
        (
            Call("PATCH", f"dags/{_ITS_DAG}", {"is_paused": True}),
            Call("PATCH", f"dags/{_ITS_DAG}", {"is_paused": False}),
        ),
    ),
)
CLIENTS = (1, 4, 16)
MANY = 16

_ONE = {"dag_id": "{dag}"}
BUNDLE_ROWS: tuple[Row, ...] = (
    Row("tasks list", _ONE),
    Row("tasks render", {**_ONE, "task_id": "day", "logical_date_or_run_id": UNRUN}),
    Row("tasks test", {**_ONE, "task_id": "total", "logical_date_or_run_id": UNRUN}),
)
"""`{dag}` is the id of one of the DAGs."""
SIZES = (10, 100, 1000)
"""Files, of one DAG each."""

SOAK_TEST: Mapping[str, str] = TOTAL
"""`tasks test` of these arguments, and a date, is done in a moment."""
SLOW: Mapping[str, str] = {"dag_id": "example_slow", "task_id": "work", "task_params": '{"seconds": 600}'}
"""`tasks test` of these arguments, and a date, runs until it is cancelled."""

# Recorded from plugin 1.0.8 on Airflow 1.10.15, on a machine of this kind: medians, one client.
LEGACY: tuple[LegacyRow, ...] = (
    LegacyRow("list_dags", {}, 4.7),
    LegacyRow("dag_state", {"dag_id": "example_template", "execution_date": DAY}, 4.5),
    LegacyRow("variables", {"get": "bench"}, 4.4),
    LegacyRow("trigger_dag", {"dag_id": "bench_001"}, 3.7),
    LegacyRow("pause", {"dag_id": "bench_000"}, 4.3, before=UNPAUSE),
)
