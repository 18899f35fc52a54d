from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from airflow_rest_client import RestError, Unreachable
from airflow_rest_client.carriers import AsyncCarrier, Carrier
from airflow_rest_client.certificates import authorities
from airflow_rest_client.http import Request, Response
from airflow_rest_client.quick import QuickCarrier

from .conftest import Server

ASKED = Request("GET", "/admin/rest_api/v2/catalog")


@pytest.fixture
def certificate(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The certificate of the server, which nobody but itself stands for."""
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
    if (program := shutil.which("openssl")) is None:
        pytest.skip("there is no openssl")
    made, key = tmp_path / "c.pem", tmp_path / "k.pem"
    line = [program, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    line += ["-keyout", str(key), "-out", str(made), "-days", "2", "-subj", "/CN=127.0.0.1"]
    subprocess.run([*line, "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
    server.encrypt(made, key)
    return made


def awaited(url: str) -> Response:
    async def answer() -> Response:
        carrier = AsyncCarrier(url)
        try:
            return await carrier.send(ASKED)
        finally:
            await carrier.aclose()

    return asyncio.run(answer())


@pytest.fixture(params=["quick", "waiting", "awaited"])
def ask(request: pytest.FixtureRequest) -> Callable[[str], Response]:
    """Each of those that carry a request."""
    return {
        "quick": lambda url: QuickCarrier(url).send(ASKED),
        "waiting": lambda url: Carrier(url).send(ASKED),
        "awaited": awaited,
    }[request.param]


def test_the_authority_of_a_company_is_believed_where_the_system_has_it(
    server: Server, certificate: Path, monkeypatch: pytest.MonkeyPatch, ask: Callable[[str], Response]
):
    with pytest.raises(Unreachable, match="certificate verify failed"):
        ask(server.url)

    def store(self: ssl.SSLContext, purpose: ssl.Purpose = ssl.Purpose.SERVER_AUTH) -> None:
        self.load_verify_locations(certificate)

    monkeypatch.setattr(ssl.SSLContext, "load_default_certs", store)
    assert ask(server.url).status == 200


def test_the_environment_says_which_authorities_are_believed(
    server: Server, certificate: Path, monkeypatch: pytest.MonkeyPatch, ask: Callable[[str], Response]
):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert ask(server.url).status == 200
    monkeypatch.setenv("SSL_CERT_FILE", "/nonexistent")
    with pytest.raises(RestError, match="SSL_CERT_FILE"):
        ask(server.url)


def test_without_encryption_no_certificates_are_read(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SSL_CERT_FILE", "/nonexistent")
    assert authorities("http://a.example") is None
