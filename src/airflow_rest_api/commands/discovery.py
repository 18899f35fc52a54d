"""The commands of the installed Airflow, read off its own parser, and the words by which people find them."""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any

from airflow_rest_api.airflow.compat.version_compat import base_version
from airflow_rest_api.commands import argument_kinds, policy
from airflow_rest_api.commands.model import Argument, Command

_TERMINAL_CODES = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_COLOURS = "black|red|green|yellow|blue|magenta|cyan|white"
_MARKUP = re.compile(rf"\[/?(?:bold|dim|italic|underline|{_COLOURS})(?: (?:bold|dim|{_COLOURS}))*\]|\[/\]")
_AIRFLOWS = ("airflow.", "airflow_rest_api.")
_PLACEHOLDER = re.compile(r"%\((\w+)\)[a-z]")


def leaves(
    parser: argparse.ArgumentParser, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], argparse.ArgumentParser, str]]:
    """Yield every command below ``parser``: its path, its own parser, and its one-line help.

    Left out are the names that Airflow hides from its help (a name of old whose successor is listed), and
    second names of the same command.
    """
    groups = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not groups:
        yield path, parser, ""
    for group in groups:
        helps = {choice.dest: choice.help or "" for choice in group._choices_actions}
        seen: set[int] = set()
        for name, below in group.choices.items():
            if id(below) in seen or name not in helps:
                continue
            seen.add(id(below))
            for leaf_path, leaf, help_text in leaves(below, (*path, name)):
                yield leaf_path, leaf, help_text or str(helps[name])


def groups(parser: argparse.ArgumentParser) -> dict[str, str]:
    """Return the first words that several commands share, with Airflow's line on each."""
    found: dict[str, str] = {}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            helps = {choice.dest: choice.help or "" for choice in action._choices_actions}
            for name, below in action.choices.items():
                if any(isinstance(inner, argparse._SubParsersAction) for inner in below._actions):
                    found[name] = _text(str(helps.get(name, "")), {})
    return found


def describe(path: tuple[str, ...], leaf: argparse.ArgumentParser, help_text: str) -> Command:
    """Return the command that ``leaf`` parses."""
    named: dict[str, Argument] = {}
    for action in leaf._actions:
        if not isinstance(action, argparse._HelpAction) and action.dest != argparse.SUPPRESS:
            named.setdefault(action.dest, _argument(path, leaf, action))
    name = " ".join(path)
    rule = policy.COMMANDS.get(name, policy.UNKNOWN).on(base_version())
    if not _is_airflows(leaf.get_default("func")):
        rule = policy.UNKNOWN
    if rule is not policy.UNKNOWN:
        reviewed = policy.KUBERNETES_ARGUMENTS.get(name) or _reviewed().get(name, frozenset())
        named = {key: replace(one, reviewed=key in reviewed) for key, one in named.items()}
    revealed_by = rule.revealed_by if rule.revealed_by in named else None
    return Command(
        path=path,
        help=_text(help_text, {}),
        description=_text(str(leaf.description), {}) if leaf.description else None,
        arguments=tuple(named.values()),
        effect=rule.effect,
        known=rule is not policy.UNKNOWN,
        reveals_secrets=rule.reveals_secrets and (revealed_by is not None or not rule.hidden_before),
        raised_by={name: raised for name, raised in rule.raised_by.items() if name in named},
        revealed_by=revealed_by,
        grants_access=rule.grants_access,
        resident=rule.resident,
    )


@cache
def _reviewed() -> Mapping[str, frozenset[str]]:
    """
    Return the names of the arguments of each command that were looked at for the table of policy.

    A later Airflow, or a provider that is upgraded by itself, can give a command another one: a path on the
    server, say. `tools.arguments` writes them down, those of all supported versions.
    """
    found: dict[str, list[str]] = json.loads(Path(__file__).with_name("reviewed.json").read_text())
    return {name: frozenset(names) for name, names in found.items()}


def _is_airflows(function: Callable[..., Any] | None) -> bool:
    """
    Return whether what a command calls is Airflow's own, a provider's, or ours, and no plugin's of a site.

    :param function: the default `func` of its parser; Airflow puts one around the name of the real one
        (airflow/cli/cli_config.py: `lazy_load_command`). A parser without one runs nothing
    """
    if function is None:
        return True
    cells = [cell.cell_contents for cell in getattr(function, "__closure__", None) or ()]
    named = [value for value in cells if isinstance(value, str)]
    return all(name.startswith(_AIRFLOWS) for name in named or [f"{getattr(function, '__module__', '')}."])


def _argument(path: tuple[str, ...], leaf: argparse.ArgumentParser, action: argparse.Action) -> Argument:
    positional = not action.option_strings
    repeatable = (
        isinstance(action, argparse._AppendAction)
        or action.nargs in ("*", "+")
        or isinstance(action.nargs, int)
    )
    flag = action.nargs == 0
    default = _default(path, action)
    shown = {
        "default": default,
        "prog": leaf.prog,
        "dest": action.dest,
        "metavar": action.metavar or action.dest,
    }
    return Argument(
        name=action.dest,
        flags=tuple(action.option_strings),
        type=argument_kinds.value_type(action) or "string",
        help=_text(str(action.help), shown) if action.help and action.help != argparse.SUPPRESS else None,
        # A positional that may be left out is "required" to some versions of argparse when it takes any
        # number.
        required=action.nargs not in ("?", "*") if positional else action.required,
        repeatable=repeatable and not flag,
        together=repeatable and not (flag or positional or isinstance(action, argparse._AppendAction)),
        flag=flag,
        negative=_negative(action),
        choices=_choices(action),
        default=default,
        file=argument_kinds.file_direction(path, action),
        dash=isinstance(action.type, argparse.FileType) and "w" in action.type._mode,
        secret=argument_kinds.is_secret(action),
        server_path=argument_kinds.is_server_path(action),
    )


def _negative(action: argparse.Action) -> str | None:
    if isinstance(action, argparse.BooleanOptionalAction):
        return next((flag for flag in action.option_strings if flag.startswith("--no-")), None)
    if action.nargs == 0 and action.const is False:
        return action.option_strings[-1]
    return None


def _choices(action: argparse.Action) -> tuple[str, ...] | None:
    if action.choices is None:
        return None
    choices = [str(_plain(choice)) for choice in action.choices]
    return tuple(sorted(choices) if isinstance(action.choices, (set, frozenset)) else choices)


def _default(path: tuple[str, ...], action: argparse.Action) -> Any:
    """Return the default as a JSON value, or None where it would give away something about it."""
    value = _plain(action.default)
    if (
        argument_kinds.is_secret(action)
        or argument_kinds.is_server_path(action)
        or argument_kinds.file_direction(path, action)
        or argument_kinds.names_a_place(value)
        or (action.dest.endswith(("host", "hostname")) and value not in argument_kinds.HARMLESS_HOSTS)
    ):
        return None
    if isinstance(value, str) and argument_kinds.value_type(action) in ("integer", "number"):
        # argparse sends text through the type function when it is the default that is used.
        try:
            return float(value) if argument_kinds.value_type(action) == "number" else int(value)
        except ValueError:
            return None
    return value


def _plain(value: Any) -> Any:
    """Return a JSON value for what a parser may hold, or None."""
    if isinstance(value, Enum):
        return _plain(value.value)
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, str):
        return None if value == argparse.SUPPRESS else value
    return value if isinstance(value, (bool, int, float)) else None


def _text(text: str, shown: Mapping[str, Any]) -> str:
    """Return a help text as plain text: placeholders filled in, no colours, no folders of the server."""

    def fill_in(match: re.Match[str]) -> str:
        value = shown.get(match[1])
        return "set by the server" if value is None else str(value)

    text = _PLACEHOLDER.sub(fill_in, text).replace("%%", "%")
    text = _MARKUP.sub("", _TERMINAL_CODES.sub("", text))
    for folder, name in _server_folders():
        text = folder.sub(name, text)
    return text.strip()


@cache
def _server_folders() -> list[tuple[re.Pattern[str], str]]:
    """Return what finds the names of the server's folders in a text, and what to write in their place."""
    folders = {
        Path.home(): "~",
        Path(sys.prefix): "[PREFIX]",
        Path.cwd(): "[CWD]",
        Path(os.environ.get("AIRFLOW_HOME", "~/airflow")).expanduser().absolute(): "[AIRFLOW_HOME]",
    }
    # The longest first: AIRFLOW_HOME is often below the home folder.
    names = sorted(((str(folder), name) for folder, name in folders.items()), key=lambda item: -len(item[0]))
    return [
        (re.compile(rf"(?<![\w./]){re.escape(folder)}(?![\w-])"), name)
        for folder, name in names
        if folder != os.sep
    ]


_MEANINGS = {
    "abort cancel kill terminate": "stop shutdown cleanup delete",
    "access permission": "users roles perm permissions",
    "account login": "users roles",
    "activate enable resume": "unpause",
    "alive health monitor status": "check state states jobs workers",
    "backup download dump save": "export",
    "blocked why": "deps",
    "broken": "errors",
    "catchup": "backfill",
    "change edit": "set update add",
    "clean": "clear clean archived cleanup",
    "configuration settings": "config",
    "credentials secret": "connections variables fernet",
    "dataset": "assets",
    "deactivate disable suspend": "pause",
    "debug": "test render deps",
    "drop": "delete remove archived",
    "encryption": "fernet",
    "execute run": "trigger test backfill",
    "failed": "errors deps states",
    "graph tree": "show",
    "heartbeat": "jobs workers",
    "history": "runs jobs",
    "jinja template": "render",
    "k8s": "kubernetes",
    "launch": "trigger test",
    "logs": "test errors states",
    "new": "create add set",
    "parse": "reserialize errors report",
    "password": "users connections",
    "prune purge": "clean archived cleanup",
    "redo rerun": "clear backfill",
    "refresh reload": "reserialize",
    "remove": "delete remove clean",
    "rename": "set",
    "restart retry": "clear",
    "restore upload": "import",
    "rollback undo": "downgrade",
    "schedule": "execution pause unpause",
    "start": "trigger server scheduler worker processor triggerer",
    "stop": "stop shutdown pause",
    "stuck": "deps states",
    "sync": "reserialize sync",
    "trigger": "trigger backfill materialize",
    "upgrade": "migrate",
    "validate": "check lint errors test",
    "view": "list get show details",
    "web webserver": "server",
}

SEARCH_WORDS: Mapping[str, tuple[str, ...]] = {
    word: tuple(meant.split())
    for word, meant in sorted((word, meant) for words, meant in _MEANINGS.items() for word in words.split())
}
"""The words in which people look for commands, and those in the names of the commands that they mean."""


def search_words(command: Command) -> list[str]:
    """Return the words by which people look for a command, though they are not in its name."""
    own = {part for word in command.path for part in word.split("-")}
    return [word for word, meant in SEARCH_WORDS.items() if word not in own and not own.isdisjoint(meant)]
