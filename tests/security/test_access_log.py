from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import parse_qsl

import pytest

from airflow_rest_api.security.access_log import QuietQuery, quiet


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("api=connections&conn_uri=http%3A%2F%2Fme%3Ahunter22%40host", {"conn_uri": "***"}),
        ("conn_password=hunter22&conn_id=c", {"conn_password": "***", "conn_id": "c"}),
        ("conn-extra=hunter22", {"conn-extra": "***"}),
        ("cmd=set&key=my_password&value=hunter22", {"key": "my_password", "value": "***"}),
        ("cmd=set&value=hunter22", {"value": "***"}),
        ("cmd=set&value=hunter22&key=api_key", {"key": "api_key", "value": "***"}),
        ('conf={"token": "hunter22", "a": 1}', {"conf": '{"token": "***", "a": 1}'}),
        ("broker=amqp://me:hunter22@host", {"broker": "amqp://me:***@host"}),
        ("password=hunter22&password=hunter22", {"password": "***"}),
    ],
)
def test_secrets_in_a_query_are_masked(query: str, shown: dict[str, str]) -> None:
    result = quiet(query.encode())
    assert b"hunter22" not in result
    assert shown.items() <= dict(parse_qsl(result.decode())).items()


@pytest.mark.parametrize(
    "query", [b"", b"api=version", b"cmd=set&key=colour&value=red", b"a=%ff&b", b"%&=&;\xff"]
)
def test_a_query_without_secrets_stays_as_it_is(query: bytes) -> None:
    assert quiet(query) is query


def test_the_query_is_whole_for_the_app_and_masked_for_what_logs_after_it() -> None:
    seen = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["query_string"])
        raise RuntimeError

    scope: Any = {"type": "http", "query_string": b"password=hunter22"}
    with pytest.raises(RuntimeError):
        asyncio.run(QuietQuery(app)(scope, None, None))  # type: ignore[arg-type]
    assert seen == [b"password=hunter22"]
    assert b"hunter22" not in scope["query_string"]
