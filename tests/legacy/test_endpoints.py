from __future__ import annotations

from airflow_rest_api.legacy.endpoints import BY_NAME, ENDPOINTS
from tests.legacy.recording import exchanges


def test_there_are_the_26_endpoints_of_the_plugin() -> None:
    assert len(ENDPOINTS) == len(BY_NAME) == 26


def test_no_argument_is_listed_twice() -> None:
    for endpoint in ENDPOINTS:
        names = [argument.name for argument in endpoint.arguments]
        assert len(names) == len(set(names)), endpoint.name


def test_positions_count_from_one() -> None:
    for endpoint in ENDPOINTS:
        places = [argument.position for argument in endpoint.arguments if argument.position]
        assert places == list(range(1, len(places) + 1)), endpoint.name


def test_what_the_recording_says_is_required_is_required() -> None:
    asked = 0
    for exchange in exchanges(""):
        prefix = "The argument(s) "
        if str(exchange.get("output", "")).startswith(prefix):
            endpoint = BY_NAME[dict(exchange["query"])["api"]]
            missing = exchange["output"].removeprefix(prefix).removesuffix(" are required")
            given = {name for name, _ in exchange["query"]}
            assert missing == str([name for name in endpoint.required if name not in given])
            asked += 1
    assert asked >= 4
