from __future__ import annotations

import asyncio
from typing import Any

import pytest

from airflow_rest_api.errors import ApiError
from airflow_rest_api.security.body_deadline import BodyDeadline

MORE = {"type": "http.request", "body": b"x", "more_body": True}
LAST = {"type": "http.request", "body": b"x", "more_body": False}


def reads(messages: int) -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        for _ in range(messages):
            await receive()

    return app


def every(seconds: float, *messages: dict[str, Any], first: float | None = None) -> Any:
    left, pauses = list(messages), [seconds if first is None else first]

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(pauses.pop() if pauses else seconds)
        return left.pop(0) if len(left) > 1 else left[0]

    return receive


def test_a_body_that_dribbles_in_is_given_up() -> None:
    with pytest.raises(ApiError) as caught:
        asyncio.run(BodyDeadline(reads(1000), 0.2)({"type": "http"}, every(0.01, MORE), None))  # type: ignore[arg-type]

    assert caught.value.status == 408
    assert "body_timeout" in str(caught.value)


def test_a_body_in_time_is_read_to_its_end() -> None:
    asyncio.run(BodyDeadline(reads(3), 5)({"type": "http"}, every(0, MORE, MORE, LAST), None))  # type: ignore[arg-type]


def test_waiting_for_the_client_to_hang_up_has_no_limit() -> None:
    gone = {"type": "http.disconnect"}
    asyncio.run(BodyDeadline(reads(3), 1)({"type": "http"}, every(0.6, LAST, gone, first=0), None))  # type: ignore[arg-type]
