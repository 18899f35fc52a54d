"""Who did what: each command that is no plain read, and each refusal, in Airflow's own event log."""

from __future__ import annotations

import contextlib
import json
import logging
import queue
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_rest_api.commands.model import Effect
from airflow_rest_api.hosts.event_log import Event, write
from airflow_rest_api.security.access import Forbidden

if TYPE_CHECKING:
    from airflow_rest_api.commands.model import Invocation
    from airflow_rest_api.operations.model import Operation
    from airflow_rest_api.security.caller import Caller

log = logging.getLogger(__name__)

PREFIX = "rest_api."
ROOM = 10_000
"""Events that wait for the database; what comes on top goes to the log alone."""
BATCH = 50
GATHERED_FOR = 0.05
"""Seconds that an event waits for others: when a command ends, its operation and its answer come first."""
PAUSES = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0)
"""Seconds between the attempts to reach the database."""
LONGEST_WORD = 1000
MOST_WORDS = 200


class Audit:
    """
    Writes events in a thread of its own: no request waits for it, and none fails with it.

    What cannot be written after several attempts, or finds no room, goes to the server's log.
    """

    def __init__(self, store: Callable[[Sequence[Event]], None] = write) -> None:
        self._store = store
        self._queue: queue.Queue[Event | None] = queue.Queue(ROOM)
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._closing = threading.Event()

    def ended(self, caller: Caller, invocation: Invocation) -> Callable[[Operation], None] | None:
        """Return what records the end of a command; None for a plain read, which is not recorded."""
        if invocation.effect is Effect.READ and not invocation.reveals_secrets:
            return None

        def record(operation: Operation) -> None:
            extra: dict[str, Any] = {
                "operation_id": operation.id,
                "state": operation.state.value,
                "exit_code": operation.exit_code,
                "arguments": _bounded(operation.argv),
                "address": caller.address,
            }
            if operation.started_at and operation.finished_at:
                extra["duration"] = round((operation.finished_at - operation.started_at).total_seconds(), 3)
            # What it printed is for those who may see the operation.
            if operation.message and not operation.quotes:
                extra["message"] = operation.message
            self.record(_event(operation.command, caller, invocation.values, extra))

        return record

    @contextlib.contextmanager
    def refusals(self, caller: Caller, command: str, invocation: Invocation | None = None) -> Iterator[None]:
        """Record it when what is done inside raises Forbidden; the arguments are those of `refused`."""
        try:
            yield
        except Forbidden as error:
            self.refused(caller, command, error, invocation)
            raise

    def refused(
        self, caller: Caller, command: str, why: object, invocation: Invocation | None = None
    ) -> None:
        """
        Record that somebody was not allowed to run a command.

        :param why: what they were told
        :param invocation: None where they were refused before the arguments were looked at
        """
        extra: dict[str, Any] = {"state": "refused", "message": str(why), "address": caller.address}
        if invocation is not None:
            extra["arguments"] = _bounded(invocation.masked)
        self.record(_event(command, caller, invocation.values if invocation else {}, extra))

    def did(self, caller: Caller, what: str, **extra: Any) -> None:
        """Record what somebody has done that was no command: `extra` says to what."""
        self.record(_event(what, caller, {}, {**extra, "address": caller.address}))

    def record(self, event: Event) -> None:
        """Have an event written; returns at once, whatever the state of the database."""
        try:
            self._queue.put_nowait(event)
        except queue.Full:
            _to_log(event, "there is no room for more")
            return
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._work, name="rest-api-audit", daemon=True)
                self._thread.start()

    def close(self, seconds: float = 10.0) -> None:
        """Write what is still waiting, within ``seconds``."""
        self._closing.set()
        with contextlib.suppress(queue.Full):
            self._queue.put_nowait(None)  # wakes the thread that waits for an event
        with self._lock:
            thread = self._thread
        if thread is not None:
            thread.join(seconds)

    def _work(self) -> None:
        while True:
            if events := self._next():
                self._write(events)
            with self._lock:
                if self._closing.is_set() and self._queue.empty():
                    self._thread = None
                    return

    def _next(self) -> list[Event]:
        """Wait for events, not at all once closing; return those that are there."""
        events: list[Event | None] = []
        with contextlib.suppress(queue.Empty):
            events.append(self._queue.get(block=not self._closing.is_set()))
            self._closing.wait(GATHERED_FOR)
            while len(events) < BATCH:
                events.append(self._queue.get_nowait())
        return [event for event in events if event is not None]

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
        for event in events:
            try:
                self._store([event])
            except Exception as error:
                _to_log(event, type(error).__name__)


def _event(command: str, caller: Caller, values: Mapping[str, Any], extra: dict[str, Any]) -> Event:
    def text(*names: str) -> str | None:
        return next((value for name in names if isinstance(value := values.get(name), str) and value), None)

    return Event(
        name=PREFIX + command,
        owner=caller.name,
        dag_id=text("dag_id"),
        task_id=text("task_id"),
        run_id=text("run_id", "logical_date_or_run_id"),
        extra={**extra, "via": "REST API"},
    )


def _bounded(words: Sequence[str]) -> list[str]:
    """Return a command line short enough for a row."""
    kept = [word if len(word) <= LONGEST_WORD else word[:LONGEST_WORD] + "…" for word in words[:MOST_WORDS]]
    return [*kept, "…"] if len(words) > MOST_WORDS else kept


def _to_log(event: Event, why: str) -> None:
    log.warning(
        "The event log could not be written (%s): %s by %s: %s",
        why,
        event.name,
        event.owner,
        json.dumps(event.extra, default=str),
    )
