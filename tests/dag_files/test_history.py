"""What is kept of the files that were deployed, on each kind of database."""

from __future__ import annotations

import asyncio
import difflib
import hashlib
import os
import random
import shutil
import subprocess
import threading
import time
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import create_engine, delete, event, func, select

from airflow_rest_api.dag_files import history_tables
from airflow_rest_api.dag_files.history import MOST_BYTES, MOST_LINES, History, diff
from airflow_rest_api.dag_files.history_tables import CONTENT, DEPLOYMENT, FILE, Deployment, NewVersion, now
from airflow_rest_api.errors import ChangedMeanwhile, TooLarge, Unavailable, UnknownDeployment, UnknownVersion
from airflow_rest_api.operations.model import new_id
from airflow_rest_api.storage.database import Database
from airflow_rest_api.storage.schema import PART, storable
from tests.databases import KINDS, database_of_our_own

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

pytestmark = pytest.mark.timeout(600)


class Records:
    """A history, and short words for what is done with it."""

    def __init__(self, database: Database, folder: Path, kept: int = 3) -> None:
        self.database = database
        self.history = History(database, kept)
        self._folder = folder

    def file(self, path: str, content: bytes, change: str = "changed") -> NewVersion:
        place = self._folder / new_id()
        place.write_bytes(content)
        return NewVersion(path, change, hashlib.sha256(content).hexdigest(), len(content), place)

    async def begin(self, *versions: NewVersion, bundle: str = "b", days_ago: int = 0) -> str:
        at = now() - timedelta(days=days_ago)
        deployment = Deployment(new_id(), "deploy", bundle, "somebody", at, None, len(versions))
        await self.history.begin(deployment, versions)
        return deployment.id

    async def deploy(self, *versions: NewVersion, bundle: str = "b") -> str:
        identifier = await self.begin(*versions, bundle=bundle)
        await self.history.complete(identifier)
        return identifier

    async def contents(self) -> int:
        query = select(func.count()).select_from(CONTENT)
        return int(await self.database.run(lambda connection: connection.execute(query).scalar() or 0))


@pytest.fixture(params=KINDS)
def records(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Records]:
    with database_of_our_own(request.param, tmp_path) as address:
        engine = create_engine(address)
        database = Database(lambda: engine)
        try:
            yield Records(database, tmp_path)
        finally:
            database.close()
            engine.dispose()


def run(work: Any) -> Any:
    import asyncio

    return asyncio.run(work)


def test_a_content_is_unpacked_beside_the_event_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[threading.Thread] = []
    unpack = zlib.decompress

    def noted(data: bytes) -> bytes:
        threads.append(threading.current_thread())
        return unpack(data)

    async def work(records: Records) -> None:
        await records.deploy(records.file("a.py", b"x = 1", "added"))
        [version] = await records.history.versions("b", "a.py")
        monkeypatch.setattr(zlib, "decompress", noted)
        assert await records.history.content(version) == b"x = 1"

    engine = create_engine(f"sqlite:///{tmp_path / 'history.db'}")
    run(work(Records(Database(lambda: engine), tmp_path)))
    engine.dispose()
    assert threads
    assert threading.main_thread() not in threads


def test_the_oldest_versions_of_many_files_are_forgotten_with_few_statements(records: Records) -> None:
    async def work() -> None:
        files = [f"{number}.py" for number in range(60)]
        engine, statements = records.database.engine(), []
        event.listen(engine, "before_cursor_execute", lambda *said: statements.append(said[2]))
        for number in range(5):
            same = [records.file(path, b"%d" % number) for path in files[:30]]
            other = [records.file(path, f"{path} {number}".encode()) for path in files[30:]]
            identifier = await records.begin(*same, *other)
            statements.clear()
            await records.history.complete(identifier)
            assert len(statements) < 10
        assert len(await records.history.versions("b", "0.py")) == 3
        # Of the first half one for each version, as they are equal.
        assert await records.contents() == 3 + 3 * 30

    run(work())


def test_a_version_is_what_was_deployed(records: Records) -> None:
    async def work() -> None:
        path = "ordner/größe 数 😀.py" + "x" * 900
        content = os.urandom(3_000_000)
        identifier = await records.deploy(records.file(path, content, "added"))
        [version] = await records.history.versions("b", path)
        assert (version.version, version.change, version.size) == (1, "added", 3_000_000)
        assert (version.user, version.kind, version.deployment) == ("somebody", "deploy", identifier)
        assert version.at.tzinfo is not None
        assert await records.history.content(version) == content
        assert await records.history.newest("b", [path, "other"]) == {path: version}
        assert await records.history.paths("b") == [path]
        assert await records.history.versions("B", path) == []
        assert await records.history.versions("b", path.upper()) == []

    run(work())


def test_an_equal_content_is_kept_once(records: Records) -> None:
    async def work() -> None:
        await records.deploy(records.file("a", b"same"), records.file("b", b"same"), records.file("c", b""))
        assert await records.contents() == 2
        [version] = await records.history.versions("b", "c")
        assert await records.history.content(version) == b""

    run(work())


def test_nobody_sees_what_is_not_in_place(records: Records) -> None:
    async def work() -> None:
        await records.deploy(records.file("a", b"1"))
        identifier = await records.begin(records.file("a", b"2"), records.file("new", b"3"))
        assert [one.version for one in await records.history.versions("b", "a")] == [1]
        assert (await records.history.newest("b", ["a"]))["a"].version == 1
        assert await records.history.paths("b") == ["a"]
        assert len(await records.history.deployments()) == 1
        with pytest.raises(UnknownDeployment):
            await records.history.deployment(identifier)
        with pytest.raises(UnknownVersion):
            await records.history.version("b", "a", 2)
        await records.history.abandon(identifier)
        await records.history.abandon(identifier)
        assert await records.contents() == 1
        await records.deploy(records.file("a", b"2"))
        assert [one.version for one in await records.history.versions("b", "a")] == [2, 1]

    run(work())


def test_what_was_begun_long_ago_and_left_no_trace_goes_at_the_next_one(records: Records) -> None:
    async def work() -> None:
        killed = await records.begin(records.file("a", b"killed"), days_ago=8)
        other = await records.begin(records.file("a", b"of another bundle"), bundle="c", days_ago=8)
        under_way = await records.begin(records.file("b", b"under way"), days_ago=6)
        assert await records.contents() == 3
        await records.deploy(records.file("a", b"1"))
        assert [one.version for one in await records.history.versions("b", "a")] == [1]
        assert await records.contents() == 3
        for identifier, shown in ((killed, False), (other, True), (under_way, True)):
            await records.history.complete(identifier)
            found = [one.id for one in await records.history.deployments()]
            assert (identifier in found) is shown

    run(work())


def test_what_goes_takes_nothing_away_from_the_one_that_comes(records: Records) -> None:
    async def work() -> None:
        await records.begin(records.file("a", b"the same again"), days_ago=8)
        await records.deploy(records.file("a", b"the same again"))
        [version] = await records.history.versions("b", "a")
        assert await records.history.content(version) == b"the same again"

    run(work())


def test_a_file_that_is_larger_than_a_row_is_kept_in_parts(records: Records) -> None:
    async def work() -> None:
        content = os.urandom(2 * PART + 1) + bytes(5 * PART)
        new = records.file("a", content)
        await records.deploy(new)
        [version] = await records.history.versions("b", "a")
        assert await records.history.content(version) == content
        changed = replace(new, sha256="0" * 64)
        with pytest.raises(ChangedMeanwhile):
            await records.deploy(changed)
        assert changed.content is not None
        changed.content.unlink()
        with pytest.raises(ChangedMeanwhile):
            await records.deploy(changed)
        assert await records.contents() == 3

    run(work())


def test_what_is_in_place_is_not_abandoned(records: Records) -> None:
    async def work() -> None:
        identifier = await records.deploy(records.file("a", b"1"))
        await records.history.abandon(identifier)
        await records.history.complete(identifier)
        assert len(await records.history.versions("b", "a")) == 1

    run(work())


def test_the_oldest_versions_go_with_their_contents(records: Records) -> None:
    async def work() -> None:
        await records.deploy(records.file("other", b"1"))
        for number in range(1, 7):
            await records.deploy(records.file("a", str(number).encode()))
        found = await records.history.versions("b", "a")
        assert [one.version for one in found] == [6, 5, 4]
        assert [await records.history.content(one) for one in found] == [b"6", b"5", b"4"]
        # That of the other file with the content of the first version is still there.
        [other] = await records.history.versions("b", "other")
        assert await records.history.content(other) == b"1"
        assert await records.contents() == 4

    run(work())


def test_a_deleted_file_has_a_version_without_content(records: Records) -> None:
    async def work() -> None:
        await records.deploy(records.file("a", b"1"))
        await records.deploy(NewVersion("a", "deleted"))
        newest = (await records.history.newest("b", ["a"]))["a"]
        assert (newest.version, newest.sha256) == (2, None)
        assert await records.history.content(newest) == b""

    run(work())


@pytest.mark.slow
def test_a_deployment_is_listed_with_its_files(records: Records) -> None:
    async def work() -> None:
        made = [
            await records.deploy(records.file(f"{n}", b"x"), records.file("same", b"%d" % n))
            for n in range(4)
        ]
        newest = await records.history.deployments(limit=2)
        assert [one.id for one in newest] == made[:1:-1]
        assert [one.id for one in await records.history.deployments(before=newest[-1].id)] == made[1::-1]
        found, versions = await records.history.deployment(made[3])
        assert (found.kind, found.bundle, found.count) == ("deploy", "b", 2)
        assert [one.path for one in versions] == ["3", "same"]
        paths = await records.history.paths_of(made)
        assert sorted(paths[made[3]]) == ["3", "same"]

    run(work())


def test_a_thousand_files_are_one_deployment(records: Records) -> None:
    async def work() -> None:
        files = [records.file(f"d/{n}.py", b"%d" % n) for n in range(1000)]
        identifier = await records.deploy(*files)
        _, versions = await records.history.deployment(identifier)
        assert len(versions) == 1000
        assert len(await records.history.newest("b", [file.path for file in files])) == 1000

    run(work())


def test_what_an_api_server_left_behind_is_replaced(records: Records) -> None:
    async def work() -> None:
        # Killed between the two: the same deployment begins again.
        deployment = Deployment(new_id(), "deploy", "b", "somebody", now(), None, 1)
        await records.history.begin(deployment, [records.file("a", b"1")])
        await records.history.begin(deployment, [records.file("a", b"1")])
        await records.history.complete(deployment.id)
        assert [one.version for one in await records.history.versions("b", "a")] == [1]
        query = select(func.count()).select_from(FILE)
        assert await records.database.run(lambda connection: connection.execute(query).scalar()) == 1

    run(work())


def test_a_deployment_begins_again_while_its_first_attempt_is_still_being_written(records: Records) -> None:
    if records.database.engine().dialect.name == "sqlite":
        pytest.skip("SQLite has one writer: who comes second waits before it looks")
    deployment = Deployment(new_id(), "deploy", "b", "somebody", now(), None, 2)
    versions = [records.file("a", b"1"), records.file("b", b"2")]

    async def work() -> None:
        await records.history.begin(deployment, versions)
        await records.history.complete(deployment.id)
        for version in versions:
            [kept] = await records.history.versions("b", version.path)
            assert version.content is not None
            assert await records.history.content(kept) == version.content.read_bytes()
        assert await records.contents() == 2

    for first in (
        partial(history_tables.keep, bundle="b", contents={versions[0].sha256: versions[0].content}),
        partial(history_tables.add, deployment=deployment, versions=versions),
    ):
        with records.database.engine().connect() as slow:
            first(slow)
            # Not before the second one waits for what the first has written.
            committing = threading.Timer(1.0, slow.commit)
            committing.start()
            run(work())
            committing.join()
            for table in (FILE, DEPLOYMENT, CONTENT):
                slow.execute(delete(table))
            slow.commit()


def test_what_a_deployment_has_kept_goes_with_it_wherever_it_was_cut_off(
    records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep, kept = history_tables.keep, []

    def cut_off(connection: Connection, bundle: str, contents: Mapping[str, Path]) -> None:
        if kept:
            raise Unavailable
        kept.extend(contents)
        keep(connection, bundle, contents)

    async def work() -> None:
        monkeypatch.setattr(history_tables, "TOGETHER", 1)
        with monkeypatch.context() as patch:
            patch.setattr(history_tables, "keep", cut_off)
            with pytest.raises(Unavailable):
                await records.begin(records.file("a", b"1"), records.file("b", b"2"), days_ago=8)
        assert await records.contents() == 1
        await records.deploy(records.file("c", b"3"))
        assert await records.contents() == 1
        assert await records.history.versions("b", "a") == []

    run(work())


def test_attempts_that_failed_take_no_version_away(records: Records, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object, **__: object) -> None:
        raise Unavailable

    async def work() -> None:
        for number in range(3):
            await records.deploy(records.file("a", b"%d" % number))
        with monkeypatch.context() as patch:
            patch.setattr(history_tables, "keep", away)
            for _ in range(3):
                with pytest.raises(Unavailable):
                    await records.begin(records.file("a", b"never"))
        await records.deploy(records.file("a", b"at last"))
        versions = await records.history.versions("b", "a")
        assert [one.version for one in versions] == [7, 3, 2]
        assert [await records.history.content(one) for one in versions] == [b"at last", b"2", b"1"]

    run(work())


def test_nothing_is_kept_of_what_somebody_saved_before_it_could_be(records: Records) -> None:
    async def work() -> None:
        saved = records.file("b", b"2")
        assert saved.content is not None
        saved.content.write_bytes(b"another")
        with pytest.raises(ChangedMeanwhile):
            await records.begin(records.file("a", b"1"), saved)
        assert await records.contents() == 0
        await records.deploy(records.file("a", b"1"))
        assert [one.version for one in await records.history.versions("b", "a")] == [1]

    run(work())


def test_any_server_knows_in_which_file_a_dag_was_deployed(records: Records) -> None:
    async def work() -> None:
        keep, dag = records.history.keep_dags, records.history.dag
        before = now()
        await keep("b", {"ordner/ä.py": ["größe", "Größe"], "other.py": ["moves"]})
        found = await dag("Größe")
        assert found is not None
        assert (found.bundle, found.path) == ("b", "ordner/ä.py")
        assert before - timedelta(seconds=1) <= found.at <= now() + timedelta(seconds=1)
        # What a file defines now takes the place of what it did, and of what other files did.
        await keep("b", {"ordner/ä.py": ["größe", "moves"]})
        assert await dag("Größe") is None
        for dag_id in ("größe", "moves"):
            assert replace(await dag(dag_id), at=found.at) == found
        await keep("c", {"ordner/ä.py": ["moves"]})
        assert (await dag("moves")).bundle == "c"
        await keep("b", {"ordner/ä.py": [], "none.py": []})
        assert await dag("größe") is None
        assert (await dag("moves")).bundle == "c"

    run(work())


def test_what_a_file_calls_its_dags_may_be_anything(records: Records) -> None:
    async def work() -> None:
        names = [
            "x" * 251,
            "nul\0",
            "half\ud800",
            "blank ",
            "blank",
            *(f"many_{number}" for number in range(500)),
            "x" * 250,
        ]
        await records.history.keep_dags("b", {"a.py": names, "b.py": ["many_7"]})
        assert [name for name in names[:3] if await records.history.dag(storable(name) or "")] == []
        for name in ("many_7", "many_499", "x" * 250):
            found = await records.history.dag(name)
            assert found is not None
            assert found.path == "a.py"

    run(work())


def test_two_servers_may_deploy_the_same_dag_at_once(records: Records) -> None:
    async def work() -> None:
        await asyncio.gather(
            *(records.history.keep_dags(f"bundle {number}", {"a.py": ["same"]}) for number in range(4))
        )
        found = await records.history.dag("same")
        assert found is not None
        assert found.bundle.startswith("bundle ")

    run(work())


def test_equal_files_have_no_difference() -> None:
    assert diff(b"a\n", b"a\n", "old", "new") == ""
    assert diff(None, None, "old", "new") == ""


def test_a_file_that_is_not_there_is_dev_null() -> None:
    assert diff(None, b"a\n", "old", "new").splitlines()[:2] == ["--- /dev/null", "+++ new"]
    assert diff(b"a\n", None, "old", "new").splitlines()[:2] == ["--- old", "+++ /dev/null"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"a\nb\nc\n", b"a\nB\nc\n"),
        (b"a\nb", b"a\nb\n"),
        (b"a\r\nb\r\n", b"a\nb\n"),
        (b"", b"a\x0cb\n\xe2\x80\xa8x"),
        (b"x\n" * 50 + b"y", b"x\n" * 50 + b"z"),
    ],
)
def test_the_difference_leads_from_one_to_the_other(tmp_path: Path, old: bytes, new: bytes) -> None:
    """Given to the program `patch`, it makes the new file of the old one."""
    if shutil.which("patch") is None:
        pytest.skip("This test needs the program patch")
    (tmp_path / "file").write_bytes(old)
    subprocess.run(
        ["patch", "--binary", "-p0", "file"],
        input=diff(old, new, "file", "file").encode(),
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    assert (tmp_path / "file").read_bytes() == new


def test_a_difference_is_the_one_of_the_standard_library() -> None:
    for seed in range(200):
        chance = random.Random(seed)
        old = [f"{chance.randrange(12)}\n" for _ in range(chance.randrange(60))]
        new = [line for line in old if chance.random() < 0.8] + ["added\n"] * chance.randrange(3)
        theirs = "".join(difflib.unified_diff(old, new, "old", "new"))
        assert diff("".join(old).encode(), "".join(new).encode(), "old", "new") == theirs


def test_lines_that_repeat_are_compared_in_seconds(tmp_path: Path) -> None:
    """Each of the matches is the first of what is left, and each line has many places in the other file."""
    same = [f"x{number % 52}\n" for number in range(MOST_LINES // 2)]
    old, new = (
        "".join(f"{line}{side}{number}\n" for number, line in enumerate(same)).encode() for side in "uv"
    )

    begun = time.process_time()
    found = diff(old, new, "file", "file")

    assert time.process_time() - begun < 30  # It was a quarter of an hour.
    (tmp_path / "file").write_bytes(old)
    if shutil.which("patch") is None:
        pytest.skip("This test needs the program patch")
    given = {"input": found.encode(), "cwd": tmp_path, "check": True, "capture_output": True}
    subprocess.run(["patch", "--binary", "-p0", "file"], **given)  # type: ignore[call-overload]
    assert (tmp_path / "file").read_bytes() == new


def test_binary_files_only_differ() -> None:
    assert diff(b"\0", b"\1\0", "old", "new") == "Binary files old and new differ\n"


def test_what_would_take_for_ever_is_not_compared() -> None:
    with pytest.raises(TooLarge):
        diff(b"x\n" * (MOST_LINES + 1), b"", "old", "new")
    with pytest.raises(TooLarge):
        diff(b"x" * (MOST_BYTES + 1), b"", "old", "new")
