"""What Airflow reads of an installed provider: our options, for `airflow config list`, and our commands."""

from __future__ import annotations

from typing import Any

from airflow_rest_api import __version__
from airflow_rest_api.runners import command
from airflow_rest_api.settings import OPTIONS, SECTION

CLI = f"{__name__}.get_cli_commands"
TYPES = {bool: "boolean", int: "integer", str: "string"}


def get_provider_info() -> dict[str, Any]:
    """
    Return the description by which Airflow knows the options of `[rest_api_plugin]`, and our commands.

    Its form is Airflow's `provider_info.schema.json`. An option that is a secret can be given as
    `<name>_cmd` and `<name>_secret` too, and is masked where Airflow shows its configuration.
    """
    return {
        "package-name": "airflow-rest-api-plugin",
        "name": "REST API plugin",
        "description": "Every Airflow command over REST.",
        "versions": [__version__],
        "cli": [CLI],
        "config": {
            SECTION: {
                "description": "The REST API plugin.",
                "options": {
                    option.name: {
                        "description": option.description,
                        "version_added": None,
                        "type": TYPES[option.type],
                        "example": None,
                        "default": str(option.default),
                        "sensitive": option.secret,
                    }
                    for option in OPTIONS
                },
            }
        },
    }


def get_cli_commands() -> list[Any]:
    """Return the group `rest-api` of Airflow's command line, which takes it from providers since 3.2."""
    from airflow.cli.cli_config import ActionCommand, Arg, GroupCommand, lazy_load_command

    make: Any = Arg
    runner = ActionCommand(
        name="runner",
        help=command.HELP,
        func=lazy_load_command(f"{command.__name__}.main"),
        args=tuple(make(flags=flags, **options) for flags, options in command.OPTIONS),
    )
    about = "The REST API plugin on this machine"
    return [GroupCommand(name="rest-api", help=about, subcommands=(runner,))]
