from __future__ import annotations

from typing import Any

import pytest

from airflow_rest_api.engine.engine import Engine
from airflow_rest_api.engine.job import Ending, Job
from airflow_rest_api.engine.learning import Late
from airflow_rest_api.engine.redaction import MOST, WITHHELD
from tests.engine.conftest import Run, act, outcome

pytestmark = pytest.mark.airflow

SECRETS = ("given-to-the-command", "learned-by-the-core", "learned-by-the-sdk")


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


def test_a_command_that_shows_secrets_shows_those_that_it_was_not_given(run: Run[Any], engine: Engine):
    _, process = run(outcome(engine, act("print_secrets", SECRETS[0], secrets=[SECRETS[0]])))

    assert SECRETS[0] not in process.stdout.text
    assert SECRETS[1] in process.stdout.text


def test_the_secrets_of_the_configuration_are_masked(run: Run[Any], any_engine: Engine):
    job = Job(["config", "get-value", "api_auth", "jwt_secret"], mask=True)
    _, process = run(outcome(any_engine, job))

    assert process.stdout.text.strip() == "***"


def test_the_words_of_the_parser_that_refuses_are_masked(run: Run[Any], engine: Engine):
    argv = ["connections", "add", "--conn-uri", "given-to-the-command", "given-to-the-command", "more"]
    how, process = run(outcome(engine, Job(argv, secrets=["given-to-the-command", "more!"])))

    assert how.message
    assert "given-to-the-command" not in how.message + process.stderr.text


def test_masking_does_not_add_to_the_output(run: Run[Any], any_engine: Engine):
    _, process = run(
        outcome(any_engine, Job(["version"], secrets=["abc", "given-to-the-command"], mask=True))
    )

    assert process.stdout.text.strip() == __import__("airflow").__version__
    assert process.stderr.text == ""


def test_thousands_of_secrets_that_a_command_knows_and_learns_are_masked(run: Run[Any], engine: Engine):
    given = [f"given-{number:05d}-to-it" for number in range(1000)]
    job = act("learn_many", "3000", secrets=given, mask=True, timeout=60)
    how, process = run(outcome(engine, job))

    # Each one with all patterns compiled anew took minutes.
    assert how.ending is Ending.EXITED
    assert process.stdout.text == "it is ***\n" * 3000


@pytest.mark.slow
def test_a_command_that_learns_more_than_can_be_masked_shows_nothing_of_it(run: Run[Any], engine: Engine):
    how, process = run(outcome(engine, act("learn_many", str(MOST + 50), mask=True, timeout=120)))

    assert how.ending is Ending.EXITED
    assert process.stdout.text == WITHHELD.decode()


def test_a_long_secret_does_not_hold_up_the_loop_that_answers(run: Run[Any], engine: Engine):
    secret = "".join(f'{number}"ü' for number in range(40_000))
    _, process = run(outcome(engine, act("echo", "hello", secrets=[secret], mask=True)))

    assert process.stdout.text == "'hello'\n"


def test_a_late_expression_does_what_the_expression_does():
    assert Late("a|b").sub("*", "cab") == "c**"
    assert bool(Late("a"))
