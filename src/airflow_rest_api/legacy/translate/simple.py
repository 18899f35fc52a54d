"""The endpoints that are one command today, argument by argument."""

from __future__ import annotations

from airflow_rest_api.legacy.request import Request
from airflow_rest_api.legacy.translate.plan import Context, Work, airflow_commands, bind, command_of, renamed


def translate(request: Request, context: Context) -> Work:
    """Return the command with the arguments under their names of today."""
    command = command_of(request, context)
    values, warnings = renamed(request, command)
    return airflow_commands(request, [bind(context, command, values)], warnings)
