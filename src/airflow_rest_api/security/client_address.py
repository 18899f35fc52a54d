"""From where a request comes: what a proxy says of it counts only where the proxy is one of ours."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import Scope

    from airflow_rest_api.option_values import Networks

FORWARDED = b"x-forwarded-for"
MOST_HOPS = 20
"""Proxies between a client and us that are looked through."""


def client_address(scope: Scope, trusted: Networks) -> str | None:
    """
    Return the address of the client, None where the server knows none.

    It is the peer of the connection; where that is a trusted proxy, whom that proxy says it speaks for, in
    the last entry of ``X-Forwarded-For``: what stands before it is anybody's word, unless that entry is a
    trusted proxy in its turn.

    :param trusted: proxies; empty where the server underneath knows better (uvicorn's ``--proxy-headers``)
    """
    client = scope.get("client")
    address: str | None = client[0] if client else None
    if not trusted or not _is_of(address, trusted):
        return address
    for hop in _hops(scope["headers"]):
        found = _without_port(hop)
        if not _is_address(found):
            # The proxy that we trust has not written this.
            return address
        address = found
        if not _is_of(found, trusted):
            return address
    return address


def _hops(headers: Sequence[tuple[bytes, bytes]]) -> list[str]:
    """Return for whom a request was sent on, the last one first."""
    values = b",".join(value for name, value in headers if name == FORWARDED)
    return [hop.decode("latin-1").strip() for hop in reversed(values.rsplit(b",", MOST_HOPS)[-MOST_HOPS:])]


def _without_port(hop: str) -> str:
    """Return the address in an entry: some proxies add the port, and brackets around IPv6."""
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    return hop.partition(":")[0] if hop.count(":") == 1 else hop


def _is_of(address: str | None, networks: Networks) -> bool:
    try:
        found = ip_address(address or "")
    except ValueError:
        return False
    mapped = getattr(found, "ipv4_mapped", None)
    return any((mapped or found) in network for network in networks)


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
