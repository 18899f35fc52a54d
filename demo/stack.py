"""A whole Airflow on this machine, with the plugin of this environment."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from demo import component, examples
from demo.client import Unavailable, request
from demo.component import Component
from demo.config import Options, is_anothers, write_config, write_passwords
from demo.ports import free_port, is_free
from demo.split import DagHost, NoRedis, on_api_host

COMPONENTS = ("api-server", "scheduler", "dag-processor", "triggerer")
USERS: Mapping[str, str] = {"admin": "ADMIN", "op": "OP", "user": "USER", "viewer": "VIEWER"}

# What a stack decides by itself, whatever stands in the environment it is started from. The last row is what
# Airflow 2 called some of it, which counts before a file.
_DECIDED: Mapping[str, tuple[str, ...]] = {
    "core": ("dags_folder", "simple_auth_manager_passwords_file", "simple_auth_manager_users"),
    "api": ("host", "port"),
    "logging": ("trigger_log_server_port", "worker_log_server_port"),
    "webserver": ("web_server_host", "web_server_port"),
}
_OURS = frozenset(
    f"AIRFLOW__{section}__{name}{ending}".upper()
    for section, names in _DECIDED.items()
    for name in names
    for ending in ("", "_cmd", "_secret")
) | {"PYTHONDONTWRITEBYTECODE"}

# What /monitor/health calls the components that report their health.
_HEALTH = {"scheduler": "scheduler", "dag-processor": "dag_processor", "triggerer": "triggerer"}


class StackError(Exception):
    """The stack could not be started, or a component ended by itself; one line says which and why."""


class Stack:
    """An Airflow in a folder of its own, on a port of its own.

    `home`: its AIRFLOW_HOME; created if needed, a former one is continued, another Airflow's refused.
    `port`: of the API server; None takes a free one.
    `dags`: the DAGs folder; None takes that of `like`, or else `home`/dags with a copy of the examples.
    `components`: which ones to start; nothing else is.
    `env`: variables for the components, on top of this process's environment.
    `users`: role by user name, for the simple auth manager; passwords are generated.
    `prefix`: a path under which the API server is reached, such as "/airflow".
    `expect`: DAGs that `start` waits for until they can be triggered; None: the examples.
    `like`: another stack of this machine whose database, secrets and passwords this one shares.
    `topology`: "single", or "split": the API server on a host without DAG files, all else on another one.
    `database`: the address of an empty one, or of a former stack's, in SQLAlchemy's form; None takes SQLite.
    """

    def __init__(
        self,
        home: Path,
        port: int | None = None,
        dags: Path | None = None,
        components: Sequence[str] = COMPONENTS,
        env: Mapping[str, str] | None = None,
        users: Mapping[str, str] = USERS,
        *,
        host: str = "127.0.0.1",
        prefix: str = "",
        expect: Collection[str] | None = (),
        like: Stack | None = None,
        database: str | None = None,
        topology: str = "single",
        timeout: float = 180.0,
    ) -> None:
        self.home = home.resolve()
        self.host = host
        self.port = free_port(host) if port is None else port
        # A server that listens on one address only answers nowhere else.
        self._name = "localhost" if host in ("", "127.0.0.1", "0.0.0.0") else host
        name = f"[{host}]" if ":" in host else self._name
        self.url = f"http://{name}:{self.port}{prefix.rstrip('/')}"
        self._examples = dags is None and like is None
        self.dags: Path = (dags or (like.dags if like else self.home / "dags")).resolve()
        self.passwords: dict[str, str] = {}
        self.components: list[Component] = []
        self._wanted = tuple(components)
        self._env = dict(env or {})
        self._users = dict(users)
        self._expect = None if expect is None else tuple(expect)
        self._expected: tuple[str, ...] = ()
        self._like = like
        self._database = database
        self._timeout = timeout
        self._lock: IO[str] | None = None
        self.topology = topology
        self._dag_host = DagHost(self.home / "dag-host", self.port) if topology == "split" else None

    @property
    def owned(self) -> bool:
        """Whether this stack holds its folder, rather than another one that runs there."""
        return self._lock is not None

    @property
    def dag_home(self) -> Path:
        """The AIRFLOW_HOME of the host with the DAG files."""
        return self.home if self._dag_host is None else self._dag_host.home

    @property
    def database(self) -> Path:
        """The SQLite file, where no other database was given."""
        return self._like.database if self._like else self.home / "airflow.db"

    @property
    def database_address(self) -> str:
        """The address of the database, in SQLAlchemy's form; it may hold a password."""
        if self._database is not None:
            return self._database
        if self._like:
            return self._like.database_address
        # SQLite lets one write at a time; Python's five seconds for the others are few on a busy machine.
        return f"sqlite:///{self.database}?timeout=60"

    @property
    def environment(self) -> dict[str, str]:
        """The variables with which an `airflow` command works on this stack."""
        env = {name: value for name, value in os.environ.items() if name not in _OURS}
        # Airflow talks to itself over HTTP, which a proxy of the environment must not get to see.
        ours = f"localhost,127.0.0.1,{self._name}"
        local = [entry for entry in (env.get("NO_PROXY"), env.get("no_proxy"), ours) if entry]
        env["NO_PROXY"] = env["no_proxy"] = ",".join(local)
        env["PATH"] = os.pathsep.join((str(Path(sys.executable).parent), env.get("PATH", os.defpath)))
        env["PYTHONUNBUFFERED"] = "1"
        env["AIRFLOW_HOME"] = str(self.home)
        env["AIRFLOW_CONFIG"] = str(self.home / "airflow.cfg")
        return env | (self._dag_host.options if self._dag_host else {}) | self._env

    def start(self) -> None:
        """Start the components and wait until they are healthy and the expected DAGs can be triggered.

        Raises `StackError` after stopping what had been started.
        """
        try:
            self._prepare()
            if self._like is None:
                self._migrate()
            if self._dag_host is not None:
                redis = self._dag_host.redis(self.environment)
                self.components += [] if redis is None else [redis]
            for name in self._wanted if self._dag_host is None else (*self._wanted, "runner"):
                self.components.append(self._launch(name, name))
            if "api-server" in self._wanted:
                self._wait_until(self._is_healthy, "Airflow is not healthy")
                if self._dag_host is not None:
                    self._wait_until(self._has_runner, "The runner is not ready")
                if self._expected:
                    self._wait_until(self._can_trigger, "The example DAGs cannot be triggered")
        except BaseException:
            self.stop()
            raise

    def wait_for_commands(self) -> None:
        """Wait until the plugin has run a command, and so runs others at once: its engine warms up first.

        Not where it is set up to refuse the command. Raises `StackError` where that takes too long, or a
        component ends.
        """
        api = f"{self.url}/admin/rest_api/v2"
        try:
            token = self.token()
            begun = request("POST", f"{api}/commands/version", {}, token=token, prefer="respond-async")

            def has_run() -> bool:
                found: str = request("GET", f"{api}/operations/{begun['id']}", token=token)["state"]
                return found not in ("queued", "running")

            self._wait_until(has_run, "The commands are not ready")
        except Unavailable as error:
            # Such as without the token of `rest_api_plugin_expected_http_token`.
            if error.status == HTTPStatus.FORBIDDEN:
                return
            self.check()
            raise StackError(f"The commands are not ready: {error}") from None

    def add_runner(self, name: str) -> None:
        """Start another runner on the host with the DAG files, and wait until it is ready.

        Raises `StackError` where that takes too long, and where there is no such host.
        """
        if self._dag_host is None:
            raise StackError("Only an Airflow on two hosts has runners")
        runner = self._dag_host.runner(name, self.environment)
        self.components.append(runner)
        self._wait_until(self._has_runner, "The runner is not ready")

    def stop(self) -> None:
        """End everything that was started; may be called at any time, and again."""
        component.stop(self.components)
        self.components.clear()
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def check(self) -> None:
        """Raise `StackError` if a component has ended by itself."""
        for each in self.components:
            if (code := each.process.poll()) is not None:
                if code < 0:
                    how = f"was killed by signal {-code}"
                else:
                    how = f"ended with exit code {code}: {each.last_line() or 'no output'}"
                raise StackError(f"{each.name} {how} (see {each.output})")

    def token(self, user: str = "admin") -> str:
        """Return a new token for a user, as any client would get it."""
        login = {"username": user, "password": self.passwords[user]}
        token: str = request("POST", f"{self.url}/auth/token", login)["access_token"]
        return token

    def get(self, path: str, user: str = "admin") -> Any:
        """Return what Airflow's own REST API answers to `GET /api/v2/<path>`."""
        return request("GET", f"{self.url}/api/v2/{path}", token=self.token(user))

    def __enter__(self) -> Stack:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _prepare(self) -> None:
        """Take the folder and the port, and write the configuration."""
        if is_anothers(self.home):
            # It may be that of the shell's AIRFLOW_HOME, with a configuration and a database of value.
            raise StackError(
                f"The Airflow in {self.home} is not the demo's;"
                " set AIRFLOW_HOME to another folder, or unset it"
            )
        self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        (self.home / "logs").mkdir(exist_ok=True)
        lock = (self.home / "demo.lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            raise StackError(
                f"Another demo is running in {self.home}; set AIRFLOW_HOME to another folder"
            ) from None
        self._lock = lock
        # Left by a demo that was killed.
        (self.home / "demo.json").unlink(missing_ok=True)
        if "api-server" in self._wanted:
            self._look_at_the_port()
        shipped = examples.renew(self.dags) if self._examples else []
        self._expected = tuple(shipped if self._expect is None else self._expect)
        passwords = self.home / "simple_auth_manager_passwords.json"
        known = self._like.passwords if self._like else None
        self.passwords = write_passwords(passwords, self._users, known)
        users = ",".join(f"{user}:{role}" for user, role in self._users.items())
        options: Options = {
            "core": {
                "dags_folder": str(self.dags),
                "simple_auth_manager_users": users,
                "simple_auth_manager_passwords_file": str(passwords),
                "execution_api_server_url": f"{self.url}/execution/",
            },
            "database": {"sql_alchemy_conn": self.database_address},
            "api": {"host": self.host, "port": str(self.port), "base_url": self.url},
            # Random ones, for stacks side by side.
            "logging": {
                "worker_log_server_port": str(free_port()),
                "trigger_log_server_port": str(free_port()),
            },
        }
        like = self._like.home / "airflow.cfg" if self._like else None
        if self._dag_host is not None:
            write_config(self.home / "airflow.cfg", options, like)
            try:
                no_dags = self.home / "no-dags"
                options = self._dag_host.prepare(options, self.home / "airflow.cfg", no_dags)
            except NoRedis as error:
                raise StackError(str(error)) from None
        write_config(self.home / "airflow.cfg", options, like)

    def _look_at_the_port(self) -> None:
        """Raise `StackError` where the API server cannot listen."""
        try:
            free = is_free(self.port, self.host)
        except OSError as error:
            where = f"port {self.port} of {self.host}"
            raise StackError(f"Nothing can listen on {where}: {error.strerror or error}") from None
        if not free:
            raise StackError(f"Port {self.port} is in use; set PORT to another one")

    def _migrate(self) -> None:
        """Create the database, or bring it up to date."""
        migration = self._launch("db-migrate", "db", "migrate")
        self.components.append(migration)
        try:
            code = migration.process.wait(self._timeout)
        except subprocess.TimeoutExpired:
            raise StackError(
                f"The database was not ready after {self._timeout:.0f} s (see {migration.output})"
            ) from None
        if code != 0:
            self.check()
        self.components.remove(migration)

    def _launch(self, name: str, *arguments: str) -> Component:
        # The script beside the interpreter: with `python -m` the working folder would be on the path.
        command = [sys.executable, str(Path(sys.executable).with_name("airflow")), *arguments]
        if self._dag_host is not None:
            if name not in ("api-server", "db-migrate"):
                return self._dag_host.launch(name, list(arguments), self.environment)
            command = on_api_host(command)
        output = self.home / "logs" / f"{name}.out"
        return Component(name, command, env=self.environment, cwd=self.home, output=output)

    def _wait_until(self, holds: Callable[[], bool], otherwise: str) -> None:
        deadline = time.monotonic() + self._timeout
        while not holds():
            self.check()
            if time.monotonic() > deadline:
                raise StackError(f"{otherwise} after {self._timeout:.0f} s (see {self.home / 'logs'})")
            time.sleep(0.1)

    def _is_healthy(self) -> bool:
        try:
            # Not for long: whoever waits also looks whether a component has ended.
            health = request("GET", f"{self.url}/api/v2/monitor/health", timeout=10)
        except Unavailable:
            return False
        return all(health[_HEALTH[name]]["status"] == "healthy" for name in self._wanted if name in _HEALTH)

    def _has_runner(self) -> bool:
        runner = self.components[-1]
        return b" ready." in runner.output.read_bytes()

    def _can_trigger(self) -> bool:
        """Tell whether each expected DAG is stored in the form that runs are made of."""
        try:
            for dag in self._expected:
                if not self.get(f"dags/{dag}/dagVersions")["dag_versions"]:
                    return False
        except Unavailable:
            return False
        return True
