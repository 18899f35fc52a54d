"""Since which Airflow the 1.x plugin offered an endpoint, as its page said."""

from __future__ import annotations

from collections.abc import Mapping

OWN = "not a command of Airflow's"

SINCE: Mapping[str, str] = {
    "version": "1.0.0",
    "rest_api_plugin_version": OWN,
    "render": "1.7.0",
    "variables": "1.7.1",
    "connections": "1.8.0",
    "pause": "1.7.0",
    "unpause": "1.7.0",
    "task_failed_deps": "1.8.0",
    "trigger_dag": "1.6.0",
    "test": "0.1",
    "dag_state": "1.8.0",
    "run": "1.0.0",
    "list_tasks": "0.1",
    "backfill": "0.1",
    "list_dags": "0.1",
    "kerberos": "1.6.0",
    "worker": "0.1",
    "flower": "1.0.0",
    "scheduler": "1.0.0",
    "task_state": "1.0.0",
    "pool": "1.8.0",
    "serve_logs": "0.1",
    "clear": "0.1",
    "deploy_dag": OWN,
    "refresh_dag": OWN,
    "refresh_all_dags": OWN,
}
