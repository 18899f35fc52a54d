"""From JSON values to the words of a command line that no value can break out of."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import replace
from datetime import date
from importlib import import_module
from os import PathLike
from typing import Any
from urllib.parse import urlsplit

from airflow_rest_api import json_text, secret_names
from airflow_rest_api.commands import argument_kinds
from airflow_rest_api.commands.argument_parser import Occurrence, shown_name
from airflow_rest_api.commands.model import Argument
from airflow_rest_api.errors import BadArgument

# argparse takes time that grows with the square of the number of words.
MAX_WORDS = 1000
MAX_CHARACTERS = 4 * 1024 * 1024
# argparse slices joined short flags (`-vvv`) one by one.
MAX_JOINED_FLAGS = 1000
# Airflow's columns of ids and keys have 250 characters; a regular expression for them may be longer.
MAX_NAME = 1000

WIDEST = 1_200_000
WIDEST_IGNORING_CASE = 100_000
"""Characters in all ranges of a regular expression."""
_INTEGER = re.compile(r"[+-]?[0-9]+")
_HALF = re.compile(r"\\u[dD][89a-fA-F]")
_IGNORES_CASE = re.compile(r"\(\?[a-zA-Z]*i")
_parser = import_module("re._parser" if sys.version_info >= (3, 11) else "sre_parse")

_EXPECTED = {
    "boolean": "true or false",
    "datetime": "a date and time as text",
    "integer": "an integer",
    "list": "a list, or text with commas",
    "number": "a number",
    "string": "text",
}


def occurrences(
    arguments: Mapping[str, Argument], actions: Mapping[str, argparse.Action], given: Mapping[str, Any]
) -> list[Occurrence]:
    """
    Return what stands on the command line for values by name.

    :param arguments: those of the command, and so are ``actions``
    :param given: a value of None means that the argument is not given
    :raises BadArgument: a value does not fit its argument
    """
    found: list[Occurrence] = []
    for name, value in given.items():
        if name not in arguments:
            raise BadArgument(_shortened(name), f"unrecognized arguments: {_shortened(name)}")
        if value is None:
            continue
        argument, action = arguments[name], actions[name]
        if argument.flag:
            found += _flag(argument, action, value)
        elif not argument.repeatable:
            found.append((action, [_word(argument, value)]))
        else:
            values = list(value) if isinstance(value, (list, tuple)) else [value]
            words = [_word(argument, item) for item in values]
            if isinstance(action, argparse._AppendAction) and action.nargs is None:
                found += [(action, [word]) for word in words]
            elif words or action.option_strings:
                found.append((action, words))
    _check_required(arguments.values(), actions, {action.dest for action, _ in found})
    return found


def collapsed(found: Iterable[Occurrence]) -> list[Occurrence]:
    """Return the last of what was given several times, or all where it adds up."""
    last: dict[str, Occurrence] = {}
    kept: list[Occurrence] = []
    for action, words in found:
        if isinstance(action, (argparse._AppendAction, argparse._AppendConstAction, argparse._CountAction)):
            kept.append((action, words))
        else:
            last[action.dest] = (action, words)
    return kept + list(last.values())


def command_line(
    order: Sequence[argparse.Action], found: Sequence[Occurrence], values: Mapping[str, Any] | None = None
) -> list[str]:
    """
    Return the words of the arguments: options first, then ``--``, then the positionals in their ``order``.

    :param values: the parsed values, for flags that have a negative form
    :raises BadArgument: one of several values of an option begins with a dash, which argparse cannot take
    """
    options: list[str] = []
    positionals: list[str] = []
    place = {id(action): index for index, action in enumerate(order)}
    for action, words in sorted(found, key=lambda occurrence: place[id(occurrence[0])]):
        if not action.option_strings:
            positionals += words
            continue
        flag = _flag_text(action, (values or {}).get(action.dest))
        if action.nargs == 0 or not words:
            options.append(flag)
        elif len(words) == 1 and not _stands_apart(action, words[0]):
            options.append(f"{flag}={words[0]}")
        else:
            # Apart from its flag only where there is no other way, and where the value is a secret: Airflow
            # writes the command line to its audit log, and hides --conn-uri and --conn-json in this form
            # alone (airflow/utils/cli.py, _build_metrics).
            if not all(_is_plain(word) for word in words):
                problem = "one of several values cannot begin with '-'"
                raise BadArgument(action.dest, f"argument {flag}: {problem}")
            options += [flag, *words]
    return [*options, "--", *positionals] if positionals else options


def truth(value: Any) -> Any:
    """Return true and false as such where a form sent them as text, and anything else as it is."""
    return {"true": True, "false": False}.get(value.lower(), value) if isinstance(value, str) else value


def check_text(name: str | None, text: str) -> None:
    """Raise BadArgument where ``text`` cannot be part of a command line, or is JSON with too much in it."""
    where = f"argument {name}: " if name else ""
    if "\0" in text:
        raise BadArgument(name, f"{where}a NUL character cannot be passed to a command")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise BadArgument(name, f"{where}not valid Unicode text") from None
    if text.lstrip().startswith(("{", "[")):
        try:
            json_text.check(text)
        except ValueError as error:
            raise BadArgument(name, f"{where}the JSON {str(error).removeprefix('it ')}") from None


def check_size(words: Sequence[str]) -> None:
    """Raise BadArgument where a command line is too long."""
    if len(words) > MAX_WORDS:
        raise BadArgument(None, f"too many words: {len(words)}, at most {MAX_WORDS} are allowed")
    if sum(map(len, words)) > MAX_CHARACTERS:
        raise BadArgument(None, f"too long: at most {MAX_CHARACTERS} characters are allowed")


def check_flags(words: Sequence[str]) -> None:
    """Raise BadArgument where too many short flags are joined, or too long a value to one."""
    for word in words:
        if word == "--":
            return
        if len(word) > MAX_JOINED_FLAGS and word[0] == "-" and word[1] != "-":
            raise BadArgument(
                None, f"too long: a value of {len(word)} characters needs the long option's name"
            )


def check_names(values: Mapping[str, Any]) -> None:
    """Raise BadArgument where what names an object is longer than any name can be."""
    for name, value in values.items():
        if isinstance(value, str) and len(value) > MAX_NAME and argument_kinds.is_name(name):
            raise BadArgument(name, f"argument {name}: at most {MAX_NAME} characters are allowed")


def check_patterns(values: Mapping[str, Any]) -> None:
    """Raise BadArgument where a regular expression is none; it is compiled, and applied to nothing."""
    for name, flags in argument_kinds.PATTERNS.items():
        value = values.get(name)
        if not isinstance(value, str) or (flags and not any(values.get(flag) is True for flag in flags)):
            continue
        if len(value) > MAX_NAME:
            raise BadArgument(name, f"argument {name}: at most {MAX_NAME} characters are allowed")
        try:
            if _too_wide(value):
                raise BadArgument(name, f"argument {name}: its ranges of characters are too wide")
            re.compile(value)
        except (re.error, ValueError, RecursionError, OverflowError) as error:
            raise BadArgument(name, f"argument {name}: not a regular expression: {error}") from None


def _too_wide(pattern: str) -> bool:
    """
    Return whether a pattern has ranges of so many characters that compiling it takes long.

    Python looks at each of them, and where upper and lower case are the same does so one by one.

    :raises re.error: it is none
    """
    parsed: Any = _parser.parse(pattern)
    ignoring = bool(parsed.state.flags & re.IGNORECASE) or _IGNORES_CASE.search(pattern) is not None
    width, left = 0, [parsed]
    while left:
        item = left.pop()
        if isinstance(item, tuple) and len(item) == 2 and str(item[0]) == "RANGE":
            width += item[1][1] - item[1][0]
        elif isinstance(item, (tuple, list)) or hasattr(item, "data"):
            left.extend(item)
    return width > (WIDEST_IGNORING_CASE if ignoring else WIDEST)


def check_parts(values: Mapping[str, Any]) -> None:
    """Raise BadArgument where a number, JSON or an address is none that Airflow can handle; quote none."""
    for name in argument_kinds.NUMBERS:
        value = values.get(name)
        if isinstance(value, str) and value and not (value.isascii() and value.isdecimal()):
            raise BadArgument(name, f"argument {name}: takes an integer")
    for name, (low, high) in argument_kinds.RANGES.items():
        number = str(values.get(name)).strip()
        if _INTEGER.fullmatch(number) and not (len(number) < 20 and low <= int(number) <= high):
            raise BadArgument(name, f"argument {name}: takes an integer from {low} to {high}")
    for name in argument_kinds.STORED_JSON:
        value = values.get(name)
        if isinstance(value, str):
            # Of a word such as `--conf=[…]` nobody has seen that it is JSON.
            check_text(name, value)
            if _has_half_a_character(value):
                raise BadArgument(name, f"argument {name}: not valid Unicode text")
    for name in argument_kinds.ADDRESSES:
        value = values.get(name)
        try:
            if isinstance(value, str):
                _ = urlsplit(value).port
        except ValueError:
            # A password with a slash in it, or the like: a part of it would be taken for the port.
            problem = "the host or the port cannot be read; user and password have to be percent-encoded"
            raise BadArgument(name, f"argument {name}: {problem}") from None


def _has_half_a_character(text: str) -> bool:
    """Return whether a JSON text has, in an escape, one of the two halves that make a character."""
    if _HALF.search(text) is None:
        return False
    try:
        json.dumps(json.loads(text), ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    except (ValueError, RecursionError):
        return False  # the command says what is wrong
    return False


def _check_required(
    arguments: Iterable[Argument], actions: Mapping[str, argparse.Action], given: Set[str]
) -> None:
    """
    Raise BadArgument, in argparse's words, where one is missing.

    argparse itself counts positionals, and would blame the last one for the first.
    """
    missing = [argument.name for argument in arguments if argument.required and argument.name not in given]
    if missing:
        names = ", ".join(shown_name(actions[name]) for name in missing)
        raise BadArgument(missing[0], f"the following arguments are required: {names}")


def _flag(argument: Argument, action: argparse.Action, value: Any) -> list[Occurrence]:
    value = truth(value)
    if isinstance(action, argparse._CountAction) and isinstance(value, int) and 0 <= value <= MAX_WORDS:
        return [(action, [])] * int(value)
    if not isinstance(value, bool):
        raise BadArgument(argument.name, f"argument {argument.name}: takes true or false")
    if isinstance(action, argparse.BooleanOptionalAction):
        return [(action, [])]
    stored = action.const if isinstance(action.const, bool) else True
    if value == stored:
        return [(action, [])]
    if action.default is stored:
        # Such as --only-idle, whose default comes from the configuration.
        problem = f"cannot be {json.dumps(value)}, the server's configuration is against it"
        raise BadArgument(argument.name, f"argument {argument.name}: {problem}")
    return []


def _word(argument: Argument, value: Any) -> str:
    """Return the text that stands for ``value`` on a command line."""
    name = argument.name
    if isinstance(value, PathLike):
        value = str(value)
    if isinstance(value, date) and argument.type == "datetime":
        value = value.isoformat()
    if isinstance(value, str):
        check_text(name, value)
        return value
    if argument.type == "json":
        return _json(name, value)
    if argument.type == "list" and isinstance(value, (list, tuple)):
        return _comma_separated(argument, value)
    # Python takes true and false for numbers.
    if argument_kinds.is_name(name) and isinstance(value, (dict, list)):
        raise BadArgument(name, f"argument {name}: takes text")
    numbers: dict[str, tuple[type, ...]] = {
        "integer": (int,),
        "number": (int, float),
        "string": (int, float, dict, list),
    }
    if isinstance(value, bool) or not isinstance(value, numbers.get(argument.type, ())):
        raise BadArgument(name, f"argument {name}: takes {_EXPECTED[argument.type]}")
    # Text: a number as JSON writes it, and JSON itself for the arguments whose text is JSON, such as --conf.
    return _json(name, value)


def _comma_separated(argument: Argument, values: Sequence[Any]) -> str:
    name = argument.name
    items = [_word(replace(argument, type="string"), value) for value in values]
    if not items:
        # Left out, it would mean "all" to commands such as db clean.
        raise BadArgument(name, f"argument {name}: an empty list cannot be given")
    if any("," in item or item != item.strip() for item in items):
        raise BadArgument(name, f"argument {name}: an item has a comma, or space around it")
    return ",".join(items)


def _json(name: str, value: Any) -> str:
    try:
        text = json.dumps(value, allow_nan=False, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):
        raise BadArgument(name, f"argument {name}: not a JSON value") from None
    check_text(name, text)
    return text


def _flag_text(action: argparse.Action, value: Any) -> str:
    """Return the flag to write, the long one where there is one."""
    flags = list(action.option_strings)
    if isinstance(action, argparse.BooleanOptionalAction):
        flags = [flag for flag in flags if flag.startswith("--no-") != bool(value)]
    return next((flag for flag in flags if flag.startswith("--")), flags[0])


def _stands_apart(action: argparse.Action, word: str) -> bool:
    return argument_kinds.is_secret(action) and _is_plain(word) and word != secret_names.MASK


def _is_plain(word: str) -> bool:
    """Whether argparse takes the word for a value wherever it stands."""
    return not word.startswith("-")


def _shortened(name: Any) -> str:
    return str(name)[:100]
