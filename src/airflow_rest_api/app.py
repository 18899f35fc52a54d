"""The application factory: all packages put together, and what works beside the requests."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

from fastapi import FastAPI

from airflow_rest_api import __version__, private_folders
from airflow_rest_api.admission import Admission
from airflow_rest_api.airflow import installation, permissions
from airflow_rest_api.airflow.auth import Accounts, AirflowAuth
from airflow_rest_api.airflow.compat.version_compat import warn_of_unknown_version
from airflow_rest_api.airflow.queries import ask
from airflow_rest_api.airflow.warm import HOOKS
from airflow_rest_api.api import (
    catalog,
    commands,
    dag_file,
    dag_files,
    dag_refresh,
    operations,
    runners,
    service_logs,
    services,
)
from airflow_rest_api.api.context import CatalogLoader, Context
from airflow_rest_api.api.handlers import LastResort, add_handlers
from airflow_rest_api.asgi import BodyDeadline
from airflow_rest_api.commands.catalog import Catalog, load_catalog
from airflow_rest_api.commands.needs import POWERS, queue_power
from airflow_rest_api.dag_files.grants import Grants, entity
from airflow_rest_api.dag_files.works import DagFileWorks
from airflow_rest_api.engine.engine import Engine
from airflow_rest_api.legacy import usage_routes
from airflow_rest_api.legacy.credentials import LegacyCredentials, not_let_in
from airflow_rest_api.legacy.endpoints import BY_NAME as ENDPOINTS_BY_NAME
from airflow_rest_api.legacy.endpoints import ENDPOINT_COMMANDS
from airflow_rest_api.legacy.model import PATH as LEGACY
from airflow_rest_api.legacy.routes import Legacy
from airflow_rest_api.legacy.routes import router as legacy
from airflow_rest_api.legacy.usage import Usage
from airflow_rest_api.loop_share import LoopShare
from airflow_rest_api.operations.heartbeat import sweeper
from airflow_rest_api.placement import Placement, placement_rules
from airflow_rest_api.runners import assembly, broker
from airflow_rest_api.security.access import Gate, Switches
from airflow_rest_api.security.audit import Audit, QuietQuery
from airflow_rest_api.security.guard import Guard
from airflow_rest_api.security.header_token import HeaderToken, HeaderUser
from airflow_rest_api.security.routes import check
from airflow_rest_api.settings import BadSetting, folders
from airflow_rest_api.web import page

if TYPE_CHECKING:
    from airflow_rest_api.settings import Settings


STOPPED = "The API server was stopped."
LOOK = 0.25
"""Seconds between two looks at whether the server stops."""
GRACE = 5.0
"""Seconds in which the commands that clients wait for may come to an end of their own, when it does."""


async def end_with_server(context: Context) -> None:
    """
    Wait until the server stops, and end what would hold it up.

    A server that stops waits for the answers it still owes before it tells us (uvicorn's graceful shutdown).
    A stream of events, or the answer to a long command, would hold it up until its patience ends, which
    Airflow sets to two minutes. So we look ourselves.
    """
    while not stopping():  # noqa: ASYNC110 - a handler of signals that is not ours wakes nobody
        await asyncio.sleep(LOOK)
    log.info("The API server stops: streams of events end, and commands after %g seconds", GRACE)
    context.streams.close()
    context.operations.let_go()
    await asyncio.sleep(GRACE)
    context.operations.stop(STOPPED)


def stopping() -> bool:
    """
    Return whether this process was told to end.

    uvicorn's handler of signals is a method of its server (``uvicorn.server.Server.capture_signals``), which
    says so; another server tells us at the end of the lifespan.
    """
    server = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
    return getattr(server, "should_exit", False) is True


log = logging.getLogger(__name__)

# The first route that fits a path is taken, and those before it are tried: what is asked for most is first.
ROUTERS = (
    commands.router,
    page.router,
    operations.router,
    catalog.router,
    runners.router,
    services.router,
    service_logs.router,
    dag_refresh.router,
    dag_files.router,
    dag_file.router,
    usage_routes.router,
    legacy,
)


def create_app(
    settings: Settings,
    *,
    engine: Engine | None = None,
    load_catalog: Callable[[], Catalog] = load_catalog,
    host: AirflowAuth | None = None,
    share: LoopShare | None = None,
) -> FastAPI:
    """
    Return the app that Airflow's API server mounts. Nothing runs before its lifespan, or its first request.

    :param engine: in place of one with the limits of the settings
    :param load_catalog: in place of reading the commands of the installed Airflow
    :param host: in place of the Airflow in whose API server we run
    :param share: what requests and commands have of the event loop
    :raises UndecidedRoute: a route does not say who may use it
    :raises BadSetting: commands are to run on runners, and nothing can be sent to them
    """
    share = share or LoopShare()
    runs = engine or Engine(assembly.limits(settings), HOOKS, share)
    context = _context(settings, runs, share, load_catalog)
    # Without FastAPI's own documentation pages: they load scripts from another host.
    app = FastAPI(
        # As they are: `include_router` would analyse and make each of them once more.
        routes=[route for router in ROUTERS for route in router.routes],
        title="Airflow commands over REST",
        version=__version__,
        lifespan=_lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
    )
    app.state.context = context
    app.state.legacy = Legacy(context)
    add_handlers(app)
    token = HeaderToken(
        settings.rest_api_plugin_http_token_header_name, settings.rest_api_plugin_expected_http_token
    )
    app.state.header_user = HeaderUser(Accounts(), settings.http_token_username)
    # The last one added is the outermost.
    app.add_middleware(BodyDeadline, seconds=settings.body_timeout)
    app.add_middleware(
        Guard,
        host=host or AirflowAuth(),
        authenticators={LEGACY: LegacyCredentials(token.name, token.expected)},
        header_token=token,
        header_user=app.state.header_user,
        sign_in=page.sign_in,
    )
    app.add_middleware(LastResort)
    app.add_middleware(Admission, limit=settings.max_requests, refusals={LEGACY: not_let_in}, share=share)
    app.add_middleware(QuietQuery)
    check(app.routes)
    return app


def _context(settings: Settings, engine: Engine, share: LoopShare, load: Callable[[], Catalog]) -> Context:
    audit = Audit()
    tables = assembly.database(settings)
    store = assembly.store(settings, tables)
    dispatcher = assembly.dispatcher(settings, store, audit)
    service = assembly.operations(settings, engine, store, dispatcher, share=share)
    placement = Placement(placement_rules(settings.placement))
    if placement.queues and (why := dispatcher.cannot_send) is not None:
        raise BadSetting(f"[rest_api_plugin] placement names queues. {why}")
    if placement.queues:
        broker.check(settings)
    switches = Switches(
        enabled=settings.enabled_commands,
        disabled=settings.disabled_commands,
        read_only=settings.read_only,
        run_dag_code=settings.run_dag_code,
        aliases=ENDPOINT_COMMANDS,
        placement=placement,
    )
    deployments = assembly.dag_files(settings, tables)
    gate = Gate(switches, audit)
    return Context(
        settings,
        engine,
        service,
        CatalogLoader(partial(_catalog, load, switches)),
        gate,
        tables,
        store,
        assembly.services(settings, tables, service),
        deployments,
        DagFileWorks(deployments, service, settings.dag_files_size),
        Grants(gate, folders(settings.deploy_folders)),
        Usage(tables),
        ENDPOINTS_BY_NAME,
        placement,
        dispatcher,
        audit,
    )


def _catalog(load: Callable[[], Catalog], switches: Switches) -> Catalog:
    """Return the catalog that a function reads, with warnings of entries of options that fit none of it."""
    found = catalog.prepared(load)
    for option, glob in switches.fitting_nothing(found.commands):
        log.warning("[rest_api_plugin] %s: %r fits no command, and has no effect", option, glob)
    return found


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Warm up and look after everything in the background; end every command when the server stops."""
    context: Context = app.state.context
    settings, upkeep = context.settings, context.services.local.upkeep
    warn_of_unknown_version()
    await app.state.header_user.begin()
    await context.engine.start()
    await asyncio.to_thread(_load_models)
    context.catalog.begin().add_done_callback(_log_failure)
    powers = (
        *POWERS,
        *(entity(*folder) for folder in folders(settings.deploy_folders)),
        *map(queue_power, context.placement.queues),
    )
    grants = asyncio.create_task(ask(permissions.create_resources, powers))
    sweep = asyncio.create_task(asyncio.to_thread(private_folders.sweep))
    context.dag_files.recovery.start()
    heartbeat = context.heartbeat
    old = sweeper(context.store, settings.operations_kept, settings.operations_kept_for)
    heartbeat.start()
    old.start()
    upkeep.start()
    context.usage.start()
    # Without a broker as well: what was sent while there was one must come to an end.
    context.dispatcher.watch.start()
    watch = asyncio.create_task(end_with_server(context))
    try:
        yield
    finally:
        watch.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watch
        context.streams.close()
        await old.stop()
        await upkeep.stop()
        await context.dispatcher.watch.stop()
        context.operations.stop(STOPPED)
        await context.engine.stop(STOPPED)
        # Until their ends are in the database, or that has taken too long.
        await context.operations.settle()
        await context.services.local.close()
        await context.usage.stop()
        await heartbeat.stop()
        # It may be in the middle of what must not be left half done.
        await asyncio.gather(context.dag_files.recovery.stop(), sweep, grants, return_exceptions=True)
        await asyncio.to_thread(context.audit.close)
        context.database.close()


def _load_models() -> None:
    try:
        installation.load_models()
    except Exception:
        # Of no use to us, and no reason to keep Airflow's API server from starting.
        log.exception("The models of this Airflow could not be read")


def _log_failure(task: asyncio.Task[Catalog]) -> None:
    if not task.cancelled() and (error := task.exception()):
        log.error(
            "The commands of this Airflow could not be read; the next request tries again", exc_info=error
        )
