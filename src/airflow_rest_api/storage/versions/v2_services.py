"""Version 2: the components that were started, and what somebody wants of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Boolean, Column, Integer

from airflow_rest_api.storage.schema import Utc, ascii_text, long_text, name_text

if TYPE_CHECKING:
    from airflow_rest_api.storage.steps import Steps

SERVICE = "rest_api_service"


def upgrade(steps: Steps) -> None:
    """Make the table."""
    steps.table(
        SERVICE,
        Column("id", ascii_text(32), primary_key=True),
        Column("kind", ascii_text(32), nullable=False),
        Column("command", name_text(255), nullable=False),
        Column("argv", long_text(), nullable=False),
        Column("secret", Boolean, nullable=False),
        Column("user", name_text(), nullable=False),
        Column("host", name_text(255), nullable=False),
        Column("place", ascii_text(64), nullable=False),
        Column("hostname", name_text(), nullable=False),
        Column("folder", long_text(), nullable=False),
        Column("logs", long_text(), nullable=False),
        Column("stdout", name_text(255), nullable=False),
        Column("stderr", name_text(255), nullable=False),
        Column("pid_file", name_text(255)),
        Column("created_at", Utc, nullable=False),
        Column("identity", ascii_text(64)),
        Column("claim", ascii_text(64)),
        Column("ready", long_text(), nullable=False),
        Column("state", ascii_text(16), nullable=False),
        Column("wish", ascii_text(16)),
        Column("wished_by", name_text()),
        Column("pid", Integer),
        Column("pid_start", ascii_text(64)),
        Column("keeper", Integer),
        Column("keeper_start", ascii_text(64)),
        Column("restart", ascii_text(16), nullable=False),
        Column("restarts", Integer, nullable=False),
        Column("exit_code", Integer),
        Column("message", long_text()),
        Column("started_at", Utc),
        Column("ended_at", Utc),
        Column("seen_at", Utc),
        Column("operation", ascii_text(32)),
        Column("version", Integer, nullable=False),
    )
    steps.index(f"{SERVICE}_claim", SERVICE, "claim", unique=True)
    steps.index(f"{SERVICE}_host", SERVICE, "host", "state")
