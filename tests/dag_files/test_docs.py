"""The page about DAG files knows all that there is."""

from __future__ import annotations

import re
from pathlib import Path

from airflow_rest_api.api import dag_file, dag_files, dag_refresh
from airflow_rest_api.api.dag_files import SCHEMA
from airflow_rest_api.dag_files.upload import LEFT_OUT

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "dag-files.md").read_text(encoding="utf-8")


def test_the_page_names_every_route() -> None:
    routes = (*dag_files.router.routes, *dag_file.router.routes, *dag_refresh.router.routes)
    for route in routes:
        path = str(getattr(route, "path", "")).replace("{identifier}", "{id}")
        if path.startswith("/v2/dag-files"):
            assert path.removeprefix("/v2/dag-files") in PAGE, path


def test_the_page_names_every_field_of_the_form() -> None:
    for name in SCHEMA["properties"]:
        assert f"`{name}`" in PAGE, name


def test_the_page_names_every_reason() -> None:
    """Those with which a deployment can be refused; what is asked for and is not there needs no words."""
    sources = [*(ROOT / "src/airflow_rest_api/dag_files").glob("*.py")]
    for source in sources:
        text = source.read_text(encoding="utf-8")
        for status, reason in re.findall(r'\b(4\d\d|5\d\d),\s*"([a-z_]+)"', text):
            if status not in ("404", "500"):
                assert f"`{reason}`" in PAGE, (source.name, reason)


def test_the_page_names_what_is_left_out() -> None:
    assert all(f"`{name}`" in PAGE for name in LEFT_OUT)


def test_the_page_names_every_option() -> None:
    settings = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    options = re.findall(r"^\| `(dag_\w+)`", settings, re.MULTILINE)
    assert len(options) >= 5
    assert all(option in PAGE for option in options)
