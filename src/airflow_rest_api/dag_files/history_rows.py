"""What the history does to its tables, in a transaction of its caller's."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, func, insert, select

from airflow_rest_api.dag_files.tables import CONTENT, DAG, DEPLOYMENT, FILE, bundle_key, file_key
from airflow_rest_api.dag_files.versions import Deployment, NewVersion, Version
from airflow_rest_api.errors import ChangedMeanwhile
from airflow_rest_api.storage.schema import PART, storable

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

WRITING, LIVE = "writing", "live"
"""The states of a deployment."""

TOGETHER = 200
"""Keys in one query."""
LONGEST_DAG_ID = 250
"""Characters; Airflow takes no longer one."""
BATCH = 4 * 2**20
"""Bytes of content in one transaction, roughly."""


def batches(versions: Iterable[NewVersion]) -> Iterator[dict[str, Path]]:
    """Yield the contents by their hash, a few at a time."""
    batch: dict[str, Path] = {}
    size = 0
    for new in versions:
        if new.content is None or new.sha256 is None:
            continue
        batch[new.sha256] = new.content
        size += new.size or 0
        if size > BATCH or len(batch) >= TOGETHER:
            yield batch
            batch, size = {}, 0
    if batch:
        yield batch


def keep(connection: Connection, bundle: str, contents: Mapping[str, Path]) -> None:
    key = bundle_key(bundle)
    query = select(CONTENT.c.sha256).where(
        CONTENT.c.bundle_key == key, CONTENT.c.sha256.in_(list(contents)), CONTENT.c.part == 0
    )
    there = set(connection.execute(query).scalars())
    for sha256, path in contents.items():
        if sha256 in there:
            continue
        for part, data in enumerate(_packed(path, sha256)):
            connection.execute(insert(CONTENT).values(bundle_key=key, sha256=sha256, part=part, data=data))


def _packed(path: Path, sha256: str) -> Iterator[bytes]:
    """Yield the parts of a file's compressed content; what did not come through us can be of any size."""
    digest, packer, packed = hashlib.sha256(), zlib.compressobj(), bytearray()
    with path.open("rb") as file:
        while chunk := file.read(PART):
            digest.update(chunk)
            packed += packer.compress(chunk)
            while len(packed) > PART:
                yield bytes(packed[:PART])
                del packed[:PART]
    if digest.hexdigest() != sha256:
        # Saved by somebody in between: a version must be what its name says.
        raise ChangedMeanwhile(path.name)
    packed += packer.flush()
    for start in range(0, len(packed), PART):
        yield bytes(packed[start : start + PART])


def newest_numbers(connection: Connection, keys: Sequence[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for some in portions(keys):
        query = select(FILE.c.key, func.max(FILE.c.version)).where(FILE.c.key.in_(some)).group_by(FILE.c.key)
        found.update((key, number) for key, number in connection.execute(query))
    return found


def forget(connection: Connection, identifier: str) -> None:
    """Remove a deployment that is not live, with what only it used."""
    query = select(DEPLOYMENT.c.bundle).where(DEPLOYMENT.c.id == identifier, DEPLOYMENT.c.state == WRITING)
    bundle = connection.execute(query).scalar()
    if bundle is None:
        return
    used = select(FILE.c.sha256).where(FILE.c.deployment_id == identifier, FILE.c.sha256.is_not(None))
    hashes = set(connection.execute(used).scalars())
    drop(connection, identifier)
    _collect(connection, bundle, hashes)


def drop(connection: Connection, identifier: str) -> None:
    """Remove a deployment that is not live, and leave the contents that it used."""
    query = select(DEPLOYMENT.c.id).where(DEPLOYMENT.c.id == identifier, DEPLOYMENT.c.state == WRITING)
    if connection.execute(query).first() is not None:
        connection.execute(delete(FILE).where(FILE.c.deployment_id == identifier))
        connection.execute(delete(DEPLOYMENT).where(DEPLOYMENT.c.id == identifier))


def forget_left(connection: Connection, bundle: str, identifier: str, before: datetime) -> None:
    """
    Remove deployments that never came to be and whose process was killed before it left another trace.

    :param identifier: one that is about to begin, and may have begun before
    """
    query = select(DEPLOYMENT.c.id).where(
        DEPLOYMENT.c.state == WRITING,
        DEPLOYMENT.c.bundle == bundle,
        (DEPLOYMENT.c.at < before) | (DEPLOYMENT.c.id == identifier),
    )
    for identifier in list(connection.execute(query).scalars()):
        forget(connection, identifier)


def prune(connection: Connection, identifier: str, kept: int) -> None:
    """Remove the versions of the deployment's files beyond those that are kept."""
    files = connection.execute(
        select(FILE.c.key, FILE.c.bundle, func.max(FILE.c.version))
        .where(FILE.c.deployment_id == identifier)
        .group_by(FILE.c.key, FILE.c.bundle)
    ).all()
    for key, bundle, newest in files:
        if newest <= kept:
            continue
        old = (FILE.c.key == key) & (FILE.c.version <= newest - kept)
        hashes = set(connection.execute(select(FILE.c.sha256).where(old)).scalars())
        connection.execute(delete(FILE).where(old))
        _collect(connection, bundle, hashes)


def _collect(connection: Connection, bundle: str, hashes: Iterable[str | None]) -> None:
    """Remove contents that no version has any more."""
    for sha256 in hashes:
        used = select(FILE.c.key).where(FILE.c.sha256 == sha256, FILE.c.bundle == bundle).limit(1)
        if sha256 is not None and connection.execute(used).first() is None:
            connection.execute(
                delete(CONTENT).where(CONTENT.c.bundle_key == bundle_key(bundle), CONTENT.c.sha256 == sha256)
            )


def dags(bundle: str, files: Mapping[str, Collection[str]], at: datetime) -> list[dict[str, Any]]:
    """Return the rows of the DAGs that files define; of a DAG that is in two of them, the first counts."""
    rows: dict[str, dict[str, Any]] = {}
    for path, dag_ids in files.items():
        row = {"key": file_key(bundle, path), "bundle": bundle, "path": path, "at": at}
        for dag_id in dag_ids:
            # What is in the files said so itself: it may be anything.
            if storable(dag_id, LONGEST_DAG_ID) == dag_id:
                rows.setdefault(dag_id, {"dag_id": dag_id, **row})
    return list(rows.values())


def keep_dags(connection: Connection, keys: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
    """Put the rows of DAGs in place of those of some files, and of those of the same DAGs."""
    for some in portions(keys):
        connection.execute(delete(DAG).where(DAG.c.key.in_(some)))
    for some in portions([row["dag_id"] for row in rows]):
        connection.execute(delete(DAG).where(DAG.c.dag_id.in_(some)))
    for start in range(0, len(rows), TOGETHER):
        connection.execute(insert(DAG), rows[start : start + TOGETHER])


def live_versions() -> Any:
    """Return the query of versions that are live."""
    return (
        select(
            FILE.c.bundle,
            FILE.c.path,
            FILE.c.version,
            FILE.c.change,
            FILE.c.sha256,
            FILE.c.size,
            FILE.c.deployment_id,
            DEPLOYMENT.c.kind,
            DEPLOYMENT.c.user,
            DEPLOYMENT.c.at,
        )
        .join(DEPLOYMENT, DEPLOYMENT.c.id == FILE.c.deployment_id)
        .where(DEPLOYMENT.c.state == LIVE)
    )


def to_version(row: Any) -> Version:
    return Version(*row)


def to_deployment(row: Any) -> Deployment:
    return Deployment(row.id, row.kind, row.bundle, row.user, row.at, row.operation_id, row.count)


def portions(values: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(values), TOGETHER):
        yield values[start : start + TOGETHER]
