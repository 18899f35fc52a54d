from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from starlette.datastructures import Headers

from airflow_rest_api.api.requests import LARGE
from airflow_rest_api.errors import Refusal
from airflow_rest_api.json_text import MOST_VALUES
from airflow_rest_api.legacy.model import LegacyRequest
from airflow_rest_api.legacy.request import (
    FORM_LIMIT,
    MOST_FIELDS,
    Sent,
    SentBody,
    firsts,
    is_complete,
    parse_pairs,
    read_body,
    understand,
)


def ask(query: str, *fields: tuple[str, str | None]) -> LegacyRequest:
    return understand(Sent(parse_pairs(query), SentBody(list(fields))))


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


@pytest.mark.parametrize("name", ["execution_date", "exec_date"])
@pytest.mark.parametrize(
    "date",
    [
        "2025-03-04T10:05:00+00:00",
        "2025-03-04 10:05:00.123456+05:30",
        "2025-03-04T10:05:00,5+0000",
        "2025-03-04T10:05+01:00",
        "2025-03-04 10:05:00+00",
        "2025/03/04 10:05:00+00:00",
        "20250304T100500+0000",
        "manual__2025-03-04T10:05:00+00:00",
        "asset_triggered__2025-03-04T10:05:00.123456+00:00_2jrRz6jo",
    ],
)
def test_an_offset_whose_plus_was_sent_as_it_is_is_an_offset(name: str, date: str) -> None:
    query = f"api=trigger_dag&dag_id=d&{name}={date}"
    assert ask(query).get(name) == ask(query.replace("+", "%2B")).get(name) == date
    assert ask("api=trigger_dag&dag_id=d", *parse_pairs(f"{name}={date}")).get(name) == date
    assert Sent.of(query).arguments[name] == date.replace("+", " ")


def test_so_it_is_in_the_dates_of_a_range() -> None:
    asked = ask("api=clear&dag_id=d&start_date=2025-03-04T10:05:00+00:00&end_date=2025-03-04T11:05:00+00:00")
    assert (asked.get("start_date"), asked.get("end_date")) == (
        "2025-03-04T10:05:00+00:00",
        "2025-03-04T11:05:00+00:00",
    )


@pytest.mark.parametrize(
    "text", ["2025-03-04 10:05", "2025-03-04 10:05:00", "user1_2018-06-07 13:21:49 0100", "a 2025-03-04"]
)
def test_another_blank_stays_one(text: str) -> None:
    query = f"api=dag_state&dag_id=d&execution_date={text.replace(' ', '+')}"
    assert ask(query).get("execution_date") == text


@pytest.mark.parametrize(
    "run_id",
    ["manual__2025-03-04T10:05:00+00:00", "asset_triggered__2025-03-04 10:05:00.123456+00:00_2jrRz6jo"],
)
def test_a_run_has_the_name_by_which_it_is_looked_for_again(run_id: str) -> None:
    query = f"api=trigger_dag&dag_id=d&run_id={run_id}"
    assert ask(query).get("run_id") == ask(query.replace("+", "%2B")).get("run_id") == run_id


@pytest.mark.parametrize(
    "run_id", ["2025-03-04 10:05:00 01", "mine__2025-03-04T10:05:00 00", "manual__first run"]
)
def test_a_blank_in_a_name_of_the_clients_own_stays_one(run_id: str) -> None:
    assert ask(f"api=trigger_dag&dag_id=d&run_id={run_id.replace(' ', '+')}").get("run_id") == run_id


def test_a_text_that_is_no_date_keeps_its_blank() -> None:
    text = "2025-03-04T10:05:00 00:00"
    assert ask(f"api=variables&cmd=set&key=k&value={text.replace(' ', '+')}").get("value") == text


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
    sent = Sent(parse_pairs("api=version&x=1"), SentBody([("y", "2")], {"y": "2"}))
    assert understand(sent).warnings == ("Unknown argument(s) ['x', 'y'] were ignored",)
    assert sent.arguments == {"api": "version", "x": "1"}
    assert sent.body.echo == {"y": "2"}


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


FORM = "application/x-www-form-urlencoded"
FILE = b'--b\r\nContent-Disposition: form-data; name="dag_file"; filename="a.py"\r\n\r\nx = 1\r\n'
FIELD = b'--b\r\nContent-Disposition: form-data; name="force"\r\n\r\non\r\n'


async def coming(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


def read(kind: str, *chunks: bytes, limit: int = 100_000, dispensable: bool = False) -> SentBody:
    headers = Headers({"content-type": kind} if kind else {})
    return asyncio.run(read_body(headers, coming(*chunks), limit, lambda: dispensable))


def test_a_bare_flag_is_told_from_an_empty_value() -> None:
    assert parse_pairs("a=1&b&c=&&d=x+y%26") == [("a", "1"), ("b", None), ("c", ""), ("d", "x y&")]


def test_bytes_that_are_no_text_do_no_harm() -> None:
    assert parse_pairs("x=%ff%fe") == [("x", "\ufffd\ufffd")]


def test_of_a_repeated_name_the_first_is_echoed() -> None:
    assert firsts([("a", "1"), ("a", "2"), ("b", None)]) == {"a": "1", "b": ""}


def test_a_form_is_read() -> None:
    body = read(f"{FORM}; charset=utf-8", b"api=version&x=", b"%C3%BC")
    assert body.fields == [("api", "version"), ("x", "ü")]
    assert body.echo == {"api": "version", "x": "ü"}


def test_json_values_become_the_texts_that_arguments_take() -> None:
    body = read("application/json", b'{"api": "x", "json": true, "n": 5, "conf": {"a": [1]}, "no": null}')
    assert body.fields == [("api", "x"), ("json", "true"), ("n", "5"), ("conf", '{"a": [1]}')]
    assert body.echo["conf"] == {"a": [1]}


@pytest.mark.parametrize("text", [b'{"n": 1e999}', b'{"conf": {"a": [-1e999]}}'])
def test_a_number_that_is_too_large_to_be_repeated_is_refused(text: bytes) -> None:
    with pytest.raises(Refusal, match="a number that is too large") as refusal:
        read("application/json", text, dispensable=True)
    assert refusal.value.status == 400


def test_of_a_name_that_comes_twice_in_a_json_body_the_first_counts_and_in_what_is_in_it_the_last() -> None:
    body = read("application/json", b'{"a": "1", "conf": {"b": 1, "b": 2}, "a": {"c": 3}, "a": "4"}')
    assert body.fields == [("a", "1"), ("conf", '{"b": 2}')]
    assert body.echo == {"a": "1", "conf": {"b": 2}}


NO_OBJECT = {
    b"[1]": "must be a JSON object, not an array",
    b'""': "must be a JSON object, not a string",
    b"5": "must be a JSON object, not a number",
    b"null": "must be a JSON object, not null",
    b"serviceKey=abc": "is not valid JSON: Expecting value",
    b"{": "is not valid JSON: ",
    b"\xff": "is not valid JSON: ",
    b'{"a": NaN}': "is not valid JSON: NaN is not JSON",
    b"[" * 100_000: "is not valid JSON: it is nested",
    b"[" * (MOST_VALUES + 1): "must be a JSON object",
}


@pytest.mark.parametrize("text", NO_OBJECT, ids=[text[:9].decode("latin-1") for text in NO_OBJECT])
def test_json_that_is_no_object_is_refused_where_a_body_is_needed(text: bytes) -> None:
    with pytest.raises(Refusal) as refusal:
        read("application/json", text, limit=1_000_000)
    assert refusal.value.status == 400
    assert refusal.value.message.startswith(f"The body {NO_OBJECT[text]}")


@pytest.mark.parametrize("text", NO_OBJECT, ids=[text[:9].decode("latin-1") for text in NO_OBJECT])
def test_json_that_is_no_object_is_no_body_where_none_is_needed(text: bytes) -> None:
    body = read("application/json", text, limit=1_000_000, dispensable=True)
    assert (body.fields, body.echo) == ([], {})
    [warning] = body.warnings
    assert warning.startswith(f"The body was ignored: it {NO_OBJECT[text]}")


def test_a_json_object_is_read_where_none_is_needed() -> None:
    body = read("application/json", b'{"a": "b"}', dispensable=True)
    assert (body.fields, body.warnings) == ([("a", "b")], [])


def test_json_with_more_values_than_can_be_read_in_passing_is_refused() -> None:
    for text in (b'{"a": [' + b"[]," * MOST_VALUES + b"1]}", b'{"a": [' + b'"",' * MOST_VALUES + b"1]}"):
        with pytest.raises(Refusal, match="values") as refusal:
            read("application/json", text, limit=FORM_LIMIT, dispensable=True)
        assert refusal.value.status == 413


def test_what_is_inside_of_a_json_text_is_no_value() -> None:
    long = ',[{\\"\\\\' * MOST_VALUES
    body = read("application/json", f'{{"a": "{long}", "b": "c"}}'.encode(), limit=FORM_LIMIT)
    assert body.fields == [("a", ',[{"\\' * MOST_VALUES), ("b", "c")]


def test_a_text_that_does_not_end_is_not_valid_json() -> None:
    with pytest.raises(Refusal, match="not valid JSON: Unterminated string"):
        read("application/json", b'{"a": "' + b',\\"' * MOST_VALUES, limit=FORM_LIMIT)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (FORM, "&".join(["a=b"] * (MOST_FIELDS + 1))),
        ("application/json", "{" + ",".join(f'"{number}": 1' for number in range(MOST_FIELDS + 1)) + "}"),
    ],
)
def test_a_body_has_no_more_fields_than_a_multipart_body_may_have(kind: str, text: str) -> None:
    with pytest.raises(Refusal, match="more than 1000 fields") as refusal:
        read(kind, text.encode())
    assert refusal.value.status == 400


@pytest.mark.parametrize(
    ("kind", "form"), [(FORM, b"a=%s"), ("application/json", b'{"a": "%s"}'), ("application/json", b"[%s")]
)
def test_the_event_loop_goes_on_while_a_large_body_is_read(kind: str, form: bytes) -> None:
    async def steps(text: bytes) -> int:
        done: list[None] = []
        asyncio.get_running_loop().call_soon(done.append, None)
        await read_body(Headers({"content-type": kind}), coming(text), FORM_LIMIT, lambda: True)
        return len(done)

    assert asyncio.run(steps(form % b"x")) == 0
    assert asyncio.run(steps(form % (b"x" * LARGE))) == 1


def test_files_and_fields_of_a_multipart_body_are_read() -> None:
    body = read("multipart/form-data; boundary=b", FIELD, FILE, b"--b--\r\n")
    assert body.echo == {"force": "on"}
    assert body.files["dag_file"].filename == "a.py"
    assert body.files["dag_file"].file.read() == b"x = 1"


def test_the_first_of_two_files_counts_and_a_warning_says_so() -> None:
    second = FILE.replace(b"a.py", b"b.py")
    body = read("multipart/form-data; boundary=b", FILE, second, b"--b--\r\n")
    assert body.files["dag_file"].filename == "a.py"
    assert body.warnings == ["Of several files 'dag_file' the first was taken"]


def test_an_argument_that_came_as_a_file_is_said_to_be_ignored() -> None:
    part = FILE.replace(b"dag_file", b"conf").replace(b"a.py", b"conf.json")
    asked = understand(
        Sent(
            parse_pairs("api=trigger_dag&dag_id=d"),
            read("multipart/form-data; boundary=b", part, FILE, b"--b--\r\n"),
        )
    )
    assert asked.get("conf") is None
    assert asked.warnings == (
        "Unknown argument(s) ['dag_file'] were ignored",
        "Argument(s) ['conf'] were ignored where they came as files",
    )
    assert asked.ignored == ("dag_file", "conf")
    deployed = Sent(
        parse_pairs("api=deploy_dag"), read("multipart/form-data; boundary=b", FILE, b"--b--\r\n")
    )
    assert understand(deployed).warnings == ()


NO_MULTIPART = [
    ("multipart/form-data", b""),
    ("multipart/form-data", b"garbage"),
    ("multipart/form-data; boundary=b", b""),
    ("multipart/form-data; boundary=b", b"garbage"),
]


@pytest.mark.parametrize(("kind", "text"), NO_MULTIPART)
def test_a_body_that_is_not_multipart_is_refused(kind: str, text: bytes) -> None:
    with pytest.raises(Refusal, match="not valid multipart") as refusal:
        read(kind, text)
    assert refusal.value.status == 400


@pytest.mark.parametrize(("kind", "text"), NO_MULTIPART)
def test_a_body_that_is_not_multipart_is_none_where_none_is_needed(kind: str, text: bytes) -> None:
    body = read(kind, text, dispensable=True)
    assert (body.fields, body.echo, body.files) == ([], {}, {})
    [warning] = body.warnings
    assert warning.startswith("The body was ignored: it is not valid multipart/form-data: ")


@pytest.mark.parametrize(
    "parts", [[FIELD], [FIELD.removesuffix(b"\r\non\r\n")], [*[FIELD] * (MOST_FIELDS + 1), b"--b--\r\n"]]
)
def test_a_body_whose_parts_have_begun_is_never_done_without(parts: list[bytes]) -> None:
    with pytest.raises(Refusal, match="not valid multipart") as refusal:
        read("multipart/form-data; boundary=b", *parts, dispensable=True)
    assert refusal.value.status == 400


@pytest.mark.parametrize("kind", [FORM, "application/json", "multipart/form-data; boundary=b", ""])
def test_a_body_that_is_too_long_is_refused(kind: str) -> None:
    with pytest.raises(Refusal) as refusal:
        read(kind, FIELD, FILE.removesuffix(b"\r\n"), *[b"x" * 1000] * 20, limit=10_000)
    assert refusal.value.status == 413


def test_a_form_is_not_as_long_as_an_upload() -> None:
    with pytest.raises(Refusal) as refusal:
        read(FORM, b"x" * (FORM_LIMIT + 1), limit=10 * FORM_LIMIT)
    assert refusal.value.status == 413


def test_nor_are_the_fields_beside_the_file_of_an_upload() -> None:
    kind = "multipart/form-data; boundary=b"
    field = FIELD.replace(b"\r\n\r\n", b"\r\n\r\n" + b"x" * (FORM_LIMIT // 2))
    assert read(kind, field, FILE, b"--b--\r\n", limit=10 * FORM_LIMIT).files

    with pytest.raises(Refusal) as refusal:
        read(kind, field, field, FILE, b"--b--\r\n", limit=10 * FORM_LIMIT)
    assert refusal.value.status == 413


def test_a_body_of_another_type_is_ignored_and_said_to_be() -> None:
    body = read("text/plain", b"api=version")
    assert body.fields == []
    assert body.warnings == ["The body was ignored: its type is text/plain"]
