"""The DAG run that a client means, found in Airflow's own tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import delete

from airflow_rest_api.legacy.child import dags
from airflow_rest_api.legacy.child.messages import OrderRefused
from tests.standin import airflow_database

pytestmark = pytest.mark.airflow

Add = Callable[..., None]
Find = Callable[[str], "str | None"]

DATE = datetime(2026, 11, 10, 8, 9, 10, tzinfo=timezone.utc)
SECOND = "2026-11-10T08:09:10"


@pytest.fixture
def session() -> Iterator[Any]:
    """A session of which nothing is kept."""
    from airflow import settings
    from airflow.utils.db import synchronize_log_template
    from sqlalchemy.orm import Session

    airflow_database()
    synchronize_log_template()
    with Session(settings.engine) as session:
        yield session
        session.rollback()


@pytest.fixture
def add(session: Any) -> Add:
    """Return what adds a run of the DAG `runs` by its id and its date."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.state import DagRunState
    from airflow.utils.types import DagRunType

    def of(run_id: str, logical_date: datetime | None, dag_id: str = "runs") -> None:
        session.add(
            DagRun(
                dag_id=dag_id,
                run_id=run_id,
                logical_date=logical_date,
                run_after=DATE,
                run_type=DagRunType.MANUAL,
                state=DagRunState.SUCCESS,
            )
        )
        session.flush()

    return of


@pytest.fixture
def find(session: Any) -> Find:
    """Return what finds the id of a run."""

    def of(value: str) -> str | None:
        run = dags.find_run("runs", value, session)
        return None if run is None else str(run.run_id)

    return of


def test_a_run_whose_name_has_a_blank_in_the_place_of_a_plus_is_found_by_it(
    add: Add, find: Find, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__SCHEDULER__ALLOWED_RUN_ID_PATTERN", r"^[\w ~:.+-]+$")
    add("mine__2026-11-10T08:09:10 00:00", DATE)
    assert find("mine__2026-11-10T08:09:10+00:00") == "mine__2026-11-10T08:09:10 00:00"
    add("mine__2026-11-10T08:09:10+00:00", DATE + timedelta(seconds=1))
    assert find("mine__2026-11-10T08:09:10+00:00") == "mine__2026-11-10T08:09:10+00:00"
    # No client means a blank where it has sent a plus in anything else.
    add("a b", DATE + timedelta(seconds=2))
    with pytest.raises(OrderRefused):
        find("a+b")


@pytest.mark.parametrize(
    "value",
    [
        SECOND,
        "2026-11-10 08:09:10",
        f"{SECOND}+00:00",
        f"{SECOND}Z",
        "2026-11-10 08:09:10+00:00",
        "2026-11-10T10:09:10+02:00",
        "2026-11-10T08:09:10.000000",
    ],
)
@pytest.mark.parametrize("microsecond", [0, 1, 999_999])
def test_a_date_to_the_second_is_the_run_of_that_second(
    add: Add, find: Find, value: str, microsecond: int
) -> None:
    add("before", DATE - timedelta(microseconds=1))
    add("meant", DATE.replace(microsecond=microsecond))
    add("behind", DATE + timedelta(seconds=1))
    assert find(value) == "meant"


def test_a_date_with_a_fraction_is_exactly_that_run(add: Add, find: Find) -> None:
    add("a", DATE.replace(microsecond=5))
    add("b", DATE.replace(microsecond=500_000))
    assert find(f"{SECOND}.000005") == "a"
    assert find(f"{SECOND}.5+00:00") == "b"
    assert find(f"{SECOND}.000006") is None


@pytest.mark.parametrize("value", [f"{SECOND}.000000", f"{SECOND}.0+00:00", f"{SECOND},000Z"])
def test_a_fraction_of_zeros_is_the_run_of_exactly_that_date(add: Add, find: Find, value: str) -> None:
    add("whole", DATE)
    add("half", DATE.replace(microsecond=500_000))
    assert find(value) == "whole"


def test_a_fraction_of_zeros_is_the_second_where_no_run_has_exactly_that_date(add: Add, find: Find) -> None:
    add("third", DATE.replace(microsecond=333_333))
    assert find(f"{SECOND}.000Z") == "third"
    add("half", DATE.replace(microsecond=500_000))
    with pytest.raises(OrderRefused, match="several runs"):
        find(f"{SECOND}.000Z")


def test_where_no_run_is_there_none_is_found(add: Add, find: Find) -> None:
    add("dateless", None)
    assert find(SECOND) is None


@pytest.mark.parametrize("number", [2, 5, 6])
def test_of_several_runs_in_a_second_none_is_chosen_and_some_are_named(
    add: Add, find: Find, number: int
) -> None:
    for each in range(number):
        add(f"run_{each}", DATE.replace(microsecond=each))
    with pytest.raises(OrderRefused) as refused:
        find(SECOND)
    words = str(refused.value)
    assert words.startswith(
        f"Argument 'execution_date': several runs of DAG 'runs' lie in the second '{SECOND}'"
    )
    assert [f"'run_{each}'" in words for each in range(number)] == [each < 5 for each in range(number)]
    assert ("and more" in words) is (number > 5)


def test_an_id_comes_first_whatever_it_looks_like(add: Add, find: Find) -> None:
    add(SECOND, DATE - timedelta(days=1))
    add("of_that_date", DATE)
    assert find(SECOND) == SECOND
    assert find(f"{SECOND}+00:00") == "of_that_date"


def test_a_run_of_another_dag_is_not_found(session: Any, add: Add, find: Find) -> None:
    add("a", DATE, "another")
    assert find(SECOND) is None
    with pytest.raises(OrderRefused):
        find("a")


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have Airflow's own time zone be another than UTC."""
    parse = dags.parse_date
    monkeypatch.setattr(dags, "parse_date", lambda value, zone=None: parse(value, zone or "America/New_York"))


def test_a_run_of_the_moment_is_found_by_the_time_of_its_answer_which_is_gmt(
    add: Add, find: Find, elsewhere: None
) -> None:
    add("of_the_moment", DATE)
    assert find(SECOND) == "of_the_moment"
    assert find(f"{SECOND}-05:00") is None
    add("of_airflows_zone", DATE + timedelta(hours=5))
    assert find(SECOND) == "of_airflows_zone"


def test_a_run_of_a_date_of_the_clients_own_is_not(add: Add, find: Find, elsewhere: None) -> None:
    date = DATE - timedelta(days=1)
    add("of_a_date", date)
    assert find(f"{date:%Y-%m-%dT%H:%M:%S}") is None


NO_DATES = [
    "",
    "yesterday",
    "2026-13-01",
    "2026-11-10T25:00:00",
    "99999-01-01",
    "0000-01-01",
    "1e999",
    "P1Y",
    "x" * 9999,
]


@pytest.mark.parametrize("value", NO_DATES)
def test_what_is_neither_a_date_nor_an_id_is_refused_by_name(find: Find, value: str) -> None:
    with pytest.raises(
        OrderRefused, match=r"^Argument 'execution_date': '.* is neither a date nor the id"
    ) as refused:
        find(value)
    assert len(str(refused.value)) < 400


@pytest.mark.parametrize(
    "value", ["0001-01-01T00:00:00", "9999-12-31T23:59:59", "9999-12-31T23:59:59.999999"]
)
def test_the_first_and_the_last_date_are_dates(find: Find, value: str) -> None:
    assert find(value) is None


def test_a_second_ends_with_its_last_moment() -> None:
    assert dags.end_of_second(DATE) == DATE.replace(microsecond=999_999)
    assert dags.end_of_second(DATE.replace(microsecond=1)) == DATE.replace(microsecond=1)
    assert dags.end_of_second(None) is None


@pytest.mark.parametrize("name", ["x" * 300, "x" * 300 + "/y", "x/" * 3000 + "y", "none", "loop", "a\0b"])
def test_a_path_that_is_not_there_or_can_not_be_is_refused(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "loop").symlink_to("loop")
    bundle = SimpleNamespace(name="bundle", path=tmp_path)
    manager = SimpleNamespace(get_all_dag_bundles=lambda: [bundle])
    monkeypatch.setattr(dags, "DagBundlesManager", lambda: manager)
    with pytest.raises(OrderRefused) as refused:
        dags.place_of(str(tmp_path / name))
    assert len(str(refused.value)) < 300


@pytest.fixture
def known() -> Iterator[Callable[..., None]]:
    """Return what makes Airflow know the DAG `known`, which it does not afterwards."""
    from airflow.models.dag import DagModel
    from airflow.models.dagbundle import DagBundleModel
    from airflow.utils.session import create_session

    airflow_database()

    def of(**columns: Any) -> None:
        with create_session() as session:
            session.merge(DagBundleModel(name="of_known"))
            session.flush()
            session.merge(DagModel(dag_id="known", bundle_name="of_known", **columns))

    yield of
    with create_session() as session:
        session.execute(delete(DagModel).where(DagModel.dag_id == "known"))
        session.execute(delete(DagBundleModel).where(DagBundleModel.name == "of_known"))


@pytest.mark.parametrize(
    "columns",
    [
        {"is_stale": False},
        {"is_stale": False, "is_paused": True},
        # Its file cannot be imported at the moment.
        {"is_stale": True, "has_import_errors": True},
    ],
)
def test_a_dag_that_a_file_defines_exists(known: Callable[..., None], columns: dict[str, bool]) -> None:
    known(**columns)
    dags.require("known")


def test_a_dag_that_no_file_defines_any_more_does_not_exist(known: Callable[..., None]) -> None:
    known(is_stale=True, has_import_errors=False)
    for dag_id in ("known", "unknown"):
        with pytest.raises(OrderRefused, match=f"^The DAG ID '{dag_id}' does not exist$"):
            dags.require(dag_id)
    assert dags.stale({"known", "unknown"}) == {"known"}
    assert dags.stale({"unknown"}) == set()


A_FILE = {"relative_fileloc": "team/a.py"}


@pytest.mark.parametrize("path", ["/dags", "/dags/team", "/dags/team/a.py"])
def test_a_dag_is_in_a_place_that_holds_its_file(known: Callable[..., None], path: str) -> None:
    known(**A_FILE)
    dags.require_in(dags.BundlePath("of_known", Path("/dags"), Path(path)), "known")


@pytest.mark.parametrize(
    ("bundle", "path", "dag_id"),
    [
        ("of_known", "/dags/team/b.py", "known"),
        ("of_known", "/dags/te", "known"),
        ("another", "/dags", "known"),
        ("of_known", "/dags", "unknown"),
    ],
)
def test_and_in_no_other(known: Callable[..., None], bundle: str, path: str, dag_id: str) -> None:
    known(**A_FILE)
    with pytest.raises(SystemExit, match=f"Dag '{dag_id}' could not be found"):
        dags.require_in(dags.BundlePath(bundle, Path("/dags"), Path(path)), dag_id)


def test_a_dag_that_is_not_known_is_not_paused(known: Callable[..., None]) -> None:
    known(is_paused=True)
    assert dags.is_paused("known")
    assert not dags.is_paused("unknown")
