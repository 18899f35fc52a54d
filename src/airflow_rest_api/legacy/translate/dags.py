"""`trigger_dag` and `list_dags`."""

from __future__ import annotations

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
    """Create a run, with the client's date or one that `child.commands` chooses."""
    json_object(request, "conf")
    command = command_of(request, context)
    values, warnings = renamed(request, command, leave=("execution_date",))
    date, target = request.get("execution_date"), counterpart(command, "exec_date")
    if date and target:
        values.setdefault(target, date)
    return airflow_commands(request, [bind(context, command, values)], warnings)


def list_dags(request: Request, context: Context) -> Work:
    """List all DAGs or those of one path, with the report of their files if asked for."""
    if request.given("subdir"):
        report = request.given("report")
        output = "json" if context.as_json else "table"
        order = {"subdir": request.get("subdir"), "report": report, "output": output}
        return own_work(request, "listings:list_dags", Effect.EXECUTE if report else Effect.READ, order)
    invocations = [bind(context, command_of(request, context), {})]
    if request.given("report"):
        invocations.append(bind(context, context.catalog.get("dags report"), {}))
    return airflow_commands(request, invocations, json=context.as_json or None)
