from __future__ import annotations

import asyncio

import pytest

from airflow_rest_api.airflow.auth import Airflow3
from airflow_rest_api.airflow.tokens import unverified
from airflow_rest_api.errors import InvalidToken
from airflow_rest_api.security.caller import Caller
from tests.standin import auth_manager, token


def caller(text: str) -> Caller:
    auth_manager()
    host = Airflow3()
    return Caller(host, asyncio.run(host.user(text)), text)


def test_a_caller_is_known_until_the_token_ends():
    text = token("admin", seconds=100)

    assert caller(text).expires_at() == unverified(text)["exp"]


def test_a_caller_without_a_token_is_known_without_end():
    known = caller(token("viewer"))

    assert Caller(known._host, known._user).expires_at() is None


def test_a_caller_can_be_looked_up_again_with_what_they_may_by_then():
    known = caller(token("viewer"))
    known.address = "192.0.2.1"
    again = asyncio.run(known.again())

    assert again is not known
    assert (again.name, again.address) == (known.name, known.address)


def test_a_caller_whose_token_has_ended_is_not_found_again():
    known = caller(token("viewer"))
    late = Caller(known._host, known._user, token("viewer", seconds=-100))

    with pytest.raises(InvalidToken):
        asyncio.run(late.again())
