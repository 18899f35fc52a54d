"""Threads in which long bodies are read, so that the event loop has its hands free for other requests."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TypeVar

LARGE = 64 * 1024
"""Bytes beyond which a thread reads them; for fewer, handing them over is most of the time."""

T = TypeVar("T")


async def read_aside(size: int, read: Callable[[], T], *, piece: bool = False) -> T:
    """
    Return what a function makes of what a client sent, called in a thread of ours where that is long.

    There is one for whole bodies and one for pieces of them, which do not wait for the whole ones of others.
    More would not be faster, as Python runs one at a time, and each makes the event loop wait for its turn.

    :param size: of what was sent, in bytes or characters
    :param piece: there is more to come
    """
    if size <= LARGE:
        return read()
    return await asyncio.get_running_loop().run_in_executor(_thread(piece=piece), read)


@cache
def _thread(*, piece: bool) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, thread_name_prefix="rest-api-piece" if piece else "rest-api-body")
