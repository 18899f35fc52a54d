from __future__ import annotations

import socket

from demo.ports import free_port, is_free


def test_a_port_somebody_listens_on_is_not_free() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        assert not is_free(port)
    assert is_free(port)


def test_a_port_taken_on_every_address_is_not_free_on_one() -> None:
    with socket.socket() as server:
        server.bind(("0.0.0.0", 0))
        server.listen()
        assert not is_free(server.getsockname()[1])


def test_a_free_port_can_be_listened_on() -> None:
    assert is_free(free_port())
