"""Regular expressions that take for ever, in every place that takes one."""

from __future__ import annotations

import time

import httpx
import pytest

from tests.attacks.test_many_secrets import PAST_OTHERS, slowest
from tests.server.conftest import Client
from tests.stacks import Stack

pytestmark = pytest.mark.airflow

ENDLESS = ".?" * 60 + "!"
"""Which of the sixty take the eight letters of `attacked`: there are more ways than a day has seconds."""
SLOW_TO_COMPILE = "(?i)" + "[\u0100-\U0010fffe]" * 20

PLACES = {
    "pause": ("dags/pause", {"dag_id": ENDLESS, "treat_dag_id_as_regex": True}),
    "unpause": ("dags/unpause", {"dag_id": ENDLESS, "treat_dag_id_as_regex": True}),
    "clear": ("tasks/clear", {"dag_id": ENDLESS, "dag_regex": True}),
}


# The refusals of a viewer's `dags pause` are counted by another test of this server.
@pytest.mark.parametrize(
    ("place", "user"), [*((place, "admin") for place in PLACES), ("unpause", "viewer"), ("clear", "viewer")]
)
def test_an_endless_expression_over_dags_ends(
    attacked: Stack, request: pytest.FixtureRequest, place: str, user: str
):
    client = request.getfixturevalue(user)
    path, arguments = PLACES[place]
    began = time.monotonic()
    before, beside, answer = slowest(attacked, lambda: client.command(path, **arguments))

    # A minute for a machine that does much else; without a limit it takes years.
    assert time.monotonic() - began < 60
    assert beside < before + PAST_OTHERS
    if user == "admin":
        said = answer.json()
        assert (said["state"], said["exit_code"]) == ("failed", 1), said
        assert "The regular expression takes longer than 2 seconds" in said["stderr"]
    else:
        assert answer.status_code == 403


@pytest.mark.parametrize(
    ("path", "arguments"),
    [
        ("dags/pause", {"dag_id": SLOW_TO_COMPILE, "treat_dag_id_as_regex": True}),
        ("tasks/clear", {"dag_id": SLOW_TO_COMPILE, "dag_regex": True}),
        ("tasks/clear", {"dag_id": "attacked", "task_regex": SLOW_TO_COMPILE}),
    ],
)
def test_an_expression_that_takes_long_to_compile_is_refused(admin: Client, path: str, arguments: dict):
    answer = admin.command(path, **arguments)

    assert answer.status_code == 400
    assert "its ranges of characters are too wide" in answer.json()["detail"]["message"]


def test_a_1x_client_is_refused_one_as_well(legacy: httpx.Client):
    form = {"api": "clear", "dag_id": "attacked", "task_regex": SLOW_TO_COMPILE}
    answer = legacy.post("/api", data=form)

    assert answer.status_code == 400
    assert "too wide" in answer.json()["output"]
