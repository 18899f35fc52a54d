"""The start of a component: an operation like any other, in a child of the engine."""

from __future__ import annotations

import errno
import json
import shlex
import socket
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from airflow_rest_api.commands.model import Command, Effect, Invocation
from airflow_rest_api.errors import PortInUse
from airflow_rest_api.operations.model import Origin
from airflow_rest_api.operations.model import State as OperationState
from airflow_rest_api.operations.runs import EntryPoint
from airflow_rest_api.services.model import KINDS, LOG_SERVER, SERVE_LOGS, Kind, Restart, Service
from airflow_rest_api.services.supervisor import BACKOFF, Order

if TYPE_CHECKING:
    from airflow_rest_api.airflow.installation import Places
    from airflow_rest_api.operations.model import Operation
    from airflow_rest_api.operations.service import Operations
    from airflow_rest_api.security.access import Permit


def check_free(kind: Kind, values: Mapping[str, Any]) -> None:
    """Raise PortInUse where the port that a component is to listen on is taken."""
    port = values.get(kind.port) if isinstance(kind.port, str) else None
    if not isinstance(port, int) or not 0 < port < 65536:
        return
    for family, address in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
        try:
            with socket.socket(family, socket.SOCK_STREAM) as probe:
                # What was closed a moment ago is no obstacle; what listens is.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                probe.bind((address, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise PortInUse(f"Port {port} of this host is in use.") from None


MODULE = "airflow_rest_api.services.child_start"
ENTRY = f"{MODULE}:run_order"
COMMAND = ("services", "start")
"""What the operation is called."""
WAIT = 30.0
"""Seconds in which a component has to show that it is ready, or has failed; no start waits any longer."""
ROUND = 60.0
LONGEST_FAILURE = 4000
"""Characters that are kept of the output of a start that has failed."""


NOTHING = Invocation(Command((LOG_SERVER,), "", None, (), Effect.SERVICE), [], {}, frozenset(), [])
"""The command line of the log server."""


@dataclass(frozen=True)
class StartRequest:
    """
    A component to be started, as a client asks for it.

    :ivar invocation: of the command; of none for the log server
    :ivar another: although the same runs on this host already
    :ivar stdout: name of a file in Airflow's log folder; None for one of its own
    :ivar entry: what runs in the engine's child, with `extra` in its order
    """

    kind: Kind
    invocation: Invocation = NOTHING
    restart: Restart = Restart.NEVER
    another: bool = False
    stdout: str | None = None
    stderr: str | None = None
    pid_file: str | None = None
    entry: str = ENTRY
    extra: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, service: Service) -> StartRequest:
        """Return the request to start a service, which has no secrets, as it was started before."""
        argv = list(service.argv)
        return cls(
            KINDS[service.kind],
            replace(NOTHING, argv=argv, masked=argv),
            restart=service.restart,
            another=service.identity is None,
            pid_file=service.pid_file,
        )

    @property
    def secret(self) -> bool:
        """Whether there are secrets among the arguments, or more of them than is shown."""
        return list(self.invocation.argv) != list(self.invocation.masked)


class Launcher:
    """Starts components by operations."""

    def __init__(self, operations: Operations, *, pauses: tuple[float, float, float] = BACKOFF) -> None:
        self._operations = operations
        self._pauses = pauses

    async def launch(
        self, service: Service, plan: StartRequest, here: Places, permit: Permit, *, grace: float, **more: Any
    ) -> Operation:
        """Begin to start a service; return the operation that does."""
        # A name of its own: run again like a command, the component would end with its operation.
        invocation = Invocation(
            Command(COMMAND, "", None, (), Effect.SERVICE),
            argv=[json.dumps({**asdict(self._order(service, plan, here, grace, permit.user)), **plan.extra})],
            values={},
            given=frozenset(),
            masked=list(plan.invocation.masked) or [LOG_SERVER],
            secrets=plan.invocation.secrets,
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
        printed = operation.stderr.strip()[-LONGEST_FAILURE:]
        more = None if printed and operation.quotes else operation.message
        return "\n".join(filter(None, (printed, more))) or "The start has failed."

    def _order(self, service: Service, plan: StartRequest, here: Places, grace: float, user: str) -> Order:
        argv, shown = list(plan.invocation.argv), list(plan.invocation.masked)
        return Order(
            kind=service.kind,
            folder=service.folder,
            home=here.home,
            logs=service.logs,
            stdout=service.stdout,
            stderr=service.stderr,
            title=f"'{shlex.join(['airflow', *shown])}'" if argv else "the log server",
            user=user,
            argv=argv or None,
            code=None if argv else SERVE_LOGS,
            shown=shown if plan.secret else None,
            pid_file=service.pid_file,
            restart=service.restart is Restart.ON_FAILURE,
            pauses=self._pauses,
            grace=grace,
            wait=WAIT,
            ready=service.ready,
        )
