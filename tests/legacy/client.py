"""A client of the 1.x endpoints."""

from __future__ import annotations

import gzip
import json
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from demo.client import Unavailable, request
from tests.stacks import Stack


class Client:
    """
    Sends requests to the 1.x endpoints of a stack.

    :ivar credentials: the `Authorization` of each request; empty for none
    :ivar headers: what else is sent with each request
    """

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self._token = stack.token()
        self.credentials = f"Bearer {self._token}"
        self.headers: dict[str, str] = {}
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def send(
        self, method: str, query: str, body: bytes | None = None, kind: str | None = None, **headers: str
    ) -> tuple[int, Any]:
        """Return status and answer."""
        message = urllib.request.Request(
            f"{self.stack.url}/admin/rest_api/api?{query}",
            data=body,
            method=method,
            headers={**self.headers, **headers},
        )
        if self.credentials:
            message.add_header("Authorization", self.credentials)
        if kind:
            message.add_header("Content-Type", kind)
        return self._answer(message)

    def v2(self, path: str, body: Any, user: str = "admin") -> dict[str, Any]:
        """Return what the v2 API answers to a POST of a user's, once the command has ended."""
        message = urllib.request.Request(
            f"{self.stack.url}/admin/rest_api/v2/{path}", json.dumps(body).encode(), method="POST"
        )
        message.add_header("Authorization", f"Bearer {self.stack.token(user)}")
        message.add_header("Content-Type", "application/json")
        message.add_header("Prefer", "wait=100")
        _, answer = self._answer(message)
        assert isinstance(answer, dict)
        return answer

    def _answer(self, message: urllib.request.Request) -> tuple[int, Any]:
        try:
            with self._opener.open(message, timeout=120) as response:
                status, content, sent = response.status, response.read(), response.headers
        except urllib.error.HTTPError as error:
            with error:
                status, content, sent = error.code, error.read(), error.headers
        if sent.get("Content-Encoding") == "gzip":
            content = gzip.decompress(content)
        if not content or sent.get_content_type() != "application/json":
            # Airflow's own, such as a refusal of a preflight by its middleware.
            return status, content.decode() or None
        return status, json.loads(content)

    def empty(self) -> None:
        """Take away what other tests have left: variables, connections, pools, runs; pause every DAG."""
        for kind, key in (("variables", "key"), ("connections", "connection_id"), ("pools", "name")):
            for one in self.stack.get(f"{kind}?limit=1000")[kind]:
                if one[key] != "default_pool":
                    self._delete(f"{kind}/{urllib.parse.quote(one[key], safe='')}")
        for dag in self.stack.get("dags?limit=1000")["dags"]:
            # A run that goes on cannot be deleted: none begins any more.
            self._change("PATCH", f"dags/{dag['dag_id']}", {"is_paused": True})
        # One that runs writes what it has to say: SQLite has one writer, for whom a deletion waits a minute.
        end = time.monotonic() + 60
        running = "dags/~/dagRuns/~/taskInstances?state=running&limit=1"
        while self.stack.get(running)["task_instances"] and time.monotonic() < end:
            time.sleep(0.5)
        for run in self.stack.get("dags/~/dagRuns?limit=1000")["dag_runs"]:
            path = f"dags/{run['dag_id']}/dagRuns/{urllib.parse.quote(run['dag_run_id'])}"
            if run["state"] in ("queued", "running"):
                self._change("PATCH", path, {"state": "failed"})
            self._delete(path)

    def keep(self, files: Collection[str]) -> None:
        """Take away all DAG files but these, which other tests have deployed, and their DAGs."""
        for file in self.stack.dags.glob("*.py"):
            if file.name not in files:
                file.unlink()
        end = time.monotonic() + 60
        gone = 0
        # What the DAG processor had begun to parse comes once more.
        while gone < 3 and time.monotonic() < end:
            dags = self.stack.get("dags?limit=1000&exclude_stale=false")["dags"]
            others = [dag["dag_id"] for dag in dags if Path(dag["relative_fileloc"]).name not in files]
            gone = 0 if others else gone + 1
            for dag_id in others:
                self._delete(f"dags/{dag_id}")
            time.sleep(1)
        assert gone == 3, others

    def _delete(self, path: str) -> None:
        for again in (True, False):
            try:
                self._change("DELETE", path)
            except Unavailable as error:
                # It may be gone, although its answer did not come in time.
                if error.status == 404 and not again:
                    return
                if error.status not in (None, 500) or not again:
                    raise
            else:
                return

    def _change(self, method: str, path: str, body: Any = None) -> None:
        request(method, f"{self.stack.url}/api/v2/{path}", body, token=self._token)

    def end_backfills(self, dag_id: str) -> None:
        """Cancel what still runs: there is one backfill of a DAG at a time."""
        for backfill in self.stack.get(f"backfills?dag_id={dag_id}")["backfills"]:
            if backfill["completed_at"] is None:
                self.stack_put(f"backfills/{backfill['id']}/cancel")

    def backfill(self, dag_id: str, send: Callable[[], tuple[int, Any]]) -> tuple[int, Any]:
        """Return the answer to a request that creates a backfill, sent when nothing is in its way."""
        for _ in range(5):
            self.end_backfills(dag_id)
            status, answer = send()
            # SQLite: the scheduler of this stack writes as well.
            if "database is locked" not in str(answer):
                break
        return status, answer

    def ask(self, method: str = "GET", **arguments: str) -> dict[str, Any]:
        """Send a request in the query by GET, in a form by POST, and return the answer; it must be done."""
        return self.done(self.pose(method, **arguments))

    def pose(self, method: str = "GET", **arguments: str) -> tuple[int, Any]:
        """Send a request in the query by GET, in a form by POST, and return status and answer."""
        text = urllib.parse.urlencode(arguments)
        if method == "GET":
            return self.send("GET", text)
        return self.send("POST", "", text.encode(), "application/x-www-form-urlencoded")

    def done(self, got: tuple[int, Any]) -> dict[str, Any]:
        """Return the answer of a request that must be done."""
        status, answer = got
        assert status == 200, answer
        assert isinstance(answer, dict)
        return answer

    def stack_put(self, path: str) -> None:
        """Send a change through Airflow's own REST API."""
        request("PUT", f"{self.stack.url}/api/v2/{path}", token=self._token)

    def state(self, dag_id: str, run_id: str) -> str:
        """Return the state of a DAG run, as Airflow's own REST API has it."""
        return str(self.stack.get(f"dags/{dag_id}/dagRuns/{run_id}")["state"])
