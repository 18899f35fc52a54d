"""One component that was started: what was asked for, how it is."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any

from airflow_rest_api.services.status import State


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
    :ivar ready: see `readiness.Probe`
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


def identity_of(host: str, place: str, kind: str, identity: Sequence[str]) -> str:
    """Return the text that is the same for the same component on the same host, and for no other."""
    return hashlib.sha256("\0".join((host, place, kind, *identity)).encode()).hexdigest()
