"""What is secret by its name: the one list for log, answers, command lines and the output of commands.

Such a name is that of an argument, of a variable, or of a key in a JSON object.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import re
from typing import Any

MASK = "***"

MASKERS = (
    # Airflow's core and its task SDK have one each (3.1 and later).
    ("airflow._shared.secrets_masker", "airflow.sdk._shared.secrets_masker"),
    ("airflow.sdk.execution_time.secrets_masker",),  # 3.0
)
"""Where Airflow keeps its secrets maskers, its core's first: the first of these that can be imported."""

SHORTEST = 5
"""Characters that a secret needs to be masked, where a masker does not say: fewer are found in any text."""

_ARGUMENTS = frozenset({"basic_auth", "broker_api", "conn_extra", "conn_json", "conn_uri"})
"""Arguments of Airflow's commands that have a secret within."""
_WORDS = re.compile(
    r"authorization|credential|jwt|keyfile_dict|passphrase|passw(or)?d|secret|token"
    r"|(access|api|fernet|private)_?key"
)


def is_secret(name: str) -> bool:
    """Return whether what goes by this name must not be shown: by our words, or those of Airflow's masker."""
    plain = re.sub(r"\W+", "_", name.strip().lower())
    return plain in _ARGUMENTS or _WORDS.search(plain) is not None or _hidden_by_airflow(name)


def value_is_secret(key: Any) -> bool:
    """
    Return whether the value of a variable must not be shown.

    :param key: the variable's, as a client gave it; where it is not known, neither is what the value is
    """
    return not isinstance(key, str) or not key or is_secret(key)


@functools.cache
def maskers() -> tuple[Any, ...]:
    """Return the modules of Airflow's secrets maskers, its core's first; none where they are elsewhere."""
    for names in MASKERS:
        with contextlib.suppress(ImportError):
            return tuple(importlib.import_module(name) for name in names)
    return ()


def shortest_secret() -> int:
    """Return how many characters a secret needs: ``[logging] min_length_masked_secret``."""
    return next((shortest_of(module._secrets_masker()) for module in maskers()), SHORTEST)


def shortest_of(masker: Any) -> int:
    """Return how many characters a secret needs for one of Airflow's maskers to look for it."""
    return int(getattr(masker, "min_length_to_mask", SHORTEST))


def _hidden_by_airflow(name: str) -> bool:
    """Return whether Airflow hides a value by this name: ``[core] sensitive_var_conn_names``, and its own."""
    return any(module.should_hide_value_for_key(name) for module in maskers()[:1])
