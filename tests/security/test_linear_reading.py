"""
Whatever reads what a client sends takes time with its length, not with the square of it.

Each reader is fed a long run of each kind of character, and of pairs that some syntax knows, at two lengths.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.datastructures import Headers
from starlette.formparsers import MultiPartException

import airflow_rest_api
from airflow_rest_api.api.answers import _accepts, preference
from airflow_rest_api.api.commands import from_form
from airflow_rest_api.api.following import _position
from airflow_rest_api.api.operations import Cursor
from airflow_rest_api.api.service_logs import _offsets
from airflow_rest_api.asgi import client_address, names_tag
from airflow_rest_api.commands import argument_kinds
from airflow_rest_api.commands.catalog import Catalog, load_catalog
from airflow_rest_api.commands.masking import masked_text
from airflow_rest_api.dag_files.upload import clean
from airflow_rest_api.errors import ApiError, BadArgument, InvalidToken, Refusal, UnknownCommand
from airflow_rest_api.json_text import loads
from airflow_rest_api.legacy.answer import masked
from airflow_rest_api.legacy.credentials import token_of
from airflow_rest_api.legacy.login.throttle import network
from airflow_rest_api.legacy.names import _SAFE_NAME, base_name
from airflow_rest_api.legacy.request import parse_pairs, read_body
from airflow_rest_api.legacy.translate import dates
from airflow_rest_api.operations.files import OCTETS, safe_name
from airflow_rest_api.placement import queue_name
from airflow_rest_api.security.audit import quiet
from airflow_rest_api.security.guard import _bearer, _expect
from airflow_rest_api.security.header_token import HeaderToken
from airflow_rest_api.security.sites import Use, cookie, cookie_counts, refuse_others
from airflow_rest_api.settings import networks
from tests.attacks.test_arguments import others

pytestmark = pytest.mark.slow

LONG = 32_000
TIMES = 4
"""So many times as long as the shorter one is the longer run."""
CHEAP = 0.02
"""Seconds in which a long run may be read whatever a short one took: too few to tell a square by."""

RUNS = [
    *" \t\na1_\"'\\,;:=/@?&%+-.*~|^$()[]{}<>#!é\u0301",
    "%41", "%", "\\\"", "\\\\", "://", "a=", "a;", "a,", '"a', '{"a":', '["', "../", "=0", "0.", "://a:b@",
    "&a=1", "GNU.", "x://?__extra__=", "\u20ac", "\ud800", "Z", "T ", "+01",
]  # fmt: skip
BEGINNINGS = {
    "prefer": ["", 'wait="'],
    "authorization": ["", "bearer "],
    "content-type": ["", 'boundary="'],
    "origin": ["", "http://"],
    "referer": ["", "http://"],
    "JSON": ["", "[", '"'],
    "JSON text": ["", "[", '"'],
    "multipart header": ["name=", 'name="'],
    "1.x dates": ["", "2026-01-01T"],
    "argument": ["", '{"a": "', "a://"],
}
"""What leads a reader to where it looks closer; for those that are not here, nothing does."""
END = "!("
"""Fits the end of nothing."""

REFUSALS = (ValueError, ApiError, Refusal, BadArgument, UnknownCommand, InvalidToken, MultiPartException)


def header(name: str, text: str) -> Headers:
    return Headers(raw=[(name.encode(), text.encode("latin-1", "replace")), (b"host", b"localhost")])


async def coming(content: bytes) -> AsyncIterator[bytes]:
    yield content


def body(kind: str, before: str = "", after: str = "") -> Callable[[str], Any]:
    def read(text: str) -> Any:
        content = f"{before}{text}{after}".encode(errors="replace")
        return asyncio.run(read_body(Headers({"content-type": kind}), coming(content), 2**30))

    return read


HEADERS: dict[str, Callable[[str], Any]] = {
    "prefer": lambda text: preference([text], 30),
    "accept": lambda text: _accepts(text, OCTETS),
    "accept-encoding": lambda text: "gzip" in header("accept-encoding", text).get("accept-encoding", ""),
    "authorization": lambda text: (
        _bearer(header("authorization", text)),
        token_of(header("authorization", text)),
    ),
    "content-type": lambda text: asyncio.run(
        read_body(header("content-type", f"multipart/form-data;{text}"), coming(b"x"), 100)
    ),
    "content-length": lambda text: text.isdigit() and int(text[:20]),
    "if-none-match": lambda text: names_tag(text, '"a"'),
    "cookie": lambda text: (
        cookie(header("cookie", text), "_token"),
        cookie(header("cookie", f'_token="{text}"'), "_token"),
    ),
    "host": lambda text: refuse_others(
        Headers({"host": text.encode("ascii", "replace").decode(), "origin": "http://a"}), tuple
    ),
    "origin": lambda text: refuse_others(header("origin", text), tuple),
    "referer": lambda text: cookie_counts(header("referer", text), "GET", Use.READ),
    "sec-fetch-site": lambda text: refuse_others(header("sec-fetch-site", text), tuple),
    "sec-fetch-mode": lambda text: cookie_counts(header("sec-fetch-mode", text), "GET", Use.RUN),
    "sec-fetch-dest": lambda text: text == "document",
    "x-rest-api-user": lambda text: _expect(header("x-rest-api-user", text), "me"),
    "idempotency-key": lambda text: re.fullmatch(r"[\x21-\x7e]{1,255}", text.strip()),
    "last-event-id": lambda text: (_position(text),),
    "x-forwarded-for": lambda text: client_address(
        {"client": ("::1", 1), "headers": header("x-forwarded-for", f"{text},::1").raw}, networks("::1")
    ),
    "airflow-queue": lambda text: queue_name(text.strip()),
    "(the header token)": lambda text: HeaderToken("a", "b").is_carried(header("a", text).raw),
}  # fmt: skip
"""What reads each header that anything of ours reads."""

MULTIPART = "multipart/form-data; boundary=b"
PART = '--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n'
PART_END = "\r\n--b--\r\n"
FIELDS: dict[str, Callable[[str], Any]] = {
    "query": lambda text: (parse_pairs(text), quiet(text.encode(errors="replace"))),
    "form": body("application/x-www-form-urlencoded"),
    "JSON": body("application/json"),
    "JSON object": body("application/json", '{"a": "'),
    "JSON text": loads,
    "multipart": body(MULTIPART),
    "multipart header": body(MULTIPART, "--b\r\nContent-Disposition: form-data; ", "\r\n\r\n"),
    "multipart value": body(MULTIPART, PART, PART_END),
    "multipart charset": body(f"{MULTIPART}; charset=punycode", PART, PART_END),
    "cursor": Cursor.parse,
    "log event": _offsets,
    "file name": safe_name,
    "DAG file name": clean,
    "1.x DAG file name": _SAFE_NAME.fullmatch,
    "1.x file name": lambda text: base_name("stdout", text, "log folder", []),
    "1.x dates": lambda text: dates(text, None),
    "1.x arguments": lambda text: masked({"conn_uri": text, "a": text, text: "a"}),
    "argument": masked_text,
    "address": network,
    "command": lambda text: (load_catalog().get(text),),
    "command line": lambda text: load_catalog().parse([text, text]),
}  # fmt: skip


def cost(read: Callable[[str], Any], text: str) -> float:
    begun = time.thread_time()
    with contextlib.suppress(REFUSALS):
        read(text)
    return time.thread_time() - begun


def assert_linear(
    read: Callable[[str], Any], beginnings: list[str], runs: list[str] = RUNS, length: int = LONG
) -> None:
    for beginning in beginnings:
        for run in runs:
            long = beginning + run * (length // len(run)) + END
            if cost(read, long) <= CHEAP:
                continue
            short = beginning + run * (length // TIMES // len(run)) + END
            costs = [min(cost(read, text) for _ in range(3)) for text in (short, long)]
            assert costs[1] <= CHEAP or costs[1] < 2 * TIMES * costs[0], (beginning, run, costs)


@pytest.mark.parametrize("name", HEADERS)
def test_a_header_is_read_in_time_with_its_length(name: str) -> None:
    assert_linear(HEADERS[name], BEGINNINGS.get(name, [""]))


@pytest.mark.parametrize("name", FIELDS)
def test_a_field_is_read_in_time_with_its_length(name: str) -> None:
    load_catalog()
    assert_linear(FIELDS[name], BEGINNINGS.get(name, [""]))


def kinds() -> Iterator[tuple[str, str]]:
    """Yield one argument of each kind that is read in a way of its own."""
    catalog = load_catalog()
    seen = set()
    for command in catalog.commands.values():
        actions = catalog._parsers[command.path].by_name
        for argument in command.arguments:
            action = actions[argument.name]
            kind = (
                argument.type,
                getattr(action.type, "__name__", ""),
                argument.repeatable,
                bool(argument.choices),
                argument_kinds.is_secret(action),
                argument_kinds.is_name(argument.name),
                argument.name in argument_kinds.PATTERNS,
                argument.name in argument_kinds.ADDRESSES,
            )
            if not argument.flag and kind not in seen:
                seen.add(kind)
                yield command.name, argument.name


@pytest.mark.slow
@pytest.mark.parametrize(("name", "argument"), list(kinds()))
def test_an_argument_is_read_in_time_with_its_length(name: str, argument: str) -> None:
    catalog: Catalog = load_catalog()
    command = catalog.get(name)
    found = command.by_name[argument]

    def read(text: str) -> None:
        given = {**others(command, found), argument: [text] if found.repeatable else text}
        from_form(command, {argument: [text]})
        catalog.bind(command, given)

    assert_linear(read, ["", "2026-01-01T", '{"a": "', "[", "http://"])


@pytest.mark.parametrize(
    ("expression", "run"), [(r" +x", " "), (r"\s+$", "\n"), (r"a.*b", "a"), (r"\d+ hdrcharset=", "1")]
)
def test_what_takes_time_with_the_square_is_found(expression: str, run: str) -> None:
    with pytest.raises(AssertionError):
        assert_linear(re.compile(expression).search, [""], [run], 10_000)


def test_each_header_that_is_read_stands_here() -> None:
    # Written as text, or as a constant with a name of its own.
    constants = {"HEADER": "idempotency-key", "EXPECTED": "x-rest-api-user", "QUEUE": "airflow-queue"}
    read = set()
    for file in Path(airflow_rest_api.__file__).parent.rglob("*.py"):
        source = file.read_text()
        for name in re.findall(r'headers\.(?:get|getlist)\(\s*("[^"]+"|[A-Z_]+)', source):
            read.add(name.strip('"').lower() if name.startswith('"') else constants[name])
        read |= {name.lower() for name in re.findall(r'"([A-Za-z-]+)" (?:not )?in headers(?!\.)', source)}
        for name in re.findall(r"(\w+): Annotated\[[^=]*?\bHeader\(", source):
            read.add(name.replace("_", "-"))

    assert read - HEADERS.keys() == set()
    assert len(read) > 10
