from __future__ import annotations

import os
import socket

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
