"""`kerberos`, `worker`, `flower`, `scheduler` and `serve_logs`: started, and left running."""

from __future__ import annotations

import re

from airflow_rest_api.commands.model import Effect
from airflow_rest_api.errors import Refusal
from airflow_rest_api.legacy.request import Request
from airflow_rest_api.legacy.translate.plan import (
    CHILD,
    Context,
    Work,
    bind,
    command_of,
    dag_id_of,
    line_of_1x,
    renamed,
)
from airflow_rest_api.services.kinds import BY_COMMAND, LOG_SERVER
from airflow_rest_api.services.launching import Plan

LOG_ARGUMENTS = ("stdout", "stderr", "log-file")
START = "commands:start_component"
ENTRY = f"{CHILD}.{START}"

LONGEST_NAME = 200
_BAD_NAME = re.compile(r"[\0-\x1f\x7f]|\A\.")


def translate(request: Request, context: Context) -> Work:
    """Return the start of a component that Airflow has a command for."""
    command = command_of(request, context)
    values, warnings = renamed(request, command, leave=("pid", *LOG_ARGUMENTS))
    invocation = bind(context, command, values)
    stdout, stderr = log_names(request, warnings)
    look = {"dag_id": dag_id_of(request), "subdir": request.get("subdir")}
    component = Plan.of_invocation(
        BY_COMMAND[command.name],
        invocation,
        stdout=stdout,
        stderr=stderr,
        pid_file=pid_name(request, warnings),
        entry=ENTRY,
        extra={name: value for name, value in look.items() if value is not None},
    )
    return Work(
        name=command.name,
        effect=Effect.SERVICE,
        entry=START,
        order={},
        lines=[invocation.masked],
        known=command.known,
        warnings=warnings,
        secrets=invocation.secrets,
        invocations=(invocation,),
        component=component,
    )


def serve_logs(request: Request, context: Context) -> Work:
    """Return the start of Airflow's log server."""
    stdout, stderr = log_names(request, [])
    return Work(
        name=request.endpoint.name,
        effect=Effect.SERVICE,
        entry=START,
        order={},
        lines=[line_of_1x(request)],
        component=Plan(BY_COMMAND[LOG_SERVER], stdout=stdout, stderr=stderr, entry=ENTRY),
    )


def log_names(request: Request, warnings: list[str]) -> tuple[str, str]:
    """Return the files of the log folder that take output and error output; a path's last part counts."""
    names = {
        name: _base_name(name, value, "log folder", warnings)
        for name in LOG_ARGUMENTS
        if (value := request.get(name))
    }
    stdout = names.get("stdout") or names.get("log-file") or f"airflow-{request.endpoint.name}.log"
    return stdout, names.get("stderr") or stdout


def pid_name(request: Request, warnings: list[str]) -> str | None:
    """Return the file of AIRFLOW_HOME that gets the process id; with `daemon`, there is always one."""
    value = request.get("pid")
    if value is None:
        return f"airflow-{request.endpoint.name}.pid" if request.given("daemon") else None
    name = _base_name("pid", value, "home folder", warnings)
    if not name.endswith(".pid"):
        raise Refusal("Argument 'pid' must be the name of a file that ends with '.pid'")
    return name


def _base_name(argument: str, value: str, folder: str, warnings: list[str]) -> str:
    name = re.split(r"[/\\]", value.rstrip("/\\"))[-1]
    if not name or _BAD_NAME.search(name) or len(name.encode()) > LONGEST_NAME:
        raise Refusal(f"Argument '{argument}' must be the name of a file in Airflow's {folder}")
    if name != value:
        warnings.append(f"Argument '{argument}' names a file in Airflow's {folder}: '{name}' is used")
    return name
