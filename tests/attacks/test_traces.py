"""Planted secrets, and the traces that they must not leave; and the traces that there must be."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from airflow_rest_api.airflow.event_log import LONGEST_ROW
from airflow_rest_api.security.audit import ONE_BY_ONE
from tests.server.conftest import Client, family
from tests.stacks import Stack

pytestmark = pytest.mark.airflow

PLANTED = "pl4nted-s3cret"
URI = f"postgres://me:{PLANTED}-in-uri@db.example/base?password={PLANTED}-in-query"


def requests(admin: Client, legacy: httpx.Client) -> list[httpx.Response]:
    """Send the secret in every way that there is."""
    extra = {"password": f"{PLANTED}-extra", "host": "shown"}
    document = {"conn_type": "postgres", "password": f"{PLANTED}-json", "extra": extra}
    form = {"api": "connections", "add": "on", "conn_id": "by_form", "conn_uri": URI}
    return [
        admin.command("connections/add", conn_id="by_uri", conn_uri=URI),
        admin.command("connections/add", conn_id="by_json", conn_json=document),
        admin.command(
            "connections/add",
            conn_id="by_parts",
            conn_type="postgres",
            conn_password=f"{PLANTED}-password",
            conn_extra=json.dumps(extra),
        ),
        admin.command("variables/set", key="my_password", value=f"{PLANTED}-variable"),
        admin.line("variables", "set", "api_key", f"{PLANTED}-line"),
        admin.command("dags/trigger", dag_id="attacked", conf={"token": f"{PLANTED}-conf"}),
        # Refused by the parser, by the command, and by the permissions.
        admin.line("connections", "add", "x", "--conn-uri", URI, "--no-such"),
        admin.command("connections/add", conn_id="by_uri", conn_uri=URI),
        admin.command("users/create", password=f"{PLANTED}-user", username="u"),
        legacy.get("api", params={**form, "conn_id": "by_query"}),
        legacy.post("api", data=form),
        legacy.get("api", params={**form, "conn_id": "by_parts_1x", "conn_extra": json.dumps(extra)}),
        legacy.get(
            "api", params={"api": "variables", "cmd": "set", "key": "secret_1x", "value": f"{PLANTED}-1x"}
        ),
        legacy.get("api", params={"api": "nonsense", "conn_uri": URI}),
        httpx.get(f"{legacy.base_url}api", params={**form, "api": "connections"}, timeout=120),
    ]


@pytest.fixture(scope="module")
def answers(admin: Client, legacy: httpx.Client) -> list[httpx.Response]:
    return requests(admin, legacy)


def test_the_secrets_arrived(attacked: Stack, admin: Client, answers: list[httpx.Response]):
    assert [answer.status_code for answer in answers[:6]] == [200] * 6, [a.text for a in answers[:6]]
    assert [answer.json()["state"] for answer in answers[:6]] == ["succeeded"] * 6
    assert [answer.status_code for answer in answers[9:13]] == [200] * 4, [a.text for a in answers[9:13]]
    assert [answer.status_code for answer in answers[13:]] == [400, 401]
    # Shown to somebody who may see them by a command that is there to show them.
    said = admin.command("variables/get", key="my_password").json()
    # This Airflow logs at DEBUG, and its exit handler may get its line in before the output is taken.
    lines = [line for line in said["stdout"].splitlines() if "Disposing DB connection pool" not in line]
    assert lines == [f"{PLANTED}-variable"]
    assert f"{PLANTED}-in-uri" in admin.command("connections/get", conn_id="by_uri").json()["stdout"]


def test_no_answer_repeats_a_secret(answers: list[httpx.Response]):
    for answer in answers:
        assert PLANTED not in answer.text


def test_no_operation_keeps_a_secret(admin: Client, answers: list[httpx.Response]):
    listed = admin.get("/operations", params={"limit": 500}).json()["operations"]
    kept = [one for one in listed if one["command"] not in ("variables get", "connections get")]
    assert len(kept) >= 8
    for operation in kept:
        assert PLANTED not in admin.get(f"/operations/{operation['id']}").text


def test_no_log_file_has_a_secret(attacked: Stack, admin: Client, answers: list[httpx.Response]):
    time.sleep(1)
    files = [path for path in (attacked.home / "logs").rglob("*") if path.is_file()]
    assert any("request finished" in path.read_text() for path in files), "the access log is not here"
    for path in files:
        for line in path.read_text(errors="replace").splitlines():
            assert PLANTED not in line, (path, line)


def rows(attacked: Stack) -> list[dict[str, Any]]:
    with sqlite3.connect(f"file:{attacked.database}?mode=ro", uri=True) as database:
        database.row_factory = sqlite3.Row
        return [dict(row) for row in database.execute("SELECT * FROM log ORDER BY id")]


def until(holds: Any, seconds: float = 60) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := holds()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return found


def test_no_row_of_the_event_log_has_a_secret(attacked: Stack, answers: list[httpx.Response]):
    assert until(lambda: [row for row in rows(attacked) if row["event"] == "rest_api.variables set"])
    for row in rows(attacked):
        assert PLANTED not in json.dumps(row), row


def test_no_process_shows_a_secret_while_its_command_runs(attacked: Stack, admin: Client):
    seen: list[str] = []
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            for process in family(attacked):
                try:
                    words = [*process.cmdline(), *map(str, process.environ().items()), process.name()]
                    title = Path(f"/proc/{process.pid}/comm").read_text()
                except (psutil.Error, OSError):
                    continue
                seen.append(" ".join([*words, title]))

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        for number in range(5):
            admin.command("variables/set", key="shown_password", value=f"{PLANTED}-{number}")
    finally:
        done.set()
        watcher.join()
    assert sum("airflow_rest_api.engine" in words for words in seen) > 5
    assert not any(PLANTED in words for words in seen)


def test_a_command_leaves_one_row_that_the_audit_log_page_shows(attacked: Stack, admin: Client):
    said = admin.command("dags/pause", dag_id="attacked").json()

    def found() -> Any:
        return attacked.get("eventLogs?event=rest_api.dags%20pause&dag_id=attacked")["event_logs"]

    [row] = until(found) or [None]
    extra = json.loads(row["extra"])
    assert (row["owner"], row["dag_id"]) == ("admin", "attacked")
    assert extra["operation_id"] == said["id"]
    assert (extra["state"], extra["exit_code"]) == (said["state"], said["exit_code"])
    assert extra["arguments"] == said["argv"]
    assert extra["address"] == "127.0.0.1"
    assert 0 <= extra["duration"] < 60


def test_a_refusal_leaves_a_row(attacked: Stack, viewer: Client, admin: Client):
    assert viewer.command("variables/set", key="a_password", value=PLANTED).status_code == 403
    assert viewer.line("variables", "set", "a_password", PLANTED).status_code == 403
    headers = {"Authorization": viewer.headers["Authorization"]}
    answer = httpx.get(
        f"{attacked.url}/admin/rest_api/api",
        params={"api": "pause", "dag_id": "attacked"},
        headers=headers,
        timeout=120,
    )
    assert answer.status_code == 403

    def found() -> Any:
        # Other tests share this Airflow, and this user: theirs are other commands.
        expected = {"rest_api.variables set", "rest_api.dags pause"}
        mine = [row for row in rows(attacked) if row["owner"] == "viewer" and row["event"] in expected]
        return mine if len(mine) >= 2 else None

    # The same reason a second time is counted, and its row comes a minute later.
    mine = until(found)
    assert [row["event"] for row in mine] == ["rest_api.variables set", "rest_api.dags pause"]
    assert mine[1]["dag_id"] == "attacked"
    for row in mine:
        extra = json.loads(row["extra"])
        assert extra["state"] == "refused"
        assert PLANTED not in row["extra"]


def test_a_plain_read_leaves_no_row_and_one_that_shows_secrets_does(attacked: Stack, admin: Client):
    before = max((row["id"] for row in rows(attacked)), default=0)
    admin.command("dags/list")
    admin.command("variables/get", key="my_password", default="x")

    def events() -> set[str]:
        return {row["event"] for row in rows(attacked) if row["id"] > before}

    assert until(lambda: "rest_api.variables get" in events())
    assert "rest_api.dags list" not in events()


def sizes(stack: Stack) -> list[tuple[str, int]]:
    """Return the user and the bytes of all texts of each row of Airflow's event log."""
    texts = ("event", "owner", "owner_display_name", "extra", "dag_id", "task_id", "run_id")
    length = " + ".join(f"coalesce(length(CAST({text} AS BLOB)), 0)" for text in texts)
    with sqlite3.connect(f"file:{stack.database}?mode=ro", uri=True) as connection:
        return list(connection.execute(f"SELECT owner, {length} FROM log"))


def test_nobody_fills_the_event_log_with_what_is_refused(attacked: Stack, viewer: Client, admin: Client):
    before = len([owner for owner, _ in sizes(attacked) if owner == "viewer"])
    for number in range(150):
        refused = viewer.command("dags/pause", dag_id=f"dag_{number}")
        assert refused.status_code == 403
        long = viewer.line("variables", "set", f"key_{number}", "x" * 20_000)
        assert long.status_code == 403
    done = admin.command("dags/unpause", dag_id="attacked").json()

    def recorded() -> bool:
        return any(done["id"] in row["extra"] for row in rows(attacked) if row["extra"])

    assert until(recorded)
    found = sizes(attacked)
    # In 300 refusals there may be the end of a minute, with the rows of what was counted in it.
    assert len([owner for owner, _ in found if owner == "viewer"]) - before <= 2 * (2 * ONE_BY_ONE + 1)
    assert max(size for _, size in found) <= LONGEST_ROW


def test_the_rows_that_airflow_writes_for_a_command_are_as_small(attacked: Stack, admin: Client):
    names = [f"bundle_{number}_{'x' * 900}" for number in range(100)]
    assert admin.command("dags/list", bundle_name=names).status_code == 200
    assert any(row["event"].startswith("cli_") and "bundle_0_x" in row["extra"] for row in rows(attacked))
    assert max(size for _, size in sizes(attacked)) <= LONGEST_ROW
