from __future__ import annotations

import asyncio
import threading
from collections.abc import Collection
from typing import Any

import pytest

from airflow_rest_api.api import launch


def on_the_event_loop(given: Collection[object]) -> bool:
    seen: list[threading.Thread] = []

    def check() -> Any:
        seen.append(threading.current_thread())

    asyncio.run(launch._checked(check, given))
    return seen == [threading.main_thread()]


@pytest.mark.parametrize("given", [[], ["a" * 200, None, True, 3], {"dag_id": "a"}.values()])
def test_few_short_arguments_are_checked_at_once(given: Collection[object]):
    assert on_the_event_loop(given)


@pytest.mark.parametrize("given", [["a" * 201], ["a"] * 21, [21], [1.5], [["a"]], [{"a": 1}]])
def test_what_may_take_longer_is_checked_in_a_thread(given: Collection[object]):
    assert not on_the_event_loop(given)
