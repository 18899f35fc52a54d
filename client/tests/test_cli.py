from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_rest_client import ApiError, Client, DeploymentFailed
from airflow_rest_client.cli import OWN, exits, main
from airflow_rest_client.cli.deploy import findings
from airflow_rest_client.exchanges import address
from airflow_rest_client.instances import Instance, Instances

from .conftest import BODY, ETAG, Keyring, Reply, Server, event, events, operation, output
from .terminal import typed_at

RUN = "/admin/rest_api/v2/run"
FILES = f"/admin/rest_api/v2/operations/{'0' * 32}/files"


def ends(exit_code: int | None = 0, *before: bytes, state: str | None = None, **more: Any) -> Reply:
    state = state or ("succeeded" if exit_code == 0 else "failed")
    return events(*before, event("end", operation(state, exit_code, **more)))


def answers(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))


def test_each_stream_and_the_exit_code_are_the_commands(signed_in: Server, capfd: pytest.CaptureFixture[str]):
    signed_in.on("POST", RUN, ends(3, output("é\n"), output("err\n", "stderr", 2)))

    assert main(["version"]) == 3
    assert capfd.readouterr() == ("é\n", "err\n")
    assert signed_in.sent(RUN)[0].json == {"argv": ["version"]}


def test_a_command_costs_one_request_once_the_commands_are_known(signed_in: Server):
    signed_in.on("POST", RUN, ends())
    main(["version"])
    before = len(signed_in.asked)
    main(["version"])

    assert (before, len(signed_in.asked)) == (2, 3)


def test_another_catalog_is_fetched_for_the_next_command(signed_in: Server):
    signed_in.on("POST", RUN, ends())
    main(["version"])
    signed_in.on("POST", RUN, events(event("end", operation()), **{"Airflow-Catalog": '"two"'}))
    main(["version"])

    catalogs = [asked for asked in signed_in.asked if asked.path.endswith("/catalog")]
    assert [asked.headers.get("if-none-match") for asked in catalogs] == [None, ETAG]


@pytest.mark.parametrize(
    ("effect", "stream", "exit_code", "code"),
    [
        ("read", "stdout", 0, exits.NOT_WRITTEN),
        ("read", "stdout", 3, 3),
        ("read", "stderr", 0, 0),
        ("execute", "stdout", 0, 0),
    ],
)
def test_a_part_of_what_was_asked_for_is_not_taken_for_the_whole(
    signed_in: Server, capfd: pytest.CaptureFixture[str], effect: str, stream: str, exit_code: int, code: int
):
    gap = event("gap", {"stream": stream, "missing": 7})
    signed_in.on("POST", RUN, ends(exit_code, output("["), gap, output("]", number=2), effect=effect))

    assert main(["version"]) == code
    assert (
        capfd.readouterr().err == f"airflow-rest: 7 bytes of {stream} are not kept by the server any more\n"
    )


@pytest.mark.parametrize(("stream", "code"), [("stdout", exits.NOT_WRITTEN), ("stderr", 0)])
def test_a_part_of_the_output_of_an_operation_is_not_taken_for_the_whole(
    signed_in: Server, capfd: pytest.CaptureFixture[str], stream: str, code: int
):
    kept = operation(stdout="[\n… 7 bytes left out …\n]", stderr="err", truncated=True)
    signed_in.on("GET", f"/admin/rest_api/v2/operations/{'0' * 32}", Reply(body=kept))

    assert main(["operations", "output", "0" * 32, "--stream", stream]) == code
    out, err = capfd.readouterr()
    assert out == kept[stream]
    assert err == ("airflow-rest: some of stdout is not kept by the server any more\n" if code else "")


def test_a_catalog_that_cannot_be_had_any_more_is_not_the_end_of_the_command(signed_in: Server):
    signed_in.on("POST", RUN, ends())
    main(["version"])
    for reply in (Reply(503), Reply(0), Reply(body="page")):
        signed_in.on("GET", "/admin/rest_api/v2/catalog", reply)
        signed_in.on(
            "POST", RUN, events(event("end", operation("failed", 3)), **{"Airflow-Catalog": '"two"'})
        )
        assert main(["version"]) == 3


def test_the_servers_parser_decides(signed_in: Server, capfd: pytest.CaptureFixture[str]):
    said = {"detail": {"reason": "bad_argument", "message": "unrecognized arguments: --x", "argument": None}}
    signed_in.on("POST", RUN, Reply(400, said))

    assert main(["dags", "list", "--x"]) == exits.USAGE
    assert capfd.readouterr().err == "airflow dags list command error: unrecognized arguments: --x\n"


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (Reply(401, {"detail": {"reason": "invalid_token", "message": "Expired."}}), exits.NOT_SIGNED_IN),
        (Reply(403, {"detail": {"reason": "forbidden", "message": "No."}}), exits.NOT_ALLOWED),
        (Reply(429, {"detail": {"reason": "busy", "message": "Full."}}), exits.BUSY),
        (Reply(503, {"detail": {"reason": "database_unavailable", "message": "Away."}}), exits.BUSY),
        (Reply(500, {"detail": {"reason": "internal_error", "message": "Oh."}}), exits.SERVER_ERROR),
        (ends(None, state="cancelled", message="Cancelled by ada."), exits.CANCELLED),
        (ends(None, state="timed_out", message="Too long."), exits.TIMED_OUT),
        (ends(None, state="lost", message="Gone."), exits.SERVER_ERROR),
        (ends(-9, message="Killed."), 137),
        (ends(None, state="failed", message="The command was ended by signal SIGKILL."), 137),
        (ends(None, state="failed", message="The command was ended by signal 35."), 163),
        (ends(None, state="failed", message="The disk is full."), 1),
        # `os._exit(0)` in a task.
        (ends(0, state="failed", message="The process ended before the command had."), 1),
        (ends(7), 7),
    ],
)
def test_every_end_has_an_exit_code_and_one_line(
    signed_in: Server, capfd: pytest.CaptureFixture[str], reply: Reply, code: int
):
    signed_in.on("POST", RUN, reply)

    assert main(["version"]) == code
    assert len(capfd.readouterr().err.splitlines()) <= 1


def test_without_an_airflow_it_says_how_to_sign_in(capfd: pytest.CaptureFixture[str]):
    assert main(["version"]) == exits.NOT_SIGNED_IN
    assert "airflow-rest login <URL>" in capfd.readouterr().err


def test_a_server_that_does_not_answer_is_one_line(
    signed_in: Server, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    signed_in.close()
    assert main(["version"]) == exits.UNREACHABLE
    assert len(capfd.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize(
    ("name", "value"), [("SSL_CERT_FILE", "/nonexistent"), ("ALL_PROXY", "socks9://127.0.0.1:1")]
)
def test_a_way_to_the_server_that_cannot_be_used_is_one_line(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str, value: str
):
    monkeypatch.setenv("AIRFLOW_REST_URL", "https://airflow.example.org")
    monkeypatch.setenv(name, value)
    assert main(["version"]) == exits.UNREACHABLE
    assert len(capfd.readouterr().err.splitlines()) == 1


def test_a_file_that_is_read_goes_along(signed_in: Server, tmp_path: Path):
    signed_in.on("POST", RUN, ends())
    path = tmp_path / "vars.json"
    path.write_text('{"a": 1}')

    assert main(["variables", "import", str(path)]) == 0
    body = signed_in.sent(RUN)[0].body.decode()
    assert json.dumps(["variables", "import", str(path)]) in body
    assert 'name="file"' in body
    assert '{"a": 1}' in body
    assert main(["variables", "import", str(tmp_path / "nothing.json")]) == exits.NO_FILE


def test_a_file_that_is_written_comes_back(signed_in: Server, tmp_path: Path):
    path = tmp_path / "vars.json"
    written = [{"argument": "file", "name": "vars.json", "size": 2, "media_type": "application/json"}]
    signed_in.on("POST", RUN, ends(files=written))
    signed_in.on("GET", f"{FILES}/vars.json", Reply(body={}))

    assert main(["variables", "export", str(path)]) == 0
    assert path.read_text() == "{}"


def test_a_file_that_is_there_is_not_overwritten_without_being_told_to(signed_in: Server, tmp_path: Path):
    path = tmp_path / "vars.json"
    path.write_text("mine")
    written = [{"argument": "file", "name": "vars.json", "size": 2, "media_type": "application/json"}]
    signed_in.on("POST", RUN, ends(files=written))
    signed_in.on("GET", f"{FILES}/vars.json", Reply(body={}))

    assert main(["variables", "export", str(path)]) == exits.EXISTS
    assert (path.read_text(), signed_in.sent(RUN)) == ("mine", [])
    assert main(["--overwrite", "variables", "export", str(path)]) == 0
    assert path.read_text() == "{}"
    assert main(["variables", "export", str(tmp_path / "no" / "folder.json")]) == exits.NOT_WRITTEN


def test_what_a_command_wrote_that_failed_comes_back_as_well(signed_in: Server, tmp_path: Path):
    written = [{"argument": "file", "name": "x.json", "size": 2, "media_type": "application/json"}]
    signed_in.on("POST", RUN, ends(3, files=written))
    signed_in.on("GET", f"{FILES}/x.json", Reply(body={}))

    assert main(["variables", "export", str(tmp_path / "x.json")]) == 3
    assert (tmp_path / "x.json").read_text() == "{}"


def test_a_file_that_did_not_come_is_said(
    signed_in: Server, tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    signed_in.on("POST", RUN, ends(warnings=["x.json has 9 bytes, more than max_upload."]))

    assert main(["variables", "export", str(tmp_path / "x.json")]) == exits.NOT_WRITTEN
    assert "more than max_upload" in capfd.readouterr().err


def test_the_page_of_a_proxy_is_no_file(signed_in: Server, tmp_path: Path):
    written = [{"argument": "file", "name": "vars.json", "size": 2, "media_type": "application/json"}]
    signed_in.on("POST", RUN, ends(files=written))
    gone = Reply(404, {"detail": {"reason": "unknown_operation", "message": "There is none."}})
    page = Reply(pieces=[b"<html>Sign in</html>"])
    foreign = exits.UNREACHABLE
    for reply, code in ((Reply(404), foreign), (gone, exits.SERVER_ERROR), (page, foreign)):
        signed_in.on("GET", f"{FILES}/vars.json", reply)
        assert main(["variables", "export", str(tmp_path / "vars.json")]) == code
    assert not (tmp_path / "vars.json").exists()
    signed_in.on("GET", FILES.removesuffix("/files"), Reply(body=operation(files=written)))
    with pytest.raises(ApiError, match="is not the REST API plugin"):
        Client(signed_in.url, "t").operation("0" * 32).download()


def test_a_dash_is_standard_output(signed_in: Server):
    signed_in.on("POST", RUN, ends())
    assert main(["connections", "export", "-"]) == 0
    assert signed_in.sent(RUN)[0].json == {"argv": ["connections", "export", "-"]}


@pytest.mark.parametrize(("typed", "runs"), [("y\n", True), ("Y\n", True), ("n\n", False), ("", False)])
def test_a_question_is_asked_here(signed_in: Server, monkeypatch: pytest.MonkeyPatch, typed: str, runs: bool):
    signed_in.on("POST", RUN, ends())
    answers(monkeypatch, typed)

    assert main(["dags", "delete", "d"]) == (0 if runs else 1)
    assert bool(signed_in.sent(RUN)) is runs


def test_with_yes_or_a_dry_run_nothing_is_asked(signed_in: Server, monkeypatch: pytest.MonkeyPatch):
    signed_in.on("POST", RUN, ends())
    answers(monkeypatch, "")
    assert main(["dags", "delete", "d", "--yes"]) == 0
    assert main(["db", "clean", "--clean-before-timestamp", "2020-01-01", "--dry-run"]) == 0
    assert main(["dags", "pause", "d"]) == 0
    assert main(["dags", "pause", "d", "--treat-dag-id-as-regex"]) == 1


def test_a_password_is_read_where_the_command_would_ask(signed_in: Server, monkeypatch: pytest.MonkeyPatch):
    signed_in.on("POST", RUN, ends())
    answers(monkeypatch, "hunter2\n")
    words = ["users", "create", "-u", "a", "-e", "a@b", "-f", "a", "-l", "b", "-r", "Viewer"]

    assert main(words) == 0
    assert signed_in.sent(RUN)[0].json == {"argv": [*words[:2], "--password=hunter2", *words[2:]]}
    answers(monkeypatch, "")
    assert main([*words, "--use-random-password"]) == 0


def test_what_was_answered_is_not_asked_again_with_the_commands_of_now(
    signed_in: Server, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    main(["dags"])
    said = {"detail": {"reason": "bad_argument", "message": "no such thing", "argument": None}}
    signed_in.on("POST", RUN, Reply(400, said))
    for number, (words, answer) in enumerate(
        (
            (["--ask", "conn-password", "connections", "add", "c", "--conn-type", "http"], "hush\n"),
            (["db", "clean", "--clean-before-timestamp", "2020-01-01"], "y\n"),
        )
    ):
        signed_in.on("GET", "/admin/rest_api/v2/catalog", Reply(body=BODY, headers={"ETag": f'"{number}"'}))
        answers(monkeypatch, answer)
        assert main(words) == exits.USAGE
        first, second = signed_in.sent(RUN)[-2:]
        assert first.json == second.json
        assert "no such thing" in capfd.readouterr().err


def test_any_argument_can_be_asked_for(signed_in: Server, monkeypatch: pytest.MonkeyPatch):
    signed_in.on("POST", RUN, ends())
    answers(monkeypatch, "hunter2\n")

    assert main(["--ask", "conn-password", "connections", "add", "c", "--conn-type", "http"]) == 0
    assert "--conn-password=hunter2" in signed_in.sent(RUN)[0].json["argv"]
    answers(monkeypatch, "hunter2\n")
    assert main(["--ask", "nothing", "connections", "add", "c"]) == exits.USAGE


def test_detached_it_prints_the_id_and_leaves(signed_in: Server, capfd: pytest.CaptureFixture[str]):
    signed_in.on("POST", RUN, Reply(202, operation("running", None)))

    assert main(["--detach", "version"]) == 0
    assert capfd.readouterr().out == "0" * 32 + "\n"
    assert signed_in.sent(RUN)[0].headers["prefer"] == "respond-async"


def test_a_queue_and_a_host_are_named_to_the_server(signed_in: Server):
    signed_in.on("POST", RUN, ends())
    signed_in.on("POST", "/admin/rest_api/v2/services", Reply(201, {"id": "s", "state": "running"}))

    assert main(["--queue", "heavy", "version"]) == 0
    assert signed_in.sent(RUN)[0].headers["airflow-queue"] == "heavy"
    assert main(["services", "start", "triggerer", "--on-host", "worker-1"]) == 0
    [started] = signed_in.sent("/admin/rest_api/v2/services")
    assert started.json["host"] == "worker-1"
    assert "airflow-queue" not in started.headers


def test_help_is_made_here(signed_in: Server, capfd: pytest.CaptureFixture[str]):
    assert main(["dags", "list", "--help"]) == 0
    assert "usage: airflow-rest dags list" in capfd.readouterr().out
    assert main(["dags"]) == exits.USAGE
    assert "trigger" in capfd.readouterr().out
    assert main(["--help"]) == 0
    out = capfd.readouterr().out
    assert all(name in out for name in (*OWN, "variables"))
    assert signed_in.sent(RUN) == []


def test_an_option_that_there_is_not_is_said(capfd: pytest.CaptureFixture[str]):
    assert main(["--nothing", "version"]) == exits.USAGE
    assert main(["--instance"]) == exits.USAGE


def test_a_file_that_is_not_there_is_not_deployed(
    signed_in: Server, capfd: pytest.CaptureFixture[str], tmp_path: Path
):
    assert main(["deploy", str(tmp_path / "missing.py")]) == exits.NO_FILE
    assert "missing.py" in capfd.readouterr().err


@pytest.mark.parametrize("queue", ["größe", "a\nb"])
def test_a_queue_that_no_header_can_name_is_refused(
    signed_in: Server, queue: str, capfd: pytest.CaptureFixture[str], tmp_path: Path
):
    file = tmp_path / "variables.json"
    file.write_text("{}")
    # The second with a file, which another library sends.
    for words in (["dags", "list"], ["variables", "import", str(file)]):
        assert main(["--queue", queue, *words]) == exits.USAGE
        assert "cannot be sent" in capfd.readouterr().err


def test_a_header_that_cannot_have_this_name_is_refused(
    server: Server, home: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    for name in ("größe", "a b"):
        answers(monkeypatch, "of-the-site\nhunter2\n")
        words = ["login", server.url, "--username", "ada", "--header-token", "--header-name", name]
        assert main(words) == exits.USAGE
        assert "cannot be sent" in capfd.readouterr().err
    assert not (home / "instances.json").exists()


def test_signing_in_keeps_tokens_and_no_password(
    server: Server, home: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    server.on("POST", "/api/v1/security/login", Reply(201, {"access_token": "t", "refresh_token": "r"}))
    server.on("POST", RUN, ends())
    answers(monkeypatch, "hunter2\n")

    assert main(["login", f"{server.url}/admin/rest_api/", "--username", "ada", "--name", "here"]) == 0
    assert "Airflow 3.3.2" in capfd.readouterr().out
    kept = (home / "instances.json").read_text()
    assert ('"r"' in kept, "hunter2" in kept) == (True, False)
    assert main(["version"]) == 0
    assert main(["-i", "here", "version"]) == 0
    assert main(["logout"]) == 0
    assert server.sent(RUN)[-1].headers["authorization"] == "Bearer t"


def test_who_signs_in_again_need_not_say_again_where_and_how(
    server: Server,
    keyring: Keyring,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
):
    server.on("POST", "/api/v1/security/login", Reply(201, {"access_token": "t-1", "refresh_token": "r-1"}))
    more = ["--provider", "ldap", "--header-token", "--header-name", "x-site", "--keyring"]
    answers(monkeypatch, "of-the-site\nhunter2\n")
    assert main(["login", server.url, "--name", "here", "--username", "ada", *more]) == 0

    server.on("POST", "/api/v1/security/login", Reply(201, {"access_token": "t-2", "refresh_token": "r-2"}))
    answers(monkeypatch, "of-the-site\nhunter2\n")
    assert main(["login", "--name", "here", "--header-token"]) == 0
    asked = server.sent("/api/v1/security/login")[-1]
    assert (asked.json["username"], asked.json["provider"]) == ("ada", "ldap")
    assert asked.headers["x-site"] == "of-the-site"
    assert "r-2" in keyring.kept["airflow-rest", "here"]
    assert "r-2" not in (home / "instances.json").read_text()

    assert main(["logout", "here"]) == 0
    assert keyring.kept == {}
    capfd.readouterr()
    assert main(["instances", "list"]) == 0
    assert capfd.readouterr().out.splitlines()[1].split() == ["*", "here", server.url, "ada", "no"]
    answers(monkeypatch, "hunter2\n")
    assert main(["login", "--name", "here"]) == 0
    assert "r-2" in keyring.kept["airflow-rest", "here"]
    assert "r-2" not in (home / "instances.json").read_text()

    answers(monkeypatch, "hunter2\n")
    assert main(["login", "--name", "here", "--no-keyring"]) == 0
    assert keyring.kept == {}
    assert "r-2" in (home / "instances.json").read_text()


@pytest.mark.parametrize("before", [["--instance", "two"], []])
def test_who_signs_in_does_so_at_the_instance_that_commands_are_for(
    server: Server, monkeypatch: pytest.MonkeyPatch, before: list[str]
):
    server.on("POST", "/api/v1/security/login", Reply(201, {"access_token": "t"}))
    Instances().save(Instance("one", "http://127.0.0.1:1", username="ada"))
    Instances().save(Instance("two", server.url, username="bob"))
    monkeypatch.setenv("AIRFLOW_REST_INSTANCE", "one" if before else "two")
    answers(monkeypatch, "hunter2\n")

    assert main([*before, "login"]) == 0
    assert server.sent("/api/v1/security/login")[0].json["username"] == "bob"
    assert (Instances().get("one").token, Instances().get("two").token) == (None, "t")


def test_a_keyring_that_cannot_be_used_is_one_line(
    server: Server, keyring: Keyring, capfd: pytest.CaptureFixture[str]
):
    Instances().save(Instance("one", server.url, token="t", keyring=True))
    keyring.fault = RuntimeError("it is locked")

    assert main(["dags", "list"]) == exits.NOT_SIGNED_IN
    assert "it is locked" in capfd.readouterr().err
    assert main(["instances", "default", "one"]) == 0
    assert main(["instances", "remove", "one"]) == 0
    assert "of one is still there" in capfd.readouterr().err


def test_a_sign_in_that_fails_keeps_nothing(server: Server, home: Path, monkeypatch: pytest.MonkeyPatch):
    server.on("POST", "/api/v1/security/login", Reply(401, {"message": "Not authorized"}))
    answers(monkeypatch, "wrong\n")

    assert main(["login", server.url, "--username", "ada"]) == exits.NOT_SIGNED_IN
    assert not (home / "instances.json").exists()


def test_findings_have_file_and_line_as_compilers_and_github_write_them():
    report = {
        "errors": [{"file": "team/a.py", "line": 2, "message": "ZeroDivisionError: 1%\n2"}],
        "duplicates": [{"dag_id": "d", "file": "team/b.py", "owner": "dags-folder:c.py"}],
        "warnings": ["odd"],
    }
    assert list(findings(report, "text", "dags", "team")) == [
        "dags/a.py:2: ZeroDivisionError: 1%\n2",
        "dags/b.py: The DAG d is defined in dags-folder:c.py as well",
        "warning: odd",
    ]
    assert list(findings(report, "github", "dags", "team")) == [
        "::error file=dags/a.py,line=2::ZeroDivisionError: 1%25%0A2",
        "::error file=dags/b.py::The DAG d is defined in dags-folder:c.py as well",
        "::warning::odd",
    ]


@pytest.mark.parametrize(
    ("more", "places"), [([], ["a/one.py", "b/two.py"]), (["--root", "c"], ["c/one.py", "c/two.py"])]
)
def test_findings_name_each_file_where_it_is(
    signed_in: Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    more: list[str],
    places: list[str],
):
    paths = [Path("a", "one.py"), Path("b", "two.py")]
    monkeypatch.chdir(tmp_path)
    for path in paths:
        path.parent.mkdir()
        path.touch()
    report = {"errors": [{"file": f"team/{path.name}", "line": 2, "message": "Oh."} for path in paths]}
    failed = operation("failed", 1, command="deploy_dag", result=report)
    signed_in.on("POST", "/admin/rest_api/v2/dag-files", Reply(202, operation("running", None)))
    signed_in.on("GET", f"{FILES.removesuffix('/files')}/events", events(event("end", failed)))

    assert main(["deploy", "--folder", "team", *more, *map(str, paths)]) == 1
    assert capfd.readouterr().out.splitlines() == [f"{place}:2: Oh." for place in places]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["da"], ["dags"]),
        (["dags", "tr"], ["trigger"]),
        (["variables", ""], ["export", "import"]),
        (["dags", "list", "-o", "j"], ["json"]),
        (["dags", "list", "--bun"], ["--bundle-name"]),
        (["dags", "trigger", "da"], ["daily"]),
        (["tasks", "test", "daily", ""], ["greet"]),
        (["pools", "get", ""], ["default_pool"]),
        (["operations", "f"], ["follow"]),
    ],
)
def test_completion_knows_commands_flags_and_objects(
    signed_in: Server, capfd: pytest.CaptureFixture[str], words: list[str], found: list[str]
):
    signed_in.on("GET", "/api/v2/dags", Reply(body={"dags": [{"dag_id": "daily"}], "total_entries": 1}))
    signed_in.on("GET", "/api/v2/dags/daily/tasks", Reply(body={"tasks": [{"task_id": "greet"}]}))
    signed_in.on("GET", "/api/v2/pools", Reply(body={"pools": [{"name": "default_pool"}]}))

    assert main(["__complete", *words]) == 0
    assert capfd.readouterr().out.split() == found


def test_every_exit_code_of_our_own_has_a_meaning():
    own = {value for name, value in vars(exits).items() if name.isupper() and isinstance(value, int)}
    assert own - {exits.USAGE} == set(exits.MEANINGS)


@pytest.mark.parametrize("name", ["/tmp/evil", "../evil", "..", "a\\evil", "C:evil"])
def test_where_files_go_is_said_here_and_not_by_the_server(signed_in: Server, tmp_path: Path, name: str):
    (tmp_path / "below").mkdir()
    files = [{"argument": "file", "name": one, "size": 2, "media_type": "x/y"} for one in ("ok.json", name)]
    signed_in.on("POST", RUN, ends(files=files))
    signed_in.on("GET", f"{FILES}/ok.json", Reply(body={}))

    assert main(["variables", "export", str(tmp_path / "below" / "out.json")]) == exits.NOT_WRITTEN
    assert [path.name for path in (tmp_path / "below").iterdir()] == ["ok.json"]
    assert not (tmp_path / "evil").exists()
    assert not Path("/tmp/evil").exists()


@pytest.mark.parametrize(
    "words",
    [
        ["-i", "", "version"],
        ["--instance=", "version"],
        ["deploy", ""],
        ["operations", "show", ""],
        ["instances", "default", ""],
        ["operations", "list", "--limit", "-5"],
        ["dags", "details", "\udcff"],
    ],
)
def test_an_argument_that_is_empty_or_no_text_is_refused(signed_in: Server, words: list[str]):
    try:
        code = main(words)
    except SystemExit as end:
        code = int(str(end.code))
    assert code == exits.USAGE
    assert [asked for asked in signed_in.asked if asked.method == "POST"] == []


def test_a_file_without_a_name_or_at_the_end_of_a_dangling_link_is_refused(signed_in: Server, tmp_path: Path):
    signed_in.on("POST", RUN, ends())
    (tmp_path / "link").symlink_to("nothing")
    assert main(["variables", "import", ""]) == exits.NO_FILE
    for name in ("", f"{tmp_path}/", f"{tmp_path}/new/", f"{tmp_path}/link"):
        assert main(["variables", "export", name]) == exits.EXISTS
    assert main(["variables", "export", "x" * 300]) == exits.NOT_WRITTEN
    assert signed_in.sent(RUN) == []


def test_a_folder_below_dev_has_files_like_any_other(
    signed_in: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    written = [{"argument": "file", "name": "out", "size": 2, "media_type": "application/json"}]
    signed_in.on("POST", RUN, ends(files=written))
    signed_in.on("GET", f"{FILES}/out", Reply(body={}))
    path = Path("/dev/shm") / tmp_path.parent.name / tmp_path.name
    if not path.parent.parent.is_dir():
        pytest.skip("no such folder here")
    path.parent.mkdir(exist_ok=True)
    try:
        codes = [
            main(words)
            for words in (
                ["variables", "export", str(path)],
                ["variables", "export", str(path)],
                ["--overwrite", "variables", "export", str(path)],
            )
        ]
        assert (codes, path.read_text()) == ([0, exits.EXISTS, 0], "{}")
    finally:
        shutil.rmtree(path.parent)


@pytest.mark.parametrize("reply", [Reply(body=[1]), Reply(body={"a": 1}), Reply(body="page"), Reply(302)])
def test_another_server_is_said_to_be_one(server: Server, monkeypatch: pytest.MonkeyPatch, reply: Reply):
    server.on("GET", "/admin/rest_api/v2/catalog", reply)
    server.on("GET", "/admin/rest_api/v2/operations", reply)
    monkeypatch.setenv("AIRFLOW_REST_URL", server.url)
    monkeypatch.setenv("AIRFLOW_REST_TOKEN", "t")
    for words in (["version"], ["operations", "list"]):
        assert main(words) == exits.UNREACHABLE


@pytest.mark.parametrize(
    "url",
    ["http://[::1", "http://a:99999", "http://a:b", "http://a..b", "http://ä", "ftp://a", "http://u:p@a", ""],
)
def test_what_is_no_address_is_refused(url: str):
    with pytest.raises(ValueError, match=r"is no address|user or a password"):
        address(url)


def test_what_a_server_says_does_not_steer_a_terminal(signed_in: Server, capfd: pytest.CaptureFixture[str]):
    evil = "\x1b[31mred\x1b]0;title\x07"
    signed_in.on("POST", RUN, Reply(500, {"detail": {"reason": "x", "message": evil}}))
    main(["version"])
    shown = f"/admin/rest_api/v2/operations/{'0' * 32}"
    more = {"user": evil, "host": "h", "created_at": "x", "finished_at": None}
    signed_in.on("GET", shown, Reply(body=operation(message=evil, **more)))
    main(["operations", "show", "0" * 32])

    out, err = capfd.readouterr()
    assert "\x1b" not in out + err
    assert "red" in out


@pytest.mark.parametrize(
    "page",
    ["", "/", "/admin/rest_api/", "/admin/rest_api/docs#x", "/plugin/rest-api", "/plugin/rest-api?page=dags"],
)
@pytest.mark.parametrize("base", ["https://a.example", "http://[::1]:8080/airflow"])
def test_the_address_of_the_page_is_that_of_its_server(base: str, page: str):
    assert address(f" {base}{page}\n") == base


PROGRAM = "import sys; from airflow_rest_client.cli import main; sys.exit(main())"


def held(*pieces: bytes) -> Reply:
    """Return a stream that goes on and says nothing more."""

    def stream() -> Iterator[bytes]:
        yield from pieces
        time.sleep(20)

    return Reply(headers=dict(events().headers), pieces=stream(), cut=True)  # type: ignore[arg-type]


def runs_on(server: Server, folder: Path) -> str:
    """Have a command, and the deployment of `d.py` in a folder, begin; return the path of its cancel."""
    path = f"/admin/rest_api/v2/operations/{'0' * 32}"
    running = operation("running", None, cancel_message="")
    server.on("POST", RUN, held(event("state", running), output("begun\n")))
    server.on("POST", "/admin/rest_api/v2/dag-files", Reply(202, running))
    server.on("GET", f"{path}/events", held(event("progress", {"step": "begun"}, "1")))
    server.on("POST", f"{path}/cancel", Reply(202, running))
    (folder / "d.py").touch()
    return f"{path}/cancel"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
@pytest.mark.parametrize(
    ("signals", "code"),
    [([signal.SIGTERM], 143), ([signal.SIGHUP], 129), ([signal.SIGINT, signal.SIGINT], 130)],
)
@pytest.mark.parametrize("words", [["version"], ["deploy", "d.py"]])
def test_a_signal_cancels_at_the_server(
    signed_in: Server, tmp_path: Path, words: list[str], signals: list[signal.Signals], code: int
):
    cancel = runs_on(signed_in, tmp_path)
    begun = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=tmp_path,
    )
    assert begun.stdout is not None
    while b"begun" not in begun.stdout.readline():
        assert begun.poll() is None
    for number in signals if words[0] == "version" else signals[:1]:
        begun.send_signal(number)
        time.sleep(0.3)
    begun.wait(10)
    begun.stdout.close()

    assert begun.returncode == code
    assert signed_in.sent(cancel)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is full")
@pytest.mark.parametrize("words", [["version"], ["deploy", "d.py"]])
def test_a_command_whose_output_has_no_room_is_cancelled(signed_in: Server, tmp_path: Path, words: list[str]):
    cancel = runs_on(signed_in, tmp_path)
    with open("/dev/full", "w") as full:
        line = [sys.executable, "-c", PROGRAM, *words]
        done = subprocess.run(line, stdout=full, stderr=full, cwd=tmp_path, timeout=30, check=False)

    assert done.returncode != 0
    assert signed_in.sent(cancel)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
def test_ctrl_c_while_a_file_is_fetched_is_no_cancel(signed_in: Server, tmp_path: Path):
    written = [{"argument": "file", "name": "vars.json", "size": 2, "media_type": "application/json"}]
    signed_in.on("POST", RUN, ends(files=written))
    signed_in.on("GET", f"{FILES}/vars.json", held(b"{"))
    line = [sys.executable, "-c", PROGRAM, "variables", "export", str(tmp_path / "vars.json")]
    begun = subprocess.Popen(line, stderr=subprocess.PIPE, text=True)
    while not signed_in.sent(f"{FILES}/vars.json"):
        assert begun.poll() is None
        time.sleep(0.05)
    begun.send_signal(signal.SIGINT)
    _, said = begun.communicate(timeout=10)

    assert (begun.returncode, said) == (exits.CANCELLED, "airflow-rest: interrupted\n")
    assert not [asked for asked in signed_in.asked if asked.path.endswith("/cancel")]


def test_a_closed_or_a_full_output_is_no_traceback(signed_in: Server):
    signed_in.on("POST", RUN, ends(0, output("text\n")))
    for shell, code in (
        (f"{sys.executable} -c '{PROGRAM}' version > /dev/full", exits.NOT_WRITTEN),
        (f"{sys.executable} -c '{PROGRAM}' version >&-", 0),
        (f"{sys.executable} -c '{PROGRAM}' version 2>&-", 0),
    ):
        done = subprocess.run(["sh", "-c", shell], capture_output=True, text=True, check=False, timeout=30)
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr


def at_a_terminal(*words: str, typed: bytes) -> tuple[int, str]:
    """Return the exit code and all that a terminal shows of a command line at which somebody types."""
    return typed_at([sys.executable, "-c", PROGRAM, *words], typed, prompt=b": ")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such terminals")
@pytest.mark.parametrize(
    ("typed", "said"), [(b"\x04", "nothing was given"), (b"p\xe9\n", "not valid Unicode text")]
)
def test_an_answer_that_is_none_is_one_line(
    signed_in: Server, monkeypatch: pytest.MonkeyPatch, typed: bytes, said: str
):
    monkeypatch.setenv("PYTHONUTF8", "1")
    add = ["--ask", "conn-password", "connections", "add", "c", "--conn-type", "http"]
    code, shown = at_a_terminal(*add, typed=typed)
    assert (code, "Traceback" in shown, said in shown) == (exits.USAGE, False, True)

    piped = typed.strip(b"\x04\n")
    for words in (add, ["db", "clean", "--clean-before-timestamp", "2020-01-01"]):
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, *words], input=piped, capture_output=True, check=False
        )
        assert (done.returncode, b"Traceback" in done.stderr) == (
            exits.USAGE if words is add else 1,
            False,
        )
    assert signed_in.sent(RUN) == []


def test_json_is_json_whatever_a_terminal_can_show(signed_in: Server):
    found = [operation(message="é 😀")]
    signed_in.on("GET", "/admin/rest_api/v2/operations", Reply(body={"operations": found, "next": None}))
    for encoding in ("ascii", "cp1252", "utf-8"):
        line = [sys.executable, "-c", PROGRAM, "operations", "list", "-o", "json"]
        env = {**os.environ, "PYTHONIOENCODING": encoding}
        done = subprocess.run(line, env=env, capture_output=True, check=True)
        assert json.loads(done.stdout.decode(encoding)) == found


def test_the_output_of_a_rerun_is_whole_however_soon_it_ends(
    signed_in: Server, capfd: pytest.CaptureFixture[str]
):
    path = f"/admin/rest_api/v2/operations/{'0' * 32}"
    signed_in.on("GET", path, Reply(body=operation()))
    signed_in.on("POST", f"{path}/run-again", Reply(body=operation(stdout="out\n", stderr="err\n")))
    signed_in.on("GET", f"{path}/events", ends(0, output("out\n"), output("err\n", "stderr", 2)))

    assert main(["operations", "rerun", "0" * 32]) == 0
    assert capfd.readouterr() == ("out\n", "err\n")


def test_a_deployment_that_failed_before_it_was_sent_again_shows_its_findings(
    signed_in: Server, tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    path = f"/admin/rest_api/v2/operations/{'0' * 32}"
    report = {"errors": [{"file": "d.py", "line": 3, "message": "Oh."}]}
    detail = {"reason": "import_errors", "message": "d.py: Oh.", "id": "0" * 32, "report": report}
    failed = operation("failed", 1, command="deploy_dag", result=report)
    (tmp_path / "d.py").touch()
    signed_in.on("POST", "/admin/rest_api/v2/dag-files", Reply(0), Reply(422, {"detail": detail}))
    signed_in.on("GET", path, Reply(body=failed))
    signed_in.on("GET", f"{path}/events", events(event("end", failed)))

    assert main(["deploy", str(tmp_path / "d.py")]) == 1
    assert capfd.readouterr().out == f"{tmp_path}/d.py:3: Oh.\n"
    signed_in.on("POST", "/admin/rest_api/v2/dag-files", Reply(502), Reply(422, {"detail": detail}))
    with pytest.raises(DeploymentFailed) as ended:
        Client(signed_in.url, "t").deploy(tmp_path / "d.py")
    assert ended.value.report == report


def test_what_files_print_is_shown_to_its_end(
    signed_in: Server, tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    path = f"/admin/rest_api/v2/operations/{'0' * 32}"
    (tmp_path / "d.py").touch()
    signed_in.on("POST", "/admin/rest_api/v2/dag-files", Reply(202, operation("running", None)))
    signed_in.on("GET", f"{path}/events", ends(0, output("one\ntwo"), result={"bundle": "dags"}))

    assert main(["deploy", str(tmp_path / "d.py")]) == 0
    assert capfd.readouterr().err == "| one\n| two\n"


def test_a_command_that_is_followed_no_more_says_how_it_can_be(
    signed_in: Server, tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    path = f"/admin/rest_api/v2/operations/{'0' * 32}"
    (tmp_path / "d.py").touch()
    begun = event("state", operation("running", None))
    expired = Reply(401, {"detail": {"reason": "invalid_token", "message": "Expired."}})
    gone = Reply(404, {"detail": {"reason": "unknown_operation", "message": "There is none."}})
    for words in (["version"], ["deploy", str(tmp_path / "d.py")]):
        for reply, code, hints in (
            (expired, exits.NOT_SIGNED_IN, True),
            (gone, exits.SERVER_ERROR, False),
            # Those of a proxy: no such place, a page for the time of an upgrade, a place to sign in at.
            (Reply(404), exits.UNREACHABLE, True),
            (Reply(body="page"), exits.UNREACHABLE, True),
            (Reply(302), exits.UNREACHABLE, True),
        ):
            signed_in.on("POST", RUN, events(begun, cut=True))
            signed_in.on("POST", "/admin/rest_api/v2/dag-files", Reply(202, operation("running", None)))
            signed_in.on("GET", f"{path}/events", reply)
            assert main(words) == code
            assert (f"operations follow {'0' * 32}" in capfd.readouterr().err) is hints


def test_a_start_that_nothing_has_answered_says_where_to_look_for_it(
    signed_in: Server, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    monkeypatch.setattr("airflow_rest_client.following.GATEWAY_FOR", 0.3)
    signed_in.on("POST", RUN, Reply(504))
    assert main(["version"]) == exits.UNREACHABLE
    assert "operations list shows whether the command had begun" in capfd.readouterr().err.splitlines()[1]

    refused = {"detail": {"reason": "bad_argument", "message": "unrecognized arguments: --x"}}
    signed_in.on("POST", RUN, Reply(504), Reply(400, refused))
    assert main(["version", "--x"]) == exits.USAGE
    assert len(capfd.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize("what", ["show", "output", "rerun", "follow"])
def test_a_look_at_an_operation_does_not_wait_for_a_server_that_is_not_there(
    signed_in: Server, what: str, capfd: pytest.CaptureFixture[str]
):
    signed_in.answers.append(lambda asked: Reply(503))
    assert main(["operations", what, "0" * 32]) == exits.BUSY
    signed_in.close()
    assert main(["operations", what, "0" * 32]) == exits.UNREACHABLE


def test_a_file_that_cannot_be_fetched_does_not_hide_how_the_command_ended(
    signed_in: Server, tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    files = [
        {"argument": "file", "name": one, "size": 2, "media_type": "x/y"} for one in ("a.json", "b.json")
    ]
    signed_in.on("POST", RUN, ends(3, files=files))
    signed_in.on("GET", f"{FILES}/a.json", Reply(500))
    signed_in.on("GET", f"{FILES}/b.json", Reply(body={}))

    assert main(["variables", "export", str(tmp_path / "a.json")]) == 3
    assert [path.name for path in tmp_path.iterdir() if path.suffix] == ["b.json"]
    assert f"operation {'0' * 32} has it" in capfd.readouterr().err


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limits")
def test_of_a_file_for_which_there_is_no_room_nothing_is_left(signed_in: Server, tmp_path: Path):
    written = [{"argument": "file", "name": "vars.json", "size": 9000, "media_type": "application/json"}]
    signed_in.on("POST", RUN, ends(files=written))
    signed_in.on("GET", f"{FILES}/vars.json", Reply(body="x" * 8998))
    main(["version"])
    program = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000)); {PROGRAM}"
    line = [sys.executable, "-c", program, "variables", "export", str(tmp_path / "vars.json")]
    done = subprocess.run(line, capture_output=True, text=True, check=False)

    assert (done.returncode, "cannot be written" in done.stderr) == (exits.NOT_WRITTEN, True)
    assert not (tmp_path / "vars.json").exists()


def test_who_is_named_by_the_environment_is_not_sent_to_what_it_goes_before(
    signed_in: Server, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    expired = Reply(401, {"detail": {"reason": "invalid_token", "message": "Expired."}})
    signed_in.on("POST", RUN, expired)
    assert main(["version"]) == exits.NOT_SIGNED_IN
    assert "AIRFLOW_REST_TOKEN" in capfd.readouterr().err
    Instances().save(Instance("one", signed_in.url, token="t"))
    monkeypatch.delenv("AIRFLOW_REST_URL")
    assert main(["version"]) == exits.NOT_SIGNED_IN
    assert (
        capfd.readouterr().err == "airflow-rest: not signed in: Expired. Sign in with: airflow-rest login\n"
    )
