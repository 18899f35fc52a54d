"""A database that answers late, or never."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from airflow_rest_api.airflow.queries import QuestionThreads
from airflow_rest_api.errors import Unavailable


def test_an_answer_and_an_error_are_passed_on():
    async def run() -> None:
        questions = QuestionThreads()
        assert await questions.ask(max, 3, 7) == 7
        with pytest.raises(ValueError, match="invalid literal"):
            await questions.ask(int, "x")

    asyncio.run(run())


def test_a_question_is_asked_in_a_thread_of_its_own_kind():
    async def run() -> str:
        return await QuestionThreads().ask(lambda: threading.current_thread().name)

    assert asyncio.run(run()).startswith("rest-api-question")


def test_who_gets_no_answer_is_told_and_the_event_loop_goes_on():
    silent = threading.Event()

    async def run() -> None:
        questions = QuestionThreads(threads=2, within=0.2)
        turns = 0

        async def count() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0.01)

        counting = asyncio.ensure_future(count())
        asked = [questions.ask(silent.wait) for _ in range(5)]
        answers = await asyncio.gather(*asked, return_exceptions=True)
        assert all(isinstance(one, Unavailable) for one in answers)
        assert turns > 3
        # Both threads wait in vain: nobody else does.
        began = time.perf_counter()
        with pytest.raises(Unavailable):
            await questions.ask(max, 1, 2)
        assert time.perf_counter() - began < 0.2
        silent.set()
        for _ in range(100):
            await asyncio.sleep(0.01)
            try:
                assert await questions.ask(max, 1, 2) == 2
                break
            except Unavailable:
                continue
        else:
            raise AssertionError("the threads are free again, and nobody asks")
        counting.cancel()

    asyncio.run(run())


def test_clients_that_went_away_say_nothing_of_the_database():
    silent = threading.Event()

    async def run() -> None:
        questions = QuestionThreads(threads=2, within=5)
        asked = [asyncio.ensure_future(questions.ask(silent.wait)) for _ in range(2)]
        await asyncio.sleep(0.05)
        for one in asked:
            one.cancel()
        await asyncio.wait(asked)
        asyncio.get_running_loop().call_later(0.1, silent.set)
        assert await questions.ask(max, 1, 2) == 2

    asyncio.run(run())
