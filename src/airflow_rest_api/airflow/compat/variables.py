"""Files with variables, of which the versions of Airflow make different values."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

from airflow.cli.commands import variable_command
from airflow.secrets import local_filesystem

from airflow_rest_api.airflow.compat.version_compat import AIRFLOW_V_3_1_PLUS
from airflow_rest_api.engine.patches import replaced


class Exported(dict[str, Any]):
    """
    A variable as Airflow exports it, with a description.

    Before 3.3 `variables import` looks whether its value is true, and not whether it is there: that of `0`
    became the text of the whole.
    """

    def get(self, key: str, default: Any = None) -> Any:
        """Return the value of a key; that of `value`, where it is there, is true."""
        found = super().get(key, default)
        return found or True if key == "value" and key in self else found


@contextmanager
def json_read_as(change: Callable[[Any], Any]) -> Iterator[None]:
    """
    Have `airflow variables import` take what a function makes of the JSON in its file.

    In memory: another file could be left behind with what is secret.
    """
    command: Any = variable_command
    files: Any = local_filesystem

    def read(path: str) -> Any:
        return change(files._parse_secret_file(path))

    name, reads = (
        ("load_variables", read)
        if AIRFLOW_V_3_1_PLUS
        else ("json", SimpleNamespace(load=lambda file: change(json.load(file))))
    )
    with replaced(command, name, reads):
        yield
