"""`tasks test` and `dags test` of active DAGs on a real Airflow, its scheduler and triggerer at work."""

from __future__ import annotations

import ast
import os
import re
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine, create_engine, text

from tests.server.conftest import Client
from tests.shared import RAN
from tests.stacks import Stack

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(900)]

DATE = "2026-02-03T04:05:06+00:00"
PATIENCE = 120.0
TRIGGERS = 'SELECT id FROM "trigger"'


@dataclass
class Scene:
    """An Airflow whose DAG `tested` has one run, called real."""

    stack: Stack
    client: Client
    engine: Engine
    file: Path

    def test(self, dag_id: str, task_id: str, **arguments: Any) -> dict[str, Any]:
        """Run `tasks test`; return the operation."""
        return self.ended(self.client.command("tasks/test", dag_id=dag_id, task_id=task_id, **arguments))

    def test_dag(self, dag: str, **arguments: Any) -> dict[str, Any]:
        """Run `dags test`; return the operation."""
        return self.ended(self.client.command("dags/test", dag_id=dag, **arguments))

    def ended(self, answer: httpx.Response) -> dict[str, Any]:
        """Return an operation once it has ended."""
        return self.client.until(answer.json()["id"], lambda one: one["state"] not in ("queued", "running"))

    def rows(self, query: str, **values: Any) -> list[tuple[Any, ...]]:
        """Return what the database answers."""
        with self.engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(query), values)]

    def runs(self, dag: str) -> dict[str, Any]:
        """Return the states of the runs of a DAG."""
        return dict(self.rows("SELECT run_id, state FROM dag_run WHERE dag_id = :dag", dag=dag))

    def instances(self, dag: str) -> dict[str, Any]:
        """Return the states of the task instances of the newest run of a DAG."""
        newest = "SELECT run_id FROM dag_run WHERE dag_id = :dag ORDER BY id DESC LIMIT 1"
        return dict(
            self.rows(
                f"SELECT task_id, state FROM task_instance WHERE dag_id = :dag AND run_id = ({newest})",
                dag=dag,
            )
        )

    def recorded(self) -> list[list[tuple[Any, ...]]]:
        """Return all that Airflow has recorded of runs, task instances and what they have pushed."""
        queries = (
            "SELECT * FROM dag_run ORDER BY id",
            "SELECT task_id, run_id, map_index, state, try_number, start_date, end_date, updated_at, pid "
            "FROM task_instance ORDER BY dag_id, run_id, task_id, map_index",
            "SELECT dag_id, run_id, task_id, map_index, key, timestamp FROM xcom ORDER BY 1, 2, 3, 4, 5",
            "SELECT run_id, task_id, map_index FROM rendered_task_instance_fields ORDER BY 1, 2, 3",
            "SELECT count(*) FROM task_instance_history",
            TRIGGERS,
        )
        return [[tuple(str(value) for value in row) for row in self.rows(query)] for query in queries]

    def ran(self) -> list[str]:
        """Return what ran since this was asked last."""
        lines = self.file.read_text().splitlines()
        self.file.write_text("")
        return lines


@pytest.fixture(scope="module")
def scene(scheduled: Stack) -> Iterator[Scene]:
    engine = create_engine(scheduled.database_address)
    with Client(scheduled) as client:
        scene = Scene(scheduled, client, engine, scheduled.dags.with_name(RAN))
        trigger = {"dag_id": "tested", "run_id": "real", "logical_date": DATE, "conf": '{"a": 1}'}
        assert scene.ended(client.command("dags/trigger", **trigger))["state"] == "succeeded"
        assert eventually(lambda: scene.runs("tested") == {"real": "success"})
        scene.ran()
        yield scene
    engine.dispose()


def eventually(holds: Callable[[], bool]) -> bool:
    end = time.monotonic() + PATIENCE
    while not holds() and time.monotonic() < end:
        time.sleep(0.1)
    return holds()


def what(lines: list[str]) -> Counter[str]:
    """Return what ran, without the runs."""
    return Counter(line.partition(" in ")[0] for line in lines)


def test_fifty_tests_run_their_tasks_and_nothing_else_and_record_nothing(scene: Scene) -> None:
    kinds: list[tuple[str, dict[str, Any]]] = [
        ("plain", {}),
        ("plain", {"logical_date_or_run_id": "2026-03-01"}),
        ("plain", {"logical_date_or_run_id": "real"}),
        ("sees", {"logical_date_or_run_id": "real", "map_index": 1}),
        ("sees", {"logical_date_or_run_id": DATE, "map_index": 2}),
        ("group.inside", {"map_index": 0}),
        ("group.inside", {"map_index": 1, "logical_date_or_run_id": "real"}),
        ("group.after", {"map_index": 0}),
        ("deferring", {"dag_id": "waits"}),
        ("deferring", {"dag_id": "waits", "logical_date_or_run_id": "2026-03-01"}),
    ]
    before = scene.recorded()
    with ThreadPoolExecutor(5) as pool:
        asked = [{"dag_id": "tested", "task_id": task, **more} for task, more in kinds * 5]
        ended = list(pool.map(lambda one: scene.test(**one), asked))
    assert Counter(one["state"] for one in ended) == {"succeeded": 50}, ended

    # Time for whoever would have taken something.
    time.sleep(5)
    once = ["plain"] * 3 + ["sees 20", "sees 30", "inside 1", "inside 2", "after", "deferring", "deferring"]
    assert what(scene.ran()) == Counter(once * 5)
    assert scene.recorded() == before
    scene.stack.check()


def test_a_task_tested_in_a_run_sees_that_run_and_keeps_to_itself_what_it_pushes(scene: Scene) -> None:
    ended = scene.test("tested", "sees", map_index=1, logical_date_or_run_id="real")
    assert ast.literal_eval(re.findall("Seen: (.*)", ended["stdout"])[0]) == {
        "value": 20,
        "run": "real",
        "dag_run": "real",
        "state": "success",
        "conf": {"a": 1},
        "ds": "2026-02-03",
        # As Airflow says too: of the other task instances of a mapped task in that run, and then of all.
        "before": [10, 30],
        "mine": [10, 20, 30],
        "numbers": [10, 20, 30],
    }


def test_a_task_finds_what_earlier_runs_have_left(scene: Scene) -> None:
    def seen(where: str) -> str:
        ended = scene.test("tested", "counts", logical_date_or_run_id=where)
        return str(re.findall("Before: (.*)", ended["stdout"])[0])

    ((since,),) = scene.rows("SELECT data_interval_start FROM dag_run WHERE run_id = 'real'")
    assert seen("2026-03-01") == f"1 since {str(since)[:10]}"
    # What an earlier try of the same task instance has left is not what it begins with.
    assert seen("real") == "None since None"
    assert seen("2025-03-01") == "None since None"


def test_what_a_task_makes_of_an_asset_is_told_to_nobody(scene: Scene) -> None:
    scene.ran()
    assert scene.test("maker", "makes")["state"] == "succeeded"
    time.sleep(5)
    assert what(scene.ran()) == {"makes": 1}
    assert scene.rows("SELECT id FROM asset_event") == []
    assert scene.runs("consumer") == {}


@pytest.mark.parametrize(
    ("task", "state"),
    [("fails", "failed"), ("tried_again", "up_for_retry"), ("leaves", "failed"), ("skips", None)],
)
def test_a_task_that_does_not_succeed_fails_the_command(scene: Scene, task: str, state: str | None) -> None:
    ended = scene.test("failing", task)
    if state is None:
        assert (ended["state"], ended["exit_code"]) == ("succeeded", 0)
    else:
        assert (ended["state"], ended["exit_code"]) == ("failed", 1)
        assert ended["stderr"].splitlines()[-1] == f"The task {task} ended as {state}."
    assert scene.runs("failing") == {}
    assert "sibling" not in what(scene.ran())


def test_the_old_endpoint_says_that_the_task_failed(scene: Scene) -> None:
    address = f"{scene.stack.url}/admin/rest_api/api"
    asked = {"api": "test", "dag_id": "failing", "task_id": "fails", "execution_date": "2026-01-06"}
    answer = scene.client.get(address, params=asked)
    assert answer.status_code == 500
    assert "The task fails ended as failed." in answer.json()["output"]["stderr"]
    # With params, the plugin loads the DAG itself.
    answer = scene.client.get(address, params={**asked, "task_id": "skips", "task_params": "{}"})
    assert answer.status_code == 200
    assert scene.runs("failing") == {}


def test_dags_test_runs_each_task_once_and_its_run_is_recorded(scene: Scene) -> None:
    scene.ran()
    assert scene.test_dag("whole")["state"] == "succeeded"
    time.sleep(5)
    once = ["numbers", "sees 10", "sees 20", "sees 30", "deferring", "plain", "sibling"]
    assert what(scene.ran()) == Counter(once)
    asked = "SELECT state, triggering_user_name, end_date IS NULL FROM dag_run WHERE dag_id = 'whole'"
    assert scene.rows(asked) == [("success", "admin", False)]
    assert set(scene.instances("whole").values()) == {"success"}
    assert scene.rows(TRIGGERS) == []
    scene.stack.check()


def test_dags_test_of_a_dag_that_fails_has_failed(scene: Scene) -> None:
    scene.ran()
    ended = scene.test_dag("broken")
    assert (ended["state"], ended["exit_code"]) == ("failed", 1)
    assert what(scene.ran()) == {"plain": 1, "fails": 1}
    assert set(scene.runs("broken").values()) == {"failed"}
    assert scene.instances("broken") == {"plain": "success", "fails": "failed", "sibling": "upstream_failed"}


def test_dags_test_replaces_no_run_that_is_active_and_one_that_has_ended(scene: Scene) -> None:
    trigger = {"dag_id": "long", "run_id": "active", "logical_date": "2026-05-01T00:00:00+00:00"}
    assert scene.ended(scene.client.command("dags/trigger", **trigger))["state"] == "succeeded"
    assert eventually(lambda: scene.instances("long").get("sleeps") == "running")
    ended = scene.test_dag("long", logical_date="2026-05-01")
    assert (ended["state"], ended["exit_code"]) == ("failed", 1)
    assert "would replace the run active of that logical date, which is running" in ended["stderr"]
    assert scene.runs("long") == {"active": "running"}
    assert scene.instances("long") == {"sleeps": "running", "sibling": None}

    assert scene.test_dag("tested", logical_date=DATE)["state"] == "succeeded"
    assert "real" not in scene.runs("tested")
    assert set(scene.runs("tested").values()) == {"success"}


def test_a_test_that_is_cancelled_or_killed_leaves_a_run_that_has_failed(scene: Scene) -> None:
    def begun() -> tuple[str, str, int]:
        """Begin a test; return its operation, its run and the process of its task."""
        before = set(scene.runs("long"))
        operation = scene.client.post(
            "/commands/dags/test", json={"dag_id": "long"}, headers={"Prefer": "respond-async"}
        ).json()["id"]
        assert eventually(lambda: len(scene.runs("long")) > len(before))
        (run,) = set(scene.runs("long")) - before
        asked = (
            "SELECT pid FROM task_instance WHERE run_id = :run AND task_id = 'sleeps' AND state = 'running'"
        )
        assert eventually(lambda: bool(scene.rows(asked, run=run)))
        # Airflow calls it running before a line of it has run.
        assert eventually(lambda: what(scene.file.read_text().splitlines())["sleeps"] == 1)
        return operation, run, scene.rows(asked, run=run)[0][0]

    def left(run: str) -> tuple[Any, ...]:
        query = (
            "SELECT r.state, r.end_date IS NULL, t.state FROM dag_run r JOIN task_instance t "
            "ON t.run_id = r.run_id AND t.dag_id = r.dag_id WHERE r.run_id = :run AND t.task_id = 'sleeps'"
        )
        return scene.rows(query, run=run)[0]

    scene.ran()
    operation, cancelled, _ = begun()
    assert left(cancelled) == ("failed", True, "running")
    scene.client.post(f"/operations/{operation}/cancel")
    said = scene.client.until(operation, lambda one: one["state"] not in ("queued", "running"))
    assert (said["state"], said["exit_code"]) == ("cancelled", 130)
    assert left(cancelled) == ("failed", False, "failed")
    assert what(scene.ran()) == {"sleeps": 1, "on_kill": 1}

    operation, killed, pid = begun()
    os.kill(pid, signal.SIGKILL)
    scene.client.until(operation, lambda one: one["state"] not in ("queued", "running"))
    time.sleep(3)
    # Nobody took it up; the next test of the DAG sees to what still holds a place in the pool.
    assert left(killed) == ("failed", True, "running")
    scene.ran()
    operation, _, _ = begun()
    assert left(killed) == ("failed", False, "failed")
    scene.client.post(f"/operations/{operation}/cancel")
    scene.client.until(operation, lambda one: one["state"] not in ("queued", "running"))
    scene.stack.check()


def test_a_task_under_test_is_told_that_it_is_cancelled(scene: Scene) -> None:
    scene.ran()
    before = scene.runs("long")
    operation = scene.client.post(
        "/commands/tasks/test",
        json={"dag_id": "long", "task_id": "sleeps"},
        headers={"Prefer": "respond-async"},
    ).json()["id"]
    assert eventually(lambda: bool(scene.file.read_text()))
    scene.client.post(f"/operations/{operation}/cancel")
    said = scene.client.until(operation, lambda one: one["state"] not in ("queued", "running"))
    assert said["state"] == "cancelled"
    assert said["exit_code"] not in (0, None)
    assert what(scene.ran()) == {"sleeps": 1, "on_kill": 1}
    assert scene.runs("long") == before


def test_a_component_carries_the_user_who_started_it_in_the_event_log(scene: Scene) -> None:
    started = scene.client.post(
        "/services",
        json={"kind": "triggerer", "arguments": {"capacity": 7}, "another": True},
        headers={"Prefer": "wait=60"},
    )
    assert started.status_code == 201, started.text
    scene.client.post(f"/services/{started.json()['id']}/stop", headers={"Prefer": "wait=60"})
    rows = scene.rows("SELECT owner FROM log WHERE event = 'cli_triggerer' AND extra LIKE '%capacity=7%'")
    assert rows == [("admin",)]


def cancel_backfill(url: str, headers: dict[str, str]) -> None:
    """Cancel a backfill by Airflow's own API, which gives up where others write to SQLite for too long."""
    until = time.monotonic() + 300
    while True:
        # Longer than Airflow itself waits for SQLite.
        gone = httpx.put(url, headers=headers, timeout=300)
        if "Database error" not in gone.text or time.monotonic() > until:
            break
    assert gone.status_code in (200, 409), gone.text


def test_fifty_backfills_in_a_row_are_created_while_others_write(scene: Scene) -> None:
    headers = {"Authorization": f"Bearer {scene.stack.token()}"}
    api = f"{scene.stack.url}/api/v2/backfills"
    for number in range(50):
        day = number % 27 + 1
        ended = scene.ended(
            scene.client.command(
                "backfill/create",
                dag_id="filled",
                from_date=f"2024-01-{day:02}",
                to_date=f"2024-01-{day + 1:02}",
                reprocess_behavior="completed",
            )
        )
        assert ended["state"] == "succeeded", (number, ended["stderr"][-2000:])
        # Airflow takes one at a time of a DAG.
        open_ones = httpx.get(api, params={"dag_id": "filled", "active": True}, headers=headers, timeout=60)
        for one in open_ones.json()["backfills"]:
            if one["completed_at"] is None:
                cancel_backfill(f"{api}/{one['id']}/cancel", headers)
