"""A runner: a Celery worker whose task runs operations in the warm engine of its host."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import threading
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_rest_api import __version__, private_folders
from airflow_rest_api.airflow import installation
from airflow_rest_api.airflow.warm import HOOKS
from airflow_rest_api.commands.catalog import load_catalog
from airflow_rest_api.dag_files.works import DagFileWorks
from airflow_rest_api.engine.engine import WARM_WITHIN, Engine
from airflow_rest_api.errors import ApiError, Undecryptable
from airflow_rest_api.operations import heartbeat, rows, work_queue
from airflow_rest_api.operations.heartbeat import Heartbeat
from airflow_rest_api.operations.model import Operation, State, is_id
from airflow_rest_api.operations.work_orders import NamedWork, NotTaken, WorkOrder
from airflow_rest_api.placement import LOCAL, queue_name, queue_of_host
from airflow_rest_api.runners import assembly, broker
from airflow_rest_api.security.audit import Audit
from airflow_rest_api.services.service import LOG, START

if TYPE_CHECKING:
    from airflow_rest_api.settings import Settings

log = logging.getLogger(__name__)

T = TypeVar("T")

STOPPED = "The runner was stopped."
ROUND = 600.0
"""Seconds of one wait for the end of an operation."""
AGAIN = 1.0
"""Seconds after which an operation is asked for again whose user has their share of this runner."""
UNCLEAR = "The database lost the connection while the runner claimed it: whether it can be run is not known."
FOREIGN = "What was to be run could not be decrypted: the runner has another [core] fernet_key."


class Runner:
    """
    Runs operations in this process, on an event loop of its own in a thread.

    :param name: under which it is known
    :param queues: those that it serves, beside that of its host
    :param concurrency: operations that it runs at the same time
    :raises ValueError: a queue has no name that can be
    """

    def __init__(self, settings: Settings, name: str, queues: Sequence[str], concurrency: int) -> None:
        self.host = socket.gethostname()
        if LOCAL in queues:
            raise ValueError(f"{LOCAL!r} is no queue: it stands for the API server")
        names = [*map(queue_name, queues), queue_of_host(self.host)]
        self.name, self.queues, self.concurrency = name, list(dict.fromkeys(names)), concurrency
        self._settings = settings
        self._share = settings.running_per_user
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="rest-api-runner", daemon=True)
        self._claimed: set[str] = set()
        self._ending = False
        """What runs is to end, and nothing is to begin."""
        self._claiming = asyncio.Lock()
        """Two claims at once would not count each other into the share of their user."""
        self._audit = Audit()
        self._database = assembly.database(settings)
        self._store = assembly.store(settings, self._database)
        self._dispatcher = assembly.dispatcher(settings, self._store, self._audit)
        # The share of one user is seen to when an operation is claimed.
        self._engine = Engine(replace(assembly.limits(settings), parallelism=concurrency, share=None), HOOKS)
        self._operations = assembly.operations(
            settings,
            self._engine,
            self._store,
            self._dispatcher,
            {
                "runner": name,
                "queues": " ".join(self.queues),
                "concurrency": concurrency,
                "version": __version__,
                "airflow_version": installation.version(),
            },
        )
        self._heartbeat = Heartbeat(self._operations, self._store)
        self._dag_files = assembly.dag_files(settings, self._database)
        self._dag_file_works = DagFileWorks(self._dag_files, self._operations, settings.dag_files_size)
        self._services = assembly.services(settings, self._database, self._operations)

    def start(self) -> None:
        """Warm up, and be known as a runner; returns when commands can run."""
        self._thread.start()
        self._await(self._start())

    async def _start(self) -> None:
        await asyncio.to_thread(private_folders.sweep)
        await self._engine.start()
        await asyncio.to_thread(load_catalog)
        await asyncio.to_thread(installation.load_models)
        await self._engine.warm(WARM_WITHIN)
        self._heartbeat.start()
        self._dispatcher.watch.start()
        self._dag_files.recovery.start()
        self._services.local.upkeep.start()

    def run(self, identifier: object) -> None:
        """Run an operation to its end, if it still waits for a runner; blocks."""
        if not is_id(identifier):
            log.warning("A message without the id of an operation was dropped")
            return
        self._await(self._run(str(identifier)))

    def retire(self) -> None:
        """Serve no queue any more: what runs goes on."""
        with contextlib.suppress(Exception):
            self._await(self._database.run(partial(work_queue.retire, server=self._operations.server.id)))

    def interrupt(self) -> None:
        """Have what runs end, and begin nothing more."""
        self._ending = True
        self._loop.call_soon_threadsafe(self._operations.stop, STOPPED)

    def stop(self) -> None:
        """End what still runs, and everything else."""
        self._await(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    async def _stop(self) -> None:
        await self._dispatcher.watch.stop()
        await self._services.local.upkeep.stop()
        self._operations.stop(STOPPED)
        await self._engine.stop(STOPPED)
        await self._operations.settle()
        await self._services.local.close()
        await self._dag_files.recovery.stop()
        await self._heartbeat.stop()
        await asyncio.to_thread(self._audit.close)
        self._database.close()

    def _await(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _run(self, identifier: str) -> None:
        if identifier in self._claimed or self._ending:
            return  # The same message came twice, or it is sent again soon, for another runner.
        self._claimed.add(identifier)
        try:
            server = self._operations.server
            claiming = partial(work_queue.claim, identifier=identifier, server=server, share=self._share)
            # A claim that is committed after we have given it up: nobody runs it then.
            undo = partial(heartbeat.lose, identifier=identifier, server=server.id, message=UNCLEAR)
            try:
                async with self._claiming:
                    claimed = await self._store.claimed(identifier, claiming, undo)
            except work_queue.ShareUsedUp as full:
                await self._dispatcher.send_later(full.queue, identifier, AGAIN)
                return
            if claimed is None:
                log.info("Operation %s is not run: another runner has it, or it has ended", identifier)
                return
            begun = await self._begin(*claimed)
            # Its files are large.
            del claimed
            if self._ending:
                self._operations.stop(STOPPED)
            while begun and not (await self._operations.wait(identifier, ROUND)).state.ended:
                pass
        finally:
            self._claimed.discard(identifier)

    async def _begin(self, operation: Operation, data: bytes) -> bool:
        """Begin an operation that this runner has claimed; return whether that could be done."""
        identifier = operation.id
        order: WorkOrder | None = None
        try:
            if not data:
                raise NotTaken(UNCLEAR)
            order = await asyncio.to_thread(self._dispatcher.opened, data, identifier)
            # Read at the start, and kept since.
            catalog = load_catalog()
            record = self._dispatcher.end_record(order)
            if order.work is None:
                await self._operations.run_claimed(operation, order, catalog, record)
            else:
                work = self._named(order.work, order)
                self._operations.run_claimed_work(operation, work, record)
        except (NotTaken, ApiError) as error:
            words = FOREIGN if isinstance(error, Undecryptable) else str(error)
            await self._refuse(operation, order, State.FAILED if data else State.LOST, words)
            return False
        except Exception:
            log.exception("Operation %s could not be begun", identifier)
            words = "Something went wrong in the runner; its log says more."
            await self._refuse(operation, order, State.LOST, words)
            return False
        return True

    def _named(self, work: Mapping[str, Any], order: WorkOrder) -> NamedWork:
        """Return the work of an order; raise NotTaken."""
        if work["name"] == START:
            return self._services.ordered(work["values"], order.user)
        if work["name"] == LOG:
            return self._services.reading(work["values"])
        return self._dag_file_works.ordered(work, order.uploads)

    async def _refuse(
        self, operation: Operation, order: WorkOrder | None, state: State, message: str
    ) -> None:
        """Give an operation its end that was claimed and cannot be run."""
        log.warning("Operation %s cannot be run here: %s", operation.id, message)
        operation.state, operation.message = state, message
        operation.finished_at = datetime.now(timezone.utc)
        await self._store.write(rows.ended(operation))
        if order is not None:
            self._dispatcher.record_end(order, operation)


def serve(settings: Settings, name: str, queues: Sequence[str], concurrency: int, level: str) -> int:
    """
    Be a runner until Celery's worker ends; return its exit code.

    TERM lets what runs come to its end, QUIT does not.

    :raises ValueError: a queue has no name that can be
    """
    from celery.signals import (  # type: ignore[import-untyped]
        worker_init,
        worker_ready,
        worker_shutting_down,
    )

    workers: list[Any] = []
    app = broker.celery_app(settings)
    runner = Runner(settings, name, queues, concurrency)

    @app.task(name=broker.TASK)  # type: ignore[untyped-decorator]
    def run(identifier: object) -> None:
        runner.run(identifier)

    def retire(**_: object) -> None:
        threading.Thread(target=runner.retire, daemon=True).start()

    def note(sender: Any, **_: object) -> None:
        # `worker_main` does not say how it ended.
        workers.append(sender)

    def take_signals(**_: object) -> None:
        _take_signals(runner.interrupt, retire)

    worker_init.connect(note, weak=False)
    worker_ready.connect(take_signals, weak=False)
    worker_shutting_down.connect(retire, weak=False)
    runner.start()
    try:
        app.worker_main(
            [
                "worker",
                "--pool=threads",
                f"--concurrency={concurrency}",
                f"--hostname={name}",
                f"--queues={','.join(map(broker.broker_queue, runner.queues))}",
                f"--loglevel={level}",
            ]
        )
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    finally:
        runner.stop()
    return next((int(one.exitcode or 0) for one in workers), 0)


def _take_signals(interrupt: Callable[[], None], retire: Callable[[], None]) -> None:
    """
    Have QUIT, and a second INT, end what runs; to be called in the main thread.

    Celery's own handlers would end the tasks of its pool: from 5.5 on they raise an error for one of threads,
    and wait until what runs has ended by itself.
    """
    from celery.worker import state  # type: ignore[import-untyped]

    # Python runs a handler when the main thread comes to it: never, where the signal meets it on its way into
    # the wait for the end of what runs. A thread of its own reads what is written for a signal at once.
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    signal.set_wakeup_fd(writer.detach(), warn_on_full_buffer=False)

    def follow() -> None:
        interrupted = False
        while number := reader.recv(1):
            if number[0] == signal.SIGQUIT or (number[0] == signal.SIGINT and interrupted):
                interrupt()
                retire()
            interrupted = interrupted or number[0] == signal.SIGINT

    def leave(number: int, frame: FrameType | None) -> None:
        state.should_stop = 0

    first = signal.getsignal(signal.SIGINT)

    def first_interrupt(number: int, frame: FrameType | None) -> None:
        if callable(first):
            # It takes the signal for the next time, which is ours.
            first(number, frame)
        signal.signal(signal.SIGINT, leave)

    threading.Thread(target=follow, name="rest-api-signals", daemon=True).start()
    signal.signal(signal.SIGINT, first_interrupt)
    signal.signal(signal.SIGQUIT, leave)
