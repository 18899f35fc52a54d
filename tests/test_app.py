from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from jwt import PyJWT
from sqlalchemy.engine import Connection
from starlette.routing import Route
from starlette.testclient import TestClient

from airflow_rest_api import app as app_module
from airflow_rest_api.admission import Admission, _slot
from airflow_rest_api.airflow import installation, permissions
from airflow_rest_api.airflow.installation import FernetCipher
from airflow_rest_api.airflow.queries import QuestionThreads
from airflow_rest_api.api.handlers import LastResort
from airflow_rest_api.app import create_app, stopping
from airflow_rest_api.asgi import BodyDeadline
from airflow_rest_api.legacy.login.app import create_login_app
from airflow_rest_api.operations import work_queue
from airflow_rest_api.operations.model import Operation, State, new_id
from airflow_rest_api.operations.store import Store
from airflow_rest_api.runners import broker
from airflow_rest_api.security.audit import QuietQuery
from airflow_rest_api.security.guard import Guard
from airflow_rest_api.security.routes import UndecidedRoute, check, decision, leaves
from airflow_rest_api.settings import BadSetting, Settings
from airflow_rest_api.storage.database import Database, own_engine
from demo.ports import free_port
from tests.keeping import wait_for
from tests.standin import bearer, make_app, own_database, prints, serving, until_cancelled

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


def test_every_route_has_a_decision_who_may_use_it():
    app, _ = make_app(prints())
    routes = list(leaves(app.routes))

    assert {route.path for route in routes} >= {
        "/docs",
        "/openapi.json",
        "/v2/run",
        "/v2/commands/{name:path}",
    }
    assert [route.path for route in routes if decision(route) is None] == []


def test_a_route_without_a_decision_is_found_wherever_it_hides():
    inner = FastAPI(openapi_url=None)
    inner.get("/open")(lambda: None)
    outer, _ = make_app(prints())
    outer.mount("/inner", inner)

    with pytest.raises(UndecidedRoute, match="/open"):
        check(outer.routes)


def test_a_mount_without_routes_is_a_route_without_a_decision():
    outer, _ = make_app(prints())
    outer.mount("/files", app=lambda scope, receive, send: None)  # type: ignore[arg-type, return-value]

    with pytest.raises(UndecidedRoute, match="/files"):
        check(outer.routes)


@pytest.mark.slow
def test_no_method_of_any_path_answers_without_a_token():
    app, engine = make_app(prints())
    paths = {route.path for route in leaves(app.routes) if isinstance(route, Route)}
    paths |= {"/nothing", "/v2", "/redoc", "/static/x", "/v2/commands/dags/list", "/v2/operations/x/nothing"}
    client = TestClient(app, follow_redirects=False)

    answers = {(method, path): client.request(method, path) for path in paths for method in METHODS}

    # The methods that the 1.x plugin told anybody about, as recorded; nothing is behind them.
    open_to_all = {("OPTIONS", "/api"): 200}
    open_to_all |= {(method, "/api"): 405 for method in ("PUT", "PATCH", "DELETE")}
    refused = {key: answer for key, answer in answers.items() if key not in open_to_all}
    assert {key: answers[key].status_code for key in open_to_all} == open_to_all
    assert {key: answer.status_code for key, answer in refused.items() if answer.status_code != 401} == {}
    assert {answer.headers["WWW-Authenticate"] for answer in refused.values()} == {'Bearer realm="Airflow"'}
    assert engine.jobs == []


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/v2/services", "GET, POST"),
        ("/v2/services/x", "DELETE, GET"),
        ("/v2/commands/dags/list", "GET, POST"),
        ("/v2/run", "POST"),
        ("/api", "GET, POST, HEAD, OPTIONS"),
    ],
)
def test_a_method_that_is_not_taken_is_answered_with_all_that_are(path: str, methods: str):
    with serving() as (client, _):
        answer = client.put(path)

    assert (answer.status_code, answer.headers["Allow"]) == (405, methods)


@pytest.fixture
def passed(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Return what a request passes and has done for it, by how often."""
    found: Counter[str] = Counter()

    def count(owner: Any, name: str, what: Callable[[Any], str]) -> None:
        function = getattr(owner, name)

        def counted(self: Any, *arguments: Any, **more: Any) -> Any:
            # What works beside the requests has no slot.
            if _slot.get(None) is not None or owner in (QuietQuery, Admission):
                found[what(self)] += 1
            return function(self, *arguments, **more)

        monkeypatch.setattr(owner, name, counted)

    for layer in (Admission, QuietQuery, LastResort, Guard, BodyDeadline):
        count(layer, "__call__", lambda self: type(self).__name__)
    count(PyJWT, "decode_complete", lambda _: "a token is decoded")
    count(ThreadPoolExecutor, "submit", lambda self: f"into a thread of {self._thread_name_prefix}")
    return found


def test_a_request_passes_each_layer_once_and_goes_into_a_thread_only_for_its_token(passed: Counter[str]):
    with serving() as (client, _):
        layers = [layer.cls.__name__ for layer in client.app.user_middleware]  # type: ignore[attr-defined]
        for _ in range(2):
            passed.clear()
            answer = client.post("/v2/commands/version", json={})

    assert answer.json()["state"] == "succeeded"
    assert passed == Counter(layers) + Counter(["a token is decoded", "into a thread of rest-api-question"])


@pytest.mark.parametrize("limit", [256, 0])
def test_what_logs_requests_sees_no_secret_of_a_query_also_where_one_is_not_let_in(limit: int):
    logged = []

    class Logs:
        def __init__(self, app: Any) -> None:
            self.app = app

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            async def send_logged(message: Any) -> None:
                logged.append((message.get("status"), scope["query_string"]))
                await send(message)

            await self.app(scope, receive, send_logged)

    for app in (make_app(prints(), max_requests=limit)[0], create_login_app(Settings(max_requests=limit))):
        outer = FastAPI()
        outer.mount("/admin/rest_api", app)
        outer.add_middleware(Logs)
        TestClient(outer).get("/admin/rest_api/api?api=connections&conn_uri=http://me:hunter22@host")

    assert len(logged) == 4
    assert not [one for one in logged if b"hunter22" in one[1]], logged
    assert (limit == 0) == (503 in dict(logged))


def test_a_web_socket_is_refused():
    app, _ = make_app(prints())

    from starlette.websockets import WebSocketDisconnect

    with (
        pytest.raises(WebSocketDisconnect),
        TestClient(app).websocket_connect("/v2/run", headers=bearer("admin")),
    ):
        pass


def test_the_lifespan_starts_the_engine_and_stops_what_runs():
    with serving(until_cancelled) as (client, engine):
        running = client.post("/v2/commands/version", headers={"Prefer": "respond-async"}).json()
        assert (engine.started, engine.stopped) == (True, False)
        store = client.app.state.context.store  # type: ignore[attr-defined]

    assert engine.stopped
    ended = asyncio.run(Store(Database(store.database.engine)).get(running["id"]))
    assert (ended.state.value, ended.message) == ("cancelled", "The API server was stopped.")


def test_permissions_that_a_lost_network_keeps_from_being_made_hold_up_no_end(
    monkeypatch: pytest.MonkeyPatch,
):
    answered, made = threading.Event(), []
    monkeypatch.setattr(permissions, "create_resources", lambda powers: made.append(answered.wait(30)))
    monkeypatch.setattr(app_module, "ask", QuestionThreads(within=0.1).ask)
    with serving(prints()) as (_, engine):
        pass
    assert engine.stopped
    assert not made
    answered.set()


def test_what_waited_for_a_runner_comes_to_an_end_also_without_a_broker():
    address = own_database()
    database = Database(lambda: own_engine(address))
    long_ago = datetime.now(timezone.utc) - timedelta(hours=2)
    waits = Operation(new_id(), "version", "read", ["version"], "u", "", long_ago, queue="dags")

    def put(connection: Connection) -> None:
        work_queue.put(connection, waits, b"", per_queue=1, per_user=1)

    async def end() -> State:
        await Store(database).insert(waits, also=put)
        with serving(operations_database=address):
            while not (state := await Store(database).state(waits.id)).ended:
                await asyncio.sleep(0.02)
        return state

    assert asyncio.run(asyncio.wait_for(end(), 60)) is State.TIMED_OUT
    database.close()


def test_models_that_cannot_be_read_keep_no_server_from_starting(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    def fail() -> None:
        raise ImportError("a model of a provider")

    monkeypatch.setattr(installation, "load_models", fail)
    with serving(prints("done")) as (client, _):
        assert client.post("/v2/commands/version").json()["stdout"] == "done"
    assert "a model of a provider" in caplog.text


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        ((broker, "find_spec", lambda name: None), "Celery is missing"),
        ((FernetCipher, "_fernet", lambda self: None), "no .core. fernet_key"),
    ],
)
def test_queues_that_nothing_can_be_sent_to_keep_the_plugin_off(
    monkeypatch: pytest.MonkeyPatch, broken: tuple[Any, str, Any], words: str
):
    monkeypatch.setattr(*broken)
    with pytest.raises(BadSetting, match=f"placement names queues.*{words}"):
        create_app(Settings(placement="execute = dags", runner_broker="redis://x"))
    create_app(Settings(placement="execute = local"))


@pytest.mark.parametrize("address", ["foo://hunter22", "redis://:hunter22/x@redis:6379/1"])
def test_a_broker_that_nothing_can_be_sent_to_keeps_the_plugin_off_and_is_not_repeated(
    monkeypatch: pytest.MonkeyPatch, address: str
):
    monkeypatch.setattr(FernetCipher, "available", True)
    with pytest.raises(BadSetting, match=r"runner_broker is no address of a broker") as error:
        create_app(Settings(placement="execute = dags", runner_broker=address))
    assert "hunter22" not in str(error.value)
    create_app(Settings(runner_broker=address))


def test_a_broker_whose_package_is_missing_keeps_the_plugin_off(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(FernetCipher, "available", True)
    with pytest.raises(BadSetting, match=r"runner_broker needs a Python package: botocore"):
        create_app(Settings(placement="execute = dags", runner_broker="sqs://key:secret@"))


@pytest.mark.slow
def test_commands_that_cannot_be_read_are_read_again_by_the_next_request():
    tries = []

    def load():
        tries.append(1)
        if len(tries) < 3:
            raise RuntimeError("secret inside")
        from airflow_rest_api.commands.catalog import load_catalog

        return load_catalog()

    app = create_app(Settings(), load_catalog=load)
    with TestClient(app, headers=bearer("viewer"), raise_server_exceptions=False) as client:
        while len(tries) < 1:
            time.sleep(0.01)
        failed = client.get("/v2/commands")
        # Who asks while it is being read gets what comes of that.
        assert wait_for(app.state.context.catalog._task.done)
        worked = client.get("/v2/commands")

    assert failed.status_code == 500
    assert "secret inside" not in failed.text
    assert worked.status_code == 200


@pytest.mark.airflow
def test_a_command_runs_in_a_real_process():
    import airflow

    app = create_app(Settings(spare_children=1))
    with TestClient(app, headers=bearer("viewer")) as client:
        operation = client.post("/v2/commands/version", headers={"Prefer": "wait=120"}).json()

    # Airflow also prints that the tests' database is no migrated one.
    assert (operation["state"], operation["stdout"].split()[-1]) == ("succeeded", airflow.__version__)


ROOT = Path(__file__).resolve().parent.parent
PATIENCE = 90.0


@pytest.fixture
def server() -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A real server process and its address."""
    port = free_port()
    env = {**os.environ, "NO_PROXY": "*"}
    process = subprocess.Popen([sys.executable, "-m", "tests.api.served", str(port)], cwd=ROOT, env=env)
    url = f"http://127.0.0.1:{port}/plugin/v2"
    try:
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                httpx.get(f"{url}/operations", timeout=30)
                break
            except httpx.TransportError:
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.1)
        yield process, url
    finally:
        process.kill()
        process.wait()


@pytest.mark.slow
def test_a_server_that_is_told_to_stop_does_not_wait_for_those_who_follow_or_wait(
    server: tuple[subprocess.Popen[bytes], str],
):
    process, url = server
    with httpx.Client(headers=bearer("admin"), timeout=PATIENCE) as client:
        made = client.post(f"{url}/commands/version", headers={"Prefer": "respond-async"}).json()
        path = f"{url}/operations/{made['id']}"
        with client.stream("GET", f"{path}/events") as answer:
            lines = answer.iter_lines()
            while '"text": "working\\n"' not in next(lines):
                pass
            thread = threading.Thread(target=wait_for_the_end, args=(path,))
            thread.start()
            process.send_signal(signal.SIGTERM)
            told = "\n".join(lines)
        # uvicorn itself would wait for two minutes.
        process.wait(PATIENCE)
        thread.join(PATIENCE)

    assert "event: end" not in told


def wait_for_the_end(path: str) -> None:
    with contextlib.suppress(httpx.TransportError):  # the server may be gone before it is asked
        httpx.get(path, headers={**bearer("admin"), "Prefer": "wait=300"}, timeout=PATIENCE)


def test_a_process_without_a_server_that_says_so_does_not_stop(monkeypatch: pytest.MonkeyPatch):
    class Server:
        should_exit = False

        def handle_exit(self, number: int, frame: object) -> None:
            self.should_exit = True

    server = Server()
    assert not stopping()
    before = signal.signal(signal.SIGTERM, server.handle_exit)
    try:
        assert not stopping()
        signal.raise_signal(signal.SIGTERM)
        assert stopping()
    finally:
        signal.signal(signal.SIGTERM, before)
    assert not stopping()
