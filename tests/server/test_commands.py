from __future__ import annotations

import concurrent.futures
import contextlib
import json
import os
import signal
import time
from collections import Counter

import httpx
import psutil
import pytest

from tests.server.conftest import API, Client, dag_file, engine, family, parent, wait_gone
from tests.stacks import Stack

pytestmark = pytest.mark.airflow

SLOW = ("tasks", "test", "example_slow", "work", "2024-01-01", "--task-params", '{"seconds": 60}')


def _runs_and_prints(operation: dict[str, object]) -> bool:
    return "of 60 seconds" in str(operation["stdout"])


def test_a_variable_set_through_rest_is_there_for_airflow(stack: Stack, admin: Client):
    said = admin.command("variables/set", key="through_rest", value='it\'s "quoted"; $(ls)\nü').json()

    assert (said["state"], said["exit_code"]) == ("succeeded", 0)
    assert stack.get("variables/through_rest")["value"] == 'it\'s "quoted"; $(ls)\nü'


def test_a_run_triggered_through_rest_is_airflows(stack: Stack, admin: Client):
    conf = {"name": "Grace", "list": [1, 2]}
    said = admin.command("dags/trigger", dag_id="example_template", run_id="by_rest", conf=conf).json()

    assert said["result"][0]["dag_run_id"] == "by_rest"
    run = stack.get("dags/example_template/dagRuns/by_rest")
    assert run["conf"] == conf


def test_a_value_that_looks_like_an_option_is_a_value(stack: Stack, admin: Client):
    said = admin.command("variables/set", key="--help", value="--json").json()

    assert said["state"] == "succeeded", said
    assert admin.command("variables/get", key="--help").json()["stdout"] == "--json\n"


def test_more_than_a_megabyte_makes_the_round_trip(admin: Client):
    # Output is dropped in blocks of 16 KiB: a little more than the limit is kept whole.
    value = "m" * (2**20 + 2**16)

    assert admin.command("variables/set", key="large", value=value).json()["state"] == "succeeded"
    said = admin.command("variables/get", key="large").json()
    assert said["truncated"]
    assert said["stdout"].startswith("mmm")


def test_a_character_that_no_argument_can_hold_is_refused_by_name(admin: Client):
    answer = admin.command("variables/set", key="nul", value="a\0b")

    assert answer.status_code == 400
    assert answer.json()["detail"]["argument"] == "value"


def test_variables_are_imported_from_an_upload_and_exported_as_a_download(stack: Stack, admin: Client):
    content = json.dumps({"uploaded": "yes"})
    upload = {"file": ("vars.json", content, "application/json")}
    said = admin.post("/commands/variables/import", files=upload).json()
    assert said["state"] == "succeeded", said
    assert stack.get("variables/uploaded")["value"] == "yes"

    said = admin.command("variables/export").json()
    name = said["files"][0]["name"]
    file = admin.get(f"/operations/{said['id']}/files/{name}")
    assert file.json()["uploaded"] == "yes"
    assert "attachment" in file.headers["content-disposition"]


@pytest.mark.parametrize("kind", ["connections", "pools"])
def test_the_other_exports_can_be_imported_again(admin: Client, kind: str):
    said = admin.command(f"{kind}/export", file="all.json").json()
    content = admin.get(f"/operations/{said['id']}/files/all.json").content

    again = admin.post(f"/commands/{kind}/import", files={"file": ("all.json", content)}).json()
    assert again["state"] == "succeeded", again


def test_an_edited_dag_file_is_seen_by_the_very_next_command(stack: Stack, admin: Client):
    file = dag_file(stack, "example_template")
    before = file.read_text()
    assert "greet" in admin.command("tasks/list", dag_id="example_template").json()["stdout"]
    file.write_text(before.replace('task_id="greet"', 'task_id="salute"'))
    try:
        assert "salute" in admin.command("tasks/list", dag_id="example_template").json()["stdout"]
    finally:
        file.write_text(before)


def test_a_slow_command_is_answered_with_its_address_and_can_be_cancelled(admin: Client):
    answer = admin.line(*SLOW, Prefer="respond-async")
    assert answer.status_code == 202
    assert answer.headers["location"] == f"/airflow{API}/operations/{answer.json()['id']}"

    said = admin.until(answer.json()["id"], _runs_and_prints)
    assert said["state"] == "running"
    cancelled = admin.post(f"/operations/{said['id']}/cancel").json()
    assert cancelled["id"] == said["id"]
    said = admin.until(str(said["id"]), lambda operation: operation["finished_at"])
    assert said["state"] == "cancelled"


def test_a_client_that_hangs_up_does_not_stop_its_command(stack: Stack, admin: Client):
    line = (*SLOW[:4], "2024-01-02", "--task-params", '{"seconds": 3}')
    with Client(stack) as impatient:
        impatient.timeout = httpx.Timeout(1.0)
        with pytest.raises(httpx.ReadTimeout):
            impatient.line(*line)

    deadline = time.monotonic() + 60
    mine: list[dict[str, object]] = []
    while not mine and time.monotonic() < deadline:
        listed = admin.get("/operations", params={"command": "tasks test"}).json()["operations"]
        mine = [operation for operation in listed if "2024-01-02" in operation["argv"]]
    said = admin.until(str(mine[0]["id"]), lambda operation: operation["finished_at"])
    assert said["state"] == "succeeded"


def test_when_the_warm_parent_is_killed_the_caller_is_told_and_the_next_call_works(
    stack: Stack, admin: Client
):
    running = admin.line(*SLOW, Prefer="respond-async").json()
    admin.until(running["id"], _runs_and_prints)
    before = engine(stack)
    os.kill(parent(stack).pid, signal.SIGKILL)

    said = admin.until(running["id"], lambda operation: operation["finished_at"])
    assert said["state"] == "lost"
    assert "lost" in str(said["message"])
    assert admin.command("version").json()["state"] == "succeeded"
    assert wait_gone(before) == []


def test_who_is_no_administrator_may_read_and_nothing_else(stack: Stack):
    with Client(stack, "viewer") as viewer:
        assert viewer.command("dags/list").status_code == 200
        for path, arguments in (
            ("variables/set", {"key": "a", "value": "b"}),
            ("dags/pause", {"dag_id": "example_slow"}),
            ("connections/export", {}),
            ("dags/list", {"local": True}),
            ("config/list", {"show_values": True}),
        ):
            answer = viewer.command(path, **arguments)
            assert answer.status_code == 403, path
            assert answer.json()["detail"]["message"].startswith("You may not run "), path


def test_without_a_token_nothing_is_told(stack: Stack):
    for method, path in (
        ("GET", "/commands"),
        ("POST", "/commands/version"),
        ("POST", "/run"),
        ("GET", "/operations"),
        ("GET", "/nothing"),
        ("OPTIONS", "/run"),
        ("HEAD", "/commands"),
    ):
        assert httpx.request(method, stack.url + API + path, timeout=120).status_code == 401, path


def test_no_secret_argument_is_kept_or_reaches_airflows_audit_log(stack: Stack, admin: Client):
    secret = "pa55-of-the-audit-test"
    arguments = {"conn_id": "audited", "conn_type": "generic", "conn_extra": {"key": secret}}
    said = admin.command("connections/add", **arguments, conn_password=secret).json()
    assert said["state"] == "succeeded"
    assert secret not in json.dumps(said["argv"])

    events = stack.get("eventLogs?limit=50&order_by=-event_log_id")["event_logs"]
    added = [event for event in events if event["event"] == "cli_connections_add"]
    assert added
    assert secret not in json.dumps(events)


def test_links_are_right_behind_a_prefix_and_a_proxy_that_ends_tls(stack: Stack, admin: Client):
    outside = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "airflow.example.org"}
    document = admin.get("/../openapi.json", headers=outside).json()
    assert document["servers"] == [{"url": "/airflow/admin/rest_api"}]
    assert "/v2/commands/dags/trigger" in document["paths"]

    location = admin.line(*SLOW, Prefer="respond-async", **outside).headers["location"]
    assert location.startswith(f"/airflow{API}/operations/")
    admin.post(f"{stack.url.removesuffix('/airflow')}{location}/cancel")

    bare = httpx.get(f"{stack.url}/admin/rest_api", headers=outside, follow_redirects=False, timeout=120)
    assert bare.headers["location"] == "/airflow/admin/rest_api/"


def test_sixteen_clients_get_their_own_answers_and_leave_nothing_behind(stack: Stack, admin: Client):
    def one(client: int) -> Counter[int]:
        statuses: Counter[int] = Counter()
        with Client(stack) as mine:
            deadline = time.monotonic() + 120
            while statuses[200] < 10 and time.monotonic() < deadline:
                key = f"client_{client}_{statuses.total()}"
                answer = mine.command("variables/get", key=key, default=key)
                statuses[answer.status_code] += 1
                if answer.status_code == 200:
                    assert answer.json()["stdout"] == f"{key}\n"
        return statuses

    def count() -> tuple[int, int]:
        members = family(stack)
        return len(members), sum(member.num_fds() for member in members)

    def settled() -> tuple[int, int]:
        # A child that has answered goes a little later.
        counts = [count()]
        while len(counts) < 60 and counts[-4:] != [counts[-1]] * 4:
            time.sleep(0.5)
            with contextlib.suppress(psutil.Error):
                counts.append(count())
        return counts[-1]

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        list(pool.map(one, range(4)))
        before = settled()
        total = sum(pool.map(one, range(16)), Counter())
    after = settled()

    assert set(total) <= {200, 429}
    assert total[200] == 16 * 10
    assert after[0] <= before[0] + 1
    assert after[1] <= before[1] + 20
