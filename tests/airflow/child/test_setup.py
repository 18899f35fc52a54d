from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable

import pytest

from airflow_rest_api.airflow.child import output, setup
from airflow_rest_api.airflow.child.setup import BY_COMMAND, PACKAGE, REDACTED
from airflow_rest_api.engine.job import function

pytestmark = pytest.mark.slow

SCRIPT = """
import json
from airflow_rest_api.airflow.child.setup import act_as
{before}
act_as("ada")
from airflow.cli.commands import dag_command, info_command
from airflow.models import taskinstance
from airflow.utils import cli, platform
places = (dag_command, cli, info_command, taskinstance)
asked = [eval("getuser()", {{"getuser": place.getuser, "__name__": place.__name__}}) for place in places]
print(json.dumps([asked, platform.getuser()]))
"""


@pytest.mark.parametrize("before", ["import airflow.cli.commands.dag_command, airflow.utils.cli", ""])
def test_only_commands_and_their_event_log_take_the_user_of_the_request(before: str) -> None:
    script = SCRIPT.format(before=before)
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    asked, of_the_machine = json.loads(done.stdout.splitlines()[-1])
    assert asked == ["ada", "ada", of_the_machine, of_the_machine]


@pytest.mark.parametrize(
    "name", sorted({name for table in (BY_COMMAND, REDACTED) for name in sum(table.values(), ())})
)
def test_what_sets_something_right_is_there(name: str) -> None:
    assert callable(function(f"{PACKAGE}.{name}"))


@pytest.mark.parametrize(
    ("command", "visible", "led"),
    [
        ("dags report", {"dags": ["mine"]}, "nowhere"),
        ("dags report", None, "stderr"),
        ("dags list", {"dag_id": ["mine"]}, "nowhere"),
        ("tasks clear", None, "nowhere"),
    ],
)
def test_what_the_files_of_others_print_is_not_shown_to_who_may_see_some(
    command: str, visible: dict[str, list[str]] | None, led: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[str] = []

    def called(name: str) -> Callable[..., None]:
        return lambda *_: found.append(name)

    monkeypatch.setattr(output, "show_only", called("rows"))
    monkeypatch.setattr(setup, "act_as", called("user"))
    monkeypatch.setattr(setup.event_log, "shorten_command_rows", called("event log"))
    monkeypatch.setattr(setup, "function", called)
    setup.prepare(setup.order("ada", [command], visible=visible))
    assert f"{PACKAGE}.child.output:dag_files_to_{led}" in found
    assert len([name for name in found if "dag_files_to" in name]) == 1
