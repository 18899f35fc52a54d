from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from airflow_rest_api.airflow import maskers
from airflow_rest_api.airflow.maskers import Late
from airflow_rest_api.engine import wire
from airflow_rest_api.engine.engine import Engine
from airflow_rest_api.engine.job import Ending, Job
from airflow_rest_api.engine.redaction import MOST, WITHHELD
from tests.airflow.variables import airflow_in
from tests.databases import KINDS
from tests.engine.conftest import Run, act, outcome

SECRETS = ("given-to-the-command", "learned-by-the-core", "learned-by-the-sdk")


@pytest.mark.airflow
def test_what_airflows_masker_learns_is_masked_however_it_is_printed(run: Run[Any], any_engine: Engine):
    job = act("print_secrets", SECRETS[0], secrets=[SECRETS[0]], mask=True)
    _, process = run(outcome(any_engine, job))

    shown = process.stdout.text + process.stderr.text
    assert not any(secret in shown for secret in SECRETS)
    assert sorted(process.stdout.text.splitlines()) == sorted(
        [
            f"{way}: {word}"
            for word in ("***", "***", "***", "not-secret")
            for way in ("in one go", "in two", "past Python", "by another")
        ]
    )
    assert process.stderr.text == "on stderr: ***\n" * 3 + "on stderr: not-secret\n"


@pytest.mark.airflow
def test_a_command_that_shows_secrets_shows_those_that_it_was_not_given(run: Run[Any], engine: Engine):
    _, process = run(outcome(engine, act("print_secrets", SECRETS[0], secrets=[SECRETS[0]])))

    assert SECRETS[0] not in process.stdout.text
    assert SECRETS[1] in process.stdout.text


@pytest.mark.airflow
def test_the_secrets_of_the_configuration_are_masked(run: Run[Any], any_engine: Engine):
    job = Job(["config", "get-value", "api_auth", "jwt_secret"], mask=True)
    _, process = run(outcome(any_engine, job))

    assert process.stdout.text.strip() == "***"


@pytest.mark.airflow
def test_the_words_of_the_parser_that_refuses_are_masked(run: Run[Any], engine: Engine):
    argv = ["connections", "add", "--conn-uri", "given-to-the-command", "given-to-the-command", "more"]
    how, process = run(outcome(engine, Job(argv, secrets=["given-to-the-command", "more!"])))

    assert how.message
    assert "given-to-the-command" not in how.message + process.stderr.text


@pytest.mark.airflow
def test_masking_does_not_add_to_the_output(run: Run[Any], any_engine: Engine):
    _, process = run(
        outcome(any_engine, Job(["version"], secrets=["abc", "given-to-the-command"], mask=True))
    )

    assert process.stdout.text.strip() == __import__("airflow").__version__
    assert process.stderr.text == ""


@pytest.mark.airflow
def test_thousands_of_secrets_that_a_command_knows_and_learns_are_masked(run: Run[Any], engine: Engine):
    given = [f"given-{number:05d}-to-it" for number in range(1000)]
    job = act("learn_many", "3000", secrets=given, mask=True, timeout=60)
    how, process = run(outcome(engine, job))

    # Each one with all patterns compiled anew took minutes.
    assert how.ending is Ending.EXITED
    assert process.stdout.text == "it is ***\n" * 3000


@pytest.mark.airflow
@pytest.mark.slow
def test_a_command_that_learns_more_than_can_be_masked_shows_nothing_of_it(run: Run[Any], engine: Engine):
    how, process = run(outcome(engine, act("learn_many", str(MOST + 50), mask=True, timeout=120)))

    assert how.ending is Ending.EXITED
    assert process.stdout.text == WITHHELD.decode()


@pytest.mark.airflow
def test_a_long_secret_does_not_hold_up_the_loop_that_answers(run: Run[Any], engine: Engine):
    secret = "".join(f'{number}"ü' for number in range(40_000))
    _, process = run(outcome(engine, act("echo", "hello", secrets=[secret], mask=True)))

    assert process.stdout.text == "'hello'\n"


@pytest.mark.airflow
def test_a_late_expression_does_what_the_expression_does():
    assert Late("a|b").sub("*", "cab") == "c**"
    assert bool(Late("a"))


CONF = json.dumps({"host": "db", "password": "hunter22", "more": [{"api_key": "abcdef"}, 1, None]})
PLAIN = '{"a" :1,\n "b": "two"}'


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("conf", CONF),
        ("db_password", CONF),
        ("db_password", "hunter22"),
        ("db_password", '["hunter22", 5]'),
        ("conf", "hunter22"),
        ("conf", json.dumps({"extra": {"deep": {"deeper": {"d": {"e": {"f": {"token": "hunter22"}}}}}}})),
        ("conf", "null"),
        ("conf", "[]"),
        ("conf", '{"password": '),
        ("conf", ""),
    ],
)
def test_a_value_is_shown_as_by_airflows_own_api(key: str, value: str):
    from airflow.api_fastapi.core_api.datamodels.variables import VariableResponse

    fields: dict[str, Any] = {"description": None, "is_encrypted": True, "team_name": None}
    theirs = VariableResponse(key=key, value=value, **fields).val
    assert maskers.as_shown(value, {key}) == theirs


def test_a_value_in_which_nothing_is_hidden_is_shown_as_it_is():
    assert maskers.as_shown(PLAIN, {"conf"}) == PLAIN
    assert maskers.as_shown("Infinity", {"conf"}) == "Infinity"


def test_a_value_is_hidden_where_one_of_its_keys_hides_it():
    assert maskers.as_shown("hunter22", ["a", "db_password"]) == "***"
    assert maskers.as_shown("hunter22", ["db_password", "a"]) == "***"


def test_what_cannot_be_looked_into_is_not_shown():
    assert maskers.as_shown("[" * 100_000 + "]" * 100_000, {"conf"}) == "***"


@pytest.fixture
def _unchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.models.variable import Variable

    read: Any = Variable.get_variable_from_secrets
    monkeypatch.setattr(Variable, "get_variable_from_secrets", staticmethod(read))


@pytest.mark.airflow
@pytest.mark.usefixtures("_unchanged")
@pytest.mark.parametrize("kind", KINDS)
def test_the_key_of_the_row_counts_and_not_the_spelling_of_the_request(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    from airflow.cli.cli_parser import get_parser

    def got(*words: str) -> str:
        arguments = get_parser().parse_args(["variables", "get", "--default", "none", *words])
        arguments.func(arguments)
        return capsys.readouterr().out.strip()

    kept = logging.root.level
    with monkeypatch.context() as patch, airflow_in(kind, tmp_path, patch, db_password="hunter22", conf=CONF):
        assert got("db_password") == "hunter22"
        other = "hunter22" if kind == "mariadb" else "none"
        spellings = ("DB_PASSWORD", "db_pässword", "db_password ", "db_pÁsswORd  ")
        assert [got("--", each) for each in spellings] == [other] * len(spellings)

        maskers.variables_as_shown()
        shown = "***" if kind == "mariadb" else "none"
        assert [got("--", each) for each in ("db_password", *spellings)] == ["***", *[shown] * len(spellings)]
        assert json.loads(got("conf")) == {
            "host": "db",
            "password": "***",
            "more": [{"api_key": "***"}, 1, None],
        }
        assert "hunter22" not in got("--json", "conf")
    assert logging.root.level == kept


@pytest.mark.airflow
def test_a_masker_learns_what_is_hidden_inside_of_a_text():
    from airflow._shared.secrets_masker import SecretsMasker

    class Masker(SecretsMasker):
        pass

    Masker.add_mask = maskers._learning_within(SecretsMasker.add_mask)  # type: ignore[method-assign]
    masker = Masker()
    masker.sensitive_variables_fields = ["password"]
    masker.add_mask(CONF, "conf")
    masker.add_mask("[[" * 50_000, "conf")
    assert masker.patterns == {"hunter22"}


def test_the_longest_messages_of_a_child_fit():
    learned: list[list[str]] = []

    class Masker:
        patterns = frozenset({"\U0001f600" * 5000} | {chr(0x1F600 + n) * 5 for n in range(700)})

    maskers._send_new(Masker(), set(), learned.append)
    usage = {"exit_code": 2, "usage": "\U0001f600" * wire.LONGEST_USAGE}
    longest = max(len(wire.pack(message)) for message in (usage, *({"secrets": one} for one in learned)))
    assert len(learned) > 1
    assert longest <= wire.LONGEST
