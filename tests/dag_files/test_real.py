"""A real Airflow with Flask-AppBuilder: a role that deploys into one folder, and deleting what DAGs left."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.deploying import BUNDLE, about, dag
from tests.shared import add_accounts, airflow
from tests.stacks import Stack

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(600)]

ROLE = "Team A"
GRANT = ["-r", f"REST API Deploy {BUNDLE}/team_a", "-a", "can_edit"]


class Site:
    """A server, and its DAGs folder."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self._clients: dict[str, httpx.Client] = {}

    def send(self, user: str, method: str, path: str, **more: Any) -> httpx.Response:
        if user not in self._clients:
            headers = {"Authorization": f"Bearer {self.stack.token(user)}", "Prefer": "wait=120"}
            base = f"{self.stack.url}/admin/rest_api"
            self._clients[user] = httpx.Client(base_url=base, headers=headers, timeout=180)
        return self._clients[user].request(method, path, **more)

    def deploy(self, user: str, name: str, content: bytes, **fields: str) -> httpx.Response:
        return self.send(user, "POST", "/v2/dag-files", files=[("file", (name, content))], data=fields)

    def dag(self, dag_id: str) -> int:
        """Return the status of Airflow's own answer about a DAG."""
        token = self.stack.token()
        url = f"{self.stack.url}/api/v2/dags/{dag_id}"
        return httpx.get(url, headers={"Authorization": f"Bearer {token}"}, timeout=60).status_code

    def close(self) -> None:
        for client in self._clients.values():
            client.close()


@pytest.fixture(scope="module")
def site(fab: Stack) -> Iterator[Site]:
    add_accounts(fab, {ROLE: []}, {"admin": "Admin", "anna": ROLE})
    # As docs/permissions.md tells.
    airflow(fab, "roles", "add-perms", ROLE, *GRANT)
    site = Site(fab)
    yield site
    site.close()


def test_a_role_of_one_folder_deploys_there(site: Site):
    made = site.deploy("anna", "a/mine.py", dag("mine"), folder="team_a", wait="true")

    assert (made.status_code, made.json()["state"]) == (200, "succeeded"), made.text
    assert (site.stack.dags / "team_a" / "a" / "mine.py").read_bytes() == dag("mine")
    assert site.dag("mine") == 200
    listed = site.send("anna", "GET", "/v2/dag-files", params={"folder": "team_a/a"}).json()
    assert [file["path"] for file in listed["files"]] == ["team_a/a/mine.py"]


@pytest.mark.parametrize("folder", ["", "team_b", "team_a_b", "team", "TEAM_A"])
def test_it_deploys_nowhere_else(site: Site, folder: str):
    made = site.deploy("anna", "other.py", dag("other"), folder=folder)

    assert (made.status_code, made.json()["detail"]["reason"]) == (403, "forbidden")
    assert list(site.stack.dags.rglob("other.py")) == []


@pytest.mark.parametrize("name", ["../other.py", "../team_b/other.py", "/other.py"])
def test_no_name_leads_out_of_it(site: Site, name: str):
    made = site.deploy("anna", name, dag("other"), folder="team_a")

    assert made.status_code in (400, 403, 422), made.text
    assert list(site.stack.dags.rglob("other.py")) == []


def test_it_sees_and_changes_nothing_of_the_others(site: Site):
    assert site.deploy("admin", "theirs.py", dag("theirs"), folder="team_b").json()["state"] == "succeeded"

    for method, what in (
        ("GET", ""),
        ("GET", "content"),
        ("GET", "history"),
        ("POST", "rollback"),
        ("POST", "refresh"),
        ("DELETE", ""),
    ):
        body = {"json": {"version": 1}} if what == "rollback" else {}
        refused = site.send("anna", method, about("team_b/theirs.py", what), **body)
        assert refused.status_code == 403, (method, what)
    assert "theirs" not in site.send("anna", "GET", "/v2/dag-files").text
    assert (site.stack.dags / "team_b" / "theirs.py").read_bytes() == dag("theirs")


def test_it_cannot_take_a_dag_of_another_folder_over(site: Site):
    assert site.deploy("admin", "taken.py", dag("taken"), folder="team_b", wait="true").status_code == 200
    made = site.deploy("anna", "taken.py", dag("taken"), folder="team_a")

    assert made.status_code == 422, made.text
    assert not (site.stack.dags / "team_a" / "taken.py").exists()


def test_it_goes_back_to_a_version_of_its_own(site: Site):
    for content in (dag("back"), dag("back", "@daily")):
        fields = {"folder": "team_a", "overwrite": "true"}
        assert site.deploy("anna", "back.py", content, **fields).json()["state"] == "succeeded"
    done = site.send("anna", "POST", about("team_a/back.py", "rollback"), json={"version": 1})

    assert done.json()["state"] == "succeeded", done.text
    assert (site.stack.dags / "team_a" / "back.py").read_bytes() == dag("back")


def test_the_records_of_dags_need_a_permission_of_their_own(site: Site):
    made = site.deploy("anna", "kept.py", dag("kept"), folder="team_a", wait="true")
    assert made.json()["state"] == "succeeded", made.text
    refused = site.send("anna", "DELETE", about("team_a/kept.py", records="true"))

    assert refused.status_code == 403, refused.text
    assert (site.stack.dags / "team_a" / "kept.py").exists()
    assert site.dag("kept") == 200


def test_a_file_is_deleted_with_the_records_of_its_dags(site: Site):
    content = dag("gone_one") + dag("gone_two").replace(b"with DAG", b"\nwith DAG")
    made = site.deploy("admin", "gone.py", content, wait="true", unpause="true")
    assert made.json()["state"] == "succeeded", made.text
    assert (site.dag("gone_one"), site.dag("gone_two")) == (200, 200)
    done = site.send("admin", "DELETE", about("gone.py", records="true"))

    assert (done.status_code, done.json()["state"]) == (200, "succeeded"), done.text
    assert done.json()["warnings"] == []
    assert not (site.stack.dags / "gone.py").exists()
    assert (site.dag("gone_one"), site.dag("gone_two")) == (404, 404)
    # What was deployed is not among the records: the file can come back.
    back = site.send("admin", "POST", about("gone.py", "rollback"), json={"version": 1})
    assert back.json()["state"] == "succeeded", back.text
    assert (site.stack.dags / "gone.py").read_bytes() == content


def test_without_records_a_deleted_file_leaves_them(site: Site):
    made = site.deploy("anna", "left.py", dag("left"), folder="team_a", wait="true")
    assert made.json()["state"] == "succeeded", made.text
    done = site.send("anna", "DELETE", about("team_a/left.py"))

    assert done.json()["state"] == "succeeded", done.text
    assert not (site.stack.dags / "team_a" / "left.py").exists()
    assert site.dag("left") == 200
