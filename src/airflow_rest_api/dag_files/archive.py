"""Archives: unpacked file by file within the bounds of a deployment; nothing in their records is believed."""

from __future__ import annotations

import gzip
import re
import stat
import struct
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import IO, Any, BinaryIO, cast

from airflow_rest_api.dag_files.upload import CHUNK, Received, clean, left_out
from airflow_rest_api.errors import BadArchive, BadPath, TooLarge

ENDINGS = (".zip", ".tar.gz", ".tgz")

MOST_PACKED = 100
FREE = 10 * 1024 * 1024
"""What is unpacked may have `FREE` bytes and `MOST_PACKED` times those that came; code packs to a tenth."""

LARGEST_ENTRY = 64 * 1024
"""Bytes of an archive's own records about one file, such as long names."""
LONGEST_NUMBER = 100
"""Digits in such a record; a digest in hexadecimal can happen to have some of them in a row."""
LARGEST_DIRECTORY = 2000
"""Bytes for each file in the list of files of a ZIP archive."""

_METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
"""The others can ask for gigabytes of memory before the first byte."""
_END_OF_DIRECTORY, _LARGE_END = b"PK\x05\x06", b"PK\x06\x07"
_BEFORE_END = 20
"""Bytes in front of the end, where an archive of more than 4 GB or 65,535 files says where its own end is."""
_LONGEST_END = _BEFORE_END + 22 + 0x10000
"""As far as Python's module looks for the end."""
_ENCRYPTED, _UTF8 = 0x1, 0x800
_NUMBER = re.compile(rb"[0-9]+")
_PLAIN = frozenset({tarfile.REGTYPE, tarfile.AREGTYPE})

_KINDS = {
    tarfile.SYMTYPE: "a symbolic link",
    tarfile.LNKTYPE: "a hard link",
    tarfile.CHRTYPE: "a device",
    tarfile.BLKTYPE: "a device",
    tarfile.FIFOTYPE: "a pipe",
}


def is_archive(name: str) -> bool:
    """Return whether a file is an archive that we unpack, by its name."""
    return name.lower().endswith(ENDINGS)


def unpack(name: str, content: BinaryIO, received: Received) -> None:
    """
    Unpack an archive.

    :param name: its ending tells the kind
    :param content: can be read anywhere (seek)
    :raises BadArchive: of another kind, damaged, or with something in it that is no plain file
    :raises BadPath: a file in it cannot be called that
    :raises TooLarge: more than a deployment may have, or packed as no source code is; unpacking ended there
    """
    if not is_archive(name):
        raise BadArchive(f"its name must end with {', '.join(ENDINGS)}")
    if not hasattr(content, "seekable"):
        # `zipfile` asks, and before Python 3.11 a file of `tempfile.SpooledTemporaryFile` has no answer.
        content.seekable = lambda: True  # type: ignore[method-assign]
    packed = content.seek(0, 2)
    content.seek(0)
    limit = received.size + min(received.room(), FREE + MOST_PACKED * packed)
    try:
        if name.lower().endswith(".zip"):
            _check_directory(content, received)
            with zipfile.ZipFile(content) as archive:
                _take(_zip_entries(archive), received, limit)
        else:
            _unpack_tar(content, received, limit)
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, struct.error, gzip.BadGzipFile):
        # Their messages are about bytes, which help no client.
        raise BadArchive("it is damaged, or of another kind than its name says") from None
    except (NotImplementedError, RuntimeError, ValueError, OverflowError):
        raise BadArchive("it is packed in a way that is not taken") from None
    if not received.files:
        raise BadArchive("there is no file in it")


@dataclass(frozen=True)
class _Entry:
    """A file as an archive has it; a refusal says why it is not taken."""

    name: str
    folder: bool
    refusal: str | None
    open: Callable[[], IO[bytes] | None]


def _take(entries: Iterable[_Entry], received: Received, limit: int) -> None:
    def expect(size: int) -> None:
        if received.size + size > limit:
            raise _bomb(limit)

    passed = 0
    for entry in entries:
        received.count()
        if entry.folder:
            if entry.name.strip("/") not in ("", "."):
                clean(entry.name, "archive")
        elif entry.refusal is not None:
            raise BadArchive(f"{entry.name[:200]!r} is {entry.refusal}")
        elif left_out(clean(entry.name, "archive")):
            passed += 1
        elif (content := entry.open()) is not None:
            with content:
                received.add(entry.name, content, "archive", expect)
    if passed:
        received.warnings.append(
            f"{passed} file(s) of the archive were left out: caches, and what belongs to Git or to macOS."
        )


def _zip_entries(archive: zipfile.ZipFile) -> Iterator[_Entry]:
    for info in archive.infolist():
        name, kind = _zip_name(info), stat.S_IFMT(info.external_attr >> 16)
        refusal = None
        if kind not in (0, stat.S_IFREG):
            refusal = "no plain file but a link, a device or a pipe"
        elif info.flag_bits & _ENCRYPTED:
            refusal = "encrypted"
        elif info.compress_type not in _METHODS:
            refusal = "packed in a way that is not taken: use deflate"
        yield _Entry(name, name.endswith("/") or kind == stat.S_IFDIR, refusal, partial(archive.open, info))


def _check_directory(content: BinaryIO, received: Received) -> None:
    """Refuse a list of files that would take much memory: Python's module reads it as a whole."""
    size = content.seek(0, 2)
    content.seek(max(0, size - _LONGEST_END))
    end = content.read(_LONGEST_END)
    content.seek(0)
    place = end.rfind(_END_OF_DIRECTORY)
    if place < 0 or len(end) < place + 22:
        raise BadArchive("it is damaged, or of another kind than its name says")
    count, length = struct.unpack_from("<HL", end, place + 10)
    received.expect_entries(count)
    large = end[max(0, place - _BEFORE_END) : place].startswith(_LARGE_END)
    if large or length > LARGEST_DIRECTORY * (count + 1):
        raise BadArchive("its list of files is larger than any that is taken")


def _zip_name(entry: zipfile.ZipInfo) -> str:
    # `filename` ends at the first NUL, so that something else would be checked than what was sent.
    name = entry.orig_filename
    if "\0" in name:
        raise BadPath(name, "a NUL character stands in it", "archive")
    if not entry.flag_bits & _UTF8 and not name.isascii():
        try:
            # Written as UTF-8 without saying so, as macOS does.
            return name.encode("cp437").decode()
        except UnicodeError:
            return name
    return name


def _unpack_tar(content: BinaryIO, received: Received, limit: int) -> None:
    # First the whole of it, within its bounds: what reads a packed tar archive goes wherever its headers say.
    with tempfile.TemporaryFile(dir=received.path) as plain:
        room = limit + received.bounds.files * LARGEST_ENTRY
        with gzip.GzipFile(fileobj=content, mode="rb") as stream:
            size = 0
            while chunk := stream.read(CHUNK):
                size += len(chunk)
                if size > room:
                    raise _bomb(limit)
                plain.write(chunk)
        plain.seek(0)
        guarded = cast("BinaryIO", _Guarded(plain))
        with tarfile.open(fileobj=guarded, mode="r:", tarinfo=_Member) as archive:
            _take(_tar_entries(archive), received, limit)
            plain.seek(archive.offset)
            # Python's module takes a damaged header for the end.
            if plain.read(tarfile.BLOCKSIZE).strip(b"\0"):
                raise BadArchive("it is damaged")


def _tar_entries(archive: tarfile.TarFile) -> Iterator[_Entry]:
    while (member := archive.next()) is not None:
        # It remembers all that it has seen.
        archive.members = []  # type: ignore[attr-defined]
        plain = member.type in _PLAIN and member.sparse is None
        refusal = None if plain else f"no plain file but {_KINDS.get(member.type, 'something else')}"
        yield _Entry(member.name, member.isdir(), refusal, partial(archive.extractfile, member))


def _bomb(limit: int) -> TooLarge:
    return TooLarge(
        f"The archive unpacks to more than {limit} bytes: more than is allowed, or than source code does."
    )


class _Member(tarfile.TarInfo):
    """
    A file of a tar archive, without records that Python takes hours to read.

    Before 3.11.10 it searches them for a number and a word, from each digit anew (CVE-2024-6232). The methods
    are those that `tarfile` has for kinds of members: "can be overridden" there.
    """

    def _proc_pax(self, archive: Any) -> Any:
        place = archive.fileobj.tell()
        record = archive.fileobj.read(self._block(self.size))  # type: ignore[attr-defined]
        archive.fileobj.seek(place)
        if any(len(number[0]) > LONGEST_NUMBER for number in _NUMBER.finditer(record)):
            raise BadArchive("a record in it has a number of more digits than any has")
        return super()._proc_pax(archive)  # type: ignore[misc]

    def _proc_gnusparse_00(self, *_: Any) -> None:
        raise BadArchive("a file in it is sparse, no plain file")

    # The last of them reads a whole archive for a number.
    _proc_gnusparse_01 = _proc_gnusparse_10 = _proc_gnusparse_00


class _Guarded:
    """A tar archive of which no record about a file is read that takes much memory."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def read(self, size: int = -1, /) -> bytes:
        """Return the next bytes; contents are read in pieces, so that more at once is a record."""
        if size < 0 or size > 16 * LARGEST_ENTRY:
            raise BadArchive("a record in it is larger than any that is taken")
        return self._file.read(size)

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Go to a place; Python 3.10 looks for one before the beginning of an empty archive."""
        return self._file.seek(max(offset, 0) if whence == 0 else offset, whence)

    def tell(self) -> int:
        """Return the place."""
        return self._file.tell()
