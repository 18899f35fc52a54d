"""The form of a deployment: its files, or one archive, and what is wanted of them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.datastructures import FormData, UploadFile

from airflow_rest_api.dag_files.archive import ENDINGS, unpack
from airflow_rest_api.dag_files.upload import Received
from airflow_rest_api.errors import ApiError, BadArgument
from airflow_rest_api.operations.files import Upload

TEXTS = ("bundle", "folder")
FLAGS: Mapping[str, tuple[bool, str]] = {
    "overwrite": (False, "Replace files that are there and differ."),
    "validate": (True, "Look into the files before they count."),
    "dry_run": (False, "Only look into them."),
    "force_invalid": (False, "Write them even if they cannot be imported, or define DAGs of other files."),
    "pause": (False, "Pause every DAG in the files."),
    "unpause": (False, "Resume every DAG in the files."),
    "wait": (False, "End only when Airflow has parsed the files."),
}
"""The check boxes, with what they are when they are not given."""

_YES = frozenset({"true", "on", "1", "yes"})
_NO = frozenset({"false", "off", "0", "no"})

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "file": {
            "type": "array",
            "items": {"type": "string", "format": "binary"},
            "description": "The files, as parts of this name; a name may have folders in it.",
        },
        "archive": {
            "type": "string",
            "format": "binary",
            "description": f"A project folder, packed ({', '.join(ENDINGS)}).",
        },
        "bundle": {"type": "string", "description": "By default the one that files can be put into."},
        "folder": {"type": "string", "description": "A folder of the bundle; it need not exist yet."},
        **{
            name: {"type": "boolean", "x-default": default, "description": words}
            for name, (default, words) in FLAGS.items()
        },
    },
    "additionalProperties": False,
}
REQUEST_BODY = {"required": True, "content": {"multipart/form-data": {"schema": SCHEMA}}}


@dataclass
class DeployForm:
    """What was sent."""

    bundle: str | None = None
    folder: str = ""
    flags: dict[str, bool] = field(default_factory=dict)
    files: list[UploadFile] = field(default_factory=list)
    archives: list[UploadFile] = field(default_factory=list)

    @property
    def paused(self) -> bool | None:
        """What becomes of the DAGs: True for paused, False for resumed, None for as they are."""
        return True if self.flags["pause"] else False if self.flags["unpause"] else None

    def uploads(self) -> dict[str, Upload]:
        """Return what came in under names of their own."""
        found = [*self.files, *self.archives]
        return {f"{number:06}": Upload(part.filename or "", part.file) for number, part in enumerate(found)}

    def said(self) -> dict[str, Any]:
        """Return everything else."""
        return {"bundle": self.bundle, "folder": self.folder, **self.flags}


def from_form(form: FormData) -> DeployForm:
    """Return what a form says; raise ApiError."""
    found = DeployForm(flags={name: default for name, (default, _) in FLAGS.items()})
    seen: set[str] = set()
    for name, value in form.multi_items():
        if isinstance(value, UploadFile):
            if name not in ("file", "archive"):
                raise _bad(name, "there is no such file part: send `file` or `archive`")
            (found.files if name == "file" else found.archives).append(value)
            continue
        if name in seen:
            raise _bad(name, "it is there more than once")
        seen.add(name)
        if name in FLAGS:
            found.flags[name] = _flag(name, value)
        elif name == "bundle":
            found.bundle = value or None
        elif name == "folder":
            found.folder = value
        elif name in ("file", "archive"):
            raise _bad(name, "send the file itself, with a file name")
        else:
            raise _bad(name, "there is no such field")
    if len(found.archives) > 1:
        raise _bad("archive", "one archive at a time")
    if bool(found.files) == bool(found.archives):
        raise _bad("file", "send one or more parts `file`, or one `archive`")
    if found.flags["pause"] and found.flags["unpause"]:
        raise _bad("unpause", "pause and unpause exclude each other")
    return found


async def take(form: DeployForm, received: Received) -> None:
    """Take the files of a form; raise ApiError."""
    await asyncio.to_thread(_take, form, received)


def _take(form: DeployForm, received: Received) -> None:
    for part in form.archives:
        part.file.seek(0)
        unpack(part.filename or "", part.file, received)
    for part in form.files:
        part.file.seek(0)
        received.count()
        received.add(part.filename or "", part.file)


def _flag(name: str, value: str) -> bool:
    text = value.strip().lower()
    if text in _YES:
        return True
    if text in _NO:
        return False
    raise _bad(name, f"{value[:50]!r} is neither true nor false")


def _bad(name: str, why: str) -> ApiError:
    return BadArgument(name[:100], f"{name[:100]}: {why}")
