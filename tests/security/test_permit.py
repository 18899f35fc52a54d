"""What begins has a permit, and only the gate makes one."""

from __future__ import annotations

import ast
import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import airflow_rest_api
from airflow_rest_api.commands.catalog import load_catalog
from airflow_rest_api.commands.model import Command, Effect
from airflow_rest_api.commands.policy import WITH_DAG_FILES
from airflow_rest_api.errors import Forbidden
from airflow_rest_api.placement import LOCAL, Placement, placement_rules
from airflow_rest_api.security.access import Gate, Permit, Switches
from airflow_rest_api.security.audit import Audit
from airflow_rest_api.security.decision import Decision
from tests.sources import nodes

SOURCE = Path(airflow_rest_api.__file__).parent
PAUSE = load_catalog().parse(["dags", "pause", "a"])


class Someone:
    """A caller who may everything, or nothing."""

    name = "ada"
    address = None

    def __init__(self, admin: bool) -> None:
        self.admin = admin

    async def is_admin(self) -> bool:
        return self.admin

    async def ask(self, question: Any) -> Any:
        return question(self)

    def may(self, *arguments: object) -> bool:
        return False

    def names(self, *arguments: object) -> frozenset[str]:
        return frozenset()


def authorize(audit: Audit, *, admin: bool = False, **options: Any) -> Permit:
    caller: Any = Someone(admin)
    return asyncio.run(Gate(audit=audit).authorize(caller, PAUSE, **options))


def refusals(**options: Any) -> int:
    """Try what is refused, and return how often that was recorded."""
    rows: list[object] = []
    audit = Audit(rows.extend)
    with pytest.raises(Forbidden):
        authorize(audit, **options)
    audit.close()
    return len(rows)


def test_a_permit_has_what_the_gate_decided_and_what_records_the_end() -> None:
    permit = authorize(Audit(lambda events: None), admin=True)
    assert (permit.user, permit.visible, permit.redacted) == ("ada", None, False)
    assert permit.asks
    assert permit.on_end is not None


def test_nobody_else_can_make_one() -> None:
    with pytest.raises(TypeError, match="only the gate"):
        Permit(object(), "ada", Decision(None))


def test_a_refusal_is_recorded_once_unless_there_is_another_way() -> None:
    assert refusals() == 1
    assert refusals(recorded=False) == 0


def test_a_refusal_that_was_recorded_inside_is_not_recorded_again() -> None:
    rows: list[object] = []
    audit = Audit(rows.extend)
    caller: Any = Someone(False)
    with pytest.raises(Forbidden), audit.refusals(caller, "deploy_dag"):
        authorize(audit)
    audit.close()
    assert len(rows) == 1


def test_a_rule_decides_for_administrators_too() -> None:
    def rule(permissions: object) -> Decision:
        assert permissions is None
        raise Forbidden("no")

    assert refusals(admin=True, rule=rule) == 1


def test_there_is_no_permit_where_nothing_was_decided() -> None:
    with pytest.raises(ValueError, match="nothing to decide"):
        authorize(Audit(lambda events: None), admin=True, attempts=[])


@pytest.mark.slow
def test_permits_are_made_in_the_gate_alone() -> None:
    assert set(calls("Permit")) == {"security/access.py"}
    assert {where for where, _ in uses("_PROOF")} == {"security/access.py"}


def test_what_was_authorized_before_is_brought_about_by_the_services_alone() -> None:
    # And what a runner is asked for one answer belongs to no user.
    assert set(calls("standing")) == {"services/local.py", "operations/service.py"}


def calls(name: str) -> Iterator[str]:
    """Yield the modules that call something of this name."""
    for path in SOURCE.rglob("*.py"):
        for node in nodes(path):
            if isinstance(node, ast.Call) and name in (
                getattr(node.func, "id", None),
                getattr(node.func, "attr", None),
            ):
                yield path.relative_to(SOURCE).as_posix()


def uses(name: str) -> Iterator[tuple[str, int]]:
    """Yield where a name stands."""
    for path in SOURCE.rglob("*.py"):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if name in line:
                yield path.relative_to(SOURCE).as_posix(), number


def test_a_permit_says_where_it_runs():
    placement = Placement(placement_rules("dags pause = dags, write = rest"))
    gate = Gate(Switches(placement=placement))
    admin: Any = Someone(True)

    assert authorize(Audit(lambda _: None), admin=True).queue == LOCAL
    assert asyncio.run(gate.authorize(admin, PAUSE)).queue == "dags"
    assert asyncio.run(gate.authorize(admin, PAUSE, queue="local")).queue == LOCAL
    assert asyncio.run(gate.authorize(admin, PAUSE, queue="heavy")).queue == "heavy"
    assert Gate.standing("u").queue == LOCAL


class OfQueues(Someone):
    """Who may do everything but name queues, of which they may name one."""

    def __init__(self) -> None:
        super().__init__(False)

    def may(self, *arguments: object) -> bool:
        return not str(arguments[2]).startswith("Queue: ") or arguments[2] == "Queue: heavy"


def test_who_names_another_queue_needs_the_permission_for_it():
    gate = Gate(Switches(placement=Placement(placement_rules("write = dags"))))
    caller: Any = OfQueues()

    assert asyncio.run(gate.authorize(caller, PAUSE, queue="heavy")).queue == "heavy"
    # Where it leads anyway may be named.
    assert asyncio.run(gate.authorize(caller, PAUSE, queue="dags")).queue == "dags"
    for queue in ("local", "other"):
        with pytest.raises(Forbidden, match=f"REST API Queue: {queue}"):
            asyncio.run(gate.authorize(caller, PAUSE, queue=queue))


@pytest.mark.parametrize("name", sorted(WITH_DAG_FILES))
def test_all_work_on_dag_files_is_done_in_the_queue_that_they_are_placed_in(name: str):
    command = Command((name,), "", None, (), Effect.EXECUTE)

    def queue_of(rules: str) -> str:
        switches = Switches(run_dag_code=False, placement=Placement(placement_rules(rules)))
        found = switches.queue_of([command], Effect.EXECUTE)
        # Where it is done here, it is off where no code of DAG authors may run here.
        assert (switches.option(command) is None) == (found != LOCAL)
        return found

    assert queue_of("dag-files = dags") == queue_of("execute = heavy, * = dags") == "dags"
    # Reading, writing and checking belong together, whatever the effect of each.
    assert queue_of("execute = dags, write = dags, read = dags, deploy_dag = dags") == LOCAL


def test_a_path_in_a_bundle_leads_to_the_bundle():
    switches = Switches(placement=Placement(placement_rules("tasks test = heavy, dag-files = dags")))
    pause = Command(("dags", "pause"), "", None, (), Effect.WRITE)
    tests = Command(("tasks", "test"), "", None, (), Effect.EXECUTE)

    assert switches.queue_of([pause], Effect.WRITE) == LOCAL
    assert switches.queue_of([pause], Effect.WRITE, {"subdir"}) == "dags"
    assert switches.queue_of([tests], Effect.EXECUTE, {"subdir"}) == "heavy"


def test_components_are_placed_by_their_effect():
    switches = Switches(run_dag_code=False, placement=Placement(placement_rules("service = host:a")))
    scheduler = Command(("scheduler",), "", None, (), Effect.SERVICE)

    assert switches.queue_of([scheduler], Effect.SERVICE) == "host:a"
    assert switches.option(scheduler) is None
    assert switches.option(scheduler, (), LOCAL) == "run_dag_code"
