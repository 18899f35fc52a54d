from __future__ import annotations

import json
from io import BytesIO

import pytest

from airflow_rest_api.commands.catalog import load_catalog
from airflow_rest_api.commands.model import Command, Effect, Invocation
from airflow_rest_api.operations.files import Upload
from airflow_rest_api.operations.work_orders import (
    AIRFLOW,
    LENGTH,
    EntryPoint,
    NotTaken,
    Reading,
    WorkOrder,
    from_bytes,
    to_bytes,
)
from tests.permits import permit

CATALOG = load_catalog()
ENDED = {"owner": "u", "address": "::1", "objects": {"dag_id": None, "task_id": None, "run_id": None}}


def invoked(command: str, **values: object) -> Invocation:
    return CATALOG.bind(CATALOG.get(command), values, json_output=True)


def sent(order: WorkOrder) -> WorkOrder:
    return from_bytes(to_bytes(order), order.airflow_version)


@pytest.mark.parametrize("name", sorted(CATALOG.commands))
def test_every_command_is_the_same_where_it_is_sent(name: str):
    command = CATALOG.get(name)
    invocation = Invocation(
        command, [*command.path, "x"], {"a": [1, None]}, frozenset("a"), [*command.path, "***"], ("s",)
    )
    found = sent(WorkOrder(invocation, AIRFLOW, "u", airflow_version="3"))

    bare = {argument.name: argument.default for argument in found.invocation.command.arguments}
    assert set(bare.values()) <= {None}
    assert [one.name for one in found.invocation.command.arguments] == [one.name for one in command.arguments]
    for part in ("path", "effect", "known", "reveals_secrets", "raised_by", "revealed_by", "resident"):
        assert getattr(found.invocation.command, part) == getattr(command, part)
    for part in ("argv", "values", "given", "masked", "secrets", "effect", "may_share", "reveals_secrets"):
        assert getattr(found.invocation, part) == getattr(invocation, part)


@pytest.mark.parametrize(
    ("command", "values"),
    [
        ("variables set", {"key": "k", "value": "secret value"}),
        ("connections add", {"conn_id": "c", "conn_type": "http", "conn_password": "hunter22"}),
        ("tasks test", {"dag_id": "d", "task_id": "t", "logical_date_or_run_id": "2024-01-01"}),
        ("dags list", {}),
    ],
)
def test_it_becomes_the_same_job(command: str, values: dict[str, object]):
    allowed = permit(visible={"dag_id": ("a",)}, redacted=True)
    order = WorkOrder.of(allowed, invoked(command, **values), AIRFLOW, {})

    here, there = order.job(order.invocation.argv, 60), sent(order).job(order.invocation.argv, 60)
    # A tuple is a list behind JSON, and the child gets JSON in both cases.
    assert json.dumps(vars(there), default=str) == json.dumps(vars(here), default=str)


def test_files_go_along():
    uploads = {"file": Upload("v.json", BytesIO(bytes(range(256))))}
    order = WorkOrder(invoked("variables import", file="v.json"), AIRFLOW, "u", uploads=uploads)
    order.uploads["file"].content.read()

    [found] = sent(order).uploads.values()
    assert (found.filename, found.content.read()) == ("v.json", bytes(range(256)))


@pytest.mark.parametrize(
    ("reading", "stdout", "result"),
    [
        (None, "[]", []),
        (Reading(), "[1]", None),
        (Reading(documents=True), '{"a": 1}', {"a": 1}),
        (Reading(documents=True), "[1]\n[2]", [[1], [2]]),
        (Reading(invoked("config get-value", section="core", option="x")), "text\n", "text"),
    ],
)
def test_a_result_is_read_there_as_here(reading: Reading | None, stdout: str, result: object):
    order = WorkOrder(invoked("dags list"), EntryPoint("m:f", ["a"], reading), "u", ended=ENDED)
    found = sent(order)

    assert (found.entry.function, list(found.entry.commands), found.ended) == ("m:f", ["a"], ENDED)
    for one in (order, found):
        read = one.reader()
        assert read is not None
        assert read(stdout, True) == result


def test_an_endpoint_that_is_no_command_goes_as_a_whole():
    endpoint = Command(("list_dags",), "", None, (), Effect.EXECUTE, reveals_secrets=True)
    order = WorkOrder(Invocation(endpoint, ["x"], {}, frozenset(), ["x"]), AIRFLOW, "u")

    assert sent(order).invocation.command == endpoint


def test_another_version_is_refused_with_both():
    order = WorkOrder(invoked("version"), AIRFLOW, "u", airflow_version="3.3.2")

    with pytest.raises(NotTaken, match=r"3\.2\.2.*3\.3\.2"):
        from_bytes(to_bytes(order), "3.2.2")
    later = json.dumps(json.loads(to_bytes(order)[LENGTH:]) | {"form": 99}).encode()
    for other in (len(later).to_bytes(LENGTH, "big") + later, b'{"form": 1}'):
        with pytest.raises(NotTaken, match="another version of the REST API plugin"):
            from_bytes(other, "3.3.2")
