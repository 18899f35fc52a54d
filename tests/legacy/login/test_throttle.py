from __future__ import annotations

import asyncio

import pytest

from airflow_rest_api.legacy.login import throttle as throttle_module
from airflow_rest_api.legacy.login.throttle import BURST, VERIFIERS, Throttle, TooManyLogins, network


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def throttle(clock: Clock | None = None, **more: object) -> Throttle:
    return Throttle(3, 60, first_delay=0, clock=clock or Clock(), **more)  # type: ignore[arg-type]


async def attempt(
    throttle: Throttle, user: str = "u", address: str = "1.2.3.4", *, right: bool = False
) -> int:
    """Log in; return 200, 401 or 429."""
    try:
        async with throttle.attempt(user, address) as made:
            made.right = right
    except TooManyLogins:
        return 429
    return 200 if right else 401


async def attempts(number: int, *arguments: object, **more: object) -> list[int]:
    return [await attempt(*arguments, **more) for _ in range(number)]  # type: ignore[arg-type]


def test_after_some_wrong_passwords_the_right_one_is_refused_too_for_a_while():
    async def script() -> None:
        clock = Clock()
        one = throttle(clock)
        assert await attempts(4, one) == [401, 401, 401, 429]
        with pytest.raises(TooManyLogins) as refused:
            async with one.attempt("u", "1.2.3.4"):
                raise AssertionError("verified")
        assert refused.value.retry_after == 60
        clock.now = 61
        assert await attempt(one, right=True) == 200

    asyncio.run(script())


def test_others_are_not_refused():
    async def script() -> None:
        one = throttle()
        await attempts(4, one)
        assert await attempt(one, "other", right=True) == 200
        assert await attempt(one, "u", "4.3.2.1", right=True) == 200

    asyncio.run(script())


def test_the_right_password_clears_the_count():
    async def script() -> None:
        one = throttle()
        assert await attempts(2, one) == [401, 401]
        assert await attempt(one, right=True) == 200
        assert await attempts(3, one) == [401, 401, 401]

    asyncio.run(script())


def test_an_address_that_tries_many_users_is_refused_for_all():
    async def script() -> None:
        one = throttle()
        tried = [await attempt(one, f"u{number}") for number in range(31)]
        assert tried == [401] * 30 + [429]
        assert await attempt(one, "somebody", right=True) == 429
        assert await attempt(one, "u1", "4.3.2.1", right=True) == 200

    asyncio.run(script())


@pytest.mark.parametrize("before", [0, 1, 2])
def test_wrong_passwords_at_the_same_time_are_counted_before_they_are_known(before: int):
    async def script() -> None:
        one = throttle()
        await attempts(before, one)
        guesses = await asyncio.gather(*(attempt(one) for _ in range(100)))
        assert (guesses.count(401), guesses.count(429)) == (3 - before, 97 + before)

    asyncio.run(script())


def test_no_more_guesses_are_at_work_than_may_be_wrong():
    async def script() -> None:
        one = throttle()
        at_work = most = 0

        async def guess(user: str) -> None:
            nonlocal at_work, most
            try:
                async with one.attempt(user, "1.2.3.4"):
                    at_work += 1
                    most = max(most, at_work)
                    await asyncio.sleep(0.001)
                    at_work -= 1
            except TooManyLogins:
                return

        await asyncio.gather(*(guess("u") for _ in range(50)))
        assert most <= 3
        await asyncio.gather(*(guess(f"u{number}") for number in range(200)))
        assert most <= VERIFIERS
        assert await attempt(one, "somebody", right=True) == 429

    asyncio.run(script())


def test_a_wrong_password_among_right_ones_at_the_same_time_keeps_nobody_out():
    async def script() -> None:
        one = throttle()
        tried = await asyncio.gather(*(attempt(one, right=number != 5) for number in range(30)))
        assert tried == [200] * 5 + [401] + [200] * 24

    asyncio.run(script())


def test_those_that_wait_are_bounded_and_given_up_with_their_client():
    async def script() -> None:
        one = throttle()
        hold = asyncio.Event()

        async def held() -> None:
            async with one.attempt("u", "1.2.3.4") as made:
                await hold.wait()
                made.right = True

        waiting = [asyncio.ensure_future(held()) for _ in range(BURST)]
        await asyncio.sleep(0)
        assert await attempt(one, right=True) == 429
        for task in waiting[10:]:
            task.cancel()
        await asyncio.sleep(0)
        hold.set()
        assert await attempt(one, right=True) == 200
        await asyncio.gather(*waiting[:10])

    asyncio.run(script())


def test_what_is_verified_is_not_forgotten_for_others():
    async def script() -> None:
        one = throttle(capacity=10)
        hold = asyncio.Event()

        async def held() -> None:
            async with one.attempt("u", "1.2.3.4"):
                await hold.wait()

        guesses = [asyncio.ensure_future(held()) for _ in range(3)]
        await asyncio.sleep(0)
        one._verifiers = asyncio.Semaphore(100)
        for number in range(50):
            await attempt(one, f"u{number}", f"2.2.2.{number}", right=True)
        hold.set()
        await asyncio.gather(*guesses)
        assert await attempt(one) == 429

    asyncio.run(script())


def test_an_address_that_is_refused_is_so_before_a_name_is_looked_up():
    async def script() -> None:
        one = throttle()
        one.refuse_address("1.2.3.4")
        for number in range(30):
            await attempt(one, f"u{number}")
        with pytest.raises(TooManyLogins):
            one.refuse_address("1.2.3.4")
        one.refuse_address("4.3.2.1")

    asyncio.run(script())


def test_many_right_logins_at_the_same_time_are_all_let_in():
    async def script() -> None:
        one = throttle()
        assert await asyncio.gather(*(attempt(one, right=True) for _ in range(BURST))) == [200] * BURST

    asyncio.run(script())


async def tried(throttle: Throttle, user: str, name: str) -> tuple[int, float, bool]:
    """Return the answer to a wrong password, when it would come, and whether it was verified."""
    with pytest.MonkeyPatch.context() as patch:
        waits: list[float] = []

        async def sleep(seconds: float) -> None:
            waits.append(seconds)

        patch.setattr(throttle_module.asyncio, "sleep", sleep)
        try:
            async with throttle.attempt(user, "1.2.3.4", name=name) as made:
                pass
        except TooManyLogins:
            return 429, 0, False
    return 401, waits[0], not made.spent


def test_the_answers_do_not_tell_which_names_lead_to_the_same_user():
    names = ["grace"] * 4 + ["grace@example.org"] * 5 + ["grace"]

    async def script(users: dict[str, str]) -> list[tuple[int, float, bool]]:
        one = Throttle(5, 60, first_delay=0.5, clock=Clock())
        return [await tried(one, users.get(name, name), name) for name in names]

    hers = asyncio.run(script({"grace": "\0001", "grace@example.org": "\0001"}))
    others = asyncio.run(script({"grace": "\0001", "grace@example.org": "\0002"}))
    nobodys = asyncio.run(script({}))

    assert [one[:2] for one in hers] == [one[:2] for one in others] == [one[:2] for one in nobodys]
    assert [verified for _, _, verified in hers] == [True] * 5 + [False] * 5
    assert all(verified for _, _, verified in others)


def test_a_user_has_the_guesses_of_one_under_all_names_also_at_the_same_time():
    async def script() -> None:
        one = throttle()
        verified = 0

        async def guess(name: str) -> None:
            nonlocal verified
            async with one.attempt("\0001", "1.2.3.4", name=name) as made:
                verified += not made.spent
                await asyncio.sleep(0.001)

        await asyncio.gather(*(guess(f"name{number % 8}") for number in range(24)))
        assert verified == 3

    asyncio.run(script())


def test_right_passwords_under_many_names_at_the_same_time_are_all_verified_and_clear_the_count():
    async def script() -> None:
        one = throttle()

        async def login(name: str, *, right: bool = True) -> bool:
            async with one.attempt("\0001", "1.2.3.4", name=name) as made:
                await asyncio.sleep(0.001)
                made.right = right and not made.spent
            return made.right

        assert all(await asyncio.gather(*(login(f"name{number % 8}") for number in range(24))))
        for name in ("a", "b"):
            assert not await login(name, right=False)
        assert await login("a")
        assert not await login("b", right=False)
        assert await login("b")

    asyncio.run(script())


@pytest.mark.slow
def test_each_wrong_password_is_answered_later_and_the_right_one_at_once():
    async def script() -> None:
        one = Throttle(10, 60, first_delay=0.2)
        loop = asyncio.get_running_loop()
        took = []
        for right in (False, False, False, True):
            begun = loop.time()
            await attempt(one, right=right)
            took.append(loop.time() - begun)
        assert took[0] >= 0.2
        assert took[1] >= 0.4
        assert took[2] >= 0.8
        # A fourth wrong one would take 1.6 seconds.
        assert took[3] < 1.5

    asyncio.run(script())


@pytest.mark.slow
def test_a_wrong_password_takes_the_same_time_however_long_it_was_verified():
    async def script() -> None:
        one = Throttle(10, 60, first_delay=1.5)
        loop = asyncio.get_running_loop()
        took = []
        for user, seconds in (("known", 1.0), ("unknown", 0.0)):
            begun = loop.time()
            async with one.attempt(user, "1.2.3.4"):
                await asyncio.sleep(seconds)
            took.append(loop.time() - begun)
        assert abs(took[0] - took[1]) < 0.8

    asyncio.run(script())


def test_a_verification_that_fails_leaves_nothing_pending():
    async def script() -> None:
        one = throttle()
        for _ in range(BURST * 2):
            with pytest.raises(ConnectionError):
                async with one.attempt("u", "1.2.3.4"):
                    raise ConnectionError
        assert await attempt(one, right=True) == 200

    asyncio.run(script())


def test_refused_attempts_do_not_push_out_what_is_remembered():
    async def script() -> None:
        one = throttle(capacity=100)
        assert await attempts(4, one, "admin") == [401, 401, 401, 429]
        flood = [await attempt(one, f"u{number}", "2.2.2.2") for number in range(400)]
        assert flood.count(429) > 300
        assert await attempt(one, "admin", right=True) == 429

    asyncio.run(script())


def test_what_is_remembered_is_bounded():
    async def script() -> None:
        one = throttle(capacity=20)
        for number in range(200):
            await attempt(one, "u" * 10_000 + str(number), f"1.2.3.{number}")
        assert len(one._counts) <= 20

    asyncio.run(script())


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("1.2.3.4", "1.2.3.4"),
        ("::ffff:1.2.3.4", "1.2.3.4"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("testclient", "testclient"),
        (None, ""),
    ],
)
def test_a_network_of_ipv6_is_one_address(address: str | None, expected: str):
    assert network(address) == expected
