from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from airflow_rest_api.api.lifespan import stopping
from demo.ports import free_port
from tests.standin import bearer

ROOT = Path(__file__).resolve().parent.parent.parent
PATIENCE = 90.0


@pytest.fixture
def server() -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A real server process and its address."""
    port = free_port()
    env = {**os.environ, "NO_PROXY": "*"}
    process = subprocess.Popen([sys.executable, "-m", "tests.api.served", str(port)], cwd=ROOT, env=env)
    url = f"http://127.0.0.1:{port}/plugin/v2"
    try:
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                httpx.get(f"{url}/operations", timeout=30)
                break
            except httpx.TransportError:
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.1)
        yield process, url
    finally:
        process.kill()
        process.wait()


@pytest.mark.slow
def test_a_server_that_is_told_to_stop_does_not_wait_for_those_who_follow_or_wait(
    server: tuple[subprocess.Popen[bytes], str],
):
    process, url = server
    with httpx.Client(headers=bearer("admin"), timeout=PATIENCE) as client:
        made = client.post(f"{url}/commands/version", headers={"Prefer": "respond-async"}).json()
        path = f"{url}/operations/{made['id']}"
        with client.stream("GET", f"{path}/events") as answer:
            lines = answer.iter_lines()
            while '"text": "working\\n"' not in next(lines):
                pass
            thread = threading.Thread(target=wait_for_the_end, args=(path,))
            thread.start()
            process.send_signal(signal.SIGTERM)
            told = "\n".join(lines)
        # uvicorn itself would wait for two minutes.
        process.wait(PATIENCE)
        thread.join(PATIENCE)

    assert "event: end" not in told


def wait_for_the_end(path: str) -> None:
    with contextlib.suppress(httpx.TransportError):  # the server may be gone before it is asked
        httpx.get(path, headers={**bearer("admin"), "Prefer": "wait=300"}, timeout=PATIENCE)


def test_a_process_without_a_server_that_says_so_does_not_stop(monkeypatch: pytest.MonkeyPatch):
    class Server:
        should_exit = False

        def handle_exit(self, number: int, frame: object) -> None:
            self.should_exit = True

    server = Server()
    assert not stopping()
    before = signal.signal(signal.SIGTERM, server.handle_exit)
    try:
        assert not stopping()
        signal.raise_signal(signal.SIGTERM)
        assert stopping()
    finally:
        signal.signal(signal.SIGTERM, before)
    assert not stopping()
