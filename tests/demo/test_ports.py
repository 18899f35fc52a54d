from __future__ import annotations

import errno
import os
import socket
from pathlib import Path

import pytest

from demo.ports import free_port, is_free
from demo.stack import Stack, StackError


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


@pytest.mark.parametrize("host", ["127.0.0.2", "::1", "localhost"])
def test_a_port_is_looked_at_on_the_address_that_is_listened_on(host: str) -> None:
    family, _, _, _, address = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)[0]
    with socket.socket(family) as server:
        try:
            server.bind(address)
        except OSError:
            pytest.skip(f"{host} is not here")
        server.listen()
        assert not is_free(server.getsockname()[1], host)
    assert is_free(free_port(host), host)


@pytest.mark.parametrize("host", ["no.such.host.invalid", "192.0.2.1"])
def test_an_address_that_is_not_here_is_no_port_in_use(host: str) -> None:
    with pytest.raises(OSError, match=r"not known|assign|resolution"):
        is_free(free_port(), host)


@pytest.mark.parametrize(
    ("number", "host"), [(errno.EACCES, "127.0.0.1"), (errno.EADDRNOTAVAIL, "192.0.2.1")]
)
def test_what_nothing_can_listen_on_is_said_and_is_no_port_in_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, host: str
) -> None:
    class Refused(socket.socket):
        """A socket of a user who may not listen there, as on a port below 1024."""

        def bind(self, address: object) -> None:
            raise OSError(number, os.strerror(number))

    stack = Stack(tmp_path, 80, host=host)
    monkeypatch.setattr("socket.socket", Refused)
    try:
        with pytest.raises(StackError) as failed:
            stack._prepare()
    finally:
        stack.stop()
    assert str(failed.value) == f"Nothing can listen on port 80 of {host}: {os.strerror(number)}"
