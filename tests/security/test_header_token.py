from __future__ import annotations

import pytest

from airflow_rest_api.security.header_token import HeaderToken

NAME = "rest_api_plugin_http_token"


def carried(*headers: tuple[str, str], name: str = NAME, expected: str = "s3cret") -> bool:
    token = HeaderToken(name, expected)
    return token.is_carried([(name.encode(), value.encode()) for name, value in headers])


def test_without_a_configured_token_none_is_asked_for_and_none_is_right():
    assert not HeaderToken(NAME, "").asked_for
    assert not carried((NAME, ""), expected="")
    assert not carried(expected="")


def test_the_token_must_be_right_to_the_letter():
    assert carried((NAME, "s3cret"))
    for wrong in ("S3CRET", "", "s3cre", "s3crets", "s3cret,s3cret"):
        assert not carried((NAME, wrong))
    assert not carried()


@pytest.mark.parametrize(
    "name", ["rest-api-plugin-http-token", "REST_API_PLUGIN_HTTP_TOKEN", "Rest-Api_Plugin-Http_Token"]
)
def test_case_hyphens_and_underscores_are_the_same_in_the_name_of_the_header(name: str):
    assert carried((name, "s3cret"))
    assert carried((NAME, "s3cret"), name=name)


def test_another_header_is_not_asked():
    assert not carried((NAME, "s3cret"), name="X-My-Token")
    assert not carried(("x" + NAME, "s3cret"), ("authorization", "s3cret"))


@pytest.mark.parametrize("other", [NAME, NAME.upper(), NAME.replace("_", "-")])
def test_a_header_that_comes_twice_must_be_right_twice(other: str):
    assert carried((NAME, "s3cret"), (other, "s3cret"))
    for wrong in ("wrong", ""):
        assert not carried((NAME, "s3cret"), (other, wrong))
        assert not carried((other, wrong), (NAME, "s3cret"))


def test_a_token_with_any_characters_is_compared():
    for given in ("ü".encode(), "ü".encode("latin-1")):
        assert HeaderToken(NAME, "ü").is_carried([(NAME.encode(), given)])
    assert not carried((NAME, "u"), expected="ü")
    assert carried((NAME, "€"), expected="€")


def test_the_token_is_not_in_a_log():
    assert "s3cret" not in repr(HeaderToken(NAME, "s3cret"))
