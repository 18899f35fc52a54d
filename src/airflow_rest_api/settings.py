"""Every ``[rest_api_plugin]`` option: one table, from which the reading and the documentation are made."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

SECTION = "rest_api_plugin"


@dataclass(frozen=True)
class Option:
    """
    One option; a number below ``minimum`` is refused.

    One that is a ``secret`` can also come from a command (``<name>_cmd``) or a secrets backend
    (``<name>_secret``), as Airflow's own secrets can, and is shown nowhere.
    """

    name: str
    type: type
    default: int | bool | str
    description: str
    minimum: int = 0
    secret: bool = False


OPTIONS: tuple[Option, ...] = (
    Option("parallelism", int, 8, "Commands that run at the same time in one API-server process.", 1),
    Option("queue_size", int, 64, "Commands that may wait for their turn; one more is answered with 429."),
    Option(
        "queue_per_user",
        int,
        48,
        "Commands of one user that may wait for their turn; one more is answered with 429.",
        1,
    ),
    Option("spare_children", int, 2, "Processes forked ahead, so that a command does not wait for its fork."),
    Option("command_timeout", int, 3600, "Seconds a command may run before it is ended; 0 for no limit."),
    Option(
        "cancel_grace",
        int,
        10,
        "Seconds between asking a command to end (INT, at half of them TERM) and ending it (KILL).",
    ),
    Option(
        "output_limit",
        int,
        1_048_576,
        "Bytes kept of each of stdout and stderr: head and tail. The command itself is never held up.",
        1024,
    ),
    Option(
        "memory_limit",
        int,
        4096,
        "Megabytes of private memory that one process of a command may have; 0 for no limit. A component "
        "that is started has none, the check of a DAG file has `dag_check_memory`.",
    ),
    Option("columns", int, 200, "Width of the tables that commands print, in characters.", 20),
    Option(
        "default_wait",
        int,
        30,
        "Seconds a request waits for its command when it does not say (Prefer: wait=N).",
    ),
    Option(
        "max_upload",
        int,
        52_428_800,
        "Bytes a request body may have (JSON and 1.x forms: 8 MiB at most), and bytes kept of a file that a "
        "command wrote.",
        1024,
    ),
    Option(
        "max_requests",
        int,
        256,
        "Requests that one API-server process works on at the same time; one more is answered with 503 at "
        "once. Those that wait for a body, a command or events count apart, up to four times as many.",
        1,
    ),
    Option("body_timeout", int, 300, "Seconds in which the body of a request must have arrived.", 1),
    Option(
        "operations_database",
        str,
        "",
        "Where operations, components and DAG files are recorded, a secret: an address in SQLAlchemy's form; "
        "empty: in Airflow's own database.",
        secret=True,
    ),
    Option("operations_kept", int, 10_000, "Ended operations that are kept.", 1),
    Option("operations_kept_for", int, 604_800, "Seconds an ended operation is kept.", 1),
    Option(
        "keep_revealed",
        str,
        "encrypted",
        "What is kept of what a command prints and writes that is there to show secrets: `encrypted`, with "
        "`[core] fernet_key`, and nothing where there is none, or `no`, nothing.",
    ),
    Option(
        "deploy_folders",
        str,
        "",
        "Folders that DAG deployment can be granted for on their own, as `bundle` or `bundle/folder` with "
        "commas between them; empty: only for everything.",
    ),
    Option("dag_files_count", int, 5000, "Files that one deployment may have.", 1),
    Option(
        "dag_files_size", int, 209_715_200, "Bytes that the files of one deployment may have, unpacked.", 1024
    ),
    Option("dag_check_timeout", int, 60, "Seconds the check of one DAG file may take; 0 for no limit."),
    Option("dag_check_memory", int, 2048, "Megabytes the check of one DAG file may take; 0 for no limit."),
    Option("dag_versions_kept", int, 20, "Versions that are kept of each file that was deployed.", 1),
    Option(
        "service_grace",
        int,
        60,
        "Seconds between asking a component to stop (TERM) and killing it with all that it started (KILL).",
    ),
    Option("services_kept", int, 100, "Ended components that are remembered for each host.", 1),
    Option("log_loading", bool, False, "Log the plugin's version and settings when it is loaded."),
    Option(
        "filter_loading_messages_in_cli_response",
        bool,
        True,
        "Take log lines out of what the 1.x endpoints answer, but where the log is the answer (`test`).",
    ),
    Option(
        "legacy_output",
        str,
        "1.10",
        "What `output.stdout` of a 1.x endpoint has: `1.10`, what Airflow 1.10 printed, which is what its "
        "clients read, or `today`, what today's command prints.",
    ),
    Option(
        "rest_api_plugin_http_token_header_name",
        str,
        "rest_api_plugin_http_token",
        "The header with the shared token; `-` and `_` in its name are the same.",
    ),
    Option(
        "rest_api_plugin_expected_http_token",
        str,
        "",
        "A token that every client has to send beside its own credentials, a secret; empty: none.",
        secret=True,
    ),
    Option(
        "http_token_username",
        str,
        "",
        "The Airflow user as whom a request acts that has the shared token and no credentials; empty: none.",
    ),
    Option("access_token_lifetime", int, 900, "Seconds an access token of the login is good for.", 1),
    Option("refresh_token_lifetime", int, 2_592_000, "Seconds a refresh token of the login is good for.", 1),
    Option(
        "login_attempts",
        int,
        10,
        "Wrong passwords for one user from one address; after them, logins are answered with 429.",
        1,
    ),
    Option("login_lockout", int, 300, "Seconds for which they are, and for which wrong ones count.", 1),
    Option(
        "trusted_proxies",
        str,
        "",
        "Addresses and networks of proxies, with commas between them, whose `X-Forwarded-For` says from "
        "where a request comes, for wrong passwords and for records. Without effect beside "
        "`airflow api-server --proxy-headers`, where uvicorn says it.",
    ),
    Option(
        "exchange_folder",
        str,
        "",
        "Folder of `import` and `export` of the 1.x endpoint `variables`; empty: both are refused.",
    ),
    Option(
        "enabled_commands",
        str,
        "*",
        "Commands that are on, as globs with commas between them (`dags *, pools list`). One that can lose "
        "data, starts an API server (`standalone`, `api-server`), or changes users or roles, is only on when "
        "a glob that is more than `*` matches it: `*, db clean, users *`.",
    ),
    Option(
        "disabled_commands",
        str,
        "",
        "Commands that are off, as globs; this comes first. Here and above, the name of a 1.x endpoint "
        "stands for the commands that it runs.",
    ),
    Option("read_only", bool, False, "Switch off every command beyond the effect `read`."),
    Option(
        "run_dag_code",
        bool,
        True,
        "Off, no command runs the code of DAG authors on the API server's host: the effect `execute`, DAG "
        "deployment, and the components that would be started there.",
    ),
    Option(
        "fork",
        bool,
        True,
        "Run commands in forks of one warm process; off, each one is a new process: slower.",
    ),
)

CHOICES = {"legacy_output": ("1.10", "today"), "keep_revealed": ("encrypted", "no")}

# RFC 9110, 5.6.2: token.
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_TAKEN_HEADERS = {"authorization", "cookie", "host", "origin", "referer"}
_TRUE = {"t", "true", "1", "yes", "y", "on"}
_FALSE = {"f", "false", "0", "no", "n", "off"}


class BadSetting(ValueError):
    """An option has a value that it cannot have; the message names the option, never the value of another."""


@dataclass(frozen=True)
class Settings:
    """The options as read; the fields are the names of ``OPTIONS``."""

    parallelism: int = 8
    queue_size: int = 64
    queue_per_user: int = 48
    spare_children: int = 2
    command_timeout: int = 3600
    cancel_grace: int = 10
    output_limit: int = 1_048_576
    memory_limit: int = 4096
    columns: int = 200
    default_wait: int = 30
    max_upload: int = 52_428_800
    max_requests: int = 256
    body_timeout: int = 300
    operations_database: str = ""
    operations_kept: int = 10_000
    operations_kept_for: int = 604_800
    keep_revealed: str = "encrypted"
    deploy_folders: str = ""
    dag_files_count: int = 5000
    dag_files_size: int = 209_715_200
    dag_check_timeout: int = 60
    dag_check_memory: int = 2048
    dag_versions_kept: int = 20
    service_grace: int = 60
    services_kept: int = 100
    log_loading: bool = False
    filter_loading_messages_in_cli_response: bool = True
    legacy_output: str = "1.10"
    rest_api_plugin_http_token_header_name: str = "rest_api_plugin_http_token"
    rest_api_plugin_expected_http_token: str = ""
    http_token_username: str = ""
    access_token_lifetime: int = 900
    refresh_token_lifetime: int = 2_592_000
    login_attempts: int = 10
    login_lockout: int = 300
    trusted_proxies: str = ""
    exchange_folder: str = ""
    enabled_commands: str = "*"
    disabled_commands: str = ""
    read_only: bool = False
    run_dag_code: bool = True
    fork: bool = True

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
            if text is not None and text.strip():
                values[option.name] = _convert(option, text.strip())
        settings = cls(**values)
        settings._check()
        return settings

    def _check(self) -> None:
        header = self.rest_api_plugin_http_token_header_name
        if not _HEADER_NAME.fullmatch(header) or header.lower() in _TAKEN_HEADERS:
            where = f"[{SECTION}] rest_api_plugin_http_token_header_name"
            raise BadSetting(f"{where} must be the name of a header of its own, not {header!r}")
        if self.http_token_username and not self.rest_api_plugin_expected_http_token:
            raise BadSetting(
                f"[{SECTION}] http_token_username must be empty without a rest_api_plugin_expected_http_token"
            )

        for name, values in CHOICES.items():
            if (value := getattr(self, name)) not in values:
                raise BadSetting(f"[{SECTION}] {name} must be {' or '.join(values)}, not {value!r}")
        if self.trusted_proxies:
            from airflow_rest_api.security import client_address

            try:
                client_address.parse(self.trusted_proxies)
            except ValueError as error:
                raise BadSetting(f"[{SECTION}] trusted_proxies: {error}") from None
        if self.deploy_folders:
            from airflow_rest_api.dag_files.grants import BadFolders, parse

            try:
                parse(self.deploy_folders)
            except BadFolders as error:
                raise BadSetting(f"[{SECTION}] deploy_folders: {error}") from None
        if self.operations_database:
            from airflow_rest_api.storage.engines import BadDatabase, own_engine

            try:
                own_engine(self.operations_database).dispose()
            except BadDatabase as error:
                raise BadSetting(f"[{SECTION}] operations_database {error}") from None

    def shown(self) -> dict[str, Any]:
        """Return the values by name, the secrets masked."""
        values = {option.name: getattr(self, option.name) for option in OPTIONS}
        return {
            option.name: "***" if option.secret and values[option.name] else values[option.name]
            for option in OPTIONS
        }


def _airflow_configuration(section: str, name: str) -> str | None:
    from airflow.configuration import conf

    value: str | None = conf.get(section, name, fallback=None)
    if not value and any(option.secret for option in OPTIONS if option.name == name):
        value = _from_elsewhere(conf, section, name)
    return value


def _from_elsewhere(conf: Any, section: str, name: str) -> str | None:
    """
    Read a secret from its command or secrets backend; raise BadSetting where there is none after all.

    Airflow does this by itself where it knows the option, which a plugin unpacked into the plugins folder
    cannot tell it (``airflow._shared.configuration.parser``: ``_get_option_from_commands``,
    ``_get_option_from_secrets``).
    """
    from airflow.configuration import run_command

    if command := conf.get(section, f"{name}_cmd", fallback=None):
        return _present(str(run_command(command)).strip(), f"{name}_cmd")
    if key := conf.get(section, f"{name}_secret", fallback=None):
        return _present(conf._get_config_value_from_secret_backend(key), f"{name}_secret")
    return None


def _present(value: Any, name: str) -> str:
    # Nobody is let in because a secret could not be found.
    if not value:
        raise BadSetting(f"[{SECTION}] {name} must lead to a value, and does not")
    return str(value)


def _convert(option: Option, text: str) -> int | bool | str:
    if option.type is str:
        return text
    where = f"[{SECTION}] {option.name}"
    if option.type is bool:
        if text.lower() in _TRUE:
            return True
        if text.lower() in _FALSE:
            return False
        raise BadSetting(f"{where} must be True or False, not {text!r}")
    try:
        number = int(text)
    except ValueError:
        raise BadSetting(f"{where} must be a whole number, not {text!r}") from None
    if number < option.minimum:
        raise BadSetting(f"{where} must be at least {option.minimum}, not {number}")
    return number


def reference() -> str:
    """Return the Markdown page of the options: ``docs/settings.md``."""
    lines = [
        "# Settings",
        "",
        "<!-- Made from the OPTIONS table by `python -m airflow_rest_api.settings`; do not edit. -->",
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
        "(`<name>_secret`), and is shown nowhere.",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(reference())
