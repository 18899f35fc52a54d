"""`connections`: list, add or delete."""

from __future__ import annotations

from dataclasses import replace

from airflow_rest_api.errors import Refusal
from airflow_rest_api.legacy.request import Request
from airflow_rest_api.legacy.translate.plan import Context, Work, airflow_commands, bind, renamed

VERBS = ("list", "add", "delete")


def translate(request: Request, context: Context) -> Work:
    """Return the command; none of the three check boxes lists all connections."""
    asked = [verb for verb in VERBS if request.given(verb)]
    if len(asked) > 1:
        raise Refusal(f"The arguments {asked} exclude each other")
    verb = asked[0] if asked else "list"
    if verb != "list" and not request.given("conn_id"):
        raise Refusal("The argument(s) ['conn_id'] are required")
    command = context.catalog.get(f"connections {verb}")
    values, warnings = renamed(request, command, leave=VERBS)
    work = airflow_commands(request, [bind(context, command, values)], warnings)
    if verb == "list" and context.as_json:
        # Its permissions are those of the command, and it prints what this one does not.
        return replace(work, entry="listings:list_rows", order={"kind": "connections"})
    return work
