"""What a command prints: only rows that the user may see, their state of now, no output of DAG files."""

from __future__ import annotations

import ast
import contextlib
import functools
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from airflow_rest_api.engine.patches import patch

INSIDE = "*."
"""Begins a key that is not one of the rows, but of the objects that are mentioned inside them."""

_ABSENT = object()

_shows_some = False
"""Whether only some rows may be printed."""

Mapper = Callable[[Any], dict[str, Any]]
"""Makes the row of an object."""


def dag_files_to_stderr() -> None:
    """
    Have everything that a DAG file prints while Airflow parses it go to standard error.

    The answer of a command is its standard output: the ids of tasks, a state, JSON. Whatever a file runs
    while it is parsed, a shell command included, prints beside that. Whose rows are filtered (`show_only`)
    sees nothing of it: the files are those of others as well.
    """
    _lead_dag_files(_to_nowhere if _shows_some else lambda: led_to(2, 1))


def dag_files_to_nowhere() -> None:
    """
    Have nobody see what DAG files print while Airflow parses them, and what it logs of their errors.

    For a command that parses more of them than its user may see, and prints no rows.
    """
    _lead_dag_files(_to_nowhere)


@contextlib.contextmanager
def _to_nowhere() -> Iterator[None]:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        with led_to(nowhere, 1, 2):
            yield
    finally:
        os.close(nowhere)


def _lead_dag_files(led: Callable[[], contextlib.AbstractContextManager[None]]) -> None:
    from airflow_rest_api.airflow.compat.dags import dagbag, let_import

    bag: Any = dagbag.DagBag
    process_file = bag.process_file

    @functools.wraps(process_file)
    def process_quietly(self: Any, *args: Any, **options: Any) -> Any:
        let_import(self.bundle_path or self.dag_folder)
        with led():
            return process_file(self, *args, **options)

    patch(bag, "process_file", process_quietly)


def _print_rows(made: Callable[[Sequence[Any], Mapper | None], list[dict[str, Any]]]) -> None:
    """
    Have Airflow's commands print the rows that a function makes of theirs, until they are taken back.

    All of them print rows through ``AirflowConsole.print_as`` (airflow/cli/simple_table.py).
    """
    from airflow.cli.simple_table import AirflowConsole

    console: Any = AirflowConsole
    print_as = console.print_as

    def print_made(self: Any, data: Sequence[Any], output: str, mapper: Mapper | None = None) -> None:
        print_as(self, data=made(data, mapper), output=output)

    patch(console, "print_as", print_made)


def paused_as(paused: bool) -> None:
    """
    Have a DAG's row say whether it is paused after the command.

    Airflow 3.3.2 prints the value from before (`dag_command.set_is_paused`: `old_values`).

    :param paused: what the command makes of each DAG whose row it prints
    """
    _print_rows(
        lambda data, mapper: [{**(mapper(row) if mapper else row), "is_paused": paused} for row in data]
    )


print_paused = functools.partial(paused_as, True)
print_unpaused = functools.partial(paused_as, False)


def show_only(visible: Mapping[str, Sequence[str]]) -> None:
    """
    Have Airflow's commands print only some rows, until that is taken back.

    :param visible: by the key with which a row names its object, the names that may be seen. A row without
        any of the keys is not printed
    """
    names = {key: frozenset(allowed) for key, allowed in visible.items()}

    def made(data: Sequence[Any], mapper: Mapper | None) -> list[dict[str, Any]]:
        rows = select(data, mapper, names)
        if mapper is None and isinstance(data, list):
            # `dags list-import-errors` fails where it has any (airflow/cli/commands/dag_command.py).
            data[:] = rows
        return rows

    _print_rows(made)
    patch(sys.modules[__name__], "_shows_some", True)


def select(
    data: Sequence[Any], mapper: Mapper | None, names: Mapping[str, frozenset[str]]
) -> list[dict[str, Any]]:
    """Return the rows that may be seen; the mapper, which can be slow, is not called for the others."""
    outside = {key: allowed for key, allowed in names.items() if not key.startswith(INSIDE)}
    inside = {key[len(INSIDE) :]: allowed for key, allowed in names.items() if key.startswith(INSIDE)}
    rows = []
    for item in data:
        known = [key for key in outside if _value(item, key) is not _ABSENT]
        if known and not _visible(item, known, outside):
            continue
        row = mapper(item) if mapper else item
        if not known and outside:
            known = [key for key in outside if _value(row, key) is not _ABSENT]
            if not known or not _visible(row, known, outside):
                continue
        rows.append(_pruned(row, inside) if inside else row)
    return rows


def _visible(item: Any, keys: Sequence[str], names: Mapping[str, frozenset[str]]) -> bool:
    return all(_is_among(item, key, _value(item, key), names[key]) for key in keys)


def _is_among(item: Any, key: str, value: Any, allowed: frozenset[str]) -> bool:
    if key == "filepath":
        return _place(item, value) in allowed
    if key == "dags":
        # A file can be shown to who may see all that it defines.
        dags = ast.literal_eval(value) if isinstance(value, str) else value
        return bool(dags) and set(map(str, dags)) <= allowed
    # A job without a DAG is of Airflow itself; it is printed as text.
    return str(value) in allowed or (key == "dag_id" and value in (None, "None", ""))


def _place(item: Any, path: Any) -> str | None:
    """Return the file of a row as ``bundle:path``; `--local` without a bundle gives its whole path alone."""
    if (bundle := _value(item, "bundle_name")) is not _ABSENT:
        # Airflow 3.0 has the whole path here.
        folder = dict(_bundles()).get(bundle) if isinstance(path, str) and os.path.isabs(path) else None
        return f"{bundle}:{os.path.relpath(path, folder) if folder else path}"
    return next(
        (f"{name}:{os.path.relpath(path, folder)}" for name, folder in _bundles() if _is_in(path, folder)),
        None,
    )


def _is_in(path: Any, folder: str) -> bool:
    return isinstance(path, str) and path.startswith(f"{folder}{os.sep}")


@functools.cache  # Of a process that runs one command, as it parses DAG files.
def _bundles() -> list[tuple[str, str]]:
    """Return the names and the folders of the bundles whose files are in place."""
    from airflow.dag_processing.bundles.manager import DagBundlesManager

    manager: Any = DagBundlesManager
    bundles = manager().get_all_dag_bundles()
    return [
        (bundle.name, str(bundle.path).rstrip(os.sep)) for bundle in bundles if not bundle.supports_versioning
    ]


def _value(item: Any, key: str) -> Any:
    return item.get(key, _ABSENT) if isinstance(item, Mapping) else getattr(item, key, _ABSENT)


def _pruned(value: Any, names: Mapping[str, frozenset[str]]) -> Any:
    if isinstance(value, Mapping):
        return {key: _pruned(item, names) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_pruned(item, names) for item in value if not _names_another(item, names)]
    return value


def _names_another(item: Any, names: Mapping[str, frozenset[str]]) -> bool:
    return isinstance(item, Mapping) and any(
        key in item and str(item[key]) not in allowed for key, allowed in names.items()
    )


@contextlib.contextmanager
def led_to(target: int, *numbers: int) -> Iterator[None]:
    """
    Have descriptors lead where `target` does, and so also what other programs print.

    By descriptor and not by stream: some of Airflow's loggers keep the stream that they found first.
    """
    _flush()
    kept = [os.dup(number) for number in numbers]
    try:
        for number in numbers:
            os.dup2(target, number)
        yield
    finally:
        # What is still in the buffers belongs there as well.
        _flush()
        for number, copy in zip(numbers, kept, strict=True):
            os.dup2(copy, number)
            os.close(copy)


def _flush() -> None:
    # The interpreter's own too: they may hold something behind what a DAG file has put in their place.
    for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
        # It may be closed, or anything, and exit: the descriptors have to lead back all the same. What was
        # interrupted here gets TERM next.
        with contextlib.suppress(BaseException):
            if stream is not None:
                stream.flush()
