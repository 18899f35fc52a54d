from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from airflow_rest_api.legacy.endpoints import ENDPOINTS
from airflow_rest_api.legacy.printed import RULE, Printed, more_of, nearest, printed_text
from airflow_rest_api.legacy.request import Sent, understand

DAY = "2026-11-10T00:00:00+00:00"
LONG_IDS = ("team_" + "x" * 93, "team_" + "l" * 239)
TASK = "dag_id=d&task_id=t&execution_date=2026-11-10"


def printed(query: str, stdout: str = "", *documents: Any, done: bool = True, stderr: str = "") -> Printed:
    """Return what came of a request, on the host `here` with DAGs in `/dags`."""
    return Printed(understand(Sent.of(query)), done, stdout, stderr, documents, "here", "/dags")


def said(query: str, stdout: str = "", *documents: Any, done: bool = True, stderr: str = "") -> str:
    return printed_text(printed(query, stdout, *documents, done=done, stderr=stderr))


def dag_ids(*names: str) -> list[dict[str, str]]:
    return [{"dag_id": name, "owners": "me"} for name in names]


def test_dags_are_listed_by_name_under_their_heading_with_a_line_each() -> None:
    assert said("api=list_dags", "", dag_ids("b", "a")) == f"\n\n{RULE}\nDAGS\n{RULE}\na\nb\n\n"


@pytest.mark.parametrize("dag_id", [*LONG_IDS, "läuf-日本", "a.b-c_d"])
def test_the_id_of_a_dag_is_in_one_piece(dag_id: str) -> None:
    assert dag_id in said("api=list_dags", "", dag_ids("a", dag_id)).splitlines()


def test_thousands_of_dags_are_thousands_of_lines() -> None:
    names = [f"dag_{number:05}" for number in range(20_000)]
    assert said("api=list_dags", "", dag_ids(*reversed(names))).splitlines()[5:-1] == names


def test_no_dags_are_a_heading_alone() -> None:
    assert said("api=list_dags", "", []) == f"\n\n{RULE}\nDAGS\n{RULE}\n\n\n"


FILES = [
    {"file": "/fast.py", "duration": "0:00:00.250000", "dag_num": "1", "task_num": "2", "dags": "a"},
    {"file": "slow.py", "duration": "1 day, 0:00:01", "dag_num": "10", "task_num": "20", "dags": "b,c"},
]


def test_a_report_has_the_slowest_file_first_numbers_to_the_right_and_their_sums() -> None:
    stdout = said("api=list_dags&report", "", dag_ids("a"), FILES)
    assert stdout.endswith(
        f"\n\n{RULE}\nDagBag loading stats for /dags\n{RULE}\n"
        "Number of DAGs: 11\nTotal task number: 22\nDagBag parsing time: 86401.25\n"
        "---------+----------------+---------+----------+-----\n"
        "file     | duration       | dag_num | task_num | dags\n"
        "---------+----------------+---------+----------+-----\n"
        "/slow.py | 1 day, 0:00:01 |      10 |       20 | b,c \n"
        "/fast.py | 0:00:00.250000 |       1 |        2 | a   \n"
        "---------+----------------+---------+----------+-----\n\n\n"
    )


@pytest.mark.parametrize(
    ("subdir", "path"),
    [
        ("", "/dags"),
        ("team", "/dags/team"),
        ("DAGS_FOLDER/golden.py", "/dags/golden.py"),
        ("DAGS_FOLDER/", "/dags"),
        ("/other/x.py", "/other/x.py"),
    ],
)
def test_a_report_is_headed_by_the_path_that_was_looked_at(subdir: str, path: str) -> None:
    stdout = said(f"api=list_dags&report&subdir={subdir}", "", [], [])
    assert f"DagBag loading stats for {path}\n" in stdout


def test_a_report_of_no_files_has_no_table() -> None:
    stdout = said("api=list_dags&report", "", [], [])
    assert stdout.endswith("DagBag parsing time: 0\n\n\n\n")


@pytest.mark.parametrize(
    ("api", "stdout", "state"),
    [
        ("dag_state", "running\n", "running\n"),
        ("dag_state", "queued\n", "running\n"),
        ("dag_state", 'success, {"a": "running, failed"}\n', "success\n"),
        ("dag_state", 'queued, {"a": 1}\n', "running\n"),
        ("dag_state", "None\n", "None\n"),
        ("dag_state", "", "None\n"),
        ("task_state", "None\n", "None\n"),
        ("task_state", "queued\n", "queued\n"),
        ("task_state", "deferred\n", "running\n"),
        ("task_state", "restarting\n", "running\n"),
        ("task_state", "awaiting_input\n", "running\n"),
        ("task_state", "up_for_reschedule\n", "up_for_reschedule\n"),
    ],
)
def test_a_state_is_one_bare_word_that_pollers_know(api: str, stdout: str, state: str) -> None:
    assert said(f"api={api}&{TASK}", stdout) == state


def test_every_state_of_a_run_is_one_that_1_10_had() -> None:
    from airflow.utils.state import DagRunState

    assert {nearest("dag_state", state.value) for state in DagRunState} == {"running", "success", "failed"}


OF_1_10 = {
    "success",
    "running",
    "failed",
    "upstream_failed",
    "skipped",
    "up_for_retry",
    "up_for_reschedule",
    "queued",
    "scheduled",
    "removed",
}
"""The states of a task instance in Airflow 1.10.15, of which `shutdown` and `sensing` are gone."""


def test_every_state_of_a_task_instance_is_one_that_1_10_had() -> None:
    from airflow.utils.state import TaskInstanceState

    assert {nearest("task_state", state.value) for state in TaskInstanceState} == OF_1_10


@pytest.mark.parametrize(("api", "paused"), [("pause", "True"), ("unpause", "False")])
def test_pausing_says_the_state_after_whatever_was_printed(api: str, paused: str) -> None:
    for stdout in ("", "No unpaused DAGs were found\n"):
        assert said(f"api={api}&dag_id=d", stdout) == f"Dag: d, paused: {paused}\n"


RUN = {"dag_id": "d", "dag_run_id": "r", "logical_date": DAY}


def test_a_run_is_created_in_one_line() -> None:
    assert said("api=trigger_dag&dag_id=d", "", [RUN]) == (
        "Created <DagRun d @ 2026-11-10 00:00:00+00:00: r, externally triggered: True>\n"
    )


@pytest.mark.parametrize("name", ["exec_date", "execution_date"])
def test_a_date_of_the_clients_own_is_told_as_its_parser_made_it(name: str) -> None:
    row = {**RUN, "logical_date": DAY.replace("T", " ")}
    assert said(f"api=trigger_dag&dag_id=d&{name}=2026-11-10", "", [row]) == (
        "Created <DagRun d @ 2026-11-10T00:00:00+00:00: r, externally triggered: True>\n"
    )


@pytest.mark.parametrize("run_id", ["user1_2018-06-07 13:21:49", "läuf-日本", "a: b, externally", "x" * 250])
def test_the_id_of_a_run_is_in_one_piece_and_quoted_in_its_address(run_id: str) -> None:
    made = printed("api=trigger_dag&dag_id=d", "", [{**RUN, "dag_run_id": run_id}])
    more = more_of(made, "/airflow")
    assert f": {run_id}, externally triggered: True>" in printed_text(made)
    assert (more["dag_run_id"], more["logical_date"]) == (run_id, DAY)
    path = more["dag_run_url"].removeprefix("/airflow/api/v2/dags/d/dagRuns/")
    assert path.isascii()
    assert not set(path) & set(" :,/")


def test_where_nothing_was_made_there_is_nothing_to_tell() -> None:
    for made in (
        printed("api=trigger_dag&dag_id=d"),
        printed("api=trigger_dag&dag_id=d", "", {"not": "rows"}),
        printed("api=trigger_dag&dag_id=d", "", [RUN], done=False),
    ):
        assert (printed_text(made), more_of(made, "")) == ("", {})


def test_a_state_is_a_key_of_its_own_in_the_words_of_today() -> None:
    def state(query: str, stdout: str) -> dict[str, Any]:
        return more_of(printed(query, stdout), "")

    assert state("api=dag_state&dag_id=d&execution_date=r", 'queued, {"a": 1}\n') == {"state": "queued"}
    assert state(f"api=task_state&{TASK}", "deferred\n") == {"state": "deferred"}
    assert state(f"api=task_state&{TASK}", "None\n") == {"state": None}
    assert state("api=pause&dag_id=d", "success\n") == {}


HEAD = "# {0}\n# property: {1}\n# {0}\n"


def field(name: str, value: str, behind: str = "") -> str:
    return HEAD.format("-" * 58, name) + value + behind


def test_each_rendered_field_has_a_blank_line_behind_it() -> None:
    stdout = field("bash_command", "echo [1]\n\necho 2\n") + field("env", "None\n")
    expected = field("bash_command", "echo [1]\n\necho 2\n", "\n") + field("env", "None\n", "\n")
    assert said(f"api=render&{TASK}", f"of a plugin\n{stdout}") == expected
    assert said(f"api=test&{TASK}&dry_run", stdout) == expected
    assert said(f"api=render&{TASK}", stdout, done=False) == ""


def test_a_task_without_template_fields_is_rendered_as_nothing() -> None:
    assert said(f"api=render&{TASK}", "") == ""
    assert said(f"api=test&dry_run&{TASK}", "2026-01-01T00:00:00Z [info     ] x\n") == ""


def test_the_log_of_a_tested_task_is_left_as_it_is() -> None:
    assert said(f"api=test&{TASK}", field("x", "y\n"), done=False) == field("x", "y\n")


def test_keys_of_variables_stand_in_lines_and_nothing_where_there_are_none() -> None:
    rows = [{"key": "b"}, {"key": "1e5"}, {"key": "ü ["}]
    assert said("api=variables", "", rows) == "b\n1e5\nü [\n"
    assert said("api=variables", "", []) == ""


@pytest.mark.parametrize(
    "value",
    ["Variable k deleted", "Variable k created", "[1, 2]", "3 Variables successfully exported to /x."],
)
def test_a_value_is_what_it_is_whatever_it_looks_like(value: str) -> None:
    assert said("api=variables&get=k", f"{value}\n") == f"{value}\n"
    assert said("api=variables&get=k&delete=k", f"{value}\nVariable k deleted\n") == f"{value}\n"
    assert said("api=variables&cmd=set&key=k&value=v&get=k", f"{value}\nVariable k created\n") == f"{value}\n"


def test_what_was_done_without_a_word_is_not_mentioned() -> None:
    assert said("api=variables&cmd=set&key=k%0Al&value=v", "Variable k\nl created\n") == ""
    stdout = "Variable k deleted\nVariable k created\n"
    assert said("api=variables&cmd=set&key=k&value=v&delete=k", stdout) == ""


def test_an_export_is_told_in_small_letters_and_one_to_the_answer_is_the_answer() -> None:
    stdout = "3 Variables successfully exported to /x.\n"
    assert said("api=variables&export=x", stdout) == "3 variables successfully exported to /x\n"
    assert said("api=variables&export=x&get=k", stdout + stdout) == (
        f"{stdout}3 variables successfully exported to /x\n"
    )
    assert said("api=variables&export=-", '{\n    "k": "v"\n}') == '{\n    "k": "v"\n}'


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("get=k&json", "why\n"),
        ("get=k&json&delete=k", "why\n"),
        ("get=k&json&cmd=set&key=k&value=v", "why\n"),
        ("get=k", ""),
        ("delete=k", ""),
        ("import=x&get=k", ""),
    ],
)
def test_a_reason_that_1_10_printed_is_printed(query: str, told: str) -> None:
    assert said(f"api=variables&{query}", "", done=False, stderr="  why\n") == told


@pytest.mark.parametrize("query", ["get=k&json", "import=x"])
def test_what_kept_a_command_from_its_end_is_no_value_and_no_fault_of_a_file(query: str) -> None:
    locked = "sqlalchemy.exc.OperationalError: database is locked\n"
    assert said(f"api=variables&{query}", "", done=False, stderr=locked) == ""
    late = replace(printed(f"api=variables&{query}", "", done=False, stderr="Too long.\n"), ended=False)
    assert printed_text(late) == ""


def test_a_value_that_was_read_is_not_why_something_else_failed() -> None:
    assert said("api=variables&get=k&json&delete=k", "5\n", done=False, stderr="why\n") == ""


@pytest.mark.parametrize(
    ("stderr", "told"),
    [
        ("Missing variables file.\n", "Missing variables file.\n"),
        ("Failed to load the secret file.\nThe file is empty.\n", "Invalid variables file.\n"),
        ("Failed to load variables file: no\n", "Invalid variables file.\n"),
    ],
)
def test_of_a_file_that_is_not_imported_1_10_said_that_it_is_missing_or_invalid(
    stderr: str, told: str
) -> None:
    assert said("api=variables&import=x", "", done=False, stderr=stderr) == told


CONNECTION = {
    "conn_id": "c",
    "conn_type": "http",
    "host": "h",
    "port": "80",
    "is_encrypted": "True",
    "is_extra_encrypted": "False",
    "extra": None,
}


def test_a_connection_is_a_row_with_host_and_port() -> None:
    lines = said("api=connections", "", [CONNECTION, {**CONNECTION, "port": "8080"}]).splitlines()
    assert lines[1].split("│")[1:5] == [" Conn Id   ", " Conn Type   ", " Host   ", "   Port "]
    assert lines[3].split("│")[1:5] == [" 'c'       ", " 'http'      ", " 'h'    ", "     80 "]


def test_a_port_that_is_no_number_does_not_hide_the_other_connections() -> None:
    rows = [{"conn_id": "a", "port": "abc"}, {"conn_id": "b", "port": "1"}]
    assert "'abc'" in said("api=connections", "", rows)


def test_a_connection_without_a_port_makes_of_all_ports_texts() -> None:
    lines = said("api=connections", "", [CONNECTION, {**CONNECTION, "port": None}]).splitlines()
    assert [line.split("│")[4] for line in lines[1:6:2]] == [" Port   ", " 80     ", " None   "]


@pytest.mark.parametrize("conn_id", ["1e5", "007", "a\nb", "[x] {y}", "q\"'", "日本", "x" * 250])
def test_the_id_of_a_connection_is_a_python_text_in_one_piece(conn_id: str) -> None:
    assert f" {conn_id!r} " in said("api=connections&list=on", "", [{**CONNECTION, "conn_id": conn_id}])


def test_a_key_that_is_missing_is_a_value_that_is_not_there() -> None:
    assert said("api=connections", "", [{"conn_id": "c"}]).count("None") == 6
    assert "│ p      │       5 │               │" in said("api=pool", "", [{"pool": "p", "slots": "5"}])


def test_what_is_asked_of_a_connection_is_answered_with_its_id_and_without_its_password() -> None:
    assert said("api=connections&add=on&conn_id=c&conn_uri=x://u:p@h/s?extra=e") == (
        "\n\tSuccessfully added `conn_id`=c : x://***@h/s\n\n"
    )
    parts = "conn_type=x&conn_login=u&conn_password=hush&conn_host=h&conn_port=1&conn_schema=s"
    assert said(f"api=connections&add=on&conn_id=c&{parts}") == (
        "\n\tSuccessfully added `conn_id`=c : x://u:***@h:1/s\n\n"
    )
    assert said("api=connections&delete=on&conn_id=c") == "\n\tSuccessfully deleted `conn_id`=c\n\n"


def test_why_a_connection_was_not_added_or_deleted_is_said_where_1_10_said_it() -> None:
    exists = "A connection with `conn_id`=c already exists"
    add = "api=connections&add=on&conn_id=c"
    assert said(f"{add}&conn_uri=x://h", done=False, stderr=f"{exists}.\n") == f"\n\t{exists}\n\n"
    assert said(f"{add}&conn_uri=x://h", done=False, stderr="disk full\n") == ""
    assert said(add, done=False) == (
        "\n\tThe following args are required to add a connection: ['conn_uri or conn_type']\n\n"
    )
    missing = "Did not find a connection with `conn_id`=c"
    assert said("api=connections&delete=on&conn_id=c", done=False, stderr=missing) == f"\n\t{missing}\n\n"


@pytest.mark.parametrize("pool", ["1e5", "007", "p[0]", 'a"b', "日本", "x" * 250, "0x1F", "nan"])
def test_the_name_of_a_pool_stays_what_it_is(pool: str) -> None:
    row = {"pool": pool, "slots": "5", "description": "007"}
    for query in ("api=pool", f"api=pool&get={pool}"):
        stdout = said(query, "", [row, {"pool": "q", "slots": "128", "description": ""}])
        assert f"│ {pool} " in stdout
        assert "│       5 │ 007 " in stdout


def test_a_name_of_two_lines_takes_two_lines_of_its_row() -> None:
    stdout = said("api=pool", "", [{"pool": "a\nb", "slots": "5", "description": "d"}])
    assert "│ a      │       5 │ d             │\n│ b      │         │               │\n" in stdout


def test_thousands_of_pools_have_a_row_each() -> None:
    rows = [{"pool": f"p{number}", "slots": str(number), "description": ""} for number in range(3000)]
    lines = said("api=pool", "", rows).splitlines()
    assert [line.split()[1] for line in lines if line.startswith("│ p")] == [row["pool"] for row in rows]


def test_a_pool_that_was_set_is_shown_and_so_is_one_that_was_deleted() -> None:
    row = "│ p      │       7 │ of some       │"
    assert row in said("api=pool&cmd=set&pool_name=p&slot_count=7&description=of+some", "Pool p created\n")
    deleted = [{"pool": "p", "slots": "7", "description": "of some"}]
    assert row in said("api=pool&delete=p", "Pool p deleted\n", deleted)
    # Who may not see pools may delete one, and is shown none.
    assert said("api=pool&delete=p", "Pool p deleted\n") == ""


def test_a_pool_that_is_not_there_is_named() -> None:
    missing = "Pool it's does not exist\n"
    assert said("api=pool&get=it's", done=False, stderr=missing) == "Pool \"it's\" doesn't exist\n"
    missing = "Pool p does not exist\n"
    assert said("api=pool&delete=p", done=False, stderr=missing) == "Pool 'p' doesn't exist\n"
    stderr = "Pool default_pool cannot be deleted: default_pool cannot be deleted\n"
    assert (
        said("api=pool&delete=default_pool", done=False, stderr=stderr) == "default_pool cannot be deleted\n"
    )


@pytest.mark.parametrize("verb", ["get", "delete"])
def test_a_pool_that_could_not_be_looked_up_is_not_said_to_be_missing(verb: str) -> None:
    stderr = "sqlalchemy.exc.OperationalError: database is locked\n"
    assert said(f"api=pool&{verb}=p", done=False, stderr=stderr) == ""


def test_what_was_cleared_is_listed_and_nothing_is_called_nothing() -> None:
    rows = [{"dag_id": "d", "task_id": "t", "logical_date": DAY, "state": "success"}]
    assert said("api=clear&dag_id=d", "", rows) == f"<TaskInstance: d.t {DAY} [success]>\n"
    assert said("api=clear&dag_id=d", "", []) == "Nothing to clear.\n"
    # Of what was cut nobody knows.
    assert said("api=clear&dag_id=d") == ""
    assert said("api=clear&dag_id=d", "", rows, done=False) == ""


def test_a_task_instance_that_was_run_is_named_with_its_state_before_and_the_host() -> None:
    done = {"dag_id": "d", "task_id": "t", "logical_date": DAY, "state_before": "failed"}
    # A task may print JSON of its own: ours comes last.
    stdout = said(f"api=run&{TASK}", "", [1], {"state_before": "mine"}, done, done=False)
    assert stdout == f"Running <TaskInstance: d.t {DAY} [failed]> on host here\n"
    for documents in ([], [[1]], [{"a": 1}]):
        assert said(f"api=run&{TASK}", "", *documents) == ""


def test_unmet_dependencies_come_by_name() -> None:
    first = "Task instance dependencies not met:\n"
    trigger, state = (
        "Trigger Rule: Task's trigger rule 'all_success' requires…\n",
        "Task Instance State: Task is in the 'success' state.\n",
    )
    told = said(f"api=task_failed_deps&{TASK}", first + trigger + state)
    assert told == (
        f"{first}Task Instance State: Task is in the 'success' state which is not a valid state for "
        f"execution. The task must be cleared in order to be run.\n{trigger}"
    )
    met = "Task instance dependencies are all met.\n"
    assert said(f"api=task_failed_deps&{TASK}", met) == met
    assert said(f"api=task_failed_deps&{TASK}", "") == ""


def test_a_backfill_that_is_only_shown_has_the_tasks_of_its_first_run() -> None:
    query = "api=backfill&dag_id=d&start_date=2026-11-10"
    shown = {"dag_id": "d", "logical_date": DAY, "tasks": ["b", "a"]}
    assert said(f"{query}&dry_run", "words\n", shown) == f"Dry run of DAG d on {DAY}\nTask b\nTask a\n"
    assert said(f"{query}&dry_run", "words\n", [shown]) == ""
    assert said(query, "words\n") == "words\n"


def test_every_endpoint_that_runs_a_command_has_a_text() -> None:
    commands = {one.name for one in ENDPOINTS if not one.background and not one.text_output}
    assert {one.name for one in ENDPOINTS if one.prints} == commands
    assert said("api=scheduler", "as it is") == "as it is"
