"""File systems as there are others."""

from __future__ import annotations

import errno
import os
from typing import Any

import pytest


@pytest.fixture
def without_links(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a file system that has none, or files of others where `fs.protected_hardlinks` is set (proc(5))."""

    def refused(*_: Any, **__: Any) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", refused)
