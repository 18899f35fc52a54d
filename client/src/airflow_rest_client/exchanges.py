"""What the client asks of the server: each conversation once, for those who wait and those who await."""

from __future__ import annotations

import codecs
import json
import os
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import quote, urlsplit

from airflow_rest_client.catalog import Catalog
from airflow_rest_client.credentials import Credentials
from airflow_rest_client.errors import ApiError, not_ours
from airflow_rest_client.http import (
    AWAY,
    GATEWAY,
    ConnectionLost,
    Exchange,
    Pause,
    Request,
    Response,
    Upload,
)

API = "/admin/rest_api/v2"
SERVICES = f"{API}/services"
KEY = "Idempotency-Key"
WAIT = 25
"""Seconds that one request waits for the end of an operation; proxies cut what takes longer than 30 or 60."""
AGAIN_FOR = 300.0
"""Seconds for which a connection is tried again that was there before."""
GATEWAY_FOR = 30.0
"""Seconds for which a start is sent again to a proxy that had no answer of the server."""
BACKOFF = (0.2, 0.5, 1.0, 2.0)
"""Seconds between two tries; the last goes on."""
_PASTED = re.compile(r"/(admin/rest_api|plugin/rest-api)(/.*)?$")
"""What follows it in the address of the page, by itself and inside of Airflow's."""


def address(url: str) -> str:
    """
    Return the address of an API server: without what follows it in that of the plugin's page.

    :raises ValueError: it is none
    """
    url = _PASTED.sub("", url.strip().split("?")[0].split("#")[0]).rstrip("/")
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        host, parts = "", urlsplit("")
    if parts.username is not None or parts.password is not None:
        raise ValueError(
            "the URL has a user or a password in it: sign in with them, and leave them out of it"
        )
    labels = host.strip(".").split(".")
    good = url.isascii() and url.isprintable() and " " not in url and all(0 < len(one) < 64 for one in labels)
    if parts.scheme.lower() not in ("http", "https") or not good:
        raise ValueError(f"{url!r} is no address of an API server, such as https://airflow.example.org")
    return url


Component = dict[str, Any]
Components = list[Component]
"""Schedulers, workers and their like, as docs/services.md of the plugin describes them."""


class Retries:
    """
    How long to try again.

    :param seconds: after which it is given up; the count begins anew with each success
    """

    def __init__(self, seconds: float = AGAIN_FOR) -> None:
        self._seconds = seconds
        self.reset()

    def reset(self) -> None:
        """Begin anew: the server has answered."""
        self._tries, self._until = 0, None if self._seconds else 0.0

    def pause(self, error: ConnectionLost) -> float:
        """Return how long to wait, in seconds, before the next try; raise the error after the last."""
        now = time.monotonic()
        if self._until is None:
            self._until = now + self._seconds
        if now >= self._until:
            raise error
        seconds = BACKOFF[min(self._tries, len(BACKOFF) - 1)]
        self._tries += 1
        return seconds


QUEUE = "Airflow-Queue"
"""The header that names a queue."""


class Server:
    """
    The conversations with one server.

    :param credentials: who asks
    :param queue: whose runners run what is asked for; None: where the server says
    """

    def __init__(self, credentials: Credentials, queue: str | None = None) -> None:
        self.credentials = credentials
        self.queue = queue

    def signed(self, request: Request) -> Request:
        """Return a request with the headers that say who asks."""
        if not request.signed:
            return request
        named = {} if self.queue is None else {QUEUE: self.queue}
        return replace(request, headers={**named, **request.headers, **self.credentials.headers()})

    def renewed(self) -> Exchange[None]:
        """Get a new token where it is time for one."""
        if self.credentials.due():
            yield from self.credentials.renew()

    def ask(self, request: Request) -> Exchange[Response]:
        """
        Return the answer to a request, with a new token where the old one has ended.

        :raises ApiError: it is an error
        """
        yield from self.renewed()
        try:
            answer = yield self.signed(request)
        except ConnectionLost as error:
            # A look may be had twice.
            if not error.sent or request.method != "GET":
                raise
            answer = yield self.signed(request)
        assert answer is not None
        if answer.status == 401 and (yield from self.credentials.renew()):
            answer = yield self.signed(request)
            assert answer is not None
        return answer.checked()

    def insist(self, request: Request, seconds: float = AGAIN_FOR) -> Exchange[Response]:
        """Return the answer to a request that may be sent again, when the connection is there again."""
        retries = Retries(seconds)
        while True:
            try:
                return (yield from self.ask(request))
            except ConnectionLost as error:
                yield Pause(retries.pause(error))
            except ApiError as error:
                if error.status not in AWAY:
                    raise
                yield Pause(retries.pause(ConnectionLost(error.message, sent=False)))

    def catalog(self, known: Catalog | None = None) -> Exchange[Catalog]:
        """Return the commands of the server: those that are known, where it has no others."""
        headers = {"If-None-Match": known.etag} if known else {}
        answer = yield from self.ask(Request("GET", f"{API}/catalog", headers=headers))
        if known is not None and answer.status == 304:
            return known
        body = answer.members("airflow_version", "groups", "commands")
        return Catalog(body, answer.headers.get("etag", ""))

    def started(self, request: Request, *, wait: int = 0, reads: bool = False) -> Exchange[dict[str, Any]]:
        """
        Run a command; return the operation as it is when it ends, or after a while.

        :param wait: seconds
        :param reads: it only reads, so that it may be done twice
        """
        prefer = f"wait={wait}" if wait else "respond-async"
        sent = (request if reads else once(request)).with_headers(Prefer=prefer)
        try:
            answer = yield from self._answered(sent)
        except ApiError as error:
            # A deployment that was sent again may have ended meanwhile: its operation says how.
            identifier = error.detail.get("id")
            if "report" not in error.detail or not isinstance(identifier, str):
                raise
            return (yield from self.operation(identifier))
        return answer.members("id", "state", "command")

    def _answered(self, request: Request) -> Exchange[Response]:
        """Return the answer to a request that may be sent again, once it may have reached the server."""
        try:
            return (yield from self.ask(request))
        except ConnectionLost as error:
            if not error.sent:
                raise
        except ApiError as error:
            if error.status not in GATEWAY:
                raise
            return (yield from self.insist(request, GATEWAY_FOR))
        # It may have begun: by its key it is the same.
        return (yield from self.insist(request))

    def ended(self, data: Mapping[str, Any], seconds: float | None = None) -> Exchange[dict[str, Any]]:
        """
        Return an operation when it has ended, or after a while.

        :param data: the operation as it was last seen
        """
        until = None if seconds is None else time.monotonic() + seconds
        while data["state"] in ("queued", "running"):
            left = WAIT if until is None else until - time.monotonic()
            if left <= 0:
                break
            if left < 1:
                # The server waits for whole seconds.
                yield Pause(min(left, BACKOFF[0]))
            data = yield from self.operation(str(data["id"]), wait=min(WAIT, int(left)))
        return dict(data)

    def operation(self, identifier: str, *, wait: int = 0) -> Exchange[dict[str, Any]]:
        """Return an operation, with its output."""
        answer = yield from self.insist(awaited(identifier, wait))
        return answer.members("id", "state", "command")

    def operations(self, params: Mapping[str, str | Sequence[str]]) -> Exchange[dict[str, Any]]:
        """Return a page of operations, the newest first: `operations`, and `next` of the next page."""
        answer = yield from self.ask(Request("GET", f"{API}/operations", params=params))
        return answer.members("operations", "next")

    def cancel(self, identifier: str, *, wait: int = 5) -> Exchange[dict[str, Any]]:
        """End an operation; return it as it is then, or after some seconds."""
        headers = {"Prefer": f"wait={wait}"}
        answer = yield from self.insist(
            Request("POST", f"{operation_path(identifier)}/cancel", headers=headers), 30
        )
        return answer.members("id", "state", "cancel_message")

    def rerun(self, identifier: str) -> Exchange[dict[str, Any]]:
        """Run the command of an operation once more; return the new one while it runs."""
        data = yield from self.started(Request("POST", f"{operation_path(identifier)}/run-again"))
        return data

    def file(self, identifier: str, name: str, size: int | None = None) -> Exchange[bytes]:
        """
        Return the content of a file that a command wrote.

        :param size: that it has; what has another one is the page of a proxy, or a part of the file
        """
        answer = yield from self.insist(
            Request("GET", f"{operation_path(identifier)}/files/{quote(name, safe='')}")
        )
        if size not in (None, len(answer.content)):
            raise not_ours(answer.status)
        return answer.content

    def services(self, filters: Mapping[str, str]) -> Exchange[Components]:
        """Return the components, the newest first."""
        answer = yield from self.ask(Request("GET", SERVICES, params=filters))
        return list(answer.members("services")["services"])

    def service_kinds(self) -> Exchange[Components]:
        """Return what can be started."""
        answer = yield from self.ask(Request("GET", f"{SERVICES}/kinds"))
        return list(answer.members("kinds")["kinds"])

    def service(self, identifier: str) -> Exchange[Component]:
        """Return a component."""
        answer = yield from self.ask(Request("GET", service_path(identifier)))
        return answer.members("id", "state")

    def start_service(self, body: Component, wait: int = WAIT) -> Exchange[Component]:
        """Start a component; return it when it is ready or has failed."""
        request = once(Request("POST", SERVICES, json=body, headers={"Prefer": f"wait={wait}"}))
        while True:
            found = (yield from self._answered(request)).members("id", "state")
            if found["state"] != "starting":
                return found
            # Which it is for a minute at most; the same request waits for it anew.
            yield Pause(BACKOFF[0])

    def change_service(
        self, identifier: str, how: str, body: Component | None = None, wait: int = WAIT
    ) -> Exchange[Component]:
        """Stop or restart a component; return it as it is then, or after some seconds."""
        request = Request("POST", f"{service_path(identifier)}/{how}", json=body or {})
        answer = yield from self.ask(request.with_headers(Prefer=f"wait={wait}"))
        return answer.members("id", "state")

    def forget_service(self, identifier: str) -> Exchange[None]:
        """Forget a component that has ended."""
        yield from self.ask(Request("DELETE", service_path(identifier)))

    def service_log(self, identifier: str, params: Mapping[str, str]) -> Exchange[tuple[str, str]]:
        """Return what a component has written, and the offset with which it goes on, which is waited for."""
        request = Request("GET", f"{service_path(identifier)}/log", params=params)
        answer = yield from (self.insist(request) if "offset" in params else self.ask(request))
        # Of a character whose end is not written yet nothing is shown.
        ended = answer.headers.get("x-output-end") == "true"
        text, length = codecs.utf_8_decode(answer.content, "replace", ended)
        following = int(answer.headers.get("x-output-next", "0")) - len(answer.content) + length
        return text, str(following)


def once(request: Request) -> Request:
    """Return a request that is done once, however often it is sent."""
    return request if KEY in request.headers else request.with_headers(Idempotency_Key=os.urandom(16).hex())


def operation_path(identifier: str) -> str:
    """Return the path of an operation."""
    return f"{API}/operations/{quote(identifier, safe='')}"


def service_path(identifier: str) -> str:
    """Return the path of a component."""
    return f"{SERVICES}/{quote(identifier, safe='')}"


def line(argv: Sequence[str], files: Mapping[str, Upload] | None = None) -> Request:
    """Return the request that runs a command line: the words after `airflow`, and files by argument."""
    if files:
        return Request(
            "POST", f"{API}/run", fields={"argv": json.dumps(list(argv))}, files=list(files.items())
        )
    return Request("POST", f"{API}/run", json={"argv": list(argv)})


def named(command: str, arguments: Mapping[str, Any], files: Mapping[str, Upload] | None = None) -> Request:
    """Return the request that runs a command with its arguments by name."""
    path = f"{API}/commands/{'/'.join(quote(word, safe='') for word in command.split())}"
    if files:
        fields = {name: _field(value) for name, value in arguments.items() if value is not None}
        return Request("POST", path, fields=fields, files=list(files.items()))
    return Request("POST", path, json=dict(arguments))


def _field(value: Any) -> str | list[str]:
    """Return a value for a form, of which a field given several times is a list."""
    if isinstance(value, (list, tuple)):
        return [item if isinstance(item, str) else json.dumps(item) for item in value]
    return value if isinstance(value, str) else json.dumps(value)


def deployment(
    files: Iterable[tuple[str, Upload]], options: Mapping[str, str | bool], *, check: bool = False
) -> Request:
    """
    Return the request that deploys DAG files, or only checks them.

    :param files: parts `file`, or one `archive`
    """
    fields = {
        name: ("true" if value else "false") if isinstance(value, bool) else value
        for name, value in options.items()
    }
    return Request("POST", f"{API}/dag-files{'/check' if check else ''}", fields=fields, files=list(files))


def awaited(identifier: str, wait: int = WAIT) -> Request:
    """Return the request for an operation as it is when it ends, or after some seconds."""
    return Request("GET", operation_path(identifier), headers={"Prefer": f"wait={wait}"})


def followed(identifier: str, after: str | None) -> Request:
    """Return the request that follows an operation, from its beginning or from behind an event."""
    headers = {"Accept": "text/event-stream", **({"Last-Event-ID": after} if after else {})}
    return Request("GET", f"{operation_path(identifier)}/events", headers=headers)
