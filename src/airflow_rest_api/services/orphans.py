"""Components whose keeper was killed: none of them, and nothing that they started, goes on."""

from __future__ import annotations

import contextlib
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_rest_api.services import processes

if TYPE_CHECKING:
    from airflow_rest_api.services.model import Service

LEFTOVERS = 5.0
"""Seconds that what a component has left behind has to end."""
FRESH = 30.0
"""Seconds in which the number of a session that was just seen to be a component's is nobody else's."""


@dataclass
class _Watch:
    pid: int | None = None
    start: str | None = None
    seen: float | None = None
    members: dict[int, str] = field(default_factory=dict)
    kill_at: float | None = None


class Orphans:
    """
    Ends them; the kernel has sent TERM to the component itself when its keeper died.

    What a component has started is known by its family as long as it lives, by its session, and by a mark in
    the environment, which some programs write over to give themselves a title.

    :param grace: seconds until a component is killed
    """

    def __init__(self, grace: float) -> None:
        self._grace = grace
        self._watches: dict[str, _Watch] = {}

    def look(self, service: Service) -> None:
        """See whether a service is one, and do the next thing about it."""
        if service.keeper is None:
            return
        watch = self._watches.setdefault(service.folder, _Watch())
        if service.pid is not None:
            watch.pid, watch.start = service.pid, service.pid_start
        if processes.is_alive(service.keeper, service.keeper_start):
            watch.seen = time.monotonic()
            return
        alive = processes.is_alive(watch.pid, watch.start)
        watch.members = self._members(watch, Path(service.folder).name, alive=alive)
        if not watch.members:
            del self._watches[service.folder]
        elif watch.kill_at is None:
            watch.kill_at = time.monotonic() + (self._grace if alive else LEFTOVERS)
            # A component knows best in which order its own processes have to go.
            only = {watch.pid} if alive else set(watch.members)
            _send({pid: start for pid, start in watch.members.items() if pid in only}, signal.SIGTERM)
        elif time.monotonic() >= watch.kill_at:
            _send(watch.members, signal.SIGKILL)
        elif not alive:
            watch.kill_at = min(watch.kill_at, time.monotonic() + LEFTOVERS)

    def _members(self, watch: _Watch, mark: str, *, alive: bool) -> dict[int, str]:
        found = {pid: start for pid, start in watch.members.items() if processes.is_alive(pid, start)}
        found |= processes.marked(mark)
        if watch.pid is None:
            return found
        lately = watch.seen is not None and time.monotonic() - watch.seen < FRESH
        if alive or (lately and processes.start_of(watch.pid) is None):
            found |= processes.session(watch.pid)
        for pid in processes.family(watch.pid) if alive else ():
            if start := processes.start_of(pid):
                found[pid] = start
        return found


def _send(members: dict[int, str], number: int) -> None:
    for pid, start in members.items():
        with contextlib.suppress(PermissionError):
            processes.send(pid, start, number)
