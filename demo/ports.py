"""Find ports, and tell whether one is taken."""

from __future__ import annotations

import errno
import socket
from typing import Any


def free_port(host: str = "127.0.0.1") -> int:
    """Return a port that nobody listens on at this moment."""
    family, address = _address(host, 0)
    with socket.socket(family) as probe:
        probe.bind(address)
        port: int = probe.getsockname()[1]
        return port


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """
    Tell whether a server could listen on `port` of `host`.

    Raises OSError where that is not here, and where this user may not.
    """
    family, address = _address(host, port)
    with socket.socket(family) as probe:
        # As servers do: connections of a former server that are still closing are no obstacle.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
            probe.listen(1)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            raise
    return True


def _address(host: str, port: int) -> tuple[int, Any]:
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    return family, address
