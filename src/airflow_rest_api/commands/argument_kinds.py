"""What kind of value an argument takes, which no parser says: a file, a secret, a place on the server.

Arguments are known here by the name (argparse's ``dest``) that Airflow and its providers share between
commands.
"""

from __future__ import annotations

import argparse
import re
from typing import Any, Literal

from airflow_rest_api import secret_names

# The type functions that Airflow and its providers give their arguments, by qualified name, and what a client
# sees. Only these are called before the command runs: what is not named here may open a file, print, or
# exit, and is left to the process that runs the command.
VALUE_TYPES: dict[str, str] = {
    "str": "string",
    "string_lower_type": "string",
    "int": "integer",
    "positive_int.<locals>._check": "integer",
    "float": "number",
    "string_list_type": "list",
    "loads": "json",
    "parse": "datetime",
    "parsedate": "datetime",
}

# Text to Airflow's parser, and JSON to the command, which decodes it: an object may be given as such.
JSON_TEXT = frozenset({"conf", "conn_extra", "conn_json", "dag_run_conf", "task_params"})

# What of that is stored as the JSON that it is: Airflow's own pages fail where it has half a character.
STORED_JSON = frozenset({"conf", "dag_run_conf"})

# Files of the client's: a command whose last word is the key reads or writes the positional of one of these
# names …
TRANSFERS: dict[str, Literal["in", "out"]] = {"import": "in", "export": "out"}
TRANSFER_ARGUMENTS = frozenset({"file", "import", "export"})
# … and these options name a file to be written, in whatever command they are.
OUTPUT_FILES = frozenset({"save", "save_dagrun"})

SERVER_PATHS = frozenset(
    {
        "access_logfile",
        "cfg_path",
        "dagfile_path",
        "error_logfile",
        "flower_conf",
        "keytab",
        "log_config",
        "log_file",
        "output_path",
        "pid",
        "ssl_ca_file",
        "ssl_cert",
        "ssl_key",
        "stderr",
        "stdout",
        "subdir",
    }
)

# What an object is called by; everything that ends in `_id` is a name as well.
NAMES = frozenset({"bundle_name", "email", "key", "name", "option", "partition_key", "pool", "role"}) | {
    "section",
    "team_name",
    "username",
}

# The value of the first argument is a secret when Airflow would hide a value stored under the second one.
SECRET_BY_KEY: dict[tuple[str, ...], tuple[str, str]] = {("variables", "set"): ("value", "key")}

# Regular expressions: with a flag, the value is one only where that is given.
PATTERNS: dict[str, tuple[str, ...]] = {
    "dag_id": ("treat_dag_id_as_regex", "treat_dag_as_regex", "dag_regex"),
    "mark_success_pattern": (),
    "task_regex": (),
}

# Text to Airflow's parser, and a number to its database.
NUMBERS = frozenset({"conn_port", "limit"})

LARGEST = 2**31 - 1
"""What every database has room for as an integer."""

# Of what is a number: what Airflow's own API takes, as another one breaks its pages for everybody; and how
# often a command goes round.
RANGES: dict[str, tuple[int, int]] = {
    "conn_port": (0, 65_535),
    "limit": (0, LARGEST),
    "num_executions": (1, 10_000),
    "slots": (-1, LARGEST),
}

# Addresses that Airflow takes apart: what it says of one that it cannot read quotes a part of it.
ADDRESSES = frozenset({"conn_uri"})

# Where a component listens: these say nothing about the server.
HARMLESS_HOSTS = frozenset({"0.0.0.0", "::", "127.0.0.1", "localhost", ""})


def value_type(action: argparse.Action) -> str | None:
    """Return the type of value that ``action`` takes, or None where its type function is not one we know."""
    stores_a_boolean = action.nargs == 0 and isinstance(action.const, bool)
    if stores_a_boolean or isinstance(action, argparse.BooleanOptionalAction):
        return "boolean"
    if action.dest in JSON_TEXT and action.nargs != 0:
        return "json"
    if action.type is None:
        return "string"
    name = getattr(action.type, "__qualname__", "")
    if name == "parse" and "timezone" not in getattr(action.type, "__module__", ""):
        return None
    return VALUE_TYPES.get(name)


def file_direction(path: tuple[str, ...], action: argparse.Action) -> Literal["in", "out"] | None:
    """Return whether the argument is a file that the command reads or writes for the client."""
    if action.nargs == 0:
        return None
    if isinstance(action.type, argparse.FileType):
        return "in" if "r" in action.type._mode else "out"
    if not action.option_strings and action.dest in TRANSFER_ARGUMENTS:
        return TRANSFERS.get(path[-1])
    return "out" if action.dest in OUTPUT_FILES else None


def is_secret(action: argparse.Action) -> bool:
    """Whether the value of the argument must not be shown."""
    return action.nargs != 0 and secret_names.is_secret(action.dest)


def is_name(name: str) -> bool:
    """Whether an argument of this name is what an object is called by."""
    return name in NAMES or name.endswith("_id")


def is_server_path(action: argparse.Action) -> bool:
    """Whether the value of the argument is a path on the server."""
    return action.nargs != 0 and action.dest in SERVER_PATHS


def names_a_place(value: Any) -> bool:
    """Whether a default value is a path or an address, which gives away something about the server."""
    if isinstance(value, (list, tuple)):
        return any(names_a_place(item) for item in value)
    return isinstance(value, str) and (
        value.startswith(("/", "~", "\\")) or "://" in value or re.match(r"[A-Za-z]:[\\/]", value) is not None
    )
