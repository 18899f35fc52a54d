"""What the 1.x plugin answered, as recorded: requests in full, answers by their status, keys and types."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

RECORDED = Path(__file__).parent.parent / "data" / "legacy" / "recorded.jsonl"
BOUNDARY = "boundary-of-the-tests"


def exchanges(pattern: str) -> list[dict[str, Any]]:
    """Return the recorded exchanges whose id matches, in the order in which they were recorded."""
    every = [json.loads(line) for line in RECORDED.read_text().splitlines()]
    return [exchange for exchange in every if re.match(pattern, exchange["id"])]


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
