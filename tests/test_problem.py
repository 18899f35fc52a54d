from __future__ import annotations

from airflow_rest_api.problem import LONGEST, Problem


def test_an_error_does_not_repeat_megabytes_of_what_it_is_about() -> None:
    problem = Problem(400, "bad_argument", "invalid: " + "a" * 10**6, argument="b" * 10**6, nearest=["c"])

    assert len(problem.response().body) < 3 * LONGEST
    assert problem.detail["message"].startswith("invalid: aaa")
    assert problem.detail["message"].endswith("(1000009 characters)")
    assert problem.detail["nearest"] == ["c"]
    assert Problem(400, "x", "a" * LONGEST).detail["message"] == "a" * LONGEST
