from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from airflow_rest_client import Client, RestError, Unreachable
from airflow_rest_client.exchanges import line
from airflow_rest_client.quick import carrier

from .conftest import Reply, Server, operation

RUN = "/admin/rest_api/v2/run"


@pytest.fixture
def refusing_proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """A proxy that lets nobody through, and where they wanted to go."""
    wanted: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_CONNECT(self) -> None:
            wanted.append(self.path)
            self.send_error(407)

        def log_message(self, *_: object) -> None:
            pass

    proxy = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=proxy.serve_forever, args=(0.02,), daemon=True).start()
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.server_address[1]}")
    monkeypatch.setenv("NO_PROXY", "")
    yield wanted
    proxy.shutdown()
    proxy.server_close()


def test_a_proxy_that_refuses_is_said_at_once(refusing_proxy: list[str]):
    client = Client("https://airflow.example.org", "t")
    with pytest.raises(Unreachable, match="407"):
        client.do(client.server.started(line(["version"])))
    assert refusing_proxy == ["airflow.example.org:443"]


def test_an_answer_that_is_damaged_on_the_way_is_a_broken_connection(server: Server):
    server.on("POST", RUN, Reply(body=operation(), headers={"Content-Encoding": "gzip"}))
    client = Client(server.url, "t")
    with pytest.raises(Unreachable):
        client.do(client.server.ask(line(["version"])))


@pytest.mark.parametrize("proxy", ["http://ada:hu#sh@127.0.0.1:1", "socks9://ada:hush@127.0.0.1:1"])
def test_a_proxy_that_cannot_be_one_is_said_without_its_password(monkeypatch: pytest.MonkeyPatch, proxy: str):
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    with pytest.raises(RestError, match="The proxy ") as refused:
        carrier("https://airflow.example.org")
    assert "hu" not in str(refused.value)
