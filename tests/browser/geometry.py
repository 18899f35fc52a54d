"""Whether what a page shows can be seen: nothing scrolls that must not, is cut, or lies over another."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Frame, Page

FAULTS = (Path(__file__).parents[1] / "data" / "browser" / "geometry.js").read_text()


def faults(page: Page | Frame) -> list[str]:
    """Return what cannot be seen as it should be, one sentence each."""
    found: list[str] = page.evaluate(FAULTS)
    return found
