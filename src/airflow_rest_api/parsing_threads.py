"""Threads in which long bodies are read, so that the event loop has its hands free for other requests."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TypeVar

LARGE = 64 * 1024
"""Bytes beyond which a thread reads them; for fewer, handing them over is most of the time."""

THREADS = 2
"""So many bodies are read at once: one that takes long keeps none of the threads that others wait for."""

T = TypeVar("T")


async def read_aside(size: int, read: Callable[[], T]) -> T:
    """
    Return what a function makes of what a client sent, called in one of these threads where that is long.

    :param size: of what was sent, in bytes or characters
    """
    if size <= LARGE:
        return read()
    return await asyncio.get_running_loop().run_in_executor(_threads(), read)


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(THREADS, thread_name_prefix="rest-api-body")
