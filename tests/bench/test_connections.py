from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from bench.client import Answer, Unexpected
from bench.connections import Requests, Step, exchange, kind, parse_answer
from bench.rows import Call
from demo.ports import free_port


class Echo(BaseHTTPRequestHandler):
    """Answers with what it was sent; closes the connection without an answer when asked to."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        data = self.rfile.read(int(self.headers["Content-Length"]))
        if b"hang up" in data:
            self.close_connection = True
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def requests() -> Iterator[Requests]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield Requests(f"http://localhost:{server.server_port}/prefix", "token")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_request_says_who_asks_and_how_long_it_is() -> None:
    requests = Requests("http://localhost:1234/airflow", "secret")
    assert requests.port == 1234
    assert requests.command("dags pause", {"dag_id": "a"}).split(b"\r\n") == [
        b"POST /airflow/admin/rest_api/v2/commands/dags/pause HTTP/1.1",
        b"Host: localhost:1234",
        b"Authorization: Bearer secret",
        b"Accept: application/json",
        b"Content-Type: application/json",
        b"Content-Length: 15",
        b"",
        b'{"dag_id": "a"}',
    ]
    assert requests.own(Call("GET", "version")).startswith(b"GET /airflow/api/v2/version HTTP/1.1\r\n")
    assert requests.own(Call("GET", "version")).endswith(b"\r\nContent-Length: 0\r\n\r\n")


def test_an_answer_is_taken_when_all_of_it_is_there() -> None:
    whole = b"HTTP/1.1 404 Not Found\r\nserver: x\r\nContent-Length: 4\r\n\r\nnone"
    assert [parse_answer(whole[:length]) for length in range(len(whole))] == [None] * len(whole)
    assert parse_answer(whole) == (404, b"none")


def test_an_answer_of_unknown_length_is_none_that_can_be_measured() -> None:
    with pytest.raises(Unexpected, match="unknown length"):
        parse_answer(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n")


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Answer(200, {"state": "succeeded"}, 0.1), "200"),
        (Answer(200, {"state": "failed"}, 0.1), "200 failed"),
        (Answer(202, {"state": "running"}, 0.1), "202 running"),
        (Answer(429, {"detail": {"reason": "busy"}}, 0.1), "429"),
        (Answer(502, "Bad gateway", 0.1), "502"),
    ],
)
def test_a_command_that_failed_is_no_good_answer(answer: Answer, expected: str) -> None:
    assert kind(answer) == expected


def test_an_answer_is_wrong_when_it_is_not_what_was_asked_for() -> None:
    good = Answer(200, {"state": "succeeded", "result": 1}, 0.1)
    assert kind(good, lambda body: body["result"] == 1) == "200"
    assert kind(good, lambda body: body["result"] == 2) == "200 wrong"
    # What is said to be no result is not looked at.
    assert kind(Answer(429, {}, 0.1), lambda body: body["result"] == 1) == "429"
    assert kind(Answer(200, {"state": "failed"}, 0.1), lambda body: False) == "200 failed"


def test_each_client_gets_the_answers_to_its_own_requests(requests: Requests) -> None:
    def client(number: int) -> Iterator[Step]:
        for turn in range(20):
            value = f"{number}-{turn}" * 2000
            expected = json.loads(json.dumps({"value": value}))
            yield Step(requests.command("x", {"value": value}), lambda body, e=expected: body == e)

    found: Counter[str] = Counter()
    exchange(
        requests.port, [client(number) for number in range(4)], None, lambda what, _: found.update([what])
    )
    assert found == {"200": 80}


def test_a_client_that_is_hung_up_on_goes_on_with_a_new_connection(requests: Requests) -> None:
    steps = [Step(requests.command("x", {"say": text})) for text in ("a", "hang up", "b")]
    found: list[str] = []
    exchange(requests.port, [iter(steps)], None, lambda what, _: found.append(what))
    assert found == ["200", "ConnectionResetError", "200"]


def test_no_client_begins_when_the_time_is_over(requests: Requests) -> None:
    steps = iter([Step(requests.command("x", {}))] * 100)
    found: list[float] = []
    exchange(requests.port, [steps], 0.0, lambda _, seconds: found.append(seconds))
    assert len(found) == 1
    assert found[0] > 0


def test_where_nothing_listens_the_benchmark_ends_with_the_reason() -> None:
    with pytest.raises(Unexpected, match="No connection to port"):
        exchange(free_port(), [iter([Step(b"")])], None, lambda what, seconds: None)
