from __future__ import annotations

import json
import subprocess
import sys

import pytest

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
