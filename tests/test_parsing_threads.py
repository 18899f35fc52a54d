from __future__ import annotations

import asyncio
import threading
import time

from airflow_rest_api.parsing_threads import LARGE, read_aside


def test_what_is_long_is_read_in_a_thread_of_its_own_and_what_is_short_at_once() -> None:
    async def names() -> tuple[str, str]:
        short = await read_aside(LARGE, lambda: threading.current_thread().name)
        return short, await read_aside(LARGE + 1, lambda: threading.current_thread().name)

    short, long = asyncio.run(names())
    assert short == threading.current_thread().name
    assert long.startswith("rest-api-body")


def test_a_flood_of_long_bodies_takes_these_threads_alone() -> None:
    at_once = 0
    most = 0
    lock = threading.Lock()

    def read() -> None:
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
        time.sleep(0.01)
        with lock:
            at_once -= 1

    async def flood() -> bool:
        reading = [asyncio.ensure_future(read_aside(LARGE + 1, read)) for _ in range(50)]
        # asyncio's own threads are free.
        await asyncio.to_thread(int)
        before = not all(one.done() for one in reading)
        await asyncio.gather(*reading)
        return before

    assert asyncio.run(flood())
    assert most == 1


def test_a_piece_of_a_body_does_not_wait_for_the_whole_ones_of_others() -> None:
    hold = threading.Event()

    async def piece() -> str:
        whole = [asyncio.ensure_future(read_aside(LARGE + 1, hold.wait)) for _ in range(10)]
        name = await read_aside(LARGE + 1, lambda: threading.current_thread().name, piece=True)
        hold.set()
        await asyncio.gather(*whole)
        return name

    assert asyncio.run(piece()).startswith("rest-api-piece")
