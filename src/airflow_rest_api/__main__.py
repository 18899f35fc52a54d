"""What is done with the REST API plugin on the machine itself: `python -m airflow_rest_api <command>`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from airflow_rest_api import __version__, uninstall
from airflow_rest_api.runners import command as runner

DESCRIPTION = "What is done with the REST API plugin on the machine itself."


def main(arguments: Sequence[str] | None = None) -> int:
    """Return the exit code of the command that the arguments name."""
    parser = argparse.ArgumentParser(prog="python -m airflow_rest_api", description=DESCRIPTION)
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(title="commands", metavar="<command>", required=True)
    command = commands.add_parser("uninstall", help=uninstall.HELP)
    uninstall.add_arguments(command)
    command.set_defaults(run=uninstall.main)
    command = commands.add_parser("runner", help=runner.HELP)
    runner.add_arguments(command)
    command.set_defaults(run=runner.main)
    options = parser.parse_args(arguments)
    code: int = options.run(options)
    return code


if __name__ == "__main__":
    words = sys.argv[1:]
    # What Celery starts again at HUP: with the path of this file, Airflow would be looked for beside it.
    sys.argv[:1] = ["-m", "airflow_rest_api"]
    sys.exit(main(words))
