"""Commands on a runner: the API server sees all of them, and none of the DAG files."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import threading
import time
from datetime import datetime, timezone
from io import BytesIO
from types import SimpleNamespace
from typing import Any

import pytest
import redis
from sqlalchemy import select
from sqlalchemy.engine import Connection

from airflow_rest_api.errors import Unavailable
from airflow_rest_api.operations import work_queue
from airflow_rest_api.operations.model import Operation, new_id
from airflow_rest_api.operations.tables import OPERATION
from airflow_rest_api.operations.work_queue import ShareUsedUp
from airflow_rest_api.runners import worker
from airflow_rest_api.runners.broker import TASK, broker_queue
from airflow_rest_api.runners.worker import STOPPED, UNCLEAR, Runner
from airflow_rest_api.settings import Settings
from tests.runners.conftest import Split, until
from tests.server.conftest import Client, family
from tests.standin import own_database

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(900)]

TEST = ("tasks", "test", "on_runners", "work", "2024-01-01", "-t")


def params(number: int, seconds: int) -> str:
    return json.dumps({"number": number, "seconds": seconds})


def test_one_claim_at_a_time_counts_into_the_share_of_a_user(monkeypatch: pytest.MonkeyPatch):
    runner = Runner(Settings(operations_database=own_database()), "one", ["dags"], 4)
    under_way, most = 0, 0

    async def claimed(identifier: str, claim: object, undo: object) -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0)
        under_way -= 1

    async def several() -> None:
        await asyncio.gather(*(runner._run(new_id()) for _ in range(4)))

    monkeypatch.setattr(runner._store, "claimed", claimed)
    asyncio.run(several())
    runner._database.close()

    assert most == 1


def test_a_claim_that_the_runner_has_given_up_ends_as_lost():
    runner = Runner(Settings(operations_database=own_database()), "one", ["dags"], 4)
    store, answers = runner._store, threading.Event()
    now = datetime.now(timezone.utc)
    waits = Operation(new_id(), "version", "read", ["version"], "u", "", now, queue="dags")

    def claimed_late(connection: Connection, **given: Any) -> bytes | None:
        found = work_queue.claim(connection, **given)
        answers.wait(60)
        return found

    async def claim() -> None:
        await store.insert(waits)
        store.database._patience = 0.2
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(worker, "work_queue", SimpleNamespace(claim=claimed_late, ShareUsedUp=ShareUsedUp))
            with pytest.raises(Unavailable):
                await runner._run(waits.id)
        answers.set()

    asyncio.run(claim())
    store.database._threads.shutdown()

    row = store.database.call(lambda c: c.execute(select(OPERATION.c.state, OPERATION.c.message)).one())
    assert tuple(row) == ("lost", UNCLEAR)


def test_a_command_runs_where_its_rule_leads_and_is_the_same_operation(split: Split, admin: Client):
    done = admin.line(*TEST, params(1, 1)).json()

    assert done["state"] == "succeeded", done
    assert (done["queue"], done["runner"].split("@")[0]) == ("dags", "one")
    assert "second 0" in done["stdout"]
    assert len(list(split.ran.glob("1-*"))) == 1
    # What no rule names runs here.
    assert admin.command("version").json()["runner"] is None


def test_no_process_of_the_api_server_imports_a_dag_file(split: Split, admin: Client):
    assert admin.line(*TEST, params(2, 0)).json()["state"] == "succeeded"

    ours = {process.pid for process in family(split.stack)}
    imported = [file.read_text().split() for file in split.seen.iterdir()]
    assert imported
    assert {name for _, name in imported} == {"one"}
    assert not {int(pid) for pid, _ in imported} & ours


def test_what_is_sent_elsewhere_is_not_switched_off_here_and_what_is_named_local_is(admin: Client):
    assert admin.line(*TEST, params(3, 0)).status_code == 200

    refused = admin.line(*TEST, params(3, 0), **{"Airflow-Queue": "local"})

    assert refused.status_code == 403
    assert refused.json()["detail"]["option"] == "run_dag_code"


def test_a_queue_that_nobody_serves_is_told_at_once(admin: Client):
    refused = admin.post("/commands/version", json={"queue": "heavy"})

    assert refused.status_code == 503
    assert refused.json()["detail"]["reason"] == "no_runner"
    assert refused.json()["detail"]["queue"] == "heavy"
    assert int(refused.headers["Retry-After"]) > 0


def test_a_queue_is_named_by_argument_header_and_1x_argument(split: Split, admin: Client):
    by_argument = admin.post("/commands/version", json={"queue": "dags"}).json()
    by_header = admin.line("version", **{"Airflow-Queue": "dags"}).json()
    in_body = admin.post("/run", json={"argv": ["version"], "queue": "dags"}).json()
    old = split.stack.url + "/admin/rest_api/api?api=list_dags&queue=dags"
    envelope = admin.get(old).json()

    assert {one["queue"] for one in (by_argument, by_header, in_body)} == {"dags"}
    assert envelope["status"] == "OK"
    assert "warning" not in envelope
    operation = admin.get(f"/operations/{envelope['operation_id']}").json()
    assert (operation["queue"], operation["endpoint"]) == ("dags", "list_dags")


@pytest.mark.parametrize("queue", ["a b", "", "x" * 101, "../dags", "ä", "host:"])
def test_what_cannot_be_a_queue_is_refused_by_its_name(admin: Client, queue: str):
    refused = admin.post("/commands/version", json={"queue": queue})

    assert refused.status_code == 400
    assert refused.json()["detail"]["argument"] == "queue"


def test_a_key_with_another_queue_is_another_request(admin: Client):
    headers = {"Idempotency-Key": "queues-1"}
    first = admin.post("/commands/version", json={}, headers=headers)
    second = admin.post("/commands/version", json={"queue": "dags"}, headers=headers)

    assert (first.status_code, second.status_code) == (200, 409)


def test_what_the_api_server_does_itself_takes_no_queue(split: Split, admin: Client):
    old = split.stack.url + "/admin/rest_api/api?api=rest_api_plugin_version&queue=dags"
    envelope = admin.get(old).json()

    assert envelope["http_response_code"] == 400
    assert "queue" in envelope["output"]


def test_who_was_not_allowed_to_names_no_queue(split: Split):
    with Client(split.stack, "viewer") as viewer:
        refused = viewer.post("/commands/version", json={"queue": "dags"})

        assert refused.status_code == 403
        assert "REST API Queue: dags" in refused.json()["detail"]["message"]
        # Where it runs anyway may be named.
        assert viewer.post("/commands/version", json={"queue": "local"}).status_code == 200


def test_the_runners_are_listed(split: Split, admin: Client):
    [runner] = admin.get("/runners").json()["runners"]

    assert runner["healthy"]
    assert runner["name"].startswith("one@")
    assert runner["queues"] == ["dags", f"host:{runner['host']}"]
    assert runner["concurrency"] == 4
    queues = {one["name"]: one for one in admin.get("/runners").json()["queues"]}
    assert queues["dags"] == {"name": "dags", "runners": [runner["name"]], "waiting": 0, "placed": True}
    with Client(split.stack, "viewer") as viewer:
        assert viewer.get("/runners").status_code in (200, 403)


def test_files_go_in_and_come_out(admin: Client):
    file = {"file": ("vars.json", BytesIO(b'{"runners_in": "1"}'))}
    sent = admin.post("/commands/variables/import", files=file).json()
    exported = admin.post("/commands/variables/export", json={"file": "out.json"}).json()
    content = admin.get(f"/operations/{exported['id']}/files/out.json").json()

    assert (sent["state"], sent["queue"]) == ("succeeded", "dags")
    assert content["runners_in"] == 1


def test_an_operation_is_followed_and_cancelled(admin: Client):
    begun = admin.post(
        "/run", json={"argv": [*TEST, params(4, 100)]}, headers={"Prefer": "respond-async"}
    ).json()
    admin.until(begun["id"], lambda said: "second 1" in str(said["stdout"]))
    listed = admin.get("/runners").json()["runners"]
    ended = admin.post(f"/operations/{begun['id']}/cancel").json()

    assert begun["id"] in listed[0]["operations"]
    assert ended["state"] == "cancelled"
    assert "cancelled by admin" in ended["message"]


def test_the_first_line_comes_as_an_event_at_once(admin: Client, record_property):
    began = time.monotonic()
    with admin.stream(
        "POST",
        "/run",
        json={"argv": [*TEST, params(5, 3)]},
        headers={"Accept": "text/event-stream"},
    ) as stream:
        text = ""
        for piece in stream.iter_text():
            text += piece
            if printed := re.search(r"second 0 at ([\d.]+)", text):
                late = time.time() - float(printed[1])
                break
        took = time.monotonic() - began
        record_property(
            "measured", f"first line after {took:.2f} s, {1000 * late:.0f} ms after it was printed"
        )
    assert "second 0" in text


def test_what_waits_for_a_runner_is_cancelled_and_recorded(admin: Client):
    waiting = admin.post(
        "/commands/variables/set",
        json={"key": "a", "value": "b", "queue": "later"},
        headers={"Prefer": "respond-async"},
    ).json()
    [shown] = [one for one in admin.get("/runners").json()["queues"] if one["name"] == "later"]
    ended = admin.post(f"/operations/{waiting['id']}/cancel").json()

    assert (waiting["state"], waiting["host"], waiting["runner"]) == ("queued", "", None)
    assert (shown["waiting"], shown["runners"]) == (1, [])
    assert ended["state"] == "cancelled"
    assert [one for one in admin.get("/runners").json()["queues"] if one["name"] == "later"] == []


def test_a_key_leads_to_the_same_operation(admin: Client):
    headers = {"Idempotency-Key": "runners-1"}
    first = admin.post("/commands/variables/set", json={"key": "k", "value": "v"}, headers=headers)
    second = admin.post("/commands/variables/set", json={"key": "k", "value": "v"}, headers=headers)

    assert first.json()["id"] == second.json()["id"]
    assert second.headers["Idempotency-Replayed"] == "true"


def test_the_end_is_in_the_event_log_with_the_user(split: Split, admin: Client):
    done = admin.command("variables/set", key="audited", value="x").json()

    def found() -> list[dict[str, str]]:
        logs = split.stack.get("eventLogs?event=rest_api.variables%20set&limit=100")["event_logs"]
        return [one for one in logs if done["id"] in (one["extra"] or "")]

    [event] = until(found, 20)
    assert event["owner"] == "admin"
    assert json.loads(event["extra"])["runner"].startswith("one@")


def test_a_secret_is_nowhere_but_where_it_belongs(split: Split, admin: Client):
    assert isinstance(split.broker.client(), redis.Redis)
    secret = "hunter-of-runners-22"
    monitored: list[str] = []
    ready, over = threading.Event(), threading.Event()

    def listen() -> None:
        with split.broker.client().monitor() as monitor:
            ready.set()
            while not over.is_set():
                monitored.append(str(monitor.next_command()))

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    ready.wait(10)
    arguments = {"conn_id": "of_runners", "conn_type": "http", "conn_password": secret, "conn_host": "h"}
    done = admin.command("connections/add", **arguments).json()
    over.set()
    split.broker.client().ping()
    thread.join(10)

    assert (done["state"], done["queue"]) == ("succeeded", "dags")
    assert any(done["id"] in one for one in monitored)
    assert secret not in "".join(monitored)
    assert secret not in json.dumps(done)
    assert not split.stack.stores(secret)
    assert secret not in split.runners[0].log()
    server = (split.stack.home / "logs" / "api-server.out").read_text()
    assert secret not in server


def test_what_waits_is_encrypted_in_the_database(split: Split, admin: Client):
    secret = "hunter-of-queues-23"
    arguments = {"conn_id": "later", "conn_type": "http", "conn_password": secret, "queue": "later"}
    headers = {"Prefer": "respond-async"}
    waiting = admin.post("/commands/connections/add", json=arguments, headers=headers).json()

    assert waiting["state"] == "queued"
    assert not split.stack.stores(secret)
    assert not split.stack.stores(
        "later\\",
    )
    admin.post(f"/operations/{waiting['id']}/cancel")


@pytest.mark.parametrize("forged", ["0" * 32, "'; DROP TABLE rest_api_work; --", {"argv": ["version"]}, 7])
def test_a_forged_message_runs_nothing(split: Split, admin: Client, forged: object):
    from celery import Celery

    before = admin.get("/operations?limit=1").json()["operations"][0]["id"]
    with Celery(broker=split.broker.url, set_as_current=False) as forger:
        forger.send_task(TASK, (forged,), queue=broker_queue("dags"))
        forger.send_task("os.system", ("id",), queue=broker_queue("dags"))
    # It is still there, and takes what comes behind.
    assert admin.command("variables/set", key="after", value="x").json()["state"] == "succeeded"
    newest = admin.get("/operations?limit=2").json()["operations"]
    assert newest[1]["id"] == before


def test_the_same_message_twice_runs_once(split: Split, admin: Client):
    from celery import Celery

    begun = admin.post(
        "/run", json={"argv": [*TEST, params(6, 2)]}, headers={"Prefer": "respond-async"}
    ).json()
    with Celery(broker=split.broker.url, set_as_current=False) as again:
        for _ in range(3):
            again.send_task(TASK, (begun["id"],), queue=broker_queue("dags"))
    admin.until(begun["id"], lambda said: said["state"] == "succeeded")
    time.sleep(1)

    assert len(list(split.ran.glob("6-*"))) == 1


def test_a_runner_that_is_told_to_stop_at_once_ends_what_it_runs(split: Split, admin: Client):
    stopped = split.runner("stopped", "stopping")
    headers = {"Prefer": "respond-async", "Airflow-Queue": "stopping"}
    begun = admin.post("/run", json={"argv": [*TEST, params(7, 100)]}, headers=headers).json()
    admin.until(begun["id"], lambda said: "second 1" in str(said["stdout"]))
    stopped.process.send_signal(signal.SIGQUIT)

    assert stopped.process.wait(40) == 0, stopped.log()
    ended = admin.get(f"/operations/{begun['id']}").json()
    assert (ended["state"], ended["message"]) == ("cancelled", STOPPED)
