from __future__ import annotations

import pytest

from airflow_rest_api.commands.model import Effect
from airflow_rest_api.placement import (
    EFFECTS,
    LOCAL,
    Placement,
    placement_rules,
    queue_name,
    queue_of_host,
)
from airflow_rest_api.settings import BadSetting, Settings

RULES = """
    tasks test = heavy
    variables * = local
    execute = dags, * = rest
"""


def test_the_effects_of_rules_are_those_of_commands():
    assert tuple(effect.value for effect in Effect) == EFFECTS


@pytest.mark.parametrize(
    ("names", "effect", "queue"),
    [
        (["tasks test"], "execute", "heavy"),
        (["dags test"], "execute", "dags"),
        (["variables get"], "read", LOCAL),
        (["version"], "read", "rest"),
        (["test", "tasks test"], "execute", "heavy"),
    ],
)
def test_the_first_rule_that_fits_counts(names: list[str], effect: str, queue: str):
    assert Placement(placement_rules(RULES)).queue_of(names, effect) == queue


def test_what_no_rule_names_runs_here():
    assert Placement().queue_of(["version"], "read") == LOCAL
    assert Placement(placement_rules("execute = dags")).queue_of(["execute"], "read") == LOCAL


def test_the_queues_of_the_rules_are_known_each_once():
    assert Placement(placement_rules(RULES + "service = dags")).queues == ("heavy", "dags", "rest")
    assert Placement(placement_rules("")).queues == ()


@pytest.mark.parametrize(
    "text",
    [
        "execute",
        "= dags",
        "execute =",
        "execute = a b",
        "execute = dags = x",
        f"a = {'q' * 101}",
        "a = ä",
        "'execute' = dags",
    ],
)
def test_what_is_no_rule_keeps_the_plugin_off(text: str):
    with pytest.raises(BadSetting, match="placement"):
        Settings.load(lambda section, name: text if name == "placement" else None)


def test_a_host_has_a_queue_where_its_name_can_be_one():
    assert queue_of_host("worker-1.example.com") == "host:worker-1.example.com"
    assert queue_name("host:worker-1.example.com")
    for name in ("", "a b", "ä", "x" * 100, "-"):
        with pytest.raises(ValueError, match="the name of a queue"):
            queue_of_host(name)
