from __future__ import annotations

import pytest

from airflow_rest_client import Client
from airflow_rest_client.cli import exits, main

from .conftest import Reply, Server

SERVICES = "/admin/rest_api/v2/services"
LOG = f"{SERVICES}/s/log"


@pytest.fixture(autouse=True)
def without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_rest_client.cli.services.POLL", 0)


def written(content: bytes, following: int, *, end: bool = False) -> Reply:
    said = {"X-Output-Next": str(following), "X-Output-End": "true" if end else "false"}
    return Reply(headers={"Content-Type": "text/plain", **said}, pieces=[content] if content else [])


def test_a_component_that_takes_its_time_is_waited_for_with_the_same_request(server: Server):
    starting, running = (
        Reply(201, {"id": "s", "state": "starting"}),
        Reply(201, {"id": "s", "state": "running"}),
    )
    server.on("POST", SERVICES, Reply(0), starting, starting, running)

    assert Client(server.url, "t").services.start("triggerer")["state"] == "running"
    assert len(server.sent(SERVICES)) == 4
    assert len({asked.headers["idempotency-key"] for asked in server.sent(SERVICES)}) == 1


def test_a_log_is_followed_through_broken_connections_and_by_whole_characters(
    signed_in: Server, capfd: pytest.CaptureFixture[str]
):
    gone = Reply(404, {"detail": {"reason": "unknown_service", "message": "There is no such service."}})
    signed_in.on(
        "GET",
        LOG,
        written(b"caf\xc3", 104),
        Reply(0),
        Reply(502),
        written(b"\xc3\xa9\n", 106),
        written(b"", 106),
        gone,
    )
    assert main(["services", "log", "s", "-f"]) == exits.USAGE

    out, err = capfd.readouterr()
    assert (out, err) == ("café\n", "airflow-rest: There is no such service.\n")
    places = [asked.path.split("offset=")[1] for asked in signed_in.sent(LOG) if "offset" in asked.path]
    assert places[0] == "103"
    assert places[-1] == "106"


def test_what_keeps_a_log_from_being_followed_has_its_own_exit_code(signed_in: Server):
    signed_in.on("GET", LOG, written(b"a\n", 2), Reply(401))
    assert main(["services", "log", "s", "-f"]) == exits.NOT_SIGNED_IN


def test_what_was_written_by_a_component_that_has_ended_is_shown_whole(server: Server):
    server.on("GET", LOG, written(b"caf\xc3", 4, end=True))
    assert Client(server.url, "t").services.log("s") == "caf\ufffd"
