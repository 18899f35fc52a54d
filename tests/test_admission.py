"""More requests at once than may be worked on."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from starlette.middleware.gzip import GZipMiddleware

from airflow_rest_api.admission import MOST_WAITING, Admission, while_waiting, within_share
from airflow_rest_api.legacy.credentials import not_let_in

Body = Callable[[], Awaitable[None]]


class Asked:
    """An app that does what it is told, and counts what reaches it."""

    def __init__(self, work: Body) -> None:
        self.requests = 0
        self._work = work

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.requests += 1
        await self._work()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"done"})


def scope(path: str = "/v2/commands", *headers: tuple[bytes, bytes]) -> dict[str, Any]:
    return {"type": "http", "method": "GET", "path": path, "root_path": "", "headers": list(headers)}


async def receive_nothing() -> dict[str, Any]:
    raise AssertionError("nobody reads a body here")


async def request(app: Any, asked: dict[str, Any] | None = None) -> tuple[int, dict[bytes, bytes], bytes]:
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app(asked or scope(), receive_nothing, send)
    return sent[0]["status"], dict(sent[0]["headers"]), sent[1]["body"]


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def test_one_request_too_many_is_answered_before_the_app_hears_of_it():
    async def run() -> None:
        gate = asyncio.Event()
        app = Asked(lambda: gate.wait())  # type: ignore[arg-type,return-value]
        admission = Admission(app, limit=3)
        inside = [asyncio.ensure_future(request(admission)) for _ in range(3)]
        await settle()
        status, headers, body = await request(admission)
        assert (status, app.requests) == (503, 3)
        assert json.loads(body)["detail"]["reason"] == "overloaded"
        assert json.loads(body)["detail"]["option"] == "max_requests"
        assert int(headers[b"retry-after"]) > 0
        assert headers[b"cache-control"] == b"no-store"
        assert b"connection" not in headers
        gate.set()
        assert [status for status, _, _ in await asyncio.gather(*inside)] == [200] * 3
        assert (await request(admission))[0] == 200
        assert (admission.at_work, admission.waiting) == (0, 0)

    asyncio.run(run())


def test_what_a_middleware_does_to_one_refusal_is_not_in_the_next():
    async def run() -> None:
        gate = asyncio.Event()
        app = Asked(lambda: gate.wait())  # type: ignore[arg-type,return-value]
        # As Airflow's: it packs answers, and says so in the headers that it was given.
        packing = GZipMiddleware(Admission(app, limit=1), minimum_size=1)
        inside = asyncio.ensure_future(request(packing))
        await settle()
        asked = scope("/v2/commands", (b"accept-encoding", b"gzip"))
        for _ in range(3):
            sent: list[dict[str, Any]] = []

            async def send(message: Any, sent: list[dict[str, Any]] = sent) -> None:
                sent.append(message)

            await packing(asked, receive_nothing, send)
            headers = sent[0]["headers"]
            assert [value for name, value in headers if name == b"vary"] == [b"Accept-Encoding"]
            assert json.loads(gzip.decompress(sent[1]["body"]))["detail"]["reason"] == "overloaded"
        gate.set()
        await inside

    asyncio.run(run())


def test_a_body_that_nobody_will_read_ends_the_connection():
    async def run() -> None:
        admission = Admission(Asked(settle), limit=1)
        inside = asyncio.ensure_future(request(admission))
        await asyncio.sleep(0)
        for header in ((b"content-length", b"5"), (b"transfer-encoding", b"chunked")):
            _, headers, _ = await request(admission, scope("/v2/run", header))
            assert headers[b"connection"] == b"close"
        await inside

    asyncio.run(run())


def test_clients_of_the_1x_plugin_get_their_envelope():
    async def run() -> None:
        admission = Admission(Asked(settle), limit=1, refusals={"/api": not_let_in})
        inside = asyncio.ensure_future(request(admission))
        await asyncio.sleep(0)
        status, _, body = await request(admission, scope("/api"))
        document = json.loads(body)
        assert (status, document["status"], document["http_response_code"]) == (503, "ERROR", 503)
        assert "try again" in document["output"]
        await inside

    asyncio.run(run())


def test_those_who_wait_for_something_else_leave_their_place():
    async def run() -> None:
        gate = asyncio.Event()

        async def follow() -> None:
            with while_waiting():
                await gate.wait()

        admission = Admission(Asked(follow), limit=2)
        waiting = [asyncio.ensure_future(request(admission)) for _ in range(MOST_WAITING * 2)]
        # One after the other, as they come.
        for _ in waiting:
            await settle()
        assert (admission.at_work, admission.waiting) == (0, MOST_WAITING * 2)
        # There is no more room aside: these two count as what they are, and the next one is refused.
        more = [asyncio.ensure_future(request(admission)) for _ in range(2)]
        await settle()
        assert (await request(admission))[0] == 503
        gate.set()
        assert {status for status, _, _ in await asyncio.gather(*waiting, *more)} <= {200, 503}
        assert (admission.at_work, admission.waiting) == (0, 0)

    asyncio.run(run())


def test_a_task_that_outlives_its_request_counts_nowhere():
    async def run() -> None:
        gate, tasks = asyncio.Event(), []

        async def later() -> None:
            with while_waiting():
                await gate.wait()

        async def begin() -> None:
            tasks.append(asyncio.ensure_future(within_share(later())))
            await settle()

        admission = Admission(Asked(begin), limit=1)
        await request(admission)
        assert (admission.at_work, admission.waiting) == (0, 0)
        gate.set()
        await asyncio.gather(*tasks)
        assert (admission.at_work, admission.waiting) == (0, 0)

    asyncio.run(run())


def test_a_request_that_fails_or_is_cancelled_gives_its_place_back():
    async def run() -> None:
        async def fail() -> None:
            raise LookupError

        admission = Admission(Asked(fail), limit=1)
        with pytest.raises(LookupError):
            await request(admission)
        admission.app = Asked(lambda: asyncio.sleep(30))
        cancelled = asyncio.ensure_future(request(admission))
        await settle()
        cancelled.cancel()
        await asyncio.wait({cancelled})
        assert (admission.at_work, admission.waiting) == (0, 0)

    asyncio.run(run())
