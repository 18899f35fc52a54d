"""Another client of Airflow, beside whatever is done to the plugin."""

from __future__ import annotations

import http.client
import threading
import time
from types import TracebackType
from urllib.parse import urlsplit

ROUTE = "/api/v2/version"
"""A route of Airflow's that needs neither user nor database."""
PAUSE = 0.05
PATIENCE = 120.0


class Watch:
    """
    Asks Airflow for its version on and on, on a connection of its own each time.

    :ivar slowest: seconds of the answer that took longest
    :ivar beside: what is done meanwhile, in the words of who does it
    :ivar waits: seconds of the longest answer by what was done beside it
    """

    def __init__(self, url: str) -> None:
        address = urlsplit(url)
        self._port = address.port or 80
        self._path = address.path.rstrip("/") + ROUTE
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._ask, daemon=True)
        self.slowest = 0.0
        self.count = 0
        self.wrong: list[str] = []
        self.beside = ""
        self.waits: dict[str, float] = {}

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join(PATIENCE)

    def lap(self) -> float:
        """Return the slowest answer since the last lap, one that is still awaited included."""
        count = self.count
        while self.count < count + 2 and self._thread.is_alive():
            time.sleep(PAUSE / 5)
        slowest, self.slowest = self.slowest, 0.0
        return slowest

    def _ask(self) -> None:
        while not self._ended.is_set():
            began, beside = time.perf_counter(), self.beside
            try:
                connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE)
                connection.request("GET", self._path)
                status = connection.getresponse().status
                connection.close()
                if status != 200:
                    self.wrong.append(str(status))
            except (OSError, http.client.HTTPException) as error:
                self.wrong.append(type(error).__name__)
            seconds = time.perf_counter() - began
            self.slowest = max(self.slowest, seconds)
            for what in {beside, self.beside}:
                self.waits[what] = max(self.waits.get(what, 0.0), seconds)
            self.count += 1
            self._ended.wait(PAUSE)
