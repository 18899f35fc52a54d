"""Operations that have just ended and whose output is kept nowhere else: who asked for it still gets it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_rest_api.operations.live import Live

KEPT_FOR = 60.0
"""Seconds after its end in which the output of an operation can be had."""
ROOM = 64 * 1024 * 1024
"""Bytes of all of them together; beyond it the oldest go."""


class Lately:
    """Keeps operations in memory for a while; belongs to one event loop."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[Live, int]] = {}

    def get(self, identifier: str) -> Live | None:
        """Return an operation, None where there is none, or no longer."""
        found = self._kept.get(identifier)
        return found[0] if found is not None else None

    def put(self, live: Live) -> None:
        """Keep an operation that has ended."""
        position = live.feed.position
        size = position.stdout + position.stderr + sum(map(len, live.files.values()))
        identifier = live.operation.id
        self._kept[identifier] = (live, size)
        while len(self._kept) > 1 and sum(size for _, size in self._kept.values()) > ROOM:
            del self._kept[next(iter(self._kept))]
        asyncio.get_running_loop().call_later(KEPT_FOR, self._kept.pop, identifier, None)
