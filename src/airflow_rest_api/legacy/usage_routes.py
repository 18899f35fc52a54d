"""Who still calls the endpoints of the 1.x plugin."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import Field
from starlette.responses import Response

from airflow_rest_api.api.answers import answer_model
from airflow_rest_api.api.context import CallerDep, ContextDep
from airflow_rest_api.api.models import Model, errors
from airflow_rest_api.api.operations import check_endpoint
from airflow_rest_api.commands.policy import own_command
from airflow_rest_api.legacy.endpoints import BY_NAME
from airflow_rest_api.legacy.usage import UNKNOWN, LegacyCallerBody
from airflow_rest_api.security.routes import Needs, needs

router = APIRouter(prefix="/v2/legacy-usage", tags=["old endpoints"])

COMMAND = own_command("legacy_usage")
"""What stands for a command, for the permissions and the switches."""


class LegacyUsageList(Model):
    """Who calls the endpoints of the 1.x plugin."""

    callers: list[LegacyCallerBody]
    total_entries: int = Field(description="How many match, of which `callers` has the first.")


@router.get("", response_model=LegacyUsageList, operation_id="list_legacy_usage", responses=errors(400))
@needs(Needs.ADMINISTRATION)
async def list_legacy_usage(
    context: ContextDep,
    caller: CallerDep,
    endpoint: Annotated[str | None, Query(description=f"Its name, or `{UNKNOWN}`.")] = None,
    user: str | None = None,
    sort: Annotated[
        Literal["calls", "last"],
        Query(description="Those with the most calls first, or those who have called last."),
    ] = "calls",
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> Response:
    """
    List who calls the endpoints of the 1.x plugin, and with which arguments that have no effect.

    A call is counted within a few seconds, whatever its answer; not those that were turned away without a
    user. A row is forgotten a year after its last call.
    """
    await context.gate.precheck(caller, COMMAND)
    if endpoint != UNKNOWN:
        check_endpoint(endpoint, BY_NAME)
    found, total = await context.usage.read(endpoint, user, sort, limit)
    return answer_model(LegacyUsageList(callers=found, total_entries=total))
