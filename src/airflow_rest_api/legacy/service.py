"""From a request to the answer: understand it, see whether the caller may, run it, tell what came out."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from airflow_rest_api.admission import within_share
from airflow_rest_api.airflow.asking import ask
from airflow_rest_api.airflow.parsing import processor_alive
from airflow_rest_api.commands.model import Command, Effect, Invocation
from airflow_rest_api.errors import AlreadyRunning, Busy, Forbidden, PortInUse, Refusal
from airflow_rest_api.legacy import answer
from airflow_rest_api.legacy.child import messages
from airflow_rest_api.legacy.deploy import Deployment, Deployments
from airflow_rest_api.legacy.envelope import Envelope, mask_texts
from airflow_rest_api.legacy.readiness import Readiness
from airflow_rest_api.legacy.request import Request, Sent, endpoint_of, understand
from airflow_rest_api.legacy.translate import translate
from airflow_rest_api.legacy.translate.plan import CHILD, Answer, Context, Work
from airflow_rest_api.operations.model import State
from airflow_rest_api.security.access import Gate
from airflow_rest_api.security.audit import Audit
from airflow_rest_api.security.decision import Attempt, Decision
from airflow_rest_api.storage.transient import foreseen

if TYPE_CHECKING:
    from airflow_rest_api.commands.catalog import Catalog
    from airflow_rest_api.legacy.usage import Usage
    from airflow_rest_api.operations.model import Operation
    from airflow_rest_api.operations.service import Operations
    from airflow_rest_api.security.caller import Caller
    from airflow_rest_api.services.launching import Plan
    from airflow_rest_api.services.service import Services

log = logging.getLogger(__name__)

NAMES_ITS_OBJECT = frozenset({"dag_id", "task_id", "run_id"})
"""The arguments that the records of what was done have columns for."""

SETTLED = 5.0
"""Seconds at most in which the end of a start is noted, with the database at hand."""
ROUND = 3600.0
"""Seconds of one wait for a command, after which comes another: what ends a command is its own timeout."""


class Options(answer.Options, Protocol):
    """The settings that matter here."""

    @property
    def exchange_folder(self) -> str:
        """Folder of `import` and `export`."""


class Commands(Protocol):
    """Reads the commands of this Airflow when they are first needed."""

    async def get(self) -> Catalog:
        """Return the commands."""


class Legacy:
    """The 26 endpoints."""

    def __init__(
        self,
        operations: Operations,
        commands: Commands,
        options: Options,
        gate: Gate | None = None,
        audit: Audit | None = None,
        services: Services | None = None,
        deployments: Deployments | None = None,
        usage: Usage | None = None,
        readiness: Readiness | None = None,
    ) -> None:
        self._operations = operations
        self._commands = commands
        self._options = options
        self._gate = gate or Gate()
        self._audit = audit or Audit()
        self._services = services
        self._deployments = deployments
        self._usage = usage
        self._readiness = readiness
        self._tasks: set[asyncio.Task[Envelope]] = set()

    async def answer(self, sent: Sent, caller: Caller, call_time: datetime, root: str = "") -> Envelope:
        """
        Return the answer to a request; the work goes on when the client does not wait for it.

        :param root: the path under which the client sees Airflow
        """
        task = asyncio.create_task(within_share(self._answer(sent, caller, call_time, root)))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return await asyncio.shield(task)

    async def _answer(self, sent: Sent, caller: Caller, call_time: datetime, root: str) -> Envelope:
        envelope = Envelope(200, "", call_time, sent.arguments, sent.post_arguments)
        try:
            with self._counted(sent, caller, call_time) as ignored:
                request = understand(sent)
                envelope.warnings += request.warnings
                ignored += request.ignored
                plan = await self._plan(request)
                # In front: of one call not all are kept, and these are no words of the client's own.
                ignored[:0] = plan.ignored
            if isinstance(plan, Answer):
                await self._gate.enter(caller, Attempt(_answered(request)))
                envelope.output = plan.output
                return envelope
            envelope.warnings += plan.warnings
            # Before anything is looked up for what could not begin anyway.
            self._operations.check_room(caller.name)
            if plan.deployment is not None:
                await self._deploy(envelope, request, plan, plan.deployment, caller)
            else:
                with self._audit.refusals(caller, plan.name, _invocation(request, plan)):
                    plan, decision = await self._enter(caller, request, plan)
                envelope.warnings += await self._until_ready(request)
                operation = await self._run(request, plan, caller, decision)
                broken = await self._import_error(request, plan, operation)
                fill = partial(answer.fill, envelope, request, plan, operation, self._options, root, broken)
                await asyncio.to_thread(fill) if answer.is_long(operation) else fill()
        except Refusal as refusal:
            envelope.status, envelope.output = refusal.status, refusal.message
        except Forbidden as error:
            envelope.status, envelope.output = 403, error.message
        except Busy as busy:
            envelope.status = 429
            envelope.output = "Too many commands are running and waiting already; try again later."
            envelope.headers["Retry-After"] = str(busy.retry_after)
        except Exception as error:
            found = foreseen(error)
            if found is None:
                raise
            envelope.status, envelope.output, envelope.headers = found.status, found.message, found.headers
        if isinstance(envelope.output, str):
            [envelope.output] = mask_texts([envelope.output], _sent_values(sent))
        return envelope

    def count(self, sent: Sent, caller: Caller, at: datetime, ignored: Iterable[str] = ()) -> None:
        """Count a request among the calls of its endpoint, whatever becomes of it."""
        if self._usage is not None:
            self._usage.count(endpoint_of(sent), caller.name, caller.address, at, ignored)

    @contextlib.contextmanager
    def _counted(self, sent: Sent, caller: Caller, at: datetime) -> Iterator[list[str]]:
        """Count a request once it is understood, or not; what is ignored of it is put into the list."""
        ignored: list[str] = []
        try:
            yield ignored
        finally:
            self.count(sent, caller, at, ignored)

    async def _enter(self, caller: Caller, request: Request, work: Work) -> tuple[Work, Decision]:
        """Return what the caller may do of a work, and why; raise Forbidden."""
        try:
            return work, await self._gate.enter_all(caller, attempts(request, work))
        except Forbidden:
            if work.instead is None:
                raise
        return work.instead, await self._gate.enter_all(caller, attempts(request, work.instead))

    async def _until_ready(self, request: Request) -> list[str]:
        """Wait for a DAG that was deployed just now, before a command takes a place; return what to say."""
        dag_id = request.get("dag_id")
        late = await self._readiness.wait(dag_id) if self._readiness is not None and dag_id else None
        return [late] if late is not None else []

    async def _import_error(self, request: Request, work: Work, operation: Operation) -> str | None:
        """Return what may have kept a command from finding its DAG: it refused, or parses the file itself."""
        failed = operation.state.ended and operation.state is not State.SUCCEEDED
        looked = operation.exit_code == messages.REFUSED_EXIT_CODE or work.effect is Effect.EXECUTE
        # Where a DAG is required, so is a permission on it: nobody hears of the files of others.
        if self._readiness is None or "dag_id" not in request.endpoint.required or not (failed and looked):
            return None
        try:
            return await self._readiness.import_error(request.values["dag_id"])
        except Exception:
            # What the command came to is the answer, with or without the reason.
            log.warning("The import error of a DAG could not be looked up", exc_info=True)
            return None

    async def _plan(self, request: Request) -> Answer | Work:
        if not request.endpoint.arguments and request.endpoint.text_output:
            # No command to look up: the versions are known before the commands are.
            context = Context(_NoCommands(), processor_alive=processor_alive)
        else:
            catalog = await self._commands.get()
            context = Context(
                catalog,
                self._options.exchange_folder,
                as_json=answer.as_1x(self._options),
                processor_alive=processor_alive,
            )
        return await ask(translate, request, context)

    async def _start(
        self, component: Plan, request: Request, work: Work, caller: Caller, decision: Decision
    ) -> Operation:
        """Start a component, and wait until it is ready or has failed."""
        assert self._services is not None
        try:
            service, operation = await self._services.start(
                component,
                user=caller.name,
                asks=decision.asks,
                warnings=work.warnings,
                on_end=self._audit.ended(caller, _invocation(request, work)),
                endpoint=request.endpoint.name,
            )
        except (AlreadyRunning, PortInUse) as error:
            raise Refusal(str(error), 409) from None
        while not operation.state.ended:
            operation = await self._operations.wait(operation.id, ROUND)
        # What has failed is then known to have: the same can be asked for again at once.
        await self._services.local.started(service.id, SETTLED)
        return operation

    async def _deploy(
        self, envelope: Envelope, request: Request, work: Work, wanted: Deployment, caller: Caller
    ) -> None:
        assert self._deployments is not None
        invocation = _invocation(request, work)
        on_end = self._audit.ended(caller, invocation)
        with self._audit.refusals(caller, work.name, invocation):
            scope = await self._deployments.enter(caller)
            deployed = await self._deployments.run(
                caller, scope, wanted, request.files["dag_file"], invocation, on_end, envelope.ran
            )
        envelope.output, envelope.dag_ids = deployed.output, deployed.dag_ids
        envelope.warnings += deployed.warnings

    async def _run(self, request: Request, work: Work, caller: Caller, decision: Decision) -> Operation:
        if work.component is not None:
            return await self._start(work.component, request, work, caller, decision)
        invocation = replace(_invocation(request, work), argv=[messages.write(work.order, work.key)])
        operation = await self._operations.start(
            invocation,
            user=caller.name,
            entry=f"{CHILD}.{work.entry}",
            commands=[one.command.name for one in work.invocations],
            read=answer.reader_of(request, work),
            warnings=work.warnings,
            asks=decision.asks,
            visible=decision.visible,
            redacted=decision.redacted,
            on_end=self._audit.ended(caller, invocation),
            recorded=request.leaves,
            endpoint=request.endpoint.name,
        )
        while not operation.state.ended and not request.leaves:
            operation = await self._operations.wait(operation.id, ROUND)
        return operation


class _NoCommands:
    """Stands for the commands where an answer needs none."""

    def get(self, path: str) -> Command:
        raise LookupError(path)

    def bind(
        self, command: Command, arguments: Mapping[str, Any], *, json_output: bool = False
    ) -> Invocation:
        raise LookupError(command.name)


def _command(work: Work) -> Command:
    """Return the work as the rest of the plugin sees a command: for permissions and records."""
    return Command(
        path=tuple(work.name.split()),
        help="",
        description=None,
        arguments=(),
        effect=work.effect,
        known=work.known,
        reveals_secrets=work.reveals_secrets,
    )


def _invocation(request: Request, work: Work) -> Invocation:
    """Return the work as the rest of the plugin sees a command with its arguments."""
    return Invocation(
        command=_command(work),
        argv=[],
        values={name: value for name, value in request.values.items() if name in NAMES_ITS_OBJECT},
        given=frozenset(),
        masked=[word for line in work.lines for word in line],
        secrets=work.secrets,
    )


def _answered(request: Request) -> Command:
    """Return what is answered without a command as a command, for the permissions."""
    return Command((request.endpoint.name,), "", None, (), Effect.READ)


def attempts(request: Request, work: Work) -> list[Attempt]:
    """Return what a work comes to, for the permissions: each command of Airflow, or the work itself."""
    # The file of a DAG that is read is of the client's choice.
    chosen = frozenset({"subdir"}) if request.given("subdir") else frozenset()
    if work.invocations:
        return [Attempt(one.command, one.values, one.given | chosen) for one in work.invocations]
    values = {**request.values, **dict.fromkeys(request.checked, True)}
    return [Attempt(_command(work), values, frozenset(values))]


def _sent_values(sent: Sent) -> dict[str, str]:
    return {name: value for name, value in (*sent.query, *sent.body.fields) if value}
