from __future__ import annotations

import pytest

from airflow_rest_api.errors import Refusal
from airflow_rest_api.legacy.body import Body
from airflow_rest_api.legacy.request import Request, Sent, is_complete, understand


def ask(query: str, *fields: tuple[str, str | None]) -> Request:
    return understand(Sent.of(query, Body(list(fields))))


def refusal(query: str) -> str:
    with pytest.raises(Refusal) as refused:
        ask(query)
    assert refused.value.status == 400
    return refused.value.message


def test_the_name_of_the_endpoint_may_have_any_case_and_blanks_around_it() -> None:
    assert ask("api=%20LIST_dags+").endpoint.name == "list_dags"


def test_the_name_of_the_endpoint_may_be_in_the_body() -> None:
    assert ask("", ("api", "version")).endpoint.name == "version"


def test_what_has_no_effect_is_named() -> None:
    asked = ask("api=scheduler&run-duration=1&do_pickle=&num_runs=1&typo=1", ("other", None), ("typo", "2"))
    assert asked.ignored == ("run-duration", "other", "typo")
    assert ask("api=backfill&dag_id=d&local=false&include_adhoc").ignored == ("include_adhoc",)


def test_the_query_wins() -> None:
    assert ask("api=variables&get=a", ("get", "b"), ("api", "pool")).get("get") == "a"


def test_an_empty_value_in_the_query_is_not_given() -> None:
    assert ask("api=variables&get=", ("get", "b")).get("get") == "b"
    assert not ask("api=variables&get=").given("get")


def test_of_a_repeated_argument_the_first_counts() -> None:
    assert ask("api=variables&get=a&get=b").get("get") == "a"


def test_the_dag_id_is_stripped_and_nothing_else() -> None:
    request = ask("api=task_state&dag_id=%20d+&task_id=+t&execution_date=x")
    assert (request.get("dag_id"), request.get("task_id")) == ("d", " t")


@pytest.mark.parametrize("text", ["json", "json=on", "json=true", "json=1", "json=yes", "json=anything"])
def test_a_check_box_is_checked(text: str) -> None:
    assert ask(f"api=variables&{text}").given("json")


@pytest.mark.parametrize("text", ["", "json=", "json=false", "json=OFF", "json=0", "json=no", "json=%20No+"])
def test_a_check_box_is_not_checked(text: str) -> None:
    assert not ask(f"api=variables&{text}").given("json")


def test_a_bare_flag_in_the_query_wins_over_the_body() -> None:
    assert ask("api=variables&json", ("json", "false")).given("json")


def test_a_missing_endpoint_is_refused() -> None:
    assert refusal("") == refusal("api=") == refusal("api=+") == "API should be provided"


def test_an_unknown_endpoint_is_refused() -> None:
    assert refusal("api=Nope") == "API 'nope' was not found"


def test_all_missing_arguments_are_named() -> None:
    assert refusal("api=run") == "The argument(s) ['dag_id', 'task_id', 'execution_date'] are required"
    assert refusal("api=pause&dag_id=+") == "The argument(s) ['dag_id'] are required"


def test_unknown_arguments_are_echoed_and_named() -> None:
    sent = Sent.of("api=version&x=1", Body([("y", "2")], {"y": "2"}))
    assert understand(sent).warnings == ("Unknown argument(s) ['x', 'y'] were ignored",)
    assert sent.arguments == {"api": "version", "x": "1"}
    assert sent.post_arguments == {"y": "2"}


@pytest.mark.parametrize(
    ("query", "complete"),
    [
        ("api=list_dags", True),
        ("api=unpause&dag_id=d", True),
        ("api=unpause", False),
        ("api=unpause&dag_id=", False),
        ("api=nonsense", False),
        ("", False),
        # Its file can only come in the body.
        ("api=deploy_dag&force=on", False),
    ],
)
def test_a_query_is_complete_when_it_has_all_that_an_endpoint_requires(query: str, complete: bool) -> None:
    assert is_complete(Sent.of(query).query) is complete
