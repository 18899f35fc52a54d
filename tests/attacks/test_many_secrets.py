"""Secrets in such number and length that looking for them would hold up everybody else."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.server.conftest import Client
from tests.stacks import Stack

pytestmark = pytest.mark.airflow

PAST_OTHERS = 1.0
"""Seconds that the answer of another client may take longer than without the attack."""

LONG = json.dumps({"password": "x" * 200_000})
LONGER = json.dumps({"password": "x" * 400_000})
MANY = json.dumps({f"password{number}": f"hunter-{number}" for number in range(900)})
TOO_MANY = json.dumps({f"password{number}": f"hunter-{number}" for number in range(20_000)})


def slowest(stack: Stack, attack: Callable[[], Any]) -> tuple[float, float, Any]:
    """Return how long the slowest answer of Airflow's own took before an attack and beside it, and what it
    came to."""
    over = threading.Event()

    def ask(until: Callable[[int], bool]) -> float:
        worst, count = 0.0, 0
        with httpx.Client(base_url=stack.url, timeout=120) as other:
            while not until(count):
                began = time.monotonic()
                other.get("/api/v2/version").raise_for_status()
                worst, count = max(worst, time.monotonic() - began), count + 1
                time.sleep(0.01)
        return worst

    before = ask(lambda count: count >= 20)
    beside: list[float] = []
    watcher = threading.Thread(target=lambda: beside.append(ask(lambda _: over.is_set())))
    watcher.start()
    try:
        came = attack()
    finally:
        over.set()
        watcher.join()
    return before, beside[0], came


@pytest.mark.parametrize("value", [LONG, LONGER, MANY, TOO_MANY], ids=["long", "longer", "many", "too many"])
def test_a_viewer_with_secrets_as_arguments_holds_nobody_up(attacked: Stack, viewer: Client, value: str):
    viewer.command("jobs/check", hostname="warm")
    before, beside, answer = slowest(attacked, lambda: viewer.command("jobs/check", hostname=value))

    assert beside < before + PAST_OTHERS
    if value in (LONG, MANY):
        assert answer.status_code == 200, answer.text[:500]
        assert answer.json()["state"] == "failed"
    else:
        assert answer.status_code == 400
        assert answer.json()["detail"]["argument"] == "hostname"
        assert "more secrets" in answer.json()["detail"]["message"]
    assert "hunter-" not in answer.text
    assert "xxxx" not in answer.text


def test_a_1x_client_hears_which_argument_has_too_many_secrets(legacy: httpx.Client):
    form = {"api": "trigger_dag", "dag_id": "attacked", "conf": TOO_MANY}
    answer = legacy.post("/api", data=form)

    assert answer.status_code == 400
    assert "argument conf: there are more secrets" in answer.json()["output"]
    assert "hunter-" not in answer.text
