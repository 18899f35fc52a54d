"""The difference between two versions of a file."""

from __future__ import annotations

import difflib

from airflow_rest_api.errors import TooLarge

MOST_LINES = 10_000
"""Of each version: comparing takes the product of the two, in the worst case."""
MOST_BYTES = 2 * 1024 * 1024


def diff(old: bytes | None, new: bytes | None, old_name: str, new_name: str) -> str:
    """
    Return the difference as `diff -u` would. Takes a while: for threads.

    :param old: None where there is no such file
    :raises TooLarge: more than is compared
    """
    if old == new:
        return ""
    if any(content is not None and (len(content) > MOST_BYTES) for content in (old, new)):
        raise TooLarge
    if any(b"\0" in (content or b"") for content in (old, new)):
        return f"Binary files {old_name} and {new_name} differ\n"
    before, after = _lines(old), _lines(new)
    if max(len(before), len(after)) > MOST_LINES:
        raise TooLarge
    lines = difflib.unified_diff(
        before,
        after,
        "/dev/null" if old is None else old_name,
        "/dev/null" if new is None else new_name,
    )
    return "".join(
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines
    )


def _lines(content: bytes | None) -> list[str]:
    # Only at line feeds: other line ends are part of what may differ.
    text = (content or b"").decode("utf-8", "replace")
    lines = text.split("\n")
    return [f"{line}\n" for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])
