from __future__ import annotations

import re

from airflow_rest_api.legacy.endpoints import BY_NAME
from airflow_rest_api.legacy.model import OWN
from tests.standin import serving

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
