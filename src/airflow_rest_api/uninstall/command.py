"""`python -m airflow_rest_api uninstall`."""

# ruff: noqa: T201 - printing is how a command answers

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_rest_api.uninstall.leftovers import Leftover

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from sqlalchemy.engine import Engine

    from airflow_rest_api.settings import Settings

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
        "components, and its section of airflow.cfg. What was deployed stays. Stop the API servers first; "
        "run it on each machine that had one, as the user who ran it."
    )
    parser.add_argument("--dry-run", action="store_true", help="only list it")
    parser.add_argument("--yes", "-y", action="store_true", help="do not ask")
    parser.add_argument(
        "--force", action="store_true", help="also where an API server or a component seems to run"
    )


def main(options: Namespace) -> int:
    """Return 0 when nothing is left, or when only a list was wanted; 1 when something is."""
    from sqlalchemy.exc import SQLAlchemyError

    from airflow_rest_api.errors import ApiError
    from airflow_rest_api.settings import BadSetting, Settings
    from airflow_rest_api.uninstall.leftovers import NewerTables

    try:
        settings = Settings.load()
        ours, airflows = engines(settings)
        steps = leftovers(ours, airflows)
    except (BadSetting, NewerTables, ApiError) as error:
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
    if not options.force and (found := _running(ours)):
        print(
            f"Nothing was removed: stop what runs first, or say --force. Still there: {found}",
            file=sys.stderr,
        )
        return 1
    if not options.yes and not _agreed():
        print("Nothing was removed.", file=sys.stderr)
        return 1
    return remove(steps)


def engines(settings: Settings) -> tuple[Engine, Engine]:
    """Return the engine of the database with our tables, and that of Airflow's."""
    from airflow_rest_api.airflow import installation
    from airflow_rest_api.storage.engines import own_engine

    airflows = installation.database_engine()
    return (own_engine(settings.operations_database) if settings.operations_database else airflows), airflows


def leftovers(ours: Engine, airflows: Engine) -> list[Leftover]:
    """
    Return all that is left, in the order in which it goes: the section that says where, at last.

    :raises NewerTables: by a newer version
    """
    from airflow_rest_api.airflow.installation import configuration_file, places
    from airflow_rest_api.dag_files.bundles import bundles
    from airflow_rest_api.settings import SECTION
    from airflow_rest_api.uninstall.leftovers import folders, in_airflows, in_our_database, section

    roots = [bundle.root for bundle in bundles() if bundle.writable and bundle.root is not None]
    return [
        *in_airflows(airflows),
        *folders(places(), roots),
        *in_our_database(ours),
        *section(Path(configuration_file()), SECTION),
    ]


def remove(steps: Iterable[Leftover], say: Callable[[str], None] = print) -> int:
    """Remove one after the other, and stop where that fails, so that what is left can still be found."""
    for step in steps:
        try:
            step.remove()
        except Exception as error:
            print(f"{step.what} could not be removed: {error}", file=sys.stderr)
            return 1
    say(f"All of it is removed.\n{PACKAGE}")
    return 0


def _running(engine: Engine) -> str:
    from airflow_rest_api.uninstall.leftovers import running

    return "; ".join(running(engine, print))


def _agreed() -> bool:
    print("Remove all of it? This cannot be undone. [y/N] ", end="", flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")
