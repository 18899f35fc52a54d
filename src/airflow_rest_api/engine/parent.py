"""The warm parent and its children as the API server sees them; new interpreters where it cannot fork."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from airflow_rest_api import private_folders, processes
from airflow_rest_api.engine import wire
from airflow_rest_api.engine.children import Child, ParentLost, Residents
from airflow_rest_api.engine.forkserver import Snapshot, snapshot
from airflow_rest_api.engine.job import Hooks, Limits

log = logging.getLogger(__name__)

SERVER_ONLY = ("_AIRFLOW_PROCESS_CONTEXT", "AIRFLOW_API_APPS", "AIRFLOW_DEV_RELOADER_PID")
"""Variables that Airflow's API server sets for itself; a command line does not have them."""

PATHS = (
    *("AIRFLOW_HOME", "AIRFLOW_CONFIG"),
    *("AIRFLOW__CORE__DAGS_FOLDER", "AIRFLOW__CORE__PLUGINS_FOLDER"),
)
"""Variables that are a path."""
EXPANDED = "~$"
"""What such a path begins with that Airflow makes another one of."""

BOOTSTRAP = (
    "import sys; root, module, *rest = sys.argv[1:]; sys.path = [p for p in sys.path if p]; "
    "sys.path.append(root) if root not in sys.path else None; import importlib; "
    "importlib.import_module(module).main(int(rest[0]), *rest[1:])"
)
"""Finds this package where the API server found it, be it site-packages or the plugins folder."""


FEW = 32
"""Files that are looked at in less time than a thread takes to begin."""


class CannotFork(Exception):
    """This machine has no room for one more process, or for its descriptors or its folder."""


def environment(limits: Limits) -> dict[str, str]:
    """
    Return the variables of commands: the server's own, for a terminal without colours.

    What is relative in them is so to the server's working folder, which is not that of commands.
    """
    kept = {name: value for name, value in os.environ.items() if name not in SERVER_ONLY}
    here = ""
    with contextlib.suppress(OSError):  # it was removed
        here = os.getcwd()
    for name in PATHS:
        if (path := kept.get(name)) and path[0] not in EXPANDED:
            kept[name] = os.path.join(here, path)
    if modules := kept.get("PYTHONPATH"):
        kept["PYTHONPATH"] = os.pathsep.join(os.path.join(here, part) for part in modules.split(os.pathsep))
    return {**kept, "COLUMNS": str(limits.columns), "NO_COLOR": "1", "TERM": "dumb"}


def interpreter(module: str, *rest: str, options: Sequence[str] = ()) -> list[str]:
    """Return the command line of a new interpreter that runs `main` of a module of this package."""
    root = str(Path(__file__).parents[2])
    return [sys.executable, *options, "-c", BOOTSTRAP, root, f"airflow_rest_api.{module}", *rest]


async def fresh_child(limits: Limits, folder: str) -> Child:
    """
    Start a new interpreter that waits for its job: slower by all of Airflow's imports, always possible.

    :raises OSError: this machine has no room for it
    """
    with contextlib.ExitStack() as opening:
        ours, theirs = map(opening.enter_context, socket.socketpair())
        out_read, out_write = _pipe(opening)
        err_read, err_write = _pipe(opening)
        opened = opening.pop_all()

    def start() -> subprocess.Popen[Any]:
        return subprocess.Popen(
            interpreter("engine.child", str(theirs.fileno())),
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=out_write,
            stderr=err_write,
            cwd=folder,
            env=environment(limits),
            start_new_session=True,
        )

    def abandon(started: asyncio.Future[subprocess.Popen[Any]]) -> None:
        # Without its engine the child ends by itself, and has to be reaped.
        opened.close()
        if not started.cancelled() and started.exception() is None:
            threading.Thread(target=started.result().wait, daemon=True).start()

    starting = asyncio.ensure_future(asyncio.to_thread(start))
    try:
        process = await asyncio.shield(starting)
    except BaseException:
        # The thread may still be at it: a descriptor that it hands on must not be another's by then.
        starting.add_done_callback(abandon)
        raise
    theirs.close()
    os.close(out_write)
    os.close(err_write)

    known: processes.Processes = {}

    def send_signal(number: int) -> None:
        if process.returncode is None:
            known.update(processes.detached_descendants(process.pid))
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            processes.signal_all(known, number)

    child = Child(process.pid, ours, out_read, err_read, send_signal)
    loop = asyncio.get_running_loop()

    def wait() -> None:
        # Not reaped yet: until the group is gone its number cannot be given to a stranger.
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        processes.kill_all(known)
        code = process.wait()
        # Where the loop is closed, nobody waits for it any more.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(child.has_exited, code)

    threading.Thread(target=wait, name=f"airflow-command-{process.pid}", daemon=True).start()
    return child


def _pipe(opened: contextlib.ExitStack) -> tuple[int, int]:
    """Return both ends of a new pipe, which `opened` closes."""
    ends = os.pipe()
    for end in ends:
        opened.callback(os.close, end)
    return ends


class WarmParent:
    """
    One warm parent process: asks it for children, and reads how they end.

    Its spare children are forked and connected before they are needed.

    :ivar outdated: whether something that the parent was made from has changed since, by the last `look`
    :raises CannotFork: this machine has no room for it
    """

    def __init__(self, limits: Limits, hooks: Hooks) -> None:
        self._limits = limits
        self._spares: deque[Child] = deque()
        self._wanted: deque[asyncio.Future[Child]] = deque()
        self._asked = 0
        self._children: dict[int, Child] = {}
        """All that live, the spares too."""
        self._residents = Residents(limits.residents)
        self._inbox = wire.Inbox(wire.LONGEST_OF_PARENT)
        self._watched: list[str] = []
        self._snapshot: Snapshot = {}
        self._retired = False
        self._looking = asyncio.Lock()
        self._next_look: asyncio.Task[None] | None = None
        self.outdated = False
        self.warmed = False
        self.ready: asyncio.Future[list[str]] = asyncio.get_running_loop().create_future()
        self.ready.add_done_callback(lambda future: future.cancelled() or future.exception())
        try:
            self._begin(hooks)
        except OSError as error:
            raise CannotFork from error

    def _begin(self, hooks: Hooks) -> None:
        """Start the process; raise OSError, with nothing of it left."""
        with contextlib.ExitStack() as made:
            self.folder = str(private_folders.make())
            made.callback(shutil.rmtree, self.folder, ignore_errors=True)
            self._orders, theirs = socket.socketpair()
            made.callback(self._orders.close)
            given = json.dumps(asdict(hooks))
            with theirs:
                self._process = subprocess.Popen(
                    interpreter(
                        "engine.forkserver", str(theirs.fileno()), self.folder, given, *self._limits.preload
                    ),
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    cwd=self.folder,
                    env=environment(self._limits),
                    start_new_session=True,
                )
            self._orders.setblocking(False)
            asyncio.get_running_loop().add_reader(self._orders, self._read)
            made.pop_all()

    @property
    def pid(self) -> int:
        """Return the process id of the parent."""
        return self._process.pid

    @property
    def lost(self) -> bool:
        """Whether the parent is gone."""
        return self._orders.fileno() < 0

    def look(self) -> asyncio.Task[None] | None:
        """
        Look whether the parent, which is ready, is outdated; return what ends once `outdated` says so.

        None where it says so already. Of any number that come during a look each waits for the next one,
        which they share: what has changed until now may be where this one has been.
        """
        if len(self._snapshot) <= FEW:
            self.outdated = self._has_changed()
            return None
        if self._next_look is None:
            self._next_look = asyncio.ensure_future(self._look())
        return self._next_look

    async def _look(self) -> None:
        async with self._looking:
            self._next_look = None
            try:
                # Not on the event loop: there may be thousands of files, and a slow disk.
                self.outdated = await asyncio.to_thread(self._has_changed)
            except Exception:
                # No thread may be left for it: the next command looks again.
                log.exception("It could not be seen whether the warm parent %d is outdated", self.pid)

    def _has_changed(self) -> bool:
        # Without its folder, which the children have from it, a command has none to run in.
        return not private_folders.is_there(self.folder) or snapshot(self._watched) != self._snapshot

    async def child(self) -> Child:
        """
        Return a child that waits for its job.

        :raises ParentLost: there will be none: the parent is gone
        :raises CannotFork: this machine has no room for one
        """
        if self.lost:
            raise ParentLost
        if self._spares:
            return self._spares.popleft()
        waiter: asyncio.Future[Child] = asyncio.get_running_loop().create_future()
        self._wanted.append(waiter)
        self.refill()
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self._keep(waiter.result())
            raise

    async def resident(self) -> Child:
        """
        Return a child that waits for a job and may take others, one that has run some where there is one.

        Where all are at work and none becomes free, it is one that ends with its job.

        :raises ParentLost: there will be none: the parent is gone
        :raises CannotFork: this machine has no room for one
        """
        child = await self._residents.take()
        if child is None:
            child = await self.child()
            self._residents.add(child)
            return child
        return _with_outputs(child)

    def idle_resident(self) -> Child | None:
        """Return a resident child that waits for a job, None where there is none; raise CannotFork."""
        child = self._residents.take_idle()
        return None if child is None else _with_outputs(child)

    def retire(self) -> None:
        """Give out no more children, and end as soon as those with a job have ended."""
        self._retired = True
        self._residents.close()
        while self._spares:
            self._spares.popleft().close()
        self._close_if_done()

    def _close_if_done(self) -> None:
        if self._retired and not (self._children or self._asked):
            self.close()

    def refill(self) -> None:
        """Ask for as many children as are wanted and should be spare."""
        spares = 0 if self._retired else self._limits.spares
        while not self.lost and self._asked + len(self._spares) < spares + len(self._wanted):
            urgent = self._asked < len(self._wanted)
            self._asked += 1
            self._order({"fork": not urgent})

    def _order(self, message: wire.Message) -> None:
        if self.lost:
            return
        try:
            # Orders are some thirty bytes: the socket's buffer takes thousands of them.
            self._orders.sendall(wire.pack(message))
        except OSError:
            self.close()

    def _read(self) -> None:
        try:
            data, descriptors, _, _ = socket.recv_fds(self._orders, 65536, 64 * wire.DESCRIPTORS)
        except BlockingIOError:
            return
        except OSError:
            data, descriptors = b"", []
        if not data:
            self.close()
            return
        for descriptor in descriptors:
            os.set_inheritable(descriptor, False)
        self._inbox.feed(data, descriptors)
        try:
            while (message := self._inbox.take()) is not None:
                self._take(*message)
        except (wire.Malformed, KeyError, TypeError, ValueError):
            log.exception("The warm parent %d sent a message that cannot be read: it is given up", self.pid)
            self.close()

    def _take(self, message: wire.Message, descriptors: list[int]) -> None:
        if "child" in message:
            self._add(message["child"], descriptors)
            self._close_if_done()
        elif "unforked" in message:
            self._asked -= 1
            log.error("The warm parent could not fork: %s", os.strerror(message["unforked"]))
            if (waiter := self._next_waiter()) is not None:
                waiter.set_exception(CannotFork())
            self._close_if_done()
        elif "exited" in message:
            child = self._children.pop(message["exited"], None)
            if child is None:
                return
            with contextlib.suppress(ValueError):
                self._spares.remove(child)
                child.close()
            self._residents.discard(child)
            child.has_exited(os.waitstatus_to_exitcode(message["status"]))
            self._close_if_done()
        elif "ready" in message:
            self._watched, self._snapshot = message["watched"], message["snapshot"]
            log.info("The warm parent %d is ready after %.1f s", self.pid, message["ready"])
            self.warmed = True
            if not self.ready.done():
                self.ready.set_result(message["threads"])
            self.refill()

    def _add(self, pid: int, descriptors: list[int]) -> None:
        self._asked -= 1
        if len(descriptors) != 3:
            # There was no room for them among ours.
            for descriptor in descriptors:
                os.close(descriptor)
            log.error("A child of the warm parent came without all its descriptors")
            self._order({"signal": signal.SIGKILL, "pid": pid})
            if (waiter := self._next_waiter()) is not None:
                waiter.set_exception(CannotFork())
            return
        control, stdout, stderr = descriptors
        child = Child(
            pid,
            socket.socket(fileno=control),
            stdout,
            stderr,
            lambda number: self._order({"signal": number, "pid": pid}),
        )
        self._children[pid] = child
        if (waiter := self._next_waiter()) is not None:
            waiter.set_result(child)
        else:
            self._keep(child)

    def _keep(self, child: Child) -> None:
        """Have a child without a job wait for one, unless none comes any more."""
        if self._retired or self.lost:
            child.close()
        else:
            self._spares.append(child)

    def _next_waiter(self) -> asyncio.Future[Child] | None:
        while self._wanted:
            waiter = self._wanted.popleft()
            if not waiter.done():
                return waiter
        return None

    def close(self) -> None:
        """End the parent and all its children now."""
        if self.lost:
            return
        asyncio.get_running_loop().remove_reader(self._orders)
        self._orders.close()
        for child in self._children.values():
            # The parent does more. Where it was killed, what a command has in a session of its own runs on.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(child.pid, signal.SIGKILL)
            if not child.exited.done():
                child.exited.set_exception(ParentLost())
        for child in self._spares:
            child.close()
        self._residents.close()
        self._children.clear()
        self._spares.clear()
        for waiter in self._wanted:
            if not waiter.done():
                waiter.set_exception(ParentLost())
        if not self.ready.done():
            self.ready.set_exception(ParentLost())
        asyncio.get_running_loop().run_in_executor(None, self._reap)

    def _reap(self) -> None:
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def _with_outputs(child: Child) -> Child:
    try:
        child.open_outputs()
    except OSError:
        child.close()
        raise CannotFork from None
    return child
