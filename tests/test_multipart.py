from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from starlette.datastructures import FormData, Headers, UploadFile
from starlette.formparsers import MultiPartException

from airflow_rest_api.multipart import Ending, read_multipart
from airflow_rest_api.parsing_threads import LARGE

TYPE = "multipart/form-data; boundary=XX"
WHOLE = b'--XX\r\nContent-Disposition: form-data; name="a"\r\n\r\nb\r\n--XX--\r\n'


@pytest.mark.parametrize("size", [1, 7, 4096])
def test_a_whole_body_is_complete_in_whatever_pieces_it_comes(size: int):
    ending = Ending(TYPE)
    for start in range(0, len(WHOLE), size):
        ending.add(WHOLE[start : start + size])

    assert ending.complete


def test_a_body_that_was_cut_off_is_not():
    for length in range(len(WHOLE) - 3):
        ending = Ending(TYPE)
        ending.add(WHOLE[:length])

        assert not ending.complete


def test_a_quoted_boundary_and_what_follows_the_last_one_do_no_harm():
    ending = Ending('multipart/form-data; charset=utf-8; boundary="XX"')
    ending.add(WHOLE + b"epilogue")

    assert ending.complete


def parse(kind: str, *chunks: bytes, part: int = 2**30) -> FormData:
    async def coming() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk

    headers = Headers({"content-type": kind})
    return asyncio.run(read_multipart(headers, coming(), files=10, fields=10, part=part))


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
