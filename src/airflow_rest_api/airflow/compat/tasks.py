"""
Tasks that run in the process of a command: the API that they talk to, their triggers, their runs.

Imported in children only: it takes a while to import.
"""

from __future__ import annotations

import functools
import logging
from typing import TYPE_CHECKING, Any

from airflow_rest_api.airflow.compat.version_compat import (
    AIRFLOW_V_3_1_PLUS,
    AIRFLOW_V_3_2_PLUS,
    AIRFLOW_V_3_3_PLUS,
)

if TYPE_CHECKING or AIRFLOW_V_3_1_PLUS:
    from airflow.models import dagrun as creator
    from airflow.sdk.api.client import HITLOperations
else:
    from airflow.models import dag as creator

    class HITLOperations:
        """Questions to a human, of which Airflow 3.0 knows none."""


log = logging.getLogger(__name__)

__all__ = ["HITLOperations", "creator"]

CREATES_RUN = "get_or_create_dagrun" if AIRFLOW_V_3_1_PLUS else "_get_or_create_dagrun"
"""The function of the module `creator` with which `DAG.test` makes its run."""

RENDERS_AS_SDK = AIRFLOW_V_3_2_PLUS
"""Whether `tasks render` renders as the SDK does, and no longer with the rows of the database."""

RUNS_NAME_USER = AIRFLOW_V_3_1_PLUS
"""Whether a run has the name of the user who triggered it."""


def keep_execution_api() -> Any:
    """
    Return the API that a task talks to inside its own process, built once for this one and its forks.

    Airflow keeps it since 3.3; before, it would generate all routes of it anew for each task.
    """
    from airflow.sdk.execution_time import supervisor

    module: Any = supervisor
    if not AIRFLOW_V_3_3_PLUS and not hasattr(module.in_process_api_server, "cache_info"):
        module.in_process_api_server = functools.cache(module.in_process_api_server)
    return module.in_process_api_server()


def build_execution_api() -> None:
    """
    Generate the routes of that API, in the one version that tasks of this installation ask for.

    Airflow generates those of every version that it knows (``airflow.api_fastapi.execution_api.versions``),
    which takes ten times as long, and half of a warm-up. Where one alone cannot be made, all of them are.
    """
    from airflow.sdk.execution_time import supervisor

    keep_execution_api()
    module: Any = supervisor
    try:
        _build_newest_version()
    except Exception:
        log.debug("The execution API is built with all its versions", exc_info=True)
        module.in_process_api_server.cache_clear()
        keep_execution_api().app._cadwyn_initialize()


def _build_newest_version() -> None:
    """
    Build the API with its newest version alone.

    :raises LookupError: tasks ask for another one, or it was built before
    """
    from airflow.api_fastapi.execution_api import versions
    from airflow.sdk.api.datamodels._generated import API_VERSION
    from cadwyn import Version, VersionBundle
    from cadwyn.route_generation import _DELETED_ROUTE_TAG

    every = versions.bundle
    if every.versions[0].value != API_VERSION:
        raise LookupError(API_VERSION)
    newest: Any = VersionBundle(every.head_version, Version(API_VERSION))
    versions.bundle = newest
    try:
        app = keep_execution_api().app
    finally:
        versions.bundle = every
    if app.versions is not newest:
        raise LookupError(API_VERSION)
    # Routes of older versions alone: cadwyn asks for the change that brings them back.
    routes = app._latest_version_router.routes
    routes[:] = [route for route in routes if _DELETED_ROUTE_TAG not in getattr(route, "tags", ())]
    app._cadwyn_initialize()


def client_class() -> Any:
    """Return the class of the clients with which a task that runs here asks that API."""
    from airflow.sdk.api.client import Client
    from airflow.sdk.execution_time.supervisor import InProcessTestSupervisor

    return InProcessTestSupervisor._Client if AIRFLOW_V_3_1_PLUS else Client


def use_client(kind: Any) -> None:
    """Have tasks that run in this process ask by clients of a class, for the rest of it."""
    from airflow.sdk.execution_time import supervisor

    here: Any = supervisor.InProcessTestSupervisor
    if AIRFLOW_V_3_1_PLUS:
        here._Client = kind
        return
    make_client = here._api_client

    def make(dag: Any = None) -> Any:
        client = make_client(dag)
        client.__class__ = kind
        return client

    here._api_client = staticmethod(make)


def trigger_of(deferral: Any) -> Any:
    """Return the trigger for which a task waits."""
    if AIRFLOW_V_3_2_PLUS:
        from airflow.sdk._shared.module_loading import import_string
        from airflow.sdk.serde import deserialize

        arguments: Any = deserialize(deferral.trigger_kwargs)
    else:
        from airflow.utils.module_loading import import_string  # type: ignore[no-redef]

        arguments = deferral.trigger_kwargs
    return import_string(deferral.classpath)(**arguments)


def event_of(trigger: Any, instance: Any) -> Any:
    """Run a trigger to its first event, inside this process; return what a task gets of it, None of none."""
    from airflow.sdk.definitions import dag

    module: Any = dag
    event = module._run_inline_trigger(trigger, *((instance,) if AIRFLOW_V_3_1_PLUS else ()))
    if event is None:
        return None
    if not AIRFLOW_V_3_2_PLUS:
        return {"event": event.payload}
    from airflow.sdk.serde import serialize

    return {"event": serialize(event.payload)}


def run_workload(workload: Any) -> None:
    """
    Run a task instance in this process as a worker does, its log to standard output.

    :param workload: Airflow's `ExecuteTask`
    :raises Exception: the supervisor could not start it, or not report how it ended
    """
    if AIRFLOW_V_3_3_PLUS:
        from airflow.executors.base_executor import BaseExecutor

        BaseExecutor.run_workload(workload, subprocess_logs_to_stdout=True)
        return
    from airflow.configuration import conf
    from airflow.sdk.execution_time import supervisor

    # As airflow.executors.local_executor does.
    base_url = conf.get("api", "base_url", fallback="/")
    base_url = f"http://localhost:8080{base_url}" if base_url.startswith("/") else base_url
    module: Any = supervisor
    module.supervise(
        ti=workload.ti,
        dag_rel_path=workload.dag_rel_path,
        bundle_info=workload.bundle_info,
        token=workload.token,
        server=conf.get("core", "execution_api_server_url", fallback=f"{base_url.rstrip('/')}/execution/"),
        log_path=workload.log_path,
        subprocess_logs_to_stdout=True,
    )
