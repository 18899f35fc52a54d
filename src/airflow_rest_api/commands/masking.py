"""The values of secret arguments, hidden."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import chain
from typing import Any
from urllib.parse import parse_qsl, unquote, unquote_plus

from airflow_rest_api import json_text
from airflow_rest_api.commands import argument_kinds
from airflow_rest_api.commands.argument_parser import Occurrence
from airflow_rest_api.errors import BadArgument
from airflow_rest_api.secret_names import MASK, is_secret, shortest_secret

# A user may have an `@` in it, as those of Azure's databases have.
_PASSWORD_IN_ADDRESS = re.compile(r"(://[^/?#:\s]*:)([^/?#\s]+)(?=@)")
_PARAMETER = re.compile(r"([?&]([^=&#?\s]+)=)([^&#\s]+)")
"""A parameter of an address: Airflow takes the extra field of a connection from these."""
EXTRA_KEY = "__extra__"  # airflow.models.connection.Connection.EXTRA_KEY
EXTRA = "conn_extra"
"""The argument with what providers keep of a connection, under keys that only they know."""
LONGEST_SHOWN = 2000
"""Characters of a word that are kept of it, in the operation and in Airflow's own audit log."""
MOST_SECRETS = 1000
MOST_CHARACTERS = 256 * 1024
"""Secrets that the arguments of one command may hold, and characters of all of them together."""
TOO_MANY = (
    "there are more secrets in it than can be kept out of the output: the arguments of one command may hold "
    f"{MOST_SECRETS} secrets with {MOST_CHARACTERS} characters"
)
UNREADABLE = "a secret may be in it, and it is nested too deeply, or has a number too long, to look for that"
DEEPEST_EXTRA = 4
"""Addresses within the extra field of an address: Airflow takes apart one."""


def masked(path: tuple[str, ...], found: Sequence[Occurrence], values: Mapping[str, Any]) -> list[Occurrence]:
    """
    Return the arguments of the command at ``path`` with every secret value replaced.

    Secret are the arguments, the values of variables and the values within a JSON object that are so by their
    name (`secret_names`), and in an address the password and the parameters that are so by their name.
    """
    by_name = _secret_by_name(path, values)
    return [
        (action, [MASK if by_name(action) else masked_text(word) for word in words])
        for action, words in found
    ]


def _secret_by_name(path: tuple[str, ...], values: Mapping[str, Any]) -> Callable[[argparse.Action], bool]:
    """Return what says whether the value of an argument is secret as a whole, whatever it is."""
    by_key = argument_kinds.SECRET_BY_KEY.get(path)
    secret_by_key = by_key[0] if by_key and is_secret(str(values.get(by_key[1], ""))) else None
    return lambda action: argument_kinds.is_secret(action) or action.dest == secret_by_key


def shortened(word: str) -> str:
    """Return a word as it is kept and shown: not a megabyte of one."""
    if len(word) <= LONGEST_SHOWN:
        return word
    return f"{word[:LONGEST_SHOWN]}… ({len(word)} characters)"


def masked_text(word: str) -> str:
    """Return a value that is no secret as a whole with the secrets in it masked."""
    if (shown := _masked_json(word)) is not None:
        return shown
    shown = _PASSWORD_IN_ADDRESS.sub(rf"\1{MASK}", word)
    if "?" not in shown or "://" not in shown:
        return shown
    few = shown.count("&") + shown.count("?") <= MOST_SECRETS
    return _PARAMETER.sub(_without_secret, shown) if few else MASK


def _without_secret(parameter: re.Match[str]) -> str:
    name = unquote_plus(parameter[2])
    return parameter[1] + MASK if name == EXTRA_KEY or is_secret(name) else parameter[0]


def secrets(
    path: tuple[str, ...],
    found: Sequence[Occurrence],
    shown: Sequence[Occurrence],
    values: Mapping[str, Any],
) -> tuple[str, ...]:
    """
    Return every secret in the arguments of the command at ``path``: what it must not print.

    They are what `masked` hides, and the passwords within: of an address as it is and decoded, of an object
    those under the keys that are secret. As Airflow does, what is too short to be distinguished from other
    words is left out.

    :param shown: what `masked` made of ``found``
    :raises BadArgument: there are more than can be looked for in what the command prints
    """
    by_key = path in argument_kinds.SECRET_BY_KEY
    by_name = _secret_by_name(path, values)
    result: dict[str, None] = {}
    shortest, size = shortest_secret(), 0
    for (action, words), (_, masked_words) in zip(found, shown, strict=True):
        for word, hidden in zip(words, masked_words, strict=True):
            if hidden == word:
                continue
            all_of_it = (by_key or action.dest == EXTRA) and hidden == MASK
            # What begins like JSON and is none is hidden for what may be in it: a long one is too much to be
            # looked for.
            looked_for = by_name(action) or (hidden == MASK and len(word) <= LONGEST_SHOWN)
            whole = _whole(word) if looked_for else ()
            try:
                for secret in chain(whole, _within(word, hidden=all_of_it)):
                    if secret in result or len(secret) < shortest or secret.lower() == "airflow":
                        continue
                    result[secret] = None
                    size += len(secret)
                    if len(result) > MOST_SECRETS or size > MOST_CHARACTERS:
                        raise BadArgument(action.dest, f"argument {action.dest}: {TOO_MANY}")
            except (ValueError, RecursionError):
                raise BadArgument(action.dest, f"argument {action.dest}: {UNREADABLE}") from None
    return tuple(result)


def _whole(word: str) -> Iterator[str]:
    """Yield a value that is secret as a whole, and its parts where it is no object that has harmless ones."""
    yield word
    if not _may_be_json(word) and "://" not in word:
        for pair in word.split(","):  # --basic-auth=user:password,user:password
            yield pair.partition(":")[2]


def _within(word: str, *, hidden: bool = False, level: int = 0) -> Iterator[str]:
    """Yield the secrets in a value; with ``hidden``, every text of an object is one."""
    if _may_be_json(word):
        with suppress(json.JSONDecodeError):
            yield from _hidden_texts(_loads(word), hidden=hidden)
            return
    for _, password in _PASSWORD_IN_ADDRESS.findall(word):
        yield password
        yield unquote(password)
        yield unquote_plus(password)
    if "://" in word:
        yield from (value for _, name, value in _PARAMETER.findall(word) if is_secret(unquote_plus(name)))
        for key, value in parse_qsl(word.partition("?")[2], keep_blank_values=True):
            if is_secret(key):
                yield value
            elif key == EXTRA_KEY and level < DEEPEST_EXTRA:
                yield from _within(value, level=level + 1)


def _hidden_texts(value: Any, *, hidden: bool = False) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            if "://" in key:
                yield from _within(key)
            # The extra field of a connection is an object, or the text of one.
            if isinstance(item, str):
                yield from _within(item, hidden=key == "extra")
            all_of_it = hidden or is_secret(key) or (key == "extra" and isinstance(item, dict))
            yield from _hidden_texts(item, hidden=all_of_it)
    elif isinstance(value, list):
        for item in value:
            if isinstance(item, str):
                yield from _within(item)
            yield from _hidden_texts(item, hidden=hidden)
    elif hidden and isinstance(value, (str, int, float)) and not isinstance(value, bool):
        yield str(value)


def _masked_json(word: str) -> str | None:
    """Return JSON with each text in it masked by itself, None where it is no JSON."""
    if not _may_be_json(word):
        return None
    try:
        value = _loads(word)
        return json.dumps(hidden, ensure_ascii=False) if (hidden := _hidden(value)) != value else word
    except json.JSONDecodeError:
        # Such as a dict in Python's spelling, or a comma too many: which part of it is secret is not known.
        return MASK if ":" in word and is_secret(word) else None
    except (ValueError, RecursionError):
        # Too much to look into, or a number that Python does not read: what is in it is not known.
        return MASK


def _loads(word: str) -> Any:
    """Return what a JSON text says, with a list of all values where an object has a name several times."""

    def of(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(each := dict(pairs)) == len(pairs):
            return each
        found: dict[str, list[Any]] = {}
        for name, value in pairs:
            found.setdefault(name, []).append(value)
        return {name: values[0] if len(values) == 1 else values for name, values in found.items()}

    return json_text.loads(word, object_pairs_hook=of)


def _may_be_json(word: str) -> bool:
    """Return whether a value is an object or a list, should it be JSON."""
    return word.lstrip().startswith(("{", "["))


def _hidden(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            masked_text(key) if "://" in key else key: MASK if is_secret(key) else _hidden(item)
            for key, item in value.items()
        }
    if isinstance(value, str):
        # The extra field of a connection is the text of an object, for one. And JSON may write the slashes of
        # an address as `\/`, as PHP does.
        return masked_text(value)
    return [_hidden(item) for item in value] if isinstance(value, list) else value


def is_secretive(path: tuple[str, ...], actions: Sequence[argparse.Action]) -> bool:
    """Whether the command takes a value that may be secret."""
    return path in argument_kinds.SECRET_BY_KEY or any(argument_kinds.is_secret(action) for action in actions)
