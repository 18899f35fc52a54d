"""The body of a request: a JSON object or a form with files, read within bounds and beside the event loop."""

from __future__ import annotations

import asyncio
import codecs
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache, partial
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import unquote

from pydantic import BaseModel, ValidationError
from starlette.datastructures import FormData, Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from airflow_rest_api import json_text
from airflow_rest_api.asgi import header_parameter, media_type
from airflow_rest_api.errors import (
    CLOSE,
    ApiError,
    BadArgument,
    BadJson,
    BadRequest,
    TooLarge,
    UnsupportedMediaType,
)
from airflow_rest_api.operations.files import Upload

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartParser

LARGE = 64 * 1024
"""Bytes beyond which a thread reads them; for fewer, handing them over is most of the time."""

T = TypeVar("T")


async def read_in_thread(size: int, read: Callable[[], T], *, piece: bool = False) -> T:
    """
    Return what a function makes of what a client sent, called in a thread of ours where that is long.

    There is one for whole bodies and one for pieces of them, which do not wait for the whole ones of others.
    More would not be faster, as Python runs one at a time, and each makes the event loop wait for its turn.

    :param size: of what was sent, in bytes or characters
    :param piece: there is more to come
    """
    if size <= LARGE:
        return read()
    return await asyncio.get_running_loop().run_in_executor(_thread(piece=piece), read)


@cache
def _thread(*, piece: bool) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, thread_name_prefix="rest-api-piece" if piece else "rest-api-body")


TAIL = 512
"""Bytes kept of the end, where the last boundary is; little may follow it."""

LONGEST_BOUNDARY = 200
"""Characters; RFC 2046, 5.1.1 allows 70."""

LONGEST_HEADERS = 8 * 1024
"""Bytes of the headers of one part: what reads them may take time with the square of their length."""

_SLOW_CODECS = frozenset({"punycode", "idna"})
"""Those of Python's that take time with the square of the length, and no form is written in them."""


class NoParts(MultiPartException):
    """A body in which not even the first part begins: whatever it is, nothing in it was for us."""


class BoundedParser(MultiPartParser):
    """
    Starlette's parser, with bounds of what it lets a client choose, and threads for what is long.

    `parse` raises MultiPartException where the body, or what its Content-Type says of it, is none.
    """

    begun = False
    option = ""
    """Which one bounds the files, for the message."""
    _of_headers = 0
    _of_fields = 0

    async def parse(self) -> FormData:
        """Return the form."""
        try:
            boundary, parser = self._begin()
            chunks: list[bytes] = []
            size, tail = 0, b""
            async for chunk in self.stream:
                tail = (tail + chunk[-TAIL:])[-TAIL:]
                chunks.append(chunk)
                size += len(chunk)
                if size > LARGE:
                    await self._write(parser, chunks, size)
                    chunks, size = [], 0
            await self._write(parser, chunks, size)
            parser.finalize()
            # The parser silently leaves out a part that was cut off.
            if b"--" + boundary + b"--" not in tail:
                raise MultiPartException("it ends before its last boundary")
        except BaseException as error:
            for file in self._files_to_close_on_error:
                file.close()
            # The exceptions of the parser underneath, by whatever name.
            if isinstance(error, ValueError):
                raise MultiPartException(str(error)) from error
            raise
        return FormData(self.items)

    def on_part_begin(self) -> None:
        """Begin a part."""
        self.begun = True
        self._of_headers = 0
        super().on_part_begin()

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        """Take a piece of a header's name."""
        self._count_header(end - start)
        super().on_header_field(data, start, end)

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        """Take a piece of a header's value."""
        self._count_header(end - start)
        super().on_header_value(data, start, end)

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        """Take a piece of the content of a part; those of files go to a disk."""
        if self._current_part.file is None:
            self._of_fields += end - start
            if self._of_fields > LONGEST_JSON:
                raise TooLarge(f"The fields of the form have more than {LONGEST_JSON} bytes.", headers=CLOSE)
        super().on_part_data(data, start, end)

    def on_headers_finished(self) -> None:
        """Begin the content of a part: a field or a file."""
        text = (self._current_part.content_disposition or b"").decode("latin-1")
        name = header_parameter(text, "filename*")
        plain = header_parameter(text, "filename")
        extended = bool(name) and not plain
        if extended:
            # The parser underneath takes such a part for a field: it looks for the plain name alone.
            # In front: nothing that it makes of the other parameters can hide this one.
            changed = f'form-data; filename="x";{text.partition(";")[2]}'
            self._current_part.content_disposition = changed.encode("latin-1")
        self._begin_content()
        if extended:
            assert self._current_part.file is not None
            self._current_part.file.filename = _extended_value(name)
        elif name and self._current_part.file is not None:
            # Which one counts depends on the version of the parser underneath; RFC 7578, 4.2 knows this one.
            self._current_part.file.filename = plain.encode("latin-1").decode(self._charset, "replace")

    def _begin_content(self) -> None:
        try:
            super().on_headers_finished()
        except MultiPartException:
            if self._current_files <= self.max_files:
                raise
            words = f"There are more than {self.max_files} files{self.option}."
            raise TooLarge(words, headers=CLOSE) from None

    def _count_header(self, size: int) -> None:
        self._of_headers += size
        if self._of_headers > LONGEST_HEADERS:
            raise MultiPartException(f"The headers of a part have more than {LONGEST_HEADERS} bytes.")

    def _begin(self) -> tuple[bytes, MultipartParser]:
        import python_multipart

        content_type = self.headers.get("content-type", "")
        boundary = header_parameter(content_type, "boundary")
        if not boundary:
            raise MultiPartException("Missing boundary in multipart.")
        if len(boundary) > LONGEST_BOUNDARY:
            raise MultiPartException(f"The boundary has more than {LONGEST_BOUNDARY} characters.")
        self._charset = _codec(header_parameter(content_type, "charset") or "utf-8")
        callbacks: Any = {name: getattr(self, name) for name in dir(self) if name.startswith("on_")}
        encoded = boundary.encode("latin-1")
        return encoded, python_multipart.MultipartParser(encoded, callbacks)

    async def _write(self, parser: MultipartParser, chunks: list[bytes], size: int) -> None:
        def write() -> None:
            parser.write(b"".join(chunks))
            for part, data in self._file_parts_to_write:
                assert part.file is not None
                part.file.file.write(data)
                part.file.size = (part.file.size or 0) + len(data)
            for part in self._file_parts_to_finish:
                assert part.file is not None
                part.file.file.seek(0)
            self._file_parts_to_write.clear()
            self._file_parts_to_finish.clear()

        # With its last piece, however short, the whole of a field becomes text.
        await read_in_thread(size + len(self._current_part.data), write, piece=True)


async def read_multipart(
    headers: Headers,
    stream: AsyncGenerator[bytes, None],
    *,
    files: int,
    fields: int,
    part: int,
    option: str = "",
) -> FormData:
    """
    Read a multipart body; the caller closes the form.

    :param files: that it may have
    :param fields: that it may have beside them
    :param part: bytes that one field may have
    :param option: which one of the settings bounds the files, for the message
    :raises MultiPartException: it is none (`NoParts`), has more fields, or ends before its last boundary
    :raises TooLarge: it has more files, or longer fields together
    """
    parser = BoundedParser(headers, stream, max_files=files, max_fields=fields, max_part_size=part)
    parser.option = f" ([rest_api_plugin] {option})" if option else ""
    try:
        return await parser.parse()
    except MultiPartException as error:
        if parser.begun:
            raise
        raise NoParts(error.message) from error


def _extended_value(text: str) -> str:
    """Return what a value in the form of RFC 5987 says; another text is what it is."""
    charset, found, rest = text.partition("'")
    _, found, quoted = rest.partition("'") if found else ("", "", "")
    encoding = "latin-1" if charset.lower() == "iso-8859-1" else "utf-8"
    return unquote(quoted, encoding, "replace") if found else text


def _codec(name: str) -> str:
    """Return the name of a form's character set, as Starlette reads it: where it makes no text, Latin 1."""
    try:
        found = codecs.lookup(name).name
        # Python has some that turn bytes into bytes (hex), or refuse whatever comes.
        b"x".decode(found, "replace")
    except (LookupError, ValueError):
        return "latin-1"
    return "latin-1" if found in _SLOW_CODECS else found


MOST_FILES = 20
MOST_FIELDS = 1000
"""Fields of a form, or members of a JSON object."""
LONGEST_FIELD = 64 * 1024
LONGEST_JSON = 8 * 1024 * 1024
"""Bytes of a JSON body, or of the fields of a form: they are held in memory, and files are not."""
MULTIPART = "multipart/form-data"

SWITCH = {
    **dict.fromkeys(("true", "on", "1", "yes"), True),
    **dict.fromkeys(("false", "off", "0", "no"), False),
}
"""What a field of a form may hold for true and for false, in small letters."""

M = TypeVar("M", bound=BaseModel)


@dataclass
class Body:
    """What a request brought: values by name (those of a form as lists of text) and files by name."""

    values: dict[str, Any] = field(default_factory=dict)
    files: dict[str, Upload] = field(default_factory=dict)
    form: bool = False


@asynccontextmanager
async def read_body(request: Request, limit: int) -> AsyncIterator[Body]:
    """
    Read the body of a request; uploaded files can be read until the context ends.

    :param limit: bytes that the body may have
    :raises ApiError: the body is too large, of another type, or not what its type says
    """
    kind = media_type(request.headers.get("content-type", ""))
    if kind == MULTIPART:
        async with _form(request, limit, MOST_FILES, limit) as form:
            yield _from_form(form)
        return
    is_json = kind == "application/json" or kind.endswith("+json")
    content = b"".join([chunk async for chunk in _limited(request, min(limit, LONGEST_JSON))])
    if not content.strip():
        yield Body()
    elif is_json:
        yield Body(await read_in_thread(len(content), partial(_from_json, content)))
    else:
        raise _other_type(kind, "JSON or multipart/form-data")


async def read_model(request: Request, limit: int, model: type[M], *, strict: bool = False) -> M:
    """
    Read a body that has to be JSON, after the caller was let in and within a limit.

    FastAPI would read it before, however long it is.

    :param limit: bytes that the body may have
    :param strict: take nothing of another type, as "1" for a number
    :raises ApiError: the body is too large, no JSON, or not what the model says
    """
    async with read_body(request, limit) as body:
        if body.form:
            raise UnsupportedMediaType("A form is not taken here: send JSON.")
        return validated(model, body.values, strict=strict)


def validated(model: type[M], values: dict[str, Any], *, strict: bool = False) -> M:
    """Return what a client sent as a model says it is; raise ApiError."""
    try:
        return model.model_validate(values, strict=strict)
    except ValidationError as error:
        # All are made for the one: bodies have few members, and a list fails with its first wrong item.
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        # Nowhere is where a member has a name with half a character in it.
        place = [str(part) for part in first["loc"]] or ["body"]
        raise BadRequest(f"{'.'.join(place)}: {first['msg']}", argument=place[0]) from None


def json_body(model: type[BaseModel], *, required: bool = True) -> dict[str, Any]:
    """
    Return the body that `read_model` reads for OpenAPI; answers describe the parts of the model.

    Its example has what cannot be left out, and nothing else: what is tried out begins with that.
    """
    schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
    schema.pop("$defs", None)
    properties = schema["properties"]
    schema["example"] = {name: properties[name]["examples"][0] for name in schema.get("required", ())}
    return {"required": required, "content": {"application/json": {"schema": schema}}}


@asynccontextmanager
async def read_form(request: Request, limit: int, files: int, option: str) -> AsyncIterator[FormData]:
    """
    Read a body that has to be multipart/form-data; uploaded files can be read until the context ends.

    :param limit: bytes that the body may have
    :param files: that it may have
    :param option: which one of the settings says so
    :raises ApiError: the body is too large, of another type, or not what its type says
    """
    kind = media_type(request.headers.get("content-type", ""))
    if kind != MULTIPART:
        raise _other_type(kind, MULTIPART)
    async with _form(request, limit, files, LONGEST_FIELD, option) as form:
        yield form


@asynccontextmanager
async def _form(
    request: Request, limit: int, files: int, part: int, option: str = ""
) -> AsyncIterator[FormData]:
    stream = _limited(request, limit)
    try:
        form = await read_multipart(
            request.headers, stream, files=files, fields=MOST_FIELDS, part=part, option=option
        )
    except MultiPartException as error:
        raise BadRequest(f"The body is no {MULTIPART}: {error.message}") from None
    try:
        yield form
    finally:
        await form.close()


async def _limited(request: Request, limit: int) -> AsyncGenerator[bytes, None]:
    """Yield a body as it comes, up to a limit."""
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared[:20]) > limit:
        raise _too_large(limit)
    seen = 0
    async for chunk in request.stream():
        seen += len(chunk)
        if seen > limit:
            raise _too_large(limit)
        yield chunk


def _too_large(limit: int) -> ApiError:
    return TooLarge(
        f"The body has more than {limit} bytes ([rest_api_plugin] max_upload, and {LONGEST_JSON} of JSON).",
        headers=CLOSE,
    )


def _other_type(kind: str, wanted: str) -> ApiError:
    return UnsupportedMediaType(f"A body of type {kind[:100] or 'nothing'!r} is not taken: send {wanted}.")


def _from_json(content: bytes) -> dict[str, Any]:
    try:
        value = json_text.loads(content)
    except json_text.TooMany as error:
        raise BadJson(f"The body {error}.") from None
    except ValueError as error:
        raise BadJson(f"The body is no JSON: {error}") from None
    if not isinstance(value, dict):
        raise BadJson("The body must be a JSON object.")
    if len(value) > MOST_FIELDS:
        raise BadJson(f"The body has more than {MOST_FIELDS} members.")
    return value


def _from_form(form: FormData) -> Body:
    body = Body(form=True)
    for name, value in form.multi_items():
        if isinstance(value, UploadFile):
            if name in body.files:
                raise BadArgument(name, f"{name}: there is more than one file of this name.")
            body.files[name] = Upload(value.filename or name, value.file)
        else:
            body.values.setdefault(name, []).append(value)
    return body
