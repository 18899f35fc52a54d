from __future__ import annotations

import argparse
import copy
from concurrent.futures import ThreadPoolExecutor

import pytest

from airflow_rest_api.commands.argument_parser import CheckingParser
from airflow_rest_api.errors import BadArgument


def some_leaf() -> argparse.ArgumentParser:
    leaf = argparse.ArgumentParser(prog="airflow some leaf")
    leaf.add_argument("name", metavar="NAME")
    leaf.add_argument("-o", "--output", choices={"b", "a", "c"})
    leaf.add_argument("--file", type=argparse.FileType("w"))
    leaf.add_argument("--exits", type=int)
    leaf.add_argument("-p", "--password")
    leaf.add_argument("--port", type=int)
    leaf.set_defaults(func=print)
    return leaf


def test_the_parser_it_was_made_from_is_left_as_it_is():
    leaf = some_leaf()
    before = [copy.copy(vars(action)) for action in leaf._actions]
    parser = CheckingParser(leaf)
    parser.check(["a", "--output=b"])
    assert [vars(action) for action in leaf._actions] == before
    assert parser.seen == []


def test_a_file_argument_is_neither_opened_nor_made(tmp_path):
    values, _ = CheckingParser(some_leaf()).check(["a", f"--file={tmp_path / 'new'}"])
    assert values["file"] == str(tmp_path / "new")
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_printed_and_nothing_exits(capfd):
    parser = CheckingParser(some_leaf())
    for words in (
        ["--help"],
        ["-h"],
        [],
        ["a", "b"],
        ["a", "--nonsense"],
        ["a", "--output"],
        ["a", "--output=z"],
        ["a", "--p"],
    ):
        with pytest.raises(BadArgument):
            parser.check(words)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("words", "argument", "message"),
    [
        ([], "name", "the following arguments are required: NAME"),
        (["a", "--output"], "output", "argument -o/--output: expected one argument"),
        (["a", "--port=x"], "port", "argument --port: invalid int value: 'x'"),
        (["a", "b"], None, "unrecognized arguments: b"),
        (["a", "--p=1"], None, "ambiguous option: --p could match --password, --port"),
        (["a", "--help"], "help", "argument -h/--help: not here, the catalog of commands has the help"),
    ],
)
def test_the_message_is_argparses_own(words, argument, message):
    with pytest.raises(BadArgument) as refusal:
        CheckingParser(some_leaf()).check(words)
    assert (refusal.value.argument, refusal.value.message) == (argument, message)


def test_choices_are_told_in_the_same_order_every_time():
    with pytest.raises(BadArgument) as refusal:
        CheckingParser(some_leaf()).check(["a", "-o", "z"])
    told = refusal.value.message.partition("choose from")[2]
    assert [letter for letter in told if letter in "abc"] == ["a", "b", "c"]


@pytest.mark.parametrize(
    "words",
    [
        ["connections", "add", "x", "--conn-pasword", "hunter2"],
        ["connections", "add", "x", "--conn-pasword=hunter2"],
        ["connections", "add", "x", "--conn-p=hunter2"],
        ["connections", "add", "--conn-password", "hunter2"],
        ["connections", "add", "x", "--conn-password=x", "hunter2"],
        ["users", "create", "-phunter2"],
        ["users", "create", "--use-random-password=hunter2"],
        ["users", "reset-password", "-u", "a", "-p", "x", "hunter2"],
        ["variables", "set", "my_password", "two", "hunter2"],
        ["celery", "flower", "--basic-auth", "x", "hunter2"],
    ],
)
def test_no_message_repeats_what_may_be_a_secret(catalog, words):
    with pytest.raises(BadArgument) as refusal:
        catalog.parse(words)
    assert "hunter2" not in f"{refusal.value!r} {refusal.value.message} {refusal.value}"


def test_threads_do_not_see_each_others_arguments(catalog):
    command = catalog.get("pools set")

    def bind(number: int) -> bool:
        invocation = catalog.bind(command, {"pool": f"p{number}", "slots": number, "description": ""})
        return invocation.values["pool"] == f"p{number}" and invocation.argv[-3:] == [
            f"p{number}",
            str(number),
            "",
        ]

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(bind, range(2000)))


class Asking(argparse.Action):
    """An action as that of the password of Keycloak's provider, which asks whoever sits at the terminal."""

    def __call__(self, *arguments: object) -> None:
        raise AssertionError("it was called")


def test_an_action_of_somebody_elses_is_not_called_where_arguments_are_checked():
    leaf = some_leaf()
    leaf.add_argument("--secret", "-s", action=Asking, nargs="?", help="asked for where it is not given")
    leaf.add_argument("--flag", action=Asking, nargs=0)
    leaf.add_argument("--several", action=Asking, nargs="+", choices=["x", "y"])
    leaf.add_argument("--needed", action=Asking, required=True, type=str)
    parser = CheckingParser(leaf)

    values, found = parser.check(["a", "--needed=1", "--secret", "--flag", "--several", "x", "y"])
    assert (values["needed"], values["secret"], values["flag"]) == ("1", None, True)
    assert values["several"] == ["x", "y"]
    assert [(action.dest, words) for action, words in found][1:] == [
        ("needed", ["1"]),
        ("secret", []),
        ("flag", []),
        ("several", ["x", "y"]),
    ]
    assert parser.check(["a", "--needed=1", "-s", "hunter2"])[0]["secret"] == "hunter2"
    for words in (["a"], ["a", "--needed=1", "--several", "z"], ["a", "--needed=1", "--flag=1"]):
        with pytest.raises(BadArgument):
            parser.check(words)
