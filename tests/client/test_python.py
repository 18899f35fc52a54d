"""`Client` and `AsyncClient` against a real Airflow."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_rest_client import (
    ApiError,
    AsyncClient,
    Client,
    CommandFailed,
    DeploymentFailed,
    Line,
    NotAllowed,
)
from tests.client.conftest import expected, slow
from tests.stacks import Stack

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def client(examples: Stack) -> Iterator[Client]:
    with Client(examples.url, username="admin", password=examples.passwords["admin"]) as client:
        yield client


def test_three_lines_are_enough(client: Client):
    assert "example_template" in [dag["dag_id"] for dag in client.run("dags", "list", output="json").result]
    run = client.dags.trigger("example_template", conf={"day": 1}).result[0]
    assert run["state"] == "queued"


def test_what_fails_raises_with_all_that_is_known(client: Client):
    with pytest.raises(CommandFailed, match="client_nothing does not exist") as failed:
        client.variables.get("client_nothing")
    assert (failed.value.exit_code, failed.value.stdout) == (1, "")
    assert "client_nothing" in failed.value.stderr

    with pytest.raises(ApiError) as refused:
        client.run("dags", "list", "-o", "nothing")
    assert (refused.value.reason, refused.value.argument) == ("bad_argument", "output")
    with pytest.raises(TypeError):
        client.dags.trigger()


def test_who_may_not_is_told_so(examples: Stack):
    with Client(examples.url, examples.token("viewer")) as viewer, pytest.raises(NotAllowed):
        viewer.variables.list()


def test_files_go_in_and_come_out(client: Client, tmp_path: Path):
    (tmp_path / "v.json").write_text('{"client_a": "1"}')
    client.variables.import_(tmp_path / "v.json")
    client.variables.import_(b'{"client_b": "2"}')
    exported = client.variables.export("all.json")

    assert [file.name for file in exported.files] == ["all.json"]
    assert b'"client_a"' in exported.download()
    for key in ("client_a", "client_b"):
        client.variables.delete(key)


def test_an_operation_is_followed_waited_for_and_cancelled(client: Client):
    operation = client.start(*slow(2))
    lines = list(operation.follow())
    assert [line.text for line in lines if line.text.endswith("of 2 seconds")] == expected(2)
    assert {type(line) for line in lines} == {Line}
    assert operation.succeeded

    operation = client.start(*slow(60))
    assert not operation.wait(0.5).ended
    assert operation.cancel().wait(30).state == "cancelled"
    again = client.operations(1, command="tasks test", state="cancelled")
    assert next(again).id == operation.id


def test_a_deployment_that_fails_says_where(client: Client, tmp_path: Path):
    file = tmp_path / "client_broken.py"
    file.write_text("from airflow.sdk import DAG\n1 / 0\n")
    with pytest.raises(DeploymentFailed, match="line 2") as failed:
        client.deploy(file)
    assert failed.value.report["errors"] == [
        {"file": "client_broken.py", "line": 2, "message": "ZeroDivisionError: division by zero"}
    ]
    assert client.check(file).state == "failed"


def test_the_same_is_awaited(examples: Stack, tmp_path: Path):
    async def main() -> None:
        async with AsyncClient(
            examples.url, username="admin", password=examples.passwords["admin"]
        ) as client:
            listed, version = await asyncio.gather(client.dags.list(), client.run("version"))
            assert "example_slow" in [dag["dag_id"] for dag in listed.result]
            assert version.succeeded
            with pytest.raises(CommandFailed):
                await client.variables.get("client_nothing")
            operation = await client.start(*slow(2))
            texts = [line.text async for line in operation.follow()]
            assert [text for text in texts if text.endswith("of 2 seconds")] == expected(2)
            assert [one.id async for one in client.operations(1, command="tasks test")] == [operation.id]
            assert await client.services.kinds()
            file = tmp_path / "client_broken.py"
            file.write_text("1 / 0  # airflow DAG\n")
            with pytest.raises(DeploymentFailed):
                await client.deploy(file)

    asyncio.run(main())
