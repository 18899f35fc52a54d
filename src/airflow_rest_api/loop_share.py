"""
What part of the event loop, which is Airflow's, our requests and commands have, whatever their number.

Imports nothing heavy: see plugin.py.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import itertools
import math
import time
import types
from collections import deque
from collections.abc import Callable, Coroutine, Generator, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_rest_api.asgi import local_path

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send


T = TypeVar("T")

BUDGET = 0.0001
"""Seconds of one turn of the event loop for all that is ours together; one step may exceed it."""

OTHERS = 0.005
"""Seconds for which ours pause at once, at most, while a request of Airflow's own is new."""

TIMES = 4
"""How many times as long as ours may take afterwards they have paused: a fifth of the loop stays ours."""

NEW = 0.05
"""Seconds for which a request to Airflow's own routes is new: one that takes longer waits, or streams."""

RECENT = 0.25
"""Seconds since the last of them in which our requests are begun one after the other."""

BEGUN = 0.03
"""Seconds after which the next is begun, although one of ours has no answer yet: it waits for something."""

PATIENCE = 64
"""Steps after which a coroutine has its place behind those that came later: it goes on without an end."""

WOKEN = 1
"""How many of those that wait for a turn are woken at once: more would only find it used up again."""


class OtherRequests:
    """
    Requests to Airflow's own routes, which this process is answering.

    :param new: seconds for which one of them is new
    """

    def __init__(self, new: float = NEW) -> None:
        self._new = new
        self._numbers = itertools.count()
        self._begun: dict[int, float] = {}
        """When each of them came, the newest last."""
        self._last = -math.inf
        """When the last one came."""
        self.when_answered: list[Callable[[], None]] = []
        """What is called when one of them has its answer."""

    @property
    def any_new(self) -> bool:
        """Whether one of them has come a moment ago, and has no answer yet."""
        return bool(self._begun) and time.perf_counter() - next(reversed(self._begun.values())) < self._new

    @property
    def any_recent(self) -> bool:
        """Whether one of them came a moment ago, be it answered or not: more may follow."""
        return time.perf_counter() - self._last < RECENT

    @contextlib.contextmanager
    def one(self) -> Iterator[None]:
        """Count a request for as long as the body runs."""
        number = next(self._numbers)
        self._begun[number] = self._last = time.perf_counter()
        try:
            yield
        finally:
            del self._begun[number]
            for call in self.when_answered:
                call()


class OthersFirst:
    """
    ASGI middleware around Airflow's whole app, which lets `LoopShare` know of the requests that are not ours.

    :param ours: the paths that are ours, with all below them
    """

    def __init__(self, app: ASGIApp, others: OtherRequests, ours: tuple[str, ...]) -> None:
        self.app = app
        self._others = others
        self._ours = ours
        self._below = tuple(f"{path}/" for path in ours)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        path = local_path(scope) if scope["type"] == "http" else ""
        if not path or path in self._ours or path.startswith(self._below):
            await self.app(scope, receive, send)
            return
        with self._others.one():
            await self.app(scope, receive, send)


class LoopShare:
    """
    Lets coroutines run step by step, as long as their steps of this turn have not taken longer than a budget.

    A turn is one round of the event loop over what is ready. Whoever else is ready waits for a budget and a
    step in a turn, and not for each of a thousand requests. An answer of Airflow's own takes many turns, and
    threads that wait for the interpreter: while one is being made, ours pause until it is there; where
    they come without an end, four fifths of the time are left to them.
    Those that wait go on in the order in which they came: the first ones are answered, instead of all of
    them late. And as long as requests of Airflow's own come, ours are begun one after the other: beside many
    that are half done, with what they have set to work on the same processors, each step of an answer of
    Airflow's own would wait.

    A task that a coroutine starts has no part in this: start it with what `run` returns.

    :param budget: seconds
    :param others: the requests of Airflow's own
    """

    def __init__(self, budget: float = BUDGET, others: OtherRequests | None = None) -> None:
        self._budget = budget
        self._others = others or OtherRequests()
        self._others.when_answered.append(self._answered)
        self._spent = 0.0
        self._credit = 0.0
        """Seconds that ours may take before they pause again."""
        self._paused_at = 0.0
        self._pause: asyncio.TimerHandle | None = None
        self._renewing: asyncio.AbstractEventLoop | None = None
        """The loop that was asked to call `_renew`."""
        self._numbers = itertools.count()
        self._queue: list[tuple[int, int, asyncio.Future[None]]] = []
        self._woken: set[asyncio.Future[None]] = set()
        """Those that were woken and have not gone on yet."""
        self._begun: dict[int, asyncio.TimerHandle] = {}
        """The requests of ours that have no answer yet and were begun less than `BEGUN` ago."""
        self._entering: deque[asyncio.Future[int]] = deque()

    async def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Return what a coroutine returns, in this task; raise what it raises."""
        return await _stepwise(self, coroutine)

    async def begin(self) -> int:
        """Return the number of a request of ours, to `end` it, when it may be begun."""
        if not self._entering and self._may_begin:
            return self._begin()
        entering: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._entering.append(entering)
        try:
            return await entering
        except asyncio.CancelledError:
            if entering.done() and not entering.cancelled():
                self.end(entering.result())
            raise

    def end(self, number: int) -> None:
        """A request has its answer, or waits for something else than the processor."""
        if (timer := self._begun.pop(number, None)) is not None:
            timer.cancel()
        while self._entering and self._may_begin:
            entering = self._entering.popleft()
            # One that is done was cancelled with its request.
            if not entering.done():
                entering.set_result(self._begin())

    @property
    def _may_begin(self) -> bool:
        return not self._begun or not self._others.any_recent

    def _begin(self) -> int:
        number = self.number()
        self._begun[number] = asyncio.get_running_loop().call_later(BEGUN, self.end, number)
        return number

    @property
    def used_up(self) -> bool:
        """Whether nothing of this turn is left."""
        return self._spent >= self._budget or self._has_to_pause

    @property
    def is_promised(self) -> bool:
        """
        Whether this turn is another's, or nothing of it is left: for what is ready again and again.

        Requests come to an end, and take what is left before one that was woken goes on: fewer rounds of the
        loop for all of them.
        """
        return bool(self._woken) or self.used_up

    def number(self) -> int:
        """Return the place of a coroutine that comes now, behind all others."""
        return next(self._numbers)

    def spend(self, seconds: float) -> None:
        """A step took so long."""
        self._spent += seconds
        self._credit -= seconds
        # A coroutine that the garbage collector closes may be in no loop.
        with contextlib.suppress(RuntimeError):
            self._renew_soon()

    async def turn(self, number: int) -> None:
        """Return when there is something left for a coroutine of this number."""
        future = asyncio.get_running_loop().create_future()
        heapq.heappush(self._queue, (number, self.number(), future))
        self._renew_soon()
        try:
            await future
        finally:
            self._woken.discard(future)

    def _renew_soon(self) -> None:
        """
        Have a turn begin.

        :raises RuntimeError: there is no loop here
        """
        loop = asyncio.get_running_loop()
        # Not where another loop was asked, which has ended since.
        if self._renewing is not loop:
            self._renewing = loop
            loop.call_soon(self._renew)

    def _renew(self) -> None:
        """Begin a turn, or leave some to others."""
        if self._queue and self._has_to_pause:
            # A timer and no turns that end at once: the threads of an answer need the interpreter.
            self._paused_at = time.perf_counter()
            self._pause = asyncio.get_running_loop().call_later(OTHERS, self._go_on)
            return
        self._spent = 0.0
        self._renewing = None
        # None of a loop that was closed goes on.
        self._woken.clear()
        woken = 0
        while self._queue and woken < WOKEN:
            _, _, future = heapq.heappop(self._queue)
            # One that is done was cancelled with its request.
            if not future.done():
                future.set_result(None)
                self._woken.add(future)
                woken += 1
        if self._queue:
            self._renew_soon()

    @property
    def _has_to_pause(self) -> bool:
        return self._credit <= 0 and self._others.any_new

    def _answered(self) -> None:
        """A request of Airflow's own has its answer."""
        if self._pause is not None and not self._others.any_new:
            self._pause.cancel()
            self._go_on()

    def _go_on(self) -> None:
        """End the pause."""
        self._pause = None
        self._credit = (time.perf_counter() - self._paused_at) / TIMES
        self._renew()


@types.coroutine
def _stepwise(share: LoopShare, coroutine: Coroutine[Any, Any, T]) -> Generator[Any, Any, T]:
    """Await a coroutine as ``await`` does, and look before each of its steps whether it may go on."""
    number = share.number()
    steps = 0
    # What was thrown into the task, for the coroutine to see to: a cancellation, most of the time.
    thrown: BaseException | None = None
    value: Any = None
    while True:
        try:
            while thrown is None and share.used_up:
                yield from share.turn(number).__await__()
        except BaseException as error:
            thrown = error
        steps += 1
        if steps % PATIENCE == 0:
            number = share.number()
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
