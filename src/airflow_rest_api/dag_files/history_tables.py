"""The tables of deployments, the records in them, and what is done to them in a transaction of the caller."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from sqlalchemy import BigInteger, Column, Index, Integer, Table, delete, func, insert, or_, select

from airflow_rest_api.errors import ChangedMeanwhile
from airflow_rest_api.plain_files import NO_FILE, open_file
from airflow_rest_api.storage.schema import (
    LONGEST_NAME,
    PART,
    TABLE_OPTIONS,
    Utc,
    ascii_text,
    binary,
    long_text,
    metadata,
    name_text,
    storable,
)

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

T = TypeVar("T")
Kind = Literal["deploy", "rollback", "delete"]

OUTSIDE = "outside"
"""The change of a version that did not come through us, and was found when one of ours replaced it."""


@dataclass(frozen=True)
class Version:
    """One version of a file: added, changed, unchanged, `OUTSIDE`, or deleted, and then without a hash."""

    bundle: str
    path: str
    version: int
    change: str
    sha256: str | None
    size: int | None
    deployment: str
    kind: str
    user: str
    at: datetime


@dataclass(frozen=True)
class Deployment:
    """One change of a bundle through us."""

    id: str
    kind: str
    bundle: str
    user: str
    at: datetime
    operation_id: str | None
    count: int


@dataclass(frozen=True)
class DeployedDag:
    """The file that a DAG was deployed in last, and when."""

    bundle: str
    path: str
    at: datetime


@dataclass(frozen=True)
class NewVersion:
    """A version to come; `content` is the file with its content, None where the file is deleted."""

    path: str
    change: str
    sha256: str | None = None
    size: int | None = None
    content: Path | None = None


def now() -> datetime:
    """Return the time as it is recorded."""
    return datetime.now(timezone.utc)


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

Once for each bundle: under the bundle's lock no other process begins to use what is removed.
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
    try:
        opened = open_file(path)
    except OSError as error:
        if error.errno in NO_FILE:
            # Another program took it away since it was looked at.
            raise ChangedMeanwhile(path.name) from None
        raise
    with opened as file:
        while chunk := file.read(PART):
            digest.update(chunk)
            packed += packer.compress(chunk)
            while len(packed) > PART:
                yield bytes(packed[:PART])
                del packed[:PART]
    if digest.hexdigest() != sha256:
        # Another program saved it in between: a version must be what its hash says.
        raise ChangedMeanwhile(path.name)
    packed += packer.flush()
    for start in range(0, len(packed), PART):
        yield bytes(packed[start : start + PART])


def forget(connection: Connection, identifier: str, *, contents: bool = True) -> None:
    """Remove a deployment that is not live, with the `contents` that only it used."""
    query = select(DEPLOYMENT.c.bundle).where(DEPLOYMENT.c.id == identifier, DEPLOYMENT.c.state == WRITING)
    bundle = connection.execute(query).scalar()
    if bundle is None:
        return
    used = select(FILE.c.sha256).where(FILE.c.deployment_id == identifier)
    hashes = set(connection.execute(used).scalars())
    connection.execute(delete(FILE).where(FILE.c.deployment_id == identifier))
    connection.execute(delete(DEPLOYMENT).where(DEPLOYMENT.c.id == identifier))
    if contents:
        _collect(connection, bundle, hashes)


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
    )
    for some in portions([row for row in files if row[2] > kept]):
        oldest = _oldest_kept(connection, [key for key, _, _ in some], kept)
        old = or_(*((FILE.c.key == key) & (FILE.c.version < version) for key, version in oldest.items()))
        hashes = set(connection.execute(select(FILE.c.sha256).where(old)).scalars())
        connection.execute(delete(FILE).where(old))
        # A deployment is into one bundle.
        _collect(connection, some[0][1], hashes)


def _oldest_kept(connection: Connection, keys: Collection[str], kept: int) -> dict[str, int]:
    """
    Return of each of some files the oldest version that is kept.

    Those of deployments that never came to be have numbers as well, and are none of them.
    """
    query = (
        select(FILE.c.key, FILE.c.version)
        .join(DEPLOYMENT, DEPLOYMENT.c.id == FILE.c.deployment_id)
        .where(FILE.c.key.in_(keys), DEPLOYMENT.c.state == LIVE)
        .order_by(FILE.c.key, FILE.c.version.desc())
    )
    found: dict[str, list[int]] = {}
    for key, version in connection.execute(query):
        found.setdefault(key, []).append(version)
    return {key: versions[:kept][-1] for key, versions in found.items()}


def _collect(connection: Connection, bundle: str, hashes: Iterable[str | None]) -> None:
    """Remove contents that no version has any more."""
    for some in portions([sha256 for sha256 in hashes if sha256 is not None]):
        used = select(FILE.c.sha256).where(FILE.c.sha256.in_(some), FILE.c.bundle == bundle).distinct()
        gone = set(some).difference(connection.execute(used).scalars())
        of_bundle = CONTENT.c.bundle_key == bundle_key(bundle)
        connection.execute(delete(CONTENT).where(of_bundle, CONTENT.c.sha256.in_(gone)))


def keep_dags(
    connection: Connection, bundle: str, files: Mapping[str, Collection[str]], at: datetime
) -> None:
    """
    Put the DAGs that files define in place of those that they did, and of the same DAGs of other files.

    :param files: the ids of DAGs, by path; of a DAG that is in two of them, the first counts
    """
    keys = {path: file_key(bundle, path) for path in files}
    rows: dict[str, dict[str, Any]] = {}
    for path, dag_ids in files.items():
        row = {"key": keys[path], "bundle": bundle, "path": path, "at": at}
        for dag_id in dag_ids:
            # The code of the files reported it: it may be anything. Blanks at the end MySQL does not see.
            if storable(dag_id.rstrip(" "), LONGEST_DAG_ID) == dag_id:
                rows.setdefault(dag_id, {"dag_id": dag_id, **row})
    for column, values in ((DAG.c.key, list(keys.values())), (DAG.c.dag_id, list(rows))):
        for some in portions(values):
            connection.execute(delete(DAG).where(column.in_(some)))
    for part in portions(list(rows.values())):
        connection.execute(insert(DAG), part)


def live_versions() -> Any:
    """Return the query of versions that are live; its columns are the fields of `Version`."""
    kept = (FILE.c.bundle, FILE.c.path, FILE.c.version, FILE.c.change, FILE.c.sha256, FILE.c.size)
    deployed = (FILE.c.deployment_id, DEPLOYMENT.c.kind, DEPLOYMENT.c.user, DEPLOYMENT.c.at)
    return (
        select(*kept, *deployed)
        .join(DEPLOYMENT, DEPLOYMENT.c.id == FILE.c.deployment_id)
        .where(DEPLOYMENT.c.state == LIVE)
    )


def live_deployments() -> Any:
    """Return the query of deployments that are live; its columns are the fields of `Deployment`."""
    return select(*(DEPLOYMENT.c[field.name] for field in fields(Deployment))).where(
        DEPLOYMENT.c.state == LIVE
    )


def add(connection: Connection, deployment: Deployment, versions: Sequence[NewVersion]) -> None:
    """Add a deployment that is being written, and the versions of its files under their next numbers."""
    row = {**asdict(deployment), "user": storable(deployment.user, LONGEST_NAME), "state": WRITING}
    connection.execute(insert(DEPLOYMENT).values(**row))
    keys = [file_key(deployment.bundle, new.path) for new in versions]
    numbers: dict[str, int] = {}
    for some in portions(keys):
        query = select(FILE.c.key, func.max(FILE.c.version)).where(FILE.c.key.in_(some)).group_by(FILE.c.key)
        numbers.update((key, number) for key, number in connection.execute(query))
    rows = []
    for key, new in zip(keys, versions, strict=True):
        numbers[key] = numbers.get(key, 0) + 1
        rows.append(
            {
                "key": key,
                "version": numbers[key],
                "deployment_id": deployment.id,
                "bundle": deployment.bundle,
                "path": new.path,
                "change": new.change,
                "sha256": new.sha256,
                "size": new.size,
            }
        )
    for part in portions(rows):
        connection.execute(insert(FILE), part)


def portions(values: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(values), TOGETHER):
        yield values[start : start + TOGETHER]
