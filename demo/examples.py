"""The DAGs folder of a stack: a copy of the examples, in which whatever else lies there is left alone."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from demo.config import read_json, write_private

SOURCE = Path(__file__).resolve().parent.parent / "examples" / "dags"
RECORD = "examples.json"
"""Beside the folder: what was copied there, by the name of the file."""


def renew(folder: Path, source: Path = SOURCE) -> list[str]:
    """
    Copy the examples into a folder, and return the ids of the DAGs that lie there as they were shipped.

    An example that is as it was copied last is renewed. One that somebody has changed or removed, and a file
    of the same name that was not copied, stay as they are; so does every other file. What is no example any
    more goes, unless it was changed.
    """
    folder.mkdir(exist_ok=True)
    record = folder.parent / RECORD
    copied = read_json(record)
    shipped = []
    for path in sorted(source.glob("*.py")):
        content, target = path.read_bytes(), folder / path.name
        there = _hash(target.read_bytes()) if target.is_file() else None
        if there == copied.get(path.name):
            target.write_bytes(content)
            there = copied[path.name] = _hash(content)
        if there == _hash(content):
            # Each file is named after its DAG.
            shipped.append(path.stem)
    for name in copied.keys() - {path.name for path in source.glob("*.py")}:
        target = folder / name
        if target.is_file() and _hash(target.read_bytes()) == copied[name]:
            target.unlink()
        del copied[name]
    write_private(record, json.dumps(copied, indent=1) + "\n")
    return shipped


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
