"""The endpoints that are one command today, argument by argument."""

from __future__ import annotations

from airflow_rest_api.legacy.request import Request
from airflow_rest_api.legacy.translate.plan import Context, Work, airflow_commands, bind, command_of, renamed

WITHOUT_RUN = frozenset({"dag_state", "task_state"})
"""What is answered with ``None`` where there is no run for the date."""


def translate(request: Request, context: Context) -> Work:
    """Return the command with the arguments under their names of today."""
    command = command_of(request, context)
    values, warnings = renamed(request, command)
    return airflow_commands(
        request,
        [bind(context, command, values)],
        warnings,
        without_run=request.endpoint.name in WITHOUT_RUN or None,
        json=context.as_json or None,
    )
