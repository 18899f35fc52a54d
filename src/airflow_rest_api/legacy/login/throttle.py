"""Wrong passwords: counted, slowed down, and at last refused."""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
import math
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

CAPACITY = 10_000
BURST = 64
"""Logins of one user from one address that may be under way at the same time, most of them waiting."""
OF_AN_ADDRESS = 10
"""How many times as many an address may have for all users: people share addresses."""
FIRST_DELAY = 0.5
LONGEST_DELAY = 8.0
VERIFIERS = 4
"""Passwords that are verified at the same time: it is made to cost processor time."""


class TooManyLogins(Exception):
    """Too many wrong passwords; `retry_after` in seconds."""

    status = 429
    message = "Too many wrong passwords; try again later."

    def __init__(self, retry_after: int) -> None:
        super().__init__(self.message)
        self.retry_after = retry_after
        self.headers = {"Retry-After": str(retry_after)}


@dataclass
class Count:
    """
    The wrong passwords of one user, address, or both.

    :ivar pending: those that are verified right now
    :ivar waiting: those that wait until it is known whether these were wrong
    """

    wrong: int = 0
    until: float = 0.0
    pending: int = 0
    waiting: int = 0


class LoginAttempt:
    """
    One login; wrong unless set to be right.

    :ivar spent: it is wrong whatever its password, which is not to be verified
    """

    right = False
    spent = False


class Throttle:
    """
    Counts wrong passwords per name, per address and per both, for one process of the API server.

    A name at an address, and an address, are refused after their number. A name alone never is, or others
    could lock its user out; wrong passwords for it from anywhere only make the next answers slower.

    A user may have several names. Those that look the same are counted as one, be there such a user or not.
    Of the others none may tell that it leads to the same user: the guesses at a user are bounded beside that,
    but answered as those at a name that nobody has.

    :param attempts: wrong passwords for a user at an address before the first refusal
    :param lockout: seconds for which they count, and for which is refused
    :param first_delay: seconds after which the first wrong password is answered; each further one doubles it
    """

    def __init__(
        self,
        attempts: int,
        lockout: int,
        *,
        first_delay: float = FIRST_DELAY,
        capacity: int = CAPACITY,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._attempts = attempts
        self._of_address = attempts * OF_AN_ADDRESS
        self._lockout = lockout
        self._first_delay = first_delay
        self._capacity = capacity
        self._clock = clock
        self._counts: OrderedDict[bytes, Count] = OrderedDict()
        self._verifiers = asyncio.Semaphore(VERIFIERS)
        self._decided = asyncio.Event()

    @asynccontextmanager
    async def attempt(
        self, user: str, address: str | None, *, name: str | None = None
    ) -> AsyncIterator[LoginAttempt]:
        """
        Surround the verification of a password.

        A wrong one leaves it late: not before its time, however long the verification took, so that the time
        says nothing about whether there is such a user. Of many at the same time no more are verified than
        may be wrong; the others wait until it is known whether these were.

        :param user: the same for all names of a user
        :param name: the same for all names that look the same, be there such a user or not: times and
            refusals go by it alone; without one, by the user
        :raises TooManyLogins: instead of it
        """
        place = network(address)
        name = user if name is None else name
        words = [("pair", name, place), ("address", place), ("user", name)]
        if user != name:
            words.append(("whose", user, place))
        keys = {key: self._count(key) for key in (_key(*one) for one in words)}
        pair, everyone, anywhere, *whose = keys.values()
        self._refuse_wrong(pair, self._attempts)
        self._refuse_wrong(everyone, self._of_address)
        if pair.pending + pair.waiting >= BURST:
            raise TooManyLogins(1)
        # Only of those that are let in: refusals are cheap, and must not push out what is known of others.
        for key, count in keys.items():
            self._keep(key, count)
        begun = self._clock()
        await self._wait(pair, everyone, *whose)
        made = LoginAttempt()
        made.spent = any(self._is_spent(count, self._attempts) for count in whose)
        if made.spent:
            whose = []
        at_work = [pair, everyone, *whose]
        for count in at_work:
            count.pending += 1
        known = False
        try:
            async with self._verifiers:
                yield made
            known = True
        finally:
            for count in at_work:
                count.pending -= 1
            if known and not made.right:
                # Before those that wait are woken.
                for count in (*at_work, anywhere):
                    count.wrong += 1
                    count.until = self._clock() + self._lockout
            self._decided.set()
            self._decided = asyncio.Event()
        if made.right:
            for count in (pair, anywhere, *whose):
                count.wrong = 0
            return
        await asyncio.sleep(max(0.0, begun + self._delay(pair, anywhere) - self._clock()))

    def refuse_address(self, address: str | None) -> None:
        """Raise TooManyLogins where an address is refused for all users: no name need be looked up then."""
        self._refuse_wrong(self._count(_key("address", network(address))), self._of_address)

    def _refuse_wrong(self, count: Count, limit: int) -> None:
        if self._is_spent(count, limit):
            raise TooManyLogins(max(1, math.ceil(count.until - self._clock())))

    def _is_spent(self, count: Count, limit: int) -> bool:
        if count.until <= self._clock():
            count.wrong = 0
        return count.wrong >= limit

    async def _wait(self, pair: Count, everyone: Count, *whose: Count) -> None:
        """Wait until one more may be wrong; raise TooManyLogins where none may of this name or address."""
        pair.waiting += 1
        try:
            while (
                pair.wrong + pair.pending >= self._attempts
                or everyone.wrong + everyone.pending >= self._of_address
                or any(one.wrong < self._attempts <= one.wrong + one.pending for one in whose)
            ):
                await self._decided.wait()
                self._refuse_wrong(pair, self._attempts)
                self._refuse_wrong(everyone, self._of_address)
        finally:
            pair.waiting -= 1

    def _delay(self, *counts: Count) -> float:
        wrong = min(max(count.wrong for count in counts), 32)
        return min(self._first_delay * 2.0 ** (wrong - 1), max(LONGEST_DELAY, self._first_delay))

    def _count(self, key: bytes) -> Count:
        count = self._counts.get(key)
        if count is None:
            return Count()
        if count.until <= self._clock():
            count.wrong = 0
        return count

    def _keep(self, key: bytes, count: Count) -> None:
        self._counts[key] = count
        self._counts.move_to_end(key)
        for _ in range(len(self._counts)):
            if len(self._counts) <= self._capacity:
                break
            oldest, known = self._counts.popitem(last=False)
            if known.pending or known.waiting:
                # A new one in its place would know nothing of those that are verified.
                self._counts[oldest] = known


def _key(*words: str) -> bytes:
    # A digest: names are of any length, and passwords land in the wrong field.
    return hashlib.blake2b("\0".join(words).encode(errors="surrogatepass"), digest_size=16).digest()


def network(address: str | None) -> str:
    """Return what counts as one address: a network of 64 bits where one client has a whole one (IPv6)."""
    try:
        parsed = ipaddress.ip_address(address or "")
    except ValueError:
        return address or ""
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((int(parsed), 64), strict=False))
    return str(parsed)
