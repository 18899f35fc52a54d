from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta, timezone
from functools import wraps
from typing import Any

import pytest

from airflow_rest_api.operations.transcript import (
    BLOCK,
    FEWEST,
    PROGRESS_LIMIT,
    SMALLEST,
    Block,
    Transcript,
    joined,
    text_of,
    whole,
)

NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)


def on_a_loop(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Run a test on an event loop, which a transcript belongs to."""

    @wraps(test)
    def run(*arguments: Any, **named: Any) -> None:
        asyncio.run(test(*arguments, **named))  # type: ignore[arg-type]

    return run


def transcript_of(*pieces: tuple[str, bytes], limit: int = 10_000) -> Transcript:
    """Return a transcript with a block for each piece."""
    transcript = Transcript(limit)
    for number, (stream, data) in enumerate(pieces):
        transcript.add(stream, data, NOW + number * timedelta(seconds=1))  # type: ignore[arg-type]
        transcript.close()
    return transcript


def seen(transcript: Transcript, seq: int = 0) -> list[tuple[int, str, int, bytes]]:
    return [(b.seq, b.stream, b.offset, b.data) for b in transcript.since(seq)]


@on_a_loop
async def test_all_streams_are_numbered_in_the_order_in_which_they_were_printed():
    transcript = transcript_of(("stdout", b"a"), ("stderr", b"bb"), ("stdout", b"c"), ("progress", b"{}"))

    assert seen(transcript) == [
        (1, "stdout", 0, b"a"),
        (2, "stderr", 0, b"bb"),
        (3, "stdout", 1, b"c"),
        (4, "progress", 0, b"{}"),
    ]
    assert seen(transcript, 2) == seen(transcript)[2:]
    assert seen(transcript, transcript.last) == seen(transcript, 999) == []


@on_a_loop
async def test_what_comes_together_is_one_block_that_never_changes():
    transcript = Transcript(10_000)
    for _ in range(3):
        transcript.add("stdout", b"ab")
    transcript.add("stderr", b"x")
    transcript.close()
    read = transcript.since(0)
    transcript.add("stderr", b"later")
    transcript.close()

    assert seen(transcript) == [
        (1, "stdout", 0, b"ababab"),
        (2, "stderr", 0, b"x"),
        (3, "stderr", 1, b"later"),
    ]
    assert transcript.since(0)[:2] == read


@on_a_loop
async def test_what_gathers_becomes_a_block_by_itself_and_wakes_all_who_wait():
    transcript = Transcript(10_000)
    waiting = [asyncio.create_task(transcript.changed(transcript.version, 60)) for _ in range(5)]
    await asyncio.sleep(0)
    transcript.add("stdout", b"a")
    await asyncio.gather(*waiting)
    assert seen(transcript) == [(1, "stdout", 0, b"a")]
    await transcript.changed(0, 60)
    for _ in range(10):
        transcript.add("stdout", b"b")
        await asyncio.sleep(0)
    assert len(transcript.since(0)) < 10
    await transcript.changed(transcript.version, 60)
    assert transcript.text("stdout") == "a" + "b" * 10
    last = asyncio.create_task(transcript.changed(transcript.version, 60))
    await asyncio.sleep(0)
    transcript.end()
    await last
    await transcript.changed(transcript.version, 0.001)
    assert transcript.ended


@pytest.mark.parametrize("size", [BLOCK, 10 * BLOCK + 1])
@on_a_loop
async def test_no_block_is_larger_than_a_block(size: int):
    transcript = transcript_of(("stdout", b"x" * size), limit=1024 * 1024)

    assert max(len(block.data) for block in transcript.since(0)) == BLOCK
    assert transcript.text("stdout") == "x" * size


@on_a_loop
async def test_beginning_and_end_are_kept_and_what_is_missing_is_said():
    transcript = transcript_of(*[("stdout", b"%03d." % number) for number in range(100)], limit=16)

    assert transcript.text("stdout") == "000.001.\n… 384 bytes left out …\n098.099."
    assert transcript.truncated
    assert seen(transcript, 1) == [
        (2, "stdout", 4, b"001."),
        (99, "stdout", 392, b"098."),
        (100, "stdout", 396, b"099."),
    ]
    assert transcript.take_dropped() == {"stdout": (3, 98)}
    assert transcript.take_dropped() == {}
    assert transcript.size == 16


@on_a_loop
async def test_of_tiny_blocks_a_bounded_number_is_kept_and_what_is_missing_is_said():
    transcript, followed = Transcript(10_000), Transcript(10_000)
    for _ in range(4 * FEWEST):
        transcript.add("stdout", b"o")
        transcript.add("stderr", b"e")
    transcript.settle()
    for one in transcript.since(0):
        followed.take(one)

    kept = transcript.since(0)
    assert len(kept) == 4 * FEWEST
    half = FEWEST * "o"
    assert transcript.text("stdout") == f"{half}\n… {2 * FEWEST} bytes left out …\n{half}"
    assert transcript.truncated
    assert transcript.last == 8 * FEWEST
    first, last = transcript.take_dropped()["stdout"]
    assert not [one for one in kept if one.stream == "stdout" and first <= one.seq <= last]
    assert followed.since(0) == kept


@on_a_loop
async def test_what_just_fits_is_kept_as_it_is():
    transcript = transcript_of(("stdout", b"12345678"), ("stdout", b"90123456"), limit=16)

    assert (transcript.text("stdout"), transcript.truncated) == ("1234567890123456", False)
    assert transcript.take_dropped() == {}


@on_a_loop
async def test_where_a_reader_was_is_known_of_each_stream():
    pieces = [("stdout", b"abc"), ("stderr", b"de"), ("stdout", b"f"), ("progress", b"{}")]
    transcript = transcript_of(*pieces)

    assert transcript.ends(2) == {"stdout": 3, "stderr": 2, "progress": 0}
    assert transcript.ends(99) == {"stdout": 4, "stderr": 2, "progress": 2}
    assert Transcript(10).ends(5) == {"stdout": 0, "stderr": 0, "progress": 0}


@pytest.mark.parametrize("pieces", range(1, 7))
@on_a_loop
async def test_no_block_splits_a_character(pieces: int):
    text = "ä€🙂" * 400
    data = text.encode()
    transcript = Transcript(10_000)
    for start in range(0, len(data), pieces):
        transcript.add("stdout", data[start : start + pieces])
        if start % 5 == 0:
            transcript.close()
    transcript.settle()

    assert "".join(block.data.decode() for block in transcript.since(0)) == text


@on_a_loop
async def test_half_a_character_at_the_end_is_shown_as_what_it_is():
    transcript = transcript_of(("stdout", b"ab\xe2\x82"))
    assert transcript.text("stdout") == "ab"
    transcript.settle()

    assert transcript.text("stdout") == "ab\ufffd"
    transcript.add("stdout", b"too late")
    transcript.close()
    assert transcript.last == 2


@pytest.mark.slow
@on_a_loop
async def test_a_report_of_progress_is_one_block():
    transcript = Transcript(16)
    for number in range(40_000):
        transcript.add("progress", b'{"n": %5d}' % number)

    blocks = transcript.since(0)
    assert all(block.data.startswith(b"{") and block.data.endswith(b"}") for block in blocks)
    assert (blocks[0].offset, blocks[-1].data) == (0, b'{"n": 39999}')
    assert PROGRESS_LIMIT <= transcript.size < PROGRESS_LIMIT + 100
    assert not transcript.truncated


@on_a_loop
async def test_blocks_of_another_transcript_make_the_same_transcript():
    one = transcript_of(*[("stdout", b"%03d." % n) for n in range(100)], ("stderr", b"end"), limit=16)
    other = Transcript(16)
    for block in one.since(0):
        other.take(block)
        other.take(block)

    assert other.since(0) == one.since(0)
    assert other.last == one.last


@on_a_loop
async def test_a_limit_stops_after_whole_blocks_and_gives_one_at_least():
    transcript = transcript_of(("stdout", b"aaaa"), ("stderr", b"bbbb"), ("stdout", b"cccc"))

    assert [len(transcript.since(0, limit)) for limit in (1, 4, 8, 11, 12)] == [1, 1, 2, 2, 3]


@pytest.mark.parametrize("seed", range(30))
@on_a_loop
async def test_of_any_output_order_ends_and_resumption_hold(seed: int):
    chance = random.Random(seed)
    limit = chance.choice([100, 1000, 20_000])
    transcript = Transcript(limit)
    printed = {"stdout": b"", "stderr": b""}
    reader: list[Block] = []
    for _ in range(chance.randrange(1, 300)):
        stream = chance.choice(["stdout", "stderr"])
        data = chance.choice(["x", "ä€🙂", "line\n"]).encode() * chance.randrange(1, 40)
        cut = chance.randrange(len(data))
        for piece in (data[:cut], data[cut:]):
            transcript.add(stream, piece)  # type: ignore[arg-type]
        printed[stream] += data
        if chance.random() < 0.3:
            reader += transcript.since(reader[-1].seq if reader else 0)
    transcript.settle()
    reader += transcript.since(reader[-1].seq if reader else 0)

    kept = transcript.since(0)
    assert [block.seq for block in kept] == sorted(block.seq for block in kept)
    assert [block.seq for block in reader] == sorted({block.seq for block in reader})
    assert set(kept) <= set(reader)
    half, size = limit // 2, max(limit // 16, SMALLEST)
    for stream, data in printed.items():
        mine = [block for block in kept if block.stream == stream]
        assert all(data[block.offset : block.end] == block.data for block in mine + reader if block in mine)
        text, truncated = text_of(kept, stream)  # type: ignore[arg-type]
        if len(data) <= limit:
            assert (text, truncated) == (data.decode(), False)
        assert sum(len(block.data) for block in mine) <= limit + 2 * size
        start = b"".join(block.data for block in mine if block.end <= half)
        assert data.startswith(start)
        assert len(start) > min(len(data), half) - size
        assert not data or mine[-1].end == len(data)


def block(seq: int, offset: int, data: bytes) -> Block:
    return Block(seq, "stdout", offset, NOW, data)


@pytest.mark.parametrize(
    ("offset", "limit", "expected"),
    [
        (0, 100, (0, b"abcdef", True)),
        (2, 100, (2, b"cdef", True)),
        (2, 2, (2, b"cd", False)),
        (0, 3, (0, b"abc", False)),
    ],
)
def test_a_stream_is_read_on_from_any_byte(offset: int, limit: int, expected: tuple[int, bytes, bool]):
    blocks = [b for b in (block(1, 0, b"abc"), block(3, 3, b"def")) if b.end > offset]

    assert joined(blocks, offset, limit) == expected


def test_a_stream_is_read_up_to_where_something_is_missing():
    assert joined([block(1, 0, b"abc"), block(9, 50, b"def")], 1, 100) == (1, b"bc", False)
    assert joined([block(9, 50, b"def")], 10, 100) == (50, b"def", True)
    assert joined([], 10, 100) == (10, b"", True)
    assert joined([block(1, 0, "€€".encode())], 0, 4) == (0, "€".encode(), False)


@pytest.mark.parametrize(("data", "length"), [(b"", 0), (b"ab", 2), (b"a\xe2\x82", 1), ("a€".encode(), 4)])
def test_the_last_character_is_whole(data: bytes, length: int):
    assert whole(data) == length
