"""PNG pictures of a page with few colours: what they are, and the same with a palette, a third of the size.

The format: https://www.w3.org/TR/png-3/. In plain Python, as nothing that the project installs can do it.
"""

from __future__ import annotations

import struct
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator

SIGNATURE = b"\x89PNG\r\n\x1a\n"
Colour = tuple[int, int, int]
_RGB, _PALETTE = 2, 3
_HEADER = struct.Struct(">IIBBBBB")


class PngError(ValueError):
    """Not a PNG, or none of the kind that a browser makes of an opaque page."""


def size(png: bytes) -> tuple[int, int]:
    """Return width and height in pixels."""
    width, height, *_ = _header(png)
    return width, height


def with_palette(png: bytes) -> bytes:
    """Return the same picture, of 8 bits each for red, green and blue, with at most 256 colours.

    Raises `PngError` for pictures of another kind.
    """
    width, height, *kind = _header(png)
    if kind != [8, _RGB, 0, 0, 0]:
        raise PngError(f"not a picture of 8 bits for each colour: {kind}")
    data = b"".join(body for name, body in _chunks(png) if name == b"IDAT")
    pixels = _unfiltered(zlib.decompress(data), width * 3, height)
    counts = Counter(zip(pixels[0::3], pixels[1::3], pixels[2::3], strict=True))
    palette = _palette(colour for colour, _ in counts.most_common())
    index = {colour: _nearest(colour, palette) for colour in counts}
    rows = bytes(index[colour] for colour in zip(pixels[0::3], pixels[1::3], pixels[2::3], strict=True))
    # A 0 before each: no filter, which suits a palette best.
    lines = b"".join(b"\0" + rows[at : at + width] for at in range(0, len(rows), width))
    return SIGNATURE + b"".join(
        (
            _chunk(b"IHDR", _HEADER.pack(width, height, 8, _PALETTE, 0, 0, 0)),
            _chunk(b"PLTE", b"".join(map(bytes, palette))),
            _chunk(b"IDAT", zlib.compress(lines, 9)),
            _chunk(b"IEND", b""),
        )
    )


def _header(png: bytes) -> tuple[int, ...]:
    """Return width, height, bit depth, colour type, and the methods of compression, filter and interlace."""
    if not png.startswith(SIGNATURE) or png[12:16] != b"IHDR":
        raise PngError("not a PNG")
    return _HEADER.unpack(png[16:29])


def _chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = len(SIGNATURE)
    while at < len(png):
        (length,) = struct.unpack_from(">I", png, at)
        yield png[at + 4 : at + 8], png[at + 8 : at + 8 + length]
        at += length + 12


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def _unfiltered(data: bytes, stride: int, height: int) -> bytes:
    """Undo what was done to each line; a pixel has three bytes."""
    done = bytearray()
    above = bytes(stride)
    for row in range(height):
        at = row * (stride + 1)
        method, line = data[at], bytearray(data[at + 1 : at + 1 + stride])
        if method > 4:
            raise PngError(f"no such filter: {method}")
        if method == 2:
            line = bytearray((value + up) & 255 for value, up in zip(line, above, strict=True))
        elif method:
            for x, value in enumerate(line):
                left, corner = (line[x - 3], above[x - 3]) if x >= 3 else (0, 0)
                line[x] = (value + _predicted(method, left, above[x], corner)) & 255
        done += line
        above = bytes(line)
    return bytes(done)


def _predicted(method: int, left: int, up: int, corner: int) -> int:
    if method == 1:
        return left
    if method == 3:
        return (left + up) // 2
    guess = left + up - corner
    return min((left, up, corner), key=lambda value: abs(guess - value))


def _palette(colours: Iterable[Colour]) -> list[Colour]:
    """Choose up to 256 colours, of which each other one is near; the more frequent ones are given first."""
    colours = list(colours)
    apart = 0
    while True:
        palette: list[Colour] = []
        for colour in colours:
            if len(palette) > 256:
                break
            if all(_distance(colour, other) > apart for other in palette):
                palette.append(colour)
        if len(palette) <= 256:
            return palette
        apart = apart * 2 or 12


def _nearest(colour: Colour, palette: list[Colour]) -> int:
    return min(range(len(palette)), key=lambda at: _distance(colour, palette[at]))


def _distance(one: Colour, other: Colour) -> int:
    """The square of the distance."""
    return (one[0] - other[0]) ** 2 + (one[1] - other[1]) ** 2 + (one[2] - other[2]) ** 2
