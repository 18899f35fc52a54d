"""The versions of files, and the deployments that made them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Literal

Kind = Literal["deploy", "rollback", "delete"]

OUTSIDE = "outside"
"""The change of a version that did not come through us, and was found when one of ours replaced it."""


@dataclass(frozen=True)
class Version:
    """
    One version of a file.

    :ivar change: added, changed, unchanged, deleted, or outside
    :ivar sha256: of the content; None where it was deleted
    """

    bundle: str
    path: str
    version: int
    change: str
    sha256: str | None
    size: int | None
    deployment: str
    kind: str
    user: str
    at: datetime


@dataclass(frozen=True)
class Deployment:
    """One change of a bundle through us."""

    id: str
    kind: str
    bundle: str
    user: str
    at: datetime
    operation_id: str | None
    count: int


@dataclass(frozen=True)
class DeployedDag:
    """The file that a DAG was deployed in last, and when."""

    bundle: str
    path: str
    at: datetime


@dataclass(frozen=True)
class NewVersion:
    """
    A version to come.

    :ivar content: where its content lies; None for a file that is deleted
    """

    path: str
    change: str
    sha256: str | None = None
    size: int | None = None
    content: Path | None = None


def now() -> datetime:
    """Return the time as it is recorded."""
    return datetime.now(timezone.utc)
