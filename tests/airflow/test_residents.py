"""Airflow's commands in a child that has run others: as in a process that has run none."""

from __future__ import annotations

import asyncio
import json
import os
import random
import shlex
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from airflow_rest_api.airflow.child import setup
from airflow_rest_api.airflow.warm import HOOKS
from airflow_rest_api.commands.catalog import load_catalog
from airflow_rest_api.commands.model import Command
from airflow_rest_api.engine.engine import Engine
from airflow_rest_api.engine.job import Job, Limits
from tests.engine.conftest import KeepingEngine
from tests.parity.normal import normal
from tests.parity.running import DAGS, ENVIRONMENT, folder_of_one_length, know_the_dags
from tests.parity.script import LANES, NOT_RUN
from tests.stacks import Stack

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(600)]

MODULES = {"PYTHONPATH": str(Path(__file__).parents[1] / "engine")}
WALK = 120
TURNS = 1000

NO_LINE: dict[str, str] = {
    "connections export": "has a file in each line",
    "connections import": "has a file in each line",
    "pools export": "has a file in each line",
    "pools import": "has a file in each line",
    "providers lazy-loaded": "tells where in its own process the providers were first looked for",
    "variables export": "has a file in each line",
    "variables import": "has a file in each line",
}
"""Commands that may share a child, and are not compared, with the reason."""


def command_of(line: str) -> Command:
    first, *rest = shlex.split(line)
    commands = load_catalog().commands
    return commands.get(first) or commands[f"{first} {rest[0]}"]


def lines() -> list[str]:
    """Return the lines of the script whose commands may share a child."""
    found = [line for lane in LANES.values() for line in lane if " @" not in line and " >" not in line]
    return [line for line in found if command_of(line).resident and "--local" not in line]


LINES = lines()


@dataclass(frozen=True)
class End:
    """How a command ended, ready to be compared."""

    exit_code: int | None
    stdout: str
    stderr: str


class Side:
    """An Airflow whose commands run in one resident child, or in one of their own each."""

    def __init__(self, stack: Stack, run: Callable[..., Any], residents: int) -> None:
        self.stack = stack
        self.pids: list[int] = []
        self.engine: Engine = KeepingEngine(Limits(residents=residents, grace=1.0), HOOKS)
        self._run = run

    def __call__(self, argv: Sequence[str], user: str = "ada", **options: Any) -> End:
        """Run a command to its end, and wait until its child has put itself back."""
        command = command_of(shlex.join(argv)).name if "entry" not in options else ""
        visible: Mapping[str, Sequence[str]] | None = options.pop("visible", None)
        order = setup.order(user, [command] if command else [], visible=visible)
        job = Job(argv, **{"mask": True, "resident": True, "setup": {setup.PREPARE: order}, **options})
        return self._run(self._to_its_end(job))

    async def _to_its_end(self, job: Job) -> End:
        process: Any = self.engine.submit(job)
        outcome = await process.wait()
        self.pids.append(process.pid)
        for _ in range(3000):
            residents = self.engine._parent._residents  # type: ignore[union-attr]
            if len(residents._idle) == len(residents._all):
                break
            await asyncio.sleep(0.005)
        home = self.stack.home
        said = [normal(stream.text, home) for stream in (process.stdout, process.stderr)]
        return End(outcome.exit_code, *said)


@pytest.fixture(scope="module")
def sides() -> Iterator[tuple[Side, Side]]:
    """Two Airflows with the same content: one with a resident child, one without."""
    loop = asyncio.new_event_loop()
    run = loop.run_until_complete
    before = dict(os.environ)
    with (
        folder_of_one_length() as folder,
        Stack(folder / "rest", components=(), dags=DAGS, env={**ENVIRONMENT, **MODULES}) as resident,
        Stack(folder / "same", components=(), dags=DAGS, env={**ENVIRONMENT, **MODULES}) as fresh,
    ):
        know_the_dags(resident)
        shutil.copy(resident.database, fresh.database)
        made = []
        try:
            for stack, residents in ((resident, 1), (fresh, 0)):
                os.environ.update(stack.environment)
                side = Side(stack, run, residents)
                # The parent has its environment from here on.
                side(["version"])
                made.append(side)
            yield made[0], made[1]
        finally:
            for side in made:
                run(side.engine.stop())
            os.environ.clear()
            os.environ.update(before)
            run(loop.shutdown_default_executor())
            loop.close()


def test_every_command_that_may_share_a_child_is_compared_or_has_a_reason_why_not():
    compared = {command_of(line).name for line in LINES}
    may = {name for name, command in load_catalog().commands.items() if command.resident}

    assert compared | set(NO_LINE) == may
    assert not compared & set(NO_LINE)
    assert set(NO_LINE) & set(NOT_RUN) <= may


@pytest.mark.parametrize("line", LINES)
def test_a_command_ends_again_and_again_as_in_a_process_of_its_own(sides: tuple[Side, Side], line: str):
    resident, fresh = sides
    other = LINES[LINES.index(line) - 7]
    turns = [(line, "ada"), (line, "ada"), (other, "grace"), (line, "ada")]
    before = len(resident.pids)
    there, here = ([side(shlex.split(each), user) for each, user in turns] for side in (resident, fresh))

    assert there == here
    succeeded = all(end.exit_code == 0 for end in there)
    assert not succeeded or len(set(resident.pids[before:])) == 1, "what succeeds leaves its child in order"


def test_any_command_after_any_other_ends_as_in_a_process_of_its_own(sides: tuple[Side, Side]):
    seed = int(os.environ.get("WALK_SEED") or time.time_ns() % 2**32)
    print(f"WALK_SEED={seed}")
    chosen = random.Random(seed).choices(LINES, k=WALK)

    for number, line in enumerate(chosen):
        user = f"user {number % 3}"
        there, here = (side(shlex.split(line), user) for side in sides)
        assert there == here, f"{line}, after {chosen[:number][-3:]}"


def test_a_filtered_list_is_filtered_right_after_a_whole_one_every_time(sides: tuple[Side, Side]):
    resident, _ = sides
    for name in ("seen", "hidden"):
        resident(["variables", "set", name, "value"])
    argv = ["variables", "list", "-o", "json"]
    before = len(resident.pids)

    for _ in range(TURNS // 2):
        whole = json.loads(resident(argv, "admin").stdout)
        some = json.loads(resident(argv, "viewer", visible={"key": ["seen"]}).stdout)
        assert {"seen", "hidden"} <= {row["key"] for row in whole}
        assert [row["key"] for row in some] == ["seen"]
    assert len(set(resident.pids[before:])) <= 2


SECRET = "a-secret-of-another-job"


def test_a_job_finds_nothing_of_the_one_before(sides: tuple[Side, Side]):
    resident, fresh = sides
    look = {"entry": "acts:what_can_be_seen", "mask": False, "secrets": ()}
    clean = fresh([SECRET], **look)
    first = resident([SECRET], **look)
    said = resident(
        ["connections", "add", "of-another", "--conn-uri", f"http://ada:{SECRET}@example.org"],
        "somebody",
        secrets=[SECRET],
        env={"OF_ANOTHER": SECRET},
    )
    second = resident([SECRET], **look)

    assert said.exit_code == 0
    assert SECRET not in said.stdout
    seen = json.loads(clean.stdout)
    assert [seen[place] for place in ("argv", "environment", "maskers", "files")] == [0, 0, 0, 0]
    assert first == second == clean


@pytest.mark.parametrize("left", ["transaction", "connection", "engine", "model", "provider_thread"])
def test_what_a_job_leaves_of_airflow_ends_its_child(sides: tuple[Side, Side], left: str):
    resident, _ = sides
    resident(["version"])
    ended = resident([left], entry="acts:leave_of_airflow", setup={})
    pid = resident.pids[-1]
    resident(["version"])

    assert ended.exit_code == 0
    assert resident.pids[-1] != pid


def test_each_command_is_written_down_with_its_own_user(sides: tuple[Side, Side]):
    import sqlite3

    resident, _ = sides
    for user in ("first", "second", "first"):
        resident(["pools", "set", "of", "1", f"by {user}"], user)

    with sqlite3.connect(resident.stack.database) as connection:
        rows = connection.execute("SELECT owner FROM log WHERE event = 'cli_pool_set' ORDER BY id").fetchall()
    assert [owner for (owner,) in rows][-3:] == ["first", "second", "first"]
    assert len(set(resident.pids[-3:])) == 1
