"""Who may deploy where."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_rest_api.commands.model import Effect
from airflow_rest_api.commands.policy import OWN, own_command
from airflow_rest_api.dag_files.grants import COMMANDS, Grants, Scope, entity
from airflow_rest_api.errors import Forbidden
from airflow_rest_api.security.access import Gate, Switches
from airflow_rest_api.security.audit import Audit
from airflow_rest_api.security.caller import Caller
from airflow_rest_api.settings import folders
from tests.deploying import about, dag, deploying

FOLDERS = folders("dags-folder/team_a, dags-folder/team_b/deep, other")


class Host:
    """An Airflow in which one user has some powers."""

    session_cookie = "none"

    def __init__(self, *powers: str, admin: bool = False) -> None:
        self.powers = powers
        self.admin = admin
        self.blocking = False

    async def user(self, token: str, session: Any = None) -> Any:
        return "somebody"

    def session_user(self, scope: Any) -> None:
        return None

    def user_name(self, user: Any) -> str:
        return "somebody"

    async def is_admin(self, user: Any) -> bool:
        return self.admin

    def permissions(self, user: Any) -> Any:
        return self

    def trusted_origins(self) -> frozenset[str]:
        return frozenset()

    def may(self, resource: str, method: str, entity: str | None, name: str | None) -> bool:
        return resource == "power" and method == "PUT" and entity in self.powers

    def names(self, resource: str, method: str) -> frozenset[str]:
        return frozenset()


async def scope_of(*powers: str, admin: bool = False, command: str = "deploy_dag", **switches: Any) -> Scope:
    host = Host(*powers, admin=admin)
    return await Grants(Gate(Switches(**switches)), FOLDERS).scope(Caller(host, "somebody"), command)


@pytest.fixture
def scope() -> Callable[..., Scope]:
    import asyncio

    return lambda *powers, **more: asyncio.run(scope_of(*powers, **more))


def test_administrators_and_the_power_deploy_everywhere(scope: Callable[..., Scope]) -> None:
    assert scope(admin=True) == scope("Deploy") == Scope(everywhere=True)


@pytest.mark.parametrize("powers", [(), ("Execute",), ("Deploy dags-folder/team_c",), ("deploy",)])
def test_nobody_else_deploys(scope: Callable[..., Scope], powers: tuple[str, ...]) -> None:
    for command in COMMANDS:
        with pytest.raises(Forbidden):
            scope(*powers, command=command)


def test_a_folder_is_the_folder_and_what_is_in_it(scope: Callable[..., Scope]) -> None:
    mine = scope("Deploy dags-folder/team_a", "Deploy other")
    for path in ("team_a", "team_a/x.py", "team_a/b/c.py"):
        assert mine.covers("dags-folder", path)
    for path in ("", "x.py", "team_ab/x.py", "team_b/deep/x.py", "x/team_a/y.py"):
        assert not mine.covers("dags-folder", path)
    assert mine.covers("other", "x.py")
    assert not mine.covers("third", "team_a/x.py")


def test_what_was_asked_is_what_somebody_else_needs(scope: Callable[..., Scope]) -> None:
    [ask] = scope("Deploy dags-folder/team_a", "Deploy other").asks("dags-folder", ["team_a/x.py"])
    assert (ask.resource.value, ask.method, ask.entity) == ("power", "PUT", "Deploy dags-folder/team_a")
    # Of what is about no file, who may deploy everywhere may know.
    [ask] = scope("Deploy dags-folder/team_a").asks("dags-folder", [])
    assert ask == scope("Deploy").asks("dags-folder", [])[0]
    [ask] = scope("Deploy").asks("dags-folder", ["team_a/x.py"])
    assert ask.entity == "Deploy"


def test_an_option_switches_it_off_for_all(scope: Callable[..., Scope]) -> None:
    for switches in ({"read_only": True}, {"disabled": "deploy_dag"}, {"enabled": "dags *"}):
        with pytest.raises(Forbidden, match="switched off"):
            scope(admin=True, **switches)
    for command in COMMANDS:
        if command != "read_dag_files":
            with pytest.raises(Forbidden, match="switched off"):
                scope(admin=True, command=command, disabled="deploy_dag")
    for command in ("deploy_dag", "rollback_dag_file", "check_dag_files"):
        with pytest.raises(Forbidden, match="run_dag_code"):
            scope(admin=True, command=command, run_dag_code=False)
    for command in ("delete_dag_file", "refresh_dag_file"):
        assert scope(admin=True, command=command, run_dag_code=False).everywhere
    assert scope(admin=True, command="read_dag_files", run_dag_code=False, read_only=True).everywhere


def test_every_command_is_in_the_table_of_the_permissions() -> None:
    assert {name for name in OWN if name.endswith(("dag_file", "dag_files", "deploy_dag"))} == COMMANDS.keys()
    for command, effect in COMMANDS.items():
        assert own_command(command).effect is effect
    assert set(COMMANDS.values()) == {Effect.EXECUTE, Effect.WRITE, Effect.READ}


def test_the_option_names_bundles_and_folders() -> None:
    assert [entity(*folder) for folder in folders("a, b/c")] == ["Deploy a", "Deploy b/c"]


@pytest.mark.airflow
@pytest.mark.timeout(600)
def test_a_role_that_was_given_a_folder_stays_in_it(tmp_path: Path) -> None:
    from airflow.models.dag import DagModel
    from airflow.utils.session import create_session
    from sqlalchemy import update

    host = Host("Deploy dags-folder/team_a")
    settings = {"deploy_folders": "dags-folder/team_a", "operations_database": f"sqlite:///{tmp_path}/x.db"}
    with deploying(tmp_path, fork=False, dag_versions_kept=1, **settings) as admin:
        # A deployment of which no version is kept.
        forgotten = admin.report({"theirs.py": dag("first")})["deployment"]
        admin.report({"theirs.py": dag("second")}, overwrite=True)
        assert admin.client.get(f"/v2/dag-files/deployments/{forgotten}").json()["files"] == []
        admin.report({"theirs.py": dag("theirs"), "team_a/mine.py": dag("mine")}, wait=True, overwrite=True)
    with deploying(tmp_path, fork=False, host=host, **settings) as site:
        client = site.client
        assert site.deploy({"b.py": dag("b")}, folder="team_a").status_code == 200
        for folder in ("", "team_b", "team_ab"):
            assert site.deploy({"b.py": b""}, folder=folder).status_code == 403
        assert site.deploy({"b.py": b"", "team_a/c.py": b""}).status_code == 403
        # Nor is it told what there is elsewhere.
        for bundle in ("none", "other"):
            assert client.get("/v2/dag-files", params={"bundle": bundle}).status_code == 403
            assert site.deploy({"b.py": b""}, bundle=bundle).status_code == 403
        for folder in ("theirs.py", "none"):
            assert client.get("/v2/dag-files", params={"folder": folder}).status_code == 403
            assert client.get(about(f"{folder}/x.py")).status_code == 403
        assert client.get(f"/v2/dag-files/deployments/{forgotten}").status_code == 404
        # Nor is a DAG of another folder taken over, with or without a check.
        taken = site.deploy({"thief.py": dag("theirs")}, folder="team_a")
        assert (taken.status_code, taken.json()["detail"]["reason"]) == (422, "duplicate_dags")
        assert "theirs.py" not in taken.text
        # Nor while its file cannot be imported, when Airflow calls its DAGs stale.
        for column in ({"is_stale": True, "has_import_errors": True}, {"is_stale": False}):
            with create_session() as session:
                session.execute(update(DagModel).where(DagModel.dag_id == "theirs").values(**column))
            taken = site.deploy({"thief.py": dag("theirs")}, folder="team_a")
            assert (taken.status_code, taken.json()["detail"]["reason"]) == (422, "duplicate_dags")
        refused: list[str] = []
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Audit, "refused", lambda *told: refused.append(told[2]))
            for field in ({"validate": False}, {"force_invalid": True}):
                assert site.deploy({"thief.py": dag("theirs")}, folder="team_a", **field).status_code == 403
        assert refused == ["deploy_dag", "deploy_dag"]
        assert sorted(site.state()) == ["team_a/b.py", "team_a/mine.py", "theirs.py"]
        listed = client.get("/v2/dag-files").json()["files"]
        assert [one["path"] for one in listed] == ["team_a/b.py", "team_a/mine.py"]
        assert client.get("/v2/dag-files/deployments").json()["deployments"][0]["user"] == "somebody"
        assert len(client.get("/v2/dag-files/deployments").json()["deployments"]) == 1
        for what in ("", "content", "history", "diff"):
            assert client.get(about("theirs.py", what)).status_code == 403
            assert client.get(about("team_a/mine.py", what)).status_code == 200
        assert client.post(about("theirs.py", "rollback"), json={"version": 1}).status_code == 403
        assert client.delete(about("theirs.py")).status_code == 403
        assert client.delete(about("team_a/mine.py", records="true")).status_code == 403
        assert client.delete(about("team_a/mine.py")).status_code == 200
        [bundle] = client.get("/v2/dag-files/bundles").json()["bundles"]
        assert bundle["folders"] == ["team_a"]
        # The old endpoint knows no other way.
        upload = {"dag_file": ("old.py", dag("old_endpoint"))}
        assert client.post("/api?api=deploy_dag", files=upload).status_code == 403
        there = client.post("/api?api=deploy_dag&path=team_a", files=upload)
        assert there.status_code == 200, there.text
        assert client.post("/api?api=deploy_dag&path=team_b", files=upload).status_code == 403
        broken = {"dag_file": ("broken.py", b"x = = 1")}
        assert client.post("/api?api=deploy_dag&path=team_a", files=broken).status_code == 400
        forced = client.post("/api?api=deploy_dag&path=team_a&force_invalid=on", files=broken)
        assert forced.status_code == 403
        assert "Only who may deploy everywhere" in forced.json()["output"]
    assert sorted(site.state()) == ["team_a/b.py", "team_a/old.py", "theirs.py"]
