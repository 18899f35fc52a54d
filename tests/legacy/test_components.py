"""The components that outlive their request do their work, each with the real service it is for."""

from __future__ import annotations

import re
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from configparser import RawConfigParser
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

import pytest
import redis

from demo.ports import free_port, is_free
from tests.legacy.client import Client
from tests.legacy.components import eventually, started
from tests.legacy.conftest import COMPONENTS
from tests.legacy.kdc import REALM, Kdc
from tests.servers import REDIS, require_program, require_redis
from tests.stacks import Stack

pytestmark = [
    pytest.mark.airflow,
    pytest.mark.timeout(600),
]

KEYS = f"airflow-rest-api-{uuid4().hex}-"
"""Begins every key in Redis, so that others may use the same database."""

QUEUE = "tests-queue"
DAG_FILE = """
from airflow.sdk import DAG
from airflow.providers.standard.operators.bash import BashOperator
with DAG("for_the_worker", schedule=None):
    BashOperator(task_id="t", bash_command="echo done by $PPID")
"""
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("components")


@pytest.fixture(scope="module")
def client(home: Path) -> Iterator[Client]:
    """An Airflow whose tasks wait for a Celery worker; it needs Redis only when there is a task."""
    dags = home / "dags"
    dags.mkdir()
    (dags / "for_the_worker.py").write_text(DAG_FILE)
    env = {
        "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
        "AIRFLOW__OPERATORS__DEFAULT_QUEUE": QUEUE,
        "AIRFLOW__CELERY__BROKER_URL": REDIS,
        "AIRFLOW__CELERY__RESULT_BACKEND": f"db+sqlite:///{home / 'results.db'}",
        "AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__GLOBAL_KEYPREFIX": KEYS,
        "AIRFLOW__KERBEROS__CCACHE": str(home / "ccache"),
        # The KDC is asked from 127.0.0.1, which is never among the addresses in a ticket.
        "AIRFLOW__KERBEROS__INCLUDE_IP": "False",
        "AIRFLOW__KERBEROS__REINIT_FREQUENCY": "1",
        "KRB5_CONFIG": str(home / "kdc" / "krb5.conf"),
    }
    with Stack(
        home / "airflow", dags=dags, components=COMPONENTS, env=env, expect=["for_the_worker"]
    ) as stack:
        yield Client(stack)


@pytest.fixture
def broker() -> Iterator[None]:
    """Redis, without our keys afterwards."""
    server = redis.Redis.from_url(require_redis())
    yield
    if keys := list(server.scan_iter(f"{KEYS}*")):
        server.delete(*keys)


@pytest.fixture(scope="module")
def kdc(home: Path) -> Iterator[Kdc]:
    require_program("kinit", "krb5-user")
    with Kdc(home / "kdc") as centre:
        yield centre


def fetch(url: str, token: str | None = None) -> tuple[int, str]:
    """Return status and text; 0 while nobody answers."""
    headers = {"Authorization": token} if token else {}
    try:
        with opener.open(urllib.request.Request(url, headers=headers), timeout=60) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()
    except OSError:
        return 0, ""


@pytest.mark.usefixtures("broker")
def test_a_worker_executes_the_task_that_waited_for_it_and_writes_to_its_log(client: Client) -> None:
    client.ask(api="trigger_dag", dag_id="for_the_worker", run_id="r")
    instance = "dags/for_the_worker/dagRuns/r/taskInstances/t"
    assert eventually(lambda: client.stack.get(instance)["state"] == "queued")
    with started(client, api="worker", queues=QUEUE, concurrency="1", **{"log-file": "mine.log"}) as worker:
        assert client.send("GET", f"api=worker&queues={QUEUE}&concurrency=2")[0] == 409
        assert eventually(lambda: client.stack.get(instance)["state"] == "success", 120), worker.output
        assert client.stack.get(instance)["queue"] == QUEUE
        assert worker.log.name == "mine.log"
        assert eventually(lambda: re.search(r"execute_workload.* succeeded in \d", worker.output) is not None)


@pytest.mark.usefixtures("broker")
def test_flower_answers_on_its_port(client: Client) -> None:
    port = free_port()
    with started(client, api="flower", hostname="127.0.0.1", port=str(port)) as flower:
        assert "airflow celery flower" in " ".join(flower.words)
        url = f"http://127.0.0.1:{port}"
        assert eventually(lambda: fetch(f"{url}/healthcheck") == (200, "OK"), 120), flower.output
        status, page = fetch(f"{url}/")
        assert status == 200
        assert re.search(r"<title>.*Flower</title>", page)
        assert eventually(lambda: "Connected to redis://" in flower.output)
    assert eventually(lambda: is_free(port))


def test_the_ticket_renewer_gets_a_ticket_and_renews_it(client: Client, kdc: Kdc, home: Path) -> None:
    def issued() -> int:
        found = re.findall(r"AS_REQ .* ISSUE: .* (\S+) for krbtgt/", (kdc.folder / "kdc.log").read_text())
        return found.count(kdc.principal)

    with started(client, api="kerberos", principal=kdc.principal, keytab=str(kdc.keytab)) as renewer:
        assert eventually(lambda: issued() >= 2, 120), renewer.output
        assert "airflow kerberos" in " ".join(renewer.words)
        assert "Using airflow kerberos with mode: standard" in renewer.output
    tickets = kdc.tickets(home / "ccache")
    assert f"Default principal: {kdc.principal}" in tickets
    assert f"krbtgt/{REALM}@{REALM}" in tickets


@pytest.mark.usefixtures("broker")
def test_a_worker_with_daemon_has_a_pid_file_that_goes_with_it(client: Client) -> None:
    file = client.stack.home / "airflow-worker.pid"
    with started(client, api="worker", queues="nobodys", concurrency="1", daemon="on") as worker:
        assert file.read_text() == f"{worker.process.pid}\n"
    assert eventually(lambda: not file.exists())


def test_what_is_no_pid_file_is_not_overwritten(client: Client) -> None:
    (client.stack.home / "other.pid").write_text("of somebody else")
    status, answer = client.send("GET", "api=kerberos&pid=other.pid")
    assert (status, answer["output"]) == (400, "'other.pid' exists and is no pid file")
    assert (client.stack.home / "other.pid").read_text() == "of somebody else"
    assert client.send("GET", "api=kerberos&pid=airflow.cfg")[0] == 400


def test_a_ticket_renewer_without_a_good_keytab_has_failed_and_its_log_says_why(
    client: Client, kdc: Kdc
) -> None:
    query = f"api=kerberos&principal={quote(kdc.principal)}&keytab=/nonexistent/keytab"
    for attempt in range(5):
        status, answer = client.send("GET", f"{query}&log-file=failed{attempt}.log")
        # On a busy machine it is answered as started, and fails after that.
        if status == 500:
            break
        time.sleep(10)
    assert (status, answer["status"]) == (500, "ERROR"), answer
    assert answer["exit_code"] == 1
    assert answer["output"]["stdout"] == ""
    assert f"failed{attempt}.log:\n" in answer["output"]["stderr"]
    assert "Couldn't reinit from keytab!" in answer["output"]["stderr"]
    assert "The component ended with exit code 1." in answer["output"]["stderr"]


def test_a_second_scheduler_on_this_host_is_refused(client: Client) -> None:
    assert eventually(lambda: client.send("GET", "api=scheduler")[0] == 409)
    answer = client.send("GET", "api=scheduler")[1]
    assert answer["output"].startswith("A Scheduler runs on ")
    assert "exit_code" not in answer


def test_the_log_server_serves_the_file_that_a_request_is_signed_for(client: Client) -> None:
    config = RawConfigParser()
    config.read(client.stack.home / "airflow.cfg")
    port = config.getint("logging", "worker_log_server_port")
    secret = config.get("api", "secret_key")
    url = f"http://127.0.0.1:{port}/log"
    name = "dag_id=d/run_id=r/task_id=t/attempt=1.log"
    file = client.stack.home / "logs" / name
    file.parent.mkdir(parents=True)
    file.write_text("what the task said\n")
    with started(client, api="serve_logs") as server:
        assert eventually(lambda: fetch(f"{url}/{quote(name)}")[0] == 403, 120), server.output
        assert fetch(f"{url}/{quote(name)}", signed(name, secret)) == (200, "what the task said\n")
        assert fetch(f"{url}/{server.log.name}", signed(name, secret))[0] == 403
        assert fetch(f"{url}/none.log", signed("none.log", secret))[0] == 404
        assert f"Starting log server on http://[::]:{port}" in server.output
    assert eventually(lambda: is_free(port))


def signed(name: str, secret: str) -> str:
    """Sign a request for a log file, as Airflow does where it reads the log of another machine."""
    from airflow.api_fastapi.auth.tokens import JWTGenerator

    generator = JWTGenerator(
        secret_key=secret,
        algorithm="HS512",
        private_key=None,  # type: ignore[arg-type] # as Airflow does
        issuer=None,
        valid_for=30,
        audience="task-instance-logs",
    )
    return generator.generate({"filename": name})
