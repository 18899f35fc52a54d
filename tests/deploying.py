"""An app with a real engine on an Airflow database without an Airflow: for deploying DAG files."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock
from urllib.parse import urlencode

from starlette.testclient import TestClient

from airflow_rest_api.app import create_app
from airflow_rest_api.settings import Settings
from tests.standin import airflow_database, own_database, token

BUNDLE = "dags-folder"
BUNDLES = "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST"
LOCAL = "airflow.dag_processing.bundles.local.LocalDagBundle"

DAG = """
from airflow.sdk import DAG
from airflow.providers.standard.operators.empty import EmptyOperator

with DAG({0!r}, schedule={1!r}, tags=["one", "two"]):
    EmptyOperator(task_id="first") >> EmptyOperator(task_id="second")
"""


def dag(name: str, schedule: str | None = None) -> bytes:
    """Return a file with one DAG."""
    return DAG.format(name, schedule).encode()


def about(path: str, what: str = "", **query: Any) -> str:
    """Return the address of a file of a bundle, with what is asked of it: `content`, `history`, …"""
    return f"/v2/dag-files/file{what and '/'}{what}?{urlencode({'path': path, **query})}"


@dataclass
class Site:
    """A server, and the bundle it deploys into."""

    client: TestClient
    root: Path

    def deploy(self, files: dict[str, bytes] | None = None, *, to: str = "", **fields: Any) -> Any:
        """Deploy files, or an archive given as `archive=(name, content)`; return the response."""
        parts: list[tuple[str, Any]] = [("file", (name, content)) for name, content in (files or {}).items()]
        if "archive" in fields:
            parts.append(("archive", fields.pop("archive")))
        headers = fields.pop("headers", {"Prefer": "wait=200"})
        values = {
            name: str(value).lower() if isinstance(value, bool) else value for name, value in fields.items()
        }
        return self.client.post(f"/v2/dag-files{to}", files=parts, data=values, headers=headers)

    def report(self, *args: Any, **fields: Any) -> Any:
        """Deploy or check, and return the report: a check with findings has failed, all else went well."""
        answer = self.deploy(*args, **fields)
        assert answer.status_code == 200, answer.text
        body = answer.json()
        report = body["result"]
        if report["dry_run"] and (report["errors"] or report["duplicates"]):
            first = (report["errors"] or report["duplicates"])[0]
            assert (body["state"], body["exit_code"]) == ("failed", 1), answer.text
            assert body["message"].startswith(first["file"])
        else:
            assert (body["state"], body["exit_code"], body["message"]) == ("succeeded", 0, None), answer.text
        return report

    def state(self) -> dict[str, bytes]:
        """Return what lies in the bundle, without our own folder and what Python leaves behind."""
        return {
            str(path.relative_to(self.root)): path.read_bytes()
            for path in self.root.rglob("*")
            if path.is_file() and not {".airflow_rest_api", "__pycache__"} & set(path.parts)
        }


@contextmanager
def deploying(
    folder: Path,
    *,
    user: str = "admin",
    host: Any = None,
    more: dict[str, Any] | None = None,
    **settings: Any,
) -> Iterator[Site]:
    """
    Serve an app whose bundle is a folder of its own.

    :param more: further bundles: what they are made with, by name
    """
    root = folder / "dags"
    root.mkdir(exist_ok=True)
    bundles = {BUNDLE: {"classpath": LOCAL, "kwargs": {"path": str(root)}}, **(more or {})}
    config = json.dumps([{"name": name, **words} for name, words in bundles.items()])
    with mock.patch.dict(os.environ, {BUNDLES: config}):
        airflow_database()
        settings.setdefault("operations_database", own_database())
        app = create_app(Settings(**settings), host=host)
        client = TestClient(app, raise_server_exceptions=False, follow_redirects=False)
        client.headers["Authorization"] = f"Bearer {token(user)}"
        with client:
            yield Site(client, root)
