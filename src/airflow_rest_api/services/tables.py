"""The table of services, as the newest migration leaves it."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Index, Integer, Table

from airflow_rest_api.storage.schema import TABLE_OPTIONS, Utc, ascii_text, long_text, metadata, name_text

SERVICE = Table(
    "rest_api_service",
    metadata,
    Column("id", ascii_text(32), primary_key=True),
    Column("kind", ascii_text(32), nullable=False),
    Column("command", name_text(255), nullable=False),
    Column("argv", long_text(), nullable=False),  # JSON, secrets masked
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
    Column("ready", long_text(), nullable=False),  # JSON
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
    **TABLE_OPTIONS,
)
"""One row for each component that was started and is not forgotten; its columns are its fields."""

# Of rows without a claim there may be any number: NULL is like no other NULL.
Index(f"{SERVICE.name}_claim", SERVICE.c.claim, unique=True)
Index(f"{SERVICE.name}_host", SERVICE.c.host, SERVICE.c.state)
