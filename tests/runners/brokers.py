"""Brokers of the tests' own, which can be killed and come back empty."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import redis
from kombu import Connection

from demo.ports import free_port
from tests.servers import require_program


class Redis:
    """A Redis that keeps nothing on disk."""

    def __init__(self, folder: Path) -> None:
        self._program = require_program("redis-server", "redis-server")
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        words = [self._program, "--port", str(self.port), "--save", "", "--bind", "127.0.0.1"]
        self._process = subprocess.Popen(words, cwd=self._folder, stdout=subprocess.DEVNULL)
        until_answered(self.url)

    def kill(self) -> None:
        """End it at once; what it held is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(30)

    def client(self) -> redis.Redis:
        return redis.Redis.from_url(self.url)


class RabbitMQ:
    """A RabbitMQ node with a folder of its own."""

    def __init__(self, folder: Path) -> None:
        # That of the path becomes the user rabbitmq, who has no business in our folder.
        inner = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
        named = require_program("rabbitmq-server", "rabbitmq-server")
        self._program = str(inner) if inner.exists() else named
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()
        self._distribution = free_port()
        self.url = f"amqp://guest:guest@127.0.0.1:{self.port}//"

    def start(self) -> None:
        """Start it empty."""
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True)
        env = {
            **os.environ,
            "HOME": str(self._folder),
            "RABBITMQ_NODENAME": f"runners{self.port}@localhost",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_DIST_PORT": str(self._distribution),
            "RABBITMQ_MNESIA_BASE": str(self._folder / "data"),
            "RABBITMQ_LOG_BASE": str(self._folder / "logs"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self._folder / "plugins"),
            "RABBITMQ_CONFIG_FILE": str(self._folder / "rabbitmq"),
        }
        (self._folder / "plugins").write_text("[].\n")
        (self._folder / "rabbitmq.conf").write_text("")
        with (self._folder / "out").open("wb") as out:
            self._process = subprocess.Popen(
                [self._program], cwd=self._folder, env=env, stdout=out, stderr=out, start_new_session=True
            )
        until_answered(self.url, 120)

    def kill(self) -> None:
        """End it at once."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(30)


Broker = Redis | RabbitMQ


def until_answered(url: str, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            with Connection(url, connect_timeout=3) as connection:
                connection.ensure_connection(max_retries=1)
                return
        except Exception:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
