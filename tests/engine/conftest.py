"""Engines for the tests, without Airflow: a shared one, and new ones for tests that break theirs."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from airflow_rest_api.engine.engine import Engine
from airflow_rest_api.engine.job import Hooks, Job, Limits, Outcome
from airflow_rest_api.engine.process import Listener, Process
from airflow_rest_api.operations.transcript import STREAMS, Stream, Transcript

T = TypeVar("T")
Run = Callable[[Coroutine[Any, Any, T]], T]


class Printed:
    """What a process has printed on one stream, as far as it is kept."""

    def __init__(self, transcript: Transcript, stream: Stream) -> None:
        self._transcript = transcript
        self._stream = stream
        self.size = 0

    @property
    def text(self) -> str:
        return self._transcript.text(self._stream)

    @property
    def truncated(self) -> bool:
        return self._transcript.truncated


class KeepingEngine(Engine):
    """An engine whose processes keep what they print."""

    def submit(self, job: Job, on_output: Listener | None = None) -> Process:
        transcript = Transcript(2**21)
        kept = {stream: Printed(transcript, stream) for stream in STREAMS}

        def listen(stream: Any, data: bytes) -> None:
            kept[stream].size += len(data)
            transcript.add(stream, data)
            if on_output is not None:
                on_output(stream, data)

        process: Any = super().submit(job, listen)
        process.stdout, process.stderr = kept["stdout"], kept["stderr"]
        return process


@pytest.fixture(scope="session", autouse=True)
def _acts_are_found() -> None:
    # The children find the module `acts` as any program finds its modules.
    os.environ["PYTHONPATH"] = os.pathsep.join(
        filter(None, [str(Path(__file__).parent), os.environ.get("PYTHONPATH")])
    )


@pytest.fixture(scope="package")
def run(_acts_are_found: None) -> Iterator[Run[Any]]:
    """Run a coroutine on the event loop that the session's engines live on."""
    loop = asyncio.new_event_loop()
    yield loop.run_until_complete
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()


@pytest.fixture(scope="package")
def hooks() -> Hooks:
    """Return the hooks of the engines: none, so that they are ready at once."""
    return Hooks()


@pytest.fixture(scope="package")
def engine(run: Run[None], hooks: Hooks) -> Iterator[Engine]:
    """Return a warm engine that no test breaks."""
    warm = KeepingEngine(Limits(parallelism=4, queue=2, grace=1.0), hooks)
    run(warm.start())
    yield warm
    run(warm.stop())


@pytest.fixture
def new_engine(run: Run[None], hooks: Hooks) -> Iterator[Callable[..., Engine]]:
    """Make engines of the test's own, stopped when it ends."""
    made: list[Engine] = []

    def make(hooks: Hooks = hooks, **limits: Any) -> Engine:
        made.append(KeepingEngine(Limits(**{"grace": 1.0, **limits}), hooks))
        return made[-1]

    yield make
    for engine in made:
        run(engine.stop())


@pytest.fixture(params=["fork", "fresh"])
def any_engine(request: pytest.FixtureRequest, engine: Engine, new_engine: Callable[..., Engine]) -> Engine:
    """Return an engine of each kind: with a warm parent, and with a new interpreter for each command."""
    return engine if request.param == "fork" else new_engine(fork=False)


def act(name: str, *argv: str, **options: Any) -> Job:
    """Return the job that does one of the acts."""
    return Job(argv=argv, entry=f"acts:{name}", **options)


async def outcome(engine: Engine, job: Job) -> tuple[Outcome, Any]:
    """Run a job to its end."""
    process = engine.submit(job)
    return await asyncio.wait_for(process.wait(), 180), process


async def at_rest(engine: Engine) -> None:
    """Wait until the spare children that the last commands took are made anew, a minute at most."""
    for _ in range(6000):
        parent = engine._parent
        if parent is not None and not parent._asked and len(parent._spares) >= engine.limits.spares:
            return
        await asyncio.sleep(0.01)
    raise TimeoutError("there are not as many spare children as there should be")


async def first_line(process: Any) -> str:
    """Wait for the first line that a command prints."""
    for _ in range(18_000):
        if "\n" in process.stdout.text:
            return process.stdout.text.splitlines()[0]
        await asyncio.sleep(0.01)
    raise TimeoutError("nothing was printed")


async def gone(pid: int) -> bool:
    """Wait until a process is no more, a minute at most."""
    for _ in range(6000):
        if not alive(pid):
            return True
        await asyncio.sleep(0.01)
    return False


def alive(pid: int) -> bool:
    """Return whether a process runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
