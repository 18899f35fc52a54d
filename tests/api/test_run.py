from __future__ import annotations

import pytest

from tests.standin import prints, serving, until_cancelled


def test_a_command_line_is_run_as_it_is():
    with serving(prints("a table")) as (client, engine):
        body = client.post("/v2/run", json={"argv": ["dags", "list", "-o", "plain"]}).json()

    assert (body["command"], body["stdout"], body["result"]) == ("dags list", "a table", None)
    assert engine.jobs[0].argv == ["dags", "list", "--output=plain"]


@pytest.mark.parametrize(
    "body",
    [{}, {"argv": []}, {"argv": "version"}, {"argv": [1]}, {"argv": None}, {"argv": ["version"], "x": 1}],
)
def test_what_is_no_list_of_words_is_refused(body: dict[str, object]):
    with serving() as (client, engine):
        answer = client.post("/v2/run", json=body)

    assert (answer.status_code, answer.json()["detail"]["reason"]) == (400, "bad_request")
    assert engine.jobs == []


@pytest.mark.parametrize("field", ["version", "[", '"version"', "[" * 100_000])
def test_the_field_of_a_form_holds_the_list_as_json(field: str):
    with serving() as (client, engine):
        answer = client.post("/v2/run", files={"argv": (None, field)})

    assert answer.status_code == 400
    assert engine.jobs == []


@pytest.mark.parametrize(
    ("argv", "status", "reason"),
    [
        (["nothing"], 404, "unknown_command"),
        (["dags"], 404, "unknown_command"),
        (["-h"], 400, "bad_argument"),
        (["dags", "list", "--help"], 400, "bad_argument"),
        (["dags", "list", "--nonsense"], 400, "bad_argument"),
        (["version", "\0"], 400, "bad_argument"),
        (["pools", "get"], 400, "bad_argument"),
    ],
)
def test_a_command_line_that_cannot_be_run_is_refused(argv: list[str], status: int, reason: str):
    with serving() as (client, engine):
        answer = client.post("/v2/run", json={"argv": argv})

    assert (answer.status_code, answer.json()["detail"]["reason"]) == (status, reason)
    assert engine.jobs == []


def test_the_client_says_how_long_to_wait():
    with serving(until_cancelled) as (client, _):
        answer = client.post("/v2/run", json={"argv": ["version"]}, headers={"Prefer": "respond-async"})

    assert answer.status_code == 202
