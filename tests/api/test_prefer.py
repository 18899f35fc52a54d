from __future__ import annotations

import pytest

from airflow_rest_api.api.prefer import LONGEST_WAIT, preference


@pytest.mark.parametrize(
    ("headers", "wait", "applied"),
    [
        ([], 30, None),
        ([""], 30, None),
        (["wait=5"], 5, "wait=5"),
        (["WAIT = 5"], 5, "wait=5"),
        (['wait="5"'], 5, "wait=5"),
        (["wait=0"], 0, "wait=0"),
        (["respond-async"], 0, "respond-async"),
        (["Respond-Async; foo=bar"], 0, "respond-async"),
        (["respond-async, wait=10"], 10, "respond-async, wait=10"),
        (["respond-async", "wait=10"], 10, "respond-async, wait=10"),
        (["return=minimal, wait=7; strict"], 7, "wait=7"),
        (["wait=5, wait=9"], 5, "wait=5"),
        (["wait=999999999999"], LONGEST_WAIT, f"wait={LONGEST_WAIT}"),
        (["wait=-1"], 30, None),
        (["wait=abc"], 30, None),
        (["wait=1.5"], 30, None),
        (["wait=²"], 30, None),
        (["wait"], 30, None),
        (['=;,,;="\\'], 30, None),
    ],
)
def test_the_header_is_read_as_rfc_7240_says(headers: list[str], wait: float, applied: str | None):
    wish = preference(headers, 30)

    assert (wish.wait, wish.applied) == (wait, applied)
    assert wish.headers == ({"Preference-Applied": applied} if applied else {})
