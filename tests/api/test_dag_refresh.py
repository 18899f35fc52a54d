"""Having DAG files parsed: with a DAG processor, and on an Airflow that has none."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.deploying import about
from tests.stacks import Stack

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(600)]

BUNDLE = "dags-folder"
DAG = """
from airflow.sdk import DAG
from airflow.providers.standard.operators.empty import EmptyOperator

with DAG("{0}", schedule=None):
    EmptyOperator(task_id="{1}")
"""
WAIT = {"Prefer": "wait=120"}


class Place:
    """A real Airflow with its DAGs folder."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self._clients: dict[str, httpx.Client] = {}

    def write(self, name: str, content: str) -> None:
        part = self.stack.dags / f".{name}.part"
        part.write_text(content)
        part.rename(self.stack.dags / name)

    def ask(self, path: str, user: str = "admin", **query: Any) -> tuple[int, dict[str, Any]]:
        if user not in self._clients:
            headers = {"Authorization": f"Bearer {self.stack.token(user)}"}
            base = f"{self.stack.url}/admin/rest_api"
            self._clients[user] = httpx.Client(base_url=base, headers=headers, timeout=150)
        url = httpx.URL(path).copy_merge_params(query)
        answer = self._clients[user].post(url, headers=WAIT)
        return answer.status_code, answer.json()

    def close(self) -> None:
        for client in self._clients.values():
            client.close()


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("usual")
    (folder / "dags").mkdir()
    with Stack(folder / "home", dags=folder / "dags", components=("api-server", "dag-processor")) as stack:
        place = Place(stack)
        yield place
        place.close()


@pytest.fixture(scope="module")
def alone(api_server: Stack) -> Iterator[Place]:
    """An API server without any DAG processor."""
    place = Place(api_server)
    yield place
    place.close()


def test_a_new_file_is_parsed_and_its_dag_can_be_refreshed_after_that(usual: Place):
    usual.write("new.py", DAG.format("new", "a"))

    status, said = usual.ask(about("new.py", "refresh"), wait=True)
    assert (status, said["state"]) == (200, "succeeded"), said
    assert said["result"] == {
        "parsed_by": "dag-processor",
        "files": [
            {
                "bundle": BUNDLE,
                "path": "new.py",
                "parsed": True,
                "dags": [{"dag_id": "new", "version": 1}],
                "error": None,
            }
        ],
    }
    assert (said["command"], said["effect"], said["warnings"]) == ("refresh_dag_file", "write", [])

    status, said = usual.ask("/v2/dags/new/refresh")
    assert (status, said["state"], said["result"]["files"][0]["parsed"]) == (200, "succeeded", False)
    assert (said["command"], said["dag_id"]) == ("refresh_dag", "new")


def test_who_may_edit_every_dag_of_a_file_may_refresh_it(usual: Place):
    usual.write("theirs.py", DAG.format("theirs", "a"))
    assert usual.ask(about("theirs.py", "refresh"), wait=True)[1]["state"] == "succeeded"

    assert usual.ask(about("theirs.py", "refresh"), "user")[0] == 200
    assert usual.ask(about("theirs.py", "refresh"), "viewer")[0] == 403


def test_with_wait_an_import_error_fails_the_operation(usual: Place):
    usual.write("broken.py", "from airflow.sdk import dag\nimport no_such_module_at_all\n")

    status, said = usual.ask(about("broken.py", "refresh"), wait=True, bundle=BUNDLE)
    assert (status, said["state"], said["exit_code"]) == (200, "failed", 1)
    assert said["message"] == "broken.py: ModuleNotFoundError: No module named 'no_such_module_at_all'"
    assert "Traceback" in said["result"]["files"][0]["error"]


@pytest.mark.parametrize(
    ("path", "status", "reason"),
    [
        ("/v2/dags/nowhere/refresh", 404, "unknown_dag"),
        (about("nowhere.py", "refresh"), 404, "unknown_file"),
        (about("../../etc/passwd", "refresh"), 400, "bad_path"),
        (about("a.py", "refresh", bundle="other"), 404, "unknown_bundle"),
    ],
)
def test_what_is_not_there_is_said_not_to_be(usual: Place, path: str, status: int, reason: str):
    path, _, bundle = path.partition("?bundle=")
    found, said = usual.ask(path, **({"bundle": bundle} if bundle else {}))

    assert (found, said["detail"]["reason"]) == (status, reason)


def test_who_may_not_edit_a_dag_may_not_refresh_it_and_is_not_told_whether_it_is_there(usual: Place):
    for path in (
        "/v2/dags/nowhere/refresh",
        about("nowhere.py", "refresh"),
        about("a.py", "refresh", bundle="nowhere"),
    ):
        status, said = usual.ask(path, "viewer")
        assert (status, said["detail"]["reason"]) == (403, "forbidden"), path


def test_a_file_without_a_known_dag_is_refreshed_by_those_who_may_deploy(usual: Place):
    usual.write("helper.py", "# airflow, but no DAG in it\n")

    assert usual.ask(about("helper.py", "refresh"), "user")[0] == 403
    assert usual.ask(about("helper.py", "refresh"))[0] == 200


def test_without_a_dag_processor_the_file_is_parsed_by_the_api_server(alone: Place):
    alone.write("new.py", DAG.format("new", "a"))

    status, said = alone.ask(about("new.py", "refresh"), wait=True)
    assert (status, said["state"]) == (200, "succeeded"), said
    assert said["warnings"] == ["No DAG processor is alive: the files were parsed by the API server."]
    assert said["effect"] == "execute"
    assert said["result"]["parsed_by"] == "api-server"
    assert said["result"]["files"][0]["dags"] == [{"dag_id": "new", "version": 1}]

    # At once: nobody would come back after the time that Airflow lets a DAG rest.
    alone.write("new.py", DAG.format("new", "changed"))
    assert alone.ask("/v2/dags/new/refresh")[1]["state"] == "succeeded"
    headers = {"Authorization": f"Bearer {alone.stack.token()}"}
    tasks = httpx.get(f"{alone.stack.url}/api/v2/dags/new/tasks", headers=headers, timeout=60).json()
    assert [task["task_id"] for task in tasks["tasks"]] == ["changed"]


def test_who_may_not_run_the_code_of_dag_authors_leaves_a_request_for_later(alone: Place):
    alone.write("later.py", DAG.format("later", "a"))
    assert alone.ask(about("later.py", "refresh"))[0] == 200

    status, said = alone.ask("/v2/dags/later/refresh", "user", wait=True)
    assert status == 200
    assert said["warnings"] == ["No DAG processor is alive: the files will be parsed when one is started."]
    assert (said["effect"], said["result"]["files"][0]["parsed"]) == ("write", False)


def test_the_1x_endpoints_do_the_same(alone: Place):
    alone.write("old.py", DAG.format("old", "a"))
    assert alone.ask(about("old.py", "refresh"))[0] == 200
    warning = "No DAG processor is alive: the files were parsed by the API server"

    for query in ({"api": "refresh_dag", "dag_id": "old"}, {"api": "refresh_all_dags"}):
        status, said = alone.ask("/api", **query)
        assert (status, said["http_response_code"]) == (200, 200), said
        assert warning in said["warning"]
    status, said = alone.ask("/api", "user", api="refresh_dag", dag_id="old")
    assert status == 200
    assert "will be parsed when one is started" in said["warning"]


def test_what_ends_the_process_that_parses_here_is_told(alone: Place):
    alone.write("deadly.py", "import os  # airflow dag\nos._exit(7)\n")

    status, said = alone.ask(about("deadly.py", "refresh"), wait=True)
    assert (status, said["state"]) == (200, "failed")
    assert said["message"] == "deadly.py has not been parsed yet."
