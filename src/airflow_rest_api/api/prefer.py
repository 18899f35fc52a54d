"""The Prefer header (RFC 7240): how long a client wants to wait for its command."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from airflow_rest_api.header_values import named, parts

LONGEST_WAIT = 3600


@dataclass(frozen=True)
class Preference:
    """How long to wait, and what of the client's wishes was followed (``Preference-Applied``)."""

    wait: float
    applied: str | None = None

    @property
    def headers(self) -> dict[str, str]:
        """The header that says so."""
        return {"Preference-Applied": self.applied} if self.applied else {}


def preference(headers: Iterable[str], default: float) -> Preference:
    """
    Read the Prefer headers of a request.

    ``wait=N`` waits up to N seconds, ``respond-async`` not at all, and both together N seconds at most. The
    first of two that say the same counts, and what cannot be read is ignored: a preference is no order (RFC
    7240, section 2).
    """
    found: dict[str, str] = {}
    for header in headers:
        for one in parts(header, ","):
            # What follows a semicolon is a parameter of the preference; none of ours has one.
            name, value = named(next(parts(one, ";")))
            found.setdefault(name, value)
    wait = found.get("wait", "")
    if wait.isascii() and wait.isdigit():
        seconds = min(int(wait[:9]), LONGEST_WAIT)
        applied = f"wait={seconds}"
        return Preference(seconds, f"respond-async, {applied}" if "respond-async" in found else applied)
    if "respond-async" in found:
        return Preference(0, "respond-async")
    return Preference(default)
