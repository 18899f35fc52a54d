"""What was deployed, when and by whom, and how it was before: in the database."""

from __future__ import annotations

import asyncio
import difflib
import io
import logging
import random
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from functools import partial
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError

from airflow_rest_api.dag_files import history_tables
from airflow_rest_api.dag_files.history_tables import (
    CONTENT,
    DAG,
    DEPLOYMENT,
    FILE,
    DeployedDag,
    Deployment,
    NewVersion,
    Version,
    bundle_key,
    file_key,
    now,
)
from airflow_rest_api.errors import TooLarge, Unavailable, UnknownDeployment, UnknownVersion

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from airflow_rest_api.storage.database import Database

log = logging.getLogger(__name__)

LEFT = timedelta(days=7)
"""After it a deployment that is being written is none: one with a trace in its bundle has been settled."""

ATTEMPTS = 10

MOST_LINES = 10_000
"""Of each version."""
MOST_BYTES = 2 * 1024 * 1024
MOST_STEPS = 5_000_000
"""Of the comparison of two versions, some seconds: lines that repeat take more than lines times lines."""
CONTEXT = 3
"""Lines around a difference."""


class History:
    """
    The versions of the files of all bundles, of each file so many as are to be kept.

    What changes a bundle's history is only for the holder of the lock of that bundle.
    """

    def __init__(self, database: Database, kept: int = 20) -> None:
        self._database = database
        self._kept = kept

    async def begin(self, deployment: Deployment, versions: Sequence[NewVersion]) -> None:
        """
        Keep what is about to be put in place; it is not visible before `complete`.

        :raises ChangedMeanwhile: a file is not what its version says any more; nothing is kept
        :raises Unavailable: the database is away; what has been kept is removed by a later one
        """
        # Before anything is kept: what they alone used goes with them, and it may come again now.
        bundle, before = deployment.bundle, deployment.at - LEFT
        await self._database.run(
            partial(history_tables.forget_left, bundle=bundle, identifier=deployment.id, before=before)
        )

        def work(connection: Connection) -> None:
            # It is there where the answer to the first attempt was lost.
            history_tables.forget(connection, deployment.id, contents=False)
            history_tables.add(connection, deployment, versions)

        # Before the contents, which are found by it where they are all that there will be.
        await self._write(work)
        try:
            for batch in history_tables.batches(versions):
                await self._write(partial(history_tables.keep, bundle=bundle, contents=batch))
        except Unavailable:
            # It may still be writing: nothing that comes now would be removed with the rest.
            raise
        except Exception:
            await self.abandon(deployment.id)
            raise

    async def complete(self, identifier: str) -> None:
        """Show a deployment, now that it is in place, and forget the oldest versions of its files."""

        def work(connection: Connection) -> None:
            done = connection.execute(
                update(DEPLOYMENT).where(DEPLOYMENT.c.id == identifier).values(state=history_tables.LIVE)
            )
            if done.rowcount:
                history_tables.prune(connection, identifier, self._kept)
            else:
                log.warning("The deployment %s is in place and in no history", identifier)

        await self._database.run(work)

    async def abandon(self, identifier: str) -> None:
        """Forget a deployment that did not come to be."""
        await self._database.run(partial(history_tables.forget, identifier=identifier))

    async def keep_dags(self, bundle: str, files: Mapping[str, Collection[str]]) -> None:
        """Keep the DAGs that files define now, in place of those that they did; by path."""
        # The same DAG may be deployed into another bundle at this moment: the next attempt replaces it.
        await self._write(partial(history_tables.keep_dags, bundle=bundle, files=files, at=now()))

    async def _write(self, work: Callable[[Connection], object]) -> None:
        """Do what replaces what is there; once more where that came in between, of a slow attempt too."""
        for attempt in range(1, ATTEMPTS + 1):
            try:
                await self._database.run(work)
                return
            except IntegrityError:
                if attempt == ATTEMPTS:
                    raise
                # Not all at the same moment once more.
                await asyncio.sleep(random.uniform(0, 0.02 * attempt))

    async def dag(self, dag_id: str) -> DeployedDag | None:
        """Return the file that a DAG was deployed in last, None where none was or it is there no more."""
        rows = await self._rows(select(DAG.c.bundle, DAG.c.path, DAG.c.at).where(DAG.c.dag_id == dag_id))
        return DeployedDag(*rows[0]) if rows else None

    async def versions(self, bundle: str, path: str) -> list[Version]:
        """Return the versions of a file that are kept, the newest first."""
        query = history_tables.live_versions().where(FILE.c.key == file_key(bundle, path))
        return [Version(*row) for row in await self._rows(query.order_by(FILE.c.version.desc()))]

    async def newest(self, bundle: str, paths: Iterable[str]) -> dict[str, Version]:
        """Return the newest version of each of some files."""
        keys = [file_key(bundle, path) for path in paths]

        def work(connection: Connection) -> dict[str, Version]:
            found: dict[str, Version] = {}
            for some in history_tables.portions(keys):
                newest = (
                    select(FILE.c.key, func.max(FILE.c.version).label("version"))
                    .join(DEPLOYMENT, DEPLOYMENT.c.id == FILE.c.deployment_id)
                    .where(FILE.c.key.in_(some), DEPLOYMENT.c.state == history_tables.LIVE)
                    .group_by(FILE.c.key)
                    .subquery()
                )
                query = history_tables.live_versions().join(
                    newest, (newest.c.key == FILE.c.key) & (newest.c.version == FILE.c.version)
                )
                found.update({row.path: Version(*row) for row in connection.execute(query)})
            return found

        return await self._database.run(work)

    async def paths(self, bundle: str) -> list[str]:
        """Return all files of a bundle that ever came through us and have a version that is kept."""
        query = history_tables.live_versions().with_only_columns(FILE.c.path).where(FILE.c.bundle == bundle)
        return await self._database.run(lambda connection: sorted(set(connection.execute(query).scalars())))

    async def version(self, bundle: str, path: str, number: int) -> Version:
        """Return one version; raise UnknownVersion."""
        query = history_tables.live_versions()
        rows = await self._rows(query.where(FILE.c.key == file_key(bundle, path), FILE.c.version == number))
        if not rows:
            raise UnknownVersion(path, number)
        return Version(*rows[0])

    async def content(self, version: Version) -> bytes:
        """Return the content of a version, nothing for that of a deleted file; raise UnknownVersion."""
        if version.sha256 is None:
            return b""
        query = (
            select(CONTENT.c.data)
            .where(CONTENT.c.bundle_key == bundle_key(version.bundle), CONTENT.c.sha256 == version.sha256)
            .order_by(CONTENT.c.part)
        )
        parts = await self._rows(query)
        if not parts:
            raise UnknownVersion(version.path, version.version)
        return await asyncio.to_thread(_unpacked, parts)

    async def deployments(self, *, before: str | None = None, limit: int = 50) -> list[Deployment]:
        """Return deployments, the newest first, from before one."""
        query = history_tables.live_deployments().order_by(DEPLOYMENT.c.id.desc()).limit(limit)
        if before is not None:
            query = query.where(DEPLOYMENT.c.id < before)
        return [Deployment(*row) for row in await self._rows(query)]

    async def deployment(self, identifier: str) -> tuple[Deployment, list[Version]]:
        """Return a deployment with the versions of it that are kept; raise UnknownDeployment."""

        def work(connection: Connection) -> tuple[Any, Sequence[Any]]:
            query = history_tables.live_deployments().where(DEPLOYMENT.c.id == identifier)
            files = history_tables.live_versions().where(FILE.c.deployment_id == identifier)
            return connection.execute(query).first(), connection.execute(files).all()

        row, files = await self._database.run(work)
        if row is None:
            raise UnknownDeployment
        return Deployment(*row), sorted((Version(*file) for file in files), key=lambda version: version.path)

    async def paths_of(self, identifiers: Sequence[str]) -> dict[str, list[str]]:
        """Return the files of each of some deployments."""
        query = select(FILE.c.deployment_id, FILE.c.path).where(FILE.c.deployment_id.in_(identifiers))
        found: dict[str, list[str]] = {}
        for identifier, path in await self._rows(query):
            found.setdefault(identifier, []).append(path)
        return found

    async def _rows(self, query: Any) -> Sequence[Any]:
        return await self._database.run(lambda connection: connection.execute(query).all())


def _unpacked(parts: Sequence[Any]) -> bytes:
    return zlib.decompress(b"".join(bytes(data) for (data,) in parts))


def diff(old: bytes | None, new: bytes | None, old_name: str, new_name: str) -> str:
    """
    Return the difference as `diff -u` would. Takes a while: for threads.

    :param old: None where there is no such file
    :raises TooLarge: more than is compared
    """
    if old == new:
        return ""
    if any(content is not None and (len(content) > MOST_BYTES) for content in (old, new)):
        raise TooLarge(f"Only files of up to {MOST_LINES} lines and {MOST_BYTES} bytes are compared.")
    if any(b"\0" in (content or b"") for content in (old, new)):
        return f"Binary files {old_name} and {new_name} differ\n"
    before, after = _lines(old), _lines(new)
    if max(len(before), len(after)) > MOST_LINES:
        raise TooLarge(f"Only files of up to {MOST_LINES} lines and {MOST_BYTES} bytes are compared.")
    lines = _unified(
        before,
        after,
        "/dev/null" if old is None else old_name,
        "/dev/null" if new is None else new_name,
    )
    return "".join(
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines
    )


def _unified(before: Sequence[str], after: Sequence[str], old_name: str, new_name: str) -> Iterator[str]:
    """Yield what `difflib.unified_diff` does, of a comparison that comes to an end."""
    for number, group in enumerate(_Comparison(before, after).get_grouped_opcodes(CONTEXT)):
        if not number:
            yield f"--- {old_name}\n"
            yield f"+++ {new_name}\n"
        first, last = group[0], group[-1]
        yield f"@@ -{_range(first[1], last[2])} +{_range(first[3], last[4])} @@\n"
        for tag, old_from, old_to, new_from, new_to in group:
            if tag == "equal":
                yield from (f" {line}" for line in before[old_from:old_to])
                continue
            yield from (f"-{line}" for line in before[old_from:old_to])
            yield from (f"+{line}" for line in after[new_from:new_to])


def _range(start: int, stop: int) -> str:
    """Return a range of lines as `diff -u` writes it: an empty one is named by the line before it."""
    length = stop - start
    begin = start + 1 if length else start
    return str(begin) if length == 1 else f"{begin},{length}"


class _Comparison(difflib.SequenceMatcher[str]):
    """
    A comparison of lines within `MOST_STEPS`.

    What is left then counts as replaced as a whole: the difference is right, and longer than it could be.
    """

    def __init__(self, before: Sequence[str], after: Sequence[str]) -> None:
        super().__init__(None, before, after)
        self._left = MOST_STEPS
        # What each line of the one costs, and all before it: itself, and the places that it has in the other.
        places = self.b2j  # type: ignore[attr-defined]
        self._costs = [0, *accumulate(1 + len(places.get(line, ())) for line in before)]

    def find_longest_match(
        self, alo: int = 0, ahi: int | None = None, blo: int = 0, bhi: int | None = None
    ) -> difflib.Match:
        """Return the longest run of equal lines within bounds, none where there are no steps left."""
        self._left -= self._costs[-1 if ahi is None else ahi] - self._costs[alo]
        if self._left < 0:
            return difflib.Match(alo, blo, 0)
        return super().find_longest_match(alo, ahi, blo, bhi)


def _lines(content: bytes | None) -> list[str]:
    # Only at line feeds: other line ends are part of what may differ.
    return io.StringIO((content or b"").decode("utf-8", "replace"), newline="\n").readlines()
