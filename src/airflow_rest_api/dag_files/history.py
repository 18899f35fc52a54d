"""What was deployed, when and by whom, and how it was before: in the database."""

from __future__ import annotations

import logging
import zlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, insert, select, update
from sqlalchemy.exc import IntegrityError

from airflow_rest_api.dag_files import history_rows
from airflow_rest_api.dag_files.tables import CONTENT, DAG, DEPLOYMENT, FILE, bundle_key, file_key
from airflow_rest_api.dag_files.versions import DeployedDag, Deployment, NewVersion, Version, now
from airflow_rest_api.errors import UnknownDeployment, UnknownVersion
from airflow_rest_api.storage.schema import LONGEST_NAME, storable

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from airflow_rest_api.storage.database import Database

log = logging.getLogger(__name__)

LEFT = timedelta(days=7)
"""After it a deployment that is being written is none: one with a trace in its bundle has been settled."""


ATTEMPTS = 3


class History:
    """
    The versions of the files of all bundles.

    What changes a bundle's history is called by whoever has the lock of that bundle.

    :param kept: versions of each file
    """

    def __init__(self, database: Database, kept: int = 20) -> None:
        self._database = database
        self._kept = kept

    async def begin(self, deployment: Deployment, versions: Sequence[NewVersion]) -> None:
        """Keep what is about to be put in place; nobody sees it before `complete`."""
        # Before anything is kept: what they alone used goes with them, and it may come again now.
        await self._database.run(
            lambda connection: history_rows.forget_left(
                connection, deployment.bundle, deployment.id, deployment.at - LEFT
            )
        )
        for batch in history_rows.batches(versions):
            await self._database.run(partial(history_rows.keep, bundle=deployment.bundle, contents=batch))

        def work(connection: Connection) -> None:
            # It may be there where nobody heard whether this came to pass the first time.
            history_rows.drop(connection, deployment.id)
            connection.execute(
                insert(DEPLOYMENT).values(
                    id=deployment.id,
                    kind=deployment.kind,
                    state=history_rows.WRITING,
                    bundle=deployment.bundle,
                    user=storable(deployment.user, LONGEST_NAME),
                    at=deployment.at,
                    operation_id=deployment.operation_id,
                    count=deployment.count,
                )
            )
            keys = [file_key(deployment.bundle, new.path) for new in versions]
            numbers = history_rows.newest_numbers(connection, keys)
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
            for start in range(0, len(rows), history_rows.TOGETHER):
                connection.execute(insert(FILE), rows[start : start + history_rows.TOGETHER])

        await self._database.run(work)

    async def complete(self, identifier: str) -> None:
        """Show a deployment, now that it is in place, and forget the oldest versions of its files."""

        def work(connection: Connection) -> None:
            done = connection.execute(
                update(DEPLOYMENT).where(DEPLOYMENT.c.id == identifier).values(state=history_rows.LIVE)
            )
            if done.rowcount:
                history_rows.prune(connection, identifier, self._kept)
            else:
                log.warning("The deployment %s is in place and in no history", identifier)

        await self._database.run(work)

    async def abandon(self, identifier: str) -> None:
        """Forget a deployment that did not come to be."""
        await self._database.run(lambda connection: history_rows.forget(connection, identifier))

    async def keep_dags(self, bundle: str, files: Mapping[str, Collection[str]]) -> None:
        """Keep the DAGs that files define now, in place of those that they did; by path."""
        rows = history_rows.dags(bundle, files, now())
        keys = [file_key(bundle, path) for path in files]
        for attempt in range(1, ATTEMPTS + 1):
            try:
                await self._database.run(lambda connection: history_rows.keep_dags(connection, keys, rows))
                return
            except IntegrityError:
                # The same DAG was deployed into another bundle at this moment: the next attempt replaces it.
                if attempt == ATTEMPTS:
                    raise

    async def dag(self, dag_id: str) -> DeployedDag | None:
        """Return the file that a DAG was deployed in last, None where none was or it is there no more."""
        query = select(DAG.c.bundle, DAG.c.path, DAG.c.at).where(DAG.c.dag_id == dag_id)
        row = await self._database.run(lambda connection: connection.execute(query).first())
        return None if row is None else DeployedDag(*row)

    async def versions(self, bundle: str, path: str) -> list[Version]:
        """Return the versions of a file that are kept, the newest first."""
        found = await self._database.run(
            lambda connection: connection.execute(
                history_rows.live_versions()
                .where(FILE.c.key == file_key(bundle, path))
                .order_by(FILE.c.version.desc())
            ).all()
        )
        return [history_rows.to_version(row) for row in found]

    async def newest(self, bundle: str, paths: Iterable[str]) -> dict[str, Version]:
        """Return the newest version of each of some files."""
        keys = [file_key(bundle, path) for path in paths]

        def work(connection: Connection) -> dict[str, Version]:
            found: dict[str, Version] = {}
            for some in history_rows.portions(keys):
                newest = (
                    select(FILE.c.key, func.max(FILE.c.version).label("version"))
                    .join(DEPLOYMENT, DEPLOYMENT.c.id == FILE.c.deployment_id)
                    .where(FILE.c.key.in_(some), DEPLOYMENT.c.state == history_rows.LIVE)
                    .group_by(FILE.c.key)
                    .subquery()
                )
                query = history_rows.live_versions().join(
                    newest, (newest.c.key == FILE.c.key) & (newest.c.version == FILE.c.version)
                )
                found.update({row.path: history_rows.to_version(row) for row in connection.execute(query)})
            return found

        return await self._database.run(work)

    async def paths(self, bundle: str) -> list[str]:
        """Return all files of a bundle that ever came through us and have a version that is kept."""

        def work(connection: Connection) -> list[str]:
            query = (
                select(FILE.c.path)
                .join(DEPLOYMENT, DEPLOYMENT.c.id == FILE.c.deployment_id)
                .where(FILE.c.bundle == bundle, DEPLOYMENT.c.state == history_rows.LIVE)
            )
            return sorted(set(connection.execute(query).scalars()))

        return await self._database.run(work)

    async def version(self, bundle: str, path: str, number: int) -> Version:
        """Return one version; raise UnknownVersion."""
        query = history_rows.live_versions().where(
            FILE.c.key == file_key(bundle, path), FILE.c.version == number
        )
        row = await self._database.run(lambda connection: connection.execute(query).first())
        if row is None:
            raise UnknownVersion(path, number)
        return history_rows.to_version(row)

    async def content(self, version: Version) -> bytes:
        """Return the content of a version, nothing for that of a deleted file; raise UnknownVersion."""
        if version.sha256 is None:
            return b""
        query = (
            select(CONTENT.c.data)
            .where(CONTENT.c.bundle_key == bundle_key(version.bundle), CONTENT.c.sha256 == version.sha256)
            .order_by(CONTENT.c.part)
        )
        parts = await self._database.run(lambda connection: list(connection.execute(query).scalars()))
        if not parts:
            raise UnknownVersion(version.path, version.version)
        return zlib.decompress(b"".join(map(bytes, parts)))

    async def deployments(
        self, *, before: str | None = None, limit: int = 50, bundles: Iterable[str] | None = None
    ) -> list[Deployment]:
        """Return deployments, the newest first, from before one."""
        query = (
            select(DEPLOYMENT)
            .where(DEPLOYMENT.c.state == history_rows.LIVE)
            .order_by(DEPLOYMENT.c.id.desc())
            .limit(limit)
        )
        if before is not None:
            query = query.where(DEPLOYMENT.c.id < before)
        if bundles is not None:
            query = query.where(DEPLOYMENT.c.bundle.in_(list(bundles)))
        rows = await self._database.run(lambda connection: connection.execute(query).all())
        return [history_rows.to_deployment(row) for row in rows]

    async def deployment(self, identifier: str) -> tuple[Deployment, list[Version]]:
        """Return a deployment with the versions of it that are kept; raise UnknownDeployment."""

        def work(connection: Connection) -> tuple[Any, Sequence[Any]]:
            query = select(DEPLOYMENT).where(
                DEPLOYMENT.c.id == identifier, DEPLOYMENT.c.state == history_rows.LIVE
            )
            files = history_rows.live_versions().where(FILE.c.deployment_id == identifier)
            return connection.execute(query).first(), connection.execute(files).all()

        row, files = await self._database.run(work)
        if row is None:
            raise UnknownDeployment
        return history_rows.to_deployment(row), sorted(
            map(history_rows.to_version, files), key=lambda version: version.path
        )

    async def paths_of(self, identifiers: Sequence[str]) -> dict[str, list[str]]:
        """Return the files of each of some deployments."""
        found: dict[str, list[str]] = {}

        def work(connection: Connection) -> Sequence[Any]:
            query = select(FILE.c.deployment_id, FILE.c.path).where(FILE.c.deployment_id.in_(identifiers))
            return connection.execute(query).all()

        for identifier, path in await self._database.run(work):
            found.setdefault(identifier, []).append(path)
        return found
