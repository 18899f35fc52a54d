from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest

from bench.following import Follower, tables

LATER = 0.2


class Streams(BaseHTTPRequestHandler):
    """Sends a line that was printed a moment ago, and then no end of others."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'event: state\ndata: {"state": "running"}\n\n')
        self.wfile.write(b'event: output\ndata: {"text": "printed at %.6f\\n"}\n\n' % (time.time() - LATER))
        while not self.server.over.wait(0.01):
            self.wfile.write(b'event: output\ndata: {"text": "printed at 1.0\\n"}\n\n')

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def address() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Streams)
    server.over = threading.Event()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.over.set()
        server.shutdown()
        thread.join()
        server.server_close()


def test_the_time_of_a_line_is_that_of_the_first_one(address: str) -> None:
    follower = Follower(SimpleNamespace(url=address), "token", "operation")
    follower.start()

    assert follower.reads.wait(60)
    follower.leave()
    follower.join(60)
    assert not follower.is_alive()
    assert follower.first is not None
    assert LATER <= follower.first < 60


@pytest.mark.parametrize(
    "server", ["postgresql+psycopg2://nobody@127.0.0.1:1/none", "mysql+pymysql://nobody@127.0.0.1:1/none"]
)
def test_without_a_postgresql_there_is_no_table(server: str) -> None:
    assert tables(server, 1, 1.0, print) is None
