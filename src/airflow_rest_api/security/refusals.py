"""What was refused, on its way to the event log: repeats counted, and never more than there is room for."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from airflow_rest_api.airflow.event_log import Event

WINDOW = 60.0
"""Seconds in which the same refusal is counted and no row of its own."""
ONE_BY_ONE = 30
"""Different refusals of one user in that time that have rows of their own; the others share one."""
ROOM = 2000
"""Different refusals, of all users, that are counted at the same time; what comes on top is left out."""

OTHERS = "rest_api.refusals"
"""The event of a row that stands for many."""
NO_USER = "REST API"
"""The owner of the row that says how many are in no other."""


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
        elif len(self._known) >= ROOM:
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


def _of_all(event: Event) -> dict[str, object]:
    return {name: event.extra[name] for name in ("state", "address", "via") if name in event.extra}
