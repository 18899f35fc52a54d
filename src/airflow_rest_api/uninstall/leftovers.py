"""What the plugin has left: tables and rows in databases, files on this machine, and what still runs."""

from __future__ import annotations

import os
import re
import shutil
import stat
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import func, inspect, select

from airflow_rest_api import private_folders, processes
from airflow_rest_api.airflow import event_log, permissions
from airflow_rest_api.commands.needs import DEPLOY, POWERS
from airflow_rest_api.dag_files.upload import CONTROL
from airflow_rest_api.operations import heartbeat
from airflow_rest_api.operations.heartbeat import BEAT
from airflow_rest_api.operations.tables import SERVER
from airflow_rest_api.security.audit import PREFIX
from airflow_rest_api.services.child_start import HOME, log_name
from airflow_rest_api.services.logs import NOTES
from airflow_rest_api.services.store import LIVE, SERVICE
from airflow_rest_api.storage.migrations import SCHEMA, VERSIONS, all_tables, applied

if TYPE_CHECKING:
    from sqlalchemy import Table
    from sqlalchemy.engine import Connection, Engine

    from airflow_rest_api.airflow.installation import Places


PATIENCE = 3 * BEAT
"""Seconds in which an API server that lives gives a sign of it."""
PAUSE = 0.2


def running(engine: Engine, say: Callable[[str], None], patience: float = PATIENCE) -> list[str]:
    """
    Return the API servers and components that run, in words; the database is looked at for a while.

    :param say: prints why it takes a while
    """
    with engine.connect() as connection:
        there = set(inspect(connection).get_table_names())
        found = _components(connection) if SERVICE.name in there else []
        first = _heartbeats(connection) if SERVER.name in there else {}
    if first:
        say(f"Looking for {patience:.0f} seconds whether an API server runs ...")
    end = time.monotonic() + patience
    alive: set[str] = set()
    while first and not alive and time.monotonic() < end:
        time.sleep(PAUSE)
        with engine.connect() as connection:
            alive = {who for who, beat in _heartbeats(connection).items() if first.get(who) != beat}
    return [*sorted(alive), *found]


def _heartbeats(connection: Connection) -> dict[str, int]:
    return {
        f"the API server on {server.host}, process {server.pid}": server.beat
        for server in heartbeat.known(connection)
    }


def _components(connection: Connection) -> list[str]:
    columns = SERVICE.c
    live = select(
        columns.kind, columns.id, columns.host, columns.place, columns.supervisor, columns.supervisor_start
    )
    return [
        f"the component {kind} {identifier} on {host}"
        for kind, identifier, host, place, supervisor, start in connection.execute(
            live.where(columns.state.in_(LIVE)).order_by(columns.id)
        )
        # Of other machines and containers, the processes cannot be seen.
        if place != processes.place() or processes.is_alive(supervisor, start)
    ]


@dataclass(frozen=True)
class Leftover:
    """
    Something that is removed as a whole.

    :ivar what: it in words
    :ivar remove: removes it; raises what the file system or the database raises
    """

    what: str
    remove: Callable[[], object]


class NewerTables(Exception):
    """The tables are those of a newer version, of which this one does not know all."""


def in_our_database(engine: Engine) -> Iterable[Leftover]:
    """
    Return our tables, wherever they are.

    :raises NewerTables: a newer version has made some
    """
    with engine.connect() as connection:
        if (newest := max(applied(connection), default=0)) > SCHEMA:
            raise NewerTables(
                f"The tables are those of a newer version of the plugin ({newest}): it can remove them."
            )
        there = set(inspect(connection).get_table_names())
        # The versions at last: as long as they are there, they say whose the others are.
        tables = sorted(all_tables().sorted_tables, key=lambda table: table is VERSIONS)
        found = [table for table in tables if table.name in there]
        counts = [connection.execute(select(func.count()).select_from(table)).scalar() for table in found]
    where = engine.url.render_as_string(hide_password=True)
    for table, rows in zip(found, counts, strict=True):
        yield Leftover(f"the table {table.name} with {rows} rows, in {where}", _dropped(table, engine))


def in_airflows(engine: Engine) -> Iterable[Leftover]:
    """Return the rows of ours in the tables of Airflow and of Flask-AppBuilder."""
    if rows := event_log.count(engine, PREFIX):
        yield Leftover(
            f"{rows} rows of Airflow's event log (Audit Log) whose event begins with {PREFIX!r}",
            lambda: event_log.remove(engine, PREFIX),
        )
    if names := permissions.existing_resources(engine, POWERS, DEPLOY):
        yield Leftover(
            f"resources of Flask-AppBuilder, with what roles may do to them: {', '.join(names)}",
            lambda: permissions.remove_resources(engine, names),
        )


def _dropped(table: Table, engine: Engine) -> Callable[[], None]:
    return lambda: table.drop(engine, checkfirst=True)


_LOG = re.compile(log_name("[a-z-]+", "[0-9a-f]{32}") + r"\.(out|err)")
"""The logs of components that were not given another name."""


def folders(here: Places, roots: Iterable[Path]) -> Iterable[Leftover]:
    """
    Return the folders and files of ours on this machine.

    :param roots: of the DAG bundles that files can be put into
    """
    ours = [(root / CONTROL, "of the deployments into a DAG bundle") for root in roots]
    ours += [(Path(here.home, HOME), "of the components that were started")]
    ours += [(Path(here.logs, NOTES), "which says what logs components have made")]
    ours += [(folder, "of a process that was killed") for folder in private_folders.abandoned()]
    for folder, what in ours:
        if _is_folder(folder):
            yield Leftover(f"the folder {folder}, {what}", partial(shutil.rmtree, folder))
    logs = Path(here.logs)
    for path in sorted(logs.iterdir()) if logs.is_dir() else ():
        if _LOG.fullmatch(path.name) and path.is_file() and not path.is_symlink():
            yield Leftover(f"the log {path}", path.unlink)


def section(path: Path, name: str) -> Iterable[Leftover]:
    """Return a section of a configuration file, with all that is set in it."""
    text = path.read_text() if path.is_file() else ""
    if _without(text, name) != text:
        yield Leftover(f"the section [{name}] of {path}", lambda: _cut(path, name))


def _is_folder(path: Path) -> bool:
    try:
        return stat.S_ISDIR(path.lstat().st_mode)
    except OSError:
        return False


def _without(text: str, name: str) -> str:
    """Return a configuration without a section, as it was otherwise: with its comments."""
    lines = text.splitlines(keepends=True)
    kept, inside = [], False
    for line in lines:
        # An option of several lines goes on with blanks, so that this is no value.
        if line.startswith("["):
            inside = line.split("]")[0] == f"[{name}"
        if not inside:
            kept.append(line)
    return "".join(kept)


def _cut(path: Path, name: str) -> None:
    # Through a link, the file that it leads to.
    real = Path(os.path.realpath(path))
    status = real.stat()
    draft = real.with_name(f".{real.name}.{os.getpid()}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(_without(real.read_text(), name))
            os.fchmod(file.fileno(), stat.S_IMODE(status.st_mode))
            if (status.st_uid, status.st_gid) != (os.geteuid(), os.getegid()):
                os.fchown(file.fileno(), status.st_uid, status.st_gid)
        draft.replace(real)
    finally:
        draft.unlink(missing_ok=True)
