"""Whether a port is free: a component that cannot listen should not be started at all."""

from __future__ import annotations

import errno
import socket
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_rest_api.errors import PortInUse

if TYPE_CHECKING:
    from airflow_rest_api.services.kinds import Kind


def check_free(kind: Kind, values: Mapping[str, Any]) -> None:
    """Raise PortInUse where somebody listens on the port that a component is told to listen on."""
    port = values.get(kind.port) if isinstance(kind.port, str) else None
    if not isinstance(port, int) or not 0 < port < 65536:
        return
    for family, address in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
        try:
            with socket.socket(family, socket.SOCK_STREAM) as probe:
                # What was closed a moment ago is no obstacle; what listens is.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                probe.bind((address, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise PortInUse(f"Port {port} of this host is in use.") from None
