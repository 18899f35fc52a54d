from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime

from airflow_rest_api.legacy.answer import Envelope, http_date, mask_secrets, masked

NOON = datetime(2026, 11, 22, 12, 0, 0, tzinfo=timezone.utc)


def test_an_answer_before_any_command_has_the_keys_that_are_always_there() -> None:
    document = Envelope(400, "no", NOON, {"api": "x"}, {}).document(NOON + timedelta(seconds=5))
    assert document == {
        "arguments": {"api": "x"},
        "post_arguments": {},
        "call_time": "Sun, 22 Nov 2026 12:00:00 GMT",
        "response_time": "Sun, 22 Nov 2026 12:00:05 GMT",
        "http_response_code": 400,
        "status": "ERROR",
        "output": "no",
    }


def test_a_wrong_header_token_gets_an_answer_without_arguments() -> None:
    document = Envelope(403, "Token Authentication Failed", NOON).document(NOON)
    assert set(document) == {"call_time", "response_time", "http_response_code", "status", "output"}


def test_a_command_that_ran_adds_its_own_keys() -> None:
    output = {"stdout": "", "stderr": "", "stdin": ""}
    envelope = Envelope(200, output, NOON, {}, {}, "airflow x", ["a", "b", "a"], 0, "id")
    document = envelope.document(NOON)
    assert document["status"] == "OK"
    assert document["warning"] == "a. b"
    assert (document["airflow_cmd"], document["exit_code"], document["operation_id"]) == (
        "airflow x",
        0,
        "id",
    )


def test_a_deployment_names_its_dags_even_where_there_are_none() -> None:
    assert Envelope(200, "done", NOON, dag_ids=["a", "b"]).document(NOON)["dag_ids"] == ["a", "b"]
    assert Envelope(200, "done", NOON, dag_ids=[]).document(NOON)["dag_ids"] == []


def test_times_are_utc_wherever_the_server_is() -> None:
    there = NOON.astimezone(timezone(timedelta(hours=9)))
    assert parsedate_to_datetime(http_date(there)) == NOON
    assert http_date(there).endswith("12:00:00 GMT")


def test_passwords_are_not_echoed() -> None:
    shown = masked(
        {
            "conn_uri": "postgres://user:p%40ss@db.example:5432/base?sslkey=k",
            "conn_password": "p",
            "conn_extra": '{"token": "t"}',
            "broker_api": "http://u:p@h/",
            "conn_id": "c",
            "jwt": "ey",
        }
    )
    assert shown == {
        "conn_uri": "postgres://***@db.example:5432/base",
        "conn_password": "***",
        "conn_extra": "***",
        "broker_api": "http://***@h/",
        "conn_id": "c",
        "jwt": "***",
    }


def test_the_value_of_a_variable_is_echoed_unless_its_name_says_that_it_is_a_secret() -> None:
    assert masked({"key": "k", "value": "v"})["value"] == "v"
    assert masked({"key": "db_password", "value": "v"})["value"] == "***"


def test_a_value_whose_name_came_elsewhere_in_the_request_is_not_echoed() -> None:
    assert masked({"value": "v", "cmd": "set"}) == {"value": "***", "cmd": "set"}


def test_a_password_with_any_character_is_not_echoed() -> None:
    for password in ("p@ss", "p/ss", "p@s/s@"):
        shown = masked({"conn_uri": f"postgres://user:{password}@db.example/base"})["conn_uri"]
        assert shown == "postgres://***@db.example/base"


def test_what_airflow_hides_by_its_name_is_not_echoed() -> None:
    assert masked({"key": "service_account", "value": "v"})["value"] == "***"
    assert masked({"keyfile_dict": "v"})["keyfile_dict"] == "***"


def test_what_airflow_hides_within_json_is_not_echoed() -> None:
    assert masked({"conf": '{"password": "hunter2", "n": 1}'})["conf"] == '{"password": "***", "n": 1}'


def test_a_secret_is_masked_in_what_a_parser_says() -> None:
    assert mask_secrets("bad URI x:y", {"conn_uri": "x:y", "conn_id": "bad"}) == "bad URI ***"


def test_an_address_is_masked_up_to_its_last_at_sign() -> None:
    def shown(uri: str) -> str:
        return str(masked({"conn_uri": uri})["conn_uri"])

    assert shown("x://u:p@ss/w@h:1/s?key=k@v") == "x://***@v"
    assert shown("x://h:1/s?key=k") == "x://h:1/s"
    assert shown("x://u:p://@h") == "x://***@h"
    assert shown("x://a\nb@h") == "x://***@h"


def test_an_address_of_megabytes_is_masked_in_no_time() -> None:
    began = time.thread_time()
    masked({"conn_uri": "x" + "://" * 1_000_000})
    assert time.thread_time() - began < 5
