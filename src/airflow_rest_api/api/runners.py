"""Runners: which there are, what they serve and run, and what waits for them."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING

from fastapi import APIRouter
from pydantic import Field
from starlette.responses import Response

from airflow_rest_api.api.answers import answer_model
from airflow_rest_api.api.context import CallerDep, ContextDep
from airflow_rest_api.api.models import Model, errors
from airflow_rest_api.commands.policy import own_command
from airflow_rest_api.operations import work_queue
from airflow_rest_api.security.routes import Needs, needs

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from airflow_rest_api.operations.model import Server

router = APIRouter(prefix="/v2/runners", tags=["runners"])

COMMAND = own_command("list_runners")
HEALTHY_FOR = 15.0
"""Seconds without a heartbeat after which a runner is not called healthy: three are missing."""


class RunnerBody(Model):
    """A runner."""

    name: str = Field(examples=["runner@worker-1"])
    host: str
    queues: list[str] = Field(description="Those that it serves, that of its own host among them.")
    concurrency: int | None = Field(description="Operations that it runs at the same time.")
    since: datetime
    heartbeat: float | None = Field(
        description="Seconds since the last one that this API server saw; null: it has not looked yet."
    )
    healthy: bool
    operations: list[str] = Field(description="The ids of the operations that it runs.")
    version: str | None = Field(description="The version of the plugin.")
    airflow_version: str | None


class QueueBody(Model):
    """A queue that is served, that a rule of `placement` names, or in which something waits."""

    name: str
    runners: list[str] = Field(description="The names of those that serve it.")
    waiting: int = Field(description="Operations that no runner has taken.")
    placed: bool = Field(description="A rule of `placement` leads there.")


class RunnerList(Model):
    """Runners and queues."""

    runners: list[RunnerBody]
    queues: list[QueueBody]


@router.get("", response_model=RunnerList, operation_id="list_runners", responses=errors())
@needs(Needs.COMMAND)
async def list_runners(context: ContextDep, caller: CallerDep) -> Response:
    """List the runners, each with what it runs, and the queues, those included that nobody serves."""
    await context.gate.precheck(caller, COMMAND)

    def read(connection: Connection) -> tuple[list[Server], dict[str, list[str]], Counter[str]]:
        waiting = Counter(one.queue for one in work_queue.waiting(connection))
        return work_queue.runners(connection), work_queue.running(connection), waiting

    servers, running, waiting = await context.database.run(read)
    served = work_queue.served(servers)
    names = dict.fromkeys((*context.placement.queues, *sorted(served), *sorted(waiting)))
    found = RunnerList(
        runners=[
            RunnerBody(
                name=str(server.runner),
                host=server.host,
                queues=(server.queues or "").split(),
                concurrency=server.concurrency,
                since=server.started_at,
                heartbeat=(still := context.heartbeat.still(server.id)),
                healthy=still is None or still < HEALTHY_FOR,
                operations=running.get(server.id, []),
                version=server.version,
                airflow_version=server.airflow_version,
            )
            for server in servers
        ],
        queues=[
            QueueBody(
                name=name,
                runners=[str(server.runner) for server in served.get(name, [])],
                waiting=waiting[name],
                placed=name in context.placement.queues,
            )
            for name in names
        ],
    )
    return answer_model(found)
