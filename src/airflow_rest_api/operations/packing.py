"""Pieces of output: cut to what is kept, packed into bytes, put together into a text."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from heapq import merge as merge_sorted
from itertools import pairwise

from airflow_rest_api.operations.model import STREAMS, Chunk, Stream
from airflow_rest_api.operations.track import begins, whole
from airflow_rest_api.storage.schema import PART

LARGEST_CHUNK = 64 * 1024
"""Bytes up to which neighbouring chunks become one."""

PROGRESS_LIMIT = 256 * 1024
"""Bytes kept of what an operation says of its progress, where the limit of the output is less."""

_PLAIN, _ZLIB = b"\0", b"\1"
_WORTH = 512  # bytes from which compressing is worth it
_HEADER = struct.Struct("<BQqI")  # stream, offset, microseconds since 1970, length
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def upto(chunk: Chunk) -> int:
    """Return how many bytes of the stream there are up to the end of a chunk."""
    return chunk.offset + len(chunk.data)


def head(stream: Stream, limit: int) -> int:
    """Return how many bytes of a stream's beginning are kept; of its end it is the rest of the limit."""
    limit = _limit(stream, limit)
    return limit - limit // 2


def forgotten(stream: Stream, size: int, limit: int) -> tuple[int, int] | None:
    """Return from where to where a stream of that size is not kept; None where all of it is."""
    begin, end = head(stream, limit), size - _limit(stream, limit) // 2
    return (begin, end) if end > begin else None


def join(chunks: Iterable[Chunk], limit: int) -> list[Chunk]:
    """
    Return chunks as they are stored: neighbours joined, none over the end of a stream's head or too large.

    :param chunks: in the order of printing, which stays
    """
    joined: list[Chunk] = []
    for chunk in chunks:
        if chunk.stream == "progress":
            joined.append(chunk)
            continue
        edge = head(chunk.stream, limit)
        for piece in _split(chunk, edge):
            last = joined[-1] if joined else None
            if (
                last is not None
                and last.stream == piece.stream
                and upto(last) == piece.offset != edge
                and len(last.data) + len(piece.data) <= LARGEST_CHUNK
            ):
                joined[-1] = replace(last, data=last.data + piece.data)
            else:
                joined.append(piece)
    return joined


def keep(chunks: Sequence[Chunk], limit: int) -> list[Chunk]:
    """Return chunks without those that lie wholly in the forgotten middle of their stream."""
    sizes = {stream: max((upto(c) for c in chunks if c.stream == stream), default=0) for stream in STREAMS}
    gaps = {stream: forgotten(stream, size, limit) for stream, size in sizes.items()}
    return [
        chunk
        for chunk in chunks
        if (gap := gaps[chunk.stream]) is None or chunk.offset < gap[0] or upto(chunk) > gap[1]
    ]


def after(chunks: Iterable[Chunk], seen: Mapping[Stream, int]) -> list[Chunk]:
    """Return what lies behind a position in each stream; a chunk across it is cut."""
    found = []
    for chunk in chunks:
        missing = max(0, seen.get(chunk.stream, 0) - chunk.offset)
        if missing < len(chunk.data):
            cut = replace(chunk, offset=chunk.offset + missing, data=chunk.data[missing:])
            found.append(cut if missing else chunk)
    return found


def in_order(chunks: Iterable[Chunk]) -> list[Chunk]:
    """
    Return chunks in the order of printing.

    Within a stream it is that of the offsets, whatever a clock that was set back says; between the streams
    it is that of the times.
    """
    streams: dict[Stream, list[Chunk]] = {stream: [] for stream in STREAMS}
    for chunk in chunks:
        streams[chunk.stream].append(chunk)
    for stream in streams.values():
        stream.sort(key=upto)
    return list(merge_sorted(*streams.values(), key=lambda chunk: chunk.at))


def once(chunks: Iterable[Chunk]) -> list[Chunk]:
    """Return chunks in the order of printing, each byte once: a write that was repeated may have cut anew."""
    position: dict[Stream, int] = dict.fromkeys(STREAMS, 0)
    found = []
    for chunk in in_order(chunks):
        found += after((chunk,), position)
        position[chunk.stream] = max(position[chunk.stream], upto(chunk))
    return found


def text_of(chunks: Iterable[Chunk], stream: Stream, limit: int) -> tuple[str, bool]:
    """
    Return a stream as a text, with a line wherever bytes are missing; and whether any are.

    :param chunks: of any stream, each byte once
    """
    mine = sorted((chunk for chunk in chunks if chunk.stream == stream and chunk.data), key=upto)
    gap = forgotten(stream, upto(mine[-1]) if mine else 0, limit)
    runs: list[tuple[int, bytearray]] = []  # offset, bytes without a gap
    for chunk in mine:
        for start, end in _outside(gap, chunk.offset, upto(chunk)):
            if not runs or start != runs[-1][0] + len(runs[-1][1]):
                runs.append((start, bytearray()))
            runs[-1][1].extend(chunk.data[start - chunk.offset : end - chunk.offset])
    parts: list[str] = []
    position = 0
    for number, (offset, run) in enumerate(runs, 1):
        data = bytes(run)
        # No half characters at the edges of a gap.
        first = begins(data) if offset > position else 0
        last = len(data) if number == len(runs) else whole(data)
        if offset + first > position:
            parts.append(f"\n… {offset + first - position} bytes left out …\n")
        parts.append(data[first:last].decode(errors="replace"))
        position = offset + last
    return "".join(parts), len(runs) > 1 or bool(runs and runs[0][0])


def pack(chunks: Iterable[Chunk]) -> bytes:
    """Return chunks as bytes, compressed where that is worth it."""
    plain = b"".join(
        _HEADER.pack(
            STREAMS.index(chunk.stream),
            chunk.offset,
            (chunk.at - _EPOCH) // timedelta(microseconds=1),
            len(chunk.data),
        )
        + chunk.data
        for chunk in chunks
    )
    return squeeze(plain)


def unpack(packed: bytes) -> list[Chunk]:
    """Return the chunks of `pack`; raise ValueError where they are damaged."""
    plain = stretch(packed)
    chunks, position = [], 0
    try:
        while position < len(plain):
            number, offset, moment, length = _HEADER.unpack_from(plain, position)
            position += _HEADER.size
            at = _EPOCH + timedelta(microseconds=moment)
            chunks.append(Chunk(STREAMS[number], offset, at, plain[position : position + length]))
            position += length
    except (struct.error, LookupError, OverflowError) as error:
        raise ValueError("damaged output") from error
    return chunks


def squeeze(data: bytes) -> bytes:
    """Return bytes in the form in which they are stored."""
    if len(data) >= _WORTH:
        compressed = zlib.compress(data, 1)
        if len(compressed) < len(data):
            return _ZLIB + compressed
    return _PLAIN + data


def stretch(stored: bytes) -> bytes:
    """Return the bytes of `squeeze`; raise ValueError where they are damaged."""
    if stored[:1] != _ZLIB:
        return stored[1:]
    try:
        return zlib.decompress(stored[1:])
    except zlib.error as error:
        raise ValueError("damaged bytes") from error


def _limit(stream: Stream, limit: int) -> int:
    return max(limit, PROGRESS_LIMIT) if stream == "progress" else limit


def _split(chunk: Chunk, edge: int) -> Iterable[Chunk]:
    cuts = [at for at in (edge - chunk.offset,) if 0 < at < len(chunk.data)]
    cuts += [at for start in [0, *cuts] for at in range(start + PART, len(chunk.data), PART)]
    edges = sorted({0, *cuts, len(chunk.data)})
    if len(edges) <= 2:
        return (chunk,) if chunk.data else ()
    return tuple(
        replace(chunk, offset=chunk.offset + start, data=chunk.data[start:end])
        for start, end in pairwise(edges)
    )


def _outside(gap: tuple[int, int] | None, start: int, end: int) -> Iterable[tuple[int, int]]:
    """Return what of a range lies outside a gap."""
    if gap is None:
        return ((start, end),)
    pieces = ((start, min(end, gap[0])), (max(start, gap[1]), end))
    return tuple((first, last) for first, last in pieces if first < last)
