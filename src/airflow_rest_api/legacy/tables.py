"""The table of the use of the endpoints, as the newest migration leaves it."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Table

from airflow_rest_api.storage.schema import TABLE_OPTIONS, Utc, ascii_text, metadata, name_text

LONGEST_ADDRESS = 64
LONGEST_ARGUMENT = 100

USAGE = Table(
    "rest_api_legacy_usage",
    metadata,
    Column("key", ascii_text(64), primary_key=True),  # hash of endpoint, user, address and argument
    Column("caller", ascii_text(64), nullable=False),  # hash of endpoint, user and address
    Column("endpoint", ascii_text(32), nullable=False),
    Column("user", name_text(), nullable=False),
    Column("address", name_text(LONGEST_ADDRESS)),
    Column("argument", name_text(LONGEST_ARGUMENT)),
    Column("known", Boolean, nullable=False),
    Column("calls", BigInteger, nullable=False),
    Column("first_at", Utc, nullable=False),
    Column("last_at", Utc, nullable=False),
    **TABLE_OPTIONS,
)
"""
One row for each caller of an endpoint, without an argument: all their calls. Beside it, one for each argument
that had no effect: the calls with it, which are among those of the first.
"""

Index(f"{USAGE.name}_caller", USAGE.c.caller)
Index(f"{USAGE.name}_endpoint", USAGE.c.endpoint, USAGE.c.user)
