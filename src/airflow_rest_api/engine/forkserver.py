"""
The warm parent: a single-threaded process that has imported everything and forks the children for commands.

It is no part of the web server: it has no HTTP, no users and no event loop of anyone else. It obeys one
socket, and when that closes, because the API server stopped or died, it ends its children, removes its
folder and ends. What it does ahead for the commands is a hook: see `job.Hooks`. When one of the files that it
was made from changes, it is renewed.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import selectors
import shutil
import signal
import socket
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import NoReturn

from airflow_rest_api import processes
from airflow_rest_api.engine import descriptors, wire
from airflow_rest_api.engine.child import CONTROL, become_child
from airflow_rest_api.engine.job import Hooks, function
from airflow_rest_api.engine.surroundings import note_code

Snapshot = dict[str, list[int]]

PACKAGES = ("site-packages", "dist-packages")
IGNORED = frozenset({"__pycache__", ".git", "node_modules"})


def snapshot(paths: Sequence[str]) -> Snapshot:
    """Return the state of `paths` by path: time of change, size, inode; what is not there is left out."""
    found = {}
    for path in paths:
        for entry in _entries(path):
            with contextlib.suppress(OSError):
                stat = os.stat(entry)
                found[entry] = [stat.st_mtime_ns, stat.st_size, stat.st_ino]
    return found


def _entries(path: str) -> Iterator[str]:
    """
    Return the files of a folder, but for a folder of installed packages and for a file itself alone.

    A folder's own time is of no use here: an import changes it by writing `__pycache__`.
    """
    if path.endswith(PACKAGES) or not os.path.isdir(path):
        yield path
        return
    for folder, folders, files in os.walk(path):
        folders[:] = [name for name in folders if name not in IGNORED]
        yield from (os.path.join(folder, name) for name in files)


class ForkServer:
    """
    Forks, signals and reaps children on the engine's orders.

    Orders: `{"fork": spare}`, `{"signal": n, "pid": pid}`. Reports: `{"ready": …}` once, `{"child": pid}`
    with three descriptors (control socket, standard output, standard error), `{"unforked": errno}` where
    there is no room for one more, and `{"exited": pid, "status": wait status}`.
    """

    def __init__(self, orders: socket.socket, hooks: Hooks | None = None) -> None:
        self._orders = orders
        self.hooks = hooks or Hooks()
        self.held: dict[int, descriptors.Held] = {}
        """What is open here for something that was imported, and lives on in the children."""
        self._children: dict[int, processes.Processes] = {}
        """With what each had started elsewhere when it was signalled: after its end that cannot be found."""
        self._pid = os.getpid()

    def run(self) -> None:
        """Obey until the engine is gone."""
        bell, ring = socket.socketpair()
        for end in (bell, ring):
            end.setblocking(False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(ring.fileno(), warn_on_full_buffer=False)
        with selectors.DefaultSelector() as selector, bell, ring:
            selector.register(self._orders, selectors.EVENT_READ)
            selector.register(bell, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select():
                    if key.fileobj is bell:
                        bell.recv(4096)
                        self._reap()
                    elif not self._obey():
                        signal.set_wakeup_fd(-1)
                        return

    def end_children(self) -> None:
        """Kill every child with all that it started."""
        for pid, known in self._children.items():
            known |= processes.detached_descendants(pid)
            _signal_group(pid, signal.SIGKILL)
            processes.kill_all(known)

    def _obey(self) -> bool:
        order = wire.receive(self._orders)
        if order is None:
            return False
        try:
            if "fork" in order:
                self._fork(spare=order["fork"])
            elif (known := self._children.get(order["pid"])) is not None:
                known |= processes.detached_descendants(order["pid"])
                _signal_group(order["pid"], order["signal"])
                processes.signal_all(known, order["signal"])
        except BrokenPipeError:
            return False
        return True

    def _fork(self, *, spare: bool) -> None:
        # A command is waiting for a child that is no spare: it must not wait for the preparation too.
        prepare, rest = function(self.hooks.spare if spare else None), function(self.hooks.rest)
        opened: list[int] = []
        try:
            for pair in (_sockets, os.pipe, os.pipe):
                opened += pair()
            pid = os.fork()
        except OSError as error:
            # Those that run have nothing to do with it.
            for descriptor in opened:
                os.close(descriptor)
            wire.send(self._orders, {"unforked": error.errno})
            return
        ours, theirs, out_read, out_write, err_read, err_write = opened
        if pid == 0:
            become_child(theirs, out_write, err_write, self._pid, prepare, rest, self.held)
        self._children[pid] = {}
        wire.send(self._orders, {"child": pid, "descriptors": 3}, [ours, out_read, err_read])
        for descriptor in opened:
            os.close(descriptor)

    def _reap(self) -> None:
        while self._children:
            # Not reaped yet: until we are done its number cannot be given to a stranger.
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if ended is None:
                return
            _signal_group(ended.si_pid, signal.SIGKILL)
            _, status = os.waitpid(ended.si_pid, 0)
            processes.kill_all(self._children.pop(ended.si_pid, {}))
            wire.send(self._orders, {"exited": ended.si_pid, "status": status})


def _sockets() -> tuple[int, int]:
    one, other = socket.socketpair()
    return one.detach(), other.detach()


def _signal_group(pid: int, number: int) -> None:
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):
        # Gone, or not yet a group of its own: the moment between fork and setsid. Or it has become a program
        # of another user's, such as sudo, which nobody but that user can end.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def main(descriptor: int, folder: str, hooks: str, *preload: str) -> NoReturn:
    """
    Warm up, then serve.

    :param descriptor: the socket to the engine
    :param folder: the engine's private folder, removed when the engine is gone
    :param hooks: the engine's, as JSON
    :param preload: modules for the hook `warm` to import
    """
    os.set_inheritable(descriptor, False)
    orders = socket.socket(fileno=descriptor)
    if descriptor != CONTROL:
        # The children have another use for this number than what is imported here would.
        os.dup2(0, CONTROL, inheritable=False)
    watched: list[str] = []
    seen: Snapshot = {}
    server = ForkServer(orders, Hooks(**json.loads(hooks)))

    def watch(paths: Iterable[str]) -> None:
        watched.extend(paths)
        seen.update(snapshot(watched))

    try:
        started = time.monotonic()
        # Nearly all that a warm-up makes stays: to look for what does not takes a fifth of its time.
        gc.disable()
        function(server.hooks.warm)(watch, preload)
        note_code(server.hooks.package, server.hooks.elsewhere)
        gc.collect()
        gc.freeze()
        gc.enable()
        server.held = descriptors.held(besides={*range(CONTROL + 1), orders.fileno()})
        ready = {
            "ready": time.monotonic() - started,
            "watched": watched,
            "snapshot": seen,
            "threads": [one.name for one in threading.enumerate() if one is not threading.main_thread()],
        }
        wire.send(orders, ready)
        server.run()
    finally:
        server.end_children()
        shutil.rmtree(folder, ignore_errors=True)
        os._exit(0)
