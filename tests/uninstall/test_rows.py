from __future__ import annotations

import pytest
from sqlalchemy import Column, Integer, MetaData, String, Table, inspect, select
from sqlalchemy.engine import Engine, make_url

from airflow_rest_api.airflow.permissions import resource_of
from airflow_rest_api.storage.engines import own_engine
from airflow_rest_api.storage.migrations import VERSIONS, migrate
from airflow_rest_api.uninstall.rows import TABLES, NewerTables, in_airflows, in_our_database


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
    assert tables(engine) - theirs == {table.name for table in TABLES}

    steps = list(in_our_database(engine))
    assert [step.what.split()[2] for step in steps] == [table.name for table in TABLES]
    remove_all(steps)
    assert tables(engine) == theirs
    assert list(in_our_database(engine)) == []


def test_what_was_interrupted_is_found_again(engine: Engine):
    migrate(engine)
    for step in list(in_our_database(engine))[:5]:
        step.remove()

    assert len(list(in_our_database(engine))) == len(TABLES) - 5


@pytest.mark.parametrize("address", ["postgresql"], indirect=True)
def test_no_password_is_in_what_is_said(address: str):
    engine = own_engine(make_url(address).set(password="s3cret").render_as_string(hide_password=False))
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


def test_a_database_in_which_nothing_of_ours_ever_was_has_nothing_to_remove(engine: Engine):
    assert list(in_our_database(engine)) == []
    assert list(in_airflows(engine)) == []
