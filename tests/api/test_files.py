from __future__ import annotations

from pathlib import Path

import pytest

from airflow_rest_api.engine.job import Ending, Outcome
from tests.standin import StandInProcess, prints, serving


async def writes(process: StandInProcess) -> Outcome:
    Path(process.job.argv[-1]).write_bytes(b'{"a": 1}')
    return Outcome(Ending.EXITED, 0)


async def reads(process: StandInProcess) -> Outcome:
    path = Path(process.job.argv[-1])
    process.stdout.add(path.name.encode() + b": " + path.read_bytes())
    return Outcome(Ending.EXITED, 0)


def test_a_file_is_sent_as_a_part_called_like_the_argument():
    with serving(reads) as (client, _):
        answer = client.post(
            "/v2/commands/variables/import",
            files={"file": ("../my vars.yaml", b"a: b")},
            data={"action_on_existing_key": "skip", "verbose": "true"},
        )

    assert answer.status_code == 200, answer.text
    assert answer.json()["stdout"] == "my_vars.yaml: a: b"
    assert {"--action-on-existing-key=skip", "--verbose"} <= set(answer.json()["argv"])


@pytest.mark.parametrize("path", ["/etc/passwd", "p.json"])
def test_a_path_in_place_of_a_file_is_refused(path: str):
    with serving() as (client, engine):
        by_name = client.post("/v2/commands/pools/import", json={"file": path})
        by_line = client.post("/v2/run", json={"argv": ["pools", "import", path]})

    assert (by_name.status_code, by_name.json()["detail"]["argument"]) == (400, "file")
    assert (by_line.status_code, by_line.json()["detail"]["argument"]) == (400, "file")
    assert engine.jobs == []


@pytest.mark.parametrize("path", ["pools/export", "version", "dags/pause"])
def test_a_file_for_an_argument_that_takes_none_is_refused(path: str):
    with serving() as (client, engine):
        answer = client.post(f"/v2/commands/{path}", files={"file": b"x"}, data={"dag_id": "x"})

    assert (answer.status_code, answer.json()["detail"]["argument"]) == (400, "file")
    assert engine.jobs == []


def test_two_files_for_one_argument_are_refused():
    with serving() as (client, engine):
        answer = client.post("/v2/commands/pools/import", files=[("file", b"x"), ("file", b"y")])

    assert (answer.status_code, answer.json()["detail"]["argument"]) == (400, "file")
    assert engine.jobs == []


@pytest.mark.parametrize(
    ("path", "body", "name"),
    [
        ("pools/export", {}, "pools-export.json"),
        ("pools/export", {"file": "mine.json"}, "mine.json"),
        ("pools/export", {"file": "/etc/passwd"}, "passwd"),
        ("pools/export", {"file": "../../x"}, "x"),
        ("connections/export", {"file_format": "yaml"}, "connections-export.yaml"),
    ],
)
def test_a_file_that_was_written_can_be_downloaded(path: str, body: dict[str, str], name: str):
    with serving(writes) as (client, engine):
        operation = client.post(f"/v2/commands/{path}", json=body).json()
        file = client.get(f"/v2/operations/{operation['id']}/files/{name}")
        missing = client.get(f"/v2/operations/{operation['id']}/files/other")

    assert [(f["argument"], f["name"], f["size"]) for f in operation["files"]] == [("file", name, 8)]
    assert (file.status_code, file.content) == (200, b'{"a": 1}')
    assert file.headers["Content-Disposition"] == f"attachment; filename*=UTF-8''{name}"
    assert file.headers["X-Content-Type-Options"] == "nosniff"
    assert (missing.status_code, missing.json()["detail"]["reason"]) == (404, "unknown_file")
    assert not Path(engine.jobs[0].argv[-1]).exists()


def test_the_file_itself_is_the_answer_for_those_who_ask_for_bytes():
    with serving(writes) as (client, _):
        answer = client.post("/v2/commands/pools/export", headers={"Accept": "application/octet-stream"})

    assert (answer.status_code, answer.content) == (200, b'{"a": 1}')
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert "pools-export.json" in answer.headers["Content-Disposition"]


JSON, OCTETS = "application/json", "application/octet-stream"


@pytest.mark.parametrize(
    ("accept", "found"),
    [
        (f"{JSON}, {OCTETS}", JSON),
        (f"{OCTETS}, {JSON}", JSON),
        (f"{JSON}, {OCTETS};q=0.5", JSON),
        (f"*/*, {OCTETS};q=0.5", JSON),
        (f"{OCTETS};q=0", JSON),
        (f"{OCTETS}, {JSON};q=0.9", OCTETS),
        (f"{OCTETS}, */*", OCTETS),
    ],
)
def test_the_file_is_the_answer_where_it_is_wanted_more_than_json(accept: str, found: str):
    with serving(writes) as (client, _):
        answer = client.post("/v2/commands/pools/export", headers={"Accept": accept})

    assert (answer.status_code, answer.headers["Content-Type"]) == (200, found)


@pytest.mark.parametrize("others", [JSON, f"{JSON};q=0.1", "application/*", "*/*;q=0.1"])
@pytest.mark.parametrize("exit_code", [0, 1])
def test_who_takes_json_as_well_is_answered_with_it_where_there_is_no_file(others: str, exit_code: int):
    with serving(prints(exit_code=exit_code)) as (client, _):
        answer = client.post("/v2/run", json={"argv": ["version"]}, headers={"Accept": f"{OCTETS}, {others}"})

    assert (answer.status_code, answer.json()["exit_code"]) == (200, exit_code)


def test_no_file_is_told_apart_from_an_empty_one():
    with serving(prints(exit_code=1)) as (client, _):
        answer = client.post("/v2/commands/pools/export", headers={"Accept": "application/octet-stream"})

    detail = answer.json()["detail"]
    assert (answer.status_code, detail["reason"]) == (409, "no_file")
    assert "has not succeeded (state failed)" in detail["message"]


def test_a_command_line_may_come_with_files():
    with serving(reads) as (client, _):
        answer = client.post(
            "/v2/run",
            data={"argv": '["pools", "import", "as-named-here.json"]'},
            files={"file": ("p.json", b"{}")},
        )
        stray = client.post("/v2/run", data={"argv": '["version"]'}, files={"file": b"{}"})

    assert answer.json()["stdout"] == "p.json: {}"
    assert (stray.status_code, stray.json()["detail"]["argument"]) == (400, "file")


def test_a_file_that_a_command_line_names_is_a_download():
    with serving(writes) as (client, _):
        operation = client.post("/v2/run", json={"argv": ["variables", "export", "/tmp/v.json"]}).json()

    assert [file["name"] for file in operation["files"]] == ["v.json"]
