from __future__ import annotations

import re

from airflow_rest_api.legacy.endpoints import BY_NAME, ENDPOINTS
from airflow_rest_api.legacy.model import OWN
from tests.legacy.recording import exchanges
from tests.standin import serving


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


ROOT = "/airflow/admin/rest_api"


def test_all_endpoints_are_described_with_their_arguments():
    with serving(user="viewer", root_path=ROOT) as (client, _):
        told = {one["name"]: one for one in client.get("/endpoints.json").json()["endpoints"]}

    assert list(told) == list(BY_NAME)
    assert len(told) == 26
    for name, endpoint in BY_NAME.items():
        assert [one["name"] for one in told[name]["arguments"]] == [one.name for one in endpoint.arguments]
        assert [one["name"] for one in told[name]["arguments"] if one["required"]] == list(endpoint.required)


def test_the_example_is_an_address_without_secrets():
    with serving(user="viewer", root_path=ROOT) as (client, _):
        told = {one["name"]: one["example"] for one in client.get("/endpoints.json").json()["endpoints"]}

    assert told["version"] == f"{ROOT}/api?api=version"
    assert told["pause"] == f"{ROOT}/api?api=pause&dag_id={{DAG_ID}}&subdir={{SUBDIR: optional}}"
    assert "&json&" in told["variables"]
    assert not re.search("conn_uri|conn_password", told["connections"])
    assert "dag_file" not in told["deploy_dag"]


def test_each_endpoint_says_since_when_it_is_there():
    assert {name for name, endpoint in BY_NAME.items() if endpoint.since == OWN} == {
        "rest_api_plugin_version",
        "deploy_dag",
        "refresh_dag",
        "refresh_all_dags",
    }
