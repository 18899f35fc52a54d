from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Column, Integer, MetaData, String, Table, inspect, select, update
from sqlalchemy.engine import Engine, make_url

from airflow_rest_api import processes
from airflow_rest_api.airflow.installation import Places
from airflow_rest_api.commands.needs import resource_of
from airflow_rest_api.operations.heartbeat import beat
from airflow_rest_api.operations.model import Server, new_id
from airflow_rest_api.operations.tables import SERVER
from airflow_rest_api.services.child_start import log_name
from airflow_rest_api.services.model import KINDS
from airflow_rest_api.services.store import SERVICE
from airflow_rest_api.storage.database import own_engine
from airflow_rest_api.storage.migrations import VERSIONS, all_tables, migrate
from airflow_rest_api.uninstall import (
    NewerTables,
    folders,
    in_airflows,
    in_our_database,
    running,
    section,
)

OURS = list(all_tables().tables)


def remove_all(steps):
    for step in list(steps):
        step.remove()


def tables(engine: Engine) -> set[str]:
    return set(inspect(engine).get_table_names())


def test_every_table_that_the_migrations_make_goes_and_no_other(engine: Engine):
    mine = MetaData()
    Table("rest_api", mine, Column("id", Integer, primary_key=True)).create(engine)
    Table("rest_api_of_somebody", mine, Column("id", Integer, primary_key=True)).create(engine)
    theirs = tables(engine)
    migrate(engine)
    assert tables(engine) - theirs == set(OURS)

    steps = list(in_our_database(engine))
    names = [step.what.split()[2] for step in steps]
    assert (sorted(names), names[-1]) == (sorted(OURS), VERSIONS.name)
    remove_all(steps)
    assert tables(engine) == theirs
    assert list(in_our_database(engine)) == []


def test_what_was_interrupted_is_found_again(engine: Engine):
    migrate(engine)
    for step in list(in_our_database(engine))[:5]:
        step.remove()

    assert len(list(in_our_database(engine))) == len(OURS) - 5


@pytest.mark.parametrize("address", ["postgresql"], indirect=True)
@pytest.mark.parametrize("given", [{"password": "s3cret"}, {"query": {"password": "s3cret"}}])
def test_no_password_is_in_what_is_said(address: str, given: dict[str, Any]):
    engine = own_engine(make_url(address).set(**given).render_as_string(hide_password=False))
    migrate(engine)
    said = " ".join(step.what for step in in_our_database(engine))
    engine.dispose()

    assert "s3cret" not in said
    assert f"/{make_url(address).database}" in said


def test_the_tables_of_a_newer_version_are_left_to_it(engine: Engine):
    migrate(engine)
    with engine.begin() as connection:
        at = connection.execute(select(VERSIONS.c.applied_at)).scalars().first()
        connection.execute(VERSIONS.insert().values(version=9999, applied_at=at))

    with pytest.raises(NewerTables, match="9999"):
        list(in_our_database(engine))
    assert VERSIONS.name in tables(engine)


def event_log(engine: Engine, events: list[str]) -> list[str]:
    """Add rows to Airflow's event log, made where it is not there; return the events in it."""
    from airflow.models.log import Log

    Log.__table__.create(engine, checkfirst=True)
    with engine.begin() as connection:
        if events:
            connection.execute(Log.__table__.insert(), [{"event": event} for event in events])
        return sorted(connection.execute(select(Log.event)).scalars())


def test_only_our_rows_of_the_event_log_go_however_many_there_are(engine: Engine):
    theirs = ["cli_version", "pause", "rest.api", "rest_api", "restXapi.version", "rest_apis.version"]
    ours = [f"rest_api.dags list {number}" for number in range(2001)]
    event_log(engine, [*theirs, *ours])

    [step] = in_airflows(engine)
    assert step.what.startswith("2001 rows of Airflow's event log")
    step.remove()
    assert event_log(engine, []) == sorted(theirs)
    assert list(in_airflows(engine)) == []


def flask_appbuilder(engine: Engine) -> tuple[Table, Table, Table]:
    """Make its tables, as far as we know them, with our resources, another's and a role that has all."""
    found = MetaData()
    resources = Table("ab_view_menu", found, Column("id", Integer), Column("name", String(250)))
    pairs = Table(
        "ab_permission_view", found, Column("id", Integer), Column("permission_id"), Column("view_menu_id")
    )
    granted = Table("ab_permission_view_role", found, Column("permission_view_id"), Column("role_id"))
    for column in (pairs.c.permission_id, pairs.c.view_menu_id, *granted.c):
        column.type = Integer()
    found.create_all(engine)
    names = [resource_of("Execute"), resource_of("Deploy"), resource_of("Deploy dags-folder/team_a")]
    others = ["DAGs", "REST API", "REST API Deployment", "REST API of somebody"]
    with engine.begin() as connection:
        for number, name in enumerate([*names, *others], 1):
            connection.execute(resources.insert().values(id=number, name=name))
            connection.execute(pairs.insert().values(id=10 + number, permission_id=1, view_menu_id=number))
            connection.execute(granted.insert().values(permission_view_id=10 + number, role_id=1))
    return resources, pairs, granted


def test_what_was_granted_to_roles_goes_with_its_resources_and_nothing_else(engine: Engine):
    resources, pairs, granted = flask_appbuilder(engine)

    [step] = in_airflows(engine)
    assert step.what.endswith("REST API Execute, REST API Deploy, REST API Deploy dags-folder/team_a")
    step.remove()
    with engine.connect() as connection:
        assert list(connection.execute(select(resources.c.name)).scalars()) == [
            "DAGs",
            "REST API",
            "REST API Deployment",
            "REST API of somebody",
        ]
        assert list(connection.execute(select(pairs.c.id)).scalars()) == [14, 15, 16, 17]
        assert list(connection.execute(select(granted.c.permission_view_id)).scalars()) == [14, 15, 16, 17]
    assert list(in_airflows(engine)) == []


IN_A_SCHEMA = """
import sys
from airflow.models.log import Log
from sqlalchemy import create_engine
from airflow_rest_api.uninstall import in_airflows
engine = create_engine(sys.argv[1])
with engine.begin() as connection:
    connection.exec_driver_sql("CREATE SCHEMA airflow")
    Log.__table__.create(connection)
    connection.execute(Log.__table__.insert(), [{"event": event} for event in ("pause", "rest_api.version")])
    for name, columns in (
        ("ab_view_menu", "1 AS id, 'REST API Execute' AS name"),
        ("ab_permission_view", "2 AS id, 1 AS view_menu_id"),
        ("ab_permission_view_role", "2 AS permission_view_id"),
    ):
        connection.exec_driver_sql(f"CREATE TABLE airflow.{name} AS SELECT {columns}")
for step in list(in_airflows(engine)):
    step.remove()
with engine.connect() as connection:
    for name in ("log", "ab_view_menu", "ab_permission_view", "ab_permission_view_role"):
        print(name, connection.exec_driver_sql(f"SELECT count(*) FROM airflow.{name}").scalar())
"""


@pytest.mark.slow
@pytest.mark.parametrize("address", ["postgresql"], indirect=True)
def test_the_rows_of_an_airflow_in_a_schema_of_its_own_go_too(address: str):
    done = subprocess.run(
        [sys.executable, "-c", IN_A_SCHEMA, address],
        env={**os.environ, "AIRFLOW__DATABASE__SQL_ALCHEMY_SCHEMA": "airflow"},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert done.stdout.splitlines()[-4:] == [
        "log 1",
        "ab_view_menu 0",
        "ab_permission_view 0",
        "ab_permission_view_role 0",
    ]


def test_a_database_in_which_nothing_of_ours_ever_was_has_nothing_to_remove(engine: Engine):
    assert list(in_our_database(engine)) == []
    assert list(in_airflows(engine)) == []


HEX = "0" * 32

CONFIGURATION = """\
# At the top.
[core]
load_examples = True

[rest_api_plugin]
# The REST API plugin.

# A secret.
operations_database = postgresql://user:s3cret@host/name
deploy_folders =
    [not a section]

[rest_api_plugin_of_somebody]
mine = [rest_api_plugin]
"""


def names(steps) -> list[str]:
    return [step.what for step in steps]


@pytest.fixture
def here(tmp_path: Path) -> Places:
    (tmp_path / "home").mkdir()
    (tmp_path / "logs").mkdir()
    return Places(str(tmp_path / "home"), str(tmp_path / "logs"), "here")


def test_our_folders_and_the_logs_of_components_go_and_what_others_put_beside_them_stays(
    here: Places, tmp_path: Path
):
    bundle, home, logs = tmp_path / "dags", Path(here.home), Path(here.logs)
    ours = (
        bundle / ".airflow_rest_api" / "work",
        home / "rest_api" / "services" / HEX,
        logs / ".rest_api" / "notes",
    )
    for folder in ours:
        folder.mkdir(parents=True)
        (folder / "file").touch()
    kept = [bundle / "mine.py", home / "airflow.cfg", logs / "scheduler.out", logs / "rest-api-mine.out"]
    for path in kept:
        path.touch()
    for ending in ("out", "err"):
        (logs / f"rest-api-celery-worker-{HEX}.{ending}").touch()
    (logs / f"rest-api-scheduler-{HEX}.out").symlink_to(kept[0])

    found = list(folders(here, [bundle]))
    assert len(found) == 5
    for step in found:
        step.remove()
    assert all(path.exists() for path in kept)
    assert list(bundle.iterdir()) == [kept[0]]
    assert list(home.iterdir()) == [kept[1]]
    assert names(folders(here, [bundle])) == []


def test_a_link_in_the_place_of_our_folder_is_left_alone(here: Places, tmp_path: Path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / ".airflow_rest_api").symlink_to(tmp_path / "elsewhere")

    assert names(folders(here, [tmp_path])) == []


def test_a_bundle_that_cannot_be_looked_into_is_not_passed_over(here: Places, tmp_path: Path):
    (tmp_path / "file").touch()
    assert names(folders(here, [tmp_path / "missing", tmp_path / "file"])) == []
    with pytest.raises(OSError, match="too long"):
        list(folders(here, [tmp_path / ("x" * 300)]))


def test_a_bundle_that_is_closed_to_this_user_keeps_nothing_else_from_being_removed(
    here: Places, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    look = Path.lstat

    def closed(self: Path) -> os.stat_result:
        if self.parent.name == "closed":
            raise PermissionError(13, "Permission denied", str(self))
        return look(self)

    (tmp_path / "open" / ".airflow_rest_api").mkdir(parents=True)
    monkeypatch.setattr(Path, "lstat", closed)
    [step] = folders(here, [tmp_path / "closed", tmp_path / "open"])
    assert str(tmp_path / "open") in step.what


def test_the_folder_of_a_process_that_was_killed_goes_and_that_of_a_living_one_stays(
    here: Places, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    from airflow_rest_api import private_folders

    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    mine = private_folders.make(tmp_path)
    dead = mine.with_name(mine.name.replace(f"-{os.getpid()}-", "-4194999-"))
    dead.mkdir(mode=0o700)

    [step] = folders(here, [])
    assert str(dead) in step.what
    step.remove()
    assert mine.is_dir()
    assert not dead.exists()


def test_our_section_goes_with_its_comments_and_everything_else_stays_as_it_was(tmp_path: Path):
    path = tmp_path / "airflow.cfg"
    path.write_text(CONFIGURATION)
    path.chmod(0o640)

    [step] = section(path)
    assert "s3cret" not in step.what
    step.remove()
    begin, end = CONFIGURATION.index("[rest_api_plugin]"), CONFIGURATION.index("[rest_api_plugin_of")
    assert path.read_text() == CONFIGURATION[:begin] + CONFIGURATION[end:]
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert [each.name for each in tmp_path.iterdir()] == ["airflow.cfg"]
    assert names(section(path)) == []


def test_a_link_to_the_configuration_stays_one(tmp_path: Path):
    (tmp_path / "real.cfg").write_text(CONFIGURATION)
    (tmp_path / "airflow.cfg").symlink_to("real.cfg")

    [step] = section(tmp_path / "airflow.cfg")
    step.remove()
    assert (tmp_path / "airflow.cfg").is_symlink()
    assert "[rest_api_plugin]\n#" not in (tmp_path / "real.cfg").read_text()


def test_no_configuration_has_no_section(tmp_path: Path):
    assert names(section(tmp_path / "airflow.cfg")) == []


@pytest.mark.parametrize("kind", list(KINDS))
def test_the_logs_of_every_kind_of_component_are_known_by_their_names(here: Places, kind: str):
    (Path(here.logs) / f"{log_name(kind, new_id())}.out").touch()

    assert len(names(folders(here, []))) == 1


NOW = datetime.now(timezone.utc)


@pytest.fixture
def made(tmp_path) -> Iterator[Engine]:
    engine = own_engine(f"sqlite:///{tmp_path}/our.db")
    migrate(engine)
    yield engine
    engine.dispose()


def server(engine: Engine, pid: int, runner: str | None = None) -> Server:
    made = Server(id=new_id(), host="host", pid=pid, started_at=NOW, beat=1, runner=runner)
    with engine.begin() as connection:
        beat(connection, made)
    return made


def component(engine: Engine, state: str, **more: Any) -> None:
    texts = ("user", "command", "words", "hostname", "folder", "logs", "stdout", "stderr")
    values: dict[str, Any] = {
        column.name: "" if column.name in texts else 0
        for column in SERVICE.c
        if not column.nullable and not column.primary_key
    }
    values |= {"id": new_id(), "kind": "scheduler", "host": "host", "created_at": NOW, "state": state}
    values |= {name: "[]" for name in ("argv", "ready") if name in values}
    with engine.begin() as connection:
        connection.execute(SERVICE.insert().values({**values, **more}))


def look(engine: Engine, patience: float = 0.6) -> list[str]:
    return running(engine, patience)


@pytest.mark.slow
@pytest.mark.parametrize(("runner", "words"), [(None, "API server"), ("runner-1", "runner")])
def test_a_server_whose_counter_moves_runs_and_one_that_was_killed_does_not(
    made: Engine, runner: str | None, words: str
):
    server(made, 1)
    alive = server(made, 2, runner)
    ended = threading.Event()

    def beating() -> None:
        count = 1
        while not ended.wait(0.05):
            count += 1
            with made.begin() as connection:
                connection.execute(update(SERVER).where(SERVER.c.id == alive.id).values(beat=count))

    thread = threading.Thread(target=beating)
    thread.start()
    try:
        assert look(made, 60) == [f"the {words} on host, process 2"]
    finally:
        ended.set()
        thread.join()
    assert look(made) == []


def test_without_a_server_nobody_waits(made: Engine, capsys: pytest.CaptureFixture[str]):
    assert running(made, 600) == []
    assert capsys.readouterr().out == ""


def test_a_component_of_this_machine_runs_as_long_as_its_supervisor(made: Engine):
    place, pid = processes.place(), os.getpid()
    component(made, "running", place=place, supervisor=pid, supervisor_start=processes.start_of(pid))
    component(made, "running", place=place, supervisor=pid, supervisor_start="another")
    component(made, "stopped", place="elsewhere")
    component(made, "running", place="elsewhere", host="far")

    found = look(made)
    assert [words.split()[2] for words in found] == ["scheduler", "scheduler"]
    assert [words.split()[-1] for words in found] == ["host", "far"]


def test_a_database_without_our_tables_knows_of_nobody(tmp_path):
    made = own_engine(f"sqlite:///{tmp_path}/empty.db")

    assert look(made) == []
    made.dispose()
