"""Real components of a real Airflow, started, looked at and stopped over REST: each does what it is for."""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections.abc import Callable, Iterator
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psutil
import pytest
import redis
from packaging.version import Version

from airflow_rest_api import processes
from airflow_rest_api.services import status
from airflow_rest_api.services.supervisor import KILL
from demo.client import Unavailable
from demo.ports import free_port, is_free
from tests.databases import database_of_our_own
from tests.keeping import wait_for
from tests.legacy.components import is_running
from tests.legacy.kdc import REALM, Kdc
from tests.server.conftest import Client
from tests.servers import REDIS, require_program, require_redis
from tests.stacks import Stack

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(900)]

KEYS = f"airflow-rest-api-{uuid4().hex}-"
"""Begins every key in Redis, so that others may use the same database."""
QUEUE = "tests-queue"
NAME = {"celery_hostname": f"w-{uuid4().hex}"}
if Version(version("apache-airflow-providers-celery")) < Version("3.20"):
    # With a name, the worker takes tasks and never runs them: https://github.com/apache/airflow/issues/59707.
    NAME = {}
DAG = """
from airflow.sdk import DAG
from airflow.providers.standard.operators.bash import BashOperator
with DAG("to_be_done", schedule=None):
    BashOperator(task_id="t", bash_command="echo what the task said", retries=5, retry_delay=1)
"""
PATIENCE = 240


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("components")


@pytest.fixture(scope="module")
def stack(home: Path) -> Iterator[Stack]:
    """An API server without any other component; the results of Celery are in PostgreSQL."""
    server = redis.Redis.from_url(require_redis())
    dags = home / "dags"
    dags.mkdir()
    (dags / "to_be_done.py").write_text(DAG)
    with database_of_our_own("postgresql", home) as results:
        env = {
            "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
            "AIRFLOW__OPERATORS__DEFAULT_QUEUE": QUEUE,
            "AIRFLOW__CELERY__BROKER_URL": REDIS,
            "AIRFLOW__CELERY__RESULT_BACKEND": f"db+{results}",
            "AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__GLOBAL_KEYPREFIX": KEYS,
            "AIRFLOW__KERBEROS__CCACHE": str(home / "ccache"),
            "AIRFLOW__KERBEROS__INCLUDE_IP": "False",
            "AIRFLOW__KERBEROS__REINIT_FREQUENCY": "1",
            "KRB5_CONFIG": str(home / "kdc" / "krb5.conf"),
            "AIRFLOW__REST_API_PLUGIN__ENABLED_COMMANDS": "*, api-server",
        }
        stack = Stack(home / "airflow", dags=dags, components=("api-server",), env=env)
        try:
            with stack:
                yield stack
        finally:
            end_all(stack)
            if keys := list(server.scan_iter(f"{KEYS}*")):
                server.delete(*keys)


@pytest.fixture(scope="module")
def api(stack: Stack) -> Iterator[Client]:
    with Client(stack) as client:
        yield client


@pytest.fixture(autouse=True)
def nothing_left(stack: Stack) -> Iterator[None]:
    """Let no test find what another one has left."""
    yield
    end_all(stack)


def start(api: httpx.Client, kind: str, **arguments: object) -> dict[str, Any]:
    """Start a component, and wait until it runs."""
    answer = api.post(
        "/services", json={"kind": kind, "arguments": arguments}, headers={"Prefer": "wait=100"}
    )
    assert answer.status_code == 201, answer.text
    identifier = answer.json()["id"]
    assert eventually(lambda: api.get(f"/services/{identifier}").json()["state"] != "starting")
    service: dict[str, Any] = api.get(f"/services/{identifier}").json()
    assert service["state"] == "running", log_of(api, service)
    assert is_running(service["pid"])
    return service


def stop(api: httpx.Client, service: dict[str, Any]) -> None:
    """Stop a component, and see that nothing of it is left."""
    process = psutil.Process(service["pid"])
    family = [process, *process.children(recursive=True)]
    answer = api.post(f"/services/{service['id']}/stop", headers={"Prefer": "wait=90"})
    assert answer.status_code == 200, answer.text
    ended = answer.json()
    assert (ended["state"], ended["pid"]) == ("stopped", None), log_of(api, service)
    assert not any(is_running(one.pid) for one in family)


def end_all(stack: Stack) -> None:
    """Kill what a failed test has left, whether or not the API server answers."""
    for file in (stack.dag_home / "rest_api" / "services").glob("*/status.json"):
        said = status.read(file.parent)
        if said is not None and processes.send(said.supervisor, said.supervisor_start, KILL):
            assert wait_for(partial(_is_gone, said))


def _is_gone(said: status.Status) -> bool:
    return not processes.is_alive(said.supervisor, said.supervisor_start)


def log_of(api: httpx.Client, service: dict[str, Any]) -> str:
    """Return what a component has written."""
    url = f"/services/{service['id']}/log"
    return "\n".join(api.get(url, params={"stream": stream}).text for stream in ("stdout", "stderr"))


def eventually(holds: Callable[[], object]) -> bool:
    """Wait until something holds, and tell whether it does."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        # On a busy machine an API server may not answer in time.
        with contextlib.suppress(Unavailable, httpx.TransportError):
            if holds():
                return True
        time.sleep(0.3)
    return bool(holds())


def test_a_worker_executes_the_task_that_a_scheduler_has_scheduled_all_started_here(
    stack: Stack, api: Client
) -> None:
    components = [start(api, "dag-processor"), start(api, "scheduler"), start(api, "triggerer")]
    for service in components:
        url = f"/services/{service['id']}"
        assert eventually(lambda url=url: (api.get(url).json()["airflow"] or {}).get("healthy")), service
    again = api.post("/services", json={"kind": "scheduler"})
    assert again.status_code == 409
    assert again.json()["detail"]["service"] == components[1]["id"]
    assert eventually(lambda: stack.get("dags/to_be_done/dagVersions")["dag_versions"])
    assert api.command("dags/unpause", dag_id="to_be_done").json()["state"] == "succeeded"
    triggered = api.command("dags/trigger", dag_id="to_be_done", run_id="r").json()
    assert triggered["state"] == "succeeded", triggered
    instance = "dags/to_be_done/dagRuns/r/taskInstances/t"
    assert eventually(lambda: stack.get(instance)["state"] == "queued")

    worker = start(api, "celery-worker", queues=QUEUE, concurrency=1, **NAME)
    assert eventually(lambda: stack.get(instance)["state"] == "success"), log_of(api, worker)
    assert eventually(lambda: stack.get("dags/to_be_done/dagRuns/r")["state"] == "success")
    assert re.search(r"ready\.", log_of(api, worker))
    listed = api.get("/services").json()["services"]
    assert {one["id"] for one in listed} == {one["id"] for one in (*components, worker)}
    assert [log_of(api, one) for one in listed if one["state"] != "running"] == []
    for service in (worker, *components):
        stop(api, service)
    after = api.get("/services").json()["services"]
    assert {(one["id"], one["state"]) for one in after} == {
        (one["id"], "stopped") for one in (worker, *components)
    }


def test_components_survive_a_restart_of_the_api_server_and_are_found_again(
    stack: Stack, api: Client
) -> None:
    service = start(api, "triggerer")
    server = next(one for one in stack.components if one.name == "api-server")
    server.process.terminate()
    server.process.wait(120)
    assert is_running(service["pid"])
    stack.components[stack.components.index(server)] = stack._launch("api-server", "api-server")
    assert eventually(lambda: stack._is_healthy())
    with Client(stack) as again:
        found = again.get(f"/services/{service['id']}").json()
        assert (found["state"], found["pid"]) == ("running", service["pid"])
        restarted = again.post(f"/services/{service['id']}/restart", headers={"Prefer": "wait=90"}).json()
        assert restarted["state"] == "running"
        assert restarted["pid"] != service["pid"]
        assert not is_running(service["pid"])
        stop(again, restarted)


def test_flower_answers_on_its_port_and_its_password_is_nowhere(stack: Stack, api: Client) -> None:
    port = free_port()
    service = start(
        api, "celery-flower", hostname="127.0.0.1", port=port, basic_auth="zoe:the-password", url_prefix="fl"
    )
    with httpx.Client(base_url=f"http://127.0.0.1:{port}/fl", timeout=60, trust_env=False) as flower:
        assert eventually(lambda: flower.get("/").status_code == 401)
        page = flower.get("/", auth=("zoe", "the-password"), follow_redirects=True)
        assert page.status_code == 200
        assert re.search(r"<title>.*Flower</title>", page.text)
    supervisor = psutil.Process(psutil.Process(service["pid"]).ppid())
    for process in (supervisor, psutil.Process(service["pid"])):
        assert "the-password" not in " ".join(process.cmdline())
    assert "the-password" not in api.get(f"/services/{service['id']}").text
    assert not stack.stores("the-password")
    other = api.post("/services", json={"kind": "celery-flower", "arguments": {"port": port}})
    assert other.status_code == 409
    stop(api, service)
    assert eventually(lambda: is_free(port))


def test_the_ticket_renewer_gets_a_ticket_and_renews_it(api: Client, home: Path) -> None:
    require_program("kinit", "krb5-user")
    with Kdc(home / "kdc") as kdc:

        def issued() -> int:
            text = (kdc.folder / "kdc.log").read_text()
            return len(re.findall(rf"AS_REQ .* ISSUE: .* {kdc.principal} for krbtgt/", text))

        service = start(api, "kerberos", principal=kdc.principal, keytab=str(kdc.keytab))
        assert eventually(lambda: issued() >= 2), log_of(api, service)
        assert f"krbtgt/{REALM}@{REALM}" in kdc.tickets(home / "ccache")
        stop(api, service)
        answer = api.post(
            "/services",
            json={"kind": "kerberos", "arguments": {"principal": kdc.principal, "keytab": "/nonexistent"}},
            headers={"Prefer": "wait=100"},
        )
        failed = answer.json()
        assert (answer.status_code, failed["state"], failed["exit_code"]) == (201, "failed", 1)
        assert "Couldn't reinit from keytab!" in failed["message"]


def test_the_log_server_serves_what_a_task_has_said(stack: Stack, api: Client) -> None:
    from configparser import RawConfigParser

    from tests.legacy.test_components import signed

    config = RawConfigParser()
    config.read(stack.dag_home / "airflow.cfg")
    port = config.getint("logging", "worker_log_server_port")
    name = "dag_id=d/run_id=r/task_id=t/attempt=1.log"
    file = stack.dag_home / "logs" / name
    file.parent.mkdir(parents=True)
    file.write_text("what the task said\n")
    service = start(api, "log-server")
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60, trust_env=False) as client:
        assert eventually(lambda: client.get(f"/log/{name}").status_code == 403)
        # It is good for half a minute.
        headers = {"Authorization": signed(name, config.get("api", "secret_key"))}
        assert client.get(f"/log/{name}", headers=headers).text == "what the task said\n"
    stop(api, service)
    assert eventually(lambda: is_free(port))


def test_another_api_server_knows_the_same_services(stack: Stack, api: Client) -> None:
    port = free_port()
    service = start(api, "api-server", port=port, host="127.0.0.1")
    url = f"http://127.0.0.1:{port}/admin/rest_api/v2"
    headers = {"Authorization": api.headers["Authorization"]}
    with httpx.Client(base_url=url, headers=headers, timeout=120, trust_env=False) as other:
        assert eventually(lambda: other.get("/services").status_code == 200)
        assert other.get(f"/services/{service['id']}").json()["pid"] == service["pid"]
        triggerer = start(other, "triggerer")
        assert api.get(f"/services/{triggerer['id']}").json()["state"] == "running"
        stop(api, triggerer)
    stop(api, service)
    assert eventually(lambda: is_free(port))


def test_a_log_is_followed_while_it_grows(api: Client) -> None:
    service = start(api, "scheduler")
    seen: list[str] = []
    with api.stream("GET", f"/services/{service['id']}/log/events", params={"tail": 1000}) as events:
        for line in events.iter_lines():
            if line.startswith("data:") and '"text"' in line:
                seen.append(json.loads(line.removeprefix("data:"))["text"])
            if line == "event: end":
                break
            if "Starting the scheduler" in "".join(seen) and seen and not line:
                api.post(f"/services/{service['id']}/stop", headers={"Prefer": "respond-async"})
    text = "".join(seen)
    assert "Starting the scheduler" in text
    assert "Exited execute loop" in text
