"""What the warm parent and its spare children do ahead of the commands: tables, which `warm` walks over."""

from __future__ import annotations

LATE_IMPORTS = (
    "airflow.__main__",
    "airflow.api_fastapi.app",
    "airflow.cli.simple_table",
    "airflow.dag_processing.bundles.manager",
    "airflow.dag_processing.dagbag",
    "airflow.jobs.job",
    "airflow.models.serialized_dag",
    "airflow.providers.standard.operators.bash",
    "airflow.providers.standard.operators.python",
    "airflow.sdk.definitions.dag",
    "airflow.sdk.execution_time.secrets_masker",
    "airflow.serialization.serialized_objects",
    "airflow.ti_deps.dep_context",
    "rich.pretty",
    "rich.syntax",
    "pygments.lexers.data",
    "pygments.lexers.configs",
    "tabulate",
    "yaml",
)
"""Modules that commands import only when they run; one that is not installed is left out."""

REHEARSALS = (
    ("version",),
    ("config", "get-value", "core", "executor"),
    ("variables", "get", "airflow-rest-api-rehearsal"),
    ("variables", "list", "--output=json"),
    ("connections", "list", "--output=json"),
    ("pools", "list", "--output=json"),
    ("pools", "list", "--output=table"),
    ("dags", "list", "--output=json"),
    ("dags", "details", "airflow-rest-api-rehearsal", "--output=json"),
    ("dags", "list-runs", "airflow-rest-api-rehearsal", "--output=json"),
    ("dags", "pause", "airflow-rest-api-rehearsal", "--output=json"),
    ("dags", "state", "airflow-rest-api-rehearsal", "2000-01-01"),
    ("dags", "trigger", "airflow-rest-api-rehearsal", "--output=json"),
    ("tasks", "state", "airflow-rest-api-rehearsal", "none", "2000-01-01"),
    ("jobs", "check"),
)
"""
Commands run once in the parent, with a name that does not exist where they need one.

They change nothing; they pull in what is imported late, fill SQLAlchemy's cache of compiled statements, which
the children inherit, and touch the code that most commands share. One that the installed Airflow lacks just
fails.
"""


IN_VAIN = (
    ("dags", "pause", "{dag_id}", "--output=json"),
    ("dags", "unpause", "{dag_id}", "--output=json"),
    ("dags", "trigger", "{dag_id}", "--output=json"),
    ("dags", "details", "{dag_id}", "--output=json"),
    ("dags", "next-execution", "{dag_id}"),
    ("variables", "set", "airflow-rest-api-rehearsal", "value"),
    ("pools", "set", "airflow-rest-api-rehearsal", "1", "rehearsal"),
)
"""Commands that write, run once in the parent with a DAG that exists, and all taken back: see `vain`."""

STRETCHES = (
    ("variables", "get", "airflow-rest-api-rehearsal"),
    ("dags", "pause", "airflow-rest-api-rehearsal", "--output=json"),
)
"""
Commands that a spare child runs while it waits: what they touch is then its own copy of the parent's memory.

That takes some six milliseconds off the command that the child is for, a third of a short one.
"""

PRIMED = (
    "airflow._shared.observability.metrics.stats:_get_registry",
    "airflow.models.crypto:get_fernet",
)
"""Functions that read something once per process and keep it; one that is not there is left out."""

SHARED = ("airflow.api.client:get_current_api_client",)
"""
Functions whose result the children share: it holds no connection and no state, and is slow to build.

Airflow's local client builds an HTTP client, with all certificates of the machine, and never uses it.
"""

ONCE_PER_DATABASE = ("check_and_run_migrations", "synchronize_log_template")
"""
Functions of `airflow.utils.db` that Airflow calls before every command that needs the database.

They read all migration files, and the table of log templates with its columns. Both change with the
database's revision only, the second with the configuration too, for which the parent is renewed.
"""
