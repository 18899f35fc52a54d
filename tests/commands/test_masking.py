from __future__ import annotations

import pytest

MASKED = [
    (["connections", "add", "c", "--conn-password", "hunter2"], ["--conn-password=***", "--", "c"]),
    (["connections", "add", "c", "--conn-pass=hunter2"], ["--conn-password=***", "--", "c"]),
    (["connections", "add", "c", "--conn-uri", "http://me:hunter2@host"], ["--conn-uri=***", "--", "c"]),
    (["connections", "add", "c", "--conn-json", '{"password": "hunter2"}'], ["--conn-json=***", "--", "c"]),
    (["connections", "add", "c", "--conn-extra={}hunter2"], ["--conn-extra=***", "--", "c"]),
    (["users", "reset-password", "-u", "a", "-p", "hunter2"], ["--password=***", "--username=a"]),
    (["users", "reset-password", "-u", "a", "-phunter2"], ["--password=***", "--username=a"]),
    (["users", "reset-password", "-u", "a", "-p=hunter2"], ["--password=***", "--username=a"]),
    (["users", "reset-password", "-u", "a", "-vphunter2"], ["--password=***", "--username=a", "--verbose"]),
    (["celery", "flower", "-A", "me:hunter2"], ["--basic-auth=***"]),
    (["celery", "flower", "-a", "http://me:hunter2@host"], ["--broker-api=***"]),
    (["variables", "set", "my_password", "hunter2"], ["--", "my_password", "***"]),
    (["variables", "set", "--json", "api_key", '"hunter2"'], ["--json", "--", "api_key", "***"]),
    (["variables", "set", "colour", "red"], ["--", "colour", "red"]),
    (
        ["variables", "set", "settings", '{"colour": "red", "db": [{"password": "hunter2"}]}'],
        ["--", "settings", '{"colour": "red", "db": [{"password": "***"}]}'],
    ),
    (["dags", "trigger", "a", "-c", '{"token": "hunter2"}'], ['--conf={"token": "***"}', "--", "a"]),
    (["dags", "trigger", "a", "-c", '{"colour":"red"}'], ['--conf={"colour":"red"}', "--", "a"]),
    (
        ["tasks", "test", "a", "b", "--env-vars", '{"DB_PASSWORD": "hunter2"}'],
        ['--env-vars={"DB_PASSWORD": "***"}', "--", "a", "b"],
    ),
]


@pytest.mark.parametrize(("argv", "masked"), MASKED)
def test_secrets_are_masked_however_they_were_written(catalog, argv, masked):
    invocation = catalog.parse(argv)
    assert invocation.masked == [*invocation.command.path, *masked]
    assert "hunter2" not in repr(invocation)


def test_every_secret_argument_is_masked(catalog):
    secret = [
        (command, argument)
        for command in catalog.commands.values()
        for argument in command.arguments
        if argument.secret
    ]
    assert len(secret) >= 8
    for command, argument in secret:
        required = {other.name: "x" for other in command.arguments if other.required}
        invocation = catalog.bind(command, {**required, argument.name: "hunter2"})
        assert "hunter2" in " ".join(invocation.argv)
        assert "hunter2" not in " ".join(invocation.masked)


def test_what_airflow_writes_to_its_audit_log_has_no_connection_secret(catalog, monkeypatch):
    from airflow.utils.cli import _build_metrics

    given = {"conn_id": "c", "conn_json": {"password": "hunter2"}, "conn_password": "hunter2"}
    for more in ({}, {"conn_uri": "http://me:hunter2@host"}):
        invocation = catalog.bind(catalog.get("connections add"), {**given, **more})
        for argv in (invocation.argv, invocation.masked):
            monkeypatch.setattr("sys.argv", ["airflow", *argv])
            logged = _build_metrics("connections_add", __import__("argparse").Namespace())["full_command"]
            assert "hunter2" not in logged


WITHIN = [
    (
        ["connections", "add", "c", "--conn-uri", "http://me:hunter%4022@host/?token=t0ken-t0ken"],
        {"hunter%4022", "hunter@22", "t0ken-t0ken"},
    ),
    (
        ["connections", "add", "c", "--conn-json", '{"password": "hunter22", "host": "db.example"}'],
        {"hunter22"},
    ),
    (
        ["connections", "add", "c", "--conn-json", '{"extra": "{\\"password\\": \\"hunter22\\"}"}'],
        {"hunter22"},
    ),
    (["connections", "add", "c", "--conn-extra", '{"a": {"private_key": "hunter22"}}'], {"hunter22"}),
    (["connections", "add", "c", "--conn-extra", '{"x": "hunter22"}'], {"hunter22"}),
    (["connections", "add", "c", "--conn-json", '{"extra": {"x": "hunter22"}}'], {"hunter22"}),
    (["celery", "flower", "--basic-auth", "me:hunter22,you:hunter33"], {"hunter22", "hunter33"}),
    (["variables", "set", "api_key", '{"colour": "hunter22"}'], {"hunter22"}),
    (["dags", "trigger", "a", "-c", '{"password": [1234567, "hunter22"]}'], {"1234567", "hunter22"}),
]


@pytest.mark.parametrize(("argv", "secrets"), WITHIN)
def test_the_secrets_within_a_value_are_known_for_the_masking_of_output(catalog, argv, secrets):
    invocation = catalog.parse(argv)
    assert secrets <= set(invocation.secrets)
    assert not {"db.example", "host", "me", "you", "colour"} & set(invocation.secrets)
    assert not any(secret in repr(invocation) for secret in secrets)


def test_what_is_too_short_to_be_told_from_other_words_is_no_secret(catalog):
    assert catalog.parse(["users", "reset-password", "-u", "a", "-p", "abcd"]).secrets == ()
    assert catalog.parse(["users", "reset-password", "-u", "a", "-p", "airflow"]).secrets == ()
    assert catalog.parse(["dags", "pause", "hunter22"]).secrets == ()


def test_the_password_in_an_address_is_masked_whatever_the_argument(catalog):
    invocation = catalog.parse(["variables", "set", "colour", "postgres://me:hunter22@host/db"])
    assert invocation.masked[-1] == "postgres://me:***@host/db"
    assert "hunter22" in invocation.secrets


def test_what_is_too_much_to_look_into_is_masked_as_a_whole():
    from airflow_rest_api.commands.masking import masked_text
    from airflow_rest_api.json_text import DEEPEST, MOST_VALUES

    assert masked_text('{"a": [' + "1," * MOST_VALUES + '{"password": "hunter2"}]}') == "***"
    assert masked_text("[" * (DEEPEST + 1) + '{"password": "hunter2"}' + "]" * (DEEPEST + 1)) == "***"


def test_an_address_in_the_extra_of_an_address_in_the_extra_of_one_has_an_end(catalog):
    uri = "x://?__extra__=" * 20_000
    invocation = catalog.parse(["connections", "add", "c", "--conn-uri", uri])
    assert uri in invocation.secrets
