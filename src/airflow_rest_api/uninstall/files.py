"""What is left on this machine: folders, logs, and our section of Airflow's configuration."""

from __future__ import annotations

import os
import re
import shutil
import stat
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_rest_api import private_folders
from airflow_rest_api.dag_files.upload import CONTROL
from airflow_rest_api.services.files import HOME, log_name
from airflow_rest_api.services.log_files import NOTES
from airflow_rest_api.uninstall.leftover import Leftover

if TYPE_CHECKING:
    from airflow_rest_api.airflow.installation import Places

_LOG = re.compile(log_name("[a-z-]+", "[0-9a-f]{32}") + r"\.(out|err)")
"""The logs of components that were not given another name."""


def folders(here: Places, roots: Iterable[Path]) -> Iterable[Leftover]:
    """
    Return the folders and files of ours on this machine.

    :param roots: of the DAG bundles that files can be put into
    """
    ours = [(root / CONTROL, "of the deployments into a DAG bundle") for root in roots]
    ours += [(Path(here.home, HOME), "of the components that were started")]
    ours += [(Path(here.logs, NOTES), "which says what logs components have made")]
    ours += [(folder, "of a process that was killed") for folder in private_folders.abandoned()]
    for folder, what in ours:
        if _is_folder(folder):
            yield Leftover(f"the folder {folder}, {what}", partial(shutil.rmtree, folder))
    logs = Path(here.logs)
    for path in sorted(logs.iterdir()) if logs.is_dir() else ():
        if _LOG.fullmatch(path.name) and path.is_file() and not path.is_symlink():
            yield Leftover(f"the log {path}", path.unlink)


def section(path: Path, name: str) -> Iterable[Leftover]:
    """Return a section of a configuration file, with all that is set in it."""
    text = path.read_text() if path.is_file() else ""
    if _without(text, name) != text:
        yield Leftover(f"the section [{name}] of {path}", lambda: _cut(path, name))


def _is_folder(path: Path) -> bool:
    try:
        return stat.S_ISDIR(path.lstat().st_mode)
    except OSError:
        return False


def _without(text: str, name: str) -> str:
    """Return a configuration without a section, as it was otherwise: with its comments."""
    lines = text.splitlines(keepends=True)
    kept, inside = [], False
    for line in lines:
        # An option of several lines goes on with blanks, so that this is no value.
        if line.startswith("["):
            inside = line.split("]")[0] == f"[{name}"
        if not inside:
            kept.append(line)
    return "".join(kept)


def _cut(path: Path, name: str) -> None:
    # Through a link, the file that it leads to.
    real = Path(os.path.realpath(path))
    status = real.stat()
    draft = real.with_name(f".{real.name}.{os.getpid()}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(_without(real.read_text(), name))
            os.fchmod(file.fileno(), stat.S_IMODE(status.st_mode))
            if (status.st_uid, status.st_gid) != (os.geteuid(), os.getegid()):
                os.fchown(file.fileno(), status.st_uid, status.st_gid)
        draft.replace(real)
    finally:
        draft.unlink(missing_ok=True)
