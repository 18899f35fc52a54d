"""The body of a request: form, multipart or JSON, read up to a limit."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO
from urllib.parse import unquote_plus

from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from airflow_rest_api.legacy.errors import Refusal
from airflow_rest_api.multipart import Ending
from airflow_rest_api.problem import Problem

FORM_LIMIT = 8 * 1024 * 1024
"""Bytes of a form or JSON body, which is held in memory; a multipart body may be as long as an upload."""

PATIENCE = 4
"""How many times an upload's limit is read of a body that is too long, before its client is left alone."""

TOO_LONG = "The request body is too long"


@dataclass(frozen=True)
class File:
    """A file of a multipart body."""

    name: str
    content: BinaryIO


@dataclass
class Body:
    """
    What came in the body.

    :ivar fields: names and texts in the order they came; None for a name without a value
    :ivar echo: the same for the answer, as it was sent
    :ivar files: files by the name of their field; the first of each name
    """

    fields: list[tuple[str, str | None]] = field(default_factory=list)
    echo: dict[str, Any] = field(default_factory=dict)
    files: dict[str, File] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


def parse_pairs(text: str) -> list[tuple[str, str | None]]:
    """
    Return the names and values of a query string or form body.

    Unlike the standard library's parser it tells `json=` (empty: not given) from the bare flag `json`.
    """
    pairs: list[tuple[str, str | None]] = []
    for part in text.split("&"):
        if not part:
            continue
        name, equals, value = part.partition("=")
        pairs.append((_decode(name), _decode(value) if equals else None))
    return pairs


def firsts(pairs: list[tuple[str, str | None]]) -> dict[str, str]:
    """Return the first value of each name; a bare flag is the empty text."""
    result: dict[str, str] = {}
    for name, value in pairs:
        result.setdefault(name, value or "")
    return result


async def read_body(headers: Headers, stream: AsyncIterator[bytes], limit: int) -> Body:
    """
    Read a request's body by its content type.

    :param limit: bytes a multipart body may have; other bodies have at most `FORM_LIMIT` of it
    :raises Refusal: the body is too long (413) or is not what its type says (400)
    """
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        return await _read_multipart(headers, _limited(stream, limit, limit))
    raw = b"".join([chunk async for chunk in _limited(stream, min(limit, FORM_LIMIT), limit)])
    if kind == "application/x-www-form-urlencoded":
        pairs = parse_pairs(raw.decode("utf-8", "replace"))
        return Body(pairs, dict(firsts(pairs)))
    if kind == "application/json" or kind.endswith("+json"):
        return _read_json(raw)
    if raw.strip():
        return Body(warnings=[f"The body was ignored: its type is {kind or 'not given'}"])
    return Body()


async def _limited(stream: AsyncIterator[bytes], limit: int, upload: int) -> AsyncGenerator[bytes, None]:
    size = 0
    async for chunk in stream:
        size += len(chunk)
        if size <= limit:
            yield chunk
        elif size > PATIENCE * upload:
            break
    # Read to its end first: a client that is still sending would not see the answer.
    if size > limit:
        raise Refusal(f"{TOO_LONG}: {size} bytes, of which {limit} are allowed", 413)


async def _read_multipart(headers: Headers, stream: AsyncGenerator[bytes, None]) -> Body:
    body = Body()
    ending = Ending(headers.get("content-type", ""))
    parser = MultiPartParser(headers, _watched(stream, ending), max_part_size=FORM_LIMIT)
    try:
        form = await parser.parse()
    except (Refusal, Problem):
        raise
    except Exception as error:
        # The parser underneath has exceptions of its own for each fault; all of them are the client's.
        async for _ in stream:
            pass
        raise Refusal(f"The body is not valid multipart/form-data: {_words(error)}") from None
    if not ending.complete:
        raise Refusal("The body is not valid multipart/form-data: it ends before its last boundary")
    for name, value in form.multi_items():
        if isinstance(value, UploadFile):
            body.files.setdefault(name, File(value.filename or "", value.file))
        else:
            body.fields.append((name, value))
            body.echo.setdefault(name, value)
    return body


async def _watched(stream: AsyncIterator[bytes], ending: Ending) -> AsyncGenerator[bytes, None]:
    async for chunk in stream:
        ending.add(chunk)
        yield chunk


def _read_json(raw: bytes) -> Body:
    if not raw.strip():
        return Body()
    try:
        document = json.loads(raw, parse_constant=_no_json)
    except (ValueError, RecursionError) as error:
        raise Refusal(f"The body is not valid JSON: {error}") from None
    if not isinstance(document, dict):
        raise Refusal(f"The body must be a JSON object, not {_json_type(document)}")
    return Body([(name, _as_text(value)) for name, value in document.items() if value is not None], document)


def _words(error: Exception) -> str:
    return error.message if isinstance(error, MultiPartException) else str(error)


def _no_json(word: str) -> Any:
    raise ValueError(f"{word} is not JSON")


def _as_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    # The JSON of a value is what the text arguments of that kind take: true, 5, {"a": 1}.
    return json.dumps(value)


def _json_type(value: Any) -> str:
    if value is None:
        return "null"
    return {list: "an array", str: "a string", bool: "a boolean"}.get(type(value), "a number")


def _decode(text: str) -> str:
    return unquote_plus(text, errors="replace")
