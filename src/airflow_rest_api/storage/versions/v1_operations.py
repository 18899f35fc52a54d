"""Version 1: operations, their output and files, cancel requests, and the API servers that run them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import BigInteger, Boolean, Column, Integer, SmallInteger, String

from airflow_rest_api.storage.schema import Utc, ascii_text, binary, long_text, name_text

if TYPE_CHECKING:
    from airflow_rest_api.storage.steps import Steps

OPERATION = "rest_api_operation"


def upgrade(steps: Steps) -> None:
    """Make the tables."""
    steps.table(
        OPERATION,
        Column("id", ascii_text(32), primary_key=True),
        Column("command", name_text(255), nullable=False),
        Column("effect", ascii_text(20), nullable=False),
        Column("user", name_text(), nullable=False),
        Column("host", String(255), nullable=False),
        Column("server", ascii_text(32), nullable=False),
        Column("state", ascii_text(10), nullable=False),
        Column("dag_id", name_text(255)),
        Column("exit_code", Integer),
        Column("message", long_text()),
        Column("truncated", Boolean, nullable=False),
        Column("created_at", Utc, nullable=False),
        Column("started_at", Utc),
        Column("finished_at", Utc),
        Column("details", long_text(), nullable=False),
        Column("result", binary()),
        Column("output", binary()),
        Column("key_hash", ascii_text(64)),
        Column("key_fingerprint", ascii_text(64)),
    )
    for column in ("command", "effect", "user", "state", "dag_id"):
        steps.index(f"{OPERATION}_{column}", OPERATION, column, "id")
    steps.index(f"{OPERATION}_finished", OPERATION, "finished_at", "id")
    steps.index(f"{OPERATION}_key", OPERATION, "key_hash", unique=True)
    steps.table(
        "rest_api_output",
        Column("operation_id", ascii_text(32), primary_key=True),
        Column("seq", BigInteger, primary_key=True, autoincrement=False),
        Column("stream", SmallInteger, nullable=False),
        Column("byte_offset", BigInteger, nullable=False),
        Column("at", Utc, nullable=False),
        Column("data", binary(), nullable=False),
    )
    steps.table(
        "rest_api_file",
        Column("operation_id", ascii_text(32), primary_key=True),
        Column("name", name_text(255), primary_key=True),
        Column("part", Integer, primary_key=True, autoincrement=False),
        Column("data", binary(), nullable=False),
    )
    steps.table(
        "rest_api_cancel",
        Column("operation_id", ascii_text(32), primary_key=True),
        Column("server", ascii_text(32), nullable=False),
        Column("reason", long_text(), nullable=False),
    )
    steps.index("rest_api_cancel_server", "rest_api_cancel", "server")
    steps.table(
        "rest_api_server",
        Column("id", ascii_text(32), primary_key=True),
        Column("host", String(255), nullable=False),
        Column("pid", Integer, nullable=False),
        Column("started_at", Utc, nullable=False),
        Column("beat", BigInteger, nullable=False),
    )
