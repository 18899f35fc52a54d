from __future__ import annotations

import json
import time
from collections.abc import Callable

import pytest

from airflow_rest_api.commands.masking import MOST_CHARACTERS, MOST_SECRETS
from airflow_rest_api.errors import BadArgument

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
        ["dags", "trigger", "a", "-c", '{"url":"http:\\/\\/me:hunter2@host"}'],
        ['--conf={"url": "http://me:***@host"}', "--", "a"],
    ),
    (
        ["dags", "trigger", "a", "-c", '{"urls":["http:\\u002f/me:hunter2@host","me@example"]}'],
        ['--conf={"urls": ["http://me:***@host", "me@example"]}', "--", "a"],
    ),
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
    (["dags", "trigger", "a", "-c", '{"to":["http://me:hunter22@host","me@example"]}'], {"hunter22"}),
    (["dags", "trigger", "a", "-c", '["http:\\/\\/me:hunt\\u00e9r22@host"]'], {"huntér22"}),
    (["dags", "trigger", "a", "-c", '{"my_secret": "http:\\/\\/me:hunter22@host"}'], {"hunter22"}),
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


@pytest.mark.parametrize(
    ("address", "masked"),
    [
        # As the users of Azure's databases are called.
        ("postgres://me@server:hunter22@host/db", "postgres://me@server:***@host/db"),
        ("aws://?region=eu&aws_secret_access_key=hunter22", "aws://?region=eu&aws_secret_access_key=***"),
        ("https://host/path?api%5Fkey=hunter22&a=b#end", "https://host/path?api%5Fkey=***&a=b#end"),
        ("http://host?__extra__=%7B%22password%22%3A%22hunter22%22%7D", "http://host?__extra__=***"),
        ("http://host:80/a@b?colour=red&token", "http://host:80/a@b?colour=red&token"),
    ],
)
def test_a_secret_in_an_address_is_masked_wherever_airflow_takes_it_from(catalog, address, masked):
    invocation = catalog.parse(["variables", "set", "colour", address])
    within = catalog.bind(catalog.get("dags trigger"), {"dag_id": "a", "conf": {"to": [address], "b": 1}})

    assert invocation.masked[-1] == masked
    assert invocation.secrets == within.secrets == (("hunter22",) if "***" in masked else ())
    assert within.masked[2] == f"--conf={json.dumps({'to': [masked], 'b': 1})}"


def test_a_secret_in_an_address_is_known_as_it_is_and_decoded(catalog):
    invocation = catalog.parse(["variables", "set", "colour", "http://host?token=hunter%2022"])
    assert {"hunter%2022", "hunter 22"} <= set(invocation.secrets)


@pytest.mark.parametrize(
    "text",
    [
        '{"to":"http://host:80","mail":"some.body@example.org"}',
        '["s3://bucket","some.body@example.org"]',
    ],
)
def test_each_text_in_json_is_looked_at_by_itself(catalog, text):
    invocation = catalog.parse(["variables", "set", "colour", text])
    assert (invocation.masked, invocation.secrets) == (invocation.argv, ())


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ('{"a":{"password":"hunter22"},"a":1}', '{"a": [{"password": "***"}, 1]}'),
        ('{"a":"http://me:hunter22@host","a":"b"}', '{"a": ["http://me:***@host", "b"]}'),
        ('{"password":"hunter22","password":null}', '{"password": "***"}'),
        ('{"http://me:hunter22@host":1}', '{"http://me:***@host": 1}'),
    ],
)
def test_a_secret_in_json_is_masked_wherever_it_stands(catalog, text, masked):
    invocation = catalog.parse(["variables", "set", "colour", text])
    assert (invocation.masked[-1], invocation.secrets) == (masked, ("hunter22",))


def test_an_address_with_too_many_parameters_to_look_at_is_masked_as_a_whole(catalog):
    many = "http://host?" + "&".join(f"a{number}=b" for number in range(MOST_SECRETS + 1))
    invocation = catalog.bind(
        catalog.get("variables set"), {"key": "colour", "value": f"{many}&token=hunter22"}
    )

    assert invocation.masked[-1] == "***"


def test_what_is_too_much_to_look_into_is_masked_as_a_whole():
    from airflow_rest_api.commands.masking import masked_text
    from airflow_rest_api.json_text import DEEPEST, MOST_VALUES

    assert masked_text('{"a": [' + "1," * MOST_VALUES + '{"password": "hunter2"}]}') == "***"
    assert masked_text("[" * (DEEPEST + 1) + '{"password": "hunter2"}' + "]" * (DEEPEST + 1)) == "***"


@pytest.mark.parametrize(
    "conf",
    [
        '{"password": "hunter22",}',
        "{'password': 'hunter22'}",
        "[{password: hunter22}]",
        '{"token":"hunter22"',
    ],
)
def test_what_begins_like_json_and_is_none_is_masked_as_a_whole_where_a_secret_may_be_in_it(catalog, conf):
    invocation = catalog.parse(["dags", "trigger", "a", "-c", conf])
    assert invocation.masked == ["dags", "trigger", "--conf=***", "--", "a"]
    assert conf in invocation.secrets


def test_a_long_text_that_begins_like_json_and_is_none_is_taken(catalog):
    text = '{"token": "hunter22"}\n' * 100_000
    assert catalog.parse(["variables", "set", "colour", text]).masked[-1] == "***"
    with pytest.raises(BadArgument):
        catalog.parse(["variables", "set", "api_key", text])


@pytest.mark.parametrize("text", ["[a-z]_token", "{{ ds }}", "{'colour': 'red'}", "[note] see: above"])
def test_what_begins_like_json_and_names_no_secret_is_shown(catalog, text):
    assert catalog.parse(["variables", "set", "colour", text]).masked[-1] == text


def test_an_address_in_the_extra_of_an_address_in_the_extra_of_one_has_an_end(catalog):
    uri = "x://?__extra__=" * 10_000
    invocation = catalog.parse(["connections", "add", "c", "--conn-uri", uri])
    assert uri in invocation.secrets


TEACHES: dict[str, tuple[list[str], Callable[[list[str]], str], str]] = {
    "JSON of any argument": (
        ["jobs", "check", "--hostname={}"],
        lambda s: json.dumps({"token": s}),
        "hostname",
    ),
    "configuration of a run": (
        ["dags", "trigger", "a", "--conf={}"],
        lambda s: json.dumps({"db": {"passwords": s}}),
        "conf",
    ),
    "a text in the JSON": (
        ["dags", "trigger", "a", "--conf={}"],
        lambda s: json.dumps({"extra": json.dumps({"password": s})}),
        "conf",
    ),
    "environment of a test": (
        ["tasks", "test", "a", "b", "--env-vars={}"],
        lambda s: json.dumps({"API_KEY": s}),
        "env_vars",
    ),
    "connection as JSON": (
        ["connections", "add", "c", "--conn-json", "{}"],
        lambda s: json.dumps({"conn_type": "http", "extra": {"api_keys": s}}),
        "conn_json",
    ),
    "extra of a connection": (
        ["connections", "add", "c", "--conn-extra={}"],
        lambda s: json.dumps({"of the provider": s}),
        "conn_extra",
    ),
    "address of a connection": (
        ["connections", "add", "c", "--conn-uri", "{}"],
        lambda s: "http://me:x@host/?" + "&".join(f"token{n}={one}" for n, one in enumerate(s)),
        "conn_uri",
    ),
    "variable that is secret by its key": (
        ["variables", "set", "api_key", "{}"],
        lambda s: json.dumps(s),
        "value",
    ),
    "secret argument with commas": (
        ["celery", "flower", "--basic-auth={}"],
        lambda s: ",".join(f"u:{one}" for one in s),
        "basic_auth",
    ),
}


def _argv(words: list[str], value: str) -> list[str]:
    return [word.replace("{}", value) for word in words]


@pytest.mark.parametrize("where", TEACHES)
def test_as_many_secrets_as_can_be_masked_are_learned_and_none_is_shown(catalog, where):
    words, write, _ = TEACHES[where]
    secrets = [f"hunter-{number:04d}" for number in range(MOST_SECRETS - 100)]
    invocation = catalog.parse(_argv(words, write(secrets)))
    assert set(secrets) <= set(invocation.secrets)
    assert "hunter-" not in repr(invocation)


@pytest.mark.parametrize("where", TEACHES)
@pytest.mark.parametrize(
    "secrets",
    [
        [f"hunter-{number:05d}" for number in range(MOST_SECRETS + 1)],
        ["h" * (MOST_CHARACTERS + 1)],
        [f"{number:02d}" + "h" * (MOST_CHARACTERS // 10) for number in range(11)],
    ],
    ids=["many", "long", "many long ones"],
)
def test_more_secrets_than_can_be_masked_are_refused_with_the_name_of_the_argument(catalog, where, secrets):
    words, write, name = TEACHES[where]
    with pytest.raises(BadArgument) as refused:
        catalog.parse(_argv(words, write(secrets)))
    assert refused.value.argument == name
    assert "more secrets" in refused.value.message
    assert "hunter" not in refused.value.message
    assert "hhh" not in refused.value.message


def test_the_bound_holds_for_the_arguments_of_a_command_together(catalog):
    half = json.dumps({"password": "h" * (MOST_CHARACTERS // 2)})
    other = json.dumps({"password": "k" * (MOST_CHARACTERS // 2)})
    with pytest.raises(BadArgument, match="more secrets"):
        catalog.parse(["connections", "add", "c", "--conn-extra", half, "--conn-description", other])


@pytest.mark.parametrize(
    "value",
    [
        '{"password": "hunter22", "x": ' + "[" * 30_000 + "]" * 30_000 + "}",
        '{"password": "hunter22", "x": ' + "9" * 6000 + "}",
        '{"x": ' * 3000 + '{"password": "hunter22"}' + "}" * 3000,
    ],
    ids=["deep", "number", "deep around it"],
)
def test_json_that_cannot_be_looked_through_is_masked_as_a_whole_or_refused(catalog, value):
    shown = _shown_of(catalog, value)
    assert "hostname" in shown
    assert "hunter22" not in shown


def _shown_of(catalog, value: str) -> str:
    """Return all that a client sees of an argument: the command line as it is kept, or why it is refused."""
    try:
        return " ".join(catalog.parse(["jobs", "check", f"--hostname={value}"]).masked)
    except BadArgument as refused:
        return f"{refused.argument}: {refused.message}"


def test_a_secret_in_a_text_within_the_json_is_masked_too(catalog):
    given = json.dumps({"outer": json.dumps({"password": "hunter22", "colour": "red"})})
    invocation = catalog.parse(["dags", "trigger", "a", f"--conf={given}"])
    assert "hunter22" not in " ".join(invocation.masked)
    assert "red" in " ".join(invocation.masked)
    assert "hunter22" in invocation.secrets


def test_the_time_to_learn_grows_with_the_length_of_a_secret_and_not_with_its_square(catalog):
    def seconds(length: int) -> float:
        argv = ["jobs", "check", "--hostname=" + json.dumps({"password": "x" * length})]
        began = time.thread_time()
        catalog.parse(argv)
        return time.thread_time() - began

    short = min(seconds(25_000) for _ in range(5))
    assert min(seconds(250_000) for _ in range(5)) < 40 * short
