"""One list of what is secret by its name: the access log, the 1.x answers, command lines and output agree."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable
from urllib.parse import urlencode

import pytest

from airflow_rest_api.commands.catalog import Catalog
from airflow_rest_api.legacy.answer import mask_secrets, masked
from airflow_rest_api.legacy.endpoints import ENDPOINTS
from airflow_rest_api.secret_names import MASK, is_secret, maskers, value_is_secret
from airflow_rest_api.security.audit import quiet
from airflow_rest_api.web.page import FOLDER

SECRET = "hunter22-hunter22"

SECRETS = (
    "access_key",
    "access_token",
    "api-key",
    "apikey",
    "authorization",
    "Authorization",
    "aws_secret_access_key",
    "basic_auth",
    "broker_api",
    "conn-extra",
    "conn_extra",
    "conn_json",
    "conn_password",
    "conn_uri",
    "credential",
    "credentials",
    "db_passwd",
    "fernet_key",
    "jwt",
    "keyfile_dict",
    "my password",
    "passphrase",
    "PASSWORD",
    "private_key",
    "service_account",
    "token",
)
ARGUMENTS = ("basic_auth", "broker_api", "conn-extra", "conn_extra", "conn_json", "conn_uri")
"""Those that are arguments, of which the page is told that they are secrets."""
HARMLESS = (
    "bundle_name",
    "conf",
    "conn_id",
    "dag_id",
    "host",
    "key_of",
    "pool",
    "section",
    "slots",
    "username",
)


def _log(name: str, value: str) -> str:
    return quiet(urlencode({"api": "x", name: value}).encode()).decode()


def _envelope(name: str, value: str) -> str:
    return json.dumps(masked({"api": "x", name: value}))


def _parser_text(name: str, value: str) -> str:
    return mask_secrets(f"invalid: {value}", {"api": "", name: value})


def _arguments(name: str, value: str) -> str:
    return " ".join(_catalog(name).parse(["do", f"--{name}={value}"]).masked)


def _output(name: str, value: str) -> str:
    text = value
    for secret in _catalog(name).parse(["do", f"--{name}={value}"]).secrets:
        text = text.replace(secret, MASK)
    return text


def _catalog(name: str) -> Catalog:
    parser = argparse.ArgumentParser()
    command = parser.add_subparsers().add_parser("do", help="Do it")
    command.add_argument(f"--{name}")
    return Catalog(parser)


PLACES: dict[str, Callable[[str, str], str]] = {
    "log": _log,
    "envelope": _envelope,
    "arguments": _arguments,
    "output": _output,
}


@pytest.mark.parametrize("name", SECRETS)
def test_what_is_secret_is_so_for_log_answer_arguments_and_output(name: str) -> None:
    assert is_secret(name)
    for place in (*PLACES.values(), _parser_text):
        assert SECRET not in place(name, SECRET), place


@pytest.mark.parametrize("name", SECRETS)
def test_what_is_secret_is_so_as_a_key_in_json(name: str) -> None:
    for place in PLACES.values():
        assert SECRET not in place("conf", json.dumps({"a": [{name: SECRET}]})), place


@pytest.mark.parametrize("name", SECRETS)
def test_what_is_secret_is_so_as_the_key_of_a_variable(name: str) -> None:
    assert value_is_secret(name)
    assert SECRET not in quiet(urlencode({"key": name, "value": SECRET}).encode()).decode()
    assert SECRET not in json.dumps(masked({"key": name, "value": SECRET}))


@pytest.mark.parametrize("name", HARMLESS)
def test_what_is_not_secret_is_masked_nowhere(name: str) -> None:
    assert not is_secret(name)
    assert not value_is_secret(name)
    for place in (*PLACES.values(), _parser_text):
        assert SECRET in place(name, SECRET), place


def test_what_airflow_hides_is_on_the_list() -> None:
    fields = maskers()[0].DEFAULT_SENSITIVE_FIELDS
    assert len(fields) > 5
    assert all(map(is_secret, fields))


def test_the_1x_arguments_that_are_described_as_secret_are_those_that_are_masked() -> None:
    for endpoint in ENDPOINTS:
        for argument in endpoint.arguments:
            assert argument.secret is is_secret(argument.name), argument.name


def test_the_users_of_an_address_are_masked_and_not_its_host() -> None:
    for name in ("conn_uri", "broker_api"):
        assert masked({name: "http://me:hun/ter@22@host/x"}) == {name: "http://***@host/x"}
        assert masked({name: SECRET}) == {name: MASK}


def test_an_argument_that_was_left_empty_masks_nothing_else() -> None:
    assert mask_secrets("invalid: x", {"conn_uri": "", "token": ""}) == "invalid: x"


def test_what_has_a_secret_by_its_name_in_it_stays_out_of_the_address_of_the_page():
    module = (FOLDER / "lib" / "arguments.js").read_text()
    found = re.search(r"const SECRET =\s*/(.+)/i;", module)
    assert found
    words = re.compile(found[1], re.IGNORECASE)

    of_airflow = [name for module in maskers()[:1] for name in module.DEFAULT_SENSITIVE_FIELDS]
    names = [name for name in (*SECRETS, *of_airflow) if name not in ARGUMENTS]
    shown = [name for name in names if not words.search(json.dumps({f"my_{name}": "hunter22"}))]
    assert shown == []
    assert [name for name in HARMLESS if words.search(json.dumps({name: "x"}))] == []
