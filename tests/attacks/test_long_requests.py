"""Requests that are made to keep the event loop busy, while somebody else asks Airflow for its version."""

from __future__ import annotations

import contextlib
import io
import json
import tarfile
import threading
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator

import httpx
import pytest

from tests.server.conftest import API, Client
from tests.stacks import Stack

pytestmark = pytest.mark.airflow

PATIENCE = 1.0
"""Seconds that an answer to somebody else may take longer than without the attack."""
TIMES = 3
UPLOAD = 4 * 1024 * 1024 - 10_000
LEGACY = "/admin/rest_api/api"
LOGIN = "/api/v1/security/login"


@contextlib.contextmanager
def bystander(stack: Stack) -> Iterator[list[float]]:
    """Ask for Airflow's version all the time; give how long each answer took."""
    took: list[float] = []
    done = threading.Event()

    def ask() -> None:
        with httpx.Client(base_url=stack.url, timeout=120) as client:
            while not done.is_set():
                begun = time.monotonic()
                client.get("/api/v2/version").raise_for_status()
                took.append(time.monotonic() - begun)
                done.wait(0.02)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        while not took:
            time.sleep(0.01)
        yield took
        # Whoever was asked meanwhile is still to answer.
        time.sleep(0.05)
    finally:
        done.set()
        thread.join()


@pytest.fixture(scope="module")
def usual(attacked: Stack, admin: Client) -> float:
    """Return how long an answer takes at most while nobody attacks; a busy machine is slow by itself."""
    with bystander(attacked) as took:
        for _ in range(20):
            admin.get("/operations")
    return max(took)


def tar_of_digits() -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        entry = tarfile.TarInfo("a.py")
        entry.pax_headers = {"comment": "1" * 900_000}
        archive.addfile(entry)
    return packed.getvalue()


def forged(header: str) -> str:
    return ".".join(urlsafe_b64encode(part.encode()).decode().rstrip("=") for part in (header, "{}", "x"))


JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
PARTS = {"Content-Type": "multipart/form-data; boundary=b"}
PART = b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n'

HEADERS: dict[str, dict[str, str]] = {
    **{
        f"Prefer {run!r}": {"Prefer": f"a{run * (8000 // len(run))}("}
        for run in (" ", "\t", '"', ";", ",", "a=")
    },
    **{
        f"Content-Type {run!r}": {"Content-Type": f"multipart/form-data; a{run * (8000 // len(run))}x"}
        for run in (" ", '"', ";", "\\", 'a="', "*0")
    },
    "Accept": {"Accept": "application/octet-stream;" * 300},
    "Idempotency-Key": {"Idempotency-Key": '"' * 8000},
    "Origin": {"Origin": "http://[" + ":" * 8000},
    "X-Rest-Api-User": {"X-Rest-Api-User": "%41%" * 2000},
    "a token of nested lists": {"Authorization": f"Bearer {forged('[' * 8000)}"},
    "two megabytes": {"X-Large": "a" * 2_000_000},
}  # fmt: skip

BODIES: dict[str, tuple[str, dict[str, str], bytes]] = {
    "lists": ("/run", JSON, b'{"argv": [' + b"[]," * (UPLOAD // 3) + b"1]}"),
    "texts": ("/run", JSON, b'{"argv": [' + b"1," * (UPLOAD // 2) + b"1]}"),
    "levels": ("/run", JSON, b"[" * UPLOAD),
    "members": ("/commands/dags/list", JSON, b"{" + b",".join(b'"%d":1' % n for n in range(300_000)) + b"}"),
    "escapes": ("/commands/dags/list", JSON, b'{"a": "' + b"\\u0041" * (UPLOAD // 6) + b'"}'),
    "a JSON text": (
        "/commands/dags/trigger", JSON,
        json.dumps({"dag_id": "attacked", "conf": "[" + "[]," * (UPLOAD // 4) + "1]"}).encode(),
    ),
    "a date": ("/commands/dags/test", JSON, b'{"dag_id": "a", "logical_date": "' + b"." * 10**6 + b'"}'),
    "parts": ("/run", PARTS, (PART + b"x\r\n") * (UPLOAD // 60) + b"--b--\r\n"),
    "a part": ("/run", PARTS, PART + b"\r\n--" * (UPLOAD // 4) + b"\r\n--b--\r\n"),
    "headers of a part": ("/run", PARTS, b"--b\r\nContent-Disposition: form-data; " + b'a="' * (UPLOAD // 3)),
    "a form in punycode": (
        "/run", {"Content-Type": "multipart/form-data; boundary=b; charset=punycode"},
        PART + b"a-" + b"b" * 1_000_000 + b"\r\n--b--\r\n",
    ),
    "a number in a tar": (
        "/dag-files", PARTS,
        b'--b\r\nContent-Disposition: form-data; name="archive"; filename="a.tgz"\r\n\r\n' + tar_of_digits()
        + b"\r\n--b--\r\n",
    ),
    "1.x escapes": (LEGACY, FORM, b"api=version&a=" + b"%41" * (UPLOAD // 3)),
    "1.x broken escapes": (LEGACY, FORM, b"api=version&a=" + b"%ff%" * (UPLOAD // 4)),
    "1.x fields": (LEGACY, FORM, b"a=1&" * (UPLOAD // 4)),
    "1.x lists": (LEGACY, JSON, b'{"api": [' + b"[]," * (UPLOAD // 3) + b"1]}"),
    "1.x strings": (LEGACY, JSON, b'{"api": "version", "a": "' + b"\\\\" * (UPLOAD // 2) + b'"}'),
    "1.x dates": (
        LEGACY, FORM, b"api=backfill&dag_id=a&dry_run=on&start_date=2026-01-01T" + b"+" * 1_000_000 + b"x"
    ),
    "1.x JSON texts": (LEGACY, FORM, b"api=trigger_dag&dag_id=attacked&conf=" + b"[[]," * (UPLOAD // 4)),
    "login": (LOGIN, JSON, b"[" * UPLOAD),
}  # fmt: skip


def assert_unharmed(stack: Stack, usual: float, send: Callable[[], httpx.Response | None]) -> None:
    with bystander(stack) as took:
        for _ in range(TIMES):
            answer = send()
            # A version runs, and a command of 1.x may fail; everything else is the client's fault.
            assert answer is None or answer.status_code < 500 or "airflow_cmd" in answer.text, answer.text
    assert max(took) < usual + PATIENCE


@pytest.mark.parametrize("name", HEADERS)
def test_no_header_keeps_others_waiting(attacked: Stack, admin: Client, usual: float, name: str) -> None:
    def send() -> httpx.Response | None:
        # Beyond what it takes at all, the server itself may close the connection.
        with contextlib.suppress(httpx.TransportError):
            return admin.post("/commands/version", headers={**admin.headers, **HEADERS[name]})
        return None

    assert_unharmed(attacked, usual, send)


@pytest.mark.parametrize("name", BODIES)
def test_no_body_keeps_others_waiting(attacked: Stack, admin: Client, usual: float, name: str) -> None:
    path, headers, content = BODIES[name]
    address = attacked.url + (path if path.startswith(("/api/", "/admin/")) else API + path)

    def send() -> httpx.Response:
        return admin.post(address, content=content, headers=headers)

    assert_unharmed(attacked, usual, send)


def test_a_flood_of_long_bodies_leaves_airflows_threads_alone(
    attacked: Stack, admin: Client, usual: float
) -> None:
    path, headers, content = BODIES["1.x escapes"]
    threads = [
        threading.Thread(target=lambda: admin.post(attacked.url + path, content=content, headers=headers))
        for _ in range(12)
    ]
    with bystander(attacked) as took:
        for thread in threads:
            thread.start()
        time.sleep(0.2)
        # A route of Airflow's that runs in a thread.
        token = admin.headers["Authorization"]
        begun = time.monotonic()
        httpx.get(
            f"{attacked.url}/api/v2/variables", headers={"Authorization": token}, timeout=120
        ).raise_for_status()
        variables = time.monotonic() - begun
        for thread in threads:
            thread.join()
    assert max(took) < usual + PATIENCE
    assert variables < usual + 5 * PATIENCE
