"""Bodies that are bounded before anything is made of them, and read in a thread where they are long."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest

from airflow_rest_api import json_text
from airflow_rest_api.api import body
from airflow_rest_api.api.body import LONGEST_JSON, MOST_FIELDS
from airflow_rest_api.api.models import RunBody
from airflow_rest_api.errors import BadRequest
from airflow_rest_api.json_text import MOST_VALUES
from tests.standin import serving

JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize("path", ["/v2/run", "/v2/commands/dags/list", "/v2/services"])
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'{"a": [' + b"[]," * MOST_VALUES + b"1]}", "more than 100000 values"),
        (b'{"a": ' + b"[" * 200 + b"]" * 200 + b"}", "100 levels"),
        (
            b"{" + b",".join(b'"%d":1' % number for number in range(MOST_FIELDS + 1)) + b"}",
            "more than 1000 members",
        ),
    ],
)
def test_json_with_more_in_it_than_is_taken_is_a_bad_request(path: str, content: bytes, words: str) -> None:
    with serving() as (client, engine):
        answer = client.post(path, content=content, headers=JSON)

    assert (answer.status_code, answer.json()["detail"]["reason"]) == (400, "bad_json")
    assert words in answer.json()["detail"]["message"]
    assert engine.jobs == []


def test_a_json_body_has_a_bound_of_its_own_below_that_of_an_upload() -> None:
    with serving(max_upload=10 * LONGEST_JSON) as (client, _):
        answer = client.post("/v2/run", content=b" " * (LONGEST_JSON + 1), headers=JSON)
        chunked = client.post("/v2/run", content=iter([b" " * LONGEST_JSON, b"  "]), headers=JSON)

    for one in (answer, chunked):
        assert (one.status_code, one.json()["detail"]["reason"]) == (413, "too_large")


def test_a_long_body_is_read_in_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    names: list[str] = []

    def loads(content: bytes) -> Any:
        names.append(threading.current_thread().name)
        return json.loads(content)

    monkeypatch.setattr(json_text, "loads", loads)
    with serving() as (client, _):
        for size in (10, 100_000):
            client.post("/v2/run", json={"argv": ["variables", "set", "a", "b" * size]})

    assert not names[0].startswith("rest-api-body")
    assert any(name.startswith("rest-api-body") for name in names)


def test_a_list_of_wrong_words_is_refused_for_the_first_one() -> None:
    with pytest.raises(BadRequest) as refused:
        body.validated(RunBody, {"argv": [1] * 10_000}, strict=True)
    assert refused.value.detail["message"].startswith("argv.0: ")
    with serving() as (client, _):
        answer = client.post("/v2/run", json={"argv": [1] * 10_000})
    assert answer.status_code == 400
    assert len(answer.content) < 500


def test_an_error_about_a_long_value_is_short() -> None:
    with serving() as (client, _):
        choice = client.post("/v2/commands/dags/list", json={"output": "x" * 1_000_000})
        name = client.post("/v2/commands/dags/list", json={"x" * 1_000_000: 1})
        kind = client.post("/v2/run", content=b"x", headers={"Content-Type": "x" * 20_000})

    for answer, status in ((choice, 400), (name, 400), (kind, 415)):
        assert answer.status_code == status
        assert len(answer.content) < 6000
