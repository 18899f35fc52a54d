"""The values of headers, taken apart in one pass, whatever a client sends."""

from __future__ import annotations

from collections.abc import Iterator

BLANKS = " \t"
"""What may stand around the parts of a value (RFC 9110, 5.6.3: optional whitespace)."""


def parts(text: str, separator: str) -> Iterator[str]:
    """Yield what the separators of a value part; in quoted strings (RFC 9110, 5.6.4) there are none."""
    start = 0
    quoted = escaped = False
    for index, sign in enumerate(text):
        if escaped:
            escaped = False
        elif quoted and sign == "\\":
            escaped = True
        elif sign == '"':
            quoted = not quoted
        elif sign == separator and not quoted:
            yield text[start:index]
            start = index + 1
    yield text[start:]


def named(part: str) -> tuple[str, str]:
    """Return the name of a `name=value` in small letters, and its value without quotes; empty for none."""
    name, _, value = part.partition("=")
    value = value.strip(BLANKS)
    if len(value) > 1 and value[0] == value[-1] == '"':
        value = value[1:-1].replace("\\\\", "\\").replace('\\"', '"')
    return name.strip(BLANKS).lower(), value


def media_type(text: str) -> str:
    """Return the type in a Content-Type header, in small letters and without its parameters."""
    return text.partition(";")[0].strip().lower()


def parameter(text: str, name: str) -> str:
    """Return a parameter of a Content-Type header; empty where it has none of the name."""
    _, *parameters = parts(text, ";")
    return next((value for key, value in map(named, parameters) if key == name), "")
