"""The start of a component: an operation like any other, in a child of the engine."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_rest_api.commands.model import Command, Effect, Invocation
from airflow_rest_api.operations.model import Origin
from airflow_rest_api.operations.model import State as OperationState
from airflow_rest_api.operations.runs import EntryPoint
from airflow_rest_api.services.child import Order
from airflow_rest_api.services.kinds import KINDS, LOG_SERVER, SERVE_LOGS, Kind
from airflow_rest_api.services.model import Restart, Service

if TYPE_CHECKING:
    from airflow_rest_api.airflow.installation import Places
    from airflow_rest_api.operations.model import Operation
    from airflow_rest_api.operations.service import Operations
    from airflow_rest_api.security.access import Permit

MODULE = "airflow_rest_api.services.child"
ENTRY = f"{MODULE}:main"
COMMAND = ("services", "start")
"""What the operation is called."""
PAUSES = (1.0, 60.0, 60.0)
"""Seconds before the first start after a failure, before any at most, and of life that makes it good."""
WAIT = 30.0
"""Seconds in which a component has to show that it is ready, or has failed; nobody waits any longer."""
ROUND = 60.0
LONGEST_FAILURE = 4000
"""Characters that are kept of what a start has said about its failure."""


@dataclass(frozen=True)
class Plan:
    """
    What is to be started.

    :ivar argv: after `airflow`; empty for the log server
    :ivar shown: the same with its secrets masked
    :ivar secrets: what must not be in any output
    :ivar values: the arguments by name
    :ivar stdout: name of a file in Airflow's log folder; None for one of its own
    :ivar entry: what runs in the engine's child, with `extra` in its order
    """

    kind: Kind
    argv: tuple[str, ...] = field(default=(), repr=False)
    shown: tuple[str, ...] = ()
    secrets: tuple[str, ...] = field(default=(), repr=False)
    values: Mapping[str, Any] = field(default_factory=dict, repr=False)
    restart: Restart = Restart.NEVER
    another: bool = False
    stdout: str | None = None
    stderr: str | None = None
    pid_file: str | None = None
    entry: str = ENTRY
    extra: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of_invocation(cls, kind: Kind, invocation: Invocation, **more: Any) -> Plan:
        """Return the plan to run a command with its arguments as a service."""
        return cls(
            kind,
            argv=tuple(invocation.argv),
            shown=tuple(invocation.masked),
            secrets=invocation.secrets,
            values=invocation.values,
            **more,
        )

    @classmethod
    def of(cls, service: Service) -> Plan:
        """Return the plan to start a service, which has no secrets, as it was started before."""
        return cls(
            KINDS[service.kind],
            argv=service.argv,
            shown=service.argv,
            restart=service.restart,
            another=service.identity is None,
            pid_file=service.pid_file,
        )

    @property
    def secret(self) -> bool:
        """Whether there are secrets among the arguments, or more of them than is shown."""
        return self.argv != self.shown


class Launcher:
    """Starts components by operations."""

    def __init__(self, operations: Operations, *, pauses: tuple[float, float, float] = PAUSES) -> None:
        self._operations = operations
        self._pauses = pauses

    async def launch(
        self, service: Service, plan: Plan, here: Places, permit: Permit, *, grace: float, **more: Any
    ) -> Operation:
        """Begin to start a service; return the operation that does."""
        # A name of its own: run again like a command, the component would end with its operation.
        command = Command(COMMAND, "", None, (), Effect.SERVICE)
        order = asdict(self._order(service, plan, here, grace, permit.user))
        invocation = Invocation(
            command=command,
            argv=[json.dumps({**order, **plan.extra})],
            values={},
            given=frozenset(),
            masked=list(plan.shown) or [LOG_SERVER],
            secrets=plan.secrets,
        )
        # A component would inherit the limit of one command, for as long as it runs.
        entry = EntryPoint(plan.entry, limited=False)
        return await self._operations.start(permit, invocation, entry=entry, origin=Origin(**more))

    async def ended(self, operation: Operation) -> str | None:
        """Wait for the end of a start; return why it has failed, None where it has not."""
        while not operation.state.ended:
            operation = await self._operations.wait(operation.id, ROUND)
        if operation.state is OperationState.SUCCEEDED:
            return None
        said = operation.stderr.strip()[-LONGEST_FAILURE:]
        more = None if said and operation.quotes else operation.message
        return "\n".join(filter(None, (said, more))) or "The start has failed."

    def _order(self, service: Service, plan: Plan, here: Places, grace: float, user: str) -> Order:
        command_line = f"'{shlex.join(['airflow', *plan.shown])}'"
        return Order(
            id=service.id,
            kind=service.kind,
            folder=service.folder,
            home=here.home,
            logs=service.logs,
            stdout=service.stdout,
            stderr=service.stderr,
            words=command_line if plan.argv else "the log server",
            user=user,
            argv=list(plan.argv) or None,
            code=None if plan.argv else SERVE_LOGS,
            shown=list(plan.shown) if plan.secret else None,
            pid_file=service.pid_file,
            again=service.restart is Restart.ON_FAILURE,
            pauses=self._pauses,
            grace=grace,
            wait=WAIT,
            ready=service.ready,
        )
