"""Translations with the commands of the installed Airflow."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from airflow_rest_api.commands.catalog import load_catalog
from airflow_rest_api.legacy.body import Body
from airflow_rest_api.legacy.request import Sent, understand
from airflow_rest_api.legacy.translate import translate
from airflow_rest_api.legacy.translate.plan import Answer, Context, Work

Ask = Callable[..., Work]


@pytest.fixture(scope="session")
def context() -> Context:
    return Context(load_catalog())


@pytest.fixture
def ask(context: Context) -> Ask:
    """Return the work that a query comes to."""

    def of(query: str, body: Body | None = None) -> Work:
        work = translate(understand(Sent.of(query, body)), context)
        assert not isinstance(work, Answer)
        return work

    return of
