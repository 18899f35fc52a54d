"""One thing that the plugin has left behind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Leftover:
    """
    Something that is removed as a whole.

    :ivar what: for whoever decides about it
    :ivar remove: removes it; raises what the file system or the database raises
    """

    what: str
    remove: Callable[[], object]
