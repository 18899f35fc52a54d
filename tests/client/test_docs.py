from __future__ import annotations

import re
from pathlib import Path

from airflow_rest_client.cli import OWN, exits
from airflow_rest_client.cli.deploy import _parser as deploy_parser
from airflow_rest_client.instances import VARIABLES

DOCS = (Path(__file__).resolve().parents[2] / "docs" / "client.md").read_text()


def test_every_exit_code_is_in_the_documentation_with_its_meaning():
    rows = dict(re.findall(r"^\| (\d+) \| (.+) \|$", DOCS, re.MULTILINE))
    documented = {int(code): meaning for code, meaning in rows.items()}
    assert {code: meaning for code, meaning in documented.items() if code != exits.USAGE} == exits.MEANINGS


def test_every_variable_is_in_the_documentation():
    assert [name for name in VARIABLES if f"`{name}`" not in DOCS] == []


def test_every_word_of_its_own_is_in_the_documentation():
    assert [word for word in OWN if not re.search(rf"^\| `{word}\b", DOCS, re.MULTILINE)] == []


def test_every_option_of_a_deployment_is_in_the_documentation():
    flags = [
        flag for action in deploy_parser()._actions for flag in action.option_strings if flag.startswith("--")
    ]
    assert [flag for flag in flags if flag not in DOCS and flag not in ("--help", "--root")] == []
