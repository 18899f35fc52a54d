"""Clients as others make them of the OpenAPI document, and what they do with it."""

from __future__ import annotations

import importlib
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.servers import require_generators, require_program, require_typescript
from tests.standin import StandInEngine, prints, serving

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

SMALLEST = {
    "openapi": "3.0.3",
    "info": {"title": "x", "version": "1"},
    "paths": {
        "/x": {
            "get": {
                "operationId": "x",
                "responses": {
                    "200": {
                        "description": "y",
                        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/A"}}},
                    }
                },
            }
        }
    },
    "components": {"schemas": {"A": {"type": "object", "properties": {"a": {"type": "string"}}}}},
}
"""What openapi-generator says of this is about itself."""

NO_NAME = "Failed to get the schema name: null"
"""What it says of the smallest document, too, and more or less often each time."""

LIST_OF_FILES = "Could not compute datatypeWithEnum"
"""What it says of every list of files, which `deploy` and `check` take: that they are no enumeration."""


@pytest.fixture(scope="module")
def tools() -> Path:
    return require_generators()


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("document") / "openapi.json"
    with serving(root_path="") as (client, _):
        path.write_bytes(client.get("/openapi.json").content)
    return path


@pytest.fixture(scope="module")
def package(tools: Path, document: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the name of a package that openapi-python-client made; it warned of nothing."""
    name = "generated_airflow_client"
    folder = tmp_path_factory.mktemp("client")
    done = subprocess.run(
        [
            str(tools / "openapi-python-client"),
            "generate",
            f"--path={document}",
            f"--output-path={folder / name}",
            "--meta=none",
            "--fail-on-warning",
        ],
        env={**os.environ, "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "WARN" not in done.stdout.upper(), done.stdout
    sys.path.insert(0, str(folder))
    yield name
    sys.path.remove(str(folder))


class Generated:
    """The generated client, with our app behind it."""

    def __init__(self, package: str, client: TestClient, engine: StandInEngine) -> None:
        self.package, self.engine = package, engine
        root = importlib.import_module(package)
        self.client = root.AuthenticatedClient(base_url="http://testserver", token="unused")
        # With the token of the test's user; the generated client adds its own headers to none.
        self.client.set_httpx_client(client)

    def call(self, name: str, *args: Any, **values: Any) -> Any:
        """Call an operation by `tag.operation`; return the parsed answer."""
        module = importlib.import_module(f"{self.package}.api.{name}")
        answer = module.sync_detailed(*args, client=self.client, **values)
        assert answer.status_code in (200, 202), answer
        assert answer.parsed is not None, answer
        return answer.parsed

    def make(self, name: str, **values: Any) -> Any:
        """Make one of the models."""
        return getattr(importlib.import_module(f"{self.package}.models"), name)(**values)

    def file(self, content: bytes, name: str) -> Any:
        """Make a file to be sent."""
        types = importlib.import_module(f"{self.package}.types")
        return types.File(payload=io.BytesIO(content), file_name=name)


@pytest.fixture(scope="module")
def generated(package: str) -> Iterator[Generated]:
    with serving(prints('[{"dag_id": "a"}]')) as (client, engine):
        yield Generated(package, client, engine)


def argv(generated: Generated) -> list[str]:
    """Return what was run last."""
    return generated.engine.jobs[-1].argv


def test_the_commands_are_listed_and_described(generated: Generated):
    listed = generated.call("commands.list_commands")
    assert len(listed.commands) == listed.total_entries
    detail = generated.call("dags.get_dags_list")
    assert (detail.name, detail.allowed) == ("dags list", True)


def test_a_command_has_its_result(generated: Generated):
    """A client that sent the default of Airflow's parser would get a table, and no result."""
    done = generated.call("dags.run_dags_list", body=generated.make("DagsListArguments"))
    assert done.result == [{"dag_id": "a"}]
    assert str(done.state) == "succeeded"
    assert argv(generated) == ["dags", "list", "--output=json"]


def test_an_argument_that_is_json_is_an_object_or_text(generated: Generated):
    conf = generated.make("JsonObject")
    conf["day"] = 1
    for value in (conf, '{"day": 1}'):
        body = generated.make("DagsTriggerArguments", dag_id="a", conf=value)
        generated.call("dags.run_dags_trigger", body=body)
        [given] = [word for word in argv(generated) if word.startswith("--conf=")]
        assert json.loads(given.partition("=")[2]) == {"day": 1}


def test_a_list_is_a_list(generated: Generated):
    body = generated.make("DagsListArguments", columns=["dag_id", "owners"])
    generated.call("dags.run_dags_list", body=body)
    assert "--columns=dag_id,owners" in argv(generated)


def test_a_command_line_is_run(generated: Generated):
    done = generated.call("commands.run", body=generated.make("RunBody", argv=["version"]))
    assert (done.command, argv(generated)) == ("version", ["version"])


def test_a_file_is_sent(generated: Generated):
    body = generated.make("PoolsImportForm", file=generated.file(b"{}", "pools.json"))
    done = generated.call("pools.run_pools_import", body=body)
    assert done.command == "pools import"


def test_operations_are_listed_and_seen(generated: Generated):
    listed = generated.call("operations.list_operations", limit=5)
    [*states] = {str(one.state) for one in listed.operations}
    assert states == ["succeeded"]
    seen = generated.call("operations.get_operation", listed.operations[0].id)
    assert seen.id == listed.operations[0].id
    assert generated.call("operations.get_output", seen.id) == '[{"dag_id": "a"}]'


def test_kinds_of_components_are_listed(generated: Generated):
    found = {kind.kind for kind in generated.call("services.list_service_kinds").kinds}
    assert {"scheduler", "triggerer"} <= found


def test_an_endpoint_of_the_1x_plugin_is_called(generated: Generated):
    body = generated.make("LegacyCall", api="version")
    body.api = importlib.import_module(f"{generated.package}.models").LegacyCallApi("version")
    envelope = generated.call("old_endpoints.call_endpoint", body=body)
    assert (str(envelope.status), envelope.http_response_code) == ("OK", 200)


def test_an_error_has_its_reason(generated: Generated):
    module = importlib.import_module(f"{generated.package}.api.operations.get_operation")
    answer = module.sync_detailed("0" * 32, client=generated.client)
    assert (answer.status_code, answer.parsed.detail.reason) == (404, "unknown_operation")


USES = """
import type { components, paths } from "./airflow";
type Run = paths["/v2/commands/dags/list"]["post"];
const body: components["schemas"]["DagsListArguments"] = { columns: ["dag_id"] };
const state: components["schemas"]["OperationBody"]["state"] = "succeeded";
export { body, state, type Run };
"""
"""A program that has the types of a command and of its answer."""


def test_openapi_typescript_makes_types_that_a_program_can_use(document: Path, tmp_path: Path):
    programs = require_typescript()
    (tmp_path / "uses.ts").write_text(USES)
    for words in (
        [programs / "openapi-typescript", document, "-o", tmp_path / "airflow.d.ts"],
        [programs / "tsc", "--noEmit", "--strict", tmp_path / "uses.ts"],
    ):
        done = subprocess.run([*map(str, words)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "warn" not in (done.stdout + done.stderr).lower()


@pytest.mark.parametrize("language", ["python", "java", "typescript-fetch"])
def test_openapi_generator_takes_the_document_without_a_warning(
    tools: Path, document: Path, tmp_path: Path, language: str
):
    require_program("java", "default-jre-headless")
    smallest = tmp_path / "smallest.json"
    smallest.write_text(json.dumps(SMALLEST))
    said = set(warnings(tools, document, language, tmp_path / "client"))
    assert {line for line in said if LIST_OF_FILES not in line and NO_NAME not in line} == set()


def test_what_openapi_generator_says_of_the_smallest_document_is_about_itself(tools: Path, tmp_path: Path):
    require_program("java", "default-jre-headless")
    smallest = tmp_path / "smallest.json"
    smallest.write_text(json.dumps(SMALLEST))
    [*said] = set(warnings(tools, smallest, "python", tmp_path / "smallest"))
    assert all(NO_NAME in line for line in said), said


def warnings(tools: Path, document: Path, language: str, target: Path) -> list[str]:
    """Return what openapi-generator warns of when it makes a client."""
    done = subprocess.run(
        [
            str(tools / "openapi-generator-cli"),
            "generate",
            f"--generator-name={language}",
            f"--input-spec={document}",
            f"--output={target}",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return re.findall(r"^\[\w+\] (?:WARN|ERROR) .*$", done.stdout + done.stderr, re.MULTILINE)
