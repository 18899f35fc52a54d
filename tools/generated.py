"""Parts of pages that are made from the code."""

from __future__ import annotations


def with_part(page: str, begin: str, end: str, part: str) -> str:
    """Return a page with another text between two lines that mark a part of it."""
    before, _, rest = page.partition(begin)
    _, _, after = rest.partition(end)
    return f"{before}{begin}\n\n{part}\n\n{end}{after}"
