"""Each request to a 1.x endpoint into what does its job today."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from airflow_rest_api.legacy.request import Request
from airflow_rest_api.legacy.translate import (
    backfill,
    background,
    connections,
    dag_files,
    dags,
    pools,
    simple,
    tasks,
    variables,
    versions,
)
from airflow_rest_api.legacy.translate.plan import Answer, Context, Work, dag_id_of

TRANSLATORS: Mapping[str, Callable[[Request, Context], Answer | Work]] = {
    "version": versions.airflow,
    "rest_api_plugin_version": versions.plugin,
    "render": tasks.render,
    "variables": variables.translate,
    "connections": connections.translate,
    "pause": simple.translate,
    "unpause": simple.translate,
    "task_failed_deps": simple.translate,
    "trigger_dag": dags.trigger,
    "test": tasks.test,
    "dag_state": simple.translate,
    "run": tasks.run,
    "list_tasks": tasks.list_tasks,
    "backfill": backfill.translate,
    "list_dags": dags.list_dags,
    "kerberos": background.translate,
    "worker": background.translate,
    "flower": background.translate,
    "scheduler": background.translate,
    "task_state": simple.translate,
    "pool": pools.translate,
    "serve_logs": background.serve_logs,
    "clear": simple.translate,
    "deploy_dag": dag_files.deploy,
    "refresh_dag": dag_files.refresh,
    "refresh_all_dags": dag_files.refresh,
}


def translate(request: Request, context: Context) -> Answer | Work:
    """
    Return what answers a request.

    :raises Refusal: it makes no sense, or this Airflow cannot do it
    """
    dag_id_of(request)
    return TRANSLATORS[request.endpoint.name](request, context)
