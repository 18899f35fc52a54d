"""The event loop is Airflow's: what part of it our requests may have, whatever their number."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Awaitable, Coroutine, Generator
from time import perf_counter
from typing import Any, TypeVar

T = TypeVar("T")

BUDGET = 0.008
"""Seconds of one turn of the event loop for all of our requests together; one step may exceed it."""

WOKEN = 8
"""How many of those that wait for a turn are woken at once: more would only find it used up again."""


class LoopShare:
    """
    Lets coroutines run step by step, as long as their steps of this turn have not taken longer than a budget.

    A turn is one round of the event loop over what is ready. Whoever else is ready, Airflow's own requests
    among them, waits for a budget and a step each turn, and not for each of a thousand requests. Those that
    wait go on in the order in which they came: the first ones are answered, instead of all of them late.

    A task that a coroutine starts has no part in this: start it with what `run` returns.
    """

    def __init__(self, budget: float = BUDGET) -> None:
        self._budget = budget
        self._spent = 0.0
        self._renewing = False
        self._numbers = itertools.count()
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []

    @property
    def waiting(self) -> int:
        """How many wait for a turn."""
        return len(self._waiting)

    async def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Return what a coroutine returns, in this task; raise what it raises."""
        return await _Stepwise(self, coroutine, next(self._numbers))

    @property
    def used_up(self) -> bool:
        """Whether nothing of this turn is left."""
        return self._spent >= self._budget

    def spend(self, seconds: float) -> None:
        """A step took so long."""
        self._spent += seconds
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
        """Begin a turn."""
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


class _Stepwise(Awaitable[T]):
    """Awaits a coroutine as ``await`` does, and looks before each of its steps whether it may go on."""

    def __init__(self, share: LoopShare, coroutine: Coroutine[Any, Any, T], number: int) -> None:
        self._share = share
        self._coroutine = coroutine
        self._number = number

    def __await__(self) -> Generator[Any, Any, T]:
        share, coroutine = self._share, self._coroutine
        # What was thrown into the task, for the coroutine to see to: a cancellation, most of the time.
        thrown: BaseException | None = None
        value: Any = None
        while True:
            try:
                while thrown is None and share.used_up:
                    yield from share.turn(self._number).__await__()
            except BaseException as error:
                thrown = error
            began = perf_counter()
            try:
                awaited = coroutine.send(value) if thrown is None else coroutine.throw(thrown)
            except StopIteration as end:
                result: T = end.value
                return result
            finally:
                share.spend(perf_counter() - began)
            thrown = None
            try:
                value = yield awaited
            except BaseException as error:
                thrown = error
