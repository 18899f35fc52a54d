"""Multipart bodies: parsed within bounds, and beside the event loop where they are long."""

from __future__ import annotations

import codecs
from collections.abc import AsyncGenerator, AsyncIterator
from typing import TYPE_CHECKING, Any

from starlette.datastructures import FormData, Headers
from starlette.formparsers import MultiPartException, MultiPartParser

from airflow_rest_api.header_values import parameter
from airflow_rest_api.parsing_threads import LARGE, read_aside

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartParser

TAIL = 512
"""Bytes kept of the end, where the last boundary is; little may follow it."""

LONGEST_BOUNDARY = 200
"""Characters; RFC 2046, 5.1.1 allows 70."""

LONGEST_HEADERS = 8 * 1024
"""Bytes of the headers of one part: what reads them may take time with the square of their length."""

_SLOW_CODECS = frozenset({"punycode", "idna"})
"""Those of Python's that take time with the square of the length; nobody writes a form in them."""


class Ending:
    """
    The end of a body as it passes by: the parser silently leaves out a part that was cut off.

    :param content_type: the header, which names the boundary
    """

    def __init__(self, content_type: str) -> None:
        self._boundary = parameter(content_type, "boundary").encode("latin-1", "replace")
        self._tail = b""

    def add(self, chunk: bytes) -> None:
        """Take the next bytes of the body."""
        self._tail = (self._tail + chunk[-TAIL:])[-TAIL:]

    @property
    def complete(self) -> bool:
        """Whether the last boundary came."""
        return b"--" + self._boundary + b"--" in self._tail


class Parser(MultiPartParser):
    """
    Starlette's parser, with bounds of what it lets a client choose, and threads for what is long.

    `parse` raises MultiPartException where the body, or what its Content-Type says of it, is none.
    """

    _of_headers = 0

    async def parse(self) -> FormData:
        """Return the form."""
        try:
            parser = self._parser()
            chunks: list[bytes] = []
            size = 0
            async for chunk in self.stream:
                chunks.append(chunk)
                size += len(chunk)
                if size > LARGE:
                    await self._write(parser, chunks, size)
                    chunks, size = [], 0
            await self._write(parser, chunks, size)
            parser.finalize()
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

    def _count_header(self, size: int) -> None:
        self._of_headers += size
        if self._of_headers > LONGEST_HEADERS:
            raise MultiPartException(f"The headers of a part have more than {LONGEST_HEADERS} bytes.")

    def _parser(self) -> MultipartParser:
        import python_multipart

        content_type = self.headers.get("content-type", "")
        boundary = parameter(content_type, "boundary")
        if not boundary:
            raise MultiPartException("Missing boundary in multipart.")
        if len(boundary) > LONGEST_BOUNDARY:
            raise MultiPartException(f"The boundary has more than {LONGEST_BOUNDARY} characters.")
        self._charset = _codec(parameter(content_type, "charset") or "utf-8")
        callbacks: Any = {
            name: getattr(self, name)
            for name in (
                "on_part_begin",
                "on_part_data",
                "on_part_end",
                "on_header_field",
                "on_header_value",
                "on_header_end",
                "on_headers_finished",
                "on_end",
            )
        }
        return python_multipart.MultipartParser(boundary.encode("latin-1"), callbacks)

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

        await read_aside(size, write, piece=True)


async def read_multipart(
    headers: Headers, stream: AsyncIterator[bytes], *, files: int, fields: int, part: int
) -> FormData:
    """
    Read a multipart body; whoever gets the form closes it.

    :param files: that it may have
    :param fields: that it may have beside them
    :param part: bytes that one field may have
    :raises MultiPartException: it is none, or has more
    """
    ending = Ending(headers.get("content-type", ""))
    parser = Parser(headers, _watched(stream, ending), max_files=files, max_fields=fields, max_part_size=part)
    form = await parser.parse()
    if not ending.complete:
        await form.close()
        raise MultiPartException("it ends before its last boundary")
    return form


async def _watched(stream: AsyncIterator[bytes], ending: Ending) -> AsyncGenerator[bytes, None]:
    async for chunk in stream:
        ending.add(chunk)
        yield chunk


def _codec(name: str) -> str:
    """Return the name of a form's character set, as Starlette reads it: of an unknown one, Latin 1."""
    try:
        found = codecs.lookup(name).name
    except (LookupError, ValueError):
        return "latin-1"
    return "latin-1" if found in _SLOW_CODECS else found
