"""`trigger_dag` and `list_dags`."""

from __future__ import annotations

from datetime import datetime, timezone

from airflow_rest_api.commands.model import Effect
from airflow_rest_api.legacy.request import Request
from airflow_rest_api.legacy.translate.plan import (
    Context,
    Work,
    airflow_commands,
    bind,
    command_of,
    counterpart,
    json_object,
    own_work,
    renamed,
)


def trigger(request: Request, context: Context) -> Work:
    """
    Create a run.

    Without a date of the client's it is that of the request, as it was in 1.x: templates use it, and a run
    of today's Airflow has none unless it is told. The microseconds stay in it, so that two requests within
    one second are two runs.
    """
    json_object(request, "conf")
    command = command_of(request, context)
    values, warnings = renamed(request, command, leave=("execution_date",))
    date, target = request.get("execution_date"), counterpart(command, "exec_date")
    if target:
        values.setdefault(target, date or datetime.now(timezone.utc).isoformat())
    if not (request.given("run_id") and date) and command.argument("replace_microseconds"):
        values["replace_microseconds"] = False
    return airflow_commands(request, [bind(context, command, values)], warnings)


def list_dags(request: Request, context: Context) -> Work:
    """List all DAGs or those of one path, with the report of their files if asked for."""
    if request.given("subdir"):
        report = request.given("report")
        order = {"subdir": request.get("subdir"), "report": report}
        return own_work(request, "dag_list", Effect.EXECUTE if report else Effect.READ, order)
    invocations = [bind(context, command_of(request, context), {})]
    if request.given("report"):
        invocations.append(bind(context, context.catalog.get("dags report"), {}))
    return airflow_commands(request, invocations)
