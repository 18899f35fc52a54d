"""The body of a request: form, multipart or JSON, read up to a limit."""

from __future__ import annotations

import codecs
import json
import re
from binascii import unhexlify
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, BinaryIO
from urllib.parse import unquote_plus, unquote_to_bytes

from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException

from airflow_rest_api import json_text
from airflow_rest_api.errors import ApiError, Refusal
from airflow_rest_api.header_values import media_type
from airflow_rest_api.multipart import read_multipart
from airflow_rest_api.parsing_threads import read_aside
from airflow_rest_api.room import no_room

FORM_LIMIT = 8 * 1024 * 1024
"""Bytes of a form or JSON body, which is held in memory; a multipart body may be as long as an upload."""

PATIENCE = 4
"""How many times an upload's limit is read of a body that is too long, before its client is left alone."""

TOO_LONG = "The request body is too long"

MOST_FIELDS = 1000
"""Fields of a form or members of a JSON body, as many as a multipart body may have."""

_PIECE = 64 * 1024
"""Characters that are decoded at once: Python lets no other thread run in the middle."""

_DENSE = 0.9
"""Of a piece that is little else than escapes, as of a text in another script than ours."""

_ESCAPES = re.compile(rb"(?:%[0-9A-Fa-f]{2})+")
_FILES = 1000


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
    :ivar size: bytes of all but the files
    """

    fields: list[tuple[str, str | None]] = field(default_factory=list)
    echo: dict[str, Any] = field(default_factory=dict)
    files: dict[str, File] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    size: int = 0


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
    kind = media_type(headers.get("content-type", ""))
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
    try:
        form = await read_multipart(headers, stream, files=_FILES, fields=MOST_FIELDS, part=FORM_LIMIT)
    except (Refusal, ApiError):
        raise
    except Exception as error:
        if no_room(error):
            raise
        # The parser underneath has exceptions of its own for each fault; all of them are the client's.
        async for _ in stream:
            pass
        raise Refusal(f"The body is not valid multipart/form-data: {_words(error)}") from None
    for name, value in form.multi_items():
        if isinstance(value, UploadFile):
            body.files.setdefault(name, File(value.filename or "", value.file))
        else:
            body.fields.append((name, value))
            body.echo.setdefault(name, value)
            body.size += len(value)
    return body


class _NoObject(Exception):
    """A body is no JSON object; the message is what is to be said of it."""


async def _read(read: Callable[[bytes], Body], raw: bytes) -> Body:
    body = await read_aside(len(raw), partial(read, raw))
    body.size = len(raw)
    return body


def _read_form(raw: bytes) -> Body:
    if raw.count(b"&") >= MOST_FIELDS:
        raise _too_many_fields()
    pairs = parse_pairs(raw.decode("utf-8", "replace"))
    return Body(pairs, dict(firsts(pairs)))


def _read_json(raw: bytes) -> Body:
    if not raw.strip():
        return Body()
    try:
        document = json_text.loads(raw, _no_json)
    except json_text.TooMany as error:
        if raw.lstrip().startswith(b"{"):
            raise Refusal(f"The body {error}", 413) from None
        raise _NoObject("must be a JSON object") from None
    except ValueError as error:
        raise _NoObject(f"is not valid JSON: {error}") from None
    if not isinstance(document, dict):
        raise _NoObject(f"must be a JSON object, not {_json_type(document)}")
    if len(document) > MOST_FIELDS:
        raise _too_many_fields()
    return Body([(name, _as_text(value)) for name, value in document.items() if value is not None], document)


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
    """Return what `unquote_plus(text, errors="replace")` does, leaving other threads their turn."""
    if len(text) <= _PIECE:
        return unquote_plus(text, errors="replace")
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    raw = text.encode().replace(b"+", b" ")
    pieces = []
    start = 0
    while start < len(raw):
        end = start + _PIECE
        # Not in the middle of an escape: %41
        cut = raw.rfind(b"%", end - 2, end)
        end = end if cut < 0 else cut
        pieces.append(decoder.decode(_unescaped(raw[start:end])))
        start = end
    return "".join(pieces) + decoder.decode(b"", final=True)


def _unescaped(piece: bytes) -> bytes:
    if 3 * piece.count(b"%") < _DENSE * len(piece):
        return unquote_to_bytes(piece)
    # Many in a row, which take a third of the time all at once.
    return _ESCAPES.sub(lambda escapes: unhexlify(escapes[0].replace(b"%", b"")), piece)
