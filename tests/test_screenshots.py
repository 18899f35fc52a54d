"""The pictures in docs/ are those that the tool takes; that they are true is up to who runs it."""

from __future__ import annotations

import re
import struct
import zlib

import pytest

from tools import png
from tools.screenshot_pictures import FOLDER, PICTURES, Picture
from tools.screenshots import LARGEST

PAGE = (FOLDER.parent / "page.md").read_text()


def picture(pixels: list[list[tuple[int, int, int]]], filters: list[int]) -> bytes:
    """Return a PNG of 8 bits for each colour, each line with one of the filters that the format knows."""
    above = [0] * 3 * len(pixels[0])
    data = bytearray()
    for method, row in zip(filters, pixels, strict=True):
        line = [value for colour in row for value in colour]
        data.append(method)
        for x, value in enumerate(line):
            left, corner = (line[x - 3], above[x - 3]) if x >= 3 else (0, 0)
            up = above[x]
            near = min((left, up, corner), key=lambda one: abs(left + up - corner - one))
            data.append((value - (0, left, up, (left + up) // 2, near)[method]) % 256)
        above = line
    header = struct.pack(">IIBBBBB", len(pixels[0]), len(pixels), 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(data))), (b"IEND", b""))
    return png.SIGNATURE + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in chunks
    )


def shown(image: bytes) -> list[list[tuple[int, int, int]]]:
    """Return the pixels of a PNG with a palette and without filters, as `with_palette` makes it."""
    width, _ = png.size(image)
    chunks, at = {}, len(png.SIGNATURE)
    while at < len(image):
        (length,) = struct.unpack_from(">I", image, at)
        name, body = image[at + 4 : at + 8], image[at + 8 : at + 8 + length]
        assert struct.unpack_from(">I", image, at + 8 + length) == (zlib.crc32(name + body),)
        chunks[name], at = body, at + 12 + length
    palette = [tuple(chunks[b"PLTE"][at : at + 3]) for at in range(0, len(chunks[b"PLTE"]), 3)]
    lines = zlib.decompress(chunks[b"IDAT"])
    assert set(lines[:: width + 1]) == {0}
    return [
        [palette[index] for index in lines[at + 1 : at + 1 + width]]  # type: ignore[misc]
        for at in range(0, len(lines), width + 1)
    ]


def test_the_page_shows_exactly_the_pictures_that_are_taken() -> None:
    named = re.findall(r"!\[[^]]+\]\(images/([\w-]+)\.png\)", PAGE)
    assert sorted(named) == sorted(one.name for one in PICTURES)
    assert PAGE.count("](images/") == len(named), "a picture without a text in its place"


def test_no_picture_is_there_that_is_not_taken() -> None:
    assert sorted(FOLDER.iterdir()) == sorted(one.path for one in PICTURES)


@pytest.mark.parametrize("one", PICTURES, ids=lambda one: one.name)
def test_each_picture_is_small_and_as_large_as_its_window(one: Picture) -> None:
    image = one.path.read_bytes()
    assert png.size(image) == (one.width, one.height)
    assert len(image) <= LARGEST


@pytest.mark.parametrize("method", range(5))
def test_a_picture_of_few_colours_stays_as_it_is(method: int) -> None:
    pixels = [[(x * 40, y * 60, (x * y) % 7 * 30) for x in range(6)] for y in range(4)]
    assert shown(png.with_palette(picture(pixels, [method] * 4))) == pixels


def test_of_too_many_colours_near_ones_become_one() -> None:
    pixels = [[(x, y, 128) for x in range(64)] for y in range(64)]
    reduced = shown(png.with_palette(picture(pixels, [0] * 64)))
    assert len({colour for row in reduced for colour in row}) <= 256
    assert all(
        abs(was[part] - now[part]) <= 8
        for before, after in zip(pixels, reduced, strict=True)
        for was, now in zip(before, after, strict=True)
        for part in range(3)
    )


def test_what_is_no_such_picture_is_refused() -> None:
    with pytest.raises(png.PngError):
        png.size(b"GIF89a")
    with pytest.raises(png.PngError):
        png.with_palette(png.with_palette(picture([[(1, 2, 3)]], [0])))
