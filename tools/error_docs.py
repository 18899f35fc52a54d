"""Make the table of `docs/errors.md`: every reason that an answer can have."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path

from airflow_rest_api.errors import ApiError
from tools.generated import with_part

PAGE = Path(__file__).resolve().parent.parent / "docs" / "errors.md"
BEGIN = "<!-- The table is made by `python -m tools.error_docs`; do not edit. -->"
END = "<!-- end of the table -->"


def kinds(kind: type[ApiError] = ApiError) -> Iterator[type[ApiError]]:
    """Yield the errors that give a reason of their own, in the order of the code."""
    for below in kind.__subclasses__():
        if "reason" in vars(below):
            yield below
        yield from kinds(below)


def table() -> str:
    """Return the table of the reasons, by status."""
    rows: dict[tuple[int, str], list[str]] = {}
    for kind in kinds():
        when = " ".join((inspect.getdoc(kind) or "").split("\n\n")[0].split())
        rows.setdefault((kind.status, kind.reason), []).append(when)
    lines = ["| status | reason | when |", "|---|---|---|"]
    lines += [
        f"| {status} | `{reason}` | {' '.join(when)} |" for (status, reason), when in sorted(rows.items())
    ]
    return "\n".join(lines)


def with_table(page: str) -> str:
    """Return the page with its table as it must be."""
    return with_part(page, BEGIN, END, table())


def main() -> None:
    """Write the page."""
    PAGE.write_text(with_table(PAGE.read_text()))


if __name__ == "__main__":
    main()
