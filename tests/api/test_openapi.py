from __future__ import annotations

import json
import re
import shlex
from typing import Any

import jsonschema
import pytest

from airflow_rest_api.api.reference import example
from airflow_rest_api.commands.catalog import load_catalog
from tests.standin import bearer, prints, serving

CATALOG = load_catalog()


@pytest.fixture(scope="module")
def document() -> Any:
    with serving(root_path="/airflow/admin/rest_api") as (client, _):
        return client.get("/openapi.json").json()


def references(value: Any) -> set[str]:
    if isinstance(value, dict):
        own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
        return own.union(*(references(each) for each in value.values()))
    return set().union(*(references(each) for each in value)) if isinstance(value, list) else set()


def test_each_command_has_a_path_with_a_request_model_of_its_own(document: Any):
    models = set()
    for command in CATALOG.commands.values():
        operation = document["paths"][f"/v2/commands/{'/'.join(command.path)}"]["post"]
        [schema, *_] = [each["schema"] for each in operation["requestBody"]["content"].values()]
        if "$ref" in schema:
            models.add(schema["$ref"])
            schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        assert set(schema["properties"]) == {argument.name for argument in command.arguments}
        assert operation["summary"]
    assert len(models) == sum(
        not any(a.file == "in" and a.required for a in command.arguments)
        for command in CATALOG.commands.values()
    )


def test_operations_have_names_of_their_own_and_every_reference_leads_somewhere(document: Any):
    names = [operation["operationId"] for path in document["paths"].values() for operation in path.values()]

    assert len(names) == len(set(names))
    assert all(re.fullmatch(r"[a-z][a-z0-9_]*", name) for name in names)
    assert {ref.rpartition("/")[2] for ref in references(document)} <= set(document["components"]["schemas"])


def test_every_schema_is_one(document: Any):
    for schema in document["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)


def test_the_address_and_the_credentials_are_stated(document: Any):
    assert document["servers"] == [{"url": "/airflow/admin/rest_api"}]
    assert document["security"] == [{"bearer": []}]
    assert document["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"


def test_every_operation_documents_its_errors_in_our_shape(document: Any):
    for path in document["paths"].values():
        for operation in path.values():
            assert {"401", "403", "500"} <= set(operation["responses"])
            # FastAPI's own 422 is our 400; where there is one, it is ours.
            assert "HTTPValidationError" not in json.dumps(operation["responses"])
            for status, response in operation["responses"].items():
                if int(status) >= 400:
                    schema = response["content"]["application/json"]["schema"]
                    assert schema == {"$ref": "#/components/schemas/Error"}


def test_a_command_that_reads_a_file_takes_a_form(document: Any):
    content = document["paths"]["/v2/commands/pools/import"]["post"]["requestBody"]["content"]

    assert list(content) == ["multipart/form-data"]
    assert content["multipart/form-data"]["schema"]["properties"]["file"]["format"] == "binary"
    assert "file" in content["multipart/form-data"]["schema"]["required"]


def test_a_command_that_writes_a_file_answers_with_bytes_as_well(document: Any):
    operation = document["paths"]["/v2/commands/pools/export"]["post"]

    assert "application/octet-stream" in operation["responses"]["200"]["content"]
    assert "required" not in document["components"]["schemas"]["PoolsExportArguments"]


def test_answers_are_as_documented(document: Any):
    def fits(name: str, body: Any) -> None:
        jsonschema.validate(
            body, {**document["components"]["schemas"][name], "components": document["components"]}
        )

    with serving(prints("[1]", "x")) as (client, _):
        fits("CommandList", client.get("/v2/commands").json())
        fits("CommandDetail", client.get("/v2/commands/dags/list").json())
        fits("OperationBody", client.post("/v2/commands/dags/list").json())
        fits("OperationList", client.get("/v2/operations").json())
        for wrong in ("/v2/commands/x", "/v2/operations/x", "/v2/operations?limit=0", "/nothing"):
            fits("Error", client.get(wrong).json())


def test_the_document_is_another_one_at_another_address():
    with serving(root_path="/one") as (client, _):
        first = client.get("/openapi.json").json()["servers"]
        client._transport.root_path = "/two"  # type: ignore[attr-defined]
        second = client.get("/openapi.json").json()["servers"]

    assert (first, second) == ([{"url": "/one"}], [{"url": "/two"}])


def test_the_page_has_an_entry_for_each_command_with_its_arguments_and_a_line_to_try():
    with serving(user="viewer", root_path="/airflow/admin/rest_api") as (client, _):
        text = client.get("/docs").text

    for command in CATALOG.commands.values():
        section = text.partition(f'<section id="{"-".join(command.path)}">')[2].partition("</section>")[0]
        assert f"<code>POST /airflow/admin/rest_api/v2/commands/{'/'.join(command.path)}</code>" in section
        assert "http://testserver/airflow/admin/rest_api/v2/commands/" in section
        for argument in command.arguments:
            assert f"<code>{argument.name}</code>" in section


def test_the_page_loads_nothing_and_runs_nothing():
    with serving(user="viewer") as (client, _):
        answer = client.get("/docs")

    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    assert not re.search(r"<script|<link|<img|<iframe|\son\w+=|src=", answer.text)


def test_the_style_is_the_one_that_the_policy_allows():
    import base64
    import hashlib

    with serving(user="viewer") as (client, _):
        answer = client.get("/docs")
    style = answer.text.partition("<style>")[2].partition("</style>")[0]
    assert not re.search(r"@import|url\(", style)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()

    assert f"'sha256-{digest}'" in answer.headers["Content-Security-Policy"]


def test_a_host_header_cannot_write_into_the_page():
    with serving(user="viewer") as (client, _):
        text = client.get("/docs", headers={"Host": "x<script>alert(1)</script>"}).text

    assert "<script>" not in text


@pytest.mark.slow
def test_the_lines_to_try_are_requests_that_are_understood():
    with serving(enabled_commands="*[a-z]*") as (client, _):
        for command in CATALOG.commands.values():
            words = shlex.split(example(command, "http://testserver"))
            assert words[-1] == f"http://testserver/v2/commands/{'/'.join(command.path)}"
            if "-d" not in words:
                continue
            answer = client.post(
                words[-1], json=json.loads(words[words.index("-d") + 1]), headers=bearer("admin")
            )
            assert answer.status_code == 200, (command.name, answer.text)
