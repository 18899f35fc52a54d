"""DAG files as they are sent: single ones, a folder packed into one archive, or an archive as it is."""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from airflow_rest_client.http import Upload

ARCHIVES = (".zip", ".tar.gz", ".tgz")
LEFT_OUT = frozenset(
    {
        "__pycache__",
        ".git",
        ".hg",
        ".svn",
        ".venv",
        ".mypy_cache",
        ".pytest_cache",
        ".ruff_cache",
        "node_modules",
    }
)
"""Folders that are no part of a project."""
MOST_BYTES = 512 * 2**20
"""Of the files of a folder, which are packed in memory."""


def parts(paths: Iterable[str | os.PathLike[str]]) -> list[tuple[str, Upload]]:
    """
    Return the parts of a form that deploys some files, one folder, or one archive.

    :raises FileNotFoundError: one of them is not there
    :raises ValueError: they are of several kinds, or none, or a folder has something that cannot be sent
    :raises OSError: one of them cannot be read
    """
    paths = list(paths)
    if not all(map(os.fspath, paths)):
        raise ValueError("The name of a file is empty")
    found = [Path(path) for path in paths]
    for path in found:
        if not path.exists():
            raise FileNotFoundError(errno.ENOENT, "There is no such file", str(path))
    if len(found) == 1 and found[0].is_dir():
        return [("archive", packed(found[0]))]
    if len(found) == 1 and found[0].name.lower().endswith(ARCHIVES):
        return [("archive", Upload(found[0].name, found[0].read_bytes()))]
    if not found or any(path.is_dir() or path.name.lower().endswith(ARCHIVES) for path in found):
        raise ValueError("Deploy files, or one folder, or one archive (.zip, .tar.gz, .tgz)")
    return [("file", Upload(path.name, path.read_bytes())) for path in found]


def packed(folder: Path) -> Upload:
    """Return an archive of what is in a folder; the same files give the same bytes."""
    import tarfile

    buffer, size = io.BytesIO(), 0
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=6) as archive:
        for path in _files(folder):
            entry = tarfile.TarInfo(path.relative_to(folder).as_posix())
            content = path.read_bytes()
            size += len(content)
            if size > MOST_BYTES:
                raise ValueError(f"{folder} has more than {MOST_BYTES // 2**20} MB: is it a project of DAGs?")
            entry.size, entry.mode = len(content), 0o644
            archive.addfile(entry, io.BytesIO(content))
    # The header of gzip has the time in bytes 4 to 8 (RFC 1952, 2.3).
    content = buffer.getvalue()
    # The folder may have a name that no request can have, and that is nobody's business.
    name = folder.resolve().name.encode(errors="replace").decode() or "dags"
    return Upload(f"{name}.tgz", content[:4] + bytes(4) + content[8:])


def _files(folder: Path) -> Iterator[Path]:
    # Nothing is left out without a word: what is not sent would be missing there.
    for place, folders, names in os.walk(folder, onerror=_unreadable):
        folders[:] = sorted(name for name in folders if name not in LEFT_OUT)
        for name in folders:
            if Path(place, name).is_symlink():
                raise ValueError(f"{Path(place, name)} is a link to a folder, which is not followed")
        for name in sorted(names):
            path = Path(place, name)
            if name == ".DS_Store":
                continue
            if not path.is_file():
                raise ValueError(f"{path} is no file, or a link to nothing")
            yield path


def _unreadable(error: OSError) -> None:
    raise error
