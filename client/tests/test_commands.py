from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest

from airflow_rest_client.arguments import of
from airflow_rest_client.catalog import Catalog
from airflow_rest_client.commands import AwaitedGroup, find, python_name, uploads


@pytest.fixture
def called(catalog: Catalog) -> list[Any]:
    return []


def attribute(catalog: Catalog, path: str, called: list[Any]) -> Any:
    def run(command: Any, arguments: Any) -> Any:
        called.append((command.name, arguments))

    found: Any = None
    for name in path.split("."):
        found = getattr(found, name) if found is not None else find(catalog, "", name, run)
    return found


def test_a_command_is_a_function_with_a_signature(catalog: Catalog, called: list[Any]):
    trigger = attribute(catalog, "dags.trigger", called)

    parameters = inspect.signature(trigger).parameters
    assert next(iter(parameters)) == "dag_id"
    assert parameters["conf"].kind is inspect.Parameter.KEYWORD_ONLY
    assert ":param run_id: Helps to identify this run" in (inspect.getdoc(trigger) or "")
    trigger("d", conf={"a": 1}, run_id=None)
    assert called == [("dags trigger", {"dag_id": "d", "conf": {"a": 1}})]


def test_what_does_not_fit_is_a_type_error_as_of_any_function(catalog: Catalog, called: list[Any]):
    trigger = attribute(catalog, "dags.trigger", called)
    for args, kwargs in (((), {}), (("a", "b"), {}), (("a",), {"nothing": 1})):
        with pytest.raises(TypeError):
            trigger(*args, **kwargs)
    assert called == []


def test_words_are_as_many_as_the_command_line_has_them(catalog: Catalog):
    for words in (["a"], ["a", "b"]):
        assert of(catalog, ["roles", "create", *words], {"verbose": True})[0].json == {
            "role": words,
            "verbose": True,
        }
        assert of(catalog, ["roles", "create", *words], {})[0].json == {"role": words}


def test_names_that_python_keeps_for_itself_have_an_underscore(catalog: Catalog, called: list[Any]):
    assert [python_name(name) for name in ("list-runs", "import", "fab-db")] == [
        "list_runs",
        "import_",
        "fab_db",
    ]
    assert attribute(catalog, "variables.import_", called).__name__ == "import_"


def test_a_group_knows_its_commands_and_no_others(catalog: Catalog, called: list[Any]):
    group = attribute(catalog, "dags", called)
    assert {"list", "trigger", "delete"} <= set(dir(group))
    with pytest.raises(AttributeError, match="no command dags nothing"):
        _ = group.nothing


def test_files_are_paths_bytes_or_open_files(catalog: Catalog, tmp_path: Path):
    command = catalog.get("variables import")
    assert command is not None
    path = tmp_path / "v.json"
    path.write_text("{}")
    with path.open() as opened:
        for value, name in ((path, str(path)), (b"{}", "file.json"), (opened, "v.json")):
            values, files = uploads(command, {"file": value})
            assert values == {}
            assert (files["file"].name, files["file"].content) == (name, b"{}")


def test_a_command_of_a_client_that_is_awaited_is_found_when_it_is_called(catalog: Catalog):
    import asyncio

    async def main() -> list[Any]:
        called = []

        async def known() -> Catalog:
            return catalog

        async def run(command: Any, arguments: Any) -> None:
            called.append((command.name, arguments))

        await AwaitedGroup(known, "dags", run).trigger("d")
        with pytest.raises(AttributeError):
            await AwaitedGroup(known, "dags", run).nothing()
        with pytest.raises(TypeError, match="group of commands"):
            await AwaitedGroup(known, "dags", run)()
        return called

    assert asyncio.run(main()) == [("dags trigger", {"dag_id": "d"})]
