"""`python -m airflow_rest_api uninstall`: finds what is left of the plugin, and removes it."""

# ruff: noqa: T201 - printing is how a command answers

from __future__ import annotations

import os
import re
import shutil
import stat
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import func, inspect, select
from sqlalchemy.exc import SQLAlchemyError

from airflow_rest_api import private_folders, processes
from airflow_rest_api.airflow import event_log, installation, permissions
from airflow_rest_api.commands.needs import DEPLOY, POWERS, QUEUE
from airflow_rest_api.dag_files.bundles import bundles
from airflow_rest_api.dag_files.upload import CONTROL
from airflow_rest_api.errors import ApiError
from airflow_rest_api.operations import heartbeat
from airflow_rest_api.operations.heartbeat import BEAT
from airflow_rest_api.operations.tables import SERVER
from airflow_rest_api.security.audit import PREFIX
from airflow_rest_api.services.child_start import HOME, log_name
from airflow_rest_api.services.logs import NOTES
from airflow_rest_api.services.store import LIVE, SERVICE
from airflow_rest_api.settings import SECTION, BadSetting, Settings
from airflow_rest_api.storage.database import own_engine
from airflow_rest_api.storage.migrations import SCHEMA, VERSIONS, all_tables, applied

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from sqlalchemy.engine import Connection, Engine

    from airflow_rest_api.airflow.installation import Places

PATIENCE = 3 * BEAT
"""Seconds in which an API server that lives gives a sign of it."""
PAUSE = 0.2

HELP = "remove all that the plugin has left in Airflow's database and on this machine, but for the DAG files"
PACKAGE = """\
Now remove the plugin itself, before an API server starts again: `pip uninstall airflow-rest-api-plugin`, or
rest_api_plugin.py and the folder airflow_rest_api in the plugins folder. Environment variables of its own,
AIRFLOW__REST_API_PLUGIN__…, are set by whoever starts Airflow."""


def add_arguments(parser: ArgumentParser) -> None:
    """Add what the command takes."""
    parser.description = (
        "Lists what the plugin has left behind, and removes it: its tables, its rows in Airflow's event log "
        "and among the permissions of Flask-AppBuilder, and on this machine its folders, the logs of "
        "components, and its section of airflow.cfg. What was deployed stays. Stop API servers and runners "
        "first; run it on each machine that had one, as the user who ran it."
    )
    parser.add_argument("--dry-run", action="store_true", help="only list it")
    parser.add_argument("--yes", "-y", action="store_true", help="do not ask")
    parser.add_argument(
        "--force", action="store_true", help="also where an API server, a runner or a component seems to run"
    )


def main(options: Namespace) -> int:
    """Return 0 when nothing is left, or when only a list was wanted; 1 when something is."""
    try:
        ours, airflows = engines(Settings.load())
        steps = leftovers(ours, airflows)
    except (BadSetting, NewerTables, ApiError, OSError) as error:
        # The last one: a file or folder that only the user of the API server may read.
        print(error, file=sys.stderr)
        return 1
    except SQLAlchemyError as error:
        # What the driver said: no statement, and no password.
        said = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        print(f"A database cannot be read: {said}", file=sys.stderr)
        return 1
    if not steps:
        print("Nothing of the plugin is left here.")
        return 0
    for step in steps:
        print(f"- {step.what}")
    if options.dry_run:
        print("Nothing was removed.")
        return 0
    if not options.force and (found := "; ".join(running(ours))):
        print(
            f"Nothing was removed: stop what runs first, or say --force. Still there: {found}",
            file=sys.stderr,
        )
        return 1
    if not options.yes and not _agreed():
        print("Nothing was removed.", file=sys.stderr)
        return 1
    for step in steps:
        try:
            step.remove()
        except Exception as error:
            # Here it ends, so that what is left can still be found.
            print(f"{step.what} could not be removed: {error}", file=sys.stderr)
            return 1
    print(f"All of it is removed.\n{PACKAGE}")
    return 0


def engines(settings: Settings) -> tuple[Engine, Engine]:
    """Return the engine of the database with our tables, and that of Airflow's."""
    airflows = installation.database_engine()
    return (own_engine(settings.operations_database) if settings.operations_database else airflows), airflows


def leftovers(ours: Engine, airflows: Engine) -> list[Leftover]:
    """Return all that is left as it goes, the section that says where at last; raise NewerTables."""
    # Also where they cannot be written: that they cannot be removed there is to be heard.
    roots = [bundle.root for bundle in bundles() if bundle.root is not None]
    return [
        *in_airflows(airflows),
        *folders(installation.places(), roots),
        *in_our_database(ours),
        *section(Path(installation.configuration_file())),
    ]


def _agreed() -> bool:
    print("Remove all of it? This cannot be undone. [y/N] ", end="", flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def running(engine: Engine, patience: float = PATIENCE) -> list[str]:
    """Return the API servers, runners and components that run, in words; it looks for a while."""
    with engine.connect() as connection:
        there = set(inspect(connection).get_table_names())
        found = _components(connection) if SERVICE.name in there else []
        first = _heartbeats(connection) if SERVER.name in there else {}
    if first:
        print(f"Looking for {patience:.0f} seconds whether an API server or a runner runs ...")
    end = time.monotonic() + patience
    alive: set[str] = set()
    while first and not alive and time.monotonic() < end:
        time.sleep(PAUSE)
        with engine.connect() as connection:
            alive = {who for who, beat in _heartbeats(connection).items() if first.get(who) != beat}
    return [*sorted(alive), *found]


def _heartbeats(connection: Connection) -> dict[str, int]:
    return {
        f"the {'API server' if server.runner is None else 'runner'} on {server.host}, process {server.pid}": (
            server.beat
        )
        for server in heartbeat.known(connection)
    }


def _components(connection: Connection) -> list[str]:
    # No others: the table may be that of a former version.
    names = ("kind", "id", "host", "place", "supervisor", "supervisor_start")
    query = select(*(SERVICE.c[name] for name in names)).where(SERVICE.c.state.in_(LIVE))
    return [
        f"the component {row.kind} {row.id} on {row.host}"
        for row in connection.execute(query.order_by(SERVICE.c.id))
        # Of other machines and containers, the processes cannot be seen.
        if row.place != processes.place() or processes.is_alive(row.supervisor, row.supervisor_start)
    ]


@dataclass(frozen=True)
class Leftover:
    """Something that is removed as a whole, in words; `remove` raises what file system or database raise."""

    what: str
    remove: Callable[[], object]


class NewerTables(Exception):
    """The tables are those of a newer version, of which this one does not know all."""


def in_our_database(engine: Engine) -> Iterable[Leftover]:
    """Return our tables, wherever they are; raise NewerTables."""
    with engine.connect() as connection:
        if (newest := applied(connection)) > SCHEMA:
            raise NewerTables(
                f"The tables are those of a newer version of the plugin ({newest}): it can remove them."
            )
        there = set(inspect(connection).get_table_names())
        # The versions at last: as long as they are there, they say whose the others are.
        tables = sorted(all_tables().sorted_tables, key=lambda table: table is VERSIONS)
        found = [table for table in tables if table.name in there]
        counts = [connection.execute(select(func.count()).select_from(table)).scalar() for table in found]
    # Drivers take a password from the query as well.
    where = engine.url.set(query={}).render_as_string(hide_password=True)
    for table, rows in zip(found, counts, strict=True):
        remove = partial(table.drop, engine, checkfirst=True)
        yield Leftover(f"the table {table.name} with {rows} rows, in {where}", remove)


def in_airflows(engine: Engine) -> Iterable[Leftover]:
    """Return the rows of ours in the tables of Airflow and of Flask-AppBuilder."""
    if rows := event_log.count(engine, PREFIX):
        yield Leftover(
            f"{rows} rows of Airflow's event log (Audit Log) whose event begins with {PREFIX!r}",
            partial(event_log.remove, engine, PREFIX),
        )
    if names := permissions.existing_resources(engine, POWERS, (DEPLOY, QUEUE)):
        yield Leftover(
            f"resources of Flask-AppBuilder, with what roles may do to them: {', '.join(names)}",
            partial(permissions.remove_resources, engine, names),
        )


_LOG = re.compile(log_name("[a-z-]+", "[0-9a-f]{32}") + r"\.(out|err)")
"""The logs of components that were not given another name."""


def folders(here: Places, roots: Iterable[Path]) -> Iterable[Leftover]:
    """Return the folders and files of ours on this machine, and in the roots of DAG bundles."""
    in_bundles = [root / CONTROL for root in roots]
    # Whoever may not look into a bundle has never written there.
    ours = [(path, "of the deployments into a DAG bundle") for path in in_bundles if not _is_closed(path)]
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


def _is_closed(path: Path) -> bool:
    try:
        path.lstat()
    except OSError as error:
        return isinstance(error, PermissionError)
    return False


def _is_folder(path: Path) -> bool:
    """Return whether a folder is there, and no link; raise OSError where that cannot be seen."""
    try:
        return stat.S_ISDIR(path.lstat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


def section(path: Path) -> Iterable[Leftover]:
    """Return our section of a configuration file, with all that is set in it."""
    text = path.read_text() if path.is_file() else ""
    if _without_section(text) != text:
        yield Leftover(f"the section [{SECTION}] of {path}", partial(_cut, path))


def _without_section(text: str) -> str:
    """Return a configuration without our section, as it was otherwise: with its comments."""
    kept, inside = [], False
    for line in text.splitlines(keepends=True):
        # An option of several lines goes on with blanks, so that this is no value.
        if line.startswith("["):
            inside = line.split("]")[0] == f"[{SECTION}"
        if not inside:
            kept.append(line)
    return "".join(kept)


def _cut(path: Path) -> None:
    # Through a link, the file that it leads to.
    real = Path(os.path.realpath(path))
    status = real.stat()
    draft = real.with_name(f".{real.name}.{os.getpid()}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(_without_section(real.read_text()))
            os.fchmod(file.fileno(), stat.S_IMODE(status.st_mode))
            if (status.st_uid, status.st_gid) != (os.geteuid(), os.getegid()):
                os.fchown(file.fileno(), status.st_uid, status.st_gid)
        draft.replace(real)
    finally:
        draft.unlink(missing_ok=True)
