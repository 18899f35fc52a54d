"""What the 1.x plugin answered, as recorded: requests and answers in full."""

from __future__ import annotations

import json
import re
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

RECORDED = Path(__file__).parent.parent / "data" / "legacy" / "recorded.jsonl"
BOUNDARY = "boundary-of-the-tests"


API = "/admin/rest_api/api"
"""The address of the endpoints; the recording has a few requests to others as well."""


def exchanges(pattern: str, path: str = API) -> list[dict[str, Any]]:
    """
    Return the recorded exchanges whose id matches, in the order in which they were recorded.

    Of an answer in an envelope they have, apart, the types of its `keys`, its `arguments`, `post_arguments`
    and `warning`, and its `output` where that is a text, else the `stdout` in it.
    """
    every = [json.loads(line) for line in RECORDED.read_text().splitlines()]
    return [
        _spread(exchange)
        for exchange in every
        if re.match(pattern, exchange["id"]) and exchange["path"].partition("?")[0] == path
    ]


def _spread(exchange: dict[str, Any]) -> dict[str, Any]:
    body = exchange.get("body")
    if not isinstance(body, dict) or "http_response_code" not in body:
        return exchange
    output = body["output"]
    kept = {name: body[name] for name in ("arguments", "post_arguments", "warning") if name in body}
    said = {"output": output} if isinstance(output, str) else {"stdout": output["stdout"]}
    request = {name: value for name, value in exchange.items() if name != "body"}
    return {**request, "keys": keys_of(body), **kept, **said}


def query_of(exchange: dict[str, Any], places: dict[str, str]) -> str:
    """Return the query string of a request; `places` fill in for the paths of the recording's machine."""
    _, _, query = exchange["path"].partition("?")
    return query or "&".join(
        f"{quote_plus(name)}={quote_plus(_placed(value, places))}"
        for name, value in exchange.get("query") or []
    )


def body_of(exchange: dict[str, Any]) -> tuple[bytes | None, str | None]:
    """Return the body of a request and its content type."""
    form, files = exchange.get("form") or [], exchange.get("files") or []
    if files:
        return _multipart(form, files), f"multipart/form-data; boundary={BOUNDARY}"
    if form:
        text = "&".join(f"{quote_plus(name)}={quote_plus(value)}" for name, value in form)
        return text.encode(), "application/x-www-form-urlencoded"
    return None, None


def keys_of(document: dict[str, Any]) -> dict[str, Any]:
    """Return the types of an answer's values by their keys, as the recording has them."""
    return {
        key: _type(value) for key, value in document.items() if key not in ("arguments", "post_arguments")
    }


def _multipart(form: list[list[str]], files: list[list[Any]]) -> bytes:
    parts = [f'name="{name}"\r\n\r\n{value}' for name, value in form]
    for name, file in files:
        kind = f"\r\nContent-Type: {file['content_type']}" if file.get("content_type") else ""
        # The operators of today's Airflow have other addresses than those of the recording.
        content = file["content"].replace(
            "from airflow.operators.dummy_operator import DummyOperator",
            "from airflow.providers.standard.operators.empty import EmptyOperator as DummyOperator",
        )
        content = content.replace("from airflow import DAG", "from airflow.sdk import DAG")
        content = content.replace("schedule_interval=", "schedule=")
        parts.append(f'name="{name}"; filename="{file["filename"]}"{kind}\r\n\r\n{content}')
    text = "".join(f"--{BOUNDARY}\r\nContent-Disposition: form-data; {part}\r\n" for part in parts)
    return f"{text}--{BOUNDARY}--\r\n".encode()


def _placed(text: str, places: dict[str, str]) -> str:
    for name, place in places.items():
        text = text.replace(name, place)
    return text


def _type(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _type(inner) for key, inner in value.items()}
    return {str: "string", int: "integer", bool: "boolean", list: "array"}[type(value)]


class Places:
    """
    What two texts may differ in: times, paths and host names.

    :param exchange_folder: that of our answers
    :param dags_folder: that of our answers
    :param host: on which ours were made
    """

    RECORDED_ON = "2026-11-22"
    """The day of the recording: its other dates are those that were asked for."""

    def __init__(self, exchange_folder: str, dags_folder: str, host: str) -> None:
        self._words = {exchange_folder: "{LAB}", dags_folder: "{AIRFLOW_HOME}/dags"}
        self._host = re.compile(rf"(?<=on host )({re.escape(host)}|localhost)")
        days = "|".join({self.RECORDED_ON, *(str(day) for day in _today())})
        self._now = re.compile(rf"({days})([T ])\d\d:\d\d:\d\d(\.\d+)?")

    def normal(self, text: str) -> str:
        """Return a text with these replaced."""
        for word, name in self._words.items():
            text = text.replace(word, name)
        text = self._now.sub(r"<day>\2<time>", self._host.sub("<host>", text))
        text = re.sub(r"\d:\d\d:\d\d\.\d{6}", "<duration>", text)
        return re.sub(r"(?<=DagBag parsing time: )[\d.e-]+", "<seconds>", text)


def _today() -> set[date]:
    """Return the day that it is, and the one that it was when a long run of tests began."""
    now = datetime.now(timezone.utc)
    return {now.date(), (now - timedelta(hours=2)).date()}
