from __future__ import annotations

from urllib.parse import unquote

import jsonschema
import pytest

from airflow_rest_api.commands.catalog import load_catalog
from airflow_rest_api.engine.job import Ending, Outcome
from tests.standin import StandInProcess, bearer, prints, serving, until_cancelled


def test_all_commands_are_listed_with_what_the_caller_may():
    with serving(user="viewer") as (client, _):
        body = client.get("/v2/commands").json()

    listed = {entry["name"]: entry for entry in body["commands"]}
    assert list(listed) == list(load_catalog().commands)
    assert body["total_entries"] == len(listed)
    assert (listed["dags list"]["allowed"], listed["dags delete"]["allowed"]) == (True, False)
    assert listed["dags list"]["path"] == "dags/list"


@pytest.mark.slow
def test_the_catalog_says_why_a_command_cannot_be_run_as_running_it_would():
    for user in ("viewer", "op", "admin"):
        with serving(user=user) as (client, engine):
            listed = client.get("/v2/commands").json()["commands"]
            for one in listed:
                assert (one["refusal"] is None) is one["allowed"], one["name"]
                if one["refusal"] is None:
                    continue
                answer = client.post(f"/v2/commands/{one['path']}", json={})
                told = {name: value for name, value in one["refusal"].items() if value is not None}
                assert (answer.status_code, answer.json()["detail"]) == (403, told)
                assert client.get(f"/v2/commands/{one['path']}").json()["refusal"] == one["refusal"]
            assert engine.jobs == []
    # An administrator lacks no permission: what they may not run is switched off.
    assert {one["refusal"]["reason"] for one in listed if one["refusal"]} == {"switched_off"}
    refused = {one["name"]: one["refusal"] for one in listed if one["refusal"]}
    assert refused["db clean"]["setting"] == "enabled_commands = *, db clean"


def test_the_list_can_be_narrowed():
    with serving() as (client, _):
        named = [
            entry["name"] for entry in client.get("/v2/commands", params={"q": "POOLS"}).json()["commands"]
        ]
        effects = {e["effect"] for e in client.get("/v2/commands?effect=destructive").json()["commands"]}
        wrong = client.get("/v2/commands?effect=nothing")

    assert "pools list" in named
    assert "dags list" not in named
    assert effects == {"destructive"}
    assert (wrong.status_code, wrong.json()["detail"]["argument"]) == (400, "effect")


def test_a_command_is_described():
    with serving(user="viewer") as (client, _):
        body = client.get("/v2/commands/dags/list").json()

    assert (body["name"], body["effect"], body["allowed"]) == ("dags list", "read", True)
    assert body["needs"] == ["permission to read each DAG listed (the others are left out)"]
    assert body["arguments"]["properties"]["output"]["enum"] == ["table", "json", "yaml", "plain"]


@pytest.mark.slow
def test_every_description_is_a_json_schema_and_its_defaults_fit():
    with serving() as (client, _):
        for command in load_catalog().commands.values():
            schema = client.get(f"/v2/commands/{'/'.join(command.path)}").json()["arguments"]
            jsonschema.Draft202012Validator.check_schema(schema)
            for name, property_ in schema["properties"].items():
                if "x-default" in property_:
                    jsonschema.validate(property_["x-default"], property_), name


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_unknown_command_is_answered_with_the_nearest_names(method: str):
    with serving(user="viewer") as (client, _):
        answer = client.request(method, "/v2/commands/dags/lst")

    assert answer.status_code == 404
    assert answer.json()["detail"]["reason"] == "unknown_command"
    assert "dags list" in answer.json()["detail"]["nearest"]


def test_arguments_by_name_become_a_command_line_that_asks_for_json():
    with serving(prints('[{"a": 1}]')) as (client, engine):
        answer = client.post("/v2/commands/dags/list-runs", json={"dag_id": "--yes", "state": "failed"})

    assert answer.status_code == 200
    body = answer.json()
    assert (body["state"], body["result"], body["user"], body["exit_code"]) == (
        "succeeded",
        [{"a": 1}],
        "admin",
        0,
    )
    assert "--output=json" in engine.jobs[0].argv
    # The value that looks like an option stays a value.
    assert "--yes" not in engine.jobs[0].argv[: engine.jobs[0].argv.index("--")]
    assert engine.jobs[0].argv[-1] == "--yes"


def test_a_failed_command_is_a_successful_request():
    with serving(prints(stderr="no such dag", exit_code=1)) as (client, _):
        answer = client.post("/v2/commands/dags/details", json={"dag_id": "x"})

    assert (answer.status_code, answer.json()["state"], answer.json()["stderr"]) == (
        200,
        "failed",
        "no such dag",
    )


@pytest.mark.parametrize(
    ("body", "argument", "words"),
    [
        ({}, "dag_id", "required"),
        ({"dag_id": "a", "nonsense": 1}, "nonsense", "unrecognized"),
        ({"dag_id": "a", "output": "xml"}, "output", "invalid choice"),
        ({"dag_id": "a\0b"}, "dag_id", ""),
    ],
)
def test_a_bad_argument_is_named_in_the_parsers_words(body: dict[str, object], argument: str, words: str):
    with serving() as (client, engine):
        answer = client.post("/v2/commands/dags/details", json=body)

    detail = answer.json()["detail"]
    assert (answer.status_code, detail["reason"], detail["argument"]) == (400, "bad_argument", argument)
    assert words in detail["message"]
    assert engine.jobs == []


def test_a_refusal_in_the_process_itself_is_a_bad_request_in_its_words():
    async def refuses(process: StandInProcess) -> Outcome:
        return Outcome(Ending.USAGE, 2, None, "argument x: too new for us")

    with serving(refuses) as (client, _):
        answer = client.post("/v2/commands/version")
        operation = client.get(f"/v2/operations/{answer.json()['detail']['id']}").json()

    assert (answer.status_code, answer.json()["detail"]["message"]) == (400, "argument x: too new for us")
    assert (operation["state"], operation["exit_code"]) == ("failed", 2)


@pytest.mark.parametrize("content", [{}, {"content": b""}, {"content": b"  \n"}, {"json": {}}])
def test_a_body_may_be_left_out(content: dict[str, object]):
    with serving() as (client, engine):
        answer = client.post("/v2/commands/version", **content)  # type: ignore[arg-type]

    assert answer.status_code == 200, answer.text
    assert engine.jobs[0].argv == ["version"]


@pytest.mark.parametrize(
    ("kind", "content", "status", "reason"),
    [
        ("application/json", b"{", 400, "bad_json"),
        ("application/json", b"\xff\xfe", 400, "bad_json"),
        ("application/json", b"[1]", 400, "bad_json"),
        ("application/json", b"null", 400, "bad_json"),
        ("application/json", b'{"a":' + b"[" * 100_000, 400, "bad_json"),
        ("application/json", b'{"a":' + b"9" * 5000 + b"}", 400, "bad_json"),
        ("text/plain", b"{}", 415, "unsupported_media_type"),
        ("application/x-www-form-urlencoded", b"a=b", 415, "unsupported_media_type"),
        ("", b"{}", 415, "unsupported_media_type"),
        ("multipart/form-data", b"{}", 400, "bad_request"),
        ("multipart/form-data; boundary=x", b"nonsense", 400, "bad_request"),
    ],
)
def test_a_body_that_is_not_what_it_says_is_refused(kind: str, content: bytes, status: int, reason: str):
    with serving() as (client, engine):
        answer = client.post("/v2/commands/version", content=content, headers={"Content-Type": kind})

    assert (answer.status_code, answer.json()["detail"]["reason"]) == (status, reason)
    assert engine.jobs == []


def test_a_form_that_was_cut_off_is_refused_and_not_run_with_arguments_missing():
    part = '--x\r\nContent-Disposition: form-data; name="{}"\r\n\r\n{}'
    content = part.format("dag_id", "a\r\n") + part.format("task_regex", "only_this_ta")
    with serving() as (client, engine):
        headers = {"Content-Type": "multipart/form-data; boundary=x"}
        answer = client.post("/v2/commands/tasks/clear", content=content, headers=headers)

    assert (answer.status_code, answer.json()["detail"]["reason"]) == (400, "bad_request")
    assert "last boundary" in answer.json()["detail"]["message"]
    assert engine.jobs == []


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    "path",
    [
        "v2/commands//dags/list",
        "v2/commands/dags//list",
        "v2/commands/dags%20list",
        "v2/commands/dags/list/",
        "v2/commands/dags%2Flist",
        "v2/commands/dags/%6cist",
        "v2/%63ommands/dags/list",
        "air%20flow/admin/rest%5Fapi/v2/commands/dags/list",
    ],
)
def test_a_command_has_one_path(method: str, path: str):
    with serving(root_path="/air flow/admin/rest_api") as (client, engine):
        answer = client.request(method, f"/{path}")

    assert (answer.status_code, answer.json()["detail"]["reason"]) == (404, "unknown_command")
    assert engine.jobs == []


@pytest.mark.parametrize("prefix", ["", "/air%20flow/admin/rest_api"])
def test_and_that_is_found_below_whatever_prefix(prefix: str):
    with serving(root_path=unquote(prefix)) as (client, engine):
        assert client.get(f"{prefix}/v2/commands/dags/list").status_code == 200
        assert client.post(f"{prefix}/v2/commands/dags/list?a=%20").status_code == 200

    assert len(engine.jobs) == 1


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("kind", ["application/json", "multipart/form-data; boundary=x"])
def test_a_body_that_is_too_large_is_refused(kind: str, chunked: bool):
    part = b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n'
    content = (part if "multipart" in kind else b"") + b" " * 5000

    with serving(max_upload=2000) as (client, engine):
        sent = iter([content[:1000], content[1000:]]) if chunked else content
        answer = client.post("/v2/commands/version", content=sent, headers={"Content-Type": kind})

    assert (answer.status_code, answer.json()["detail"]["reason"]) == (413, "too_large")
    assert engine.jobs == []


def test_those_who_may_not_are_told_what_is_missing_and_nothing_of_their_arguments():
    with serving(user="op", enabled_commands="dags *") as (client, engine):
        answer = client.post("/v2/commands/dags/delete", json={"nonsense": 1})

    assert (answer.status_code, answer.json()["detail"]["reason"]) == (403, "forbidden")
    assert "administrator" in answer.json()["detail"]["message"]
    assert engine.jobs == []


@pytest.mark.parametrize(("prefer", "applied"), [("respond-async", "respond-async"), ("wait=0", "wait=0")])
def test_a_client_that_does_not_want_to_wait_is_sent_to_the_operation(prefer: str, applied: str):
    with serving(until_cancelled, root_path="/airflow/admin/rest_api") as (client, _):
        answer = client.post("/v2/commands/version", headers={"Prefer": prefer})

    assert (answer.status_code, answer.headers["Preference-Applied"]) == (202, applied)
    assert answer.headers["Location"] == f"/airflow/admin/rest_api/v2/operations/{answer.json()['id']}"
    assert answer.json()["state"] in ("queued", "running")


def test_without_a_preference_the_default_wait_counts():
    with serving(until_cancelled, default_wait=0) as (client, _):
        answer = client.post("/v2/commands/version")

    assert answer.status_code == 202
    assert "Preference-Applied" not in answer.headers


def test_too_many_commands_are_sent_away_for_a_while():
    with serving() as (client, engine):
        engine.busy = True
        answer = client.post("/v2/commands/version")

    assert (answer.status_code, answer.headers["Retry-After"], answer.json()["detail"]["reason"]) == (
        429,
        "7",
        "busy",
    )


@pytest.mark.parametrize("path", ["commands/version", "run"])
def test_a_full_server_without_runners_reads_no_body(path: str):
    with serving() as (client, engine):
        engine.busy = True
        answer = client.post(f"/v2/{path}", content=b"no JSON", headers={"Content-Type": "application/json"})

    assert answer.status_code == 429


@pytest.mark.usefixtures("fernet_key")
@pytest.mark.parametrize(
    ("placement", "path", "body"),
    [
        ("* = pool", "commands/version", {}),
        ("execute = pool", "commands/dags/list", {"local": True}),
        ("dag-files = pool", "commands/dags/list", {"bundle_name": ["b"]}),
        ("", "commands/version", {"queue": "pool"}),
        ("* = pool", "run", {"argv": ["version"]}),
        ("", "run", {"argv": ["version"], "queue": "pool"}),
    ],
)
def test_what_a_runner_runs_is_not_sent_away_because_this_server_is_full(
    placement: str, path: str, body: dict[str, object]
):
    with serving(placement=placement) as (client, engine):
        engine.busy = True
        answer = client.post(f"/v2/{path}", json=body, headers={"Prefer": "respond-async"})

    assert answer.status_code == 202, answer.text


@pytest.mark.usefixtures("fernet_key")
@pytest.mark.parametrize("body", [{"local": False}, {"queue": "local"}, {}])
def test_what_this_server_runs_is_sent_away_where_runners_run_other_commands(body: dict[str, object]):
    with serving(placement="execute = pool") as (client, engine):
        engine.busy = True
        answer = client.post("/v2/commands/dags/list", json=body)

    assert answer.json()["detail"]["reason"] == "busy"


@pytest.mark.parametrize(
    ("path", "body"),
    [("run", {"argv": ["version"]}), ("commands/version", {}), ("services", {"kind": "triggerer"})],
)
def test_a_queue_in_the_body_and_another_one_in_the_header_are_refused(path: str, body: dict[str, object]):
    with serving() as (client, engine):
        answers = [
            client.post(f"/v2/{path}", json={**body, "queue": queue}, headers={"Airflow-Queue": "local"})
            for queue in ("dags", "", "Local")
        ]

    assert [(one.status_code, one.json()["detail"]["argument"]) for one in answers] == [(400, "queue")] * 3
    assert engine.jobs == []


@pytest.mark.parametrize("queue", ["local", " local "])
def test_a_queue_may_be_named_in_the_body_and_in_the_header(queue: str):
    with serving() as (client, _):
        body = {"argv": ["version"], "queue": queue}
        answer = client.post("/v2/run", json=body, headers={"Airflow-Queue": "local"})

    assert answer.status_code == 200, answer.text


def test_a_file_to_be_written_is_not_required_where_arguments_have_names():
    with serving() as (client, _):
        commands = {one["name"]: one for one in client.get("/v2/commands").json()["commands"]}

    def required(command: str) -> list[str]:
        return [one["name"] for one in commands[command]["arguments"] if one["required"]]

    assert required("pools export") == required("variables export") == []
    assert required("pools import") == ["file"]
    assert required("dags pause") == ["dag_id"]


def test_what_nobody_foresaw_is_answered_with_an_id_that_is_in_the_log(caplog: pytest.LogCaptureFixture):
    with serving() as (client, engine):
        engine.submit = lambda job: 1 / 0  # type: ignore[assignment, method-assign, return-value]
        answer = client.post("/v2/commands/version")

    detail = answer.json()["detail"]
    assert (answer.status_code, detail["reason"]) == (500, "internal_error")
    assert "division" not in answer.text
    assert detail["id"] in caplog.text


def test_numbers_and_surrogates_that_json_cannot_hold_do_not_break_the_answer():
    with serving(prints('[NaN, Infinity, "\\ud800"]')) as (client, _):
        answer = client.post("/v2/commands/dags/list", headers=bearer("viewer"))

    assert answer.status_code == 200
    assert answer.json()["result"][2] == "\ud800"


def test_answers_are_not_kept_by_anybody():
    with serving() as (client, _):
        answers = [client.get("/v2/commands"), client.get("/nothing"), client.get("/docs")]

    assert {(a.headers["Cache-Control"], a.headers["X-Content-Type-Options"]) for a in answers} == {
        ("no-store", "nosniff")
    }


def test_a_command_line_is_run_as_it_is():
    with serving(prints("a table")) as (client, engine):
        body = client.post("/v2/run", json={"argv": ["dags", "list", "-o", "plain"]}).json()

    assert (body["command"], body["stdout"], body["result"]) == ("dags list", "a table", None)
    assert engine.jobs[0].argv == ["dags", "list", "--output=plain"]


@pytest.mark.parametrize(
    "body",
    [{}, {"argv": []}, {"argv": "version"}, {"argv": [1]}, {"argv": None}, {"argv": ["version"], "x": 1}],
)
def test_what_is_no_list_of_words_is_refused(body: dict[str, object]):
    with serving() as (client, engine):
        answer = client.post("/v2/run", json=body)

    assert (answer.status_code, answer.json()["detail"]["reason"]) == (400, "bad_request")
    assert engine.jobs == []


@pytest.mark.parametrize("field", ["version", "[", '"version"', "[" * 100_000])
def test_the_field_of_a_form_holds_the_list_as_json(field: str):
    with serving() as (client, engine):
        answer = client.post("/v2/run", files={"argv": (None, field)})

    assert answer.status_code == 400
    assert engine.jobs == []


@pytest.mark.parametrize(
    ("argv", "status", "reason"),
    [
        (["nothing"], 404, "unknown_command"),
        (["dags"], 404, "unknown_command"),
        (["-h"], 400, "bad_argument"),
        (["dags", "list", "--help"], 400, "bad_argument"),
        (["dags", "list", "--nonsense"], 400, "bad_argument"),
        (["version", "\0"], 400, "bad_argument"),
        (["pools", "get"], 400, "bad_argument"),
    ],
)
def test_a_command_line_that_cannot_be_run_is_refused(argv: list[str], status: int, reason: str):
    with serving() as (client, engine):
        answer = client.post("/v2/run", json={"argv": argv})

    assert (answer.status_code, answer.json()["detail"]["reason"]) == (status, reason)
    assert engine.jobs == []


def test_the_client_says_how_long_to_wait():
    with serving(until_cancelled) as (client, _):
        answer = client.post("/v2/run", json={"argv": ["version"]}, headers={"Prefer": "respond-async"})

    assert answer.status_code == 202
