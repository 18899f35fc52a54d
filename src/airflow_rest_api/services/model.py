"""Components: the table of those that can be started, what a client asks for, and one that was started."""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from enum import Enum
from typing import Any

from airflow_rest_api.commands.catalog import load_catalog
from airflow_rest_api.commands.model import Command, Effect, Invocation
from airflow_rest_api.errors import ApiError
from airflow_rest_api.operations.work_orders import invocation_of, invocation_values
from airflow_rest_api.placement import HOST
from airflow_rest_api.services.child_start import ENTRY
from airflow_rest_api.services.status import State
from airflow_rest_api.services.supervisor import Order

MANAGED = frozenset({"daemon", "dev", "log_file", "pid", "stderr", "stdout"})
"""Arguments that a service has no use for: it is always detached, and has log files of its own."""

LOG_SERVER = "serve_logs"
"""What the log server is called where commands are asked for: Airflow has none for it."""
SERVE_LOGS = (
    # Modules of the working folder are not to come before all others.
    "import sys; sys.path = [path for path in sys.path if path]; "
    "from airflow.utils.serve_logs import serve_logs; serve_logs()"
)


@dataclass(frozen=True)
class Kind:
    """
    One kind of component.

    :ivar command: of Airflow, or `serve_logs`, which has none
    :ivar identity: the arguments that tell two of them on one host apart; where they are the same, it is the
        same component, which runs only once unless asked for
    :ivar required: arguments that the command can do without, but not here
    :ivar job_type: what its row in Airflow's table of jobs is called, if it has one
    :ivar port: where it listens: an argument, or section and option of the configuration
    :ivar ready_file: option of the configuration with the file that it has written once it is ready
    :ivar ready_line: what it has written to its log then, a regular expression
    :ivar provider: has to be installed for the command to be there
    """

    name: str
    title: str
    command: str
    identity: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    job_type: str | None = None
    port: str | tuple[str, str] | None = None
    ready_file: tuple[str, str] | None = None
    ready_line: str | None = None
    provider: str | None = None

    def identify(self, values: Mapping[str, Any]) -> tuple[str, ...]:
        """Return what tells this component from others of its kind; equal arguments give equal texts."""
        return tuple(_text(values.get(name)) for name in self.identity)

    def probe(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return what shows that it is ready: see `status.Probe`."""
        if self.port is not None:
            return {"port": values.get(self.port) if isinstance(self.port, str) else list(self.port)}
        if self.job_type is not None:
            return {"job": self.job_type}
        if self.ready_file is not None:
            return {"file": list(self.ready_file)}
        return {"line": self.ready_line} if self.ready_line is not None else {}


KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("scheduler", "Scheduler", "scheduler", job_type="SchedulerJob"),
        Kind(
            "dag-processor",
            "DAG processor",
            "dag-processor",
            identity=("bundle_name",),
            job_type="DagProcessorJob",
        ),
        Kind(
            "triggerer", "Triggerer", "triggerer", identity=("queues", "team_name"), job_type="TriggererJob"
        ),
        Kind(
            "celery-worker",
            "Celery worker",
            "celery worker",
            identity=("celery_hostname", "queues", "team"),
            # celery.apps.worker: "celery@host ready.", and whatever Airflow's form of a log puts around it.
            # Bounded, and in time with the length of what it prints: meanwhile its supervisor obeys nobody.
            ready_line=r"\S@[^\s@]{1,255} ready\.",
            provider="Celery",
        ),
        Kind(
            "celery-flower",
            "Celery Flower",
            "celery flower",
            identity=("port",),
            port="port",
            provider="Celery",
        ),
        Kind(
            "kerberos",
            "Kerberos ticket renewer",
            "kerberos",
            identity=("principal", "keytab"),
            ready_file=("kerberos", "ccache"),
        ),
        Kind("log-server", "Log server", LOG_SERVER, port=("logging", "worker_log_server_port")),
        Kind("api-server", "API server", "api-server", identity=("port",), required=("port",), port="port"),
    )
}

BY_COMMAND: Mapping[str, Kind] = {kind.command: kind for kind in KINDS.values()}
BY_JOB_TYPE: Mapping[str, Kind] = {kind.job_type: kind for kind in KINDS.values() if kind.job_type}


def _text(value: Any) -> str:
    if isinstance(value, str):
        # Queues: one text with commas, whose order says nothing.
        value = value.split(",")
    items = value if isinstance(value, (list, tuple, set, frozenset)) else [] if value is None else [value]
    return ",".join(sorted({str(item).strip() for item in items}))


class Restart(str, Enum):
    """What to do when the component has failed."""

    NEVER = "never"
    ON_FAILURE = "on-failure"


class DesiredState(str, Enum):
    """What a client asked for, on any API server, and the host of the service has still to do."""

    STOP = "stop"
    KILL = "kill"
    RESTART = "restart"


@dataclass(frozen=True)
class Service:
    """
    A component.

    :ivar argv: what was run after `airflow`, with secrets masked
    :ivar secret: whether there were any, so that `argv` is not enough to start it again
    :ivar identity: what is the same for the same component on this host, None where it may run beside it
    :ivar claim: its identity as long as it runs: no two services have the same
    :ivar ready: see `status.Probe`
    :ivar place: what its process ids mean something within: see `processes.place`
    :ivar hostname: what Airflow calls the host
    :ivar folder: where its supervisor reports; `logs`: where its log files are
    :ivar pid_start: see `processes.start_of`; `supervisor_start` likewise
    :ivar operation: the id of the operation that started it last
    :ivar version: counts the changes, so that of two at the same time one loses
    """

    id: str
    kind: str
    command: str
    argv: tuple[str, ...]
    secret: bool
    user: str
    host: str
    place: str
    hostname: str
    folder: str
    logs: str
    stdout: str
    stderr: str
    created_at: datetime
    identity: str | None = None
    claim: str | None = None
    ready: dict[str, Any] = field(default_factory=dict)
    pid_file: str | None = None
    state: State = State.STARTING
    desired: DesiredState | None = None
    desired_by: str | None = None
    pid: int | None = None
    pid_start: str | None = None
    supervisor: int | None = None
    supervisor_start: str | None = None
    restart: Restart = Restart.NEVER
    restarts: int = 0
    exit_code: int | None = None
    message: str | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    seen_at: datetime | None = None
    operation: str | None = None
    version: int = 0

    @property
    def queue(self) -> str:
        """The queue of the runner of its host, whether or not there is one."""
        return f"{HOST}{self.host}"

    def is_settled(self, *, ended: bool = False) -> bool:
        """Return whether nothing is under way with it any more; with `ended`, and it does not run."""
        return self.desired is None and (self.state.ended or (self.state is State.RUNNING and not ended))


def identity_of(host: str, place: str, kind: str, identity: Sequence[str]) -> str:
    """Return the text that is the same for the same component on the same host, and for no other."""
    return hashlib.sha256("\0".join((host, place, kind, *identity)).encode()).hexdigest()


def identity_at(service: Service, place: str) -> str | None:
    """Return the identity of a service that is started again at a place of its host. Blocks."""
    if service.place == place or service.identity is None:
        return service.identity
    kind = KINDS[service.kind]
    try:
        values = load_catalog().parse(service.argv).values if kind.identity else {}
    except ApiError:
        return None  # Its provider is gone, and it will hardly start.
    return identity_of(service.host, place, kind.name, kind.identify(values))


COMMAND = ("services", "start")
"""What the operation is called that starts a component."""
WAIT = 30.0
"""Seconds in which a component has to show that it is ready, or has failed; no start waits any longer."""

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
    def values(self) -> dict[str, Any]:
        """It as JSON knows it, with its secrets."""
        return {
            "kind": self.kind.name,
            "invocation": invocation_values(self.invocation),
            "restart": self.restart.value,
            "another": self.another,
            "stdout": self.stdout,
            "stderr": self.stderr,
            "pid_file": self.pid_file,
            "entry": self.entry,
            "extra": dict(self.extra),
        }

    @classmethod
    def of_values(cls, values: Mapping[str, Any]) -> StartRequest:
        """Return the request of such values."""
        kind, restart = KINDS[values["kind"]], Restart(values["restart"])
        return cls(
            **{**values, "kind": kind, "restart": restart, "invocation": invocation_of(values["invocation"])}
        )

    @property
    def shown(self) -> Invocation:
        """As which a start is recorded; a name of its own: the command would end with its operation."""
        masked = list(self.invocation.masked) or [LOG_SERVER]
        return Invocation(Command(COMMAND, "", None, (), Effect.SERVICE), [], {}, frozenset(), masked)

    @property
    def secret(self) -> bool:
        """Whether there are secrets among the arguments, or more of them than is shown."""
        return list(self.invocation.argv) != list(self.invocation.masked)

    def start_of(
        self, service: Service, *, home: str, user: str, grace: float, pauses: tuple[float, float, float]
    ) -> Invocation:
        """Return the command of the operation that starts a service; its only word is an `Order` as JSON."""
        argv, shown = list(self.invocation.argv), list(self.invocation.masked)
        order = Order(
            kind=service.kind,
            folder=service.folder,
            home=home,
            logs=service.logs,
            stdout=service.stdout,
            stderr=service.stderr,
            title=f"'{shlex.join(['airflow', *shown])}'" if argv else "the log server",
            user=user,
            argv=argv or None,
            code=None if argv else SERVE_LOGS,
            shown=shown if self.secret else None,
            pid_file=service.pid_file,
            restart=service.restart is Restart.ON_FAILURE,
            pauses=pauses,
            grace=grace,
            wait=WAIT,
            ready=service.ready,
        )
        argv = [json.dumps({**asdict(order), **self.extra})]
        return replace(self.shown, argv=argv, secrets=self.invocation.secrets)
