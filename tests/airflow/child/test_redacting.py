from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from airflow_rest_api.airflow.child import redacting
from tests.airflow.variables import airflow_in
from tests.databases import KINDS

CONF = json.dumps({"host": "db", "password": "hunter22", "more": [{"api_key": "abcdef"}, 1, None]})
PLAIN = '{"a" :1,\n "b": "two"}'


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("conf", CONF),
        ("db_password", CONF),
        ("db_password", "hunter22"),
        ("db_password", '["hunter22", 5]'),
        ("conf", "hunter22"),
        ("conf", json.dumps({"extra": {"deep": {"deeper": {"d": {"e": {"f": {"token": "hunter22"}}}}}}})),
        ("conf", "null"),
        ("conf", "[]"),
        ("conf", '{"password": '),
        ("conf", ""),
    ],
)
def test_a_value_is_shown_as_by_airflows_own_api(key: str, value: str):
    from airflow.api_fastapi.core_api.datamodels.variables import VariableResponse

    fields: dict[str, Any] = {"description": None, "is_encrypted": True, "team_name": None}
    theirs = VariableResponse(key=key, value=value, **fields).val
    assert redacting.as_shown(value, {key}) == theirs


def test_a_value_in_which_nothing_is_hidden_is_shown_as_it_is():
    assert redacting.as_shown(PLAIN, {"conf"}) == PLAIN
    assert redacting.as_shown("Infinity", {"conf"}) == "Infinity"


def test_a_value_is_hidden_where_one_of_its_keys_hides_it():
    assert redacting.as_shown("hunter22", ["a", "db_password"]) == "***"
    assert redacting.as_shown("hunter22", ["db_password", "a"]) == "***"


def test_what_cannot_be_looked_into_is_not_shown():
    assert redacting.as_shown("[" * 100_000 + "]" * 100_000, {"conf"}) == "***"


@pytest.fixture
def _unchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.models.variable import Variable

    read: Any = Variable.get_variable_from_secrets
    monkeypatch.setattr(Variable, "get_variable_from_secrets", staticmethod(read))


@pytest.mark.airflow
@pytest.mark.usefixtures("_unchanged")
@pytest.mark.parametrize("kind", KINDS)
def test_the_key_of_the_row_counts_and_not_the_spelling_of_the_request(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    from airflow.cli.cli_parser import get_parser

    def got(*words: str) -> str:
        arguments = get_parser().parse_args(["variables", "get", "--default", "none", *words])
        arguments.func(arguments)
        return capsys.readouterr().out.strip()

    kept = logging.root.level
    with monkeypatch.context() as patch, airflow_in(kind, tmp_path, patch, db_password="hunter22", conf=CONF):
        assert got("db_password") == "hunter22"
        other = "hunter22" if kind == "mariadb" else "none"
        spellings = ("DB_PASSWORD", "db_pässword", "db_password ", "db_pÁsswORd  ")
        assert [got("--", each) for each in spellings] == [other] * len(spellings)

        redacting.variables_as_shown()
        shown = "***" if kind == "mariadb" else "none"
        assert [got("--", each) for each in ("db_password", *spellings)] == ["***", *[shown] * len(spellings)]
        assert json.loads(got("conf")) == {
            "host": "db",
            "password": "***",
            "more": [{"api_key": "***"}, 1, None],
        }
        assert "hunter22" not in got("--json", "conf")
    assert logging.root.level == kept


@pytest.mark.airflow
def test_a_masker_learns_what_is_hidden_inside_of_a_text():
    from airflow._shared.secrets_masker import SecretsMasker

    class Masker(SecretsMasker):
        pass

    Masker.add_mask = redacting._learning_within(SecretsMasker.add_mask)  # type: ignore[method-assign]
    masker = Masker()
    masker.sensitive_variables_fields = ["password"]
    masker.add_mask(CONF, "conf")
    masker.add_mask("[[" * 50_000, "conf")
    assert masker.patterns == {"hunter22"}
