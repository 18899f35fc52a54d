"""
Airflow's secrets maskers: what they learn in a command's process, and what they hide of a value.

What a masker learns in a child is sent to the engine, which masks it in what the command prints.
"""

from __future__ import annotations

import contextlib
import functools
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from airflow_rest_api.engine.patches import patch, replaced
from airflow_rest_api.secret_names import MASK, maskers, shortest_of

PIECE = 2048
"""Characters of one message: it is then one piece on the socket, whatever else writes there."""

_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


def pass_on(secrets: Iterable[str], send: Callable[[list[str]], None] | None) -> None:
    """
    Send what Airflow's secrets maskers know already, and at once all that they learn.

    What is printed later than it was learned is then sent before it is printed.

    :param secrets: what the maskers are to learn here, for the log files that the command writes
    :param send: None where what the command prints is to be seen
    """
    for module in maskers():
        masker = module._secrets_masker()
        _compile_late(masker)
        sent: set[str] = set()
        if send is not None:
            _send_new(masker, sent, send)
            kind = type(masker)
            patch(kind, "add_mask", _sending(kind.add_mask, sent, send))
        for secret in secrets:
            # Its warning about short secrets would be part of what the command prints.
            if len(secret) >= shortest_of(masker):
                masker.add_mask(secret)


@contextlib.contextmanager
def learning_nothing() -> Iterator[None]:
    """
    Have Airflow's secrets maskers learn nothing in here.

    What a process knows when it is forked is masked in the output of each of its forks: who sees their own
    text masked there has guessed a password.
    """
    with contextlib.ExitStack() as stack:
        for module in maskers():
            kind = type(module._secrets_masker())
            stack.enter_context(replaced(kind, "add_mask", lambda *_, **__: None))
        yield


class Late:
    """
    A regular expression that is compiled when it is first used.

    Airflow compiles all its patterns anew with each that it learns (`SecretsMasker.add_mask`): a thousand
    would take a minute.
    """

    def __init__(self, pattern: str, flags: int = 0) -> None:
        self._of = (pattern, flags)

    @functools.cached_property
    def _compiled(self) -> re.Pattern[str]:
        return re.compile(*self._of)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._compiled, name)


class _LateRe:
    """The module `re` as a masker sees it."""

    compile = Late

    def __getattr__(self, name: str) -> Any:
        return getattr(re, name)


def _compile_late(masker: Any) -> None:
    names = getattr(type(masker).add_mask, "__globals__", {})
    if names.get("re") is re:
        names["re"] = _LateRe()


def _sending(
    add_mask: Callable[..., None], sent: set[str], send: Callable[[list[str]], None]
) -> Callable[..., None]:
    @functools.wraps(add_mask)
    def add(self: Any, *args: Any, **kwargs: Any) -> None:
        add_mask(self, *args, **kwargs)
        if not sent.issuperset(self.patterns):
            _send_new(self, sent, send)

    return add


def _send_new(masker: Any, sent: set[str], send: Callable[[list[str]], None]) -> None:
    new = set(masker.patterns) - sent
    sent |= new
    message: list[str] = []
    room = PIECE
    for pattern in sorted(new):
        # The masker keeps what `re.escape` made of a secret.
        secret = _ESCAPED.sub(r"\1", pattern)
        # Pieces of the same length: a short one at the end would be found everywhere.
        size = math.ceil(len(secret) / math.ceil(len(secret) / PIECE))
        for start in range(0, len(secret), size):
            piece = secret[start : start + size]
            if message and len(piece) >= room:
                send(message)
                message, room = [], PIECE
            message.append(piece)
            room -= len(piece) + 1
    if message:
        send(message)


def variables_as_shown() -> None:
    """
    Have the values of variables read as Airflow's API shows them, until that is taken back.

    They are judged by the key of the row: for a database with a collation, as MySQL's and MariaDB's, `Key`,
    `kéy` and `key ` are the same variable, and Airflow hides values by the very letters of a key.
    """
    from airflow.models.variable import Variable

    model: Any = Variable
    read = model.get_variable_from_secrets

    @functools.wraps(read)
    def read_as_shown(key: str, *args: Any, **options: Any) -> str | None:
        value = read(key, *args, **options)
        return None if value is None else as_shown(value, {key, _stored_key(key)})

    patch(model, "get_variable_from_secrets", staticmethod(read_as_shown))


def learn_within() -> None:
    """Have Airflow's secrets maskers learn what is hidden inside of a JSON text when they learn the text."""
    for module in _known_maskers():
        kind = type(module._secrets_masker())
        patch(kind, "add_mask", _learning_within(kind.add_mask))


def as_shown(value: str, keys: Iterable[str]) -> str:
    """
    Return the value of a variable as Airflow's API shows it: see `VariableResponse.redact_val` in
    `airflow.api_fastapi.core_api.datamodels.variables`; where nothing is hidden, as it is stored.

    :param keys: by which it is known; what is hidden by one of them is
    """
    redact = _known_maskers()[0].redact
    for key in keys:
        try:
            stored = json.loads(value)
        except RecursionError:
            return MASK
        except ValueError:
            value = str(redact(value, key))
            continue
        shown = redact(stored, key)
        if shown != stored:
            value = json.dumps(shown)
    return value


def _stored_key(key: str) -> str:
    """Return how the database spells a key; the key itself where it has none that it takes for that."""
    from airflow.models.variable import Variable
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        return session.scalar(select(Variable.key).where(Variable.key == key)) or key


def _learning_within(add_mask: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(add_mask)
    def add(self: Any, secret: Any, *args: Any, **options: Any) -> None:
        add_mask(self, secret, *args, **options)
        if isinstance(secret, str) and secret.lstrip().startswith(("{", "[")):
            with contextlib.suppress(ValueError, RecursionError):
                add_mask(self, json.loads(secret), *args, **options)

    return add


def _known_maskers() -> tuple[Any, ...]:
    if found := maskers():
        return found
    raise SystemExit("Airflow's secrets masker is not where this version of the plugin looks for it.")
