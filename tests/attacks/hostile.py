"""What a client can send to hold a server up: headers, addresses and bodies."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import NamedTuple

HEADER = 8_000
"""Characters of one header: what servers and proxies let pass."""
TEXT = 20_000
"""Characters of an address."""
BODY = 1_000_000
"""Bytes of a body, less than `max_upload` of the server that is attacked."""

RUNS = {
    "blanks": " ",
    "letters": "a",
    "digits": "1",
    "commas": ",",
    "semicolons": ";",
    "equals": "=",
    "quotes": '"',
    "backslashes": "\\",
    "brackets": "([{",
    "percents": "%",
    "escapes": "%41%",
    "pairs": "a=b; ",
    "entries": "a, ",
    "high": "\xe4",
}
"""By name, what is repeated: one of each class of characters that a header's grammar knows."""

HEADERS = (
    "Prefer",
    "Accept",
    "Content-Type",
    "Cookie",
    "Idempotency-Key",
    "Last-Event-ID",
    "If-None-Match",
    "Origin",
    "Referer",
    "Sec-Fetch-Site",
    "X-Rest-Api-User",
    "X-Forwarded-For",
    "Range",
)


class Sent(NamedTuple):
    """One hostile body."""

    name: str
    kind: str
    content: bytes


def headers() -> Iterator[tuple[str, str, str]]:
    """Yield a name, a header and its value."""
    for header in HEADERS:
        for name, run in RUNS.items():
            # A word before it and one behind it that does not fit: where backtracking begins.
            yield f"{header} of {name}", header, f"a{(run * HEADER)[:HEADER]}("
    form = "multipart/form-data; boundary=b"
    for name, run in RUNS.items():
        yield f"form with {name}", "Content-Type", f"{form}; {(run * HEADER)[:HEADER]}x"


def texts() -> Iterator[tuple[str, str]]:
    """Yield a name and what can stand in an address."""
    yield "long", "a" * TEXT
    yield "escapes", "%C3%A4" * (TEXT // 6)
    yield "no escapes", "%zz" * (TEXT // 3)
    yield "slashes", "a/" * (TEXT // 2)
    yield "dots", "../" * (TEXT // 3)
    yield "expression", "(a+)" * (TEXT // 4) + "!"


def bodies() -> Iterator[Sent]:
    """Yield bodies that are short to send and long to read."""
    as_json = "application/json"
    yield Sent("arrays", as_json, b"[" + b"[]," * (BODY // 3) + b"1]")
    yield Sent("arrays in an object", as_json, b'{"a": [' + b"[]," * (BODY // 3) + b"1]}")
    yield Sent("objects", as_json, b'{"argv": [' + b"{}," * (BODY // 3) + b"1]}")
    yield Sent("depth", as_json, b"[" * (BODY // 2) + b"]" * (BODY // 2))
    yield Sent("depth of objects", as_json, b'{"a":' * (BODY // 5))
    keys = ",".join(f'"{number}": 1' for number in range(BODY // 14))
    yield Sent("keys", as_json, b"{" + keys.encode() + b"}")
    yield Sent("numbers", as_json, b'{"a": ' + b"9" * (BODY // 2) + b"}")
    yield Sent("escapes", as_json, b'{"a": "' + b"\\u0041" * (BODY // 6) + b'"}')
    yield Sent("half pairs", as_json, b'{"a": "' + b"\\ud800" * (BODY // 6) + b'"}')
    secret = json.dumps({"hostname": json.dumps({"password": "x y" * 30_000})})
    yield Sent("a long secret", as_json, secret.encode())
    secrets = {"conf": json.dumps({f"password{number}": f"secret {number}" for number in range(5_000)})}
    yield Sent("many secrets", as_json, json.dumps(secrets).encode())
    yield Sent("words", as_json, json.dumps({"argv": ["x" * 100] * (BODY // 110)}).encode())
    yield Sent("another encoding", as_json, ('{"a": "' + "ä" * (BODY // 4) + '"}').encode("utf-16"))
    yield Sent("zeros", as_json, bytes(BODY))
    part = b'--b\r\nContent-Disposition: form-data; name="f%d"\r\n\r\nx\r\n'
    fields = b"".join(part % number for number in range(BODY // 60))
    yield Sent("fields", "multipart/form-data; boundary=b", fields + b"--b--\r\n")
    file = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.json"\r\n\r\n'
    yield Sent("a file", "multipart/form-data; boundary=b", file + bytes(BODY) + b"\r\n--b--\r\n")
    yield Sent("lines", "multipart/form-data; boundary=b", file + b"\r\n--" * (BODY // 4) + b"\r\n--b--\r\n")
    yield Sent("a header of a part", "multipart/form-data; boundary=b", b"--b\r\nA: " + b"a" * BODY)
    name = b'--b\r\nContent-Disposition: form-data; name="' + b"\\" * (BODY // 2) + b'"\r\n\r\nx\r\n--b--\r\n'
    yield Sent("a name of a part", "multipart/form-data; boundary=b", name)
    yield Sent("urlencoded", "application/x-www-form-urlencoded", b"a=b&" * (BODY // 4))
    yield Sent("percents", "application/x-www-form-urlencoded", b"a=" + b"%" * BODY)
