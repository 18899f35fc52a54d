"""The second host of an Airflow that is split: DAG files, what parses and runs them, and a runner."""

from __future__ import annotations

import shutil
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

from demo.component import Component, on_host
from demo.config import Options, write_config
from demo.ports import free_port

API_HOST = "api-host"
"""What the API server's host is called, where this system lets us name one."""
QUEUE = "dags"
REDIS = ("127.0.0.1", 6379)
"""Where a Redis is looked for if none can be started: with one of its own a demo takes from no other."""

# What runs the code of DAG authors, or needs their files, and the components.
PLACEMENT = (
    f"dag-files = {QUEUE}, execute = {QUEUE}, service = {QUEUE}, list_dags = {QUEUE}, tasks * = {QUEUE}"
)


class NoRedis(Exception):
    """No Redis answers, and none is installed."""


class DagHost:
    """
    A host with the DAG files. The API server's has none of them, and runs nothing that needs them.

    `home`: its AIRFLOW_HOME; nothing but the database is shared with the API server.
    `port`: of the API server, by which demos that share a Redis differ.
    """

    def __init__(self, home: Path, port: int) -> None:
        self.home = home
        self._port = port
        self._redis_port: int | None = None
        self.broker = ""

    def prepare(self, options: Options, secrets: Path, no_dags: Path) -> Options:
        """Write the configuration of this host, and return that of the API server.

        `options`: of an Airflow on one host. `secrets`: the airflow.cfg with those to share.
        `no_dags`: the DAGs folder of the API server.
        """
        if shutil.which("redis-server") is not None:
            self._redis_port = free_port()
            self.broker = f"redis://127.0.0.1:{self._redis_port}/0"
        elif _answers():
            self.broker = f"redis://{REDIS[0]}:{REDIS[1]}/{self._port % 16}"
        else:
            raise NoRedis("No redis-server is installed to start one, and none answers on port 6379")
        (self.home / "logs").mkdir(mode=0o700, parents=True, exist_ok=True)
        no_dags.mkdir(exist_ok=True)
        write_config(self.home / "airflow.cfg", options, secrets)
        return {**options, "core": {**options["core"], "dags_folder": str(no_dags)}}

    @property
    def options(self) -> dict[str, str]:
        """The variables that both hosts have. They are in no file, which outlives this topology."""
        return {
            "AIRFLOW__REST_API_PLUGIN__PLACEMENT": PLACEMENT,
            "AIRFLOW__REST_API_PLUGIN__RUNNER_BROKER": self.broker,
            "AIRFLOW__REST_API_PLUGIN__RUN_DAG_CODE": "False",
        }

    def redis(self, environment: Mapping[str, str]) -> Component | None:
        """Start a Redis, where there is a program for it."""
        if self._redis_port is None:
            return None
        command = ["redis-server", "--port", str(self._redis_port), "--bind", "127.0.0.1", "--save", ""]
        return self._component("redis", command, environment)

    def launch(self, name: str, arguments: list[str], environment: Mapping[str, str]) -> Component:
        """Start a component of Airflow, or the first runner."""
        if name == "runner":
            return self.runner(name, environment)
        airflow = str(Path(sys.executable).with_name("airflow"))
        return self._component(name, [sys.executable, airflow, *arguments], environment)

    def runner(self, name: str, environment: Mapping[str, str]) -> Component:
        """Start a runner of the queue."""
        words = ["-m", "airflow_rest_api", "runner", "--queues", QUEUE, "--name", name]
        return self._component(name, [sys.executable, *words], environment)

    def _component(self, name: str, command: list[str], environment: Mapping[str, str]) -> Component:
        env = {
            **environment,
            "AIRFLOW_HOME": str(self.home),
            "AIRFLOW_CONFIG": str(self.home / "airflow.cfg"),
        }
        return Component(name, command, env=env, cwd=self.home, output=self.home / "logs" / f"{name}.out")


def on_api_host(command: list[str]) -> list[str]:
    """Return a command of the API server's host."""
    return on_host(API_HOST, command)


def _answers() -> bool:
    try:
        with socket.create_connection(REDIS, timeout=1) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
    except OSError:
        return False
