from __future__ import annotations

import itertools
import random
import string
import time

import pytest

from airflow_rest_api.engine.patterns import LONGEST, Patterns

ALNUM = string.ascii_letters + string.digits


def of(*texts: bytes) -> Patterns:
    patterns = Patterns()
    patterns.add_all(texts)
    return patterns


def covered(spans: list[list[int]]) -> set[int]:
    return {place for start, end in spans for place in range(start, end)}


def in_any(data: bytes, texts: list[bytes]) -> set[int]:
    """Return the places of all occurrences, found without any cleverness."""
    return {
        place
        for text in texts
        for start in range(len(data))
        if data.startswith(text, start)
        for place in range(start, start + len(text))
    }


@pytest.mark.parametrize("shortest", [1, 3, 5, 8])
def test_every_occurrence_is_found_and_nothing_else(shortest: int):
    chance = random.Random(shortest)
    for _ in range(300):
        texts = [
            bytes(chance.choices(b"abc", k=chance.randint(shortest, shortest + 6)))
            for _ in range(chance.randint(1, 6))
        ]
        data = bytes(chance.choices(b"abcd", k=chance.randint(0, 80)))
        assert covered(of(*texts).spans(data)) == in_any(data, texts), (texts, data)


def test_patterns_that_are_added_later_are_found_like_those_that_were_there():
    chance = random.Random(7)
    texts = [bytes(chance.choices(b"ab", k=chance.randint(5, 9))) for _ in range(40)]
    data = bytes(chance.choices(b"ab", k=400))
    one_by_one = Patterns()
    for text in texts:
        one_by_one.add(text)
        one_by_one.spans(data)
    assert one_by_one.spans(data) == of(*texts).spans(data)
    assert [one_by_one.open_end(data[:end]) for end in range(60)] == [
        of(*texts).open_end(data[:end]) for end in range(60)
    ]


def test_what_overlaps_is_one_and_what_follows_is_another():
    assert of(b"abcdef", b"defghi").spans(b"abcdefghi") == [[0, 9]]
    assert of(b"abcdef").spans(b"abcdefabcdef") == [[0, 6], [6, 12]]


@pytest.mark.parametrize("length", [LONGEST, LONGEST + 1, 2 * LONGEST, 100 * LONGEST + 1])
def test_a_long_text_is_found_as_one_and_no_short_piece_of_it_anywhere(length: int):
    text = "".join(random.Random(length).choices(ALNUM, k=length)).encode()
    patterns = of(text)
    assert patterns.spans(b"<" + text + b">") == [[1, length + 1]]
    for size in range(LONGEST):
        assert patterns.spans(text[length - size :]) == []


def test_the_end_of_a_text_that_may_become_a_pattern_is_known():
    patterns = of(b"hunter22", b"hunter", b"terminal")
    assert patterns.open_end(b"a hun") == 2
    assert patterns.open_end(b"a hunter") == 2
    assert patterns.open_end(b"a hunter22") == 10
    assert patterns.open_end(b"in the winter") == len(b"in the win")
    assert patterns.open_end(b"") == 0


def test_a_thousand_patterns_take_no_more_time_than_ten():
    chance = random.Random(2)
    texts = ["".join(chance.choices(ALNUM, k=chance.randint(8, 40))).encode() for _ in range(1000)]
    words = ["INFO", "secret", "password", "the", "DAG", "task_instance", "success", "2026-01-01"]
    data = " ".join(chance.choices(words, k=20_000)).encode()[: 64 * 1024]

    def seconds(patterns: Patterns) -> float:
        return min(_took(patterns, data) for _ in range(20))

    few, many = of(*texts[:10]), of(*texts)
    assert many.spans(data) == []
    assert seconds(many) < 3 * seconds(few)


def test_text_that_looks_like_patterns_all_along_is_masked_and_not_compared_for_ever():
    # At every place the beginning of sixty patterns, none of which is there.
    patterns = of(*(b"a" * length + b"b" for length in range(4, LONGEST)))
    compared = itertools.count()

    class Counted(set):  # type: ignore[type-arg]
        def __contains__(self, item: object) -> bool:
            next(compared)
            return super().__contains__(item)

    patterns._all = Counted(patterns._all)
    data = b"a" * 64 * 1024
    spans = patterns.spans(data)
    assert next(compared) <= 2 * len(data)
    assert spans[-1][1] == len(data)


def _took(patterns: Patterns, data: bytes) -> float:
    began = time.thread_time()
    patterns.spans(data)
    patterns.open_end(data)
    return time.thread_time() - began
