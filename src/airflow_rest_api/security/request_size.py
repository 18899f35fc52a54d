"""How much of a request may come before its body: what is longer is looked at by nobody."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_rest_api.errors import CLOSE, AddressTooLong, HeadersTooLarge, TooManyParameters

if TYPE_CHECKING:
    from starlette.types import Scope

LARGEST_HEADERS = 32 * 1024
"""Bytes of all headers, as they stand on the wire; the server underneath may have no bound at all."""
LARGEST_ADDRESS = 32 * 1024
"""Bytes of path and query as they came."""
MOST_PARAMETERS = 1000
"""Parameters of a query, as many as a form may have fields."""

_AROUND = 4
"""Bytes of a header's line beside its name and value: `: ` and the end of the line."""


def refuse_oversized(scope: Scope) -> None:
    """
    Refuse a request whose address or headers are larger than anybody needs.

    :raises ApiError: 414 and 431 (RFC 9110, 15.5.15; RFC 6585, 5), 400 for too many parameters
    """
    query = scope["query_string"]
    path = scope.get("raw_path") or scope["path"].encode(errors="replace")
    if len(path) + len(query) > LARGEST_ADDRESS:
        raise AddressTooLong(
            f"The address has more than {LARGEST_ADDRESS} bytes: send arguments in the body.",
            headers=CLOSE,
        )
    if not is_taken(query):
        raise TooManyParameters(f"The query has more than {MOST_PARAMETERS} parameters.")
    if sum(len(name) + len(value) + _AROUND for name, value in scope["headers"]) > LARGEST_HEADERS:
        raise HeadersTooLarge(
            f"The headers have more than {LARGEST_HEADERS} bytes.",
            headers=CLOSE,
        )


def is_taken(query: bytes) -> bool:
    """Return whether a query has no more bytes and parameters than are looked into."""
    return len(query) <= LARGEST_ADDRESS and query.count(b"&") < MOST_PARAMETERS
