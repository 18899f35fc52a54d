"""What tests need beside Airflow: what lacks is named, and is a failure where everything has to run."""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit

import psycopg2
import pymysql
import pytest
import redis
from sqlalchemy.engine import URL, make_url

from tools.dist import CLIENT, build_wheel

ROOT = Path(__file__).resolve().parent.parent
VENVS = ROOT / ".venvs"
PIP = ("-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--require-hashes", "--no-deps")

REDIS = "redis://127.0.0.1:6379/13"
"""Not the database that others use by default."""
POSTGRESQL = "postgresql+psycopg2://postgres@127.0.0.1:5432/postgres"
MARIADB = "mysql+pymysql://root@127.0.0.1:3306/mysql"
"""Where databases of the tests' own are made: see `tests.databases`."""


def require_redis(url: str = REDIS) -> str:
    """Return the address of a Redis that answers."""
    try:
        redis.Redis.from_url(url, socket_connect_timeout=30).ping()
    except redis.RedisError as error:
        _lacking(f"Redis at {urlsplit(url).netloc}: {error}")
    return url


def require_postgresql(url: str = POSTGRESQL) -> URL:
    """Return the address of a PostgreSQL that lets us in."""
    address = make_url(url)
    try:
        psycopg2.connect(
            host=address.host,
            port=address.port,
            user=address.username,
            dbname=address.database,
            connect_timeout=30,
        ).close()
    except psycopg2.Error as error:
        _lacking(f"PostgreSQL at {address.host}:{address.port}: {error}")
    return address


def require_mariadb(url: str = MARIADB) -> URL:
    """Return the address of a MariaDB or MySQL that lets us in."""
    address = make_url(url)
    try:
        pymysql.connect(
            host=address.host,
            port=address.port or 3306,
            user=address.username,
            database=address.database,
            connect_timeout=30,
        ).close()
    except pymysql.Error as error:
        _lacking(f"MariaDB at {address.host}:{address.port}: {error}")
    return address


def require_mysqlclient() -> None:
    """Make sure of the driver with which Airflow runs on MySQL and MariaDB: it is built from C."""
    if importlib.util.find_spec("MySQLdb") is None:
        _lacking("mysqlclient, which is installed where its library is (Debian package libmariadb-dev)")


def require_program(name: str, package: str) -> str:
    """Return the path of a program, which comes with a Debian package; `/usr/sbin` is looked into as well."""
    path = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"))
    found = shutil.which(name, path=path)
    if found is None:
        _lacking(f"the program {name} (Debian package {package})")
    return found


def require_chromium() -> str:
    """Return the path of a Chromium; Playwright brings none along, and needs none of its own."""
    # The first one has no windows, tabs and menus to prepare for each page: a quarter of the processor time.
    names = ("chromium-headless-shell", "chromium", "chromium-browser")
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None:
        _lacking(f"the program {names[0]} or {names[1]} (Debian packages of these names)")
    return found


def require_keycloak() -> Path:
    """Return the folder of Keycloak's auth manager and what it needs, which no other test has."""
    folder = VENVS / f"keycloak-{sys.version_info[0]}.{sys.version_info[1]}"

    def install(pins: Path) -> list[str]:
        shutil.rmtree(folder, ignore_errors=True)
        return [sys.executable, *PIP, "--target", str(folder), "-r", str(pins)]

    return _made(folder, "keycloak.txt", install)


def require_generators() -> Path:
    """
    Return the folder of the programs that make clients of an OpenAPI document.

    They have an environment of their own under .venvs, as what they need is not what Airflow needs.
    """
    if sys.version_info < (3, 11):
        _lacking("Python 3.11, for which the generated clients are written")
    folder = VENVS / "clients"

    def install(pins: Path) -> list[str]:
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        return [str(folder / "bin" / "python"), *PIP, "-r", str(pins)]

    return _made(folder, "clients.txt", install) / "bin"


def require_client() -> Path:
    """
    Return the folder of an environment with the client's wheel, and nothing of Airflow's.

    It has pytest beside it, for the client's own tests.
    """
    folder = VENVS / "client"

    def install(pins: Path) -> list[str]:
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        return [str(folder / "bin" / "python"), *PIP, "-r", str(pins)]

    with one_at_a_time(VENVS / "client.lock"):
        _made(folder, "client.txt", install)
        _install_wheel(folder)
    return folder


def require_typescript() -> Path:
    """Return the folder of the programs that make a client for TypeScript, and check it."""
    npm = require_program("npm", "npm")
    folder = VENVS / "typescript"
    pins = ROOT / "requirements" / "typescript"
    wanted = hashlib.sha256((pins / "package-lock.json").read_bytes()).hexdigest()
    stamp = folder / ".installed"
    with one_at_a_time(VENVS / "typescript.lock"):
        if not stamp.exists() or stamp.read_text() != wanted:
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(pins, folder)
            install = [npm, "ci", "--silent", "--no-audit", "--no-fund", "--ignore-scripts"]
            done = subprocess.run(install, cwd=folder, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                _lacking(f"the packages of requirements/typescript: {done.stderr.strip()[-500:]}")
            stamp.write_text(wanted)
    return folder / "node_modules" / ".bin"


def _install_wheel(folder: Path) -> None:
    """Install the client as it is now, where another one is installed."""
    sources = sorted(path for path in (ROOT / "client").rglob("*") if path.suffix in (".py", ".toml", ".md"))
    wanted = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()
    stamp = folder / ".wheel"
    if stamp.exists() and stamp.read_text() == wanted:
        return
    with tempfile.TemporaryDirectory() as built:
        wheel = build_wheel(Path(built), CLIENT)
        python = str(folder / "bin" / "python")
        options = ["--quiet", "--no-deps", "--force-reinstall"]
        subprocess.run([python, "-m", "pip", "install", *options, str(wheel)], check=True)
    stamp.write_text(wanted)


def _made(folder: Path, name: str, install: Callable[[Path], list[str]]) -> Path:
    """Return a folder with what a file of pins names; made anew, by a command of pip's, where it has not."""
    pins = ROOT / "requirements" / name
    stamp, wanted = folder / ".installed", hashlib.sha256(pins.read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text() == wanted:
        return folder
    done = subprocess.run(install(pins), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        _lacking(f"the packages of requirements/{name}: {done.stderr.strip()[-500:]}")
    stamp.write_text(wanted)
    return folder


@contextmanager
def one_at_a_time(lock: Path) -> Iterator[None]:
    """Let one process of this machine at a time do what follows."""
    lock.parent.mkdir(exist_ok=True)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _lacking(what: str) -> NoReturn:
    message = f"This test needs {what}"
    if os.environ.get("REQUIRE_SERVICES") == "1":
        pytest.fail(message)
    pytest.skip(message)
