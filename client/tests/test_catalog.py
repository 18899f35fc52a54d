from __future__ import annotations

import pytest

from airflow_rest_client.catalog import Catalog, Command


def command(catalog: Catalog, name: str) -> Command:
    found = catalog.get(name)
    assert found is not None
    return found


def test_a_command_line_begins_with_the_name_of_a_command(catalog: Catalog):
    found, rest = catalog.split(["dags", "list", "-o", "json"])
    assert (found.name if found else None, list(rest)) == ("dags list", ["-o", "json"])
    assert catalog.split(["dags", "lst"]) == (None, ["dags", "lst"])


@pytest.mark.parametrize(
    ("name", "words", "given"),
    [
        ("variables import", ["vars.json"], {"file": "vars.json"}),
        ("dags show", ["d", "--save=x.png"], {"dag_id": "d", "save": "x.png"}),
        ("dags show", ["-sx.png", "d"], {"dag_id": "d", "save": "x.png"}),
        ("dags show", ["--sav", "x.png", "--", "d"], {"dag_id": "d", "save": "x.png"}),
        ("dags delete", ["-y", "d"], {"dag_id": "d", "yes": True}),
        ("dags trigger", ["d", "--no-replace-microseconds"], {"dag_id": "d", "replace_microseconds": False}),
        ("dags list", ["-B", "a", "-B", "b"], {"bundle_name": ["a", "b"]}),
        ("roles create", ["a", "b"], {"role": ["a", "b"]}),
        ("connections add", ["c", "--conn-json", "{}"], {"conn_id": "c", "conn_json": "{}"}),
    ],
)
def test_what_is_given_is_found_however_it_is_written(
    catalog: Catalog, name: str, words: list[str], given: object
):
    assert command(catalog, name).parse(words) == given


def test_what_cannot_be_read_is_left_to_the_server(catalog: Catalog):
    assert command(catalog, "dags list").parse(["--nothing"]) is None
    assert command(catalog, "dags delete").parse([]) is None


def test_a_plain_command_needs_no_look_at_its_words(catalog: Catalog):
    assert command(catalog, "dags list").is_plain
    assert not any(
        command(catalog, name).is_plain for name in ("variables import", "dags delete", "users create")
    )


def test_the_help_of_a_command_says_which_files_are_of_this_machine(catalog: Catalog):
    text = command(catalog, "variables import").parser("airflow-rest variables import").format_help()
    assert "usage: airflow-rest variables import" in text
    assert "of this machine" in text
