from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_rest_api.airflow.child import output
from airflow_rest_api.airflow.child.output import select
from airflow_rest_api.operations.result import without_log_lines


def names(**allowed: set[str]) -> dict[str, frozenset[str]]:
    return {key.replace("inside_", "*."): frozenset(value) for key, value in allowed.items()}


def test_rows_of_others_are_left_out_before_the_mapper_sees_them():
    seen = []

    def mapper(dag: SimpleNamespace) -> dict[str, str]:
        seen.append(dag.dag_id)
        return {"file": "x"}

    dags = [SimpleNamespace(dag_id="a"), SimpleNamespace(dag_id="b")]

    assert select(dags, mapper, names(dag_id={"b"})) == [{"file": "x"}]
    assert seen == ["b"]


def test_a_row_is_known_by_what_the_mapper_makes_of_it_when_it_does_not_say_itself():
    pools = [("one", 1), ("two", 2)]

    def mapper(pool: tuple[str, int]) -> dict[str, object]:
        return {"pool": pool[0], "slots": pool[1]}

    assert select(pools, mapper, names(pool={"two"})) == [{"pool": "two", "slots": 2}]


def test_a_row_that_names_nothing_is_left_out():
    assert select([{"x": 1}], None, names(dag_id={"a"})) == []


def test_a_job_without_a_dag_stays():
    jobs = [{"dag_id": "None"}, {"dag_id": "a"}, {"dag_id": "b"}]
    assert select(jobs, None, names(dag_id={"a"})) == [{"dag_id": "None"}, {"dag_id": "a"}]


def test_a_file_is_shown_to_who_may_see_all_that_it_defines():
    stats = [
        SimpleNamespace(file="1", dags="['a', 'b']"),
        SimpleNamespace(file="2", dags="['a']"),
        SimpleNamespace(file="3", dags="[]"),
    ]
    assert select(stats, lambda stat: {"file": stat.file}, names(dags={"a"})) == [{"file": "2"}]


def test_an_import_error_is_shown_by_bundle_and_file():
    errors = [
        {"bundle_name": "one", "filepath": "x.py"},
        {"bundle_name": "two", "filepath": "x.py"},
        {"filepath": "x.py"},
    ]
    assert select(errors, None, names(filepath={"two:x.py"})) == [{"bundle_name": "two", "filepath": "x.py"}]


def test_an_error_of_a_file_that_is_named_by_its_whole_path_is_that_of_its_bundle(monkeypatch):
    monkeypatch.setattr(output, "_bundles", lambda: [("other", "/else"), ("one", "/dags")])
    # On Airflow 3.0 with its bundle, and the whole path all the same.
    whole = [{"bundle_name": name, "filepath": "/dags/a/x.py"} for name in ("one", "other", "gone")]
    assert select(
        [*whole, {"bundle_name": "one", "filepath": None}], None, names(filepath={"one:a/x.py"})
    ) == [whole[0]]
    errors = [{"filepath": path} for path in ("/dags/a/x.py", "/dags/y.py", "/dags2/a/x.py", "/else/a/x.py")]
    assert select(errors, None, names(filepath={"one:a/x.py"})) == [{"filepath": "/dags/a/x.py"}]


def test_what_is_mentioned_inside_a_row_is_taken_out_of_it():
    asset = {"name": "x", "tasks": [{"dag_id": "a"}, {"dag_id": "b"}], "more": {"tasks": [{"dag_id": "b"}]}}
    details = [{"property_name": "tasks", "property_value": [{"dag_id": "b"}]}]

    allowed = names(inside_dag_id={"a"})
    assert select([asset], None, allowed) == [
        {"name": "x", "tasks": [{"dag_id": "a"}], "more": {"tasks": []}}
    ]
    assert select(details, None, allowed) == [{"property_name": "tasks", "property_value": []}]


DAG_FILE = """
import os, subprocess, sys
from airflow.sdk import DAG
print("by print")
os.write(1, b"by descriptor\\n")
sys.stdout.write("half a line")
subprocess.run(["echo", "by a program"], check=True)
with DAG("d", schedule=None):
    pass
{then}
"""

SCRIPT = """
import json, sys
from airflow_rest_api.airflow.child import output
from airflow.dag_processing.dagbag import DagBag
exec(f"output.{sys.argv[2]}")
print("before ", end="")
bag = DagBag(sys.argv[1])
print("behind")
print(json.dumps([sorted(bag.dags), len(bag.import_errors)]))
"""


def parsed(file: Path, then: str = "", setup: str = "dag_files_to_stderr()") -> tuple[list[str], Any, str]:
    """Return what a process that parses a DAG file prints, what it found, and its stderr."""
    file.write_text(DAG_FILE.format(then=then))
    done = subprocess.run([sys.executable, "-c", SCRIPT, str(file), setup], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    *lines, found = without_log_lines(done.stdout.replace("before ", "before\n")).splitlines()
    return lines, json.loads(found), done.stderr


WORDS = ("by print\n", "by descriptor\n", "half a line", "by a program\n")


LEADS = """
import io, sys
from airflow_rest_api.airflow.child.output import led_to
sys.stdout.reconfigure(write_through=False)
with led_to(2, 1):
    sys.stdout.write("of the file")
    sys.stdout = {put}
sys.__stdout__.write("of the command")
"""


EXITS = "type('Exits', (), {'flush': lambda self: sys.exit(1)})()"


@pytest.mark.parametrize("put", ["None", "object()", "io.StringIO()", EXITS])
def test_a_file_may_put_anything_in_the_place_of_stdout(put: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LEADS.format(put=put)], capture_output=True, text=True, check=False
    )

    assert (done.stdout, done.stderr[:11]) == ("of the command", "of the file")


@pytest.mark.slow
def test_whatever_a_dag_file_prints_is_in_stderr(tmp_path: Path) -> None:
    stdout, found, stderr = parsed(tmp_path / "d.py")
    assert (stdout, found) == (["before", "behind"], [["d"], 0])
    for words in WORDS:
        assert words in stderr


@pytest.mark.slow
def test_stdout_is_what_it_was_behind_a_file_that_cannot_be_imported(tmp_path: Path) -> None:
    stdout, found, stderr = parsed(tmp_path / "d.py", "raise ValueError('broken')")
    assert (stdout, found) == (["before", "behind"], [[], 1])
    for words in WORDS:
        assert words in stderr


@pytest.mark.slow
@pytest.mark.parametrize("setup", ["dag_files_to_nowhere()", "show_only({}); output.dag_files_to_stderr()"])
def test_what_dag_files_print_and_their_errors_are_nowhere_for_who_may_not_see_all(
    setup: str, tmp_path: Path
) -> None:
    stdout, found, stderr = parsed(tmp_path / "d.py", "raise ValueError('broken')", setup)
    assert (stdout, found) == (["before", "behind"], [[], 1])
    for words in (*WORDS, "broken"):
        assert words not in stderr


@pytest.mark.slow
@pytest.mark.parametrize(("visible", "code"), [("one:mine.py", 1), ("one:none.py", 0)])
def test_import_errors_fail_the_command_only_where_it_shows_any(visible: str, code: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", ERRORS, json.dumps({"filepath": [visible]})], capture_output=True, text=True
    )
    assert (done.returncode, "other.py" in done.stdout, "mine.py" in done.stdout) == (code, False, bool(code))


ERRORS = """
import json, sys
from types import SimpleNamespace
from airflow_rest_api.airflow.child import output
from airflow.cli.commands import dag_command
output.show_only(json.loads(sys.argv[1]))
errors = [
    SimpleNamespace(bundle_name="one", filename=name, stacktrace="") for name in ("mine.py", "other.py")
]
session = SimpleNamespace(scalars=lambda query: SimpleNamespace(all=lambda: errors))
command = dag_command.dag_list_import_errors
while hasattr(command, "__wrapped__"):
    command = command.__wrapped__
command(SimpleNamespace(local=False, bundle_name=None, output="json"), session=session)
"""

PAUSING = """
import sys
from airflow_rest_api.airflow.child import output
output.paused_as(sys.argv[1] == "True")
from airflow.cli.simple_table import AirflowConsole
rows = [{"dag_id": "a", "is_paused": "before"}, {"dag_id": "b", "is_paused": "before"}]
AirflowConsole().print_as(data=rows, output=sys.argv[2])
row = lambda name: {"dag_id": name, "is_paused": "before"}
AirflowConsole().print_as(data=["c"], output=sys.argv[2], mapper=row)
AirflowConsole().print_as(data=[], output=sys.argv[2])
"""


def printed(paused: bool, output: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", PAUSING, str(paused), output], check=True, capture_output=True, text=True
    )
    return done.stdout.splitlines()


@pytest.mark.slow
@pytest.mark.parametrize("paused", [True, False])
def test_every_row_says_the_state_after(paused: bool) -> None:
    several, one, none = (json.loads(line) for line in printed(paused, "json"))
    assert several == [{"dag_id": name, "is_paused": str(paused)} for name in "ab"]
    assert one == [{"dag_id": "c", "is_paused": str(paused)}]
    assert none == []


@pytest.mark.slow
def test_so_does_a_table() -> None:
    lines = [line for line in printed(True, "plain") if line.strip()]
    assert [line.split() for line in lines] == [
        ["dag_id", "is_paused"],
        ["a", "True"],
        ["b", "True"],
        ["dag_id", "is_paused"],
        ["c", "True"],
        ["No", "data", "found"],
    ]
