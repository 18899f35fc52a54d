"""Questions to Airflow that its database may have to answer: in threads, and with an end to patience."""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

from airflow_rest_api.errors import Unavailable

T = TypeVar("T")

THREADS = 4
"""As many of Airflow's pool of connections (`[database] sql_alchemy_pool_size`: 5, and 10 beyond) at most."""

PATIENCE = 10.0
"""Seconds after which whoever asked is told that the database is away: a lost network answers nothing."""


class Questions:
    """
    Asks in threads of its own: those of the event loop are Airflow's too.

    A question without an answer keeps its thread until the driver gives up. Once that is true of all threads,
    nobody waits for the time to be over any more: they are told at once.

    :param threads: how many questions are asked at a time
    :param patience: seconds after which nobody waits for an answer any more
    """

    def __init__(self, threads: int = THREADS, patience: float = PATIENCE) -> None:
        self._number = threads
        self._patience = patience
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="rest-api-question")
        self._lock = threading.Lock()
        self._begun: dict[int, float] = {}
        """When the question of each thread that is asking was begun."""

    async def ask(self, question: Callable[..., T], *arguments: Any) -> T:
        """
        Return what a function returns, and raise what it raises.

        :raises Unavailable: there was no answer in time, or none can be hoped for
        """
        if self._hopeless():
            raise Unavailable("The database does not answer.")
        context = contextvars.copy_context()
        answer = self._threads.submit(self._timed, partial(context.run, question, *arguments))
        waiting = asyncio.wrap_future(answer)
        try:
            await asyncio.wait({waiting}, timeout=self._patience)
        finally:
            if late := not waiting.done():
                # What it comes to is nobody's business, but must not be logged as forgotten.
                # What has not begun is not asked any more.
                waiting.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
                answer.cancel()
        if late:
            raise Unavailable("The database does not answer.")
        return waiting.result()

    def _timed(self, question: Callable[[], T]) -> T:
        thread = threading.get_ident()
        with self._lock:
            self._begun[thread] = time.monotonic()
        try:
            return question()
        finally:
            with self._lock:
                del self._begun[thread]

    def _hopeless(self) -> bool:
        """Return whether each thread has waited for longer than anybody is asked to."""
        with self._lock:
            if len(self._begun) < self._number:
                return False
            return max(self._begun.values()) <= time.monotonic() - self._patience


_questions = Questions()
_logins = Questions(threads=2, patience=30.0)


async def ask(question: Callable[..., T], *arguments: Any) -> T:
    """Return what a function finds out from Airflow; raise Unavailable where it does not in time."""
    return await _questions.ask(question, *arguments)


async def ask_for_login(question: Callable[..., T], *arguments: Any) -> T:
    """Do the same for what checks a password, which takes its time and may ask a directory elsewhere."""
    return await _logins.ask(question, *arguments)
