"""What came of asking an operation to end."""

from __future__ import annotations

from enum import Enum


class Cancel(str, Enum):
    """What came of it; the same question again changes nothing."""

    ASKED = "asked"
    ASKED_BEFORE = "asked_before"
    ENDED_BEFORE = "ended_before"

    @property
    def message(self) -> str:
        """It in words."""
        return WORDS[self]


WORDS = {
    Cancel.ASKED: "The operation was asked to end.",
    Cancel.ASKED_BEFORE: "The operation had been asked to end before.",
    Cancel.ENDED_BEFORE: "The operation had ended before; nothing was changed.",
}
