"""The date and the id that a run of `trigger_dag` gets."""

from __future__ import annotations

import json
import re
from argparse import Namespace
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from airflow.cli.simple_table import AirflowConsole
from airflow.models.backfill import InvalidReprocessBehavior

from airflow_rest_api.legacy.child import commands
from airflow_rest_api.legacy.child.commands import ATTEMPTS, check_run_id, run_commands, trigger
from airflow_rest_api.legacy.child.messages import REFUSED_EXIT_CODE, OrderRefused, read, write
from tests.standin import airflow_database

pytestmark = pytest.mark.airflow

DAG_ID = "triggered"
PATTERN = "AIRFLOW__SCHEDULER__ALLOWED_RUN_ID_PATTERN"


@pytest.fixture
def runs() -> Iterator[Any]:
    """Airflow's table of runs, in which there are none of the DAG, and are none afterwards."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.db import synchronize_log_template
    from airflow.utils.session import create_session

    airflow_database()
    synchronize_log_template()
    yield DagRun
    with create_session() as session:
        session.execute(DagRun.__table__.delete().where(DagRun.dag_id == DAG_ID))


def create(arguments: Namespace) -> None:
    """Store a run as the command would."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from airflow.utils.types import DagRunType

    with create_session() as session:
        date = arguments.logical_date
        run = DagRun(dag_id=DAG_ID, run_id=arguments.run_id or f"at_{date.isoformat()}", logical_date=date)
        run.run_after, run.run_type, run._state = date, DagRunType.MANUAL, "success"
        session.add(run)


def dates() -> list[datetime]:
    """Return the dates of the DAG's runs."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        return sorted(session.scalars(select(DagRun.logical_date).where(DagRun.dag_id == DAG_ID)))


def wanted(run_id: str | None = None, logical_date: datetime | None = None) -> Namespace:
    given = {"run_id": run_id, "logical_date": logical_date, "conf": None, "output": "json"}
    return Namespace(dag_id=DAG_ID, func=create, **given)


def test_a_run_has_the_whole_second_of_the_request(runs: Any) -> None:
    before = datetime.now(timezone.utc).replace(microsecond=0)
    trigger(wanted())
    [date] = dates()
    assert before <= date <= datetime.now(timezone.utc)
    assert date.microsecond == 0


def test_runs_of_one_second_have_dates_of_their_own(runs: Any) -> None:
    for number in range(4):
        trigger(wanted(f"run_{number}"))
    found = dates()
    assert len(set(found)) == 4
    whole = [date for date in found if date.microsecond == 0]
    # One for each second in which the four were made.
    assert sorted(whole) == sorted({date.replace(microsecond=0) for date in found})


def test_who_comes_at_the_same_time_gets_another_date(runs: Any) -> None:
    with ThreadPoolExecutor(ATTEMPTS) as pool:
        for done in [pool.submit(trigger, wanted(f"run_{number}")) for number in range(ATTEMPTS)]:
            done.result()
    assert len(set(dates())) == ATTEMPTS


def test_a_date_of_the_clients_own_is_the_date(runs: Any) -> None:
    date = datetime(2026, 11, 10, 1, 2, 3, 456, tzinfo=timezone.utc)
    trigger(wanted("r", date))
    assert dates() == [date]


@pytest.mark.parametrize("date", [None, datetime(2026, 11, 10, tzinfo=timezone.utc)])
def test_a_run_with_a_long_configuration_is_shown_once_more_without_it(
    runs: Any, date: datetime | None, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = wanted("r", date)
    arguments.conf = json.dumps({"of": "x" * 100_000})
    trigger(arguments)
    [found] = dates()
    expected = {"dag_id": DAG_ID, "dag_run_id": "r", "logical_date": found.isoformat()}
    assert json.loads(capsys.readouterr().out) == [expected]


def test_any_other_is_not(runs: Any, capsys: pytest.CaptureFixture[str]) -> None:
    short, table = wanted("a"), wanted("b")
    short.conf = '{"a": 1}'
    table.conf, table.output = json.dumps({"of": "x" * 100_000}), "table"
    for arguments in (short, table):
        trigger(arguments)
    assert capsys.readouterr().out == ""


def test_a_run_that_cannot_be_made_is_tried_once(runs: Any) -> None:
    tried = []

    def fail(arguments: Namespace) -> None:
        tried.append(arguments.logical_date)
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        trigger(Namespace(dag_id=DAG_ID, run_id=None, logical_date=None, func=fail))
    assert len(tried) == 1


@pytest.mark.parametrize(
    "date",
    [
        "2021-01-04 05:00:00",
        "2021/01/04 05:00:00",
        "Mon, 04 Jan 2021 05:00:00 GMT",
        "2021-01-04T05:00:00",
        "2021-01-04T05:00:00Z",
    ],
)
def test_a_date_without_a_run_is_one_that_a_run_can_be_called_by(
    runs: Any, date: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    called = []
    render = Namespace(dag_id=DAG_ID, logical_date_or_run_id=date)
    render.func = lambda arguments: called.append(arguments.logical_date_or_run_id)
    parser = Namespace(parse_args=lambda words: render)
    monkeypatch.setattr(commands, "get_parser", lambda: parser)
    assert run_commands([write({"argvs": [["tasks", "render"]], "date": date})]) == 0
    assert called == ["2021-01-04T05:00:00+00:00"]
    check_run_id(called[0])


@pytest.mark.parametrize(
    ("name", "suffix"),
    [
        ("v.json", ".json"),
        ("v.JSON", ".JSON"),
        ("v.yml", ".yml"),
        ("v.txt", ".json"),
        ("v", ".json"),
        ("missing.txt", None),
    ],
)
def test_variables_of_a_file_of_any_name_are_imported_as_json(
    name: str, suffix: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / name
    if suffix is not None:
        file.write_text('{"k": "v"}')
    read = []

    def load(arguments: Namespace) -> None:
        given = Path(arguments.file)
        read.append((given.suffix, given.read_text()) if given.exists() else (None, ""))

    parser = Namespace(parse_args=lambda words: Namespace(file=words[-1], func=load))
    monkeypatch.setattr(commands, "get_parser", lambda: parser)
    assert run_commands([write({"argvs": [["variables", "import", str(file)]]})]) == 0
    assert read == [(suffix, '{"k": "v"}' if suffix else "")]
    assert file.exists() is (suffix is not None)


@pytest.fixture
def variables(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Airflow's variables, in a database without the number of its migrations."""
    from airflow.models import Variable

    airflow_database()
    monkeypatch.setenv("AIRFLOW__DATABASE__CHECK_MIGRATIONS", "False")
    return Variable


@pytest.mark.parametrize("name", ["v.json", "v.txt"])
def test_a_variable_is_imported_as_it_is_in_the_file(
    name: str, variables: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    values = {
        "text": "[1]",
        "many": ["a", "b"],
        "one": ["a"],
        "none": [],
        "object": {"value": 10, "unit": "ms"},
        "number": 5,
        "null": None,
    }
    file = tmp_path / name
    file.write_text(json.dumps({**values, "exported": {"value": "v", "description": "d"}}))
    assert run_commands([write({"argvs": [["variables", "import", str(file)]]})]) == 0
    assert "8 of 8 variables successfully updated.\n" in capsys.readouterr().out
    stored = {key: variables.get(key) for key in (*values, "exported")}
    texts = {key: value if key == "text" else json.dumps(value, indent=2) for key, value in values.items()}
    assert stored == {**texts, "exported": "v"}


@pytest.mark.parametrize("content", ["[1]", "", "{"])
def test_a_file_without_variables_is_the_commands_to_refuse(
    content: str, variables: Any, tmp_path: Path
) -> None:
    file = tmp_path / "v.json"
    file.write_text(content)
    with pytest.raises(SystemExit, match=r"file|AttributeError"):
        run_commands([write({"argvs": [["variables", "import", str(file)]]})])


@pytest.mark.parametrize(("json_asked", "listed"), [(True, ["a"]), (False, ["a", "a", "gone"])])
def test_a_dag_that_no_file_defines_any_more_is_not_listed(
    json_asked: bool, listed: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def show(arguments: Namespace) -> None:
        AirflowConsole().print_as(
            data=[Namespace(dag_id=dag_id) for dag_id in ("a", "a", "gone")],
            output="json",
            mapper=lambda dag: {"dag_id": dag.dag_id},
        )

    parser = Namespace(parse_args=lambda words: Namespace(func=show))
    monkeypatch.setattr(commands, "get_parser", lambda: parser)
    monkeypatch.setattr(commands, "_many_dags", lambda: False)
    monkeypatch.setattr(commands.dags, "stale", lambda dag_ids: {"gone"} & set(dag_ids))
    print_as = AirflowConsole.print_as
    assert run_commands([write({"argvs": [["dags", "list"]], "json": json_asked})]) == 0
    assert [row["dag_id"] for row in json.loads(capsys.readouterr().out)] == listed
    assert AirflowConsole.print_as is print_as


@pytest.mark.parametrize("run_id", ["a", "manual__2026-11-10T00:00:00.000001+00:00", "a~b_c.d:e-f"])
def test_an_id_that_airflow_takes_is_taken(run_id: str) -> None:
    check_run_id(run_id)


def test_an_id_that_the_model_of_this_airflow_refuses_is_refused_with_its_words() -> None:
    from airflow.models.dagrun import DagRun

    try:
        DagRun().run_id = "a..b"
    except ValueError as error:
        with pytest.raises(OrderRefused, match=re.escape(f"Argument 'run_id': {error}")):
            check_run_id("a..b")
    else:
        check_run_id("a..b")


@pytest.mark.parametrize("run_id", ["user1 2018", "läuf-日本", "a/b", "a\nb", ""])
def test_another_id_is_refused_with_the_option_and_its_pattern(run_id: str) -> None:
    with pytest.raises(OrderRefused) as refused:
        check_run_id(run_id)
    words = str(refused.value)
    assert words.startswith("Argument 'run_id': ")
    assert "[scheduler] allowed_run_id_pattern is '^[A-Za-z0-9_.~:+-]+$'" in words


def test_an_id_is_shown_as_far_as_it_is_of_use() -> None:
    with pytest.raises(OrderRefused) as refused:
        check_run_id("x " * 5000)
    assert len(str(refused.value)) < 500


def test_what_the_option_allows_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PATTERN, r"^[\w :-]+$")
    for run_id in ("user1 2018-06-07 13:21:49", "läuf-日本"):
        check_run_id(run_id)
    with pytest.raises(OrderRefused, match=re.escape(r"^[\\w :-]+$")):
        check_run_id("a/b")


def test_with_an_empty_option_only_airflows_own_pattern_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PATTERN, "")
    check_run_id("manual__2026-11-10T00:00:00+00:00")
    with pytest.raises(OrderRefused):
        check_run_id("of_mine")


class Ran(Exception):
    """A command was run, and with it what is looked for before."""


def ran(arguments: Namespace, **loaded: Any) -> None:
    raise Ran


@pytest.mark.parametrize("command", ["tasks clear", "tasks failed-deps"])
def test_a_dag_that_is_in_another_file_is_not_found_in_the_named_one(
    command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = Namespace(func=ran, bundle_name=None, dag_id="d", end_date=None)
    asked: list[tuple[Any, str]] = []

    def refuse(place: Any, dag_id: str) -> None:
        asked.append((place, dag_id))
        raise SystemExit("not there")

    monkeypatch.setattr(commands, "get_parser", lambda: Namespace(parse_args=lambda words: arguments))
    monkeypatch.setattr(commands.dags, "require", lambda dag_id: None)
    monkeypatch.setattr(commands.dags, "place_of", lambda subdir: Namespace(bundle="b", path=subdir))
    monkeypatch.setattr(commands.dags, "require_in", refuse)
    with pytest.raises(SystemExit, match="not there"):
        run_commands([write({"argvs": [command.split()], "dag_id": "d", "subdir": "a.py"})])
    assert [(place.path, dag_id) for place, dag_id in asked] == [("a.py", "d")]


def test_parameters_that_a_task_does_not_take_are_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(*_: object) -> None:
        raise ValueError("Invalid input for param a")

    parser = Namespace(parse_args=lambda words: Namespace(func=ran, bundle_name=None))
    monkeypatch.setattr(commands, "get_parser", lambda: parser)
    monkeypatch.setattr(commands, "_load", load)
    with pytest.raises(SystemExit) as ended:
        run_commands([write({"argvs": [["tasks", "render"]], "load": True, "params": {"a": "b"}})])
    assert ended.value.code == "ValueError: Invalid input for param a"


@pytest.mark.parametrize(("paused", "dry_run"), [(True, False), (False, False), (True, True)])
def test_who_backfills_a_dag_that_is_paused_is_told_that_its_runs_wait(
    paused: bool, dry_run: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = Namespace(func=lambda arguments: None, dag_id="d", dry_run=dry_run)
    monkeypatch.setattr(commands, "get_parser", lambda: Namespace(parse_args=lambda words: arguments))
    monkeypatch.setattr(commands.dags, "is_paused", lambda dag_id: paused)
    run_commands([write({"argvs": [["backfill", "create"]]})])
    told = read(capsys.readouterr().err).warnings
    assert told == (["DAG d is paused: the runs wait until it is not"] if paused and not dry_run else [])


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_backfill_of_tasks_that_depend_on_the_past_runs_again_what_failed(
    dry_run: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given: list[str | None] = []

    def create(arguments: Namespace) -> None:
        given.append(arguments.reprocess_behavior)
        if arguments.reprocess_behavior is None:
            raise InvalidReprocessBehavior

    arguments = Namespace(func=create, dag_id="d", dry_run=dry_run, reprocess_behavior=None)
    monkeypatch.setattr(commands, "get_parser", lambda: Namespace(parse_args=lambda words: arguments))
    monkeypatch.setattr(commands.dags, "is_paused", lambda dag_id: False)
    run_commands([write({"argvs": [["backfill", "create"]]})])
    assert given == [None, "failed"]
    [told] = read(capsys.readouterr().err).warnings
    assert "runs that failed are run again" in told


def test_a_backfill_without_a_run_fails_before_anything_is_stored(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stored: list[Namespace] = []
    day = datetime(2026, 11, 4, tzinfo=timezone.utc)
    arguments = Namespace(func=stored.append, dag_id="d", dry_run=False, from_date=day, to_date=day)
    monkeypatch.setattr(commands, "get_parser", lambda: Namespace(parse_args=lambda words: arguments))
    monkeypatch.setattr(commands, "has_no_run", lambda *_: True)
    with pytest.raises(SystemExit, match=r"^No runs to create for Dag d in the range \[2026-11-04 .+\]$"):
        run_commands([write({"argvs": [["backfill", "create"]]})])
    assert stored == []


def test_a_backfill_that_ends_before_it_starts_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    first = datetime(2026, 11, 2, tzinfo=timezone.utc)
    arguments = Namespace(func=ran, dag_id="d", dry_run=False, from_date=first, to_date=first - timedelta(1))
    monkeypatch.setattr(commands, "get_parser", lambda: Namespace(parse_args=lambda words: arguments))
    assert run_commands([write({"argvs": [["backfill", "create"]]})]) == REFUSED_EXIT_CODE
    assert read(capsys.readouterr().err).refused == "Argument 'start_date' is after 'end_date'"
