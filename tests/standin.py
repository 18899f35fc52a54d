"""An app on Airflow's real auth manager and parser, with an engine that plays a part."""

from __future__ import annotations

import asyncio
import os
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, cast

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from airflow_rest_api.airflow.compat.version_compat import AIRFLOW_V_3_2_PLUS
from airflow_rest_api.app import create_app
from airflow_rest_api.engine.engine import WARMING_UP, Engine
from airflow_rest_api.engine.job import Ending, Job, Outcome
from airflow_rest_api.errors import Busy
from airflow_rest_api.settings import Settings
from airflow_rest_api.storage.database import own_engine
from airflow_rest_api.storage.migrations import migrate

Listener = Callable[[str, bytes], None]
Script = Callable[["StandInProcess"], Awaitable[Outcome]]


class Pipe:
    """A stream of which the listener is given all that is printed."""

    def __init__(self, stream: str, listener: Listener | None) -> None:
        self._stream = stream
        self._listener = listener

    def add(self, data: bytes) -> None:
        if self._listener is not None and data:
            self._listener(self._stream, data)


class StandInProcess:
    """What the rest of the plugin sees of `engine.Process`."""

    def __init__(
        self,
        job: Job,
        script: Script,
        on_output: Listener | None = None,
        warming: asyncio.Event | None = None,
    ) -> None:
        self.job = job
        self.state = "queued"
        self.created_at = time.time()
        self.started_at: float | None = None
        self.ended_at: float | None = None
        self.stdout = Pipe("stdout", on_output)
        self.stderr = Pipe("stderr", on_output)
        self.on_start: Callable[[], None] | None = None
        self.on_wait: Callable[[str], None] | None = None
        self._warming = warming
        self.cancelled = asyncio.Event()
        self.reason = ""
        self._script = script
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> Outcome:
        if self._warming is not None:
            await self._warming.wait()
        self.state, self.started_at = "running", time.time()
        if self.on_start is not None:
            self.on_start()
        outcome = await self._script(self)
        self.state, self.ended_at = "ended", time.time()
        return outcome

    async def wait(self) -> Outcome:
        return await asyncio.shield(self._task)

    def cancel(self, reason: str = "The command was cancelled.") -> bool:
        if self._task.done() or self.cancelled.is_set():
            return False
        self.reason = reason
        self.cancelled.set()
        return True


class StandInEngine:
    """Takes jobs like `engine.Engine`; what they do is the script's."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.jobs: list[Job] = []
        self.processes: list[StandInProcess] = []
        self.busy = False
        self.warming: asyncio.Event | None = None
        self.started = self.stopped = False

    @property
    def waits_for(self) -> str | None:
        return WARMING_UP if self.warming else None

    async def start(self) -> None:
        self.started = True

    async def stop(self, reason: str = "The API server was stopped.") -> None:
        self.stopped = True
        for process in self.processes:
            process.cancel(reason)

    def check_room(self) -> None:
        if self.busy:
            raise Busy(7)

    def submit(self, job: Job, on_output: Listener | None = None) -> StandInProcess:
        self.check_room()
        self.jobs.append(job)
        self.processes.append(StandInProcess(job, self.script, on_output, self.warming))
        return self.processes[-1]


def prints(stdout: str = "", stderr: str = "", exit_code: int = 0) -> Script:
    """Return the script of a command that prints and ends."""

    async def script(process: StandInProcess) -> Outcome:
        process.stdout.add(stdout.encode())
        process.stderr.add(stderr.encode())
        return Outcome(Ending.EXITED, exit_code)

    return script


async def until_cancelled(process: StandInProcess) -> Outcome:
    """Run until somebody cancels."""
    process.stdout.add(b"working\n")
    await process.cancelled.wait()
    return Outcome(Ending.CANCELLED, None, 15, process.reason)


def make_app(script: Script, **settings: Any) -> tuple[FastAPI, StandInEngine]:
    """Return an app and its engine; its operations are in a database of its own unless one is given."""
    engine = StandInEngine(script)
    auth_manager()
    settings.setdefault("operations_database", own_database())
    return create_app(Settings(**settings), engine=cast("Engine", engine)), engine


def own_database() -> str:
    """Return the address of a database that nobody else uses, with our tables in it."""
    path = Path(os.environ["AIRFLOW_HOME"]) / f"operations-{uuid.uuid4().hex}.db"
    path.write_bytes(_migrated())
    return f"sqlite:///{path}"


@cache
def _migrated() -> bytes:
    """Return a database with our tables: to make them costs more than most tests."""
    path = Path(os.environ["AIRFLOW_HOME"]) / f"migrated-{uuid.uuid4().hex}.db"
    engine = own_engine(f"sqlite:///{path}")
    migrate(engine)
    engine.dispose()
    return path.read_bytes()


@contextmanager
def serving(
    script: Script | None = None, *, user: str | None = "admin", root_path: str = "", **settings: Any
) -> Iterator[tuple[TestClient, StandInEngine]]:
    """Serve an app for the time of a test; requests carry the user's token."""
    app, engine = make_app(script or prints(), **settings)
    client = TestClient(app, root_path=root_path, raise_server_exceptions=False, follow_redirects=False)
    with client:
        if user is not None:
            client.headers["Authorization"] = f"Bearer {token(user)}"
        yield client, engine


@contextmanager
def fernet_keys() -> Iterator[Callable[..., None]]:
    """Yield what sets the keys of Airflow, and has them read anew; in the end they are those of before."""
    with pytest.MonkeyPatch.context() as patch:

        def use(*keys: str) -> None:
            patch.setenv("AIRFLOW__CORE__FERNET_KEY", ",".join(keys))
            _forget_keys()

        yield use
    _forget_keys()


def _forget_keys() -> None:
    from airflow.models import crypto

    if AIRFLOW_V_3_2_PLUS:
        crypto.get_fernet.cache_clear()
    else:
        crypto._fernet = None  # type: ignore[attr-defined]


@cache
def auth_manager() -> Any:
    """Return Airflow's simple auth manager, with the one table it looks into."""
    from airflow import settings
    from airflow.api_fastapi.app import init_auth_manager

    if AIRFLOW_V_3_2_PLUS:
        from airflow.models.revoked_token import RevokedToken

        RevokedToken.__table__.create(settings.engine, checkfirst=True)  # type: ignore[attr-defined]
    return init_auth_manager()


@cache
def airflow_database() -> None:
    """Make Airflow's tables, without its migrations: nobody asks for their number here."""
    from airflow import settings
    from airflow.models import import_all_models
    from airflow.models.base import Base

    auth_manager()
    import_all_models()
    Base.metadata.create_all(settings.engine)


@contextmanager
def rows_of_airflow(*rows: Any) -> Iterator[None]:
    """Have rows in Airflow's tables for the time of the body."""
    from airflow.utils.session import create_session

    airflow_database()
    with create_session() as session:
        session.add_all(rows)
    yield
    with create_session() as session:
        for row in rows:
            session.delete(row)


def token(name: str, *, seconds: int = 86_400) -> str:
    """Return a token for the user whose name is a role of the simple auth manager in lower case."""
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

    user = SimpleAuthManagerUser(username=name, role=name.split("-", maxsplit=1)[0].upper())
    return str(auth_manager().generate_jwt(user, expiration_time_in_seconds=seconds))


def bearer(name: str) -> dict[str, str]:
    """Return the header of a user."""
    return {"Authorization": f"Bearer {token(name)}"}
