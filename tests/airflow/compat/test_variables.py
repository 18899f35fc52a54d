"""What `variables import` makes of a file is the same on every version."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest
from airflow.cli.commands import variable_command
from airflow.models.variable import Variable

from airflow_rest_api.airflow.compat.variables import Exported, json_read_as
from tests.standin import airflow_database

pytestmark = pytest.mark.airflow


@pytest.mark.parametrize("value", [0, "", False, 5, "text"])
def test_what_airflow_has_exported_with_a_description_is_imported_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: Any
) -> None:
    # The tables are those of the models, and have no version.
    monkeypatch.setattr("airflow.utils.db.check_and_run_migrations", lambda: None)
    airflow_database()
    file = tmp_path / "variables.json"
    file.write_text(json.dumps({"exported": {"value": value, "description": "what it is for"}}))
    with json_read_as(lambda read: {key: Exported(found) for key, found in read.items()}):
        variable_command.variables_import(Namespace(file=str(file), action_on_existing_key="overwrite"))
    assert Variable.get("exported", deserialize_json=not isinstance(value, str)) == value


def test_nothing_else_of_it_is_changed() -> None:
    one = Exported({"value": 0, "description": ""})
    assert one["value"] == 0
    assert (one.get("description"), one.get("value"), one.get("other", 1)) == ("", True, 1)
    assert Exported({}).get("value") is None
