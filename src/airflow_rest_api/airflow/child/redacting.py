"""What a command prints for somebody who may read values and not edit them: as Airflow's own API shows it."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from airflow_rest_api.secret_names import MASK, maskers


def variables_as_shown() -> None:
    """
    Have the values of variables read as Airflow's API shows them, for the rest of this process.

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

    model.get_variable_from_secrets = staticmethod(read_as_shown)


def learn_within() -> None:
    """Have Airflow's secrets maskers learn what is hidden inside of a JSON text when they learn the text."""
    for module in _maskers():
        kind = type(module._secrets_masker())
        kind.add_mask = _learning_within(kind.add_mask)


def as_shown(value: str, keys: Iterable[str]) -> str:
    """
    Return the value of a variable as Airflow's API shows it: see `VariableResponse.redact_val` in
    `airflow.api_fastapi.core_api.datamodels.variables`; where nothing is hidden, as it is stored.

    :param keys: by which it is known; what is hidden by one of them is
    """
    redact = _maskers()[0].redact
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
            with suppress(ValueError, RecursionError):
                add_mask(self, json.loads(secret), *args, **options)

    return add


def _maskers() -> tuple[Any, ...]:
    if found := maskers():
        return found
    raise SystemExit("Airflow's secrets masker is not where this version of the plugin looks for it.")
