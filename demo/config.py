"""The airflow.cfg and the passwords of a stack."""

from __future__ import annotations

import base64
import json
import os
import re
import secrets
from collections.abc import Iterable, Mapping
from configparser import RawConfigParser
from pathlib import Path

Options = Mapping[str, Mapping[str, str]]

# What makes a small Airflow on one machine react quickly and stay by itself.
DEFAULTS: Options = {
    "core": {
        "load_examples": "False",
        "executor": "LocalExecutor",
        "parallelism": "4",
        "dags_are_paused_at_creation": "False",
    },
    "api": {"workers": "1"},
    "dag_processor": {
        "refresh_interval": "5",
        "bundle_refresh_check_interval": "1",
        "parsing_processes": "1",
    },
    "usage_data_collection": {"enabled": "False"},
}

# With their lengths in bytes. Every component must have the same ones, and they outlive a restart. A Fernet
# key has 32 bytes (https://github.com/fernet/spec), one for HMAC with SHA-512 at least 64 (RFC 7518, 3.2).
SECRETS: tuple[tuple[str, str, int], ...] = (
    ("core", "fernet_key", 32),
    ("api", "secret_key", 64),
    ("api_auth", "jwt_secret", 64),
)


HEADER = "# Written by the demo"
"""How the airflow.cfg of a stack begins."""


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, replacing what was there at once."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    temporary.replace(path)


def read_json(path: Path) -> dict[str, str]:
    """Return the JSON of a file, which is there for people to change; empty where there is none.

    Raises `ValueError` where it is none; the message names the file.
    """
    try:
        found: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
    except ValueError as error:
        raise ValueError(f"{path} is no JSON: {error}") from None
    return found


GENERATED = "[core]\n# The folder where your airflow pipelines live"
"""How the one begins that commands make where there is none (``config_templates/config.yml``)."""


def is_anothers(home: Path) -> bool:
    """Return whether a folder is the AIRFLOW_HOME of an Airflow that no stack has made."""
    config, database = home / "airflow.cfg", home / "airflow.db"
    text = config.read_text(errors="replace") if config.exists() else ""
    # That of a former demo may have lost its configuration.
    has_database = database.exists() and not (home / "demo.lock").exists()
    if text.startswith(HEADER):
        return False
    if text.startswith(GENERATED):
        # As it is without anybody's doing: no database was made, and none is named.
        named = re.findall(r"^sql_alchemy_conn\s*=\s*(.*)$", text, re.MULTILINE)
        places = [Path(address.removeprefix("sqlite:///")).resolve() for address in named]
        return has_database or any(place != database.resolve() for place in places)
    # Its configuration lies elsewhere (AIRFLOW_CONFIG).
    return bool(text) or has_database


def write_config(path: Path, options: Options, like: Path | None = None) -> None:
    """Write an airflow.cfg with `options`, the defaults above and secrets.

    Options somebody added to an existing file stay, and so do its secrets; `like` is another airflow.cfg
    whose secrets are taken instead.
    """
    config = RawConfigParser()
    config.read(path)
    shared = RawConfigParser()
    if like is not None:
        shared.read(like)
    for section, values in DEFAULTS.items():
        for name, value in values.items():
            if not config.has_option(section, name):
                _set(config, section, name, value)
    for section, name, length in SECRETS:
        if shared.has_option(section, name):
            _set(config, section, name, shared.get(section, name))
        elif not config.has_option(section, name):
            _set(config, section, name, base64.urlsafe_b64encode(secrets.token_bytes(length)).decode())
    for section, values in options.items():
        for name, value in values.items():
            _set(config, section, name, value)
    lines = [f"{HEADER}: ports, paths and users are set anew at each start, the rest is kept."]
    for section in config.sections():
        # Further lines of a value begin with blanks, or they would be options.
        found = ((name, value.replace("\n", "\n    ")) for name, value in config.items(section))
        lines += ["", f"[{section}]", *(f"{name} = {value}" for name, value in found)]
    write_private(path, "\n".join(lines) + "\n")


def write_passwords(
    path: Path, users: Iterable[str], known: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Give every user a password and return them all; those that are known or in the file stay.

    The file is the one of Airflow's simple auth manager, which adds missing passwords by itself but would
    print them and leave the file readable to others.
    """
    kept = {**read_json(path), **(known or {})}
    passwords = {user: kept.get(user) or secrets.token_urlsafe(12) for user in users}
    write_private(path, json.dumps(passwords) + "\n")
    return passwords


def _set(config: RawConfigParser, section: str, name: str, value: str) -> None:
    if not config.has_section(section):
        config.add_section(section)
    # Airflow's reader interpolates: a lone per cent sign in a path would end the start.
    config.set(section, name, value.replace("%", "%%"))
