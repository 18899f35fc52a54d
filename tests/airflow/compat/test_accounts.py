"""What auth managers do not have in every version of Airflow is asked of those that have it."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from airflow_rest_api.airflow.compat import accounts


def test_a_user_stays_as_they_are_where_the_auth_manager_has_no_newer_ones() -> None:
    # As that of 3.0, and of 3.1.0 to 3.1.3.
    assert accounts.refreshed(SimpleNamespace(), "ada") == "ada"
    assert accounts.refreshed(SimpleNamespace(refresh_user=lambda *, user: None), "ada") == "ada"


def test_a_user_is_as_the_auth_manager_has_them_now() -> None:
    assert (
        accounts.refreshed(SimpleNamespace(refresh_user=lambda *, user: f"{user}, now"), "ada") == "ada, now"
    )


def test_a_user_whose_session_is_over_is_none_and_any_other_error_is_one() -> None:
    class AuthManagerRefreshTokenExpiredException(Exception):
        """Of the name that Airflow's has, which is not in every version."""

    def fail(*, user: object) -> None:
        raise error

    error: Exception = AuthManagerRefreshTokenExpiredException()
    assert accounts.refreshed(SimpleNamespace(refresh_user=fail), "ada") is None
    error = ConnectionError()
    with pytest.raises(ConnectionError):
        accounts.refreshed(SimpleNamespace(refresh_user=fail), "ada")
