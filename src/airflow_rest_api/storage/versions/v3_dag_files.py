"""Version 3: what was deployed, by whom, and the content of each version of a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import BigInteger, Column, Integer

from airflow_rest_api.storage.schema import Utc, ascii_text, binary, long_text, name_text

if TYPE_CHECKING:
    from airflow_rest_api.storage.steps import Steps

DEPLOYMENT = "rest_api_deployment"
FILE = "rest_api_dag_file"


def upgrade(steps: Steps) -> None:
    """Make the tables."""
    steps.table(
        DEPLOYMENT,
        Column("id", ascii_text(32), primary_key=True),
        Column("kind", ascii_text(10), nullable=False),
        Column("state", ascii_text(10), nullable=False),
        Column("bundle", name_text(255), nullable=False),
        Column("user", name_text(), nullable=False),
        Column("at", Utc, nullable=False),
        Column("operation_id", ascii_text(32)),
        Column("count", Integer, nullable=False),
    )
    steps.index(f"{DEPLOYMENT}_state", DEPLOYMENT, "state", "id")
    steps.table(
        FILE,
        Column("key", ascii_text(64), primary_key=True),
        Column("version", Integer, primary_key=True, autoincrement=False),
        Column("deployment_id", ascii_text(32), nullable=False),
        Column("bundle", name_text(255), nullable=False),
        Column("path", long_text(), nullable=False),
        Column("change", ascii_text(10), nullable=False),
        Column("sha256", ascii_text(64)),
        Column("size", BigInteger),
    )
    steps.index(f"{FILE}_deployment", FILE, "deployment_id")
    steps.index(f"{FILE}_sha256", FILE, "sha256")
    steps.table(
        "rest_api_dag_content",
        Column("bundle_key", ascii_text(64), primary_key=True),
        Column("sha256", ascii_text(64), primary_key=True),
        Column("part", Integer, primary_key=True, autoincrement=False),
        Column("data", binary(), nullable=False),
    )
