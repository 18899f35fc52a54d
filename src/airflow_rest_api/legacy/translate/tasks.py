"""`render`, `test`, `list_tasks` and `run`."""

from __future__ import annotations

from typing import Any

from airflow_rest_api.commands.model import Effect
from airflow_rest_api.legacy.child.run_task import DEPENDENCY_FLAGS
from airflow_rest_api.legacy.request import Request
from airflow_rest_api.legacy.translate.plan import (
    Context,
    Ignored,
    Work,
    airflow_commands,
    bind,
    command_of,
    dag_id_of,
    json_object,
    own_work,
    renamed,
)

RUN_TAKES = (
    "dag_id",
    "task_id",
    "execution_date",
    "subdir",
    "pool",
    "mark_success",
    "local",
    *DEPENDENCY_FLAGS,
)


def render(request: Request, context: Context) -> Work:
    """Render the templates of a task instance."""
    command = command_of(request, context)
    values, warnings = renamed(request, command)
    return airflow_commands(request, [bind(context, command, values)], warnings, load=True)


def test(request: Request, context: Context) -> Work:
    """Run a task instance on its own; with `dry_run` render it, its parameters changed in the same way."""
    params = json_object(request, "task_params")
    command = command_of(request, context)
    if not request.given("dry_run") or command.argument("dry_run"):
        values, warnings = renamed(request, command)
        return airflow_commands(request, [bind(context, command, values)], warnings, load=True)
    rendering = context.catalog.get("tasks render")
    values, warnings = renamed(request, rendering, leave=("dry_run", "task_params"))
    return airflow_commands(request, [bind(context, rendering, values)], warnings, load=True, params=params)


def list_tasks(request: Request, context: Context) -> Work:
    """List the tasks of a DAG, also as a tree."""
    command = command_of(request, context)
    if request.given("tree") and not command.argument("tree"):
        # With a path the DAG's file is imported, which is its author's code.
        effect = Effect.EXECUTE if request.given("subdir") else Effect.READ
        order = {"dag_id": dag_id_of(request), "subdir": request.get("subdir")}
        return own_work(request, "listings:show_tree", effect, order)
    values, warnings = renamed(request, command)
    return airflow_commands(request, [bind(context, command, values)], warnings, load=True)


def run(request: Request, context: Context) -> Work:
    """Run one task instance: our own work, as no Airflow 3 has a command for it."""
    order: dict[str, Any] = {
        name: request.get(name) or (name in request.checked) or None for name in RUN_TAKES
    }
    order["json"] = context.as_json or None
    lost = [a.name for a in request.endpoint.arguments if a.name not in RUN_TAKES and request.given(a.name)]
    warnings = [Ignored(f"Argument(s) {lost} have no effect", lost)] if lost else []
    return own_work(request, "run_task:run_task", Effect.EXECUTE, order, warnings)
