"""One command that was asked for: what was asked, how it goes, what came out."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_rest_api.commands.needs import Ask


class OperationState(str, Enum):
    """Where an operation stands."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    TIMED_OUT = "timed_out"
    LOST = "lost"

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen."""
        return self not in (State.QUEUED, State.RUNNING)


State = OperationState
"""The short name; the long one is what the OpenAPI document calls it."""


LONG_TEXT = 64 * 1024
"""Characters of output from which reading it, and making an answer of it, is left to a thread."""

CUT = "… (the rest is not kept)"
"""The last word of a command line, or warning, where there were too many to be kept."""


@dataclass(frozen=True)
class OutputFile:
    """A file that the command wrote for the client."""

    argument: str
    name: str
    size: int
    media_type: str


@dataclass
class Operation:
    """
    One command, from the request to its end.

    :ivar argv: what was run, with secrets masked
    :ivar refused: the words of the command's own parser, where it would not take the arguments
    :ivar asks: what its user needed to run it: who may do all of that may see it; None: no other user
    :ivar result: the JSON that the command printed, where it was asked to print JSON
    :ivar truncated: whether output is missing from ``stdout`` or ``stderr``
    :ivar message: one sentence on an end that is no success, or on what it waits for beside a free place
    :ivar quotes: whether the message is read off what the command printed
    :ivar server: the id of the process that runs it, an API server or a runner; empty while it waits for one
    :ivar dag_id: the DAG that it was about, where it was about one
    :ivar rerun_of: the id of the operation that it repeats
    :ivar endpoint: the endpoint of the 1.x plugin by which it was asked for; None: by none
    :ivar reveals: whether what it prints and writes may show secrets: see `tables`
    :ivar queue: the queue whose runners run it; None: an API server does
    :ivar runner: the name of the runner that runs it
    """

    id: str
    command: str
    effect: str
    argv: list[str]
    user: str
    host: str
    created_at: datetime
    state: State = State.QUEUED
    exit_code: int | None = None
    stdout: str = ""
    stderr: str = ""
    result: Any = None
    truncated: bool = False
    message: str | None = None
    quotes: bool = False
    warnings: list[str] = field(default_factory=list)
    files: list[OutputFile] = field(default_factory=list)
    started_at: datetime | None = None
    finished_at: datetime | None = None
    refused: str | None = None
    asks: tuple[Ask, ...] | None = None
    server: str = ""
    dag_id: str | None = None
    rerun_of: str | None = None
    endpoint: str | None = None
    reveals: bool = False
    queue: str | None = None
    runner: str | None = None

    @property
    def is_long(self) -> bool:
        """Whether making an answer of it is left to a thread: a result that was not printed has no bound."""
        printed = len(self.stdout) + len(self.stderr)
        return printed > LONG_TEXT or (self.result is not None and not self.stdout)


class Cancel(str, Enum):
    """What came of a request to end an operation; the same request again changes nothing."""

    ASKED = "asked"
    ASKED_BEFORE = "asked_before"
    ENDED_BEFORE = "ended_before"


CANCEL_MESSAGES = {
    Cancel.ASKED: "The operation was asked to end.",
    Cancel.ASKED_BEFORE: "The operation had been asked to end before.",
    Cancel.ENDED_BEFORE: "The operation had ended before; nothing was changed.",
}
"""The sentences for the client."""


@dataclass(frozen=True)
class Filter:
    """
    Which operations are asked for; an empty or missing part asks for nothing.

    :ivar effects: with one of these
    :ivar endpoints: asked for by one of these endpoints of the 1.x plugin; None among them: by none
    :ivar since: created then or later
    :ivar until: created before then
    """

    states: tuple[State, ...] = ()
    command: str | None = None
    user: str | None = None
    effects: tuple[str, ...] = ()
    dag_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    endpoints: tuple[str | None, ...] = ()


@dataclass(frozen=True)
class Key:
    """
    The `Idempotency-Key` of a request.

    :ivar fingerprint: hexadecimal SHA-256 of what was asked, by which a retry is told from another request
    """

    user: str
    key: str
    fingerprint: str


@dataclass(frozen=True)
class Origin:
    """
    The request by which an operation comes to be.

    :ivar recorded: have the operation in the database before it begins: the client will not wait
    :ivar key: of the request; implies ``recorded``
    :ivar rerun_of: the id of the operation that is repeated
    :ivar endpoint: the endpoint of the 1.x plugin
    :ivar warnings: of the operation, about the request
    :ivar queue: that the request names
    """

    recorded: bool = False
    key: Key | None = None
    rerun_of: str | None = None
    endpoint: str | None = None
    warnings: Sequence[str] = ()
    queue: str | None = None


class KeyTaken(Exception):
    """
    The user has sent this `Idempotency-Key` before.

    :ivar identifier: the operation that it led to
    :ivar fingerprint: of what was asked then
    """

    def __init__(self, identifier: str, fingerprint: str) -> None:
        super().__init__(identifier)
        self.identifier = identifier
        self.fingerprint = fingerprint


@dataclass(frozen=True)
class Server:
    """
    One process that runs operations: an API server or a runner.

    :ivar beat: the number of its last heartbeat
    :ivar runner: the name of a runner; None for an API server
    :ivar queues: those that it serves, with blanks between them
    :ivar concurrency: operations that it runs at the same time
    :ivar version: of the plugin, and of its Airflow
    """

    id: str
    host: str
    pid: int
    started_at: datetime
    beat: int = 0
    runner: str | None = None
    queues: str | None = None
    concurrency: int | None = None
    version: str | None = None
    airflow_version: str | None = None


def made_within(identifier: str, seconds: float) -> bool:
    """Return whether an id says that it was made less than so many seconds ago; see `new_id`."""
    try:
        return abs(time.time() - int(identifier[:12], 16) / 1000) < seconds
    except ValueError:
        return False


_ID = re.compile(r"[0-9a-f]{32}")


def is_id(text: object) -> bool:
    """Return whether this can be the id of an operation: not every database takes every text."""
    return isinstance(text, str) and _ID.fullmatch(text) is not None


def new_id() -> str:
    """Return an id that sorts by time and cannot be guessed: UUID version 7 (RFC 9562), as 32 hex digits."""
    milliseconds = time.time_ns() // 1_000_000
    random = secrets.randbits(74)
    return f"{milliseconds:012x}7{random >> 62:03x}{0b10 << 62 | random & (1 << 62) - 1:016x}"
