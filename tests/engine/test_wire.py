from __future__ import annotations

import os
import socket

import pytest

from airflow_rest_api.engine import wire


def test_a_message_arrives_as_it_was_sent():
    here, there = socket.socketpair()
    with here, there:
        wire.send(here, {"argv": ["ünï", "a\nb"], "n": 1})

        assert wire.receive(there) == {"argv": ["ünï", "a\nb"], "n": 1}


def test_the_end_of_the_other_side_is_no_message():
    here, there = socket.socketpair()
    with there:
        here.close()

        assert wire.receive(there) is None


def test_half_a_message_is_no_message():
    here, there = socket.socketpair()
    with there:
        here.sendall(wire.pack({"a": 1})[:-1])
        here.close()

        assert wire.receive(there) is None


def test_an_inbox_puts_pieces_together():
    inbox = wire.Inbox()
    data = wire.pack({"first": 1}) + wire.pack({"second": 2})
    taken = []
    for byte in data:
        inbox.feed(bytes([byte]))
        while (message := inbox.take()) is not None:
            taken.append(message)

    assert taken == [({"first": 1}, []), ({"second": 2}, [])]


def test_descriptors_stay_with_the_message_that_announced_them():
    inbox = wire.Inbox()
    plain, rich = wire.pack({"a": 1}), wire.pack({"b": 2, "descriptors": 2})
    inbox.feed(plain + rich, [7, 8])

    assert inbox.take() == ({"a": 1}, [])
    assert inbox.take() == ({"b": 2}, [7, 8])


def test_descriptors_travel_with_a_message():
    here, there = socket.socketpair()
    read, write = os.pipe()
    with here, there:
        wire.send(here, {"descriptors": 1}, [read])
        _, descriptors, _, _ = socket.recv_fds(there, 1000, 4)
        os.write(write, b"hello")

        assert os.read(descriptors[0], 5) == b"hello"
    for number in (read, write, *descriptors):
        os.close(number)


@pytest.mark.parametrize("length", [wire.LONGEST + 1, 2**31, 2**32 - 1])
def test_a_message_that_is_announced_too_long_is_refused_before_it_is_here(length: int):
    inbox = wire.Inbox()
    inbox.feed(wire.HEADER.pack(length))
    with pytest.raises(wire.Malformed):
        inbox.take()


@pytest.mark.parametrize(
    "body", [b"", b"no JSON", b"[]", b"5", b"[" * 20_000, b'{"descriptors": -1}', b"\xff"]
)
def test_what_is_no_message_is_refused(body: bytes):
    inbox = wire.Inbox()
    inbox.feed(wire.HEADER.pack(len(body)) + body)
    with pytest.raises(wire.Malformed):
        inbox.take()


NO_MESSAGES = [
    *[{"exit_code": code} for code in ("0", None, True, 0.0, -1, 256, 10**30, [], {}, "x" * 100)],
    *[{"exit_code": 2, "usage": usage} for usage in (1, [], {}, True)],
    *[{"secrets": secrets} for secrets in ("text", None, 1, {"a": "b"}, [1], ["a", None], [["a"]])],
    {"begun": "yes"},
    {"begun": 1},
    {"becomes": []},
    {},
    {"other": 1},
]


@pytest.mark.parametrize("message", NO_MESSAGES, ids=str)
def test_what_is_of_another_type_or_out_of_range_says_nothing(message: dict[str, object]):
    assert wire.read(message) is None


def test_what_a_child_says_is_read():
    assert wire.read({"exit_code": 255}) == wire.ExitReport(255)
    assert wire.read({"exit_code": 2, "usage": "wrong"}) == wire.ExitReport(2, "wrong")
    assert wire.read({"secrets": ["a", "b"]}) == ("a", "b")
    assert wire.read({"begun": True}) == "begun"
    assert wire.read({"becomes": True}) == "becomes"


def test_the_words_of_a_parser_are_bounded_and_can_be_written():
    said = wire.read({"exit_code": 2, "usage": "\ud800" + "x" * 100_000})
    assert isinstance(said, wire.ExitReport)
    assert said.usage == "?" + "x" * (wire.LONGEST_USAGE - 1)
