"""Every ``[rest_api_plugin]`` option: one table, from which the reading and the documentation are made."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any, TypeVar, cast

from airflow_rest_api.database_address import BadDatabase, database  # noqa: F401 - it is taken from here
from airflow_rest_api.placement import globs, listed, placement_rules
from airflow_rest_api.secret_names import MASK

Networks = tuple[IPv4Network | IPv6Network, ...]

# RFC 9110, 5.6.2: token.
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_TAKEN_HEADERS = {"authorization", "cookie", "host", "origin", "referer"}

LONGEST_FOLDER = 200
"""Characters of a folder: Flask-AppBuilder's names of resources have 250."""


def header_name(text: str) -> str:
    """Return the name of a header that no other part of Airflow reads; raise ValueError for another."""
    if not _HEADER_NAME.fullmatch(text) or text.lower() in _TAKEN_HEADERS:
        raise ValueError(f"must be the name of a header of its own, not {text!r}")
    return text


def networks(text: str) -> Networks:
    """Return the addresses and networks of a list with commas; raise ValueError for what is neither."""
    try:
        return tuple(ip_network(word, strict=False) for word in listed(text))
    except ValueError as error:
        raise ValueError(f"must be addresses and networks: {error}") from None


def folders(text: str) -> tuple[tuple[str, str], ...]:
    """Return what a list with commas has, ``bundle`` or ``bundle/folder``; raise ValueError for neither."""
    found = []
    for word in listed(text):
        bundle, *parts = word.split("/")
        if not bundle or any(part in ("", ".", "..") for part in parts) or len(word) > LONGEST_FOLDER:
            raise ValueError(f"must be bundle/folder, not {word[:LONGEST_FOLDER]!r}")
        found.append((bundle, "/".join(parts)))
    return tuple(found)


SECTION = "rest_api_plugin"

LARGEST = 2**31 - 1
"""For seconds and numbers of things: more would be beyond the calendar, or the operating system."""
LARGEST_SIZE = 2**50
"""For bytes."""
MOST_PROCESSES = 1000
"""Forked ahead or kept."""


Value = TypeVar("Value", int, bool, str)


@dataclass(frozen=True)
class Option:
    """
    One option; a number below ``minimum`` or above ``maximum`` is refused.

    What is empty is the default, but where ``empty`` says that it is a value. One that is a ``secret`` can
    also come from a command (``<name>_cmd``) or a secrets backend (``<name>_secret``), as Airflow's own
    secrets can, and is shown nowhere.
    """

    name: str
    type: type
    default: int | bool | str
    description: str
    minimum: int = 0
    maximum: int = LARGEST
    empty: bool = False
    secret: bool = False
    choices: tuple[str, ...] = ()
    check: Callable[[str], object] | None = None
    """Raises ValueError for a value that cannot be; the message follows the option's name."""

    @property
    def where(self) -> str:
        """The section and the name."""
        return f"[{SECTION}] {self.name}"


def option(default: Value, description: str, **more: Any) -> Value:
    """Return the field of `Settings` that is an option; `more` is as in `Option`."""
    made: Value = field(default=default, metadata={"description": description, **more})
    return made


_TRUE = {"t", "true", "1", "yes", "y", "on"}
_FALSE = {"f", "false", "0", "no", "n", "off"}


class BadSetting(ValueError):
    """An option has a value that it cannot have; the message names the option, never the value of another."""


@dataclass(frozen=True)
class Settings:
    """The options as read: the one place where each has its default and its description."""

    parallelism: int = option(8, "Commands that run at the same time in one API-server process.", minimum=1)
    running_per_user: int = option(
        6,
        "Of them those of one user that run none of DAG authors' code (effects `read` and `write`); "
        "the next ones wait.",
        minimum=1,
    )
    queue_size: int = option(64, "Commands that may wait to run; one more is answered with 429.")
    queue_per_user: int = option(
        48, "Commands of one user that may wait to run; one more is answered with 429.", minimum=1
    )
    spare_children: int = option(
        2, "Processes forked ahead, so that a command does not wait for its fork.", maximum=MOST_PROCESSES
    )
    resident_children: int = option(
        4,
        "Processes that run one command after another, of those whose code is Airflow's own and that read or "
        "write nothing but its database; 0: each command has a process of its own.",
        maximum=MOST_PROCESSES,
    )
    command_timeout: int = option(3600, "Seconds a command may run before it is ended; 0 for no limit.")
    cancel_grace: int = option(
        10, "Seconds between asking a command to end (INT, at half of them TERM) and ending it (KILL)."
    )
    output_limit: int = option(
        1_048_576,
        "Bytes kept of each of stdout and stderr: head and tail. The command itself is never held up.",
        minimum=1024,
        maximum=LARGEST_SIZE,
    )
    memory_limit: int = option(
        4096,
        "Megabytes of private memory that one process of a command may have; 0 for no limit. A component "
        "that is started has none, the check of a DAG file has `dag_check_memory`.",
    )
    columns: int = option(
        200, "Width of the tables that commands print, in characters.", minimum=20, maximum=10_000
    )
    default_wait: int = option(
        30, "Seconds a request waits for its command when it does not say (Prefer: wait=N)."
    )
    max_upload: int = option(
        52_428_800,
        "Bytes a request body may have (JSON, and fields of forms: 8 MiB at most), and bytes kept of a file"
        " that a command wrote.",
        minimum=1024,
        maximum=LARGEST_SIZE,
    )
    max_requests: int = option(
        256,
        "Requests that one API-server process works on at the same time; one more is answered with 503 at "
        "once. Those that wait for a body, a command or events count apart, up to four times as many.",
        minimum=1,
    )
    body_timeout: int = option(300, "Seconds in which the body of a request must have arrived.", minimum=1)
    operations_database: str = option(
        "",
        "Where operations, components and DAG files are recorded, a secret: an address in SQLAlchemy's "
        "form; empty: in Airflow's own database.",
        secret=True,
        check=database,
    )
    operations_kept: int = option(10_000, "Ended operations that are kept.", minimum=1)
    operations_kept_for: int = option(604_800, "Seconds an ended operation is kept.", minimum=1)
    keep_revealed: str = option(
        "encrypted",
        "What is kept of what a command prints and writes that is there to show secrets: `encrypted`, with "
        "`[core] fernet_key`, and nothing where there is none, or `no`, nothing.",
        choices=("encrypted", "no"),
    )
    deploy_folders: str = option(
        "",
        "Folders that DAG deployment can be granted for on their own, as `bundle` or `bundle/folder` with "
        "commas between them; empty: permission can only be granted for all bundles at once.",
        check=folders,
    )
    dag_files_count: int = option(5000, "Files that one deployment may have.", minimum=1)
    dag_files_size: int = option(
        209_715_200,
        "Bytes that the files of one deployment may have, unpacked.",
        minimum=1024,
        maximum=LARGEST_SIZE,
    )
    dag_check_timeout: int = option(60, "Seconds the check of one DAG file may take; 0 for no limit.")
    dag_check_memory: int = option(2048, "Megabytes the check of one DAG file may take; 0 for no limit.")
    dag_versions_kept: int = option(20, "Versions that are kept of each file that was deployed.", minimum=1)
    service_grace: int = option(
        60,
        "Seconds between asking a component to stop (TERM) and killing it with all that it started (KILL).",
    )
    services_kept: int = option(100, "Ended components that are remembered for each host.", minimum=1)
    log_loading: bool = option(False, "Log the plugin's version and settings when it is loaded.")
    filter_loading_messages_in_cli_response: bool = option(
        True, "Take log lines out of what the 1.x endpoints answer, but where the log is the answer (`test`)."
    )
    legacy_output: str = option(
        "1.10",
        "What `output.stdout` of a 1.x endpoint has: `1.10`, what Airflow 1.10 printed, which is what its "
        "clients read, or `today`, what today's command prints.",
        choices=("1.10", "today"),
    )
    rest_api_plugin_http_token_header_name: str = option(
        "rest_api_plugin_http_token",
        "The header with the shared token; `-` and `_` in its name are the same.",
        check=header_name,
    )
    rest_api_plugin_expected_http_token: str = option(
        "",
        "A token that every client has to send beside its own credentials, a secret; empty: none.",
        secret=True,
    )
    http_token_username: str = option(
        "",
        "The Airflow user as whom a request acts that has the shared token and no credentials; empty: none.",
    )
    access_token_lifetime: int = option(900, "Seconds an access token of the login is good for.", minimum=1)
    refresh_token_lifetime: int = option(
        2_592_000, "Seconds a refresh token of the login is good for.", minimum=1
    )
    login_attempts: int = option(
        10,
        "Wrong passwords for one user from one address; after them, logins are answered with 429.",
        minimum=1,
    )
    login_lockout: int = option(
        300,
        "Seconds that logins of this user and address stay blocked; also the window in which wrong "
        "passwords are counted.",
        minimum=1,
    )
    trusted_proxies: str = option(
        "",
        "Addresses and networks of proxies, with commas between them, whose `X-Forwarded-For` says from "
        "where a request comes, for wrong passwords and for records. Without effect beside `airflow api-"
        "server --proxy-headers`, where uvicorn says it.",
        check=networks,
    )
    exchange_folder: str = option(
        "", "Folder of `import` and `export` of the 1.x endpoint `variables`; empty: both are refused."
    )
    enabled_commands: str = option(
        "*",
        "Commands that are on, as globs with commas between them (`dags *, pools list`). One that can lose "
        "data, starts an API server (`standalone`, `api-server`), or changes users or roles, is only on "
        "when a glob that is more than `*` matches it: `*, db clean, users *`. Empty: none.",
        empty=True,
        check=globs,
    )
    disabled_commands: str = option(
        "",
        "Commands that are off, as globs; this comes first. Here and above, the name of a 1.x endpoint "
        "stands for the commands that it runs.",
        check=globs,
    )
    read_only: bool = option(False, "Switch off every command beyond the effect `read`.")
    run_dag_code: bool = option(
        True,
        "Off, no command runs the code of DAG authors on the API server's host: the effect `execute`, DAG "
        "deployment, and the components that would be started there.",
    )
    placement: str = option(
        "",
        "Which commands run on [runners](deployment.md#runners) instead of in the API server: rules on lines "
        "of their own, or with commas between them, each a glob over names of commands or an effect, `=` "
        "and a queue (`tasks test = heavy`, `execute = dags`); `dag-files` stands for all work on DAG files. "
        "The first that fits counts; `local` is the API server.",
        check=placement_rules,
    )
    runner_broker: str = option(
        "",
        "The Celery broker between API servers and runners, a secret: an address such as "
        "`redis://redis:6379/1`; empty: `[celery] broker_url`.",
        secret=True,
    )
    fork: bool = option(
        True, "Run commands in forks of one warm process; off, each one is a new process: slower."
    )

    @classmethod
    def load(cls, read: Callable[[str, str], str | None] | None = None) -> Settings:
        """
        Read the options in Airflow's way: file, environment, commands and secrets backends.

        :param read: gives the text of (section, option), None where it is not set; Airflow's configuration
            by default
        :raises BadSetting: an option has a value that it cannot have
        """
        read = read or _airflow_configuration
        values: dict[str, Any] = {}
        for option in OPTIONS:
            text = read(SECTION, option.name)
            if text is not None and (text.strip() or option.empty):
                values[option.name] = _convert(option, text.strip())
        settings = cls(**values)
        if settings.http_token_username and not settings.rest_api_plugin_expected_http_token:
            raise BadSetting(
                f"[{SECTION}] http_token_username must be empty without a rest_api_plugin_expected_http_token"
            )
        return settings

    def shown(self) -> dict[str, Any]:
        """Return the values by name, the secrets masked."""
        values = asdict(self)
        return values | {option.name: MASK for option in OPTIONS if option.secret and values[option.name]}


OPTIONS: tuple[Option, ...] = tuple(
    Option(field.name, type(field.default), cast("int | bool | str", field.default), **field.metadata)
    for field in fields(Settings)
)


def _airflow_configuration(section: str, name: str) -> str | None:
    from airflow.configuration import conf

    try:
        value: str | None = conf.get(section, name, fallback=None)
        if not (value or "").strip() and any(option.secret for option in OPTIONS if option.name == name):
            value = _from_elsewhere(conf, section, name)
    except BadSetting:
        raise
    except Exception as error:
        # Its words hold the value, or what a command has printed.
        raise BadSetting(f"[{section}] {name} cannot be read ({type(error).__name__})") from None
    return value


def _from_elsewhere(conf: Any, section: str, name: str) -> str | None:
    """
    Read a secret from its command or secrets backend; raise BadSetting where there is none after all.

    Airflow does this by itself where it knows the option, which a plugin unpacked into the plugins folder
    cannot declare to it (``_get_option_from_commands`` and ``_get_option_from_secrets`` of its parser).
    """
    from airflow.configuration import get_custom_secret_backend, run_command

    def kept(key: str) -> object:
        return backend.get_config(key) if (backend := get_custom_secret_backend()) else None

    for how, read in (("cmd", run_command), ("secret", kept)):
        if where := conf.get(section, f"{name}_{how}", fallback=None):
            if not (value := str(read(where) or "").strip()):
                # A secret that could not be found must not let everyone in.
                raise BadSetting(f"[{section}] {name}_{how} must lead to a value, and does not")
            return value
    return None


def _convert(option: Option, text: str) -> int | bool | str:
    if option.type is str:
        if option.choices and text not in option.choices:
            raise BadSetting(f"{option.where} must be {' or '.join(option.choices)}, not {text!r}")
        try:
            if option.check is not None:
                option.check(text)
        except ValueError as error:
            raise BadSetting(f"{option.where} {error}") from None
        return text
    if option.type is bool:
        if text.lower() in _TRUE | _FALSE:
            return text.lower() in _TRUE
        raise BadSetting(f"{option.where} must be True or False, not {text!r}")
    try:
        number = int(text)
    except ValueError:
        raise BadSetting(f"{option.where} must be a whole number, not {text!r}") from None
    if number < option.minimum:
        raise BadSetting(f"{option.where} must be at least {option.minimum}, not {number}")
    if number > option.maximum:
        raise BadSetting(f"{option.where} must be at most {option.maximum}")
    return number


def reference() -> str:
    """Return the Markdown page of the options: ``docs/settings.md``."""
    lines = [
        "# Settings",
        "",
        "<!-- Made from the fields of `Settings` by `python -m airflow_rest_api.settings`; do not edit. -->",
        "",
        f"Section `[{SECTION}]` of `airflow.cfg`, or the environment: `AIRFLOW__{SECTION.upper()}__<NAME>`.",
        "The section may be missing. A change takes effect when the API server starts again.",
        "",
        "| option | type | default | meaning |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| `{option.name}` | {option.type.__name__} | `{option.default}` | {option.description} |"
        for option in OPTIONS
    ]
    lines += [
        "",
        "What is called a secret can also come from a command (`<name>_cmd`) or a secrets backend "
        "(`<name>_secret`), and is shown nowhere. In `airflow.cfg` a `%` is written `%%`. A list can have "
        "its entries on lines of their own, without the commas.",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(reference())
