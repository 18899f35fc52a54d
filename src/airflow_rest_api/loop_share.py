"""
What part of the event loop, which is Airflow's, our requests and commands have, whatever their number.

Imports nothing heavy: see plugin.py.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import itertools
import time
import types
from collections.abc import Callable, Coroutine, Generator, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_rest_api.asgi import local_path

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send


T = TypeVar("T")

BUDGET = 0.0001
"""Seconds of one turn of the event loop for all that is ours together; one step may exceed it."""

OTHERS = 0.002
"""Seconds between two steps of ours, as long as a request to one of Airflow's own routes goes first."""

NEW = 0.05
"""Seconds for which such a request goes first: one that takes longer waits for something, or is a stream."""

WOKEN = 1
"""How many of those that wait for a turn are woken at once: more would only find it used up again."""


class OtherRequests:
    """
    Requests to Airflow's own routes, which this process is answering.

    :param new: seconds for which one of them goes first
    """

    def __init__(self, new: float = NEW) -> None:
        self._new = new
        self._number = 0
        self._newest = 0.0
        self.when_answered: Callable[[], None] = _nothing
        """Called when one of them has its answer."""

    @property
    def first(self) -> bool:
        """Whether one of them goes before ours: it has come a moment ago, and has no answer yet."""
        return self._number > 0 and time.perf_counter() - self._newest < self._new

    @contextlib.contextmanager
    def one(self) -> Iterator[None]:
        """Count a request for as long as the body runs."""
        self._number += 1
        self._newest = time.perf_counter()
        try:
            yield
        finally:
            self._number -= 1
            self.when_answered()


def _nothing() -> None:
    pass


class OthersFirst:
    """
    ASGI middleware around Airflow's whole app, which lets `LoopShare` know of the requests that are not ours.

    :param ours: what our own paths begin with
    """

    def __init__(self, app: ASGIApp, others: OtherRequests, ours: tuple[str, ...]) -> None:
        self.app = app
        self._others = others
        self._ours = ours

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] != "http" or local_path(scope).startswith(self._ours):
            await self.app(scope, receive, send)
            return
        with self._others.one():
            await self.app(scope, receive, send)


class LoopShare:
    """
    Lets coroutines run step by step, as long as their steps of this turn have not taken longer than a budget.

    A turn is one round of the event loop over what is ready. Whoever else is ready waits for a budget and a
    step in a turn, and not for each of a thousand requests. An answer of Airflow's own takes many turns:
    while one is being made, ours take a step every two milliseconds, where several of them wait. Those that
    wait go on in the order in which they came: the first ones are answered, instead of all of them late.

    A task that a coroutine starts has no part in this: start it with what `run` returns.

    :param budget: seconds
    :param others: what goes first
    """

    def __init__(self, budget: float = BUDGET, others: OtherRequests | None = None) -> None:
        self._budget = budget
        self._others = others or OtherRequests()
        self._others.when_answered = self._go_on
        self._stepped_at = 0.0
        self._spent = 0.0
        self._renewing = False
        self._resting: asyncio.TimerHandle | None = None
        """What ends the time that is left to others."""
        self._numbers = itertools.count()
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []

    async def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Return what a coroutine returns, in this task; raise what it raises."""
        return await _stepwise(self, coroutine, next(self._numbers))

    @property
    def used_up(self) -> bool:
        """Whether nothing of this turn is left."""
        return self._spent >= self._budget

    def spend(self, seconds: float) -> None:
        """A step took so long."""
        self._spent += seconds
        self._stepped_at = time.perf_counter()
        self._renew_soon()

    async def turn(self, number: int) -> None:
        """Return when there is something left for a coroutine of this number."""
        future = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (number, next(self._numbers), future))
        self._renew_soon()
        await future

    def _renew_soon(self) -> None:
        if not self._renewing:
            self._renewing = True
            asyncio.get_running_loop().call_soon(self._renew)

    def _renew(self) -> None:
        """Begin a turn, or leave it to others."""
        self._resting = None
        # One that waits alone delays them by no more than itself.
        if len(self._waiting) > 1 and self._others.first:
            rest = self._stepped_at + OTHERS - time.perf_counter()
            if rest > 0:
                self._resting = asyncio.get_running_loop().call_later(rest, self._renew)
                return
        self._spent = 0.0
        self._renewing = False
        woken = 0
        while self._waiting and woken < WOKEN:
            _, _, future = heapq.heappop(self._waiting)
            # One that is done was cancelled with its request.
            if not future.done():
                future.set_result(None)
                woken += 1
        if self._waiting:
            self._renew_soon()

    def _go_on(self) -> None:
        """Look at once whether there is still somebody who goes first."""
        if self._resting is not None:
            self._resting.cancel()
            self._resting = None
            asyncio.get_running_loop().call_soon(self._renew)


@types.coroutine
def _stepwise(share: LoopShare, coroutine: Coroutine[Any, Any, T], number: int) -> Generator[Any, Any, T]:
    """Await a coroutine as ``await`` does, and look before each of its steps whether it may go on."""
    # What was thrown into the task, for the coroutine to see to: a cancellation, most of the time.
    thrown: BaseException | None = None
    value: Any = None
    while True:
        try:
            while thrown is None and share.used_up:
                yield from share.turn(number).__await__()
        except BaseException as error:
            thrown = error
        began = time.perf_counter()
        try:
            awaited = coroutine.send(value) if thrown is None else coroutine.throw(thrown)
        except StopIteration as end:
            result: T = end.value
            return result
        finally:
            share.spend(time.perf_counter() - began)
        thrown = None
        try:
            value = yield awaited
        except BaseException as error:
            thrown = error
