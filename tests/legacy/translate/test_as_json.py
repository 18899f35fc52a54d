"""What is asked of today's commands where the text of 1.x is made of their JSON."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from airflow_rest_api.commands.model import Effect
from airflow_rest_api.errors import Refusal
from airflow_rest_api.legacy.request import Sent, understand
from airflow_rest_api.legacy.translate import translate
from airflow_rest_api.legacy.translate.plan import Answer, Context, Work

Ask = Callable[[str], Work]


@pytest.fixture
def ask(context: Context) -> Ask:
    """Return the work that a query comes to where commands are asked for JSON."""
    as_json = Context(context.catalog, "/exchange", as_json=True)

    def of(query: str) -> Work:
        work = translate(understand(Sent.of(query)), as_json)
        assert not isinstance(work, Answer)
        return work

    return of


def names(work: Work) -> list[str]:
    return [one.command.name for one in work.invocations]


@pytest.mark.parametrize(
    ("query", "line"),
    [
        ("api=list_dags", "airflow dags list --output=json"),
        ("api=list_dags&report", "airflow dags list --output=json && airflow dags report --output=json"),
        ("api=trigger_dag&dag_id=d", "airflow dags trigger --output=json -- d"),
        ("api=pool", "airflow pools list --output=json"),
        ("api=pool&get=p", "airflow pools get --output=json -- p"),
        ("api=pool&cmd=set&pool_name=p&slot_count=5", "airflow pools set --output=json -- p 5 ''"),
        ("api=pool&delete=p", "airflow pools delete --output=json -- p"),
        ("api=dag_state&dag_id=d&execution_date=r", "airflow dags state -- d r"),
    ],
)
def test_a_command_that_can_print_json_is_asked_to(ask: Ask, query: str, line: str) -> None:
    assert ask(query).airflow_cmd == line


def test_dags_of_one_path_are_listed_as_json(ask: Ask) -> None:
    work = ask("api=list_dags&subdir=team")
    assert (work.entry, work.effect) == ("listings:list_dags", Effect.READ)
    assert work.order == {"subdir": "team", "report": False, "output": "json"}
    assert ask("api=list_dags&subdir=team&report").effect is Effect.EXECUTE


@pytest.mark.parametrize("kind", ["connections", "variables"])
def test_what_1_x_listed_is_read_by_us_with_the_permissions_of_the_command(ask: Ask, kind: str) -> None:
    work = ask(f"api={kind}")
    assert (work.entry, work.order) == ("listings:list_rows", {"kind": kind})
    assert names(work) == [f"{kind} list"]
    assert work.airflow_cmd.startswith(f"airflow {kind} list")
    assert work.effect is Effect.READ


@pytest.mark.parametrize("query", ["connections&add=on&conn_id=c&conn_uri=x://h", "variables&delete=k"])
def test_other_verbs_stay_commands(ask: Ask, query: str) -> None:
    assert ask(f"api={query}").entry == "commands:run_commands"


def test_a_pool_that_is_deleted_is_shown_to_those_who_may_see_it(ask: Ask) -> None:
    work = ask("api=pool&delete=p")
    assert names(work) == ["pools delete", "pools get"]
    assert work.order["pool"] == "p"
    # It is read by us: one command runs.
    assert [argv[:2] for argv in work.order["argvs"]] == [["pools", "delete"]]
    assert work.effect is Effect.WRITE


def test_to_others_it_is_not_shown(ask: Ask) -> None:
    instead = ask("api=pool&delete=p").instead
    assert instead is not None
    assert names(instead) == ["pools delete"]
    assert "pool" not in instead.order
    assert instead.instead is None


def test_a_variable_that_does_not_exist_is_none_unless_the_client_says_otherwise(
    ask: Ask, context: Context
) -> None:
    assert ask("api=variables&get=k").invocations[0].values["default"] == "None"
    assert ask("api=variables&get=k&default=5").invocations[0].values["default"] == "5"
    today = translate(understand(Sent.of("api=variables&get=k")), context)
    assert isinstance(today, Work)
    assert today.invocations[0].values["default"] is None


def test_an_export_to_the_answer_needs_no_folder(ask: Ask, context: Context) -> None:
    assert ask("api=variables&export=-").invocations[0].values["file"] == "-"
    today = translate(understand(Sent.of("api=variables&export=-")), context)
    assert isinstance(today, Work)
    assert today.invocations[0].values["file"] == "-"
    with pytest.raises(Refusal):
        ask("api=variables&export=-x")
    # What is read is a file of that name: an answer has no standard input.
    assert ask("api=variables&import=-").invocations[0].values["file"] == "/exchange/-"


def test_a_state_of_no_run_is_asked_for_as_none(ask: Ask) -> None:
    for query in (
        "dag_state&dag_id=d&execution_date=2026",
        "task_state&dag_id=d&task_id=t&execution_date=2026",
    ):
        assert ask(f"api={query}").order["without_run"] is True
    assert "without_run" not in ask("api=task_failed_deps&dag_id=d&task_id=t&execution_date=2026").order


def test_the_date_of_a_run_goes_with_the_order(ask: Ask) -> None:
    task = "dag_id=d&task_id=t&execution_date=2026-11-10"
    for api in ("render", "test", "task_state", "task_failed_deps"):
        assert ask(f"api={api}&{task}").order["date"] == "2026-11-10"
    assert "date" not in ask("api=trigger_dag&dag_id=d&execution_date=2026-11-10").order
    assert "date" not in ask("api=pause&dag_id=d").order


def test_a_backfill_that_is_shown_keeps_what_chooses_its_tasks(ask: Ask) -> None:
    query = "api=backfill&dag_id=d&start_date=2026-11-10&dry_run"
    assert ask(query).order["json"] is True
    more = ask(f"{query}&task_regex=^a&ignore_dependencies").order
    assert (more["task_regex"], more["ignore_dependencies"]) == ("^a", True)


def test_what_1_x_is_told_in_its_own_words_is_printed_as_json(ask: Ask) -> None:
    for query in ("clear&dag_id=d", "run&dag_id=d&task_id=t&execution_date=r"):
        assert ask(f"api={query}").order["json"] is True
