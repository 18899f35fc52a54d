"""Questions to Airflow that its database may have to answer: in threads, and with a time limit."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_rest_api.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Executable

T = TypeVar("T")

THREADS = 4
"""As many of Airflow's pool of connections (`[database] sql_alchemy_pool_size`: 5, and 10 beyond) at most."""

ANSWER_WITHIN = 10.0
"""Seconds after which the database counts as away: over a lost network there is no answer at all."""


class QuestionThreads:
    """
    Asks in threads of its own: those of the event loop are Airflow's too.

    A question without an answer keeps its thread until the driver gives up. Once that is true of all threads,
    the next questions fail at once, and not after their time.

    :param threads: how many questions are asked at a time
    :param within: seconds in which an answer has to come
    """

    def __init__(self, threads: int = THREADS, within: float = ANSWER_WITHIN) -> None:
        self._number = threads
        self._within = within
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
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()
        context = contextvars.copy_context()

        def settle(how: Callable[[Any], None], outcome: Any) -> None:
            # One that is done came too late, or nobody waits for it any more.
            if not answer.done():
                how(outcome)

        def tell(how: Callable[[Any], None], outcome: Any) -> None:
            # The loop may have been closed meanwhile.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(settle, how, outcome)

        def work() -> None:
            try:
                result = self._timed(partial(context.run, question, *arguments))
            except BaseException as error:
                tell(answer.set_exception, error)
            else:
                tell(answer.set_result, result)

        # By ourselves: the futures of threads and `asyncio.wait` pass an answer on in two turns of the loop
        # more, and each request waits for them.
        begun = self._threads.submit(work)
        late = Unavailable("The database does not answer.")
        timer = loop.call_later(self._within, settle, answer.set_exception, late)
        try:
            return await answer
        finally:
            timer.cancel()
            # What has not begun is not asked any more.
            begun.cancel()

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
        """Return whether each thread has waited for longer than a question may take."""
        with self._lock:
            if len(self._begun) < self._number:
                return False
            return max(self._begun.values()) <= time.monotonic() - self._within


ask = QuestionThreads().ask
ask_for_login = QuestionThreads(threads=2, within=30.0).ask
"""For what checks a password, which takes its time and may ask a directory elsewhere."""


def rows(statement: Executable) -> Sequence[Any]:
    """Return the rows that a statement finds in Airflow's database. Blocks: for threads only."""
    from airflow.utils.session import create_session

    with create_session() as session:
        return session.execute(statement).all()


def values(statement: Executable) -> list[Any]:
    """Return the first column of these rows. Blocks: for threads only."""
    return [row[0] for row in rows(statement)]
