"""A disk of a few blocks and inodes, made for a test."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

SIZE = 64 * 1024
INODES = 40


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """Mount a file system in memory on a folder, which only root may; the test is skipped for others."""
    folder.mkdir(exist_ok=True)
    options = f"size={SIZE},nr_inodes={INODES},mode=0700"
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True, text=True
    )
    if made.returncode:
        pytest.skip(f"A small disk cannot be mounted here: {made.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path) -> None:
    """Leave no block."""
    with (folder / "filler").open("wb", buffering=0) as file:
        try:
            while file.write(b"x" * 4096):
                pass
        except OSError:
            return


def use_up_inodes(folder: Path) -> None:
    """Leave no inode: blocks are there, and nothing that they could belong to."""
    try:
        for number in range(INODES + 1):
            (folder / f"inode-{number}").touch()
    except OSError:
        return


def make_room(folder: Path) -> None:
    """Take away what fills it."""
    for path in [*folder.glob("filler"), *folder.glob("inode-*")]:
        path.unlink()


FULL = {"no blocks": fill, "no inodes": use_up_inodes}
