from __future__ import annotations

import asyncio
from datetime import datetime, timedelta, timezone

import pytest

from airflow_rest_api.operations.feed import Feed, Position
from airflow_rest_api.operations.model import Chunk

NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)
LATER = NOW + timedelta(seconds=10)


def feed_of(*pieces: tuple[str, bytes], limit: int = 1000) -> Feed:
    feed = Feed(limit)
    for number, (stream, data) in enumerate(pieces):
        feed.add(stream, data, NOW + number * timedelta(seconds=1))  # type: ignore[arg-type]
    return feed


def seen(feed: Feed, position: Position | None = None) -> list[tuple[str, int, bytes]]:
    return [(c.stream, c.offset, c.data) for c in feed.since(position or Position())]


def test_both_streams_come_in_the_order_in_which_they_were_printed():
    feed = feed_of(("stdout", b"a"), ("stderr", b"bb"), ("stdout", b"c"), ("progress", b"{}"))

    assert seen(feed) == [
        ("stdout", 0, b"a"),
        ("stderr", 0, b"bb"),
        ("stdout", 1, b"c"),
        ("progress", 0, b"{}"),
    ]
    assert feed.position == Position(2, 2, 2)


def test_a_reader_goes_on_where_it_was_in_the_midst_of_a_chunk_too():
    feed = feed_of(("stdout", b"abc"), ("stderr", b"xyz"), ("stdout", b"def"))

    assert seen(feed, Position(4, 1)) == [("stderr", 1, b"yz"), ("stdout", 4, b"ef")]
    assert seen(feed, feed.position) == []
    assert seen(feed, Position(999, 999, 999)) == []


def test_what_comes_together_is_one_chunk():
    feed = Feed(1000)
    for _ in range(3):
        feed.add("stdout", b"ab", NOW)
    feed.add("stderr", b"x", NOW)
    feed.add("stdout", b"later", NOW)

    assert seen(feed) == [("stdout", 0, b"ababab"), ("stderr", 0, b"x"), ("stdout", 6, b"later")]


def test_beginning_and_end_are_kept_and_what_is_missing_is_said():
    feed = feed_of(*[("stdout", b"%03d." % number) for number in range(100)], limit=16)

    assert feed.text("stdout") == "000.001.\n… 384 bytes left out …\n098.099."
    assert feed.truncated
    assert seen(feed, Position(4)) == [
        ("stdout", 4, b"001."),
        ("stdout", 392, b"098."),
        ("stdout", 396, b"099."),
    ]


def test_what_just_fits_is_kept_as_it_is():
    feed = feed_of(("stdout", b"12345678"), ("stdout", b"90123456"), limit=16)

    assert (feed.text("stdout"), feed.truncated) == ("1234567890123456", False)


@pytest.mark.parametrize("pieces", range(1, 7))
def test_no_chunk_splits_a_character(pieces: int):
    text = "ä€🙂" * 40
    data = text.encode()
    feed = Feed(10_000)
    for start in range(0, len(data), pieces):
        feed.add("stdout", data[start : start + pieces], NOW + start * timedelta(seconds=1))

    assert "".join(chunk.data.decode() for chunk in feed.since(Position())) == text


@pytest.mark.parametrize("limit", range(16, 24))
def test_what_is_let_go_splits_no_character_either(limit: int):
    feed = Feed(limit)
    for number in range(50):
        feed.add("stdout", "a€🙂".encode(), NOW + number * timedelta(seconds=1))

    assert feed.truncated
    assert all(chunk.data.decode() for chunk in feed.since(Position()))
    assert sum(len(chunk.data) for chunk in feed.since(Position())) <= limit


def test_half_a_character_at_the_end_is_shown_as_what_it_is():
    feed = feed_of(("stdout", b"ab\xe2\x82"))
    assert feed.text("stdout") == "ab"
    feed.settle()

    assert feed.text("stdout") == "ab�"
    feed.add("stdout", b"too late")
    assert feed.position == Position(4)


def test_progress_is_never_cut():
    feed = Feed(16)
    for number in range(40_000):
        feed.add("progress", b'{"n": %5d}' % number, NOW)

    chunks = feed.since(Position())
    assert all(chunk.data.startswith(b"{") and chunk.data.endswith(b"}") for chunk in chunks)
    assert (chunks[0].offset, chunks[-1].data) == (0, b'{"n": 39999}')
    assert not feed.truncated


def test_chunks_of_another_feed_make_the_same_feed():
    one = feed_of(*[("stdout", b"%03d." % n) for n in range(100)], ("stderr", b"end"), limit=16)
    other = Feed(16)
    for chunk in one.since(Position()):
        other.take(chunk)
        other.take(chunk)

    assert other.position == one.position
    assert other.text("stdout") == one.text("stdout")
    assert other.truncated == one.truncated
    assert seen(other) == seen(one)


def test_a_chunk_that_is_known_in_part_adds_the_rest():
    feed = Feed(100)
    feed.take(Chunk("stdout", 0, NOW, b"abc"))
    feed.take(Chunk("stdout", 1, LATER, b"bcde"))

    assert feed.text("stdout") == "abcde"


def test_a_limit_stops_after_whole_chunks_and_gives_one_at_least():
    feed = feed_of(("stdout", b"aaaa"), ("stderr", b"bbbb"), ("stdout", b"cccc"))

    assert [len(feed.since(Position(), limit)) for limit in (1, 4, 8, 11, 12)] == [1, 1, 2, 2, 3]


def test_who_waits_is_woken_by_output_and_by_the_end():
    async def main() -> None:
        feed = Feed(100)
        waiting = [asyncio.create_task(feed.changed(feed.version, 60)) for _ in range(5)]
        await asyncio.sleep(0)
        feed.add("stdout", b"a")
        await asyncio.gather(*waiting)
        await feed.changed(0, 60)
        last = asyncio.create_task(feed.changed(feed.version, 60))
        await asyncio.sleep(0)
        feed.end()
        await last
        await feed.changed(feed.version, 0.001)
        assert feed.ended

    asyncio.run(main())


@pytest.mark.parametrize(
    "text", ["", "1", "1.2", "1.2.3.4", "a.b.c", "-1.0.0", "1.2.3\n", "٣.0.0", "9" * 16 + ".0.0"]
)
def test_a_position_that_was_never_given_out_is_refused(text: str):
    with pytest.raises(ValueError, match="position"):
        Position.parse(text)


def test_a_position_is_read_as_it_is_written():
    assert Position.parse(str(Position(1200, 40, 2))) == Position(1200, 40, 2)
