from __future__ import annotations

import argparse
import json
import re
from datetime import datetime, timezone
from typing import Any
from urllib.parse import urlsplit

import pytest

from airflow_rest_api.commands import argument_kinds, binding
from airflow_rest_api.commands.catalog import Catalog, load_catalog
from airflow_rest_api.commands.model import Argument, Command
from airflow_rest_api.errors import BadArgument
from airflow_rest_api.json_text import MOST_VALUES

HOSTILE = [
    "plain",
    "",
    " ",
    " leading and trailing ",
    "-x",
    "--output=json",
    "--yes",
    "--",
    "-",
    "--no-such-option=1",
    "-1",
    "a=b",
    "=",
    "@file",
    "two\nlines\r\n\ttab",
    "'single' \"double\" `back`",
    "; rm -rf / #",
    "$(id) ${HOME} %PATH%",
    "*?[a-z]{b,c}~",
    "\\ \\n \\0",
    "Grüße 日本語 🚀 \u202e",
    "\x01\x1b[31m\x7f",
    "{}",
    "null",
]


def values_for(argument: Argument, hostile: str, tmp_path: Any) -> tuple[Any, Any]:
    """Return a value to bind, and what Airflow's parser is to make of it."""
    if argument.choices:
        return argument.choices[-1], argument.choices[-1]
    if argument.name == "output_path":
        return str(tmp_path), str(tmp_path)  # Airflow's own parser looks whether it is there.
    if argument.file:
        return str(tmp_path / "file"), str(tmp_path / "file")  # Airflow's own parser opens it.
    if argument.type == "integer":
        return 7, 7
    if argument.name in argument_kinds.NUMBERS:
        return "7", "7"
    if argument.type == "datetime":
        return "2024-02-03T04:05:06+07:00", datetime.fromisoformat("2024-02-03T04:05:06+07:00")
    if argument.type == "json" and argument.name not in argument_kinds.JSON_TEXT:
        return {"key": hostile}, {"key": hostile}
    if argument.type == "list":
        item = hostile.strip().replace(",", "")
        return ["a", item], ["a", item]
    if argument.repeatable:
        return [hostile, "b"], [hostile, "b"]
    return hostile, hostile


def round_trip(
    catalog: Catalog, parser: argparse.ArgumentParser, command: Command, given: dict[str, Any]
) -> dict[str, Any]:
    invocation = catalog.bind(command, given)
    return {
        name: getattr(value, "name", value)  # an open file
        for name, value in vars(parser.parse_args(invocation.argv)).items()
    }


def is_pattern(text: str) -> bool:
    try:
        re.compile(text)
    except re.error:
        return False
    return True


def is_address(text: str) -> bool:
    try:
        _ = urlsplit(text).port
    except ValueError:
        return False
    return True


@pytest.mark.parametrize(
    ("command", "arguments", "name"),
    [
        ("tasks clear", {"dag_id": "d", "task_regex": "("}, "task_regex"),
        ("tasks clear", {"dag_id": "[", "dag_regex": True}, "dag_id"),
        ("dags pause", {"dag_id": "*", "treat_dag_id_as_regex": True}, "dag_id"),
        ("dags test", {"dag_id": "d", "mark_success_pattern": "a{2,1}"}, "mark_success_pattern"),
        ("tasks clear", {"dag_id": "d", "task_regex": "a" * 1001}, "task_regex"),
        ("tasks clear", {"dag_id": "d", "task_regex": "(?a)(?u)x"}, "task_regex"),
    ],
)
def test_what_is_no_regular_expression_is_refused_by_name(catalog, command, arguments, name):
    with pytest.raises(BadArgument) as refused:
        catalog.bind(catalog.get(command), arguments)
    assert refused.value.argument == name


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"conn_type": "generic", "conn_port": "abc"}, "conn_port"),
        ({"conn_type": "generic", "conn_port": "-1"}, "conn_port"),
        ({"conn_type": "generic", "conn_port": "٣"}, "conn_port"),
        ({"conn_uri": "postgresql://user:S3cretPart/rest@host:5432/db"}, "conn_uri"),
        ({"conn_uri": "postgresql://user:S3cretPart#rest@host:5432/db"}, "conn_uri"),
        ({"conn_uri": "postgresql://user:[S3cretPart@host:5432/db"}, "conn_uri"),
    ],
)
def test_a_part_that_cannot_be_read_is_refused_and_not_repeated(catalog, arguments, name):
    with pytest.raises(BadArgument) as refused:
        catalog.bind(catalog.get("connections add"), {"conn_id": "c", **arguments})
    assert refused.value.argument == name
    assert "S3cret" not in str(refused.value)


@pytest.mark.parametrize(
    "arguments",
    [
        {"conn_uri": "postgresql://user:p%2Fss@host:5432/db"},
        {"conn_uri": "http://h"},
        {"conn_type": "generic", "conn_port": "0"},
        {"conn_type": "generic"},
    ],
)
def test_a_part_that_can_be_read_is_taken(catalog, arguments):
    catalog.bind(catalog.get("connections add"), {"conn_id": "c", **arguments})


def test_the_id_of_a_dag_is_an_expression_only_where_it_is_said_to_be(catalog):
    assert catalog.bind(catalog.get("dags pause"), {"dag_id": "("}).values["dag_id"] == "("


@pytest.mark.parametrize("hostile", HOSTILE, ids=ascii)
def test_airflows_parser_reads_what_was_bound(catalog, airflows_parser, tmp_path, hostile):
    refused = []
    for command in catalog.commands.values():
        flags = {argument.name: not argument.default for argument in command.arguments if argument.flag}
        for argument in command.arguments:
            if argument.flag:
                continue
            readable = {
                **dict.fromkeys(argument_kinds.PATTERNS, is_pattern),
                **dict.fromkeys(argument_kinds.ADDRESSES, is_address),
            }
            if not readable.get(argument.name, bool)(hostile or " "):
                # Refused, which is a test of its own.
                continue
            # The argument under test gets the hostile value; what else is required is harmless.
            others = [other for other in command.arguments if other.required and other.name != argument.name]
            if not argument.flags:
                places = [other for other in command.arguments if not other.flags]
                others += [other for other in places[: places.index(argument)] if other not in others]
            pairs = {other.name: values_for(other, "x", tmp_path) for other in others}
            pairs[argument.name] = values_for(argument, hostile, tmp_path)
            given = {name: pair[0] for name, pair in pairs.items()}
            try:
                parsed = round_trip(catalog, airflows_parser, command, {**given, **flags})
            except BadArgument as refusal:
                refused.append((command.name, argument, refusal.argument))
                continue
            expected = {**{name: pair[1] for name, pair in pairs.items()}, **flags}
            assert {name: parsed[name] for name in expected} == expected, (command.name, argument.name)
    # What argparse cannot take: several values of one option with a dash among them, and "--" alone where
    # a value belongs (before Python 3.12.5).
    assert [name for name, argument, blamed in refused if blamed not in (argument.name, None)] == []
    other = [
        (name, argument.name) for name, argument, _ in refused if argument.name not in ("action", "resource")
    ]
    assert hostile == "--" or other == []
    assert hostile.startswith("-") or refused == []


def test_all_arguments_of_a_command_at_once(catalog, airflows_parser, tmp_path):
    for command in catalog.commands.values():
        pairs = {
            argument.name: values_for(argument, "a b; $(c)", tmp_path)
            for argument in command.arguments
            if not argument.flag
        }
        flags = {argument.name: not argument.default for argument in command.arguments if argument.flag}
        parsed = round_trip(
            catalog, airflows_parser, command, {**{n: p[0] for n, p in pairs.items()}, **flags}
        )
        expected = {**{name: pair[1] for name, pair in pairs.items()}, **flags}
        assert {name: parsed[name] for name in expected} == expected, command.name


def test_a_command_line_and_its_rebound_form_mean_the_same(catalog, airflows_parser):
    for argv in [
        ["dags", "trigger", "a", "-c", '{"x": 1}', "--no-rep", "-l2024-01-01", "-o", "yaml", "-vrrun"],
        ["dags", "list", "-B", "one", "--bundle-name=two", "--col", "dag_id, owners", "-ojson"],
        [
            "backfill",
            "create",
            "--dag-id",
            "a",
            "--from-date",
            "2024-01-01",
            "--to",
            "2024-01-02",
            "--no-run-on-latest",
        ],
        [
            "backfill",
            "create",
            "--dag-id",
            "a",
            "--from-d",
            "2024-01-01",
            "--to",
            "2024-01-02",
            "--run-on-latest-version",
        ],
        ["roles", "add-perms", "-a", "x", "y", "-r", "z", "--", "A", "B"],
        ["roles", "create"],
        ["kerberos", "--pid", "-k", "--", "someone"],
        ["variables", "set", "k", "--json", "--", "-1"],
        ["tasks", "test", "a", "b", "--map-index", "3", "--map-index", "-1"],
        ["connections", "add", "c", "--conn-uri", "http://a:b@c"],
    ]:
        invocation = catalog.parse(argv)
        meant = vars(airflows_parser.parse_args(argv))
        understood = vars(airflows_parser.parse_args(invocation.argv))
        added = {"yes"} & set(understood) - set(invocation.given)
        assert {n: v for n, v in meant.items() if n not in added} == {
            n: v for n, v in understood.items() if n not in added
        }


@pytest.mark.parametrize(
    ("command", "given", "argv"),
    [
        (
            "dags trigger",
            {"dag_id": "a", "conf": {"b": [1, None, "ü"]}},
            ['--conf={"b": [1, null, "ü"]}', "--", "a"],
        ),
        ("dags trigger", {"dag_id": "a", "conf": None, "run_id": None}, ["--", "a"]),
        (
            "dags trigger",
            {"dag_id": "a", "replace_microseconds": False},
            ["--no-replace-microseconds", "--", "a"],
        ),
        ("dags trigger", {"dag_id": "a", "replace_microseconds": True}, ["--", "a"]),
        (
            "dags trigger",
            {"dag_id": "a", "logical_date": datetime(2024, 1, 2, tzinfo=timezone.utc)},
            ["--logical-date=2024-01-02T00:00:00+00:00", "--", "a"],
        ),
        ("pools set", {"pool": "a", "slots": "3", "description": 10}, ["--", "a", "3", "10"]),
        ("pools set", {"pool": "a", "slots": 3, "description": 1.5}, ["--", "a", "3", "1.5"]),
        ("dags list", {"columns": "dag_id,owners", "local": "true"}, ["--columns=dag_id,owners", "--local"]),
        ("dags list", {"columns": ["dag_id", "owners"]}, ["--columns=dag_id,owners"]),
        ("dags list", {"bundle_name": "one"}, ["--bundle-name=one"]),
        ("dags list", {"bundle_name": []}, []),
        ("dags list", {"verbose": False}, []),
        (
            "connections add",
            {"conn_id": "a", "conn_extra": {"b": 1}},
            ["--conn-extra", '{"b": 1}', "--", "a"],
        ),
        ("connections add", {"conn_id": "a", "conn_password": "-p"}, ["--conn-password=-p", "--", "a"]),
        (
            "tasks test",
            {"dag_id": "a", "task_id": "b", "env_vars": '{"A": "1"}'},
            ['--env-vars={"A": "1"}', "--", "a", "b"],
        ),
        ("dags delete", {"dag_id": "a"}, ["--yes", "--", "a"]),
        ("dags delete", {"dag_id": "a", "yes": False}, ["--", "a"]),
        ("roles del-perms", {"role": ["a"], "resource": ["-b"]}, ["--resource=-b", "--", "a"]),
    ],
)
def test_json_values_become_words(catalog, command, given, argv):
    assert catalog.bind(catalog.get(command), given).argv == [*command.split(), *argv]


@pytest.mark.parametrize("choice", [{"run_on_latest_version": True}, {"run_on_latest_version": False}])
def test_a_flag_with_two_forms_says_which(catalog, choice):
    given = {"dag_id": "a", "from_date": "2024-01-01", "to_date": "2024-01-02"}
    command = catalog.get("backfill create")
    invocation = catalog.bind(command, {**given, **choice})
    assert invocation.values["run_on_latest_version"] is choice["run_on_latest_version"]
    assert "run_on_latest_version" in invocation.given
    assert catalog.bind(command, given).values["run_on_latest_version"] is None


def test_json_is_asked_for_unless_the_client_chose(catalog):
    pools, version = catalog.get("pools list"), catalog.get("version")
    asked = catalog.bind(pools, {}, json_output=True)
    assert (asked.argv, asked.given) == (["pools", "list", "--output=json"], frozenset())
    assert catalog.bind(pools, {"output": "yaml"}, json_output=True).argv == [
        "pools",
        "list",
        "--output=yaml",
    ]
    assert catalog.bind(version, {}, json_output=True).argv == ["version"]


@pytest.mark.parametrize(
    ("command", "given", "argument", "words"),
    [
        ("dags list", {"nonsense": 1}, "nonsense", "unrecognized arguments: nonsense"),
        ("dags list", {"output": "xml"}, "output", "argument -o/--output: invalid choice: 'xml'"),
        ("dags list", {"local": "perhaps"}, "local", "true or false"),
        ("dags list", {"local": 1}, "local", "true or false"),
        ("dags list", {"columns": []}, "columns", "empty list"),
        ("dags list", {"columns": ["a,b"]}, "columns", "comma"),
        ("dags list", {"columns": 1}, "columns", "a list"),
        ("dags state", {"logical_date_or_run_id": "a"}, "dag_id", "arguments are required: dag_id"),
        ("dags state", {"dag_id": "a", "logical_date_or_run_id": None}, "logical_date_or_run_id", "required"),
        ("dags pause", {"dag_id": True}, "dag_id", "takes text"),
        ("dags pause", {"dag_id": "a\0b"}, "dag_id", "NUL"),
        ("dags pause", {"dag_id": "a\ud800"}, "dag_id", "Unicode"),
        ("dags trigger", {"dag_id": "a", "conf": {"b": "\ud800"}}, "conf", "Unicode"),
        ("dags trigger", {"dag_id": "a", "conf": {"b": float("nan")}}, "conf", "not a JSON value"),
        ("dags trigger", {"dag_id": "a", "conf": {"b": {1}}}, "conf", "not a JSON value"),
        ("dags trigger", {"dag_id": "a", "logical_date": "soon"}, "logical_date", "--logical-date: invalid"),
        ("dags trigger", {"dag_id": "a", "logical_date": "P1Y"}, "logical_date", "--logical-date: invalid"),
        ("tasks clear", {"dag_id": "a", "end_date": "2024-01-01/P1D"}, "end_date", "invalid parse value"),
        ("dags trigger", {"dag_id": "a", "logical_date": 5}, "logical_date", "date and time"),
        ("pools set", {"pool": "a", "slots": "x", "description": ""}, "slots", "invalid int value: 'x'"),
        ("pools set", {"pool": "a", "slots": 1.5, "description": ""}, "slots", "an integer"),
        ("pools set", {"pool": "a", "slots": True, "description": ""}, "slots", "an integer"),
        ("db check", {"retry": -1}, "retry", "invalid positive int value"),
        ("tasks test", {"dag_id": "a", "task_id": "b", "env_vars": "{"}, "env_vars", "invalid loads value"),
        ("tasks test", {"dag_id": "a", "task_id": "b", "env_vars": "[" * 99_999}, "env_vars", ""),
        ("roles del-perms", {"action": ["a", "-b"], "resource": ["c"]}, "action", "cannot begin with '-'"),
        ("roles create", {"role": ["a"] * 2000}, None, "too many words"),
        ("dags pause", {"dag_id": "a" * (binding.MAX_CHARACTERS + 1)}, None, "too long"),
        ("variables set", {"key": "a", "value": True}, "value", "takes text"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_by_name(catalog, command, given, argument, words):
    with pytest.raises(BadArgument) as refusal:
        catalog.bind(catalog.get(command), given)
    assert refusal.value.argument == argument
    assert words in refusal.value.message


def test_a_value_of_a_megabyte_passes(catalog, airflows_parser):
    value = "ä; $(x) -" * 120_000
    invocation = catalog.bind(catalog.get("variables set"), {"key": "a", "value": value})
    assert airflows_parser.parse_args(invocation.argv).value == value


def test_a_flag_that_the_configuration_has_turned_on_cannot_be_turned_off():
    parser = argparse.ArgumentParser()
    leaf = parser.add_subparsers(dest="subcommand").add_parser("scheduler", help="Schedule")
    leaf.add_argument("--only-idle", action="store_true", default=True)
    catalog = Catalog(parser)
    assert catalog.bind(catalog.get("scheduler"), {"only_idle": True}).values["only_idle"] is True
    with pytest.raises(BadArgument, match="only_idle: cannot be false"):
        catalog.bind(catalog.get("scheduler"), {"only_idle": False})


def test_a_positional_that_would_slip_into_another_place_is_refused(catalog):
    parser = argparse.ArgumentParser()
    leaf = parser.add_subparsers(dest="subcommand").add_parser("odd", help="Two that may be left out")
    leaf.add_argument("first", nargs="?")
    leaf.add_argument("second", nargs="?")
    catalog = Catalog(parser)
    with pytest.raises(BadArgument) as refusal:
        catalog.bind(catalog.get("odd"), {"second": "b"})
    assert refusal.value.argument == "second"


def test_values_are_json(catalog):
    invocation = catalog.parse(
        ["tasks", "clear", "a", "-s", "2024-01-01T00:00:00+02:00", "--only-failed", "-B", "x", "-B", "y"]
    )
    assert invocation.given == {"dag_id", "start_date", "only_failed", "bundle_name"}
    assert invocation.values["start_date"] == "2024-01-01T00:00:00+02:00"
    assert invocation.values["bundle_name"] == ["x", "y"]
    assert (invocation.values["only_failed"], invocation.values["upstream"]) == (True, False)
    assert json.loads(json.dumps(invocation.values)) == invocation.values


def test_json_with_too_much_in_it_is_refused_by_the_name_of_its_argument(catalog: Catalog) -> None:
    trigger = catalog.get("dags trigger")
    for text, words in (
        ("[" + "[]," * 100_000 + "1]", "100000 values"),
        ("[" * 200 + "]" * 200, "100 levels"),
    ):
        with pytest.raises(BadArgument, match=words) as error:
            catalog.bind(trigger, {"dag_id": "a", "conf": text})
        assert error.value.argument == "conf"
        with pytest.raises(BadArgument, match=words):
            catalog.parse(["dags", "trigger", "a", "--conf", text])


def test_a_date_that_is_longer_than_any_is_refused_unread(catalog: Catalog) -> None:
    for text in ("2026-01-01T" + "." * 100_000, " " * 100_000, "1" * 100_000):
        with pytest.raises(BadArgument, match="no date and time has more than") as error:
            catalog.bind(catalog.get("dags test"), {"dag_id": "a", "logical_date": text})
        assert error.value.argument == "logical_date"
        assert len(str(error.value)) < 200


@pytest.mark.parametrize(
    ("command", "arguments", "blamed"),
    [
        ("pools set", {"pool": "p", "slots": -7, "description": "d"}, "slots"),
        ("pools set", {"pool": "p", "slots": 10**20, "description": "d"}, "slots"),
        ("connections add", {"conn_id": "c", "conn_type": "http", "conn_port": 99999}, "conn_port"),
        ("dags next-execution", {"dag_id": "d", "num_executions": 1_000_000_000}, "num_executions"),
        ("dags list-jobs", {"limit": "x"}, "limit"),
        ("dags list-jobs", {"limit": 10**30}, "limit"),
        ("dags trigger", {"dag_id": "d", "conf": r'{"a": ["\ud800"]}'}, "conf"),
        ("dags trigger", {"dag_id": "d", "conf": r'{"\uDFFF": 1}'}, "conf"),
        ("dags details", {"dag_id": ["a"]}, "dag_id"),
        ("dags details", {"dag_id": {"a": 1}}, "dag_id"),
    ],
)
def test_what_no_command_can_take_is_refused_before_it_runs(
    command: str, arguments: dict[str, Any], blamed: str
):
    catalog = load_catalog()
    with pytest.raises(BadArgument) as refused:
        catalog.bind(catalog.get(command), arguments)
    assert refused.value.detail["argument"] == blamed


def test_json_of_many_values_is_not_read_whatever_way_it_comes(monkeypatch: pytest.MonkeyPatch):
    # Python's parser lets no other thread run before it is done.
    conf = r'["\ud800", ' + "[], " * MOST_VALUES + "1]"
    catalog = load_catalog()
    monkeypatch.setattr(json, "loads", None)
    for words in ([f"--conf={conf}"], ["--conf", conf]):
        with pytest.raises(BadArgument, match=f"more than {MOST_VALUES} values"):
            catalog.parse(["dags", "trigger", *words, "d"])


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        ("pools set", {"pool": "p", "slots": -1, "description": "d"}),
        ("connections add", {"conn_id": "c", "conn_type": "http", "conn_port": 65535}),
        ("dags trigger", {"dag_id": "d", "conf": {"a": [1]}}),
        ("dags trigger", {"dag_id": "d", "conf": r'{"a": "\ud83d\ude00", "b": "\\\\ud800"}'}),
        ("dags trigger", {"dag_id": "d", "conf": r'{"a": "\ud800'}),
        ("variables set", {"key": "k", "value": {"a": 1}}),
        ("variables set", {"key": "k", "value": r'{"a": "\ud800"}'}),
    ],
)
def test_what_a_command_can_take_is_left_to_it(command: str, arguments: dict[str, Any]):
    catalog = load_catalog()
    assert catalog.bind(catalog.get(command), arguments).command.name == command
