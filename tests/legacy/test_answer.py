"""What a client reads of what a command printed."""

from __future__ import annotations

import json
import os
import textwrap
import threading
import time
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from typing import Any

import pytest

from airflow_rest_api.engine.job import Outcome
from airflow_rest_api.legacy import answer
from airflow_rest_api.legacy.answer import Envelope, http_date, mask_secrets, masked
from airflow_rest_api.legacy.child import messages
from tests.standin import Script, StandInProcess, prints, serving

CONSOLE = "2026-11-22T14:26:20.156096Z [warning  ] {}                   [airflow.x] loc=x.py:12\n"
CLASSIC = "[2026-11-22 08:17:02,123] {{x.py:51}} WARNING - {}\n"
DEPRECATED = "2026-11-22T14:26:20.156096Z [warning  ] old  [py.warnings] category=RemovedDeprecationWarning\n"
PAUSE = {"api": "pause", "dag_id": "d"}
LIST = {"api": "list_dags"}
TASK = {"dag_id": "d", "task_id": "t", "execution_date": "2026-01-01"}


def json_line(event: str, level: str = "warning", **more: str) -> str:
    entry = {"timestamp": "2026-11-22T14:26:20Z", "level": level, "event": event, "logger": "x", **more}
    return json.dumps(entry) + "\n"


def asked(script: Script, arguments: dict[str, str], root_path: str = "", **settings: Any) -> dict[str, Any]:
    """Return the answer to a request whose command plays a part; it has the status of the response."""
    with serving(script, root_path=root_path, **settings) as (client, _):
        answer = client.get("/api", params=arguments)
    document: dict[str, Any] = answer.json()
    assert answer.status_code == document["http_response_code"]
    return document


@pytest.mark.parametrize(
    "line",
    [
        CONSOLE.format("careful now"),
        CLASSIC.format("careful now"),
        json_line("careful now"),
        CONSOLE.format("careful now").replace("warning  ", "error    "),
        CLASSIC.format("careful now").replace("WARNING", "ERROR"),
        json_line("careful now", "critical"),
    ],
)
@pytest.mark.parametrize("settings", [{}, {"legacy_output": "today"}])
def test_what_a_command_warns_of_in_its_log_is_a_warning(line: str, settings: dict[str, str]) -> None:
    answer = asked(prints(f"{line}[]\n{line}"), LIST, **settings)
    assert (answer["status"], answer["warning"]) == ("OK", "careful now")
    assert "careful" not in answer["output"]["stdout"]


PYTHONS = "/airflow/cli/cli_config.py:48 UserWarning: careful now\n"
"""As Airflow prints on standard error, before 3.2, what Python warns of."""


@pytest.mark.parametrize(
    "line", [CONSOLE.format("careful now"), CLASSIC.format("careful now"), json_line("careful now"), PYTHONS]
)
def test_so_is_what_it_warns_of_on_stderr_which_clients_want_empty(line: str) -> None:
    logged = CONSOLE.format("fine").replace("warning  ", "info     ")
    answer = asked(prints("[]\n", f"{logged}{line}"), LIST)
    assert (answer["output"]["stderr"], answer["warning"]) == ("", "careful now")
    failed = asked(prints("", f"{line}the reason\n", exit_code=1), LIST)
    assert (failed["output"]["stderr"], failed["warning"]) == ("the reason\n", "careful now")


def test_a_log_that_is_the_answer_is_all_on_stdout_by_its_times() -> None:
    first, second, third = (CONSOLE.format(text).replace(":20.", f":2{text}.") for text in "123")
    answer = asked(prints(f"{first}more\n{third}", f"{second}odd\n"), {"api": "test", **TASK})
    assert answer["output"]["stdout"] == f"{first}more\n{second}{third}"
    assert (answer["output"]["stderr"], answer.get("warning")) == ("odd\n", None)


def test_a_text_of_today_has_its_log_on_stderr() -> None:
    line = CONSOLE.format("careful now")
    answer = asked(prints("", line), LIST, legacy_output="today")
    assert (answer["output"]["stderr"], answer.get("warning")) == (line, None)


@pytest.mark.parametrize(
    "line",
    [
        CONSOLE.format("fine").replace("warning  ", "info     "),
        CLASSIC.format("fine").replace("WARNING", "INFO"),
        json_line("fine", "info"),
        DEPRECATED,
        json_line("old", category="AirflowProviderDeprecationWarning"),
        CONSOLE.format("Skipping masking for a secret as it's too short (<5 chars)"),
        "WARNING: of a person\n",
    ],
)
def test_what_is_no_warning_for_the_client_is_none(line: str) -> None:
    assert "warning" not in asked(prints(line), PAUSE)


def test_several_warnings_are_sentences_and_the_last_keeps_its_full_stop() -> None:
    def warning(*texts: str) -> str | None:
        text: str | None = Envelope(200, "", NOON, warnings=[*texts]).document().get("warning")
        return text

    assert warning("a.") == "a."
    assert warning("a", "b.", "a") == "a. b"
    assert warning("a.", "b.") == "a. b."
    assert warning() is None


def test_of_many_and_long_warnings_an_answer_repeats_some() -> None:
    script = prints("".join(CONSOLE.format(f"{number} " + "x" * 1000) for number in range(100)))
    warnings = asked(script, PAUSE)["warning"].split(". ")
    assert [warning.split()[0] for warning in warnings] == [str(number) for number in range(10)]
    assert {len(warning) for warning in warnings} == {500}


def test_lines_of_a_json_log_are_not_taken_for_what_was_asked_for() -> None:
    rows = json.dumps([{"dag_id": "a"}])
    answer = asked(prints(f"{json_line('before')}{rows}\n{json_line('behind')}"), LIST)
    assert "\na\n" in answer["output"]["stdout"]
    assert answer["result"] == [{"dag_id": "a"}]
    trigger = {"api": "trigger_dag", "dag_id": "d"}
    run = json.dumps([{"dag_id": "d", "dag_run_id": "r", "logical_date": "2026-11-10T00:00:00+00:00"}])
    assert asked(prints(f"{json_line('before')}{run}\n"), trigger)["dag_run_id"] == "r"


@pytest.mark.parametrize(
    "arguments", [{"api": "test", **TASK}, {"api": "backfill", "dag_id": "d", "start_date": "2026-01-01"}]
)
def test_a_log_that_was_asked_for_is_all_there_and_no_warning(arguments: dict[str, str]) -> None:
    log = CONSOLE.format("a") + "b\n" + json_line("c")
    answer = asked(prints(log), arguments)
    assert answer["output"]["stdout"] == log
    assert "warning" not in answer


def test_whatever_a_tested_task_prints_is_no_result() -> None:
    assert "result" not in asked(prints('[{"a": 1}]\n'), {"api": "test", **TASK})


@pytest.mark.parametrize("arguments", [LIST, {"api": "pool"}, {"api": "connections"}, {"api": "variables"}])
def test_a_part_of_an_answer_is_none_and_the_option_is_named(arguments: dict[str, str]) -> None:
    rows = [{"dag_id": f"dag_{n}", "pool": "p", "slots": "1", "conn_id": "c", "key": "k"} for n in range(500)]
    answer = asked(prints(json.dumps(rows) + "\n"), arguments, output_limit=1000)
    assert (answer["http_response_code"], answer["status"]) == (500, "ERROR")
    assert answer["output"]["stdout"] == ""
    assert "output_limit" in answer["warning"]


@pytest.mark.parametrize(
    "arguments",
    [{"api": "clear", "dag_id": "d"}, {"api": "pool", "delete": "p"}, {"api": "trigger_dag", "dag_id": "d"}],
)
def test_what_was_changed_did_not_fail_because_its_answer_is_too_long(arguments: dict[str, str]) -> None:
    answer = asked(prints(json.dumps([{"dag_id": "d" * 5000}]) + "\n"), arguments, output_limit=1000)
    assert (answer["http_response_code"], answer["output"]["stdout"]) == (200, "")
    assert "output_limit" in answer["warning"]


def test_where_only_stderr_was_cut_the_answer_is_whole() -> None:
    answer = asked(prints('[{"dag_id": "a"}]\n', "x" * 5000), LIST, output_limit=1000)
    assert answer["http_response_code"] == 200
    assert "\na\n" in answer["output"]["stdout"]
    assert "output_limit" in answer["warning"]


@pytest.mark.parametrize("settings", [{}, {"legacy_output": "today"}])
def test_a_log_that_was_cut_is_shown_as_far_as_it_goes(settings: dict[str, str]) -> None:
    answer = asked(prints("x" * 5000), {"api": "test", **TASK}, output_limit=1000, **settings)
    assert answer["http_response_code"] == 200
    assert "bytes left out" in answer["output"]["stdout"]
    assert "output_limit" in answer["warning"]


def test_a_text_of_today_is_what_todays_command_prints() -> None:
    for arguments in (LIST, {"api": "dag_state", "dag_id": "d", "execution_date": "r"}, PAUSE):
        answer = asked(prints("today, {}\n"), arguments, legacy_output="today")
        assert answer["output"] == {"stdout": "today, {}\n", "stderr": "", "stdin": ""}
        assert not {"state", "dag_run_id"} & set(answer)


def test_the_filter_of_log_lines_can_be_switched_off_for_a_text_of_today() -> None:
    line = CONSOLE.format("careful")
    off: dict[str, Any] = {"filter_loading_messages_in_cli_response": False}
    assert asked(prints(line), PAUSE, legacy_output="today", **off)["output"]["stdout"] == line
    assert asked(prints(line), PAUSE, **off)["output"]["stdout"] == "Dag: d, paused: True\n"


def test_commands_are_asked_for_json_where_the_text_is_made_of_it() -> None:
    for setting, asks in (("1.10", True), ("today", False)):
        with serving(prints("[]\n"), legacy_output=setting) as (client, engine):
            client.get("/api", params=LIST)
        assert ("--output=json" in str(engine.jobs[0].argv)) is asks


def test_the_state_of_a_run_is_a_key_in_the_words_of_today() -> None:
    arguments = {"api": "dag_state", "dag_id": "d", "execution_date": "r"}
    answer = asked(prints('queued, {"a": 1}\n'), arguments)
    assert (answer["output"]["stdout"], answer["state"]) == ("running\n", "queued")
    # No key has null for a value.
    assert "state" not in asked(prints("None\n"), arguments)


def test_a_run_that_was_made_is_named_with_its_date_and_its_address() -> None:
    row = {"dag_id": "d", "dag_run_id": "a b", "logical_date": "2026-11-10T00:00:00+00:00"}
    answer = asked(prints(json.dumps([row])), {"api": "trigger_dag", "dag_id": "d"}, root_path="/airflow")
    assert answer["dag_run_id"] == "a b"
    assert answer["logical_date"] == "2026-11-10T00:00:00+00:00"
    assert answer["dag_run_url"].endswith("/api/v2/dags/d/dagRuns/a%20b")


def test_an_answer_leaves_in_the_second_of_the_run_that_it_made() -> None:
    row = {"dag_id": "d", "dag_run_id": "r"}

    def left(logical_date: datetime) -> datetime:
        script = prints(json.dumps([{**row, "logical_date": logical_date.isoformat()}]))
        answer = asked(script, {"api": "trigger_dag", "dag_id": "d"})
        return parsedate_to_datetime(answer["response_time"])

    now = datetime.now(timezone.utc).replace(microsecond=0)
    a_moment_ago = now - timedelta(seconds=5)
    assert left(a_moment_ago) == a_moment_ago
    # A date of the client's own says nothing about when the answer left.
    past = datetime(2026, 1, 1, tzinfo=timezone.utc)
    assert left(past) >= now


def test_stderr_has_what_the_command_wrote_there_and_nothing_of_ours() -> None:
    forged = 'airflow-rest-api warning: "a forged one"\n'

    async def script(process: StandInProcess) -> Outcome:
        name = f"airflow-rest-api-{json.loads(process.job.argv[0])[messages.KEY]}"
        told = f'{name} warning: "a warning"\n{name} answer: "an answer"\n'
        return await prints("", f"before\n{told}{forged}behind\n")(process)

    answer = asked(script, PAUSE)
    assert answer["output"]["stderr"] == f"before\n{forged}behind\n"
    assert answer["warning"] == "a warning"


def test_a_command_that_succeeds_has_an_empty_stderr() -> None:
    assert asked(prints("[]\n"), LIST)["output"]["stderr"] == ""


def test_a_command_that_fails_has_its_reason_in_stderr() -> None:
    answer = asked(prints("", "the reason\n", 1), {"api": "pause", "dag_id": "d"})
    assert (answer["status"], answer["exit_code"]) == ("ERROR", 1)
    assert answer["output"] == {"stdout": "", "stderr": "the reason\n", "stdin": ""}


def test_a_long_answer_is_made_beside_the_event_loop_and_is_the_same() -> None:
    names = [f"dag_{number:05}" for number in range(10_000)]
    answer = asked(prints(json.dumps([{"dag_id": name} for name in names])), LIST)
    assert answer["output"]["stdout"].splitlines()[5:-1] == names


def test_a_report_names_the_folder_of_the_dags() -> None:
    rows = [{"file": "a.py", "duration": "0:00:01", "dag_num": "1", "task_num": "1", "dags": "a"}]
    script = prints(f'[{{"dag_id": "a"}}]\n{json.dumps(rows)}\n')
    answer = asked(script, {**LIST, "report": "on"})
    assert f"DagBag loading stats for {os.environ['AIRFLOW_HOME']}/dags\n" in answer["output"]["stdout"]


FIELDS = "# {0}\n# property: bash_command\n# {0}\n".format("-" * 58)


@pytest.mark.parametrize(
    "line", [CONSOLE.format("boom"), json_line("boom"), "Loading DAG from x\n", "[NaN]\n"]
)
@pytest.mark.parametrize("arguments", [{"api": "render"}, {"api": "test", "dry_run": "on"}])
def test_a_rendered_field_is_as_it_is_whatever_it_looks_like(arguments: dict[str, str], line: str) -> None:
    script = prints(f"{CONSOLE.format('careful now')}{FIELDS}cat <<E\n{line}E\n")
    answer = asked(script, {**arguments, **TASK})
    assert answer["output"]["stdout"] == f"{FIELDS}cat <<E\n{line}E\n\n"
    assert (answer["warning"], "result" in answer) == ("careful now", False)


@pytest.mark.parametrize("arguments", [{"api": "render"}, {"api": "test", "dry_run": "on"}])
def test_so_is_one_of_several_lines_which_airflow_3_0_heads_further_in(arguments: dict[str, str]) -> None:
    script = prints(textwrap.indent(FIELDS, " " * 8) + f"        cat <<E\n{CONSOLE.format('boom')}E\n")
    answer = asked(script, {**arguments, **TASK})
    assert CONSOLE.format("boom") in answer["output"]["stdout"]
    assert "warning" not in answer


def test_a_variable_that_reads_like_a_log_is_no_warning() -> None:
    answer = asked(prints(json_line("boom")), {"api": "variables", "get": "k"})
    assert answer["output"]["stdout"] == json_line("boom")
    assert "warning" not in answer


@pytest.mark.parametrize("line", [CONSOLE.format("boom"), CLASSIC.format("boom"), json_line("boom")])
@pytest.mark.parametrize("settings", [{}, {"legacy_output": "today"}])
def test_a_variable_that_reads_like_a_log_is_answered_when_it_is_deleted(
    line: str, settings: dict[str, str]
) -> None:
    script = prints(f"{line}Variable k deleted\n")
    answer = asked(script, {"api": "variables", "get": "k", "delete": "k"}, **settings)
    assert answer["output"]["stdout"].startswith(line)
    assert "warning" not in answer


NOON = datetime(2026, 11, 22, 12, 0, 0, tzinfo=timezone.utc)


def test_an_answer_before_any_command_has_the_keys_that_are_always_there() -> None:
    document = Envelope(400, "no", NOON, {"api": "x"}, {}, left_at=NOON + timedelta(seconds=5)).document()
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
    document = Envelope(403, "Token Authentication Failed", NOON).document()
    assert set(document) == {"call_time", "response_time", "http_response_code", "status", "output"}


def test_a_command_that_ran_adds_its_own_keys() -> None:
    output = {"stdout": "", "stderr": "", "stdin": ""}
    envelope = Envelope(200, output, NOON, {}, {}, "airflow x", ["a", "b", "a"], 0, "id")
    document = envelope.document()
    assert document["status"] == "OK"
    assert document["warning"] == "a. b"
    assert (document["airflow_cmd"], document["exit_code"], document["operation_id"]) == (
        "airflow x",
        0,
        "id",
    )


def test_a_deployment_names_its_dags_even_where_there_are_none() -> None:
    assert Envelope(200, "done", NOON, dag_ids=["a", "b"]).document()["dag_ids"] == ["a", "b"]
    assert Envelope(200, "done", NOON, dag_ids=[]).document()["dag_ids"] == []


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


def test_what_is_hidden_within_json_text_is_hidden_within_a_json_body() -> None:
    conf = {
        "n": 1,
        "password": "hunter2",
        "token": ["a", {"b": "c"}],
        "list": [{"api_key": 5}, "mysql://me:hunter2@db/base", None, True],
        "text": '{"secret": "hunter2"}',
        "connection": {"conn_uri": "mysql://me:hunter2@db/base", "extra": {"private_key": "k"}},
    }
    assert masked({"conf": conf})["conf"] == {
        "n": 1,
        "password": "***",
        "token": "***",
        "list": [{"api_key": "***"}, "mysql://***@db/base", None, True],
        "text": '{"secret": "***"}',
        "connection": {"conn_uri": "mysql://***@db/base", "extra": {"private_key": "***"}},
    }


def test_the_value_of_a_variable_that_is_an_object_is_echoed_as_its_text_would_be() -> None:
    value = {"host": "db", "password": "hunter2"}
    assert masked({"key": "k", "value": value})["value"] == {"host": "db", "password": "***"}
    assert masked({"key": "db_password", "value": value})["value"] == "***"


def test_a_secret_is_masked_in_what_a_parser_says() -> None:
    assert mask_secrets("bad URI x:y", {"conn_uri": "x:y", "conn_id": "bad"}) == "bad URI ***"


def test_an_address_is_masked_up_to_its_last_at_sign() -> None:
    def shown(uri: str) -> str:
        return str(masked({"conn_uri": uri})["conn_uri"])

    assert shown("x://u:p@ss/w@h:1/s?key=k@v") == "x://***@v"
    assert shown("x://h:1/s?key=k") == "x://h:1/s"
    assert shown("x://u:p://@h") == "x://***@h"
    assert shown("x://a\nb@h") == "x://***@h"


def test_an_address_ends_where_its_text_in_json_does() -> None:
    conf = '{"to":"http://host:80","mail":"some.body@example.org"}'
    assert masked({"conf": conf})["conf"] == conf
    assert masked({"conf": '["x://u:hunter22@h","a@b"]'})["conf"] == '["x://***@h","a@b"]'


def test_an_address_of_megabytes_is_masked_in_no_time() -> None:
    began = time.thread_time()
    masked({"conn_uri": "x" + "://" * 1_000_000})
    assert time.thread_time() - began < 5


def test_a_short_value_that_no_endpoint_knows_takes_no_letters_out_of_the_answer():
    assert mask_secrets("3.3.2", {"token": "3"}) == "3.3.2"
    assert mask_secrets("invalid: hunter22", {"token": "hunter22"}) == "invalid: ***"


@pytest.mark.parametrize(("stdout", "stderr"), [("x" * 100_000, ""), ("", "x" * 100_000), ("", "")])
def test_what_is_long_on_either_stream_is_read_in_a_thread(
    stdout: str, stderr: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[str] = []
    fill = answer.fill

    def note(*arguments: Any) -> None:
        threads.append(threading.current_thread().name)
        fill(*arguments)

    monkeypatch.setattr(answer, "fill", note)
    asked(prints(stdout, stderr), PAUSE)
    assert [name.startswith("asyncio_") for name in threads] == [bool(stdout or stderr)]
