from __future__ import annotations

from airflow_rest_api.commands.needs import POWERS
from airflow_rest_api.security.access import Switches
from tools import permission_docs


def test_the_page_of_the_permissions_is_current():
    page = permission_docs.PAGE.read_text(encoding="utf-8")
    assert page == permission_docs.with_parts(page), "run: python -m tools.permission_docs"


def test_the_page_names_every_power_and_every_option():
    page = permission_docs.PAGE.read_text(encoding="utf-8")
    assert all(f"| `REST API {power}` |" in page for power in POWERS)
    options = Switches.__init__.__kwdefaults__.keys() - {"aliases"}
    for option in options:
        assert option in page
