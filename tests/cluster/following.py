"""Clients that follow an operation's events, each in a thread."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import httpx

PATIENCE = 120.0
"""Seconds that a test waits for what has to come: the machine may be busy."""


@dataclass(frozen=True)
class Event:
    """One event, and the time of day at which it was there."""

    name: str
    data: dict[str, Any]
    id: str | None
    at: float


def events(lines: Iterable[str]) -> Iterator[Event]:
    """Yield the events in the lines of an answer (https://html.spec.whatwg.org/#server-sent-events)."""
    fields: dict[str, str] = {}
    for line in lines:
        if line.startswith(":"):
            continue
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif fields:
            yield Event(fields["event"], json.loads(fields["data"]), fields.get("id"), time.time())
            fields = {}


class Follower:
    """
    Follows an operation until its stream ends, or until it is left.

    :ivar error: what the stream ended with where that was not in order
    """

    def __init__(self, client: httpx.Client, operation: str, after: str | None = None) -> None:
        self._client = client
        self._path = f"/operations/{operation}/events"
        self._headers = {"Last-Event-ID": after} if after else {}
        self._seen: list[Event] = []
        self._changed = threading.Condition()
        self._response: httpx.Response | None = None
        self._left = False
        self.over = False
        self.error: Exception | None = None
        self._thread = threading.Thread(target=self._follow, daemon=True)

    def __enter__(self) -> Follower:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._left = True
        self._thread.join(PATIENCE)

    @property
    def seen(self) -> list[Event]:
        """The events so far."""
        with self._changed:
            return list(self._seen)

    @property
    def end(self) -> dict[str, Any] | None:
        """The operation in the last event, if that was the end."""
        seen = self.seen
        return seen[-1].data if seen and seen[-1].name == "end" else None

    def text(self, stream: str = "stdout") -> str:
        """Return what of a stream has come."""
        return "".join(
            event.data["text"]
            for event in self.seen
            if event.name == "output" and event.data["stream"] == stream
        )

    def until(self, holds: Callable[[Follower], object], seconds: float = PATIENCE) -> Follower:
        """Wait until something holds, and return this."""
        deadline = time.monotonic() + seconds
        with self._changed:
            while not holds(self):
                left = deadline - time.monotonic()
                if left <= 0 or (self.over and not holds(self)):
                    raise AssertionError(f"{self._path}: over: {self.over}, {self.error!r}, {self._seen}")
                self._changed.wait(left)
        return self

    def _follow(self) -> None:
        try:
            with self._client.stream("GET", self._path, headers=self._headers) as response:
                if response.status_code != 200:
                    response.read()
                    raise AssertionError(f"{response.status_code} {response.text}")
                for event in events(response.iter_lines()):
                    with self._changed:
                        self._seen.append(event)
                        self._changed.notify_all()
                    if self._left:
                        break
        except Exception as error:
            self.error = error
        finally:
            with self._changed:
                self.over = True
                self._changed.notify_all()
