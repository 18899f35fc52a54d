from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from contextlib import nullcontext
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG

from airflow_rest_api.airflow.dag_processor import rest_between_versions
from airflow_rest_api.legacy.child import own_work
from airflow_rest_api.legacy.child.dags import BundlePath
from airflow_rest_api.legacy.child.messages import OrderRefused, read, write
from airflow_rest_api.legacy.child.own_work import LONGEST_TREE, length, lines, show_tree, statistics


def names(tree: Iterator[str]) -> list[str]:
    return [line.replace("<Task(EmptyOperator): ", "").replace(">", "") for line in tree]


def layered(layers: int) -> DAG:
    """Return a DAG of layers of three tasks, each of which follows all three before it."""
    with DAG("d", start_date=datetime(2026, 1, 1), schedule=None) as dag:
        tasks = [[EmptyOperator(task_id=f"t{layer}_{i}") for i in range(3)] for layer in range(layers)]
        for upper, lower in itertools.pairwise(tasks):
            for task in upper:
                task >> lower
    return dag


def test_each_task_stands_under_the_tasks_it_follows() -> None:
    with DAG("d", start_date=datetime(2026, 1, 1), schedule=None) as dag:
        a, b, c, d, e, other = (EmptyOperator(task_id=name) for name in ("a", "b", "c", "d", "e", "other"))
        a >> [b, c] >> d >> e
        assert other
    full = ["a", "    b", "        d", "            e", "    c", "        d", "            e", "other"]
    assert names(lines(dag)) == full
    assert length(dag) == len(full)
    assert names(lines(dag, full=False)) == [*full[:6], "other"]


def test_a_dag_with_millions_of_paths_is_a_short_tree() -> None:
    dag = layered(15)
    assert length(dag) == sum(3**layer for layer in range(1, 16))
    assert len(list(lines(dag, full=False))) == 3 + 14 * 9


@pytest.mark.parametrize(("layers", "full"), [(8, True), (9, False)])
def test_a_tree_is_in_full_up_to_a_bound_and_warns_beyond_it(
    layers: int, full: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    dag = layered(layers)
    assert (length(dag) <= LONGEST_TREE) is full

    class Stored:
        get_dag: Any = staticmethod(lambda dag_id: dag)

    monkeypatch.setattr(own_work, "SerializedDagModel", Stored)
    monkeypatch.setattr(own_work.dags, "require", lambda dag_id: None)
    show_tree([write({"dag_id": "d"})])
    printed = capsys.readouterr()
    assert printed.out.splitlines() == list(lines(dag, full=full))
    assert bool(read(printed.err).warnings) is not full


@pytest.mark.parametrize("order", [{"dag_id": "d"}, {}])
def test_what_is_parsed_here_is_stored_even_if_airflow_has_stored_it_only_just_now(
    order: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rests: list[timedelta] = []

    def parse(_: object) -> None:
        rests.append(rest_between_versions())

    every = SimpleNamespace(parse_args=lambda _: SimpleNamespace(func=parse))
    monkeypatch.setattr(own_work, "get_parser", lambda: every)
    monkeypatch.setattr(own_work, "parse_files", parse)
    monkeypatch.setattr(own_work.dag_processor, "file_of", lambda _: ("bundle", "file.py"))
    monkeypatch.setattr(own_work.dags, "has_file", lambda _: True)
    monkeypatch.setattr(own_work.dag_processor, "all_files", set)
    monkeypatch.setattr(own_work.dag_processor, "look", lambda _: {})

    assert own_work.refresh([json.dumps({**order, "here": True})]) == 0
    assert rests == [timedelta(0)] != [rest_between_versions()]


@pytest.mark.parametrize(
    ("path", "file", "shown"),
    [
        ("/dags/team/a.py", ".", "team/a.py"),
        ("/dags/team", "a.py", "team/a.py"),
        ("/dags", "team/a.py", "team/a.py"),
        ("/dags/team", "/dags/team/a.py", "team/a.py"),
        # From the DAGs folder on already.
        ("/dags/team", "/team/a.py", "/team/a.py"),
    ],
)
def test_a_file_of_a_report_is_named_by_its_path_in_the_bundle(path: str, file: str, shown: str) -> None:
    place = BundlePath("dags-folder", Path("/dags"), Path(path))
    stat = SimpleNamespace(file=file, duration="0:00:01", dag_num=2, task_num=3, dags="['b', 'a']")
    [row] = statistics(place, [stat])
    assert (row["file"], row["dags"]) == (shown, ["a", "b"])


def test_a_task_that_runs_here_finds_that_its_run_has_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(*_: object, **__: object) -> None:
        """Do nothing."""

    run: Any = SimpleNamespace(start_date=None, state="queued", schedule_tis=nothing)
    instance: Any = SimpleNamespace(
        state=None, try_number=0, task=None, dag_run=run, refresh_from_task=nothing
    )
    session: Any = SimpleNamespace(flush=nothing, refresh=nothing)
    made = SimpleNamespace(make=lambda instance, generator: "workload")
    monkeypatch.setattr(own_work, "workloads", SimpleNamespace(ExecuteTask=made))
    monkeypatch.setattr(own_work, "_token_generator", nothing)

    assert own_work.hand_over(instance, {"local": True}, session) == ("queued", "workload")
    assert run.start_date is not None


def test_a_dag_that_is_in_another_file_than_the_named_one_is_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str]] = []

    def refuse(place: str, dag_id: str) -> None:
        asked.append((place, dag_id))
        raise SystemExit("not there")

    monkeypatch.setattr(own_work.dags, "require", lambda dag_id: None)
    monkeypatch.setattr(own_work.dags, "place_of", lambda subdir: f"/dags/{subdir}")
    monkeypatch.setattr(own_work.dags, "require_in", refuse)
    order = {"dag_id": "d", "task_id": "t", "execution_date": "2026-11-10", "subdir": "a.py"}
    with pytest.raises(SystemExit, match="not there"):
        own_work.run_task([write(order)])
    assert asked == [("/dags/a.py", "d")]


def test_the_state_of_a_task_that_is_to_be_tried_again_is_that_of_its_next_try(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # With the next try a task instance gets another id.
    asked: list[str] = []

    def scalar(statement: Any) -> Any:
        asked.append(str(statement.compile(compile_kwargs={"literal_binds": True})))
        return SimpleNamespace(state="up_for_retry")

    session = SimpleNamespace(scalar=scalar)
    monkeypatch.setattr(own_work, "create_session", lambda: nullcontext(session))
    monkeypatch.setattr("airflow_rest_api.airflow.compat.tasks.run_workload", lambda workload: None)
    ti = SimpleNamespace(dag_id="d", task_id="t", run_id="r", map_index=-1)
    assert own_work.run_here(SimpleNamespace(ti=ti)) == "up_for_retry"
    [statement] = asked
    assert all(f"task_instance.{name} = " in statement for name in vars(ti))


@pytest.mark.parametrize("lies_there", [True, False])
def test_a_dag_that_is_gone_is_refreshed_only_where_its_file_was_put_back(
    monkeypatch: pytest.MonkeyPatch, *, lies_there: bool
) -> None:
    def require(dag_id: str) -> None:
        raise OrderRefused(f"The DAG ID '{dag_id}' does not exist")

    monkeypatch.setattr(own_work.dag_processor, "file_of", lambda dag_id: ("dags-folder", "a.py"))
    monkeypatch.setattr(own_work.dag_processor, "processor_alive", lambda: False)
    asked: list[Any] = []
    monkeypatch.setattr(own_work.dag_processor, "request_parsing", asked.extend)
    monkeypatch.setattr(own_work.dag_processor, "look", lambda files: {})
    monkeypatch.setattr(own_work.dags, "has_file", lambda file: lies_there)
    monkeypatch.setattr(own_work.dags, "require", require)
    own_work.refresh([write({"dag_id": "d"})])

    assert asked == ([("dags-folder", "a.py")] if lies_there else [])


@pytest.mark.parametrize(
    ("after", "said"),
    [
        ("success", None),
        ("up_for_retry", None),
        ("failed", "The task t ended as failed."),
        ("upstream_failed", "The task t ended as upstream_failed."),
    ],
)
def test_a_task_that_was_run_here_ends_by_its_state(
    monkeypatch: pytest.MonkeyPatch, after: str, said: str | None
) -> None:
    run = SimpleNamespace(logical_date=None)
    instance = SimpleNamespace(dag_id="d", task_id="t", run_id="r", state=None, dag_run=run)
    monkeypatch.setattr(own_work.dags, "require", lambda dag_id: None)
    monkeypatch.setattr(own_work, "create_session", nullcontext)
    monkeypatch.setattr(own_work, "find", lambda order, session: (instance, None))
    monkeypatch.setattr(own_work, "unmet_dependencies", lambda *_: [])
    monkeypatch.setattr(own_work, "hand_over", lambda *_: ("queued", "workload"))
    monkeypatch.setattr(own_work, "run_here", lambda workload: after)
    order = [write({"dag_id": "d", "task_id": "t", "execution_date": "r", "local": True})]

    if said is None:
        assert own_work.run_task(order) == 0
    else:
        with pytest.raises(SystemExit, match=f"^{said}$"):
            own_work.run_task(order)
