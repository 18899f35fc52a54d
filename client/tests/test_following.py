from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from airflow_rest_client import Client, Unreachable
from airflow_rest_client.credentials import Credentials
from airflow_rest_client.errors import ApiError
from airflow_rest_client.exchanges import line
from airflow_rest_client.following import Following
from airflow_rest_client.http import ConnectionLost
from airflow_rest_client.model import End, Gap, Output

from .conftest import Asked, Reply, Server, event, events, operation, output

RUN = "/admin/rest_api/v2/run"
EVENTS = f"/admin/rest_api/v2/operations/{'0' * 32}/events"
STARTED = event("state", operation("running", None))
ENDED = event("end", operation(), "9")


def followed(server: Server, following: Following) -> list[object]:
    return list(Client(server.url, "t").stream(following))


def texts(found: list[object]) -> list[str]:
    return [one.text for one in found if isinstance(one, Output)]


def test_one_request_runs_a_command_and_brings_its_output(server: Server):
    server.on("POST", RUN, events(STARTED, output("a"), output("b", number=2), ENDED))
    found = followed(server, Following(line(["version"]), reads=True))

    assert texts(found) == ["a", "b"]
    assert isinstance(found[-1], End)
    assert [asked.path for asked in server.asked] == [RUN]


def test_a_stream_that_breaks_is_taken_up_where_it_stopped(server: Server):
    server.on("POST", RUN, events(STARTED, output("a"), output("b", number=2), cut=True))
    server.on(
        "GET",
        EVENTS,
        events(output("c", number=3), b"event: out", cut=True),
        events(output("d", number=4), ENDED),
    )
    found = followed(server, Following(line(["version"])))

    assert texts(found) == ["a", "b", "c", "d"]
    assert [asked.headers["last-event-id"] for asked in server.sent(EVENTS)] == ["2", "3"]


def test_a_request_without_an_answer_is_sent_again_as_the_same(server: Server):
    server.on("POST", RUN, Reply(0), events(ENDED))
    followed(server, Following(line(["dags", "trigger", "d"])))

    first, second = server.sent(RUN)
    assert first.headers["idempotency-key"] == second.headers["idempotency-key"]


def test_what_only_reads_is_sent_again_without_a_key(server: Server):
    server.on("POST", RUN, Reply(0), events(ENDED))
    followed(server, Following(line(["version"]), reads=True))

    assert ["idempotency-key" in asked.headers for asked in server.sent(RUN)] == [False, False]


def test_a_server_that_stops_is_waited_for(server: Server):
    starting = Reply(503, {"detail": {"reason": "database_unavailable", "message": "Away."}})
    server.on("POST", RUN, events(STARTED, output("a")))
    server.on("GET", EVENTS, starting, Reply(502), Reply(0), events(output("b", number=2), ENDED))

    assert texts(followed(server, Following(line(["version"])))) == ["a", "b"]


def test_it_is_given_up_after_a_while(server: Server):
    server.on("POST", RUN, events(STARTED))
    server.on("GET", EVENTS, Reply(502))
    with pytest.raises(Unreachable, match="502"):
        followed(server, Following(line(["version"]), seconds=0.5))


def test_a_server_that_is_not_there_is_said_at_once(server: Server):
    server.close()
    with pytest.raises(Unreachable):
        followed(server, Following(line(["version"])))


def test_an_operation_that_is_known_no_more_is_an_error(server: Server):
    server.on("POST", RUN, events(STARTED))
    gone = {"detail": {"reason": "unknown_operation", "message": "There is no such operation."}}
    server.on("GET", EVENTS, Reply(404, gone))
    with pytest.raises(ApiError, match="no such operation"):
        followed(server, Following(line(["version"])))


def test_an_answer_that_is_no_stream_is_taken_as_well(server: Server):
    server.on("POST", RUN, Reply(body=operation(stdout="a", stderr="b")))
    assert texts(followed(server, Following(line(["version"])))) == ["a", "b"]

    server.on("POST", RUN, Reply(202, operation("running", None)))
    server.on("GET", EVENTS, events(output("c"), ENDED))
    assert texts(followed(server, Following(line(["version"])))) == ["c"]


def test_what_is_missing_of_an_answer_that_is_no_stream_is_a_gap(server: Server):
    server.on("POST", RUN, Reply(body=operation(stdout="a\n… 3 bytes left out …\nb", truncated=True)))
    gap = event("gap", {"stream": "stdout", "missing": 3})
    server.on("GET", EVENTS, events(output("a"), gap, output("b", number=2), ENDED))

    found = followed(server, Following(line(["version"])))
    assert (texts(found), Gap("stdout", 3) in found) == (["a", "b"], True)


def test_a_page_of_somebody_else_is_no_operation(server: Server):
    server.on("POST", RUN, Reply(body={"hello": "world"}))
    with pytest.raises(ApiError, match="is not the REST API plugin"):
        followed(server, Following(line(["version"])))


def test_what_was_left_of_a_stream_that_somebody_interrupted_is_no_part_of_the_next(server: Server):
    server.on("POST", RUN, events(STARTED, output("a"), b"event: output\nda"))
    server.on("GET", EVENTS, events(output("b", number=2), ENDED))
    following = Following(line(["version"]))
    client = Client(server.url, "t")
    for one in client.stream(following):
        if isinstance(one, Output):
            # As Ctrl-C does: the rest of the piece is not looked at.
            following._parser._buffer = b"event: output\nda"
            break

    assert texts(list(client.stream(following))) == ["b"]


@pytest.mark.parametrize("away", [Reply(502), Reply(503), Reply(0)])
@pytest.mark.parametrize(
    ("path", "known"),
    [
        ("/api/v1/security/login", Credentials("old", username="ada", password="p")),
        ("/api/v1/security/refresh", Credentials("old", "refresh")),
    ],
)
def test_a_token_that_ends_while_the_server_is_away_is_renewed_when_it_is_back(
    server: Server, path: str, known: Credentials, away: Reply
):
    def events_of(asked: Asked) -> Reply | None:
        if asked.path != EVENTS:
            return None
        good = asked.headers["authorization"] == "Bearer new"
        return events(output("b", number=2), ENDED) if good else Reply(401)

    server.on("POST", RUN, events(STARTED, output("a"), cut=True))
    server.answers.append(events_of)
    server.on("POST", path, away, Reply(201, {"access_token": "new"}))
    client = Client(server.url, credentials=replace(known))

    found = list(client.stream(Following(line(["version"]))))
    assert texts(found) == ["a", "b"]
    server.on("POST", path, away, Reply(201, {"access_token": "new"}))
    client = Client(server.url, credentials=replace(known))
    server.on("GET", EVENTS.removesuffix("/events"), Reply(401), Reply(401), Reply(body=operation()))
    assert client.operation("0" * 32).succeeded


@pytest.mark.parametrize("status", [502, 504])
def test_a_start_whose_answer_a_proxy_has_lost_is_sent_again_as_the_same(server: Server, status: int):
    server.on("POST", RUN, Reply(status), events(ENDED))
    followed(server, Following(line(["dags", "trigger", "d"])))
    server.on("POST", RUN, Reply(status), Reply(body=operation()))
    client = Client(server.url, "t")
    client.do(client.server.started(line(["dags", "trigger", "d"])))

    first, second, third, fourth = (asked.headers["idempotency-key"] for asked in server.sent(RUN))
    assert (first, third) == (second, fourth)
    assert first != third


def test_a_proxy_that_has_never_an_answer_is_given_up(server: Server, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("airflow_rest_client.exchanges.GATEWAY_FOR", 0.3)
    server.on("POST", RUN, Reply(502))
    with pytest.raises(Unreachable, match="502"):
        followed(server, Following(line(["version"]), seconds=0.3))
    with pytest.raises(Unreachable, match="502"):
        Client(server.url, "t").start("-h")


def test_a_wait_of_less_than_a_second_does_not_press_the_server(server: Server):
    path = EVENTS.removesuffix("/events")
    server.on("GET", path, Reply(body=operation("running", None)))
    found = Client(server.url, "t").operation("0" * 32)

    assert not found.wait(0.5).ended
    assert len(server.sent(path)) < 10


@pytest.mark.parametrize("first", [Reply(0), Reply(502)])
def test_a_start_that_may_have_begun_is_asked_for_until_something_answers(server: Server, first: Reply):
    # A server that starts again: a proxy has none (503).
    server.on("POST", RUN, first, Reply(503), events(ENDED))
    followed(server, Following(line(["dags", "trigger", "d"])))

    assert len({asked.headers["idempotency-key"] for asked in server.sent(RUN)}) == 1
    assert len(server.sent(RUN)) == 3


def test_a_start_that_may_have_begun_is_asked_for_although_nobody_listens(server: Server):
    following = Following(line(["dags", "trigger", "d"]))
    refused = ConnectionLost("refused", sent=False)
    assert following.lost(ConnectionLost("broken", sent=True)) > 0
    assert following.lost(refused) > 0
    with pytest.raises(ConnectionLost, match="refused"):
        Following(line(["dags", "trigger", "d"])).lost(refused)


def test_a_server_that_was_not_there_is_not_waited_for(server: Server):
    away = ApiError(503, "unknown", "Away.", {})
    for error in (ConnectionLost("refused", sent=False), away):
        with pytest.raises(type(error)):
            Following(identifier="0" * 32, known=False).lost(error)
        assert Following(identifier="0" * 32).lost(error) > 0


def test_where_no_stream_comes_through_the_end_is_waited_for(server: Server):
    path = EVENTS.removesuffix("/events")
    start = replace(line(["dags", "trigger", "d"]), timeout=0.3)
    # A proxy that gathers the whole answer says nothing before its end.
    held = threading.Event()
    server.on(
        "POST", RUN, Reply(pieces=(held.wait() and b"" for _ in range(1))), Reply(202, operation("running"))
    )
    server.on("GET", path, Reply(body=operation("running")), Reply(body=operation(stdout="a")))
    found = followed(server, Following(start))
    held.set()

    first, second = server.sent(RUN)
    assert (texts(found), isinstance(found[-1], End)) == (["a"], True)
    assert first.headers["idempotency-key"] == second.headers["idempotency-key"]
    assert second.headers["prefer"] == "wait=25"
    assert server.sent(EVENTS) == []


@pytest.mark.parametrize("status", [502, 504])
def test_a_proxy_that_gives_up_before_a_stream_is_whole_is_asked_for_the_end(server: Server, status: int):
    path = EVENTS.removesuffix("/events")
    server.on("POST", RUN, Reply(status), Reply(202, operation("running", None)))
    server.on("GET", EVENTS, Reply(status))
    server.on("GET", path, Reply(body=operation("running", None)), Reply(body=operation(stdout="a")))
    found = followed(server, Following(line(["dags", "trigger", "d"])))

    first, second = server.sent(RUN)
    assert (texts(found), isinstance(found[-1], End)) == (["a"], True)
    assert first.headers["idempotency-key"] == second.headers["idempotency-key"]
    assert (second.headers["accept"], second.headers["prefer"]) == ("application/json", "wait=25")
    assert server.sent(EVENTS) == []


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("status", [429, 502, 504])
def test_what_runs_is_followed_although_no_stream_of_it_is_to_be_had(
    server: Server, status: int, known: bool
):
    server.on("GET", EVENTS, Reply(status))
    server.on("GET", EVENTS.removesuffix("/events"), Reply(body=operation(stdout="a")))

    assert texts(followed(server, Following(identifier="0" * 32, known=known))) == ["a"]
    assert len(server.sent(EVENTS)) == 1


def test_who_has_too_many_streams_gets_the_rest_of_the_output_at_the_end(server: Server):
    server.on("POST", RUN, events(STARTED, output("ä"), output("c", "stderr", 2), cut=True))
    server.on("GET", EVENTS, Reply(429))
    running, ended = operation("running", None, stdout="ä"), operation(stdout="äb", stderr="c")
    server.on("GET", EVENTS.removesuffix("/events"), Reply(body=running), Reply(body=ended))
    found = followed(server, Following(line(["version"])))

    assert [one for one in found if isinstance(one, Output)][2:] == [Output("stdout", "b", 2)]
    assert (isinstance(found[-1], End), len(server.sent(EVENTS))) == (True, 1)


@pytest.mark.parametrize(("truncated", "after"), [(True, None), (False, "1")])
def test_what_only_a_stream_tells_of_the_end_is_waited_for(
    server: Server, truncated: bool, after: str | None
):
    full = Reply(429)
    server.on("GET", EVENTS, full, full, events(output("b", number=2), ENDED))
    whole = operation(stdout="a b", truncated=truncated)
    server.on("GET", EVENTS.removesuffix("/events"), Reply(body=whole))

    assert texts(followed(server, Following(identifier="0" * 32, after=after))) == ["b"]
    assert len(server.sent(EVENTS.removesuffix("/events"))) == 1
