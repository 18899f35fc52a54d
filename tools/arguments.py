"""
Write down which commands the installed Airflow has, and with which arguments: a file for each minor version.

Permissions hang on names of arguments, and a version that lacks one must not lose a permission with it: tests
look at all of these files on whichever version they run. All together are what was reviewed, which
goes into the package (`reviewed.json`): to be written down after the table of policy was looked at again.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "tests" / "data" / "arguments"
REVIEWED = ROOT / "src" / "airflow_rest_api" / "commands" / "reviewed.json"

ALL_PROVIDERS = {
    "AIRFLOW__CORE__AUTH_MANAGER": "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager",
    "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
}
"""Before Airflow 3.2 a provider's commands are there only where the configuration names its class."""


def installed() -> dict[str, list[str]]:
    """Return the names of the arguments of each command; before Airflow is first imported in this process."""
    os.environ.update(ALL_PROVIDERS)
    from airflow.cli.cli_parser import get_parser

    from airflow_rest_api.commands.discovery import describe, leaves

    commands = [describe(*leaf) for leaf in leaves(get_parser())]
    found = {one.name: sorted(argument.name for argument in one.arguments) for one in commands}
    return dict(sorted(found.items()))


def file_name(version: str) -> str:
    """Return the name of the file of a version such as 3.3.2."""
    return f"airflow-{'.'.join(version.split('.')[:2])}.json"


def text(commands: dict[str, list[str]]) -> str:
    """Return what a file holds, with one line for each command."""
    lines = ",\n".join(f" {json.dumps(name)}: {json.dumps(names)}" for name, names in commands.items())
    return f"{{\n{lines}\n}}\n"


def of_all_versions() -> dict[str, list[str]]:
    """Return the names of the arguments of each command, of all versions that were written down."""
    found: dict[str, set[str]] = {}
    for path in FOLDER.glob("*.json"):
        for name, arguments in json.loads(path.read_text()).items():
            found.setdefault(name, set()).update(arguments)
    return {name: sorted(found[name]) for name in sorted(found)}


def main(arguments: Sequence[str]) -> int:
    """Write the file of the installed version, into another folder where one is named."""
    commands = installed()
    from airflow import __version__

    folder = Path(arguments[0]) if arguments else FOLDER
    (folder / file_name(__version__)).write_text(text(commands))
    if folder == FOLDER:
        REVIEWED.write_text(text(of_all_versions()))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
