"""Many requests at once, and a database that does not answer: what becomes of Airflow's own routes."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from urllib.parse import urlsplit

import pytest

from tests.cluster.servers import Client, Cluster
from tests.server.conftest import API
from tests.watching import Watch

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(900)]

CROWD = 600
"""Requests at once: more than twice `max_requests`, and few enough for the descriptors of any process."""
SECOND = 1.0


def head(client: Client, method: str, path: str, body: str = "") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", "Connection: close"]
    lines += [f"Authorization: {client.headers['Authorization']}"]
    lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"] if body else []
    return "\r\n".join([*lines, "", body]).encode()


def crowd(url: str, request: bytes, count: int = CROWD) -> Counter[str]:
    """Send a request many times at once; return the number of answers by status."""
    port = urlsplit(url).port or 80

    async def one() -> str:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request)
        status = (await reader.readline()).split(b" ")[1].decode()
        await reader.read()
        writer.close()
        return status

    async def everybody() -> Counter[str]:
        return Counter(await asyncio.gather(*(one() for _ in range(count))))

    return asyncio.run(everybody())


def test_beside_a_crowd_airflow_answers_as_beside_one_that_does_not_come_to_us(cluster: Cluster, b: Client):
    url = cluster.b.url
    with Watch(url) as watch:
        crowd(url, head(b, "GET", "/no/such/page"))
        floor = watch.lap()
        seen: Counter[str] = Counter()
        for method, path, body in (
            ("GET", f"{API}/commands", ""),
            ("POST", f"{API}/commands/version", "{}"),
            ("POST", f"{API}/run", '{"argv": ["pools", "list"]}'),
            ("GET", "/admin/rest_api/api?api=version", ""),
            ("GET", f"{API}/operations", ""),
        ):
            watch.lap()
            answers = crowd(url, head(b, method, path, body))
            # Twice, as this machine has others to serve meanwhile.
            assert watch.lap() < 2 * floor + SECOND, (path, floor, answers)
            assert set(answers) <= {"200", "202", "429", "503"}
            seen += answers
        assert watch.wrong == []
    # Some were let in, and some were not.
    assert seen["503"]
    assert seen["200"]
    assert b.command("version").json()["state"] == "succeeded"


def test_while_the_database_swallows_packets_only_what_needs_it_waits(cluster: Cluster, b: Client):
    assert b.get("/commands").status_code == 200
    with Client(cluster.b, "ada") as stranger, Watch(cluster.b.url) as watch:
        watch.lap()
        cluster.proxies["b"].freeze()
        try:
            answers: dict[str, tuple[int, float]] = {}

            def ask(name: str, client: Client, method: str, path: str) -> None:
                began = time.perf_counter()
                said = client.request(method, path, json={} if method == "POST" else None)
                answers[name] = said.status_code, time.perf_counter() - began

            asked = [
                threading.Thread(target=ask, args=one)
                for one in (
                    ("known", b, "GET", "/commands"),
                    ("a command", b, "GET", "/commands/dags/list"),
                    ("operations", b, "GET", "/operations"),
                    ("services", b, "GET", "/services"),
                    ("run", b, "POST", "/commands/version"),
                    ("stranger", stranger, "GET", "/commands"),
                )
            ]
            for thread in asked:
                thread.start()
            for thread in asked:
                thread.join(60)
            assert watch.lap() < SECOND
            assert {name: status for name, (status, _) in answers.items()} == {
                "known": 200,
                "a command": 200,
                "operations": 503,
                "services": 503,
                "run": 503,
                "stranger": 503,
            }
            assert max(answers[name][1] for name in ("known", "a command")) < 8
            # By now it is known that nobody answers.
            began = time.perf_counter()
            again = b.get("/operations")
            assert again.json()["detail"]["reason"] == "database_unavailable"
            assert int(again.headers["Retry-After"]) > 0
            assert time.perf_counter() - began < 8
        finally:
            cluster.proxies["b"].restore()
        assert watch.wrong == []
    deadline = time.monotonic() + 60
    while b.get("/operations").status_code != 200:
        assert time.monotonic() < deadline
        time.sleep(0.5)
