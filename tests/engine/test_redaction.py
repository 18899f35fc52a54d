from __future__ import annotations

import html
import itertools
import json
import random
import re
import string
import time
from collections.abc import Callable
from urllib.parse import quote, urlencode

import markupsafe
import pytest
import yaml
from jinja2.utils import htmlsafe_json_dumps
from sqlalchemy.engine import URL

from airflow_rest_api.engine.redaction import LONGEST, MOST, WITHHELD, Patterns, Redactor, Secrets


def through(pieces: list[bytes], *secrets: str) -> bytes:
    redactor = Redactor(Secrets(secrets))
    return b"".join([redactor.feed(piece) for piece in pieces] + [redactor.finish()])


def test_a_secret_is_masked_wherever_the_pieces_end():
    text = b"the password is hunter22, again: hunter22hunter22\n"
    for first, second in itertools.combinations(range(len(text) + 1), 2):
        pieces = [text[:first], text[first:second], text[second:]]
        assert through(pieces, "hunter22") == b"the password is ***, again: ******\n"


def test_byte_by_byte_is_the_same_as_at_once():
    text = "aab aaab aaaab ünïcödé \n line one\nline two three four x".encode()
    secrets = ("aaab", "aab", "ünïcödé", "one\nline two")
    pieces = [text[place : place + 1] for place in range(len(text))]
    assert through(pieces, *secrets) == through([text], *secrets)


def test_random_secrets_never_come_out_whatever_the_pieces():
    chance = random.Random(4)
    for _ in range(300):
        secrets = ["".join(chance.choices("ab", k=chance.randint(5, 9))) for _ in range(3)]
        text = "".join(chance.choices([*secrets, "a", "b", "c"], k=12)).encode()
        cuts = sorted(chance.choices(range(len(text) + 1), k=4))
        pieces = [text[start:end] for start, end in itertools.pairwise([0, *cuts, len(text)])]
        shown = through(pieces, *secrets)
        assert not any(secret.encode() in shown for secret in secrets)


def test_what_is_not_the_beginning_of_a_secret_is_not_held_back():
    redactor = Redactor(Secrets(["hunter22"]))
    assert redactor.feed(b"working... ") == b"working... "
    assert redactor.feed(b"a hunt") == b"a "
    assert redactor.feed(b" is on") == b"hunt is on"


def test_a_secret_that_another_one_begins_with_does_not_leave_its_end():
    assert through([b"secret", b"longer"], "secret", "secretlonger") == b"***"
    assert through([b"secret", b" longer"], "secret", "secretlonger") == b"*** longer"


def test_a_secret_that_was_cut_off_at_the_end_is_masked():
    assert through([b"it is hunter2"], "hunter22") == b"it is ***"
    assert through([b"the end of the path h"], "hunter22") == b"the end of the path h"


@pytest.mark.parametrize("write", [str, json.dumps, repr, lambda s: json.dumps(s, ensure_ascii=False)])
def test_a_secret_is_found_in_the_ways_in_which_it_is_printed(write):
    secret = 'pass"word\nwith ü and \\'
    assert "word" not in through([write(secret).encode()], secret).decode()


WRITTEN: dict[str, Callable[[str], str]] = {
    "JSON in JSON": lambda s: json.dumps({"extra": json.dumps({"password": s})}),
    "readable JSON in JSON": lambda s: json.dumps({"extra": json.dumps({"p": s}, ensure_ascii=False)}),
    "readable JSON in readable JSON": lambda s: json.dumps(
        {"extra": json.dumps({"p": s}, ensure_ascii=False)}, ensure_ascii=False
    ),
    "the repr of JSON": lambda s: repr(json.dumps({"password": s})),
    "the repr of what has JSON": lambda s: repr({"extra": json.dumps({"password": s}), "it's": 1}),
    "the repr of a text with both quotes": lambda s: repr(f"""it's "{s}\""""),
    "the repr of a repr": lambda s: repr(repr({"password": s})),
    "a repr in JSON": lambda s: json.dumps({"event": f"Got {s!r}"}),
    "tojson": lambda s: str(htmlsafe_json_dumps({"password": s})),
    "markupsafe": lambda s: str(markupsafe.escape(s)),
    "html": html.escape,
    "YAML": lambda s: yaml.dump({"password": s}, width=1000),
    "readable YAML": lambda s: yaml.dump({"password": s}, width=1000, allow_unicode=True),
    "quoted YAML": lambda s: yaml.dump({"password": s}, width=1000, default_style='"'),
    "an address": lambda s: URL.create("postgresql", "u", s, "h", database="d").render_as_string(
        hide_password=False
    ),
    "an address of SQLAlchemy 1.4": lambda s: re.sub("[:@/]", lambda found: f"%{ord(found[0]):X}", s),
    "a path": quote,
    "a query": lambda s: urlencode({"password": s}),
}


@pytest.mark.parametrize("how", WRITTEN)
@pytest.mark.parametrize(
    "secret",
    [
        "p&ss<w0rd'1>",
        "it's-my-pass",
        'qu"ote-pass',
        "both'of\"them",
        "ab+cd/ef==",
        "my pass@word:1",
        "it's: a pass",
        "back\\slash-pw",
        "p\u00e4sswort-\u20ac\U0001f511",
        "tab\tand\x1bescape",
        "# hash: [x]",
    ],
)
def test_a_secret_is_found_however_airflow_and_its_libraries_write_it(how: str, secret: str):
    assert through([b"<<" + WRITTEN[how](secret).encode() + b">>"], secret).count(b"***") == 1


def test_a_secret_is_found_in_an_address():
    assert through([b"postgres://me:p%40ss%2Fword@host"], "p@ss/word") == b"postgres://me:***@host"


def test_the_lines_of_a_key_are_masked_where_each_has_a_prefix():
    key = "-----BEGIN PRIVATE KEY-----\nMIIEvgIBADANBgkqhkiG9w0\n-----END PRIVATE KEY-----\n"
    shown = through([b"".join(b"INFO - " + line.encode() + b"\n" for line in key.splitlines())], key)
    assert shown == b"INFO - ***\n" * 3


def test_a_long_secret_is_masked_to_its_end():
    secret = "".join(random.Random(1).choices("abcdefghijk", k=2 * LONGEST + 1))
    assert set(through([b"<", secret.encode(), b">"], secret)) == set(b"<*>")


def test_secrets_may_be_learned_between_two_pieces():
    secrets = Secrets()
    redactor = Redactor(secrets)
    assert redactor.feed(b"hunter22 ") == b"hunter22 "
    secrets.add(["hunter22"])
    assert redactor.feed(b"hunter22 ") == b"*** "


def test_without_secrets_the_bytes_are_passed_on_as_they_are():
    data = bytes(range(256)) * 100
    assert Redactor(Secrets()).feed(data) is data


def test_long_output_and_many_secrets_take_no_time():
    secrets = Secrets(f"secret number {number}" for number in range(60))
    redactor = Redactor(secrets)
    redactor.feed(b"warm\n")
    line = b"an ordinary line of the output of a command, with nothing in it\n" * 1000
    began = time.thread_time()
    for _ in range(30):
        redactor.feed(line)
    assert time.thread_time() - began < 1.5


@pytest.mark.slow
def test_output_that_looks_like_the_secret_all_along_is_no_trap():
    redactor = Redactor(Secrets(["a" * 100_000, "a" * 4000 + "b"]))
    began = time.thread_time()
    for _ in range(20):
        redactor.feed(b"a" * 65536)
    assert time.thread_time() - began < 5


def test_a_text_is_masked_as_a_whole():
    assert Secrets(["hunter22"]).mask("invalid value: 'hunter22' \udcff") == "invalid value: '***' \udcff"
    assert Secrets().mask("nothing to hide") == "nothing to hide"


def test_secrets_that_overlap_leave_nothing_of_either():
    pieces = [bytes([byte]) for byte in b"<abcdefghi>"]
    for given in (pieces, [b"".join(pieces)]):
        assert through(given, "abcdef", "defghi") == b"<***>"


def test_secrets_that_are_beginnings_of_each_other_are_masked_whatever_the_pieces():
    text = b"x secret secretlong secretlonger! x"
    secrets = ("secret", "secretlong", "secretlonger")
    for first, second in itertools.combinations(range(len(text) + 1), 2):
        pieces = [text[:first], text[first:second], text[second:]]
        assert through(pieces, *secrets) == b"x *** *** ***! x"


def test_a_secret_longer_than_a_piece_is_one_mask_wherever_the_text_is_cut():
    secret = "".join(random.Random(8).choices("abcdefghijk", k=3 * LONGEST + 7))
    text = b"<" + secret.encode() + b">"
    for cut in range(len(text)):
        assert through([text[:cut], text[cut:]], secret) == b"<***>"
    assert through([bytes([byte]) for byte in text], secret) == b"<***>"


@pytest.mark.slow
def test_no_more_is_held_back_than_the_beginning_of_one_pattern():
    redactor = Redactor(Secrets(["a" * 100_000, "ab" * 50_000]))
    for _ in range(50):
        redactor.feed(b"a" * 10_000)
        assert len(redactor._held) < LONGEST


def test_beyond_the_bound_nothing_is_shown_any_more():
    secrets = Secrets()
    redactor = Redactor(secrets)
    assert redactor.feed(b"before\n") == b"before\n"
    secrets.add(f"secret number {number}" for number in range(MOST + 1))
    assert redactor.feed(b"secret number 7\n") == WITHHELD
    assert redactor.feed(b"and more\n") == redactor.finish() == b""
    assert secrets.mask("secret number 7").encode() == WITHHELD
    assert len(secrets.patterns) == 0


def test_beyond_the_bound_of_bytes_nothing_is_shown_either():
    secrets = Secrets(f"{number:05d}" + "x" * 60_000 for number in range(100))
    assert secrets.too_many
    assert through([b"00001xxxx"], *(f"{n:05d}" + "x" * 60_000 for n in range(100))) == WITHHELD


def test_blanks_around_a_short_secret_do_not_make_its_letter_one():
    assert through([b"a word  a "], "  a  ") == b"a word  a "


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
        one_by_one.add_all((text,))
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


def test_a_short_text_that_begins_as_secrets_of_many_lengths_do_is_none():
    redactor = Redactor(Secrets(f"prod-{'x' * length}" for length in range(4, 40)))

    assert redactor.feed(b"prod\nproduct\n") + redactor.finish() == b"prod\nproduct\n"
    assert redactor.feed(b"prod-xxxx\n") + redactor.finish() == b"***\n"


def test_what_is_rarely_written_does_not_make_secrets_too_many():
    documents = [json.dumps({"key": f"{number:03}" + "v'&" * 60}) for number in range(1500)]
    secrets = Secrets(documents)

    assert not secrets.too_many
    first, last = documents[0], documents[-1]
    assert secrets.mask(json.dumps(json.dumps(first))) == '"\\"***\\""'
    assert secrets.mask(f"-{last}-{json.dumps(last)}-") == '-***-"***"-'
