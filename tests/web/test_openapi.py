from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from airflow_rest_api.api.commands import example
from airflow_rest_api.asgi import PAGES
from airflow_rest_api.commands.catalog import load_catalog
from airflow_rest_api.legacy.endpoints import ENDPOINTS
from airflow_rest_api.web import page
from airflow_rest_api.web.openapi import plain
from tests.standin import prints, serving

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
        assert operation["summary"]
        # A class without a field is none that a generator can make.
        assert ("requestBody" in operation) == bool(command.arguments)
        for content in operation.get("requestBody", {"content": {}})["content"].values():
            models.add(content["schema"]["$ref"])
            schema = document["components"]["schemas"][content["schema"]["$ref"].rpartition("/")[2]]
            assert set(schema["properties"]) == {"queue", *(argument.name for argument in command.arguments)}
    assert len(models) == sum(bool(command.arguments) for command in CATALOG.commands.values())


def test_operations_have_names_of_their_own_and_every_reference_leads_somewhere(document: Any):
    names = [operation["operationId"] for path in document["paths"].values() for operation in path.values()]

    assert len(names) == len(set(names))
    assert all(re.fullmatch(r"[a-z][a-z0-9_]*", name) for name in names)
    components = document["components"]
    there = {
        f"#/components/{kind}/{name}"
        for kind in ("schemas", "responses", "parameters")
        for name in components[kind]
    }
    # What is there is used, and what is used is there.
    assert references(document) == there


def nodes(value: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every object of a document with its place."""
    if isinstance(value, dict):
        yield path, value
        for name, each in value.items():
            yield from nodes(each, f"{path}/{name}")
    elif isinstance(value, list):
        for number, each in enumerate(value):
            yield from nodes(each, f"{path}/{number}")


def is_schema(path: str) -> bool:
    parent, _, last = path.rpartition("/")
    before = parent.rpartition("/")[2]
    return last in ("schema", "items", "additionalProperties") or before in ("schemas", "properties", "anyOf")


def test_schemas_are_those_of_openapi_3_0(document: Any):
    """What openapi-generator reads: no list of types, no null, nothing beside a reference."""
    assert document["openapi"] == "3.0.3"
    for path, node in nodes(document):
        if "/example" in path or "/x-" in path or not is_schema(path) or path.endswith("/properties"):
            continue
        assert isinstance(node.get("type", ""), str), path
        assert node.get("type") != "null", path
        assert not {"const", "examples", "$defs", "prefixItems", "title"} & set(node), path
        assert "$ref" not in node or set(node) == {"$ref"}, path
        if node.get("type") == "array":
            assert isinstance(node["items"], dict), path


def test_a_default_is_one_that_the_server_uses_and_stands_with_parameters_alone(document: Any):
    """A client that sends it has given the argument, and TypeScript takes it for always there."""
    found = [path for path, node in nodes(document) if "default" in node and is_schema(path)]
    assert found
    assert all("/parameters/" in path for path in found), found

    output = document["components"]["schemas"]["DagsListArguments"]["properties"]["output"]
    assert output["x-default"] == "json"
    assert "default: table" not in output["description"]
    schema = document["components"]["schemas"]["VariablesGetArguments"]["properties"]
    assert "default" not in schema["verbose"]


def test_names_of_schemas_are_ours_and_differ_for_programs_that_ignore_case(document: Any):
    names = list(document["components"]["schemas"])
    assert {"OperationState", "ServiceState"} <= set(names)
    assert all(re.fullmatch(r"[A-Z][A-Za-z0-9]*", name) for name in names), names
    assert len({name.lower() for name in names}) == len(names)
    # What languages call so already.
    assert not {"Error", "Object", "List", "File", "String", "Any"} & set(names)


def test_an_argument_whose_text_is_json_takes_an_object_as_well(document: Any):
    schemas = document["components"]["schemas"]
    either = [{"$ref": "#/components/schemas/JsonObject"}, {"type": "string"}]
    for model, name in (
        ("DagsTriggerArguments", "conf"),
        ("DagsTestArguments", "conf"),
        ("BackfillCreateArguments", "dag_run_conf"),
        ("TasksTestArguments", "task_params"),
        ("TasksTestArguments", "env_vars"),
        ("ConnectionsAddArguments", "conn_extra"),
        ("ConnectionsAddArguments", "conn_json"),
    ):
        assert schemas[model]["properties"][name]["anyOf"] == either, (model, name)


def test_what_airflow_decodes_as_json_is_known_to_be_json():
    """That is, what the code of its commands hands to `json.loads` straight from the arguments."""
    from airflow.cli import commands

    sources = "\n".join(path.read_text() for path in Path(commands.__path__[0]).glob("*_command.py"))
    decoded = set(re.findall(r"json\.loads\(args\.(\w+)\)", sources))
    assert decoded
    kinds = {a.name: a.type for command in CATALOG.commands.values() for a in command.arguments}
    assert {kinds[name] for name in decoded} == {"json"}


def test_a_list_is_an_array(document: Any):
    columns = document["components"]["schemas"]["DagsListArguments"]["properties"]["columns"]
    assert (columns["type"], columns["items"]) == ("array", {"type": "string"})


def test_no_two_paths_can_be_the_same_address(document: Any):
    """Two templates that fit one address, with as many variables, are told apart by nobody."""

    def fit(one: str, other: str) -> bool:
        return "{" in one or "{" in other or one == other

    paths = [path.split("/") for path in document["paths"]]
    for number, one in enumerate(paths):
        for other in paths[number + 1 :]:
            variables = [sum("{" in part for part in path) for path in (one, other)]
            same = len(one) == len(other) and all(map(fit, one, other))
            assert not (same and variables[0] == variables[1]), (one, other)


def test_no_documented_path_has_a_variable_with_slashes_in_it():
    with serving() as (client, _):
        routes = client.app.routes  # type: ignore[attr-defined]
    assert [r.path for r in routes if ":path}" in r.path and r.include_in_schema] == []


def test_tags_are_declared_and_grouped_as_on_the_page(document: Any):
    used = {tag for path in document["paths"].values() for each in path.values() for tag in each["tags"]}
    declared = {tag["name"]: tag["description"] for tag in document["tags"]}
    groups = {group["name"]: group["tags"] for group in document["x-tagGroups"]}
    assert used == set(declared)
    assert all(declared.values())
    assert sorted(tag for tags in groups.values() for tag in tags) == sorted(declared)
    assert list(groups) == ["Commands", "Operations", "Runners", "Services", "DAG files", "Old endpoints"]
    assert groups["Commands"][-1] == "other"
    assert declared["dags"] == "Manage DAGs"
    assert document["paths"]["/v2/commands/version"]["post"]["tags"] == ["other"]
    assert document["paths"]["/v2/commands/dags/list"]["post"]["tags"] == ["dags"]
    script = (Path(page.FOLDER) / "main.js").read_text()
    assert re.findall(r'title: "([^"]+)", View', script) == list(groups)


def test_every_route_is_in_the_document_but_the_pages(document: Any):
    with serving() as (client, _):
        routes = client.app.routes  # type: ignore[attr-defined]
    there = {
        re.sub(r":path", "", route.path)
        for route in routes
        if route.path not in PAGES | {"/static/{path:path}", "/endpoints.json"}
    }
    # Commands have a path each.
    assert there - {"/v2/commands/{name}"} <= set(document["paths"])


def test_a_null_is_plain_and_a_reference_stands_alone():
    given = {
        "openapi": "3.1.0",
        "paths": {"/": {"get": {"responses": {"200": {"content": {"a/b": {"schema": {
            "properties": {
                "both": {"anyOf": [{"type": "string"}, {"type": "null"}], "title": "Both", "default": None},
                "other": {"anyOf": [{"$ref": "#/components/schemas/X"}, {"type": "null"}]},
                "words": {"$ref": "#/components/schemas/X", "description": "d"},
                "one": {"const": 1, "examples": [1, 2]},
            }
        }}}}}}}},
        "components": {"schemas": {"X": {"type": "integer", "title": "X"}, "Y": {"type": "integer"}}},
    }  # fmt: skip
    made = plain(given)
    properties = made["paths"]["/"]["get"]["responses"]["200"]["content"]["a/b"]["schema"]["properties"]
    reference = {"allOf": [{"$ref": "#/components/schemas/X"}]}
    assert properties == {
        "both": {"type": "string", "nullable": True},
        "other": {**reference, "nullable": True},
        "words": {**reference, "description": "d"},
        "one": {"enum": [1], "example": 1},
    }
    assert made["components"]["schemas"] == {"X": {"type": "integer"}}


def test_the_address_and_the_credentials_are_stated(document: Any):
    assert document["servers"] == [{"url": "/airflow/admin/rest_api"}]
    assert document["security"] == [{"bearer": []}]
    assert document["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"


def test_every_operation_documents_its_errors_in_our_shape(document: Any):
    for path, item in document["paths"].items():
        for operation in item.values():
            assert {"401", "403", "500"} <= set(operation["responses"])
            # FastAPI's own 422 is our 400; where there is one, it is ours.
            assert "HTTPValidationError" not in json.dumps(operation["responses"])
            for status, response in operation["responses"].items():
                # The old contract has a shape of its own.
                if int(status) >= 400 and path != "/api":
                    shared = response["$ref"].rpartition("/")[2]
                    schema = document["components"]["responses"][shared]["content"]["application/json"]
                    assert schema == {"schema": {"$ref": "#/components/schemas/ErrorBody"}}


def test_a_request_with_a_body_documents_what_can_be_wrong_with_one(document: Any):
    for path, item in document["paths"].items():
        for operation in item.values():
            if "requestBody" in operation:
                assert {"400", "408", "413"} <= set(operation["responses"]), path
                # The old contract takes a body of any type.
                assert path == "/api" or "415" in operation["responses"], path


def test_what_runs_a_command_or_takes_files_documents_a_full_disk(document: Any):
    running = [path for path in document["paths"] if path.startswith("/v2/commands/")]
    others = ["/v2/run", "/v2/operations/{identifier}/run-again", "/v2/dag-files", "/api"]
    for path in (*running, *others):
        assert "507" in document["paths"][path]["post"]["responses"], path


def test_an_old_endpoint_documents_that_something_is_there_already(document: Any):
    """A component that runs, a port that is taken, what lies in the way of a DAG file."""
    assert "409" in document["paths"]["/api"]["get"]["responses"]


def test_whatever_takes_the_name_of_a_queue_documents_that_it_can_be_wrong(document: Any):
    for path in ("/v2/dag-files/bundles", "/v2/dag-files/deployments/{identifier}"):
        with serving() as (client, _):
            answer = client.get(path.format(identifier="none"), headers={"Airflow-Queue": "no queue"})
        assert answer.status_code == 400
        assert "400" in document["paths"][path]["get"]["responses"]


def test_a_command_that_reads_a_file_takes_a_form(document: Any):
    content = document["paths"]["/v2/commands/pools/import"]["post"]["requestBody"]["content"]
    schema = document["components"]["schemas"]["PoolsImportForm"]

    assert content == {"multipart/form-data": {"schema": {"$ref": "#/components/schemas/PoolsImportForm"}}}
    assert schema["properties"]["file"]["format"] == "binary"
    assert "file" in schema["required"]


def test_a_command_that_writes_a_file_answers_with_bytes_as_well(document: Any):
    operation = document["paths"]["/v2/commands/pools/export"]["post"]

    assert "application/octet-stream" in operation["responses"]["200"]["content"]
    assert "required" not in document["components"]["schemas"]["PoolsExportArguments"]


def test_a_file_is_documented_with_each_type_it_can_have(document: Any):
    for path in ("/v2/operations/{identifier}/files/{name}", "/v2/dag-files/file/content"):
        content = document["paths"][path]["get"]["responses"]["200"]["content"]
        assert {"application/octet-stream", "application/json", "text/csv", "image/png"} <= set(content)
        assert {json.dumps(each) for each in content.values()} == {
            '{"schema": {"type": "string", "format": "binary"}}'
        }
    diff = document["paths"]["/v2/dag-files/file/diff"]["get"]["responses"]["200"]["content"]
    assert list(diff) == ["text/x-diff"]


def with_nulls(schema: Any) -> Any:
    """Return schemas of OpenAPI 3.0 as JSON Schema has them."""
    if isinstance(schema, list):
        return [with_nulls(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: with_nulls(value) for key, value in schema.items() if key != "nullable"}
    return {"anyOf": [made, {"type": "null"}]} if schema.get("nullable") is True else made


def test_answers_are_as_documented(document: Any):
    def fits(name: str, body: Any) -> None:
        components = with_nulls(document["components"])
        jsonschema.validate(body, {**components["schemas"][name], "components": components})

    with serving(prints("[1]", "x")) as (client, _):
        fits("CommandList", client.get("/v2/commands").json())
        fits("CommandDetail", client.get("/v2/commands/dags/list").json())
        fits("OperationBody", client.post("/v2/commands/dags/list").json())
        fits("OperationList", client.get("/v2/operations").json())
        for wrong in ("/v2/commands/x", "/v2/operations/x", "/v2/operations?limit=0", "/nothing"):
            fits("ErrorBody", client.get(wrong).json())


def test_the_document_is_another_one_at_another_address():
    with serving(root_path="/one") as (client, _):
        first = client.get("/openapi.json").json()["servers"]
        client._transport.root_path = "/two"  # type: ignore[attr-defined]
        second = client.get("/openapi.json").json()["servers"]

    assert (first, second) == ([{"url": "/one"}], [{"url": "/two"}])


def test_what_a_request_may_have_is_documented_as_it_is_taken(document: Any):
    schemas = document["components"]["schemas"]
    form = document["paths"]["/v2/run"]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]
    with serving() as (client, _):
        at_most, too_many = (
            client.post("/v2/run", json={"argv": ["version", *["-v"] * more]}) for more in (999, 1000)
        )
        by_name = client.post("/v2/commands/dags/pause", json={"dag_id": "d", "queue": "local"})
        fields = {"argv": (None, '["version"]'), "queue": (None, "local")}
        by_line = client.post("/v2/run", files=fields)

    assert schemas["RunBody"]["properties"]["argv"]["maxItems"] == 1000
    assert "too many words" not in at_most.text
    assert (too_many.status_code, too_many.json()["detail"]["argument"]) == (400, "argv")
    assert (by_name.status_code, by_line.status_code) == (200, 200), by_line.text
    assert schemas["DagsPauseArguments"]["properties"]["queue"]["type"] == "string"
    assert form["properties"]["queue"]["type"] == "string"


def test_what_is_tried_out_first_is_a_request_that_is_understood(document: Any):
    """The example of a body has what cannot be left out, and nothing else."""
    for command in CATALOG.commands.values():
        CATALOG.bind(command, {**example(command), **{a.name: "f" for a in command.arguments if a.file}})
        name = f"{''.join(p.capitalize() for w in command.path for p in w.split('-'))}Arguments"
        if name in document["components"]["schemas"]:
            schema = document["components"]["schemas"][name]
            assert set(schema["example"]) == set(schema.get("required", ())), name
    for path, item in document["paths"].items():
        for operation in item.values():
            content = operation.get("requestBody", {"content": {}})["content"].get("application/json")
            if content is not None and path != "/api":
                schema = content["schema"]
                if "$ref" in schema:
                    schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
                assert set(schema["example"]) == set(schema.get("required", ())), path


def test_the_endpoints_of_the_1x_plugin_are_in_the_document(document: Any):
    schemas, path = document["components"]["schemas"], document["paths"]["/api"]
    assert schemas["LegacyForm"]["properties"]["api"]["enum"] == [endpoint.name for endpoint in ENDPOINTS]
    for endpoint in ENDPOINTS:
        assert f"| `{endpoint.name}` |" in path["post"]["description"]
        for argument in endpoint.arguments:
            assert argument.name in schemas["LegacyForm"]["properties"]
    told = {status: answer["description"] for status, answer in path["post"]["responses"].items()}
    assert [status for status, text in told.items() if "command has failed" in text] == ["500"]
    # A secret is nothing for a query.
    assert {parameter["name"] for parameter in path["get"]["parameters"]} == {"api", "arguments"}


def test_a_1x_endpoint_is_called_as_the_document_says(document: Any):
    with serving() as (client, _):
        for answer in (
            client.post("/api", json={"api": "version"}),
            client.post("/api", files={"api": (None, "version")}),
            client.get("/api", params={"api": "version"}),
        ):
            assert answer.status_code == 200, answer.text
            components = with_nulls(document["components"])
            schema = {**components["schemas"]["LegacyEnvelope"], "components": components}
            jsonschema.validate(answer.json(), schema)
