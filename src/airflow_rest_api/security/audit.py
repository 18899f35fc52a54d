"""Who did what, in Airflow's event log: what is no plain read, and each refusal. And its access log."""

from __future__ import annotations

import contextlib
import json
import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode

from airflow_rest_api import secret_names
from airflow_rest_api.airflow.event_log import Event, fitted, write
from airflow_rest_api.asgi import takes_query
from airflow_rest_api.commands import masking
from airflow_rest_api.commands.model import Effect
from airflow_rest_api.errors import Forbidden, Unavailable
from airflow_rest_api.storage.transient import away

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from airflow_rest_api.commands.model import Invocation
    from airflow_rest_api.operations.model import Operation
    from airflow_rest_api.security.caller import Caller


class QuietQuery:
    """
    ASGI middleware around all others that masks the secrets in the query before the answer begins.

    Before Airflow 3.2 the access log is uvicorn's, which is written with the first message of the answer.
    Airflow's own is written after the last, and masks by the names that Airflow knows alone
    (``airflow/api_fastapi/common/http_access_log.py``): neither a connection's address nor the value of a
    variable is among them.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if not scope.get("query_string"):
            await self.app(scope, receive, send)
            return
        masked = False

        def mask() -> None:
            nonlocal masked
            if not masked:
                masked = True
                scope["query_string"] = quiet(scope["query_string"])

        async def send_masked(message: Message) -> None:
            # In this very scope: it is the one that the server underneath made.
            mask()
            await send(message)

        try:
            await self.app(scope, receive, send_masked)
        finally:
            mask()


def quiet(query: bytes) -> bytes:
    """Return a query string without the secrets in it; one that has none as it is."""
    if not takes_query(query):
        # The guard has refused it unseen, and nobody looks into it now.
        return secret_names.MASK.encode()
    pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
    key = next((value for name, value in pairs if name == "key"), "")
    shown = [(name, _shown(name, value, key)) for name, value in pairs]
    return query if shown == pairs else urlencode(shown).encode()


def _shown(name: str, value: str, key: str) -> str:
    if not value:
        return value
    if secret_names.is_secret(name) or (name == "value" and secret_names.value_is_secret(key)):
        return secret_names.MASK
    return masking.masked_text(value)


log = logging.getLogger(__name__)

PREFIX = "rest_api."
ROOM = 10_000
"""Rows of what was done that wait for the database; while there are so many, nothing more is begun."""
BATCH = 50
GATHERED_FOR = 0.05
"""Seconds that an event waits for others: when a command ends, its operation and its answer come first."""
PAUSES = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0)
"""Seconds between the attempts to reach the database."""
MOST_WORDS = 200
"""Words of a command line from which a row is made."""

WINDOW = 60.0
"""Seconds in which the same refusal is counted and no row of its own."""
ONE_BY_ONE = 30
"""Different refusals of one user in that time that have rows of their own; the others share one."""
MOST_REFUSALS = 2000
"""Different refusals, of all users, that are counted at the same time; what comes on top is left out."""

MOST_READERS = 2000
"""Readers of another user's operation of whom it is known that they have a row."""

OTHERS = "rest_api.refusals"
"""The event of a row that stands for many."""
NO_USER = "REST API"
"""The owner of the row that says how many are in no other."""


class AuditBacklog(Unavailable):
    """So much of what was done waits to be recorded that nothing more is begun."""


@dataclass
class Repeated:
    """
    A refusal that was recorded, or is to be.

    :ivar until: when it is no longer counted
    :ivar times: how often it has come since its last row
    """

    event: Event
    until: float
    last: datetime
    times: int = 0


class Refusals:
    """
    Gathers refusals. The first of a kind is a row at once; those like it that follow within a minute, of the
    same user, for the same command, objects and reason, are one row with their number when that is over.

    Not safe for several threads: those who share it have a lock.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._new: list[Event] = []
        # In the order in which they end, as each lasts the same time.
        self._known: dict[tuple[str | None, ...], Repeated] = {}
        self._different: Counter[str] = Counter()
        self._left_out = 0
        self._left_out_until = 0.0

    def __len__(self) -> int:
        """Return how many rows there will be, if no more comes."""
        return len(self._new) + len(self._known) + bool(self._left_out)

    def add(self, event: Event) -> None:
        """Take one more refusal; costs the same however many there were."""
        reason = str(event.extra.get("message"))
        key: tuple[str | None, ...]
        key = (event.owner, event.name, event.dag_id, event.task_id, event.run_id, reason)
        if key not in self._known and self._different[event.owner] >= ONE_BY_ONE:
            key = (event.owner,)
        if (known := self._known.get(key)) is not None:
            known.times, known.last = known.times + 1, event.at
        elif len(self._known) >= MOST_REFUSALS:
            if not self._left_out:
                self._left_out_until = self._clock() + WINDOW
            self._left_out += 1
        elif len(key) == 1:
            message = f"More than {ONE_BY_ONE} different commands were refused: these are the others."
            others = Event(OTHERS, event.owner, extra={**_of_all(event), "message": message}, at=event.at)
            self._know(key, others, times=1)
        else:
            self._new.append(event)
            self._know(key, event)

    def due_in(self) -> float | None:
        """Return the seconds until there is a row to be written; None where none is to come."""
        if self._new:
            return 0.0
        times = [known.until for known in list(self._known.values())[:1]]
        times += [self._left_out_until] if self._left_out else []
        return max(0.0, min(times) - self._clock()) if times else None

    def take(self, *, everything: bool = False) -> tuple[list[Event], int]:
        """
        Return the rows that are to be written now, and how many refusals were left out since that was said.

        :param everything: also what would still be counted
        """
        now = self._clock()
        events, self._new = self._new, []
        while self._known:
            key, known = next(iter(self._known.items()))
            if known.until > now and not everything:
                break
            del self._known[key]
            self._different[known.event.owner] -= 1
            if not self._different[known.event.owner]:
                del self._different[known.event.owner]
            if known.times:
                more = {**known.event.extra, "times": known.times, "since": known.event.at.isoformat()}
                events.append(replace(known.event, extra=more, at=known.last))
        left_out = 0
        if self._left_out and (everything or self._left_out_until <= now):
            left_out, self._left_out = self._left_out, 0
            message = f"{left_out} refusals are in no row: there were too many different ones at a time."
            events.append(Event(OTHERS, NO_USER, extra={"state": "refused", "message": message}))
        return events, left_out

    def _know(self, key: tuple[str | None, ...], event: Event, times: int = 0) -> None:
        self._known[key] = Repeated(event, self._clock() + WINDOW, event.at, times)
        self._different[event.owner] += 1


@dataclass(frozen=True)
class EndRecord:
    """
    Records the end of a command, when it is called with its operation.

    :ivar owner: the user who asked for it
    :ivar address: where the request came from
    :ivar objects: what it is about, by the columns of Airflow's event log
    """

    audit: Audit
    owner: str
    address: str | None
    objects: Mapping[str, str | None]

    @property
    def fields(self) -> dict[str, Any]:
        """What another process needs in order to make the same, beside an audit of its own; good for JSON."""
        return {"owner": self.owner, "address": self.address, "objects": dict(self.objects)}

    def __call__(self, operation: Operation) -> None:
        """Have the end of an operation recorded; returns at once."""
        extra: dict[str, Any] = {
            "operation_id": operation.id,
            "state": operation.state.value,
            "exit_code": operation.exit_code,
            "arguments": list(operation.argv[:MOST_WORDS]),
            "address": self.address,
        }
        if operation.runner is not None:
            extra["runner"] = operation.runner
        if operation.started_at and operation.finished_at:
            extra["duration"] = round((operation.finished_at - operation.started_at).total_seconds(), 3)
        # What it printed is for those who may see the operation.
        if operation.message and not operation.quotes:
            extra["message"] = operation.message
        self.audit.record(_event(operation.command, self.owner, self.objects, extra))


class Audit:
    """
    Writes events in a thread of its own: no request waits for it.

    What was done and what was refused wait apart, so that no flood of refusals takes the room of the others:
    see `Refusals`. What cannot be written after several attempts goes to the server's log.
    """

    def __init__(self, store: Callable[[Sequence[Event]], None] = write) -> None:
        self._store = store
        self._done: deque[Event] = deque()
        self._refusals = Refusals()
        self._readers: dict[tuple[str, str], None] = {}
        self._thread: threading.Thread | None = None
        self._changed = threading.Condition()
        self._closing = threading.Event()

    def admit(self) -> None:
        """Raise AuditBacklog where what is to be done next could not be recorded: it is not done."""
        if len(self._done) >= ROOM:
            raise AuditBacklog("Too much waits to be written to the event log.")

    def ended(self, caller: Caller, invocation: Invocation) -> EndRecord | None:
        """
        Return what records the end of a command; None for a plain read, which is not recorded.

        :raises AuditBacklog: see `admit`
        """
        if invocation.effect is Effect.READ and not invocation.reveals_secrets:
            return None
        self.admit()
        return EndRecord(self, caller.name, caller.address, _objects(invocation.values))

    @contextlib.contextmanager
    def refusals(self, caller: Caller, command: str, invocation: Invocation | None = None) -> Iterator[None]:
        """Record it when what is done inside raises Forbidden; the arguments are those of `refused`."""
        try:
            yield
        except Forbidden as error:
            # What is inside may have recorded it already, with more of its arguments.
            if not error.recorded:
                error.recorded = True
                self.refused(caller, command, error, invocation)
            raise

    def refused(
        self, caller: Caller, command: str, why: object, invocation: Invocation | None = None
    ) -> None:
        """
        Record that a user was not allowed to run a command.

        :param why: the answer they got
        :param invocation: None where they were refused before the arguments were looked at
        """
        extra: dict[str, Any] = {"state": "refused", "message": str(why), "address": caller.address}
        if invocation is not None:
            extra["arguments"] = list(invocation.masked[:MOST_WORDS])
        event = fitted(_event(command, caller.name, _objects(invocation.values if invocation else {}), extra))
        with self._changed:
            self._refusals.add(event)
            self._wake()

    def did(self, caller: Caller, what: str, **extra: Any) -> None:
        """Record what a user has done that was no command: `extra` says to what."""
        self.record(_event(what, caller.name, {}, {**extra, "address": caller.address}))

    def reads(self, caller: Caller, operation: Operation) -> None:
        """
        Record that a user reads what the command of another has shown of secrets: once, however often.

        :raises AuditBacklog: see `admit`
        """
        if not operation.reveals or operation.user == caller.name:
            return
        key = (caller.name, operation.id)
        with self._changed:
            if key in self._readers:
                return
            self.admit()
            while len(self._readers) >= MOST_READERS:
                del self._readers[next(iter(self._readers))]
            self._readers[key] = None
        message = f"What {operation.command} showed {operation.user} was read."
        self.did(caller, "operations read", operation_id=operation.id, message=message)

    def record(self, event: Event) -> None:
        """Have an event written that tells of something done; returns at once, whatever the database does."""
        event = fitted(event)
        with self._changed:
            self._done.append(event)
            self._wake()

    def close(self, seconds: float = 10.0) -> None:
        """Write what is still waiting, within ``seconds``."""
        self._closing.set()
        with self._changed:
            if len(self._refusals):
                self._wake()
            self._changed.notify()
            thread = self._thread
        if thread is not None:
            thread.join(seconds)

    def _wake(self) -> None:
        """Have the thread look, which is begun where there is none; the lock is held."""
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._work, name="rest-api-audit", daemon=True)
            self._thread.start()
        self._changed.notify()

    def _work(self) -> None:
        while self._wait():
            self._closing.wait(GATHERED_FOR)
            with self._changed:
                # First what was done: of the refusals there may be many.
                events = [self._done.popleft() for _ in range(min(BATCH, len(self._done)))]
                left_out = 0
                if not events:
                    events, left_out = self._refusals.take(everything=self._closing.is_set())
            if left_out:
                log.warning("%d refusals were left out of the event log: too many at a time", left_out)
            for start in range(0, len(events), BATCH):
                self._write(events[start : start + BATCH])

    def _wait(self) -> bool:
        """Wait until there is something to write; return False at the end."""
        with self._changed:
            while not self._done:
                due = self._refusals.due_in()
                if due == 0 or (due is not None and self._closing.is_set()):
                    return True
                if self._closing.is_set():
                    self._thread = None
                    return False
                self._changed.wait(due)
            return True

    def _write(self, events: Sequence[Event]) -> None:
        for pause in PAUSES:
            try:
                self._store(events)
                return
            except Exception as error:
                log.debug("The event log could not be written: %s", type(error).__name__)
                if self._closing.wait(pause):
                    break
        # One by one: a single event that the database does not take must not take the others along.
        gone: str | None = None
        for event in events:
            if gone is None:
                try:
                    self._store([event])
                    continue
                except Exception as error:
                    why = type(error).__name__
                    # Each attempt may take as long as the last.
                    gone = why if away(error) else None
            log.warning(
                "The event log could not be written (%s): %s by %s: %s",
                gone or why,
                event.name,
                event.owner,
                json.dumps(event.extra, default=str),
            )


def _of_all(event: Event) -> dict[str, object]:
    return {name: event.extra[name] for name in ("state", "address", "via") if name in event.extra}


def _objects(values: Mapping[str, Any]) -> dict[str, str | None]:
    """Return what the arguments of a command name, by the columns of the event log."""

    def text(*names: str) -> str | None:
        return next((value for name in names if isinstance(value := values.get(name), str) and value), None)

    return {
        "dag_id": text("dag_id"),
        "task_id": text("task_id"),
        "run_id": text("run_id", "logical_date_or_run_id"),
    }


def _event(command: str, owner: str, objects: Mapping[str, str | None], extra: dict[str, Any]) -> Event:
    return Event(
        PREFIX + command,
        owner,
        objects.get("dag_id"),
        objects.get("task_id"),
        objects.get("run_id"),
        {**extra, "via": "REST API"},
    )
