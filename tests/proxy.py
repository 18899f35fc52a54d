"""A TCP proxy in front of a server, to take the server away and bring it back."""

from __future__ import annotations

import contextlib
import socket
import threading
from types import TracebackType


class Proxy:
    """
    Passes bytes between its port and a server's, until it is told not to.

    `cut` ends all connections and refuses new ones; `freeze` lets connections stand and passes nothing;
    `restore` ends either.
    """

    def __init__(self, host: str, port: int) -> None:
        self._server = (host, port)
        self._lock = threading.Lock()
        self._sockets: set[socket.socket] = set()
        self._flowing = threading.Event()
        self._flowing.set()
        self._listener: socket.socket | None = None
        self.port = 0
        self.restore()

    def cut(self) -> None:
        """Take the server away."""
        with self._lock:
            listener, self._listener = self._listener, None
            sockets, self._sockets = self._sockets, set()
        if listener is not None:
            # Wakes the thread that waits in accept.
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        self._flowing.set()
        for each in sockets:
            _close(each)

    def freeze(self) -> None:
        """Swallow everything, as a network does that has lost its way."""
        self._flowing.clear()

    def restore(self) -> None:
        """Bring the server back, at the same port."""
        self._flowing.set()
        with self._lock:
            if self._listener is None:
                listener = socket.socket()
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                listener.bind(("127.0.0.1", self.port))
                listener.listen(128)
                self.port = listener.getsockname()[1]
                self._listener = listener
                threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def passed(self, source: socket.socket, data: bytes) -> None:
        """Bytes of one side are about to be passed on: for those who want to read them."""

    def __enter__(self) -> Proxy:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cut()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(self._server)
            except OSError:
                _close(client)
                continue
            with self._lock:
                alive = self._listener is listener
                if alive:
                    self._sockets |= {client, server}
            if not alive:
                _close(client)
                _close(server)
                continue
            for source, target in ((client, server), (server, client)):
                threading.Thread(target=self._pass, args=(source, target), daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                self._flowing.wait()
                self.passed(source, data)
                target.sendall(data)
        with self._lock:
            self._sockets -= {source, target}
        _close(source)
        _close(target)


def _close(each: socket.socket) -> None:
    with contextlib.suppress(OSError):
        each.shutdown(socket.SHUT_RDWR)
    each.close()
