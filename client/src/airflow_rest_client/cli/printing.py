"""Tables and JSON on standard output."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any


def table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
    """Print rows under the names of their columns; what is called `…_at` is a time of the server's."""
    lines = [[column.upper().replace("_", " ") for column in columns]]
    lines += [[_cell(shown(column, row.get(column))) for column in columns] for row in rows]
    widths = [max(len(line[place]) for line in lines) for place in range(len(columns))]
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def as_json(value: Any) -> None:
    """Print a value as JSON."""
    # Elsewhere a character may not be there, and what stands for it would be no JSON.
    shows_all = (sys.stdout.encoding or "").lower() in ("utf-8", "utf8")
    json.dump(value, sys.stdout, indent=2, ensure_ascii=not shows_all)
    print()


def listing(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], form: str) -> None:
    """Print what a server listed: as a `table` of some columns, or all of it as `json`."""
    if form == "json":
        as_json(rows)
    else:
        table(rows, columns)


def shown(name: str, value: Any) -> Any:
    """Return a member of an object for people: a time of the server's to the second."""
    return f"{str(value)[:19].replace('T', ' ')}Z" if value and name.endswith("_at") else value


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return plain(str(value))


def plain(text: str, kept: str = "") -> str:
    """
    Return a text that does not steer a terminal, as what somebody else wrote may.

    :param kept: characters that stay although they are none to be shown, such as ends of lines
    """
    return "".join(one if one.isprintable() or one in kept else " " for one in text)
