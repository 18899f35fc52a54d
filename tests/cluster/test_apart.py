"""What becomes of operations when a server is killed or stopped, and when the database is away."""

from __future__ import annotations

import re
import signal
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from typing import Any

import httpx
import psutil
import pytest

from tests.cluster.servers import PARALLELISM, Client, Cluster, left, lines, wait_until
from tests.server.conftest import family

# The first test of a worker starts both servers.
pytestmark = [pytest.mark.airflow, pytest.mark.timeout(900)]

A_MINUTE = 60
AWAY = 30.0
"""Seconds for which the database is taken away."""
LOAD = 200
BEFORE = 40
"""Commands of the load that have run when the server is killed."""
ON_AND_ON = 100_000
SWEPT_WITHIN = 200
"""Seconds: two rounds of the janitor, and more."""
NO_HEARTBEAT = "has no heartbeat any more"


def ended(operation: dict[str, Any]) -> bool:
    return operation["finished_at"] is not None


def helper(operation: dict[str, Any]) -> psutil.Process:
    """Return the program that the task of an operation has started."""
    found = re.search(r"helper (\d+)", operation["stdout"])
    assert found, operation
    return psutil.Process(int(found[1]))


def log(cluster: Cluster) -> str:
    """Return what B has logged."""
    return cluster.b.components[0].output.read_text()


@pytest.fixture(scope="module", autouse=True)
def outlived(cluster: Cluster) -> tuple[str, str]:
    """An operation that ended longer ago than is kept, and one that ended now."""
    with Client(cluster.b) as client:
        old, young = (client.run("version")["id"] for _ in range(2))
    # The answer of a command that only reads may come before its record.
    recorded = "SELECT id FROM rest_api_operation WHERE id IN (:old, :young)"
    assert wait_until(lambda: len(cluster.query(recorded, old=old, young=young)) == 2)
    statement = "UPDATE rest_api_operation SET finished_at = finished_at - INTERVAL '8 days' WHERE id = :id"
    cluster.query(statement, id=old)
    return old, young


@pytest.fixture
def gate(cluster: Cluster) -> Iterator[Any]:
    """What commands wait behind where they parse DAG files, once it is made."""
    try:
        yield cluster.gate
    finally:
        cluster.gate.unlink(missing_ok=True)


def test_commands_that_run_while_the_database_is_away_are_recorded_when_it_is_back(
    cluster: Cluster, a: Client, b: Client, gate: Any
):
    markers = {}
    for marker, client in (("within_a", a), ("within_b", b), ("beyond_a", a), ("beyond_b", b)):
        markers[marker] = client.begin(marker, lines=ON_AND_ON, every=0.5)["id"]
    for marker, identifier in markers.items():
        b.until(identifier, lambda one, marker=marker: lines(one["stdout"], marker))
    # A command that has no need of the database until its end.
    gate.touch()
    parsing = a.line("dags", "report", Prefer="respond-async").json()["id"]
    assert wait_until(gate.read_text)

    answers: Counter[tuple[str, int]] = Counter()
    with a.follow(markers["beyond_a"]) as here, b.follow(markers["beyond_a"]) as there:
        for stream in (here, there):
            stream.until(lambda stream: lines(stream.text(), "beyond_a"))
        for proxy in cluster.proxies.values():
            proxy.cut()
        try:
            back = time.monotonic() + AWAY
            gate.unlink()
            for marker in ("within_a", "within_b"):
                cluster.let_end(marker)
            before = len(lines(here.text(), "beyond_a"))
            while time.monotonic() < back:
                for client in (a, b):
                    for path in ("/operations", f"/operations/{parsing}", f"/operations/{parsing}/output"):
                        answers["GET", client.get(path).status_code] += 1
                    for body in ({}, {"output": "json"}):
                        answer = client.post("/commands/pools/list", json=body)
                        answers["POST", answer.status_code] += 1
                        assert answer.json()["detail"]["reason"] == "database_unavailable"
                        assert int(answer.headers["Retry-After"]) > 0
                time.sleep(0.5)
            # Where it runs, nobody has to wait for the database.
            assert len(lines(here.text(), "beyond_a")) > before
        finally:
            for proxy in cluster.proxies.values():
                proxy.restore()
        again = datetime.now(timezone.utc)
        assert answers.keys() <= {("GET", 503), ("GET", 200), ("POST", 503)}, answers
        assert answers["GET", 503] > 0

        for marker in ("beyond_a", "beyond_b"):
            cluster.let_end(marker)
        states = []

        def over(operation: dict[str, Any]) -> bool:
            states.append(operation["state"])
            return ended(operation)

        for marker, identifier in markers.items():
            said = (b if marker.endswith("a") else a).until(identifier, over)
            # One that ends while the database is away is failed by Airflow, which has the task's state in it.
            wanted = {"succeeded"} if marker.startswith("beyond") else {"succeeded", "failed"}
            assert said["state"] in wanted, said
            printed = lines(said["stdout"], marker)
            assert printed == list(range(1, len(printed) + 1))
            assert cluster.traces()[f"{marker} ends"] == 1
            if marker.startswith("within"):
                assert datetime.fromisoformat(said["finished_at"].replace("Z", "+00:00")) < again
        said = b.until(parsing, over)
        assert said["state"] == "succeeded", said
        assert datetime.fromisoformat(said["finished_at"].replace("Z", "+00:00")) < again
        for stream in (here, there):
            stream.until(lambda stream: stream.over)
            assert stream.end
            assert stream.text() == b.operation(markers["beyond_a"])["stdout"]
    assert "lost" not in states
    assert NO_HEARTBEAT not in log(cluster)


def test_a_server_that_is_stopped_ends_its_commands_and_says_why(cluster: Cluster, a: Client, b: Client):
    markers = [f"stopped_{number}" for number in range(PARALLELISM + 1)]
    identifiers = [a.begin(marker, lines=ON_AND_ON, helper=True)["id"] for marker in markers]
    untouched = b.begin("untouched", lines=ON_AND_ON)["id"]
    running, waiting = identifiers[:PARALLELISM], identifiers[PARALLELISM:]
    for identifier, marker in zip(running, markers, strict=False):
        b.until(identifier, lambda one, marker=marker: lines(one["stdout"], marker))
    helpers = [helper(b.operation(identifier)) for identifier in running]
    assert [b.operation(identifier)["state"] for identifier in waiting] == ["queued"]

    processes = family(cluster.a)
    with a.follow(identifiers[0]) as here, b.follow(identifiers[0]) as there:
        here.until(lambda stream: stream.seen)
        there.until(lambda stream: stream.seen)
        began = time.monotonic()
        cluster.signal_a(signal.SIGTERM)
        here.until(lambda stream: stream.over)
        assert left(processes) == []
        print(f"stopped after {time.monotonic() - began:.1f} s")
        there.until(lambda stream: stream.over)
        assert here.error is None
        assert there.end
        assert there.end["state"] == "cancelled"

    told = [b.operation(identifier) for identifier in identifiers]
    for said in told:
        assert (said["state"], said["message"]) == ("cancelled", "The API server was stopped.")
    assert left(helpers) == []
    assert {f"{marker} ends" for marker in markers}.isdisjoint(cluster.traces())
    assert b.operation(untouched)["state"] == "running"
    [(server,)] = cluster.query("SELECT server FROM rest_api_operation WHERE id = :id", id=identifiers[0])
    assert cluster.query("SELECT id FROM rest_api_server WHERE id = :id", id=server) == []
    b.post(f"/operations/{untouched}/cancel", headers={"Prefer": "wait=120"})

    cluster.start_a()
    with Client(cluster.a) as back:
        assert [back.operation(identifier) for identifier in identifiers] == told
        assert {one["id"] for one in back.every(state="cancelled")} >= set(identifiers)


def test_when_a_server_is_killed_under_load_nothing_is_lost_and_nothing_runs_twice(
    cluster: Cluster, a: Client, b: Client
):
    markers = [f"slow_{number}" for number in range(PARALLELISM // 2)]
    slow = [a.begin(marker, lines=ON_AND_ON, helper=True)["id"] for marker in markers]
    for identifier, marker in zip(slow, markers, strict=True):
        b.until(identifier, lambda one, marker=marker: lines(one["stdout"], marker))
    helpers = [helper(b.operation(identifier)) for identifier in slow]
    told: dict[str, dict[str, Any]] = {}

    def ask(client: Client, number: int) -> httpx.Response:
        preferred = "respond-async" if number % 2 else "wait=120"
        headers = {"Idempotency-Key": f"load_{number}", "Prefer": preferred}
        body = {"key": f"load_{number}", "value": "yes"}
        return client.post("/commands/variables/set", json=body, headers=headers)

    def ask_until_it_dies(number: int) -> None:
        try:
            answer = ask(a, number)
        except httpx.TransportError:
            return
        assert answer.status_code in (200, 202), answer.text
        told[f"load_{number}"] = answer.json()

    def runs() -> Counter[str]:
        return cluster.runs("cli_variables_set", r"load_\d+")

    processes = family(cluster.a)
    with ThreadPoolExecutor(20) as pool:
        asked = [pool.submit(ask_until_it_dies, number) for number in range(LOAD)]
        assert wait_until(lambda: runs().total() >= BEFORE)
        printed = {identifier: b.operation(identifier)["stdout"] for identifier in slow}
        cluster.signal_a(signal.SIGKILL)
        killed = time.monotonic()
        for each in asked:
            each.result()
    # The commands of a server do not outlive it, whatever they have started.
    assert left(processes) == []
    assert left(helpers) == []
    after = runs()

    for identifier in (*slow, *(one["id"] for one in told.values())):
        b.until(identifier, ended, max(0, killed + A_MINUTE - time.monotonic()))
    print(f"all ended on B {time.monotonic() - killed:.1f} s after the kill; {len(told)} of {LOAD} answered")
    for identifier in slow:
        said = b.operation(identifier)
        assert (said["state"], said["message"]) == ("lost", "The API server that ran the command is gone.")
        assert said["stdout"].startswith(printed[identifier])
    states: Counter[str] = Counter()
    for key, answered in told.items():
        said = b.operation(answered["id"])
        states[said["state"]] += 1
        assert said["state"] in ("succeeded", "lost")
        assert after[key] == 1 if said["state"] == "succeeded" else after[key] <= 1
        if answered["finished_at"]:
            assert said == answered
    print(states)
    assert states["lost"]
    assert NO_HEARTBEAT in log(cluster)

    # Clients who heard nothing ask again: what had been taken on is not run once more.
    with ThreadPoolExecutor(20) as pool:
        again = list(pool.map(lambda number: ask(b, number), range(LOAD)))
    for number, answer in enumerate(again):
        said = b.operation(answer.json()["id"], wait=120)
        key = f"load_{number}"
        if key in told:
            assert said["id"] == told[key]["id"]
        if answer.headers.get("Idempotency-Replayed") != "true":
            assert after[key] == 0
            assert said["state"] == "succeeded"
    assert set(runs().values()) == {1}
    assert all(cluster.traces()[f"{marker} begins"] == 1 for marker in markers)
    assert next(b.every(state=["queued", "running"]), None) is None


def test_what_is_older_than_is_kept_goes(b: Client, outlived: tuple[str, str]):
    old, young = outlived

    assert wait_until(lambda: b.get(f"/operations/{old}").status_code == 404, SWEPT_WITHIN)
    assert b.operation(young)["state"] == "succeeded"
