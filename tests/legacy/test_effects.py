"""Each endpoint does its job: seen through Airflow's own REST API, its database and its processes."""

from __future__ import annotations

import json
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest

from demo.client import Unavailable, request
from tests.legacy.client import Client
from tests.legacy.components import eventually
from tests.legacy.recording import BOUNDARY

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(600)]

DAG_FILE = """
from datetime import datetime
from airflow.sdk import DAG
from airflow.providers.standard.operators.empty import EmptyOperator
for name in ("{0}_a", "{0}_b"):
    with DAG(name, start_date=datetime(2026, 11, 1), schedule=None):
        EmptyOperator(task_id="t")
"""


@pytest.fixture(params=["GET", "POST"])
def method(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def deploy(client: Client, name: str, content: str, **fields: str) -> tuple[int, Any]:
    parts = [f'name="{key}"\r\n\r\n{value}' for key, value in fields.items()]
    parts.append(f'name="dag_file"; filename="{name}"\r\nContent-Type: text/x-python\r\n\r\n{content}')
    text = "".join(f"--{BOUNDARY}\r\nContent-Disposition: form-data; {part}\r\n" for part in parts)
    body = f"{text}--{BOUNDARY}--\r\n".encode()
    return client.send("POST", "api=deploy_dag", body, f"multipart/form-data; boundary={BOUNDARY}")


def exists(client: Client, path: str) -> bool:
    try:
        client.stack.get(path)
    except Unavailable as error:
        if error.status != 404:
            raise
        return False
    return True


def trigger(client: Client, method: str, run_id: str, **arguments: str) -> str:
    client.ask(method, api="trigger_dag", dag_id="golden_basic", run_id=run_id, **arguments)
    # Its py_task fails on Airflow 3 by the name of its argument, `ds`: say_hello is what counts here.
    assert eventually(lambda: client.state("golden_basic", run_id) in ("success", "failed"))
    return f"dags/golden_basic/dagRuns/{run_id}/taskInstances"


def test_a_variable_exists_and_is_gone(client: Client, method: str) -> None:
    client.ask(method, api="variables", cmd="set", key=f"e_{method}", value='[1, "x"]')
    assert client.stack.get(f"variables/e_{method}")["value"] == '[1, "x"]'
    client.ask(method, api="variables", delete=f"e_{method}")
    assert not exists(client, f"variables/e_{method}")


def test_variables_go_out_and_come_back(client: Client, method: str, exchange_folder: Path) -> None:
    client.ask(method, api="variables", cmd="set", key=f"x_{method}", value="there")
    client.ask(method, api="variables", export=f"{method}.json")
    exported = json.loads((exchange_folder / f"{method}.json").read_text())
    assert exported[f"x_{method}"] == "there"
    (exchange_folder / "new.json").write_text(json.dumps({f"new_{method}": "came"}))
    client.ask(method, api="variables", **{"import": "new.json"})
    assert client.stack.get(f"variables/new_{method}")["value"] == "came"


def test_a_pool_has_ten_slots_and_is_gone(client: Client, method: str) -> None:
    client.ask(method, api="pool", cmd="set", pool_name=f"p_{method}", slot_count="10", description="d")
    pool = client.stack.get(f"pools/p_{method}")
    assert (pool["slots"], pool["description"]) == (10, "d")
    client.ask(method, api="pool", delete=f"p_{method}")
    assert not exists(client, f"pools/p_{method}")


def test_a_connection_exists_with_all_its_parts_and_is_gone(client: Client, method: str) -> None:
    parts = {"host": "h", "login": "l", "password": "hush", "schema": "s", "port": "99"}
    arguments = {f"conn_{name}": value for name, value in parts.items()}
    answer = client.ask(
        method, api="connections", add="on", conn_id=f"c_{method}", conn_type="generic", **arguments
    )
    assert "hush" not in json.dumps(answer)
    found = client.stack.get(f"connections/c_{method}")
    assert [found[name] for name in ("conn_type", "host", "login", "schema", "port")] == [
        "generic",
        "h",
        "l",
        "s",
        99,
    ]
    client.ask(method, api="connections", delete="on", conn_id=f"c_{method}")
    assert not exists(client, f"connections/c_{method}")


def test_a_dag_is_paused_and_resumed(client: Client, method: str) -> None:
    for api, paused in (("pause", True), ("unpause", False)):
        client.ask(method, api=api, dag_id="golden_fail")
        assert client.stack.get("dags/golden_fail")["is_paused"] is paused


def test_a_run_has_its_conf_id_and_date(client: Client, method: str) -> None:
    day = "2026-11-14" if method == "GET" else "2026-11-15"
    trigger(client, method, f"e_{method}", conf='{"n": 3}', exec_date=day)
    run = client.stack.get(f"dags/golden_basic/dagRuns/e_{method}")
    assert run["conf"] == {"n": 3}
    assert run["logical_date"].startswith(day)


def test_two_runs_within_one_second_are_two_runs(client: Client) -> None:
    before = client.stack.get("dags/golden_chatty/dagRuns")["total_entries"]
    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(client.ask, api="trigger_dag", dag_id="golden_chatty") for _ in range(4)]:
            done.result()
    assert client.stack.get("dags/golden_chatty/dagRuns")["total_entries"] == before + 4


def test_a_task_instance_is_cleared_and_runs_again(client: Client, method: str) -> None:
    day = "2026-11-16" if method == "GET" else "2026-11-17"
    instances = trigger(client, method, f"clear_{method}", exec_date=day)
    first = client.stack.get(f"{instances}/say_hello")["try_number"]
    client.ask(
        method,
        api="clear",
        dag_id="golden_basic",
        task_regex="say_hello",
        start_date=day,
        end_date=day,
    )
    assert eventually(lambda: client.stack.get(f"{instances}/say_hello")["try_number"] == first + 1)


@pytest.mark.parametrize("how", ["scheduler", "local"])
def test_a_task_instance_runs_again_when_forced(client: Client, how: str) -> None:
    instances = trigger(
        client, "GET", f"run_{how}", exec_date="2026-11-18" if how == "local" else "2026-11-19"
    )
    first = client.stack.get(f"{instances}/say_hello")["try_number"]
    box = {"local": "on"} if how == "local" else {}
    answer = client.ask(
        api="run",
        dag_id="golden_basic",
        task_id="say_hello",
        execution_date=f"run_{how}",
        force="on",
        **box,
    )
    assert answer["output"]["stdout"].startswith("Running <TaskInstance: golden_basic.say_hello 2026-11-1")
    assert answer["output"]["stdout"].endswith(f" [success]> on host {socket.gethostname()}\n")
    done = answer["result"]
    assert (done["run_id"], done["state_before"], done["unmet"]) == (f"run_{how}", "success", [])
    assert done["state_after"] == ("success" if how == "local" else "scheduled")

    def again() -> bool:
        instance = client.stack.get(f"{instances}/say_hello")
        return bool(instance["try_number"] == first + 1 and instance["state"] == "success")

    assert eventually(again)
    assert eventually(lambda: client.state("golden_basic", f"run_{how}") in ("success", "failed"))


def test_a_task_instance_that_must_not_run_says_why(client: Client) -> None:
    instances = trigger(client, "GET", "run_not", exec_date="2026-11-20")
    answer = client.ask(api="run", dag_id="golden_basic", task_id="say_hello", execution_date="run_not")
    assert "[success]> on host" in answer["output"]["stdout"]
    assert "Task is in the 'success' state" in answer["result"]["unmet"][0]
    assert "was not started" in answer["warning"]
    assert client.stack.get(f"{instances}/say_hello")["try_number"] == 1


def test_a_task_instance_is_marked_as_success(client: Client, method: str) -> None:
    run_id = f"mark_{method}"
    client.ask(method, api="trigger_dag", dag_id="golden_fail", run_id=run_id)
    assert eventually(lambda: client.state("golden_fail", run_id) == "failed")
    arguments = {"dag_id": "golden_fail", "task_id": "boom", "execution_date": run_id}
    client.ask(method, api="run", mark_success="on", **arguments)
    assert client.stack.get(f"dags/golden_fail/dagRuns/{run_id}/taskInstances/boom")["state"] == "success"
    assert client.ask(method, api="task_state", **arguments)["output"]["stdout"] == "success\n"


def test_a_backfill_is_created_for_the_one_day(client: Client, method: str) -> None:
    day = "2026-11-06" if method == "GET" else "2026-11-07"
    client.ask(method, api="unpause", dag_id="golden_param")
    arguments = {"api": "backfill", "dag_id": "golden_param", "start_date": day}
    before = client.stack.get("backfills?dag_id=golden_param")["total_entries"]
    client.ask(method, **arguments, dry_run="on")
    assert client.stack.get("backfills?dag_id=golden_param")["total_entries"] == before
    client.done(client.backfill("golden_param", lambda: client.pose(method, **arguments)))
    runs = client.stack.get("dags/golden_param/dagRuns?limit=100")["dag_runs"]
    made = [run["logical_date"] for run in runs if run["run_type"] == "backfill"]
    assert [date for date in made if date.startswith(day)] == [f"{day}T00:00:00Z"]


def test_a_dag_file_is_stored_and_its_dags_are_paused_and_resumed(client: Client) -> None:
    assert deploy(client, "e_dep.py", DAG_FILE.format("e_dep"), unpause="on")[0] == 200
    for name in ("e_dep_a", "e_dep_b"):
        assert client.stack.get(f"dags/{name}")["is_paused"] is False
    assert deploy(client, "e_dep.py", DAG_FILE.format("e_dep"))[0] == 400
    assert deploy(client, "e_dep.py", DAG_FILE.format("e_dep"), force="on", pause="on")[0] == 200
    for name in ("e_dep_a", "e_dep_b"):
        assert client.stack.get(f"dags/{name}")["is_paused"] is True


def test_a_deployed_dag_file_is_parsed_without_being_asked_to(client: Client) -> None:
    assert deploy(client, "e_new.py", DAG_FILE.format("e_new"))[0] == 200
    assert eventually(lambda: exists(client, "dags/e_new_a"))


def test_a_dag_file_that_cannot_be_imported_leaves_the_one_before(client: Client) -> None:
    name = "e_broken.py"
    assert deploy(client, name, DAG_FILE.format("e_broken"))[1]["dag_ids"] == ["e_broken_a", "e_broken_b"]
    status, answer = deploy(client, name, "def broken(:\n", force="on")
    assert status == 400
    assert answer["output"].startswith("e_broken.py, line 1: SyntaxError")
    [content] = client.stack.dags.glob(name)
    assert content.read_text() == DAG_FILE.format("e_broken")


@pytest.mark.parametrize("api", ["refresh_dag", "refresh_all_dags"])
def test_a_dag_file_is_parsed_anew(client: Client, method: str, api: str) -> None:
    before = client.stack.get("dags/golden_basic")["last_parsed_time"]
    arguments = {"dag_id": "golden_basic"} if api == "refresh_dag" else {}
    # A DAG processor that has much to do may take longer than a caller waits, who is told so.
    warnings = [client.ask(method, api=api, **arguments).get("warning")]
    while warnings[-1] is not None and len(warnings) < 5:
        warnings.append(client.ask(method, api=api, **arguments).get("warning"))
    assert warnings[-1] is None, warnings
    assert client.stack.get("dags/golden_basic")["last_parsed_time"] > before


def test_forty_clients_at_once_get_their_own_answers(client: Client) -> None:
    def one(number: int) -> str:
        arguments = {"api": "variables", "get": f"none_{number}", "default": f"answer {number}"}
        return str(client.ask(**arguments)["output"]["stdout"])

    with ThreadPoolExecutor(40) as pool:
        assert list(pool.map(one, range(40))) == [f"answer {number}\n" for number in range(40)]


def has_begun(client: Client, word: str) -> bool:
    url = f"{client.stack.url}/admin/rest_api/v2/operations?limit=20"
    operations = request("GET", url, token=client.stack.token())["operations"]
    return any(word in operation["argv"] for operation in operations)


def test_a_client_that_hangs_up_does_not_stop_its_command(client: Client) -> None:
    address = urlsplit(client.stack.url)
    assert address.hostname
    assert address.port
    query = urlencode({"api": "variables", "cmd": "set", "key": "hung_up", "value": "yes"})
    with socket.create_connection((address.hostname, address.port)) as connection:
        lines = [
            f"GET /admin/rest_api/api?{query} HTTP/1.1",
            "Host: x",
            f"Authorization: {client.credentials}",
        ]
        connection.sendall("\r\n".join([*lines, "", ""]).encode())
        # Not before it was heard: of whom nothing was heard, nothing is done.
        assert eventually(lambda: has_begun(client, "hung_up"))
    assert eventually(lambda: exists(client, "variables/hung_up"))


def test_a_body_of_fifty_megabytes_gets_an_envelope(client: Client) -> None:
    status, answer = client.send(
        "POST", "api=version", b"x=" + b"y" * 52_428_800, "application/x-www-form-urlencoded"
    )
    assert (status, answer["status"]) == (413, "ERROR")


@pytest.mark.parametrize("kind", ["application/json", "multipart/form-data; boundary=b"])
def test_a_body_that_is_not_what_its_type_says_gets_an_envelope(client: Client, kind: str) -> None:
    status, answer = client.send("POST", "api=unpause", b"{", kind)
    assert (status, answer["status"]) == (400, "ERROR")


@pytest.mark.parametrize("body", [b"serviceKey=abc", b"null", b'""', b"[]"])
def test_json_that_is_no_object_is_no_body_where_the_query_has_everything(
    client: Client, method: str, body: bytes
) -> None:
    status, answer = client.send(method, "api=unpause&dag_id=golden_basic", body, "application/json")
    assert (status, answer["post_arguments"]) == (200, {})
    assert answer["warning"].startswith("The body was ignored: it ")
    status, answer = client.send(method, "api=unpause", body, "application/json")
    assert status == 400
    assert answer["output"].startswith("The body ")
