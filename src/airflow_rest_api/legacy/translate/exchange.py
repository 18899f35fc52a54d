"""The folder that `import` and `export` share with the clients."""

from __future__ import annotations

import os
from pathlib import Path

from airflow_rest_api.errors import Refusal

OPTION = "[rest_api_plugin] exchange_folder"


def path_in(folder: str, path: str, *, argument: str, to_write: bool) -> str:
    """
    Return the file that a client's path names, all links followed.

    :param folder: the exchange folder; empty where none is configured
    :param path: relative to the folder, or absolute and inside it
    :raises Refusal: no folder is configured, or the file is not inside it
    """
    if not folder:
        raise Refusal(f"Argument '{argument}' needs the option {OPTION}: the folder for files to exchange")
    if "\0" in path:
        raise Refusal(f"Argument '{argument}': the path has a NUL character in it")
    root = Path(os.path.realpath(folder))
    file = Path(os.path.realpath(root / path))
    if file == root or not file.is_relative_to(root):
        raise Refusal(f"Argument '{argument}': '{path}' is not inside the exchange folder")
    if file.is_dir() or (to_write and not file.parent.is_dir()):
        raise Refusal(f"Argument '{argument}': '{path}' is a folder, or its folder does not exist")
    return str(file)
