"""An operation followed from its request to its end, through every connection that breaks on the way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from airflow_rest_client.errors import ApiError
from airflow_rest_client.events import MEDIA_TYPE, EventParser
from airflow_rest_client.exchanges import AGAIN_FOR, GATEWAY_FOR, WAIT, Retries, awaited, followed, once
from airflow_rest_client.http import AWAY, GATEWAY, ConnectionLost, Request, Response
from airflow_rest_client.model import End, Event, OperationData, Output

TOO_MANY = 429
"""The status of one stream too many, and of other things of which there are too many now."""
PASSING = (TOO_MANY, *AWAY)
"""Statuses that go by."""
SOON = 0.1
"""Seconds after which a stream is asked for again that ended in order: its server stops."""


class Following:
    """
    Where one that follows stands: what to ask for next, and what has come.

    :param start: the request that runs the command, None where it runs already
    :param reads: it only reads, so that it may run twice
    :param identifier: of the operation, where it runs already
    :param after: the id of the last event that was received before
    :param known: the server has answered for that operation; one that was not there before is not waited for
    :ivar begun: the server has answered for it
    :ivar done: the end has come
    """

    def __init__(
        self,
        start: Request | None = None,
        *,
        reads: bool = False,
        identifier: str | None = None,
        after: str | None = None,
        known: bool = True,
        seconds: float = AGAIN_FOR,
    ) -> None:
        self.identifier = identifier
        self.begun = known and identifier is not None
        self.done = False
        self.catalog_etag: str | None = None
        self._parser = EventParser(after)
        self._seconds = seconds
        self._retries = Retries(seconds)
        self._unanswered: Retries | None = None
        """Of the start, once it may have reached the server."""
        self._received = False
        """Something of a stream has come."""
        self._gathered = False
        """No stream comes through, as behind a proxy that gathers the whole answer: its end is waited for."""
        self._over = False
        """The end is there, with output missing of which only a stream tells, that has an end as well."""
        self._behind = after is not None
        self._came: Counter[str] = Counter()
        """Characters of each stream of output that have come."""
        self._renewed = False
        if start is not None:
            start = start if reads else once(start)
            start = start.with_headers(Accept=f"{MEDIA_TYPE}, application/json")
        self._start = start

    @property
    def uncertain(self) -> bool:
        """Whether the start may have reached the server, and nothing has answered it."""
        return self._unanswered is not None and not self.begun

    def request(self) -> Request:
        """Return what to ask for now."""
        if self.identifier is not None:
            if self._gathered and not self._over:
                return awaited(self.identifier)
            return followed(self.identifier, self._parser.last_id)
        assert self._start is not None
        if self._gathered:
            return self._start.with_headers(Accept="application/json", Prefer=f"wait={WAIT}")
        return self._start

    def may_renew(self, answer: Response) -> bool:
        """Return whether a new token may help; it is asked for once between two answers that were good."""
        if answer.status != 401 or self._renewed:
            return False
        self._renewed = True
        return True

    def opened(self, answer: Response) -> Iterator[Event]:
        """
        Take the beginning of an answer, and yield what an answer that is no stream says.

        :raises ApiError: it is an error
        """
        answer.checked()
        # Whoever interrupts a stream may have left the beginning of an event.
        self._parser.broken()
        self._retries.reset()
        self._renewed = False
        self.begun = True
        self.catalog_etag = answer.headers.get("airflow-catalog", self.catalog_etag)
        if location := answer.headers.get("location"):
            self.identifier = location.rstrip("/").rsplit("/", 1)[-1]
        if not answer.headers.get("content-type", "").startswith(MEDIA_TYPE):
            yield from self._whole(answer.members("id", "state", "command"))

    def _whole(self, body: Mapping[str, Any]) -> Iterator[Event]:
        """Yield the events of an operation that came as one; only a stream says what is missing in it."""
        operation = OperationData(body)
        self.identifier = operation.id
        self._over = operation.ended and (operation.truncated or self._behind)
        if operation.ended and not self._over:
            for stream in ("stdout", "stderr"):
                text = str(body.get(stream) or "")
                before, more = text[: self._came[stream]], text[self._came[stream] :]
                if more:
                    yield Output(stream, more, len(before.encode(errors="replace")))
            self.done = True
            yield End(operation)

    def feed(self, data: bytes) -> Iterator[Event]:
        """Yield the events that are whole now."""
        self._received = True
        for event in self._parser.feed(data):
            self._retries.reset()
            if isinstance(event, Output):
                self._came[event.stream] += len(event.text)
            self.done = self.done or isinstance(event, End)
            yield event

    def lost(self, error: ConnectionLost | ApiError | None = None) -> float:
        """Return the seconds after which to ask again; raise the error where that is no use any more."""
        self._parser.broken()
        if error is None:
            return SOON
        # It may be the answer to the request for a new token, which is asked for again then.
        self._renewed = False
        otherwise = not self._gathered and self._lets_no_stream_through(error)
        self._gathered = self._gathered or otherwise
        if self.identifier is None:
            return self._start_again(error)
        if isinstance(error, ApiError):
            if error.status not in PASSING or not (self.begun or otherwise):
                raise error
            error = ConnectionLost(error.message, sent=True)
        if not self.begun and not error.sent:
            raise error
        return self._retries.pause(error)

    def _lets_no_stream_through(self, error: ConnectionLost | ApiError) -> bool:
        """Return whether what answers, or does not, may do so where no stream is asked for."""
        if isinstance(error, ApiError):
            return error.status == TOO_MANY or (error.status in GATEWAY and not self._received)
        # Not even a comment, of which there is one every 15 seconds.
        return error.silent and not self._received

    def _start_again(self, error: ConnectionLost | ApiError) -> float:
        """As `lost`, where nothing has answered the start: one that may have begun is sent again."""
        away, first = isinstance(error, ApiError), self._unanswered is None
        if isinstance(error, ApiError):
            if error.status not in (GATEWAY if first else AWAY):
                raise error
            error = ConnectionLost(error.message, sent=True)
        if self._unanswered is None:
            # Who waits for a server that is not there wants to know.
            if not error.sent:
                raise error
            self._unanswered = Retries(min(self._seconds, GATEWAY_FOR) if away else self._seconds)
        return self._unanswered.pause(error)
