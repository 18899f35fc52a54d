"""The tables of deployments, as the newest migration leaves them."""

from __future__ import annotations

import hashlib

from sqlalchemy import BigInteger, Column, Index, Integer, Table

from airflow_rest_api.storage.schema import (
    TABLE_OPTIONS,
    Utc,
    ascii_text,
    binary,
    long_text,
    metadata,
    name_text,
)

DEPLOYMENT = Table(
    "rest_api_deployment",
    metadata,
    Column("id", ascii_text(32), primary_key=True),
    Column("kind", ascii_text(10), nullable=False),  # deploy, rollback, delete
    Column("state", ascii_text(10), nullable=False),  # writing, live
    Column("bundle", name_text(255), nullable=False),
    Column("user", name_text(), nullable=False),
    Column("at", Utc, nullable=False),
    Column("operation_id", ascii_text(32)),
    Column("count", Integer, nullable=False),
    **TABLE_OPTIONS,
)
"""One row for each change of a bundle through us. The id sorts by time."""

Index(f"{DEPLOYMENT.name}_state", DEPLOYMENT.c.state, DEPLOYMENT.c.id)

FILE = Table(
    "rest_api_dag_file",
    metadata,
    Column("key", ascii_text(64), primary_key=True),  # of bundle and path, which are too long for an index
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("deployment_id", ascii_text(32), nullable=False),
    Column("bundle", name_text(255), nullable=False),
    Column("path", long_text(), nullable=False),
    Column("change", ascii_text(10), nullable=False),  # added, changed, unchanged, deleted, outside
    Column("sha256", ascii_text(64)),
    Column("size", BigInteger),
    **TABLE_OPTIONS,
)
"""One row for each version of a file."""

Index(f"{FILE.name}_deployment", FILE.c.deployment_id)
Index(f"{FILE.name}_sha256", FILE.c.sha256)

CONTENT = Table(
    "rest_api_dag_content",
    metadata,
    Column("bundle_key", ascii_text(64), primary_key=True),
    Column("sha256", ascii_text(64), primary_key=True),
    Column("part", Integer, primary_key=True, autoincrement=False),
    Column("data", binary(), nullable=False),  # together compressed with zlib
    **TABLE_OPTIONS,
)
"""
The contents of a bundle's files, each once.

Once for each bundle: whoever has the lock of the bundle knows that nobody begins to use what he removes.
"""

DAG = Table(
    "rest_api_deployed_dag",
    metadata,
    Column("dag_id", name_text(255), primary_key=True),
    Column("key", ascii_text(64), nullable=False),  # of bundle and path
    Column("bundle", name_text(255), nullable=False),
    Column("path", long_text(), nullable=False),
    Column("at", Utc, nullable=False),
    **TABLE_OPTIONS,
)
"""The file that each DAG was deployed in last, as the check found it: before Airflow knows of it."""

Index(f"{DAG.name}_key", DAG.c.key)


def bundle_key(bundle: str) -> str:
    """Return what stands for a bundle in keys."""
    return hashlib.sha256(bundle.encode(errors="surrogatepass")).hexdigest()


def file_key(bundle: str, path: str) -> str:
    """Return what stands for a file of a bundle in keys."""
    return hashlib.sha256(f"{bundle}\0{path}".encode(errors="surrogatepass")).hexdigest()
