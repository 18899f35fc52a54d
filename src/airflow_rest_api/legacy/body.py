"""The body of a request: form, multipart or JSON, read up to a limit."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any, BinaryIO
from urllib.parse import unquote_plus

from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from airflow_rest_api.legacy.errors import Refusal
from airflow_rest_api.multipart import Ending
from airflow_rest_api.problem import Problem
from airflow_rest_api.room import no_room

FORM_LIMIT = 8 * 1024 * 1024
"""Bytes of a form or JSON body, which is held in memory; a multipart body may be as long as an upload."""

PATIENCE = 4
"""How many times an upload's limit is read of a body that is too long, before its client is left alone."""

TOO_LONG = "The request body is too long"

LARGE = 64 * 1024
"""Bytes of a body beyond which a thread reads it: the event loop has other requests to serve."""

MOST_FIELDS = 1000
"""Fields of a form or members of a JSON body, as many as a multipart body may have."""

MOST_VALUES = 100_000
"""Values of a JSON body: Python's JSON parser lets no other thread run before it is done with all of them."""

_STRING = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z)', re.DOTALL)
# Never without a match, or each quotation mark in an unfinished string would be tried once more.
_BEFORE_VALUES = "[{,"


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


async def read_body(
    headers: Headers,
    stream: AsyncIterator[bytes],
    limit: int,
    dispensable: Callable[[], bool] = lambda: False,
) -> Body:
    """
    Read a request's body by its content type.

    :param limit: bytes a multipart body may have; other bodies have at most `FORM_LIMIT` of it
    :param dispensable: whether the request is complete without a body: then one that is said to be JSON and
        is no JSON object counts as none, as it did in 1.x
    :raises Refusal: the body is too long (413) or is not what its type says (400)
    """
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        return await _read_multipart(headers, _limited(stream, limit, limit))
    raw = b"".join([chunk async for chunk in _limited(stream, min(limit, FORM_LIMIT), limit)])
    if kind == "application/x-www-form-urlencoded":
        return await _read(_read_form, raw)
    if kind == "application/json" or kind.endswith("+json"):
        try:
            return await _read(_read_json, raw)
        except _NoObject as error:
            if not dispensable():
                raise Refusal(f"The body {error}") from None
            return Body(warnings=[f"The body was ignored: it {error}"])
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
        if no_room(error):
            raise
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


class _NoObject(Exception):
    """A body is no JSON object; the message is what is to be said of it."""


async def _read(read: Callable[[bytes], Body], raw: bytes) -> Body:
    return await asyncio.to_thread(read, raw) if len(raw) > LARGE else read(raw)


def _read_form(raw: bytes) -> Body:
    if raw.count(b"&") >= MOST_FIELDS:
        raise _too_many_fields()
    pairs = parse_pairs(raw.decode("utf-8", "replace"))
    return Body(pairs, dict(firsts(pairs)))


def _read_json(raw: bytes) -> Body:
    if not raw.strip():
        return Body()
    try:
        text = raw.decode(json.detect_encoding(raw), "surrogatepass")
        if _has_too_many_values(text):
            if text.lstrip().startswith("{"):
                raise Refusal(f"The body has more than {MOST_VALUES} values", 413)
            raise _NoObject("must be a JSON object")
        document = json.loads(text, parse_constant=_no_json)
    except (ValueError, RecursionError) as error:
        raise _NoObject(f"is not valid JSON: {error}") from None
    if not isinstance(document, dict):
        raise _NoObject(f"must be a JSON object, not {_json_type(document)}")
    if len(document) > MOST_FIELDS:
        raise _too_many_fields()
    return Body([(name, _as_text(value)) for name, value in document.items() if value is not None], document)


def _has_too_many_values(text: str) -> bool:
    if sum(map(text.count, _BEFORE_VALUES)) <= MOST_VALUES:
        return False
    # What is inside of strings does not count: a long text is one value.
    found = end = 0
    for string in _STRING.finditer(text):
        found += sum(text.count(mark, end, string.start()) for mark in _BEFORE_VALUES)
        if found > MOST_VALUES:
            return True
        end = string.end()
    return found + sum(text.count(mark, end) for mark in _BEFORE_VALUES) > MOST_VALUES


def _too_many_fields() -> Refusal:
    return Refusal(f"The body has more than {MOST_FIELDS} fields")


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
