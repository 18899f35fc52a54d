from __future__ import annotations

import pytest

from bench.bundles import chosen
from bench.rows import BUNDLE_ROWS, LEGACY, LOADS, ROWS, Load, Row

ISSUE = [
    "version", "config get-value", "variables get", "pools list", "connections list", "dags list",
    "dags pause", "dags trigger", "tasks state", "tasks list", "tasks render", "tasks test",
]  # fmt: skip


def test_the_rows_are_those_that_were_promised() -> None:
    assert [row.command for row in ROWS] == ISSUE
    assert [row.api for row in LEGACY] == ["list_dags", "dag_state", "variables", "trigger_dag", "pause"]


@pytest.mark.airflow
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.command)
def test_the_arguments_of_a_row_are_those_of_its_command(row: Row) -> None:
    from airflow_rest_api.commands.catalog import load_catalog

    catalog = load_catalog()
    bound = catalog.bind(catalog.get(row.command), row.arguments, json_output=True)
    assert bound.command.name == row.command


@pytest.mark.airflow
@pytest.mark.parametrize("row", BUNDLE_ROWS, ids=lambda row: row.command)
def test_of_a_bundle_the_dag_in_the_midst_is_asked_for(row: Row) -> None:
    from airflow_rest_api.commands.catalog import load_catalog

    catalog = load_catalog()
    bound = catalog.bind(catalog.get(row.command), chosen(row, 100), json_output=True)
    assert bound.values["dag_id"] == "one_of_many_0050"


@pytest.mark.parametrize("load", LOADS, ids=lambda load: load.name)
def test_airflow_s_own_api_is_asked_for_as_much_as_ours(load: Load) -> None:
    assert len(load.own) == len(load.steps)


@pytest.mark.airflow
@pytest.mark.parametrize("load", LOADS, ids=lambda load: load.name)
def test_each_client_has_a_dag_of_its_own(load: Load) -> None:
    from airflow_rest_api.commands.catalog import load_catalog

    catalog = load_catalog()
    for command, arguments in load.steps:
        values = {name: value.format(client=7) for name, value in arguments.items()}
        bound = catalog.bind(catalog.get(command), values)
        assert bound.values.get("dag_id", "bench_007") == "bench_007"
