"""Version 4: which DAGs the deployed files define, for any API server to know before Airflow does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Column

from airflow_rest_api.storage.schema import Utc, ascii_text, long_text, name_text

if TYPE_CHECKING:
    from airflow_rest_api.storage.steps import Steps

DAG = "rest_api_deployed_dag"


def upgrade(steps: Steps) -> None:
    """Make the table."""
    steps.table(
        DAG,
        Column("dag_id", name_text(255), primary_key=True),
        Column("key", ascii_text(64), nullable=False),
        Column("bundle", name_text(255), nullable=False),
        Column("path", long_text(), nullable=False),
        Column("at", Utc, nullable=False),
    )
    steps.index(f"{DAG}_key", DAG, "key")
