"""Operations for runners: put into the queue, published, looked after until one has them, and given up."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from functools import partial
from typing import TYPE_CHECKING, Protocol

from airflow_rest_api.airflow.installation import FernetCipher, version
from airflow_rest_api.errors import Misconfigured, NoRunner, Unavailable, Undecryptable
from airflow_rest_api.operations import work_queue
from airflow_rest_api.operations.model import Operation, State
from airflow_rest_api.operations.work_orders import NotTaken, WorkOrder, from_bytes, to_bytes
from airflow_rest_api.periodic import Periodic
from airflow_rest_api.security.audit import Audit, EndRecord

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from airflow_rest_api.operations.model import Origin
    from airflow_rest_api.operations.store import Store

log = logging.getLogger(__name__)

LOOK_EVERY = 5.0
"""Seconds between two looks at what waits, by each API server and each runner."""
AGAIN_AFTER = 20.0
"""Seconds after which a message is sent once more, each time twice as many: a broker may have lost it."""
NOTED_EVERY = AGAIN_AFTER / 4
"""Seconds between two notes that the message of one operation is sent again and again."""
MOST_DOUBLINGS = 4
"""Of that pause: the longest is then some five minutes."""
UNSERVED_FOR = 60.0
"""Seconds without a runner for its queue after which an operation is given up."""
PIECE = 1024 * 1024
"""Bytes that are encrypted at a time."""
SENDERS = 8
"""Threads that send: a broker that does not answer holds each for seconds, and none that others need."""
LABEL = 64
TOKENS = b"\n"
"""Between the tokens, which have none in them."""
NO_BROKER = "There are no runners: [rest_api_plugin] runner_broker names no broker, or Celery is missing."
NO_KEY = "What is sent to a runner is encrypted, and there is no [core] fernet_key."


class Publish(Protocol):
    """Sends a message: takes a queue and the id of an operation. Blocks; raises anything where it cannot."""

    def __call__(self, queue: str, identifier: str, *, after: float = 0.0) -> None: ...


@dataclass(frozen=True)
class QueueLimits:
    """
    How much may wait for runners.

    :ivar size: operations in one queue, for each runner that serves it
    :ivar per_user: those of one user, likewise
    :ivar seconds: how long one may wait; None for no limit
    """

    size: int = 64
    per_user: int = 48
    seconds: float | None = 3600


class Dispatcher:
    """
    Sends operations to runners.

    What is to be run waits in the database, encrypted; the message has nothing but the id of the operation.
    So a broker that loses or repeats messages does no harm: `watch` sends those again that were not claimed,
    and gives up what no runner asks for.

    :param publish: None where there is no broker
    """

    def __init__(
        self,
        store: Store,
        audit: Audit | None = None,
        publish: Publish | None = None,
        limits: QueueLimits | None = None,
        *,
        cipher: FernetCipher | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._run = store.database.run
        self._store = store
        self._audit = audit or Audit()
        self._publish = publish
        self._limits = limits or QueueLimits()
        self._cipher = cipher or FernetCipher()
        self._clock = clock
        self._senders = ThreadPoolExecutor(SENDERS, thread_name_prefix="rest-api-send")
        self._unserved: dict[str, float] = {}
        self.watch = Periodic("The look at what waits for runners", LOOK_EVERY, self.look, jitter=0.2)

    @property
    def cannot_send(self) -> str | None:
        """Why nothing can be sent to runners, in one sentence; None where it can."""
        if self._publish is None:
            return NO_BROKER
        return None if self._cipher.available else NO_KEY

    async def send(
        self, order: WorkOrder, operation: Operation, origin: Origin, ended: EndRecord | None
    ) -> None:
        """
        Have an operation run by a runner of its queue.

        :param ended: the record of its end, None for none
        :raises NoRunner: nobody serves its queue, and the client does not wait for a runner
        :raises Busy: too many wait there already, or TooManyWaiting: too many of this user
        :raises KeyTaken: the key was used before
        :raises Misconfigured: there is no broker, or no key to encrypt with
        :raises Unavailable: the database is away
        """
        if (why := self.cannot_send) is not None:
            raise Misconfigured(why)
        order = replace(
            order,
            operation=operation.id,
            airflow_version=version(),
            ended=None if ended is None else ended.fields,
        )
        data = await asyncio.to_thread(self._encrypted, order)

        def also(connection: Connection) -> None:
            queue = str(operation.queue)
            serving = len(work_queue.served(work_queue.runners(connection)).get(queue, ()))
            if not serving and not origin.recorded:
                raise NoRunner(f"No runner serves the queue {queue!r}.", queue=queue)
            most = max(1, serving)
            work_queue.put(
                connection,
                operation,
                data,
                per_queue=most * self._limits.size,
                per_user=most * self._limits.per_user,
            )

        await self._store.insert(operation, key=origin.key, also=also)
        await self._send(str(operation.queue), operation.id)

    async def send_later(self, queue: str, identifier: str, seconds: float) -> None:
        """
        Send the message of an operation once more, for a runner that can take it in some seconds.

        While that goes on it is not lost, and `look` need not send another one, which would go on as well.
        """
        await self._send(queue, identifier, seconds)
        noting = partial(work_queue.note_sent, identifier=identifier, before=timedelta(seconds=NOTED_EVERY))
        with contextlib.suppress(Unavailable):
            await self._run(noting)

    async def cancel(self, identifier: str, reason: str) -> bool:
        """End an operation that no runner has yet; return whether it was one."""
        return await self._end(identifier, State.CANCELLED, reason)

    async def look(self) -> None:
        """
        Send again what was sent long ago, and give up what has waited for too long.

        Where nothing waits that is one query. Who cannot send gives up all the same: nobody else may be
        there.
        """
        waiting = await self._run(work_queue.waiting)
        if not waiting:
            self._unserved.clear()
            return
        gone = await self._run(work_queue.ended_meanwhile)
        if gone:
            await self._run(partial(work_queue.drop, identifiers=gone))
        unserved = self._unserved_queues(
            {one.queue for one in waiting}, work_queue.served(await self._run(work_queue.runners))
        )
        for one in waiting:
            if one.id in gone:
                continue
            age = (datetime.now(timezone.utc) - one.created_at).total_seconds()
            if one.queue in unserved and age >= UNSERVED_FOR:
                await self._end(one.id, State.LOST, _unserved(one.queue))
            elif self._limits.seconds is not None and age >= self._limits.seconds:
                await self._end(one.id, State.TIMED_OUT, _untaken(one.queue, self._limits.seconds))
            elif one.queue not in self._unserved and self.cannot_send is None:
                await self._again(one)

    async def _again(self, one: work_queue.Waiting) -> None:
        pause = AGAIN_AFTER * 2 ** min(one.published - 1, MOST_DOUBLINGS)
        if (datetime.now(timezone.utc) - one.published_at).total_seconds() < pause:
            return
        before = timedelta(seconds=pause)
        if await self._run(partial(work_queue.publish_again, one=one, before=before)):
            log.info("Operation %s is sent to the queue %s again", one.id, one.queue)
            await self._send(one.queue, one.id)

    def _unserved_queues(self, wanted: set[str], there: Iterable[str]) -> set[str]:
        """Return the queues that nobody has served for `UNSERVED_FOR` seconds of our own clock."""
        now = self._clock()
        missing = wanted.difference(there)
        self._unserved = {queue: self._unserved.get(queue, now) for queue in missing}
        return {queue for queue, since in self._unserved.items() if now - since >= UNSERVED_FOR}

    async def _send(self, queue: str, identifier: str, after: float = 0.0) -> None:
        """Publish a message; one that cannot be is sent by the next look."""
        assert self._publish is not None
        try:
            sending = partial(self._publish, queue, identifier, after=after)
            await asyncio.get_running_loop().run_in_executor(self._senders, sending)
        except Exception as error:
            # Its words may hold the address of the broker, with a password.
            log.warning(
                "Operation %s could not be sent to its queue (%s): it is tried again",
                identifier,
                type(error).__name__,
            )

    async def _end(self, identifier: str, state: State, message: str) -> bool:
        ending = partial(work_queue.end_waiting, identifier=identifier, state=state, message=message)
        data = await self._run(ending)
        if data is None:
            return False
        log.info("Operation %s ended before a runner had it: %s", identifier, state.value)
        try:
            order = await asyncio.to_thread(self.opened, data, identifier)
        except (NotTaken, Undecryptable):
            log.warning("The end of operation %s is not in the event log", identifier)
            return True
        self.record_end(order, await self._store.get(identifier, output=False))
        return True

    def opened(self, data: bytes, identifier: str) -> WorkOrder:
        """
        Return what is to be run as an operation.

        :raises Undecryptable: it was not made by an API server of this Airflow
        :raises NotTaken: it is of another version, or was made for another operation
        """
        pieces = [self._cipher.decrypt(token) for token in data.split(TOKENS)]
        for number, piece in enumerate(pieces):
            if not piece.startswith(_label(identifier, number, len(pieces))):
                raise NotTaken("What was to be run belongs to another operation.")
        order = from_bytes(b"".join(piece[LABEL:] for piece in pieces), version())
        if order.operation != identifier:
            raise NotTaken("What was to be run belongs to another operation.")
        return order

    def _encrypted(self, order: WorkOrder) -> bytes:
        """Return a work order in tokens of some size each, of which none holds up other threads for long."""
        data = to_bytes(order)
        pieces = [data[start : start + PIECE] for start in range(0, len(data), PIECE)]
        return TOKENS.join(
            self._cipher.encrypt(_label(order.operation, number, len(pieces)) + piece)
            for number, piece in enumerate(pieces)
        )

    def end_record(self, order: WorkOrder) -> EndRecord | None:
        """Return what records the end of a work order in Airflow's event log."""
        return None if order.ended is None else EndRecord(self._audit, **order.ended)

    def record_end(self, order: WorkOrder, operation: Operation) -> None:
        """Record the end of an operation that never began."""
        if (record := self.end_record(order)) is not None:
            record(operation)


def _label(operation: str, number: int, count: int) -> bytes:
    """Return what a piece begins with: each has its place in one order, and none is missing."""
    return f"{operation} {number:08} {count:08}".encode().ljust(LABEL)


def _unserved(queue: str) -> str:
    return f"No runner has asked for the queue {queue!r} for {UNSERVED_FOR:g} seconds."


def _untaken(queue: str, seconds: float) -> str:
    return f"No runner of the queue {queue!r} has taken it for {seconds:g} seconds."
