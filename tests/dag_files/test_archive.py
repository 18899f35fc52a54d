"""What comes out of an archive, and what does not."""

from __future__ import annotations

import gzip
import io
import stat
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, cast

import pytest

from airflow_rest_api.dag_files.archive import unpack
from airflow_rest_api.dag_files.upload import Bounds, Received, clean
from airflow_rest_api.errors import ApiError, BadPath

MIB = 2**20

Make = Callable[..., Received]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    made: list[Received] = []

    def new(files: int = 1000, size: int = 20 * MIB, folder: str = "") -> Received:
        made.append(Received(Bounds(files, size), folder, tmp_path))
        return made[-1]

    yield new
    for received in made:
        received.remove()
    assert list(tmp_path.iterdir()) == []


def zipped(files: dict[str, bytes], **attributes: int) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name)
            entry.compress_type = zipfile.ZIP_DEFLATED
            for attribute, value in attributes.items():
                setattr(entry, attribute, value)
            archive.writestr(entry, content)
    return packed.getvalue()


def tarred(files: dict[str, bytes], kind: bytes = tarfile.REGTYPE, **attributes: object) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.type, entry.size = kind, len(content)
            for attribute, value in attributes.items():
                setattr(entry, attribute, value)
            archive.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


PACKERS = {"x.zip": zipped, "x.tar.gz": tarred, "x.tgz": tarred, "X.ZIP": zipped}


def taken(received: Received) -> dict[str, bytes]:
    return {file.path: file.content.read_bytes() for file in received.files}


def refusal(received: Received, name: str, content: bytes) -> ApiError:
    with pytest.raises(ApiError) as caught:
        unpack(name, io.BytesIO(content), received)
    assert "/tmp" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize("name", PACKERS)
def test_files_come_out_as_they_went_in(make: Make, name: str) -> None:
    files = {
        "a.py": b"a = 1\r\n",
        "project/my module.py": b"\xef\xbb\xbfx",
        "daten/größe 数.csv": b"\xff\0",
        "e": b"",
    }
    received = make()
    unpack(name, io.BytesIO(PACKERS[name](files)), received)
    assert taken(received) == files
    assert received.size == sum(map(len, files.values()))


@pytest.mark.parametrize("name", PACKERS)
@pytest.mark.parametrize("spooled", [1, 2**20], ids=["on the disk", "in memory"])
def test_what_a_form_has_brought_is_unpacked(make: Make, name: str, spooled: int) -> None:
    received = make()
    with tempfile.SpooledTemporaryFile(max_size=spooled) as content:
        content.write(PACKERS[name]({"a.py": b"a = 1\n"}))
        unpack(name, cast("BinaryIO", content), received)
    assert taken(received) == {"a.py": b"a = 1\n"}


def test_files_go_below_the_folder(make: Make) -> None:
    received = make(folder="teams/a")
    unpack("x.zip", io.BytesIO(zipped({"a.py": b"", "b/c.py": b""})), received)
    assert [file.path for file in received.files] == ["teams/a/a.py", "teams/a/b/c.py"]


def test_a_project_folder_packed_with_a_dot_and_its_folders_is_taken(make: Make, tmp_path: Path) -> None:
    project = tmp_path / "project"
    (project / "lib").mkdir(parents=True)
    (project / "lib" / "m.py").write_text("m = 1")
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        archive.add(project, ".")
    (project / "lib" / "m.py").unlink()
    (project / "lib").rmdir()
    project.rmdir()
    received = make()
    unpack("x.tar.gz", packed, received)
    assert taken(received) == {"lib/m.py": b"m = 1"}


@pytest.mark.parametrize("name", ["x.zip", "x.tgz"])
def test_what_nobody_meant_to_deploy_is_left_out_and_said(make: Make, name: str) -> None:
    files = dict.fromkeys(
        ["a.py", "__MACOSX/._a.py", "b/__pycache__/a.pyc", ".DS_Store", ".git/config", "b/._x.py"], b"x"
    )
    received = make()
    unpack(name, io.BytesIO(PACKERS[name](files)), received)
    assert list(taken(received)) == ["a.py"]
    assert "5 file(s)" in received.warnings[0]


@pytest.mark.parametrize("packer", ["x.zip", "x.tgz"])
@pytest.mark.parametrize(
    "name",
    [
        "../a.py",
        "a/../../b.py",
        "a/..",
        "/etc/cron.d/a",
        "C:/a.py",
        "a\\..\\..\\b.py",
        "a\nb.py",
        "a\x1b[2Jb.py",
        "x" * 201 + ".py",
        "/".join("d" * 21) + "/a.py",
        "/".join(["é" * 80] * 10),
        ".airflow_rest_api/x/journal",
        "a/.Airflow_Rest_API/x",
    ],
)
def test_a_path_that_leads_elsewhere_or_is_no_name_is_refused(make: Make, packer: str, name: str) -> None:
    problem = refusal(make(), packer, PACKERS[packer]({"good.py": b"", name: b""}))
    assert (problem.status, problem.detail["reason"]) == (400, "bad_path")


def test_a_file_may_lie_in_twenty_folders(make: Make) -> None:
    name = "/".join("d" * 20) + "/a.py"
    received = make()
    received.add(name, io.BytesIO(b""))
    assert list(taken(received)) == [name]
    assert clean("/".join("d" * 20), "folder", folder=True) == "/".join("d" * 20)
    with pytest.raises(BadPath):
        clean("/".join("d" * 21), "folder", folder=True)


def test_a_name_with_a_nul_character_is_refused(make: Make) -> None:
    packed = zipped({"a.pyXa.txt": b""}).replace(b"a.pyXa.txt", b"a.py\0a.txt")
    assert refusal(make(), "x.zip", packed).detail["reason"] == "bad_path"


def test_a_name_that_is_no_utf8_is_refused_in_a_tar(make: Make) -> None:
    packed = gzip.compress(
        gzip.decompress(
            tarred(
                {"aXb.py": b""},
            )
        ).replace(b"aXb.py", b"a\xffb.py")
    )
    # The sum of the header's bytes has to be right again.
    plain = bytearray(gzip.decompress(packed))
    total = sum(plain[:148]) + 8 * 32 + sum(plain[156:512])
    plain[148:156] = f"{total:06o}\0 ".encode()
    assert refusal(make(), "x.tgz", gzip.compress(bytes(plain))).detail["reason"] == "bad_path"


@pytest.mark.parametrize("packer", ["x.zip", "x.tgz"])
@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("A.py", "a.py"),
        ("dags/Größe.py", "dags/gro\u0308ße.py"),
        ("straße.py", "STRASSE.py"),
        ("a", "a/b.py"),
        ("a/b.py", "A"),
    ],
)
def test_names_of_which_one_would_overwrite_the_other_are_refused(
    make: Make, packer: str, first: str, second: str
) -> None:
    assert refusal(make(), packer, PACKERS[packer]({first: b"", second: b""})).status == 400


def test_a_file_that_is_there_twice_is_refused(make: Make) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a.py", b"1")
        archive.writestr("b.py", b"2")
    twice = packed.getvalue().replace(b"b.py", b"a.py")
    assert "is there twice" in str(refusal(make(), "x.zip", twice))
    both = gzip.decompress(tarred({"a.py": b"1"}))[:1024] + gzip.decompress(tarred({"a.py": b"2"}))
    assert "is there twice" in str(refusal(make(), "x.tgz", gzip.compress(both)))


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, b"Z"]
)
def test_links_devices_and_pipes_are_refused_in_a_tar(make: Make, kind: bytes) -> None:
    packed = tarred({"a.py": b""}, kind, linkname="/etc/passwd")
    problem = refusal(make(), "x.tgz", packed)
    if kind != b"Z":
        assert "no plain file" in str(problem)


def test_a_sparse_file_is_refused_in_a_tar(make: Make) -> None:
    headers = {"GNU.sparse.map": "0,0,1099511627776,0", "GNU.sparse.size": "1099511627776"}
    packed = tarred({"a.py": b""}, pax_headers=headers)
    assert refusal(make(), "x.tgz", packed).status == 400


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO, stat.S_IFSOCK])
def test_links_devices_and_pipes_are_refused_in_a_zip(make: Make, kind: int) -> None:
    packed = zipped({"a.py": b"/etc/passwd"}, external_attr=(kind | 0o777) << 16)
    assert "no plain file" in str(refusal(make(), "x.zip", packed))


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_packing_that_can_take_much_memory_is_refused(make: Make, method: int) -> None:
    packed = zipped({"a.py": b"x" * 1000}, compress_type=method)
    assert "use deflate" in str(refusal(make(), "x.zip", packed))


def test_an_encrypted_file_is_refused(make: Make) -> None:
    packed = bytearray(zipped({"a.py": b"x"}))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        packed[packed.index(signature) + offset] |= 1
    assert "encrypted" in str(refusal(make(), "x.zip", bytes(packed)))


@pytest.mark.parametrize("name", ["x.zip", "x.tgz"])
def test_a_bomb_ends_the_unpacking_at_the_bound(make: Make, name: str) -> None:
    received = make(size=500 * MIB)
    packed = PACKERS[name]({"bomb.csv": bytes(64 * MIB)})
    assert len(packed) < MIB / 4
    problem = refusal(received, name, packed)
    assert (problem.status, problem.detail["reason"]) == (413, "too_large")
    written = sum(path.stat().st_size for path in received.path.rglob("*") if path.is_file())
    assert written <= 10 * MIB + 100 * len(packed)


@pytest.mark.parametrize("name", ["x.zip", "x.tgz"])
def test_a_bomb_that_lies_about_its_size_ends_there_too(make: Make, name: str) -> None:
    content = bytes(64 * MIB)
    packed = bytearray(PACKERS[name]({"bomb.csv": content}))
    if name == "x.zip":
        for signature, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
            place = packed.index(signature) + offset
            packed[place : place + 4] = (10).to_bytes(4, "little")
    received = make(size=15 * MIB)
    assert refusal(received, name, bytes(packed)).status in (400, 413)
    assert received.size <= 15 * MIB


@pytest.mark.parametrize("name", ["x.zip", "x.tgz"])
def test_more_files_or_bytes_than_allowed_are_refused(make: Make, name: str) -> None:
    many = {f"{number}.py": b"" for number in range(51)}
    assert refusal(make(files=50), name, PACKERS[name](many)).status == 413
    # Folders and what is left out count: they cost the same.
    folders = {f"__pycache__/{number}": b"" for number in range(51)}
    assert refusal(make(files=50), name, PACKERS[name](folders)).status == 413
    large = {f"{number}.bin": bytes(range(256)) * 4096 for number in range(3)}
    assert refusal(make(size=2 * MIB), name, PACKERS[name](large)).status == 413


def test_a_list_of_files_that_takes_memory_is_not_read(make: Make) -> None:
    packed = bytearray(zipped({"a.py": b""}))
    place = packed.rindex(b"PK\x05\x06")
    packed[place + 12 : place + 16] = (2**31).to_bytes(4, "little")
    assert "list of files" in str(refusal(make(), "x.zip", bytes(packed)))
    # Where the end of a large archive is said, Python's module reads that one, whatever the small one says.
    packed = bytearray(zipped({"a.py": b""}))
    place = packed.rindex(b"PK\x05\x06")
    packed[place:place] = b"PK\x06\x07" + bytes(16)
    for behind in (0, 0xFFFF, 0x10000):
        assert "list of files" in str(refusal(make(), "x.zip", bytes(packed) + b"x" * behind))


def test_a_record_that_takes_memory_is_not_read(make: Make) -> None:
    packed = tarred({"a.py": b""}, pax_headers={"comment": "x" * (4 * MIB)})
    problem = refusal(make(), "x.tgz", packed)
    assert "record" in str(problem)


@pytest.mark.parametrize("name", ["x.zip", "x.tgz", "x.tar.gz"])
def test_what_is_damaged_or_something_else_is_refused(make: Make, name: str) -> None:
    good = PACKERS[name]({"a.py": b"x" * 3000, "b.py": bytes(range(256)) * 20})
    broken = bytearray(good)
    broken[len(good) // 2] ^= 0xFF
    others = [b"", b"PK", b"hello", b"\x1f\x8b", good[: len(good) // 2], good[:-10], bytes(broken)]
    others.append(zipped({"a.py": b""}) if name != "x.zip" else tarred({"a.py": b""}))
    for content in others:
        assert refusal(make(), name, content).detail["reason"] == "bad_archive"


def test_a_tar_with_a_damaged_header_in_the_middle_is_not_taken_for_its_first_half(make: Make) -> None:
    plain = bytearray(gzip.decompress(tarred({"a.py": b"x", "b.py": b"y"})))
    plain[1024 + 3] ^= 0xFF
    assert "damaged" in str(refusal(make(), "x.tgz", gzip.compress(bytes(plain))))


def test_an_archive_without_a_file_is_refused(make: Make) -> None:
    for name in ("x.zip", "x.tgz"):
        assert "no file" in str(refusal(make(), name, PACKERS[name]({})))


def test_another_ending_is_refused(make: Make) -> None:
    for name in ("x.tar", "x.rar", "x.py", "zip", "x.tar.bz2"):
        assert "its name must end with" in str(refusal(make(), name, zipped({"a.py": b""})))


@pytest.mark.parametrize("key", ["comment", "SCHILY.xattr.user.a", "path", "mtime"])
def test_a_record_that_python_reads_for_hours_is_refused_unread(make: Make, key: str) -> None:
    packed = tarred({"a.py": b""}, pax_headers={key: "1" * 900_000})
    assert "more digits" in str(refusal(make(), "x.tgz", packed))


def test_a_map_of_a_sparse_file_is_not_looked_for_in_the_whole_archive(make: Make) -> None:
    headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0"}
    packed = tarred({"a.py": b"1\n" + b"2" * 5 * MIB}, pax_headers=headers)
    assert "sparse" in str(refusal(make(), "x.tgz", packed))


def test_records_that_other_programs_write_are_read(make: Make) -> None:
    received = make()
    headers = {"mtime": "1770000000.123456789", "comment": "0123456789abcdef" * 4}
    unpack("x.tgz", io.BytesIO(tarred({"a.py": b"x"}, pax_headers=headers)), received)
    assert [file.path for file in received.files] == ["a.py"]
