"""Bodies that are bounded before anything is made of them, and read in a thread where they are long."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from starlette.datastructures import FormData, Headers, UploadFile
from starlette.formparsers import MultiPartException

from airflow_rest_api import json_text
from airflow_rest_api.api import requests
from airflow_rest_api.api.models import RunBody
from airflow_rest_api.api.requests import (
    LARGE,
    LONGEST_JSON,
    MOST_FIELDS,
    read_in_thread,
    read_multipart,
)
from airflow_rest_api.errors import BadRequest, TooLarge
from airflow_rest_api.json_text import MOST_VALUES
from tests.standin import serving

JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize("path", ["/v2/run", "/v2/commands/dags/list", "/v2/services"])
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'{"a": [' + b"[]," * MOST_VALUES + b"1]}", "more than 100000 values"),
        (b'{"a": ' + b"[" * 200 + b"]" * 200 + b"}", "100 levels"),
        (
            b"{" + b",".join(b'"%d":1' % number for number in range(MOST_FIELDS + 1)) + b"}",
            "more than 1000 members",
        ),
    ],
)
def test_json_with_more_in_it_than_is_taken_is_a_bad_request(path: str, content: bytes, words: str) -> None:
    with serving() as (client, engine):
        answer = client.post(path, content=content, headers=JSON)

    assert (answer.status_code, answer.json()["detail"]["reason"]) == (400, "bad_json")
    assert words in answer.json()["detail"]["message"]
    assert engine.jobs == []


def test_a_json_body_has_a_bound_of_its_own_below_that_of_an_upload() -> None:
    with serving(max_upload=10 * LONGEST_JSON) as (client, _):
        answer = client.post("/v2/run", content=b" " * (LONGEST_JSON + 1), headers=JSON)
        chunked = client.post("/v2/run", content=iter([b" " * LONGEST_JSON, b"  "]), headers=JSON)

    for one in (answer, chunked):
        assert (one.status_code, one.json()["detail"]["reason"]) == (413, "too_large")


def test_the_fields_of_a_form_have_the_bound_of_json_and_its_files_have_not() -> None:
    size = LONGEST_JSON // 2 + 1
    content = {"file": ("pools.json", b"x" * 2 * size)}
    with serving() as (client, _):
        fields = {"a": "x" * size, "b": "x" * size}
        form = client.post("/v2/commands/pools/import", data=fields, files=content)
        file = client.post("/v2/commands/pools/import", files=content)

    assert (form.status_code, form.json()["detail"]["reason"]) == (413, "too_large")
    assert (file.status_code, file.json()["state"]) == (200, "succeeded")


def test_a_long_body_is_read_in_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    names: list[str] = []

    def loads(content: bytes) -> Any:
        names.append(threading.current_thread().name)
        return json.loads(content)

    monkeypatch.setattr(json_text, "loads", loads)
    with serving() as (client, _):
        for size in (10, 100_000):
            client.post("/v2/run", json={"argv": ["variables", "set", "a", "b" * size]})

    assert not names[0].startswith("rest-api-body")
    assert any(name.startswith("rest-api-body") for name in names)


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("commands/dags/list", b'{"\\ud800": 1}'),
        ("run", b'{"argv": ["version"], "\\ud800": 1}'),
    ],
)
def test_half_a_character_in_a_name_is_a_bad_request_that_can_be_sent(path: str, content: bytes) -> None:
    with serving() as (client, _):
        answer = client.post(f"/v2/{path}", content=content, headers={"Content-Type": "application/json"})

    assert answer.status_code == 400
    assert answer.json()["detail"]["argument"] in ("\\ud800", "body")


def test_a_list_of_wrong_words_is_refused_for_the_first_one() -> None:
    with pytest.raises(BadRequest) as refused:
        requests.validated(RunBody, {"argv": [1] * 10_000}, strict=True)
    assert refused.value.detail["message"].startswith("argv.0: ")
    with serving() as (client, _):
        answer = client.post("/v2/run", json={"argv": [1] * 10_000})
    assert answer.status_code == 400
    assert len(answer.content) < 500


def test_an_error_about_a_long_value_is_short() -> None:
    with serving() as (client, _):
        choice = client.post("/v2/commands/dags/list", json={"output": "x" * 1_000_000})
        name = client.post("/v2/commands/dags/list", json={"x" * 1_000_000: 1})
        kind = client.post("/v2/run", content=b"x", headers={"Content-Type": "x" * 20_000})

    for answer, status in ((choice, 400), (name, 400), (kind, 415)):
        assert answer.status_code == status
        assert len(answer.content) < 6000


TYPE = "multipart/form-data; boundary=XX"
WHOLE = b'--XX\r\nContent-Disposition: form-data; name="a"\r\n\r\nb\r\n--XX--\r\n'


def parse(kind: str, *chunks: bytes, part: int = 2**30) -> FormData:
    async def coming() -> AsyncGenerator[bytes, None]:
        for chunk in chunks:
            yield chunk

    headers = Headers({"content-type": kind})
    return asyncio.run(read_multipart(headers, coming(), files=10, fields=10, part=part))


@pytest.mark.parametrize("size", [1, 7, 4096])
def test_a_whole_body_is_complete_in_whatever_pieces_it_comes(size: int):
    form = parse(TYPE, *(WHOLE[start : start + size] for start in range(0, len(WHOLE), size)))

    assert form["a"] == "b"


@pytest.mark.parametrize("length", range(len(WHOLE) - 3))
def test_a_body_that_was_cut_off_is_not(length: int):
    with pytest.raises(MultiPartException):
        parse(TYPE, WHOLE[:length])


def test_a_quoted_boundary_and_what_follows_the_last_one_do_no_harm():
    form = parse('multipart/form-data; charset=utf-8; boundary="XX"', WHOLE + b"epilogue")

    assert form["a"] == "b"


def test_a_long_file_comes_out_as_it_went_in_whatever_pieces_it_comes_in():
    content = bytes(range(256)) * 4096
    whole = (
        b'--XX\r\nContent-Disposition: form-data; name="a"\r\n\r\nb\r\n'
        b'--XX\r\nContent-Disposition: form-data; name="f"; filename="x;y.bin"\r\n\r\n'
        + content
        + b"\r\n--XX--\r\n"
    )
    for size in (1000, LARGE, LARGE + 1, len(whole)):
        form = parse(TYPE, *(whole[at : at + size] for at in range(0, len(whole), size)))
        file = form["f"]

        assert isinstance(file, UploadFile)
        assert (form["a"], file.filename, file.size) == ("b", "x;y.bin", len(content))
        assert file.file.read() == content


@pytest.mark.parametrize(
    ("parameters", "name"),
    [
        ("filename*=utf-8''d%C3%A9p%20%22.py", 'd\xe9p ".py'),
        ("filename*=UTF-8'de'd%C3%A9p.py", "d\xe9p.py"),
        ("filename*=iso-8859-1''d%E9p.py", "d\xe9p.py"),
        ("filename*=utf-8''%ff.py", "\ufffd.py"),
        ("filename*=hex''61.py", "61.py"),
        ("filename*=plain.py", "plain.py"),
        ("filename*=utf-8''a\"b;c.py", 'a"b;c.py'),
        ("filename=\"plain.py\"; filename*=utf-8''other.py", "plain.py"),
        ("filename*=utf-8''other.py; filename=plain.py", "plain.py"),
    ],
)
def test_a_file_whose_name_comes_in_the_extended_form_alone_is_a_file(parameters: str, name: str):
    head = f'--XX\r\nContent-Disposition: form-data; name="f"; {parameters}\r\n\r\n'
    file = parse(TYPE, head.encode() + b"x = 1\r\n--XX--\r\n")["f"]

    assert isinstance(file, UploadFile)
    assert (file.filename, file.file.read()) == (name, b"x = 1")


@pytest.mark.parametrize(
    ("kind", "content", "words"),
    [
        (TYPE, b"--XX\r\nX-Long: " + b"a" * 10_000 + b"\r\n\r\nb\r\n--XX--\r\n", "header"),
        (TYPE, b"--XX\r\n" + b"X-Many: a\r\n" * 2000 + b"\r\nb\r\n--XX--\r\n", "header"),
        (f"multipart/form-data; boundary={'X' * 300}", WHOLE, "boundary"),
        ("multipart/form-data", WHOLE, "boundary"),
        (TYPE, WHOLE[:-10], "boundary"),
        (TYPE, WHOLE.replace(b'name="a"', b""), "name"),
    ],
)
def test_what_is_no_form_or_has_more_than_any_is_refused(kind: str, content: bytes, words: str):
    with pytest.raises(MultiPartException) as error:
        parse(kind, content)
    assert words in error.value.message.lower()


@pytest.mark.parametrize("charset", ["punycode", "idna", "zip", "rot13", "no-such", "a\x00b"])
def test_no_character_set_is_one_that_takes_long_or_changes_sizes(charset: str):
    form = parse(f"{TYPE}; charset={charset}", WHOLE.replace(b"\r\nb\r\n", b"\r\nb-\xe9\r\n"))

    assert form["a"] == "b-\u00e9"


@pytest.mark.parametrize("charset", ["hex", "rot13", "base64", "bz2", "zlib", "undefined", "no-such"])
def test_the_name_of_a_file_is_read_whatever_character_set_the_form_says_it_has(charset: str):
    head = b'--XX\r\nContent-Disposition: form-data; name="f"; filename="\xe9"; filename*=UTF-8\'\'b\r\n\r\n'
    file = parse(f"{TYPE}; charset={charset}", head + b"x = 1\r\n--XX--\r\n")["f"]

    assert isinstance(file, UploadFile)
    assert (file.filename, file.file.read()) == ("\u00e9", b"x = 1")


def test_what_is_long_is_read_in_a_thread_of_its_own_and_what_is_short_at_once() -> None:
    async def names() -> tuple[str, str]:
        short = await read_in_thread(LARGE, lambda: threading.current_thread().name)
        return short, await read_in_thread(LARGE + 1, lambda: threading.current_thread().name)

    short, long = asyncio.run(names())
    assert short == threading.current_thread().name
    assert long.startswith("rest-api-body")


def test_a_long_field_becomes_text_in_a_thread_however_short_its_last_piece(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    threads: list[str] = []
    monkeypatch.setattr(
        requests.BoundedParser,
        "on_part_end",
        lambda parser: threads.append(threading.current_thread().name),
    )
    head = b'--XX\r\nContent-Disposition: form-data; name="a"\r\n\r\n'

    parse(TYPE, head, b"b" * 100_000, b"c\r\n--XX--\r\n")
    parse(TYPE, head, b"c\r\n--XX--\r\n")

    assert threads[0].startswith("rest-api-piece")
    assert not threads[1].startswith("rest-api-piece")


@pytest.mark.slow
def test_a_flood_of_long_bodies_takes_these_threads_alone() -> None:
    at_once = 0
    most = 0
    lock = threading.Lock()

    def read() -> None:
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
        time.sleep(0.01)
        with lock:
            at_once -= 1

    async def flood() -> bool:
        reading = [asyncio.ensure_future(read_in_thread(LARGE + 1, read)) for _ in range(50)]
        # asyncio's own threads are free.
        await asyncio.to_thread(int)
        before = not all(one.done() for one in reading)
        await asyncio.gather(*reading)
        return before

    assert asyncio.run(flood())
    assert most == 1


def test_a_piece_of_a_body_does_not_wait_for_the_whole_ones_of_others() -> None:
    hold = threading.Event()

    async def piece() -> str:
        whole = [asyncio.ensure_future(read_in_thread(LARGE + 1, hold.wait)) for _ in range(10)]
        name = await read_in_thread(LARGE + 1, lambda: threading.current_thread().name, piece=True)
        hold.set()
        await asyncio.gather(*whole)
        return name

    assert asyncio.run(piece()).startswith("rest-api-piece")


@pytest.mark.parametrize("more", [1, 2, 5])
def test_a_form_with_more_files_than_are_taken_is_too_large_and_names_the_option(more: int) -> None:
    part = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.py"\r\n\r\nx = 1\r\n'

    async def coming() -> AsyncGenerator[bytes, None]:
        yield part * (2 + more) + b"--b--\r\n"

    headers = Headers({"content-type": "multipart/form-data; boundary=b"})
    reading = read_multipart(headers, coming(), files=2, fields=1, part=100, option="dag_files_count")
    with pytest.raises(TooLarge, match=r"more than 2 files \(\[rest_api_plugin\] dag_files_count\)"):
        asyncio.run(reading)


def test_the_document_says_which_requests_may_name_a_queue() -> None:
    with serving() as (client, _):
        paths = client.get("/openapi.json").json()["paths"]
    placed = [path for path in paths if "/dag-files" in path or path.endswith("/refresh")]
    assert len(placed) > 8
    for path in placed:
        for method, operation in paths[path].items():
            references = [one.get("$ref", "").rpartition("/")[2] for one in operation["parameters"]]
            assert "AirflowQueue" in references, (method, path)
