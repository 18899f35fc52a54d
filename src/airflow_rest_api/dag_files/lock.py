"""One change of a bundle at a time, whichever API server makes it."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import stat
import time
from collections.abc import AsyncIterator
from pathlib import Path
from weakref import WeakValueDictionary

from airflow_rest_api.dag_files.control import cannot_write, control_folder
from airflow_rest_api.errors import BundleLocked

NAME = "lock"
PATIENCE = 120.0
"""Seconds to wait for another API server, which only holds the lock while it renames files."""
PAUSE = 0.05


class Locks:
    """
    The locks of the bundles.

    Within this process first come is first served. Between processes it is a lock on a file (flock), which
    ends with its process however that ends; network file systems have to be mounted with locks that reach the
    other hosts.
    """

    def __init__(self, patience: float = PATIENCE) -> None:
        self._patience = patience
        self._queues: WeakValueDictionary[Path, asyncio.Lock] = WeakValueDictionary()

    @contextlib.asynccontextmanager
    async def hold(self, root: Path) -> AsyncIterator[None]:
        """
        Have a bundle to oneself.

        :param root: the bundle, without symbolic links
        :raises BundleLocked: another process keeps it
        :raises cannot_write: the bundle is closed to us
        """
        queue = self._queues.setdefault(root, asyncio.Lock())
        async with queue:
            descriptor = await asyncio.to_thread(_open, root)
            try:
                await self._take(descriptor)
                yield
            finally:
                # Which lets go of the lock.
                os.close(descriptor)

    async def _take(self, descriptor: int) -> None:
        end = time.monotonic() + self._patience
        while not await asyncio.to_thread(_try, descriptor):
            if time.monotonic() > end:
                raise BundleLocked
            await asyncio.sleep(PAUSE)


def _open(root: Path) -> int:
    folder = control_folder(root)
    try:
        descriptor = os.open(folder / NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise cannot_write(error) from error
    # Who may write in the folder may lock it.
    with contextlib.suppress(OSError):
        os.fchmod(descriptor, stat.S_IMODE(folder.stat().st_mode) & 0o666)
    return descriptor


def _try(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
