"""The API that a task talks to in the process of a command."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

pytestmark = pytest.mark.airflow

PROGRAM = """
import json

import airflow.api_fastapi.execution_api.app
from airflow.api_fastapi.execution_api.versions import bundle
from airflow.sdk.api.datamodels import _generated
from airflow.sdk.execution_time import supervisor
from airflow_rest_api.airflow.compat import tasks

def routes(build):
    tasks.keep_execution_api()
    supervisor.in_process_api_server.cache_clear()
    build()
    return {
        str(version): sorted([*sorted(route.methods), route.path] for route in router.routes)
        for version, router in tasks.keep_execution_api().app.router.versioned_routers.items()
    }

found = {"newest": str(bundle.versions[0].value)}
found["every version"] = routes(lambda: tasks.keep_execution_api().app._cadwyn_initialize())
found["one version"] = routes(tasks.build_execution_api)
_generated.API_VERSION = str(bundle.versions[-1].value)
found["asked for another"] = routes(tasks.build_execution_api)
print(json.dumps(found))
"""
"""Says the methods and paths of the API by version; in an interpreter of its own, which keeps the API."""


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return said


def test_it_is_built_with_every_route_of_the_version_that_tasks_ask_for_and_with_no_other_version(
    found: dict[str, Any],
):
    newest = found["newest"]

    assert len(found["every version"]) > 3
    assert found["one version"] == {newest: found["every version"][newest]}


def test_it_is_built_with_all_versions_where_one_alone_does_not_do(found: dict[str, Any]):
    assert found["asked for another"] == found["every version"]
