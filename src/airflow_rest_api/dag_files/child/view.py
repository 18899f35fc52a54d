"""
The bundle as it will be: the files that came in, over the others of today.

Only the folders that get new files are made; everything else in it is a link to what lies in the bundle.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

IGNORE_FILE = ".airflowignore"
CACHE = "__pycache__"
CONTROL = ".airflow_rest_api"  # names.CONTROL, which does not belong into a child


def put_files(view: Path, files: Mapping[str, str]) -> None:
    """
    Copy the files that came in to their places.

    :param files: where the content lies, by the path in the bundle
    """
    for path, content in files.items():
        target = view / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(content, target)


def put_ignore_files(view: Path, root: Path) -> None:
    """Link the ignore files of the bundle that say something about the files that came in."""
    for folder in _folders(view):
        source, target = root / folder / IGNORE_FILE, view / folder / IGNORE_FILE
        if source.is_file() and not os.path.lexists(target):
            target.symlink_to(source)


def put_the_rest(view: Path, root: Path) -> None:
    """Link everything else that lies in the folders of the files that came in."""
    for folder in _folders(view):
        source, target = root / folder, view / folder
        if not source.is_dir():
            continue
        with os.scandir(source) as entries:
            for entry in entries:
                if entry.name not in (CACHE, CONTROL) and not os.path.lexists(target / entry.name):
                    (target / entry.name).symlink_to(entry.path)


def _folders(view: Path) -> list[str]:
    return [os.path.relpath(folder, view) for folder, _, _ in os.walk(view)]
