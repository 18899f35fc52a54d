from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from starlette.datastructures import Headers

from airflow_rest_api.legacy.body import FORM_LIMIT, Body, firsts, parse_pairs, read_body
from airflow_rest_api.legacy.errors import Refusal

FORM = "application/x-www-form-urlencoded"
FILE = b'--b\r\nContent-Disposition: form-data; name="dag_file"; filename="a.py"\r\n\r\nx = 1\r\n'
FIELD = b'--b\r\nContent-Disposition: form-data; name="force"\r\n\r\non\r\n'


def read(kind: str, *chunks: bytes, limit: int = 100_000) -> Body:
    async def stream() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk

    headers = Headers({"content-type": kind} if kind else {})
    return asyncio.run(read_body(headers, stream(), limit))


def test_a_bare_flag_is_told_from_an_empty_value() -> None:
    assert parse_pairs("a=1&b&c=&&d=x+y%26") == [("a", "1"), ("b", None), ("c", ""), ("d", "x y&")]


def test_bytes_that_are_no_text_do_no_harm() -> None:
    assert parse_pairs("x=%ff%fe") == [("x", "\ufffd\ufffd")]


def test_of_a_repeated_name_the_first_is_echoed() -> None:
    assert firsts([("a", "1"), ("a", "2"), ("b", None)]) == {"a": "1", "b": ""}


def test_a_form_is_read() -> None:
    body = read(f"{FORM}; charset=utf-8", b"api=version&x=", b"%C3%BC")
    assert body.fields == [("api", "version"), ("x", "ü")]
    assert body.echo == {"api": "version", "x": "ü"}


def test_json_values_become_the_texts_that_arguments_take() -> None:
    body = read("application/json", b'{"api": "x", "json": true, "n": 5, "conf": {"a": [1]}, "no": null}')
    assert body.fields == [("api", "x"), ("json", "true"), ("n", "5"), ("conf", '{"a": [1]}')]
    assert body.echo["conf"] == {"a": [1]}


@pytest.mark.parametrize(
    "text", [b"[1]", b'"x"', b"5", b"null", b"{", b"\xff", b'{"a": NaN}', b"[" * 100_000]
)
def test_json_that_is_no_object_is_refused(text: bytes) -> None:
    with pytest.raises(Refusal) as refusal:
        read("application/json", text, limit=1_000_000)
    assert refusal.value.status == 400


def test_files_and_fields_of_a_multipart_body_are_read() -> None:
    body = read("multipart/form-data; boundary=b", FIELD, FILE, b"--b--\r\n")
    assert body.echo == {"force": "on"}
    assert body.files["dag_file"].name == "a.py"
    assert body.files["dag_file"].content.read() == b"x = 1"


def test_the_first_of_two_files_counts() -> None:
    second = FILE.replace(b"a.py", b"b.py")
    assert (
        read("multipart/form-data; boundary=b", FILE, second, b"--b--\r\n").files["dag_file"].name == "a.py"
    )


@pytest.mark.parametrize("kind", ["multipart/form-data", "multipart/form-data; boundary=b"])
def test_a_body_that_is_not_multipart_is_refused(kind: str) -> None:
    with pytest.raises(Refusal, match="not valid multipart") as refusal:
        read(kind, b"garbage")
    assert refusal.value.status == 400


@pytest.mark.parametrize("kind", [FORM, "application/json", "multipart/form-data; boundary=b", ""])
def test_a_body_that_is_too_long_is_refused(kind: str) -> None:
    with pytest.raises(Refusal) as refusal:
        read(kind, FIELD, FILE.removesuffix(b"\r\n"), *[b"x" * 1000] * 20, limit=10_000)
    assert refusal.value.status == 413


def test_a_form_is_not_as_long_as_an_upload() -> None:
    with pytest.raises(Refusal) as refusal:
        read(FORM, b"x" * (FORM_LIMIT + 1), limit=10 * FORM_LIMIT)
    assert refusal.value.status == 413


def test_a_body_of_another_type_is_ignored_and_said_to_be() -> None:
    body = read("text/plain", b"api=version")
    assert body.fields == []
    assert body.warnings == ["The body was ignored: its type is text/plain"]
