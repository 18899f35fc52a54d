from __future__ import annotations

import pytest

from airflow_rest_api.commands.catalog import load_catalog
from airflow_rest_api.commands.everyday import WORDS, everyday
from tests.standin import serving


def meant(word: str) -> set[str]:
    return {name for name, one in load_catalog().commands.items() if word in everyday(one)}


@pytest.mark.parametrize(
    ("word", "names"),
    [
        ("rerun", {"dags clear", "tasks clear"}),
        ("retry", {"tasks clear"}),
        ("kill", {"celery stop", "celery shutdown-worker"}),
        ("clean", {"tasks clear", "permissions-cleanup", "db drop-archived"}),
        ("purge", {"db clean", "db drop-archived"}),
        ("resume", {"dags unpause"}),
        ("disable", {"dags pause"}),
        ("backup", {"connections export", "variables export", "pools export"}),
        ("restore", {"connections import", "variables import"}),
        ("status", {"jobs check", "db check", "dags state", "celery list-workers"}),
        ("upgrade", {"db migrate"}),
        ("failed", {"dags list-import-errors"}),
    ],
)
def test_an_everyday_word_leads_to_what_airflow_calls_otherwise(word: str, names: set[str]):
    assert names <= meant(word)
    with serving() as (client, _):
        found = client.get("/v2/commands", params={"q": word.upper()}).json()["commands"]
    assert names <= {one["name"] for one in found}


def test_every_word_leads_to_some_command_and_means_words_of_names():
    parts = {
        part for one in load_catalog().commands.values() for word in one.path for part in word.split("-")
    }
    for word, targets in WORDS.items():
        assert word == word.lower()
        # Those of providers that are not installed here are known as well.
        assert set(targets) - parts <= {"kubernetes"}, word


def test_what_is_in_the_name_already_is_not_told_twice():
    catalog = load_catalog()
    assert "clean" not in everyday(catalog.get("db clean"))
    assert everyday(catalog.get("version")) == []
