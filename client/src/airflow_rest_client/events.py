"""Server-sent events of an operation: from the bytes of an answer to what they say."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from airflow_rest_client.model import End, Event, Gap, Line, OperationData, Output, Progress, State

MEDIA_TYPE = "text/event-stream"


class EventParser:
    """
    Takes the bytes of a stream as they come (WHATWG HTML, 9.2.6).

    :ivar last_id: the id of the last event that came whole: where to go on after the stream broke
    """

    def __init__(self, last_id: str | None = None) -> None:
        self.last_id = last_id
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Event]:
        """Yield the events that are whole now; those of kinds that are not known are passed over."""
        # One event may come in a thousand pieces: each is looked at once.
        new = max(0, len(self._buffer) - 1)
        self._buffer += data
        if self._buffer.find(b"\n\n", new) < 0:
            return
        *blocks, rest = self._buffer.split(b"\n\n")
        # What began with a connection that broke is sent again.
        self._buffer = rest
        for block in blocks:
            fields = dict(_fields(block.decode(errors="replace")))
            if "data" in fields:
                event = _event(fields.get("event", "message"), json.loads(fields["data"]))
                self.last_id = fields.get("id", self.last_id)
                if event is not None:
                    yield event

    def broken(self) -> None:
        """Forget what was cut off."""
        self._buffer = bytearray()


def _fields(block: str) -> Iterator[tuple[str, str]]:
    for line in block.split("\n"):
        name, colon, value = line.partition(":")
        if name and colon:
            yield name, value.removeprefix(" ")


def _event(name: str, data: Mapping[str, Any]) -> Event | None:
    if name == "output":
        return Output(data["stream"], data["text"], data["offset"])
    if name == "gap":
        return Gap(data["stream"], data["missing"])
    if name == "progress":
        return Progress(data["step"], data)
    if name == "state":
        return State(OperationData(data))
    if name == "end":
        return End(OperationData(data))
    return None


class Lines:
    """Makes lines of the pieces in which output comes, those of each stream apart."""

    def __init__(self) -> None:
        self._begun: dict[Any, list[str]] = {"stdout": [], "stderr": []}

    def feed(self, event: Event) -> Iterable[Line]:
        """Return the lines that are whole now, and what stands before a gap: what follows is another line."""
        if isinstance(event, Gap):
            begun, self._begun[event.stream] = "".join(self._begun[event.stream]), []
            return [Line(event.stream, begun)] if begun else []
        if not isinstance(event, Output):
            return []
        end, *more = event.text.split("\n")
        self._begun[event.stream].append(end)
        if not more:
            return []
        *whole, begun = "".join(self._begun[event.stream]), *more
        self._begun[event.stream] = [begun]
        return [Line(event.stream, text) for text in whole]

    def finish(self) -> Iterable[Line]:
        """Return what has no end of a line behind it."""
        return [Line(stream, text) for stream, pieces in self._begun.items() if (text := "".join(pieces))]
