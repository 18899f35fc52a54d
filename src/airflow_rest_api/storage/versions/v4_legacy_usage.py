"""Version 4: by which 1.x endpoint an operation was asked for, and how often each endpoint is called."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import BigInteger, Boolean, Column

from airflow_rest_api.storage.schema import Utc, ascii_text, name_text

if TYPE_CHECKING:
    from airflow_rest_api.storage.steps import Steps

OPERATION = "rest_api_operation"
USAGE = "rest_api_legacy_usage"


def upgrade(steps: Steps) -> None:
    """Add the column, and make the table."""
    steps.column(OPERATION, Column("endpoint", ascii_text(32)))
    steps.index(f"{OPERATION}_endpoint", OPERATION, "endpoint", "id")
    steps.table(
        USAGE,
        Column("key", ascii_text(64), primary_key=True),
        Column("caller", ascii_text(64), nullable=False),
        Column("endpoint", ascii_text(32), nullable=False),
        Column("user", name_text(), nullable=False),
        Column("address", name_text(64)),
        Column("argument", name_text(100)),
        Column("known", Boolean, nullable=False),
        Column("calls", BigInteger, nullable=False),
        Column("first_at", Utc, nullable=False),
        Column("last_at", Utc, nullable=False),
    )
    steps.index(f"{USAGE}_caller", USAGE, "caller")
    steps.index(f"{USAGE}_endpoint", USAGE, "endpoint", "user")
