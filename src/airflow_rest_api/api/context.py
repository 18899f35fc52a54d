"""What the routes work with, and how they get at it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, cast

from fastapi import Depends, Request

from airflow_rest_api.api.sse import Streams
from airflow_rest_api.asgi import client_address
from airflow_rest_api.errors import BadRequest
from airflow_rest_api.operations.heartbeat import Heartbeat
from airflow_rest_api.placement import queue_name
from airflow_rest_api.security.audit import Audit
from airflow_rest_api.security.caller import Caller
from airflow_rest_api.security.guard import STATE
from airflow_rest_api.settings import Networks, networks

if TYPE_CHECKING:
    from fastapi.routing import APIRoute

    from airflow_rest_api.commands.catalog import Catalog
    from airflow_rest_api.dag_files.deployment import DagFiles
    from airflow_rest_api.dag_files.grants import Grants
    from airflow_rest_api.dag_files.works import DagFileWorks
    from airflow_rest_api.engine.engine import Engine
    from airflow_rest_api.legacy.usage import Usage
    from airflow_rest_api.operations.dispatch import Dispatcher
    from airflow_rest_api.operations.service import Operations
    from airflow_rest_api.operations.store import Store
    from airflow_rest_api.placement import Placement
    from airflow_rest_api.security.access import Gate
    from airflow_rest_api.services.service import Services
    from airflow_rest_api.settings import Settings
    from airflow_rest_api.storage.database import Database


class CatalogLoader:
    """Reads the commands of this Airflow once, in a thread: it takes about a second."""

    def __init__(self, load: Callable[[], Catalog]) -> None:
        self._load = load
        self._task: asyncio.Task[Catalog] | None = None

    def begin(self) -> asyncio.Task[Catalog]:
        """Start reading in the background, again after a failure."""
        if self._task is None or (self._task.done() and (self._task.cancelled() or self._task.exception())):
            self._task = asyncio.create_task(asyncio.to_thread(self._load))
        return self._task

    async def get(self) -> Catalog:
        """Return the commands; a caller who goes away does not stop the reading."""
        return await asyncio.shield(self.begin())


@dataclass
class Context:
    """
    The parts of the app that its routes use.

    :ivar endpoints: the names of the 1.x plugin's endpoints
    """

    settings: Settings
    engine: Engine
    operations: Operations
    catalog: CatalogLoader
    gate: Gate
    database: Database
    store: Store
    services: Services
    dag_files: DagFiles
    dag_file_works: DagFileWorks
    grants: Grants
    usage: Usage
    endpoints: Collection[str]
    placement: Placement
    dispatcher: Dispatcher
    audit: Audit = field(default_factory=Audit)
    streams: Streams = field(default_factory=Streams)

    @cached_property
    def heartbeat(self) -> Heartbeat:
        """Return what writes the heartbeat of this API server, and sees those of the others."""
        return Heartbeat(self.operations, self.store)

    @cached_property
    def trusted_proxies(self) -> Networks:
        """Return the proxies that say from where a request comes."""
        return networks(self.settings.trusted_proxies)


def context_of(request: Request) -> Context:
    """Return what the route of a request works with."""
    return cast("Context", request.app.state.context)


def caller_of(request: Request) -> Caller:
    """Return the user behind a request, with the address that it came from."""
    # No default: a request that did not come through the guard has no business here.
    caller = cast("Caller", request.scope["state"][STATE])
    caller.address = client_address(request.scope, context_of(request).trusted_proxies)
    return caller


QUEUE = "Airflow-Queue"


def queue_of(request: Request, argument: object = None) -> str | None:
    """
    Return the queue that a request names, None where it names none.

    :param argument: what it names beside its headers
    :raises BadRequest: it cannot be a queue, or there are several
    """
    found: list[object] = [*request.headers.getlist(QUEUE)]
    blamed = QUEUE
    if argument is not None:
        # Both may name the same.
        others = [name for name in found if str(name).strip() != str(argument).strip()]
        found, blamed = [argument, *others], "queue"
    if not found:
        return None
    try:
        if len(found) > 1 or not isinstance(found[0], str):
            raise ValueError("the name of one queue")
        return queue_name(found[0].strip())
    except ValueError as error:
        raise BadRequest(f"{blamed}: {error}", argument=blamed) from None


# Not plain functions, which FastAPI would call in a thread each.
async def _context(request: Request) -> Context:
    return context_of(request)


async def _caller(request: Request) -> Caller:
    return caller_of(request)


def by_name(route: APIRoute) -> str:
    """Return the id of an operation in the OpenAPI document where it has no other: its function's name."""
    return route.name


ContextDep = Annotated[Context, Depends(_context)]
CallerDep = Annotated[Caller, Depends(_caller)]
