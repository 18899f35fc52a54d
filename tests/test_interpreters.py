"""`tools.interpreters`: which versions and files a run beside the whole suite takes."""

from __future__ import annotations

import pytest

from tools.interpreters import ROOT, SENSITIVE, chosen


@pytest.mark.parametrize(
    ("at_hand", "taken"),
    [
        ([], []),
        (["3.12"], ["3.12"]),
        (["3.10", "3.13"], ["3.10", "3.13"]),
        (["3.10", "3.12", "3.13"], ["3.10", "3.13"]),
    ],
)
def test_the_oldest_and_the_newest_at_hand_are_taken(at_hand: list[str], taken: list[str]) -> None:
    assert chosen(at_hand) == taken


@pytest.mark.parametrize("place", SENSITIVE)
def test_what_is_run_there_exists(place: str) -> None:
    assert (ROOT / place).exists()
