from __future__ import annotations

from typing import Any

import pytest

from airflow_rest_api.engine import Engine, Job
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
