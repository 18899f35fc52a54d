from __future__ import annotations

from collections import Counter

from bench.beside import Beside
from bench.bundles import Bundle
from bench.figures import Samples
from bench.goals import LIKE_OWN, of_beside, of_bundles, of_costs, of_loads, of_rows, of_runners
from bench.load import Comparison, Tally
from bench.processor import Cost, Processor
from bench.runners import Added, Work


def row(name: str, rest: float, own: float, process: float | None = None) -> Samples:
    return Samples(name, rest=[rest], own=[own], process=[process] if process else [])


def test_rows_are_compared_with_airflow_s_own_api() -> None:
    rows = [row(name, 0.010, 0.010) for name in LIKE_OWN[:2]] + [
        row(LIKE_OWN[2], 0.013, 0.010),
        row(LIKE_OWN[3], 0.014, 0.010),
        row(LIKE_OWN[4], 0.012, 0.010),
    ]
    assert list(of_rows(rows)) == [
        "* met: variables get 1.00 times Airflow's own REST API (at most 1.3)",
        "* met: pools list 1.00 times Airflow's own REST API (at most 1.3)",
        "* met: connections list 1.30 times Airflow's own REST API (at most 1.3)",
        "* MISSED: dags pause 1.40 times Airflow's own REST API (at most 1.3)",
        "* met: dags trigger 1.20 times Airflow's own REST API (at most 1.3)",
        "* met: as fast as Airflow's own REST API: variables get, pools list (at least 2 of these)",
    ]


def test_commands_that_do_nothing_are_compared_with_airflow_s_own_version() -> None:
    rows = [row("version", 0.005, 0.003, 1.0), row("config get-value", 0.0075, 0.001, 0.75)]
    assert list(of_rows(rows)) == [
        "* met: version 5.0 ms: 1.67 times Airflow's own version (at most 2)",
        "* MISSED: config get-value 7.5 ms: 2.50 times Airflow's own version (at most 2)",
        "* met: median of the rows 150.00 times faster than a new process (at least 150)",
    ]


def test_of_rows_that_were_not_measured_nothing_is_said() -> None:
    assert list(of_rows([Samples("dags list", rest=[0.1])])) == []


def test_sixteen_clients_are_compared_with_the_second_server() -> None:
    def tally(rate: int) -> Tally:
        return Tally(16, 1.0, Counter({"200": rate}))

    loads = [
        Comparison("version", 4, tally(1), tally(1), tally(1)),
        Comparison("version", 16, tally(60), tally(20), tally(100)),
        Comparison("pools list", 16, tally(59), tally(20), tally(100)),
        Comparison("variables get", 16, tally(59), None, tally(100)),
    ]
    assert list(of_loads(loads, "the isolated way")) == [
        "* met: version, 16 clients: 3.00 times the requests a second of the isolated way (at least 3)",
        "* MISSED: pools list, 16 clients: 2.95 times the requests a second of the isolated way (at least 3)",
    ]


def test_the_processor_time_of_one_command_has_a_goal() -> None:
    none = Processor(0.0, 0.0, 0.0, 0.0)
    costs = [
        Cost(name, Processor(0.004, 0.001, 0.0, 0.01), None, none) for name in ("version", "variables get")
    ]
    assert list(of_costs(costs)) == ["* met: variables get takes 15.0 ms of processor time (at most 15.0)"]


def test_a_route_beside_commands_is_compared_with_itself_alone() -> None:
    found = [Beside("alone", [0.01]), Beside("beside it", [0.03]), Beside("beside others", [0.05])]
    assert list(of_beside(found)) == [
        "* MISSED: GET /api/v2/version beside it, 95th percentile: 3.00 times that without them (at most 2)"
    ]
    assert list(of_beside(found[:1])) == []


def test_many_files_are_compared_with_few_and_with_the_command_line() -> None:
    few, many = Bundle(10, {"tasks list": [0.1]}), Bundle(1000, {"tasks list": [0.14]}, {"tasks list": 7.7})
    assert list(of_bundles([few, many])) == [
        "* met: tasks list among 1,000 files: 1.40 times that among 10 (at most 1.5)",
        "* met: tasks list among 1,000 files: 55.00 times faster than the command line (at least 50)",
    ]
    assert list(of_bundles([])) == []


def test_runners_have_goals() -> None:
    added = [Added("version", [0.01, 0.01], [0.04, 0.06]), Added("tasks test", [0.2], [0.3])]

    assert list(of_runners(added, Work(8, 16.0, 8.5))) == [
        "* met: a runner adds 40.0 ms to version (at most 40.0)",
        "* MISSED: a runner adds 100.0 ms to tasks test (at most 40.0)",
        "* met: two runners do 1.88 times the work of one (at least 1.8)",
    ]
