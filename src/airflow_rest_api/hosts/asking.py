"""Questions to Airflow that its database may have to answer: in threads, and with an end to patience."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

from airflow_rest_api.storage.errors import Unavailable

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
        self._overdue = 0

    async def ask(self, question: Callable[..., T], *arguments: Any) -> T:
        """
        Return what a function returns, and raise what it raises.

        :raises Unavailable: there was no answer in time, or none can be hoped for
        """
        if self._overdue >= self._number:
            raise Unavailable("The database does not answer.")
        context = contextvars.copy_context()
        answer = self._threads.submit(partial(context.run, question, *arguments))
        waiting = asyncio.wrap_future(answer)
        late = False
        try:
            await asyncio.wait({waiting}, timeout=self._patience)
            late = not waiting.done()
        finally:
            if not waiting.done():
                # What it comes to is nobody's business, but must not be logged as forgotten.
                waiting.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
                # What has begun cannot be cancelled, and what has not is not asked any more. A client that
                # went away says nothing of the database.
                if not answer.cancel() and late:
                    self._count(1)
                    answer.add_done_callback(self._has_ended)
        if late:
            raise Unavailable("The database does not answer.")
        return waiting.result()

    def _has_ended(self, answer: Future[T]) -> None:
        self._count(-1)

    def _count(self, number: int) -> None:
        with self._lock:
            self._overdue += number


_questions = Questions()
_logins = Questions(threads=2, patience=30.0)


async def ask(question: Callable[..., T], *arguments: Any) -> T:
    """Return what a function finds out from Airflow; raise Unavailable where it does not in time."""
    return await _questions.ask(question, *arguments)


async def ask_for_login(question: Callable[..., T], *arguments: Any) -> T:
    """Do the same for what checks a password, which takes its time and may ask a directory elsewhere."""
    return await _logins.ask(question, *arguments)
