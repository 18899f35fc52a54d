from __future__ import annotations

import statistics
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from airflow_rest_api.commands.catalog import load_catalog
from airflow_rest_api.errors import BadArgument, UnknownCommand


def test_the_catalog_is_made_once():
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: load_catalog(), range(16)))
    assert all(catalog is found[0] for catalog in found)


@pytest.mark.parametrize(
    "name", ["dags list-runs", "dags/list-runs", ("dags", "list-runs"), ["dags", "list-runs"]]
)
def test_a_command_is_found_by_its_name_in_any_form(catalog, name):
    assert catalog.get(name).path == ("dags", "list-runs")


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("dag list", "dags list"),
        ("dags lst", "dags list"),
        ("list_dags", "dags list"),
        ("delete_dag", "dags delete"),
        ("trigger_dag", "dags trigger"),
        ("task_state", "tasks state"),
        ("render", "tasks render"),
        ("verson", "version"),
        ("webserver", "api-server"),
        ("dags backfill", "backfill create"),
    ],
)
def test_an_unknown_name_is_answered_with_the_likeliest(catalog, name, meant):
    with pytest.raises(UnknownCommand) as refusal:
        catalog.get(name)
    assert meant in refusal.value.nearest[:3]


@pytest.mark.parametrize(
    "argv",
    [[], [""], ["nonsense"], ["dags", "nonsense"], ["-v", "dags", "list"], ["--", "version"], ["x" * 10**6]],
)
def test_a_command_line_of_no_command_is_unknown(catalog, argv):
    with pytest.raises(UnknownCommand) as refusal:
        catalog.parse(argv)
    assert len(refusal.value.name) <= 60


def test_a_group_alone_is_answered_with_its_commands(catalog):
    with pytest.raises(UnknownCommand) as refusal:
        catalog.parse(["pools"])
    assert refusal.value.name == "pools"
    assert refusal.value.nearest == [name for name in catalog.commands if name.startswith("pools ")]


@pytest.mark.parametrize("argv", [["--help"], ["dags", "-h"], ["dags", "list", "--help"], ["version", "-h"]])
def test_help_is_refused(catalog, argv):
    with pytest.raises(BadArgument) as refusal:
        catalog.parse(argv)
    assert refusal.value.argument == "help"


@pytest.mark.parametrize(
    "argv", [["version", "a\0"], ["version", "\udfff"], ["version", 1], ["roles", "create", *["a"] * 1000]]
)
def test_what_is_no_command_line_is_refused(catalog, argv):
    with pytest.raises(BadArgument):
        catalog.parse(argv)


@pytest.mark.parametrize(
    "argv", [["dags list"], ["dags list", "-v"], ["airflow dags list"], ["airflow", "dags list"]]
)
def test_a_name_with_a_space_in_one_word_is_not_a_command_line_and_told_why(catalog, argv):
    with pytest.raises(UnknownCommand) as refusal:
        catalog.parse(argv)
    assert refusal.value.nearest[0] == "dags list"
    message = refusal.value.detail["message"]
    assert message.endswith(" in one word: each is an item of its own, 'dags', 'list'.")


@pytest.mark.parametrize("argv", [["dags lst"], ["dags", "nonsense list"], ["dag list", "x"]])
def test_of_what_is_no_command_however_it_is_cut_the_nearest_is_said_alone(catalog, argv):
    with pytest.raises(UnknownCommand) as refusal:
        catalog.parse(argv)
    meant = " or ".join(map(repr, refusal.value.nearest))
    assert refusal.value.detail["message"] == f"There is no command {' '.join(argv)!r}. Did you mean {meant}?"


@pytest.mark.parametrize(
    "argv", [["airflow", "dags", "list"], ["airflow", "dags", "lst", "-v"], ["airflow", "list_dags"]]
)
def test_the_name_of_the_program_does_not_hide_what_is_meant(catalog, argv):
    with pytest.raises(UnknownCommand) as refusal:
        catalog.parse(argv)
    assert "dags list" in refusal.value.nearest[:3]


def test_binding_takes_well_under_a_millisecond(catalog):
    command, given = (
        catalog.get("dags trigger"),
        {"dag_id": "a", "conf": {"b": 1}, "logical_date": "2024-01-01"},
    )
    times = []
    for _ in range(200):
        started = time.thread_time()
        catalog.bind(command, given)
        times.append(time.thread_time() - started)
    assert statistics.median(times) < 0.002


def test_a_name_longer_than_any_object_has_is_refused_by_its_argument(catalog):
    with pytest.raises(BadArgument) as refusal:
        catalog.bind(catalog.get("dags details"), {"dag_id": "d" * 1001})

    assert refusal.value.argument == "dag_id"


def test_a_value_may_be_long_and_is_shown_short(catalog):
    invocation = catalog.bind(catalog.get("variables set"), {"key": "k", "value": "v" * 2**20})

    assert invocation.argv[-1] == "v" * 2**20
    assert len(invocation.masked[-1]) < 2100
    assert "1048576 characters" in invocation.masked[-1]


def test_short_flags_joined_without_end_are_refused_before_argparse_takes_them_apart(catalog):
    with pytest.raises(BadArgument):
        catalog.parse(["dags", "list", "-" + "v" * 400_000, "--zzz"])
    assert catalog.parse(["variables", "set", "k", "--", "-" + "v" * 400_000]).values["value"]
