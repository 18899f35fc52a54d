"""What clients of 1.x name, by its name of today: commands, arguments, and the files of their choice."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from airflow_rest_api.commands.model import Command
from airflow_rest_api.dag_files.archive import ENDINGS
from airflow_rest_api.errors import Refusal, UnknownCommand
from airflow_rest_api.legacy.model import Ignored, LegacyRequest, TranslationContext

ARGUMENTS: Mapping[str, tuple[str, ...]] = {
    "execution_date": ("logical_date_or_run_id", "execution_date_or_run_id", "execution_date"),
    "exec_date": ("logical_date", "exec_date"),
    "start_date": ("start_date", "from_date"),
    "end_date": ("end_date", "to_date"),
}
"""An argument: the first of these that the command has. One that is not listed has kept its name."""

ELSEWHERE = frozenset({"no_confirm", "daemon", "subdir"})
"""No argument of any command any more: always the case, and not worth a warning, or, as a path in a bundle,
looked after before the command runs."""

LOG_ARGUMENTS = ("stdout", "stderr", "log-file")
EXCHANGE_OPTION = "[rest_api_plugin] exchange_folder"

NO_FILE = "dag_file should be provided"
NOT_PYTHON = "dag_file is not a *.py file"
UNSAFE_NAME = (
    "The name of dag_file must not have a slash, backslash or control character in it, nor begin with a dot"
)
LONGEST_NAME = 200
_BAD_NAME = re.compile(r"[\0-\x1f\x7f]|\A\.")
_SAFE_NAME = re.compile(
    r"(?!\.)[^/\\\0-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+\.(py|zip|tgz|tar\.gz)", re.UNICODE
)


def command_of(request: LegacyRequest, context: TranslationContext) -> Command:
    """Return the command that an endpoint has on the installed Airflow."""
    endpoint = request.endpoint
    for name in endpoint.commands:
        try:
            return context.get(name)
        except UnknownCommand:
            continue
    hint = f": {endpoint.comes_with} is not installed" if endpoint.comes_with else ""
    raise Refusal(f"This Airflow has no command 'airflow {endpoint.commands[0]}'{hint}")


def counterpart(command: Command, name: str) -> str | None:
    """Return what an argument of 1.x is called by a command of today, None where it has none."""
    candidates = ARGUMENTS.get(name, (name.replace("-", "_"),))
    return next((candidate for candidate in candidates if command.argument(candidate)), None)


def renamed(
    request: LegacyRequest, command: Command, *, leave: Iterable[str] = ()
) -> tuple[dict[str, Any], list[str]]:
    """
    Return a request's arguments by the names of a command, and a warning for those that have no counterpart.

    :param leave: arguments that are looked after elsewhere
    """
    values: dict[str, Any] = {}
    lost: list[str] = []
    left = {*leave, *ELSEWHERE}
    for argument in request.endpoint.arguments:
        name = argument.name
        if name in left or not request.given(name):
            continue
        target = counterpart(command, name)
        if target is None:
            lost.append(name)
        else:
            values.setdefault(target, True if argument.check_box else request.values[name])
    text = f"Argument(s) {lost} have no effect: 'airflow {command.name}' has no such option"
    return values, [Ignored(text, *lost)] if lost else []


def log_names(request: LegacyRequest, warnings: list[str]) -> tuple[str, str]:
    """Return the files of the log folder that take output and error output; a path's last part counts."""
    names = {
        name: base_name(name, value, "log folder", warnings)
        for name in LOG_ARGUMENTS
        if (value := request.get(name))
    }
    stdout = names.get("stdout") or names.get("log-file") or f"airflow-{request.endpoint.name}.log"
    return stdout, names.get("stderr") or stdout


def pid_name(request: LegacyRequest, warnings: list[str]) -> str | None:
    """Return the file of AIRFLOW_HOME that gets the process id; with `daemon`, there is always one."""
    value = request.get("pid")
    if value is None:
        return f"airflow-{request.endpoint.name}.pid" if request.given("daemon") else None
    name = base_name("pid", value, "home folder", warnings)
    if not name.endswith(".pid"):
        raise Refusal("Argument 'pid' must be the name of a file that ends with '.pid'")
    return name


def base_name(argument: str, value: str, folder: str, warnings: list[str]) -> str:
    """Return the last part of a path, which is a file in a folder of Airflow's; warn where there is more."""
    name = re.split(r"[/\\]", value.rstrip("/\\"))[-1]
    if not name or _BAD_NAME.search(name) or len(name.encode()) > LONGEST_NAME:
        raise Refusal(f"Argument '{argument}' must be the name of a file in Airflow's {folder}")
    if name != value:
        warnings.append(f"Argument '{argument}' names a file in Airflow's {folder}: '{name}' is used")
    return name


def exchanged(folder: str, path: str, *, argument: str, to_write: bool) -> str:
    """
    Return the file that `import` or `export` name, all links followed.

    :param folder: the exchange folder; empty where none is configured
    :param path: relative to the folder, or absolute and inside it
    :raises Refusal: no folder is configured, the file is not inside it, or no file can have this path
    """
    if not folder:
        raise Refusal(
            f"Argument '{argument}' needs the option {EXCHANGE_OPTION}: the folder for files to exchange"
        )
    if "\0" in path:
        raise Refusal(f"Argument '{argument}': the path has a NUL character in it")
    root = Path(os.path.realpath(folder))
    file = Path(os.path.realpath(root / path))
    if file == root or not file.is_relative_to(root):
        raise Refusal(f"Argument '{argument}': '{path}' is not inside the exchange folder")
    try:
        fits = not _is_folder(file) and (_is_folder(file.parent) or not to_write)
    except OSError as error:
        # Such as a name with more characters than any file has.
        raise Refusal(f"Argument '{argument}': '{path[:200]}': {error.strerror}") from None
    if not fits:
        raise Refusal(f"Argument '{argument}': '{path}' is a folder, or its folder does not exist")
    return str(file)


def _is_folder(path: Path) -> bool:
    """Return whether a path is a folder; raise OSError, unlike `Path.is_dir`, where no file can have it."""
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


def uploaded(request: LegacyRequest) -> str:
    """Return the name of the DAG file, or archive, that came with a request."""
    file = request.files.get("dag_file")
    if file is None or not file.filename:
        raise Refusal(NO_FILE)
    if not file.filename.endswith((".py", *ENDINGS)):
        raise Refusal(NOT_PYTHON)
    if not _SAFE_NAME.fullmatch(file.filename) or len(file.filename.encode()) > LONGEST_NAME:
        raise Refusal(UNSAFE_NAME)
    return file.filename
