from __future__ import annotations

import re

import pytest

from airflow_rest_api.commands import needs
from airflow_rest_api.commands.needs import POWERS, Ask, Need, Resource, phrase
from airflow_rest_api.commands.policy import RULES

RAW = re.compile(
    r"\b(GET|POST|PUT|DELETE)\b|\b(?!DAG|REST|API\b)[A-Z]{3,}\b|[A-Z]+_[A-Z]+|None|Resource|Ask\("
)
"""What only a reader of Airflow's or our code understands."""

PARTS = {
    "AUDIT_LOG": "audit log",
    "CODE": "code",
    "DEPENDENCIES": "dependencies",
    "HITL_DETAIL": "required actions",
    "RUN": "runs",
    "TASK": "tasks",
    "TASK_INSTANCE": "task instances",
    "TASK_LOGS": "task logs",
    "TASK_RESCHEDULE": "task reschedules",
    "VERSION": "versions",
    "WARNING": "warnings",
    "XCOM": "XComs",
}
VIEWS = {
    "CLUSTER_ACTIVITY": "cluster activity",
    "DOCS": "documentation",
    "IMPORT_ERRORS": "import errors",
    "JOBS": "jobs",
    "PLUGINS": "plugins",
    "PROVIDERS": "providers",
    "TRIGGERS": "triggers",
    "WEBSITE": "website",
}

EVERY_NEED = sorted({need for rule in RULES.values() for need in rule.needs}, key=repr)


@pytest.mark.parametrize("need", EVERY_NEED, ids=repr)
def test_every_need_is_told_in_words(need: Need):
    asks = [Ask(need.resource, need.method, need.entity, names) for names in (None, (), ("a",), ("a", "b"))]
    for words in (phrase(need), *map(str, asks)):
        assert not RAW.search(words), words
        assert "permission to " in words


def test_every_part_of_a_dag_and_every_view_of_airflow_has_a_name():
    from airflow.api_fastapi.auth.managers.models.resource_details import AccessView, DagAccessEntity

    for part in DagAccessEntity:
        told = str(Ask(Resource.DAG, "GET", part.name, None))
        assert told == f"permission to read the {PARTS[part.name]} of every DAG"
    for view in AccessView:
        told = str(Ask(Resource.VIEW, "GET", view.name, None))
        assert told == f"permission to read the {VIEWS[view.name]}"


def test_what_has_no_name_yet_is_told_without_its_spelling():
    assert str(Ask(Resource.VIEW, "GET", "NEW_THING", None)) == "permission to read the new thing"
    assert (
        str(Ask(Resource.DAG, "GET", "NEW_PART", ("a",))) == "permission to read the new part of the DAG 'a'"
    )


def test_what_is_needed_is_named_as_airflow_names_it():
    told = str(Ask(Resource.DAG, "POST", "RUN", ("example_params",)))
    assert told == "permission to create runs of the DAG 'example_params'"
    assert str(Ask(Resource.ACCOUNTS, "PUT", "Users", None)) == "permission to edit users"
    for power in POWERS:
        told = str(Ask(Resource.POWER, "PUT", power, None))
        assert told == f"an administrator, or permission to edit 'REST API {power}'"


def test_many_names_are_cut():
    told = needs.named("DAG", [str(number) for number in range(1000)])
    assert told == "the DAGs '0', '1', '2', '3', '4' …"
