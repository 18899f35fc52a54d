"""A change of a bundle and its trace in the history, whatever happens in between."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import hashlib
import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from sqlalchemy import create_engine

from airflow_rest_api.dag_files import bundle_change, placing, transaction
from airflow_rest_api.dag_files.bundle_change import Locks, Writer, Written, new_deployment, to_the_end
from airflow_rest_api.dag_files.history import History
from airflow_rest_api.dag_files.upload import CONTROL, ReceivedFile
from airflow_rest_api.errors import (
    ApiError,
    BundleLocked,
    BundleNotWritable,
    ChangedMeanwhile,
    DamagedJournal,
    FilesExist,
    InTheWay,
    NoSpace,
    Unavailable,
)
from airflow_rest_api.plain_files import open_file
from airflow_rest_api.storage.database import Database

SRC = Path(__file__).parents[2] / "src"


class Bundle:
    """A bundle, its history, and short words for changing it."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "dags"
        self.root.mkdir(exist_ok=True)
        self.folder = folder
        place = folder / "history.db"
        if not place.exists():
            # With our tables: to make them costs more than the tests.
            from tests.standin import own_database

            shutil.copy(own_database().removeprefix("sqlite:///"), place)
        self.engine = create_engine(f"sqlite:///{place}")
        self.database = Database(lambda: self.engine, patience=120)
        self.history = History(self.database)
        self.writer = Writer(self.history, Locks(timeout=1.0))

    def file(self, path: str, content: str) -> ReceivedFile:
        place = self.folder / hashlib.sha256(f"{path}{content}".encode()).hexdigest()
        place.write_text(content)
        return ReceivedFile(path, place, len(content), hashlib.sha256(content.encode()).hexdigest())

    async def write(self, *files: ReceivedFile, deleted: tuple[str, ...] = (), **more: Any) -> Written:
        deployment = new_deployment("deploy", "b", "somebody", None, len(files))
        return await self.writer.write(self.root, deployment, files, deleted, **more)

    def state(self) -> dict[str, str]:
        return {
            str(path.relative_to(self.root)): path.read_text()
            for path in self.root.rglob("*")
            if path.is_file() and CONTROL not in path.parts
        }

    async def versions(self, path: str) -> list[str]:
        return [version.change for version in await self.history.versions("b", path)]


@pytest.fixture
def bundle(tmp_path: Path) -> Iterator[Bundle]:
    made = Bundle(tmp_path)
    yield made
    made.database.close()
    made.engine.dispose()


Run = Callable[[Coroutine[Any, Any, Any]], Any]


def run(work: Awaitable[Any]) -> Any:
    async def main() -> Any:
        return await work

    return asyncio.run(main())


def test_a_change_is_in_place_and_in_the_history(bundle: Bundle) -> None:
    async def work() -> None:
        written = await bundle.write(bundle.file("a.py", "1"), bundle.file("b/c.py", "2"))
        assert written.changes == {"a.py": "added", "b/c.py": "added"}
        assert bundle.state() == {"a.py": "1", "b/c.py": "2"}
        await bundle.write(bundle.file("a.py", "2"), deleted=("b/c.py", "not there"))
        assert bundle.state() == {"a.py": "2"}
        assert await bundle.versions("a.py") == ["changed", "added"]
        assert await bundle.versions("b/c.py") == ["deleted", "added"]
        assert {path.name for path in (bundle.root / CONTROL).iterdir()} == {".airflowignore", "lock"}

    run(work())


def test_what_others_wrote_is_kept_before_it_is_replaced(bundle: Bundle) -> None:
    async def work() -> None:
        (bundle.root / "a.py").write_text("theirs")
        (bundle.root / "b.py").write_text("theirs too")
        await bundle.write(bundle.file("a.py", "ours"), deleted=("b.py",))
        assert await bundle.versions("a.py") == ["changed", "outside"]
        assert await bundle.versions("b.py") == ["deleted", "outside"]
        first = await bundle.history.version("b", "a.py", 1)
        assert await bundle.history.content(first) == b"theirs"

    run(work())


def test_what_cannot_be_read_and_so_not_be_kept_is_neither_replaced_nor_deleted(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    def closed(path: Path) -> BinaryIO:
        if path.name == "closed.py":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return open_file(path)

    # A file mode would not keep root out, whom tests run as.
    monkeypatch.setattr(bundle_change, "open_file", closed)

    async def work() -> None:
        (bundle.root / "closed.py").write_text("theirs")
        with pytest.raises(FilesExist):
            await bundle.write(bundle.file("closed.py", "ours"), overwrite=False)
        with pytest.raises(InTheWay, match=r"cannot be read \(Permission denied\)"):
            await bundle.write(bundle.file("closed.py", "ours"), bundle.file("a.py", "1"))
        with pytest.raises(InTheWay):
            await bundle.write(deleted=("closed.py",))
        assert bundle.state() == {"closed.py": "theirs"}
        assert await bundle.versions("closed.py") == []

    run(work())


def test_what_is_there_already_is_looked_at_under_the_lock(bundle: Bundle) -> None:
    async def work() -> None:
        results = await asyncio.gather(
            *(bundle.write(bundle.file("a.py", str(number)), overwrite=False) for number in range(10)),
            return_exceptions=True,
        )
        written = [result for result in results if isinstance(result, Written)]
        assert len(written) == 1
        assert all(isinstance(result, (Written, FilesExist)) for result in results)
        assert await bundle.versions("a.py") == ["added"]

    run(work())


@pytest.mark.parametrize("known", [False, True])
def test_what_somebody_saves_during_a_change_is_never_lost(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, known: bool
) -> None:
    begin = History.begin

    async def work() -> None:
        if known:
            await bundle.write(bundle.file("a.py", "before"), bundle.file("gone.py", "before"))
        else:
            for name in ("a.py", "gone.py"):
                (bundle.root / name).write_text("before")
        for saved in ("a.py", "new.py", "gone.py"):

            async def slow(history: History, *order: Any, saved: str = saved) -> None:
                await begin(history, *order)
                (bundle.root / saved).write_text("theirs")

            monkeypatch.setattr(History, "begin", slow)
            with pytest.raises(ChangedMeanwhile, match=saved):
                await bundle.write(
                    bundle.file("a.py", "ours"), bundle.file("new.py", "ours"), deleted=("gone.py",)
                )
            assert bundle.state() == {"a.py": "before", "gone.py": "before", saved: "theirs"}
            monkeypatch.setattr(History, "begin", begin)
            (bundle.root / saved).unlink()
            if saved != "new.py":
                (bundle.root / saved).write_text("before")
            assert {path.name for path in (bundle.root / CONTROL).iterdir()} == {".airflowignore", "lock"}

    run(work())


@pytest.mark.usefixtures("without_links")
def test_a_file_that_cannot_be_linked_is_replaced_and_deleted(bundle: Bundle) -> None:
    async def work() -> None:
        await bundle.write(bundle.file("a.py", "1"))
        await bundle.write(bundle.file("a.py", "2"))
        assert bundle.state() == {"a.py": "2"}
        await bundle.write(deleted=("a.py",))
        assert await bundle.versions("a.py") == ["deleted", "changed", "added"]
        assert bundle.state() == {}

    run(work())


@pytest.mark.usefixtures("without_links")
def test_what_somebody_saves_while_a_file_is_copied_is_not_lost(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    def copied(target: Path, old: Path) -> bool:
        linked = placing.second_name(target, old)
        target.write_text("theirs")
        return linked

    async def work() -> None:
        await bundle.write(bundle.file("a.py", "before"), bundle.file("b.py", "before"))
        monkeypatch.setattr(transaction, "second_name", copied)
        with pytest.raises(ChangedMeanwhile, match=r"a\.py"):
            await bundle.write(bundle.file("a.py", "ours"))
        assert bundle.state() == {"a.py": "theirs", "b.py": "before"}

    run(work())


@pytest.mark.parametrize("linked", [True, False])
def test_what_only_its_owner_may_read_is_never_open_to_others(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest, linked: bool
) -> None:
    if not linked:
        request.getfixturevalue("without_links")
    give, modes = placing.give, []

    def observed(descriptor: int, target: Path) -> None:
        modes.append(stat.S_IMODE(os.fstat(descriptor).st_mode))
        give(descriptor, target)

    async def work() -> None:
        (bundle.root / "a.py").write_text("before")
        (bundle.root / "a.py").chmod(0o640)
        for module in (placing, transaction):
            monkeypatch.setattr(module, "give", observed)
        await bundle.write(bundle.file("a.py", "a secret"), bundle.file("new.py", "for all"))

    run(work())
    assert set(modes) == {0o600}
    assert [stat.S_IMODE((bundle.root / name).stat().st_mode) for name in ("a.py", "new.py")] == [
        0o640,
        0o644,
    ]


@pytest.mark.parametrize(
    ("folder", "lock"), [(0o755, 0o600), (0o775, 0o660), (0o777, 0o666), (0o2770, 0o660)]
)
def test_only_who_may_write_into_a_bundle_may_lock_it(bundle: Bundle, folder: int, lock: int) -> None:
    bundle.root.chmod(folder)
    run(bundle.write(bundle.file("a.py", "1")))
    assert stat.S_IMODE((bundle.root / CONTROL / "lock").stat().st_mode) == lock


@pytest.mark.parametrize("given", [True, False])
def test_the_lock_is_for_the_group_of_the_bundle_and_for_no_other(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, given: bool
) -> None:
    def refused(*_: object) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    if os.geteuid():
        pytest.skip("only root may give a file to a group that it is not in")
    os.chown(bundle.root, -1, 4242)
    bundle.root.chmod(0o775)
    run(bundle.write(bundle.file("a.py", "1")))
    lock = bundle.root / CONTROL / "lock"
    if not given:
        lock.unlink()
        monkeypatch.setattr(os, "fchown", refused)
        run(bundle.write(bundle.file("a.py", "2")))
    status = lock.stat()
    found = (status.st_gid, stat.S_IMODE(status.st_mode))
    assert found == ((4242, 0o660) if given else (os.getegid(), 0o600))


@pytest.mark.slow
def test_the_lock_is_kept_until_a_recovery_has_ended(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []

    def slow(root: Path) -> list[tuple[str, bool]]:
        said.append("begins")
        time.sleep(0.5)
        said.append("ends")
        return []

    async def work() -> None:
        monkeypatch.setattr(bundle_change, "recover", slow)
        first = asyncio.create_task(bundle.write(bundle.file("a.py", "1")))
        while not said:
            await asyncio.sleep(0.01)
        first.cancel()
        await bundle.write(bundle.file("b.py", "2"))
        assert said == ["begins", "ends"] * 2
        with pytest.raises(asyncio.CancelledError):
            await first
        assert bundle.state() == {"b.py": "2"}

    run(work())


@pytest.mark.parametrize("name", ["_open", "_lock"])
def test_who_is_cancelled_while_a_bundle_is_locked_leaves_no_file_open(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    reached, go_on, done = threading.Event(), threading.Event(), threading.Event()
    before = getattr(bundle_change, name)

    def held_up(argument: Any) -> Any:
        reached.set()
        go_on.wait(60)
        try:
            return before(argument)
        finally:
            done.set()

    async def hold() -> None:
        async with bundle.writer._locks.hold(bundle.root):
            raise AssertionError("it was cancelled")

    def open_locks() -> int:
        links = [f"/proc/self/fd/{number}" for number in os.listdir("/proc/self/fd")]
        lock = str(bundle.root / CONTROL / "lock")
        return sum(os.path.lexists(link) and os.readlink(link) == lock for link in links)

    async def work() -> None:
        monkeypatch.setattr(bundle_change, name, held_up)
        task = asyncio.create_task(hold())
        await asyncio.to_thread(reached.wait, 60)
        task.cancel()
        await asyncio.sleep(0)
        assert open_locks() == (0 if name == "_open" else 1)
        go_on.set()
        await asyncio.to_thread(done.wait, 60)
        with pytest.raises(asyncio.CancelledError):
            await task
        assert open_locks() == 0
        monkeypatch.undo()
        await bundle.write(bundle.file("a.py", "1"))

    run(work())


def test_a_change_that_fails_leaves_no_trace(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        await bundle.write(bundle.file("a.py", "1"))
        link = os.link

        def refuse(source: Any, target: Any, **more: Any) -> None:
            if Path(target).name == "b.py":
                raise OSError(28, "No space left on device")
            link(source, target, **more)

        monkeypatch.setattr(os, "link", refuse)
        with pytest.raises((BundleNotWritable, NoSpace)):
            await bundle.write(bundle.file("a.py", "2"), bundle.file("b.py", "2"))
        assert bundle.state() == {"a.py": "1"}
        assert await bundle.versions("a.py") == ["added"]
        assert len(await bundle.history.deployments()) == 1

    run(work())


def test_without_the_database_nothing_is_changed(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        await bundle.write(bundle.file("a.py", "1"))

        async def away(*_: object) -> None:
            raise Unavailable

        with monkeypatch.context() as patch:
            patch.setattr(bundle.history, "begin", away)
            with pytest.raises(Unavailable):
                await bundle.write(bundle.file("a.py", "2"))
        assert bundle.state() == {"a.py": "1"}
        # It went away in the middle: the history catches up with the next one.
        with monkeypatch.context() as patch:
            patch.setattr(bundle.history, "complete", away)
            written = await bundle.write(bundle.file("a.py", "3"))
        assert (written.recorded, bundle.state()) == (False, {"a.py": "3"})
        assert await bundle.versions("a.py") == ["added"]
        await bundle.writer.recover(bundle.root)
        assert await bundle.versions("a.py") == ["changed", "added"]

    run(work())


KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from airflow_rest_api.dag_files import bundle_change, transaction
from tests.dag_files.test_bundle_change import Bundle

number = int(sys.argv[2])
count = 0

class Killed(transaction.Transaction):
    def __init__(self, root, identifier):
        super().__init__(root, identifier, step)

def step(name):
    global count
    count += 1
    if count == number:
        os.kill(os.getpid(), signal.SIGKILL)

bundle_change.Transaction = Killed
bundle = Bundle(Path(sys.argv[1]))

async def main():
    if number == 0:
        bundle.history.complete = lambda identifier: os.kill(os.getpid(), signal.SIGKILL)
    await bundle.write(bundle.file("a.py", "new"), bundle.file("b.py", "new"), deleted=("c.py",))

asyncio.run(main())
"""


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_an_api_server_that_is_killed_leaves_the_old_state_or_the_new_with_its_history(
    tmp_path: Path,
) -> None:
    number, ended, seen = 0, False, set()
    while not ended:
        folder = tmp_path / str(number)
        folder.mkdir()
        bundle = Bundle(folder)
        run(bundle.write(bundle.file("a.py", "old"), bundle.file("c.py", "old")))
        bundle.database.close()
        root = str(Path(__file__).parents[2])
        env = {**os.environ, "PYTHONPATH": str(SRC)}
        words = [sys.executable, "-c", KILLED, str(folder), str(number), root]
        done = subprocess.run(words, env=env, capture_output=True, text=True, timeout=120, check=False)
        ended = done.returncode == 0
        assert done.returncode in (0, -signal.SIGKILL), done.stderr
        bundle = Bundle(folder)

        async def look(bundle: Bundle = bundle) -> bool:
            await bundle.writer.recover(bundle.root)
            versions = [await bundle.versions(name) for name in ("a.py", "b.py", "c.py")]
            if bundle.state() == {"a.py": "new", "b.py": "new"}:
                assert versions == [["changed", "added"], ["added"], ["deleted", "added"]]
                return True
            assert bundle.state() == {"a.py": "old", "c.py": "old"}
            assert versions == [["added"], [], ["added"]]
            return False

        seen.add(run(look()))
        left = {path.name for path in (bundle.root / CONTROL).iterdir()}
        assert left == {".airflowignore", "lock"}
        bundle.database.close()
        number += 1
    assert seen == {True, False}
    assert number > 10


@pytest.mark.slow
def test_a_process_that_has_the_lock_is_waited_for_and_then_said(bundle: Bundle) -> None:
    program = (
        "import fcntl, sys, time\n"
        "file = open(sys.argv[1], 'w')\n"
        "fcntl.flock(file, fcntl.LOCK_EX)\n"
        "print('locked', flush=True)\n"
        "sys.stdin.read()\n"
    )
    run(bundle.write(bundle.file("a.py", "1")))
    lock = bundle.root / CONTROL / "lock"
    with subprocess.Popen(
        [sys.executable, "-c", program, str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "locked\n"
        with pytest.raises(BundleLocked):
            run(bundle.write(bundle.file("a.py", "2")))
        assert bundle.state() == {"a.py": "1"}
        other.kill()
    # Its lock ended with it.
    run(bundle.write(bundle.file("a.py", "2")))
    assert bundle.state() == {"a.py": "2"}


def test_a_file_system_without_locks_is_said(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_locks(*_: Any) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    with monkeypatch.context() as patched:
        patched.setattr(fcntl, "flock", no_locks)
        with pytest.raises(BundleNotWritable, match=r"No locks available.*Nothing has changed"):
            run(bundle.write(bundle.file("a.py", "1")))
    assert bundle.state() == {}


def test_a_file_system_that_turns_read_only_in_the_middle_is_said_and_settled_later(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(bundle.write(bundle.file("a.py", "1")))
    rename, link = os.rename, os.link
    read_only = OSError(errno.EROFS, "Read-only file system")

    def renamed(source: Any, target: Any) -> None:
        if Path(target).name == "undo":
            raise read_only
        rename(source, target)

    def linked(source: Any, target: Any, **more: Any) -> None:
        if Path(target).name == "b.py":
            raise read_only
        link(source, target, **more)

    with monkeypatch.context() as patched:
        patched.setattr(os, "rename", renamed)
        patched.setattr(os, "link", linked)
        with pytest.raises(DamagedJournal, match=r"left unfinished.*Read-only file system"):
            run(bundle.write(bundle.file("a.py", "2"), bundle.file("b.py", "2")))
    run(bundle.writer.recover(bundle.root))
    assert bundle.state() == {"a.py": "2", "b.py": "2"}
    assert run(bundle.versions("b.py")) == ["added"]


def test_a_damaged_journal_is_left_to_somebody_who_looks_at_it(bundle: Bundle) -> None:
    run(bundle.write(bundle.file("a.py", "1")))
    work = bundle.root / CONTROL / "damaged"
    work.mkdir()
    (work / "journal").write_text("{")
    with pytest.raises(ApiError) as caught:
        run(bundle.write(bundle.file("a.py", "2")))
    assert caught.value.detail["reason"] == "damaged_journal"
    assert work.exists()


def test_a_bundle_whose_folder_of_ours_is_a_link_is_not_changed(bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "precious" / "folder").mkdir(parents=True)
    (bundle.root / CONTROL).symlink_to(tmp_path / "precious")
    with pytest.raises(BundleNotWritable):
        run(bundle.write(bundle.file("a.py", "1")))
    with pytest.raises(BundleNotWritable):
        run(bundle.writer.recover(bundle.root))
    assert [path.name for path in (tmp_path / "precious").iterdir()] == ["folder"]


def test_who_is_cancelled_in_the_middle_comes_to_the_end() -> None:
    async def main() -> None:
        reached = asyncio.Event()

        async def inner() -> str:
            reached.set()
            await asyncio.sleep(0.05)
            return "done"

        task = asyncio.create_task(to_the_end(inner()))
        await reached.wait()
        task.cancel()
        assert await task == ("done", True)
        assert await to_the_end(inner()) == ("done", False)

    run(main())


def test_links_and_folders_are_no_files(bundle: Bundle, tmp_path: Path) -> None:
    (bundle.root / "folder").mkdir()
    (bundle.root / "link").symlink_to(tmp_path / "history.db")
    os.mkfifo(bundle.root / "pipe")
    # Until something opens the other end: who waits for the pipe must not do so for ever.
    found = bundle_change.present(bundle.root, ["folder", "link", "pipe", "nothing", "folder/nothing"])
    assert {path: one.sha256 for path, one in found.items()} == dict.fromkeys(("folder", "link", "pipe"))
