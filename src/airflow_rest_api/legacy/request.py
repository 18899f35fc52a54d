"""What a client sends to a 1.x endpoint: query and body, read up to a limit, and the request in them."""

from __future__ import annotations

import codecs
import json
import re
from binascii import unhexlify
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import unquote_plus, unquote_to_bytes

from starlette.datastructures import FormData, Headers, UploadFile
from starlette.formparsers import MultiPartException

from airflow_rest_api import json_text
from airflow_rest_api.api.requests import NoParts, read_in_thread, read_multipart
from airflow_rest_api.asgi import media_type
from airflow_rest_api.disk_full import of_disk
from airflow_rest_api.errors import ApiError, Refusal, TooLarge
from airflow_rest_api.legacy.endpoints import ASYNC, BY_NAME
from airflow_rest_api.legacy.model import Endpoint, LegacyRequest
from airflow_rest_api.placement import queue_name

UNCHECKED = frozenset({"false", "off", "0", "no"})
"""The values that leave a check box unchecked; the 1.x plugin took them for checked."""

FORM_LIMIT = 8 * 1024 * 1024
"""Bytes of a form or JSON body, which is held in memory; a multipart body may be as long as an upload."""

PATIENCE = 4
"""How many times an upload's limit is read of a body that is too long, before its client is left alone."""

TOO_LONG = "The request body is too long"

MOST_FIELDS = 1000
"""Fields of a form or members of a JSON body, as many as a multipart body may have."""

TOO_MANY = f"The body has more than {MOST_FIELDS} fields"

_PIECE = 64 * 1024
"""Characters that are decoded at once: Python lets no other thread run in the middle."""

_DENSE = 0.9
"""Of a piece that is little else than escapes, as of a text in another script than ours."""

_ESCAPES = re.compile(rb"(?:%[0-9A-Fa-f]{2})+")
_FILES = 1000

DATES = ("execution_date", "exec_date", "start_date", "end_date")
"""The arguments that are dates."""
_BARE_OFFSET = re.compile(
    r"\A((?:\w+__)?[0-9]{4}[-/]?[0-9]{2}[-/]?[0-9]{2}[T ][0-9]{2}:?[0-9]{2}(?::?[0-9]{2}(?:[.,][0-9]+)?)?) "
    r"([0-9]{2}(?::?[0-9]{2})?(?:_\w+)?)\Z"
)
"""
A date and time, or the id that Airflow makes of one, and behind a blank what can only be an offset whose `+`
was sent as it is.
"""
_OF_AIRFLOW = re.compile(
    "(?:manual|scheduled|backfill|operator_triggered|asset_triggered|asset_materialization)__"
)
"""How Airflow begins the id of a run (``airflow/utils/types.py``: DagRunType)."""

QUEUE = "queue"
OF_ALL = ("api", QUEUE)
"""The arguments that every endpoint takes."""


@dataclass
class SentBody:
    """
    What came in the body.

    :ivar fields: names and texts in the order they came; None for a name without a value
    :ivar echo: the same as it was sent: `post_arguments` of the envelope
    :ivar files: files by the name of their field; the first of each name
    :ivar size: bytes of all but the files
    :ivar form: what has all files
    """

    fields: list[tuple[str, str | None]] = field(default_factory=list)
    echo: dict[str, Any] = field(default_factory=dict)
    files: dict[str, UploadFile] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    size: int = 0
    form: FormData = field(default_factory=FormData)

    async def close(self) -> None:
        """Give up the files: what they have in memory and on the disk."""
        await self.form.close()


@dataclass(frozen=True)
class Sent:
    """What was sent, before it is known to make sense: the query and the body."""

    query: list[tuple[str, str | None]]
    body: SentBody = field(default_factory=SentBody)

    @classmethod
    def of(cls, query: str) -> Sent:
        """Return what a raw query string sends."""
        return cls(parse_pairs(query))

    @property
    def arguments(self) -> dict[str, str]:
        """`arguments` of the envelope: what came in the query string."""
        return firsts(self.query)


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
) -> SentBody:
    """
    Read a request's body by its content type.

    :param limit: bytes a multipart body may have; other bodies have at most `FORM_LIMIT` of it
    :param dispensable: whether the request is complete without a body: then one that is said to be JSON and
        is no JSON object, or to be multipart and is not, counts as none, as it did in 1.x
    :raises Refusal: the body is too long (413) or is not what its type says (400)
    """
    try:
        return await _read_kind(media_type(headers.get("content-type", "")), headers, stream, limit)
    except _NoBody as error:
        if not dispensable():
            raise Refusal(f"The body {error}") from None
        return SentBody(warnings=[f"The body was ignored: it {error}"])


async def _read_kind(kind: str, headers: Headers, stream: AsyncIterator[bytes], limit: int) -> SentBody:
    if kind == "multipart/form-data":
        return await _read_multipart(headers, _limited(stream, limit, limit))
    raw = b"".join([chunk async for chunk in _limited(stream, min(limit, FORM_LIMIT), limit)])
    if kind == "application/x-www-form-urlencoded":
        return await _read(_read_form, raw)
    if kind == "application/json" or kind.endswith("+json"):
        return await _read(_read_json, raw)
    if raw.strip():
        return SentBody(warnings=[f"The body was ignored: its type is {kind or 'not given'}"])
    return SentBody()


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


async def _read_multipart(headers: Headers, stream: AsyncGenerator[bytes, None]) -> SentBody:
    body = SentBody()
    try:
        form = await read_multipart(headers, stream, files=_FILES, fields=MOST_FIELDS, part=FORM_LIMIT)
    except TooLarge as error:
        async for _ in stream:
            pass
        raise Refusal(f"{TOO_LONG}: {error.message}", 413) from None
    except ApiError:
        raise
    except Exception as error:
        if of_disk(error):
            raise
        # The parser underneath has exceptions of its own for each fault; all of them are the client's.
        async for _ in stream:
            pass
        words = error.message if isinstance(error, MultiPartException) else str(error)
        fault = f"is not valid multipart/form-data: {words}"
        # A part that has begun may be what the client wants done: it is not done without that.
        raise _NoBody(fault) if isinstance(error, NoParts) else Refusal(f"The body {fault}") from None
    body.form = form
    for name, value in form.multi_items():
        if isinstance(value, UploadFile):
            if name in body.files:
                body.warnings.append(f"Of several files '{name}' the first was taken")
            body.files.setdefault(name, value)
        else:
            body.fields.append((name, value))
            body.echo.setdefault(name, value)
            body.size += len(value)
    return body


class _NoBody(Exception):
    """A body is no JSON object, or no multipart/form-data; the message is its fault."""


async def _read(read: Callable[[bytes], SentBody], raw: bytes) -> SentBody:
    body = await read_in_thread(len(raw), partial(read, raw))
    body.size = len(raw)
    return body


def _read_form(raw: bytes) -> SentBody:
    if raw.count(b"&") >= MOST_FIELDS:
        raise Refusal(TOO_MANY)
    pairs = parse_pairs(raw.decode("utf-8", "replace"))
    return SentBody(pairs, dict(firsts(pairs)))


def _read_json(raw: bytes) -> SentBody:
    if not raw.strip():
        return SentBody()
    members: list[tuple[str, Any]] = []

    def read_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal members
        members = pairs
        return dict(pairs)

    try:
        document = json_text.loads(raw, _no_json, read_object)
    except json_text.TooMany as error:
        if raw.lstrip().startswith(b"{"):
            raise Refusal(f"The body {error}", 413) from None
        raise _NoBody("must be a JSON object") from None
    except ValueError as error:
        raise _NoBody(f"is not valid JSON: {error}") from None
    if not isinstance(document, dict):
        raise _NoBody(f"must be a JSON object, not {_json_type(document)}")
    if len(document) > MOST_FIELDS:
        raise Refusal(TOO_MANY)
    # The outermost object is read last. Of a name that comes twice the first counts.
    document |= reversed(members)
    given = {name: value for name, value in document.items() if value is not None}
    return SentBody([(name, _as_text(value)) for name, value in given.items()], document)


def _no_json(word: str) -> Any:
    raise ValueError(f"{word} is not JSON")


def _as_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    # The JSON of a value is what the text arguments of that kind take: true, 5, {"a": 1}.
    try:
        return json.dumps(value, allow_nan=False)
    except ValueError:
        # Such as 1e999, which Python reads as infinity: the answer, which repeats it, would be no JSON.
        raise Refusal("The body has a number that is too large") from None


def _json_type(value: Any) -> str:
    if value is None:
        return "null"
    return {list: "an array", str: "a string", bool: "a boolean"}.get(type(value), "a number")


def _decode(text: str) -> str:
    """Return what `unquote_plus(text, errors="replace")` does, letting other threads run in between."""
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


def endpoint_of(sent: Sent) -> Endpoint | None:
    """Return the endpoint that a request names, None where there is none of that name."""
    return BY_NAME.get(_name(sent))


def understand(sent: Sent) -> LegacyRequest:
    """
    Return the request that was sent.

    :raises Refusal: no endpoint, an unknown one, or arguments are missing
    """
    name = _name(sent)
    if not name:
        raise Refusal("API should be provided")
    endpoint = endpoint_of(sent)
    if endpoint is None:
        raise Refusal(f"API '{name}' was not found")
    # Of a name that comes twice the first counts.
    sources = [dict(reversed(sent.query)), dict(reversed(sent.body.fields))]
    boxes = [argument.name for argument in endpoint.arguments if argument.check_box]
    checked = {name for name in boxes if _is_checked(name, sources)}
    texts = [argument.name for argument in endpoint.arguments if not (argument.check_box or argument.file)]
    values = {name: value for name in texts if (value := _value(name, sources))}
    # In a query and a form a `+` is a blank: Airflow's parser would take the offset for the time of day.
    values |= {name: _BARE_OFFSET.sub(r"\1+\2", values[name]) for name in DATES if name in values}
    # So it is in the id that Airflow itself gives a run; in another one a blank may be meant.
    if _OF_AIRFLOW.match(run_id := values.get("run_id", "")):
        values["run_id"] = _BARE_OFFSET.sub(r"\1+\2", run_id)
    for name, text in values.items():
        # JSON can have half a surrogate pair in it, which cannot be written anywhere.
        if text != text.encode(errors="replace").decode():
            raise Refusal(f"Argument '{name}' is not valid Unicode text")
    if missing := [name for name in endpoint.required if name not in (*values, *endpoint.files)]:
        raise Refusal(f"The argument(s) {missing} are required")
    given = {*values, *checked}
    without_effect = [one.name for one in endpoint.arguments if one.without_effect and one.name in given]
    unknown = _unknown(endpoint, sent)
    ignored = [f"Unknown argument(s) {unknown} were ignored"] if unknown else []
    if no_texts := [one.name for one in endpoint.arguments if not one.file and one.name in sent.body.files]:
        ignored.append(f"Argument(s) {no_texts} were ignored where they came as files")
    return LegacyRequest(
        endpoint,
        values,
        frozenset(checked - {ASYNC.name}),
        {name: file for name, file in sent.body.files.items() if name in endpoint.files},
        (*sent.body.warnings, *ignored),
        (*without_effect, *unknown, *no_texts),
        leaves=ASYNC.name in checked,
        queue=_queue(sources),
    )


def is_complete(query: list[tuple[str, str | None]]) -> bool:
    """Return whether a query alone names an endpoint and gives all that it requires."""
    try:
        endpoint = understand(Sent(query)).endpoint
    except Refusal:
        return False
    return not set(endpoint.files) & set(endpoint.required)


def _name(sent: Sent) -> str:
    """Return what a request calls its endpoint; empty where it names none."""
    found = (next((v for n, v in pairs if n == "api"), None) for pairs in (sent.query, sent.body.fields))
    return next((value for value in found if value), "").strip().lower()


def _value(name: str, sources: Sequence[Mapping[str, str | None]]) -> str | None:
    value = next((value for source in sources if (value := source.get(name))), None)
    return value.strip() if value and name == "dag_id" else value


def _is_checked(name: str, sources: Sequence[Mapping[str, str | None]]) -> bool:
    for source in sources:
        if name not in source:
            continue
        value = source[name]
        if value is None:
            return True
        if value.strip():
            return value.strip().lower() not in UNCHECKED
    return False


def _unknown(endpoint: Endpoint, sent: Sent) -> list[str]:
    names = [name for name, _ in (*sent.query, *sent.body.fields)] + list(sent.body.files)
    return sorted({name for name in names if name not in OF_ALL and endpoint.argument(name) is None})


def _queue(sources: Sequence[Mapping[str, str | None]]) -> str | None:
    """Return the queue that a request names, None where it names none."""
    name = _value(QUEUE, sources)
    try:
        return None if name is None else queue_name(name.strip())
    except ValueError as error:
        raise Refusal(f"Argument '{QUEUE}': {error}") from None
