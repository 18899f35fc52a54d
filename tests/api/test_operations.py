from __future__ import annotations

import json
import threading
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from airflow_rest_api.api import operations, sse
from airflow_rest_api.engine.job import Ending, Outcome
from airflow_rest_api.operations.model import CUT, Operation, new_id
from airflow_rest_api.security.audit import Audit
from tests.databases import database_of_our_own
from tests.keeping import wait_for
from tests.standin import (
    StandInProcess,
    bearer,
    own_database,
    prints,
    serving,
    token,
    until_cancelled,
)


def start(client: TestClient, path: str = "version", **kw: Any) -> Any:
    return client.post(f"/v2/commands/{path}", headers={"Prefer": "respond-async", **kw}).json()


def test_an_operation_is_found_again():
    with serving(prints("x")) as (client, _):
        made = client.post("/v2/commands/version").json()
        answer = client.get(f"/v2/operations/{made['id']}")

    assert (answer.status_code, answer.json()) == (200, made)


def test_a_client_can_wait_for_the_end():
    with serving(until_cancelled) as (client, _):
        path = f"/v2/operations/{start(client)['id']}"
        at_once = client.get(path)
        later = client.get(path, headers={"Prefer": "wait=0"})

    assert (at_once.status_code, at_once.headers["Location"]) == (202, path)
    assert (later.status_code, later.headers["Preference-Applied"]) == (202, "wait=0")


def test_a_command_that_failed_says_why_first():
    trace = 'Traceback (most recent call last):\n  File "a.py", line 1\nairflow.exceptions.Missing: No pool\n'
    database = own_database()
    with serving(prints("", trace, 1), operations_database=database) as (client, _):
        made = client.post("/v2/commands/pools/get", json={"pool": "a"}).json()
    with serving(operations_database=database) as (client, _):
        kept = client.get(f"/v2/operations/{made['id']}").json()
        listed = client.get("/v2/operations").json()["operations"]

    assert (made["state"], made["exit_code"], made["message"]) == ("failed", 1, "No pool")
    assert (kept["message"], kept["stderr"]) == ("No pool", trace)
    assert [one["message"] for one in listed] == ["No pool"]


def test_of_a_command_that_can_print_secrets_only_what_it_says_of_its_end_is_repeated():
    with serving(prints("The password is hunter2\n", "", 1)) as (client, _):
        told = client.post("/v2/commands/connections/get", json={"conn_id": "a"}).json()

    assert told["message"] == "The command ended with exit code 1; see what it printed."


def test_cancel_answers_with_the_end_each_time():
    with serving(until_cancelled) as (client, _):
        path = f"/v2/operations/{start(client)['id']}"
        first, second = client.post(f"{path}/cancel"), client.post(f"{path}/cancel")

    assert (first.status_code, first.json()["state"]) == (200, "cancelled")
    assert first.json()["message"] == "The command was cancelled by admin."
    assert (first.json()["cancel"], second.json()["cancel"]) == ("asked", "ended_before")
    assert {**second.json(), "cancel": "", "cancel_message": ""} == {
        **first.json(),
        "cancel": "",
        "cancel_message": "",
    }


@pytest.mark.parametrize(
    ("method", "rest"),
    [("GET", ""), ("POST", "/cancel"), ("GET", "/output"), ("GET", "/files/pools-export.json")],
)
def test_who_may_not_run_the_same_is_told_that_there_is_no_such_operation(method: str, rest: str):
    with serving(until_cancelled, user="user") as (client, engine):
        arguments = {"json": {"dag_id": "a"}, "headers": {"Prefer": "respond-async"}}
        identifier = client.post("/v2/commands/dags/pause", **arguments).json()["id"]
        path = f"/v2/operations/{identifier}{rest}"
        other = client.request(method, path, headers=bearer("viewer"))
        unknown = client.request(method, f"/v2/operations/{'0' * 32}{rest}")
        admin = client.request(method, path, headers=bearer("admin"))
        cancelled = engine.processes[0].cancelled.is_set()

    assert (other.status_code, other.json()) == (unknown.status_code, unknown.json())
    assert other.json()["detail"]["reason"] == "unknown_operation"
    assert (
        admin.json()["detail"]["reason"] == "unknown_file"
        if "files" in rest
        else admin.status_code in (200, 202)
    )
    assert cancelled == (rest == "/cancel")


def test_who_may_run_the_same_sees_an_operation_and_cannot_end_it(monkeypatch: pytest.MonkeyPatch):
    recorded: list[str] = []
    monkeypatch.setattr(Audit, "refused", lambda self, caller, command, *more: recorded.append(command))
    with serving(until_cancelled, user="user") as (client, engine):
        arguments = {"json": {"dag_id": "a"}, "headers": {"Prefer": "respond-async"}}
        path = f"/v2/operations/{client.post('/v2/commands/dags/pause', **arguments).json()['id']}"
        seen = client.get(path, headers=bearer("op"))
        refused = client.post(f"{path}/cancel", headers=bearer("op"))
        cancelled = engine.processes[0].cancelled.is_set()

    assert (seen.status_code, seen.json()["user"]) == (202, "user")
    assert (refused.status_code, refused.json()["detail"]["reason"]) == (403, "forbidden")
    assert not cancelled
    assert recorded == ["operations cancel"]


def test_the_event_log_knows_who_else_has_read_secrets_that_a_command_showed(monkeypatch: pytest.MonkeyPatch):
    recorded: list[tuple[str, str]] = []
    monkeypatch.setattr(
        Audit,
        "did",
        lambda self, caller, what, **more: recorded.append((caller.name, f"{what}: {more['operation_id']}")),
    )
    with serving(prints("hunter2\n"), user="op") as (client, _):
        secret = client.post("/v2/commands/connections/get", json={"conn_id": "a"}).json()["id"]
        plain = client.post("/v2/commands/version", json={}).json()["id"]
        for rest in ("", "/output", "/output?offset=0", "/events", "/files/none"):
            recorded.clear()
            client.app.state.context.audit._readers.clear()  # type: ignore[attr-defined]
            for identifier in (secret, plain, secret):
                client.get(f"/v2/operations/{identifier}{rest}")
                client.get(f"/v2/operations/{identifier}{rest}", headers=bearer("admin"))
            assert recorded == [("admin", f"operations read: {secret}")], rest


def ids(answer: Any) -> list[str]:
    return [entry["id"] for entry in answer.json()["operations"]]


def pages(client: TestClient, limit: int, **params: Any) -> list[list[str]]:
    """Return the ids of all pages."""
    found: list[list[str]] = []
    cursor: dict[str, str] = {}
    while True:
        page = client.get("/v2/operations", params={**params, "limit": limit, **cursor})
        assert page.status_code == 200, page.text
        found.append(ids(page))
        if page.json()["next"] is None:
            return found
        cursor = {"cursor": page.json()["next"]}


@pytest.mark.slow
def test_the_list_has_what_the_caller_may_see_and_for_administrators_all():
    with serving(prints("output"), user="viewer") as (client, _):
        mine = [start(client)["id"], start(client, "dags/list")["id"]]
        user, pause = bearer("user"), {"json": {"dag_id": "a"}}
        others = client.post("/v2/commands/dags/pause", headers=user, **pause).json()["id"]
        listed = client.get("/v2/operations")
        everything = client.get("/v2/operations", headers=bearer("admin"))

    assert (ids(listed), listed.json()["next"]) == (mine[::-1], None)
    assert ids(everything) == [others, *mine[::-1]]
    assert "stdout" not in listed.json()["operations"][0]


@pytest.mark.parametrize("user", ["admin", "op", "viewer"])
@pytest.mark.parametrize("limit", [1, 3, 7, 8])
def test_all_pages_together_are_the_list_and_nothing_comes_twice(user: str, limit: int):
    with serving(user=user) as (client, _):
        made = []
        for number in range(7):
            # Those of a user are to be seen by administrators, and by op, who may pause DAGs as well.
            if number % 2:
                options = {"headers": bearer("user"), "json": {"dag_id": "a"}}
                made.append(client.post("/v2/commands/dags/pause", **options).json()["id"])
            else:
                made.append(client.post("/v2/commands/version").json()["id"])
        found = pages(client, limit)

    expected = made[::-2] if user == "viewer" else made[::-1]
    assert [one for page in found for one in page] == expected
    assert all(len(page) <= limit for page in found)


def test_what_one_may_not_see_does_not_hide_ones_own(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(operations, "SCANNED", 4)
    monkeypatch.setattr(operations, "BATCH", 2)
    with serving(user="viewer") as (client, _):
        mine = client.post("/v2/commands/version").json()["id"]
        for _ in range(9):
            client.post("/v2/commands/dags/pause", headers=bearer("user"), json={"dag_id": "a"})
        found = pages(client, 5)

    assert found[0] == [mine]
    assert len(found) > 1
    assert [one for page in found for one in page] == [mine]


@pytest.mark.parametrize("kind", ["sqlite", "mariadb"])
def test_who_has_the_same_name_but_for_blanks_behind_it_is_somebody_else(kind: str, tmp_path: Path):
    with (
        database_of_our_own(kind, tmp_path) as address,
        serving(user="viewer", operations_database=address) as (client, _),
    ):
        mine = [client.post("/v2/commands/version").json()["id"]]
        store = client.app.state.context.store  # type: ignore[attr-defined]
        assert client.portal is not None
        for _ in range(4):
            now = datetime.now(timezone.utc)
            theirs = Operation(new_id(), "version", "read", ["version"], "viewer ", "h", now)
            client.portal.call(store.insert, theirs)
        mine.insert(0, client.post("/v2/commands/version").json()["id"])

        found = pages(client, 2)

    assert [one for page in found for one in page] == mine


def test_the_list_can_be_narrowed():
    with serving() as (client, _):
        first = client.post("/v2/commands/version").json()
        second = client.post("/v2/commands/dags/pause", json={"dag_id": "d"}, headers=bearer("user")).json()

        def narrowed(**params: Any) -> list[str]:
            return ids(client.get("/v2/operations", params=params))

        assert narrowed(command="version", state="succeeded") == [first["id"]]
        assert narrowed(state=["succeeded", "failed"]) == [second["id"], first["id"]]
        assert narrowed(state="failed") == []
        assert narrowed(user="user") == narrowed(dag_id="d") == narrowed(effect="write") == [second["id"]]
        changing = ["write", "execute", "service", "destructive"]
        assert narrowed(effect=changing) == [second["id"]]
        assert narrowed(effect=["read", "write"]) == [second["id"], first["id"]]
        assert narrowed(since=second["created_at"]) == [second["id"]]
        assert len(narrowed(since="2000-01-31")) == 2
        assert narrowed(until="2000-01-31T12:00") == []
        # Past the ends of the calendar.
        assert len(narrowed(since="0001-01-01T00:00:00+14:00")) == len(narrowed())
        assert len(narrowed(until="9999-12-31T23:59:59-14:00")) == len(narrowed())
        assert narrowed(until=second["created_at"]) == [first["id"]]
        # A moment without a zone is UTC.
        assert narrowed(until=second["created_at"].rstrip("Z").partition("+")[0]) == [first["id"]]


@pytest.mark.parametrize(
    ("query", "argument"),
    [
        ("state=asleep", "state"),
        ("state=failed&state=asleep", "state"),
        ("effect=none", "effect"),
        ("since=yesterday", "since"),
        ("since=2026-01-32", "since"),
        # Digits, which would be seconds since 1970.
        ("since=20270131", "since"),
        ("until=1798675200", "until"),
        ("until=-1.5", "until"),
        ("until=%201", "until"),
        ("limit=0", "limit"),
        ("limit=501", "limit"),
        ("cursor=x", "cursor"),
        ("cursor=", "cursor"),
        (f"cursor={'g' * 32}.-", "cursor"),
        (f"cursor={'0' * 32}.{'0' * 32}%0a", "cursor"),
    ],
)
def test_a_wrong_parameter_is_named(query: str, argument: str):
    with serving() as (client, _):
        wrong = client.get(f"/v2/operations?{query}")

    assert wrong.status_code == 400
    assert wrong.json()["detail"]["argument"] == argument


def test_the_output_can_be_had_as_text():
    with serving(prints("<b>out</b>", "err")) as (client, _):
        path = f"/v2/operations/{client.post('/v2/commands/version').json()['id']}/output"
        out, err, wrong = (
            client.get(path),
            client.get(f"{path}?stream=stderr"),
            client.get(f"{path}?stream=x"),
        )

    assert (out.text, out.headers["Content-Type"]) == ("<b>out</b>", "text/plain; charset=utf-8")
    assert err.text == "err"
    assert wrong.status_code == 400


def test_the_output_can_be_had_in_pieces():
    with serving(prints("0123456789€€", "err")) as (client, _):
        path = f"/v2/operations/{client.post('/v2/commands/version').json()['id']}/output"

        def piece(**params: Any) -> tuple[str, ...]:
            answer = client.get(path, params=params)
            return (answer.text, *(answer.headers[f"X-Output-{name}"] for name in ("Offset", "Next", "End")))

        assert piece(offset=0) == ("0123456789€€", "0", "16", "true")
        assert piece(offset=2, limit=3) == ("234", "2", "5", "false")
        # No piece ends in the midst of a character.
        assert piece(limit=12) == ("0123456789", "0", "10", "false")
        assert piece(offset=10, limit=5) == ("€", "10", "13", "false")
        assert piece(offset=16) == ("", "16", "16", "true")
        assert piece(stream="stderr", offset=1) == ("rr", "1", "3", "true")
        assert client.get(path, params={"offset": -1}).status_code == 400
        assert client.get(path, params={"limit": 0}).status_code == 400


def test_an_operation_can_be_run_again_with_the_permissions_of_its_repeater():
    with serving(user="user") as (client, engine):
        made = client.post("/v2/commands/dags/pause", json={"dag_id": "a"}).json()
        path = f"/v2/operations/{made['id']}/run-again"
        again = client.post(path)
        by_another = client.post(path, headers=bearer("op"))
        refused = client.post(path, headers=bearer("viewer"))

    assert (again.status_code, again.json()["rerun_of"]) == (200, made["id"])
    assert again.json()["argv"] == made["argv"]
    assert (by_another.status_code, by_another.json()["user"]) == (200, "op")
    assert (refused.status_code, refused.json()["detail"]["reason"]) == (404, "unknown_operation")
    assert len(engine.jobs) == 3
    assert engine.jobs[1].argv == engine.jobs[0].argv


def test_what_was_not_said_to_be_sure_of_is_not_said_when_it_is_run_again():
    with serving() as (client, engine):
        made = client.post("/v2/commands/tasks/clear", json={"dag_id": "a", "yes": False}).json()
        again = client.post(f"/v2/operations/{made['id']}/run-again").json()

    # It asks, is not answered, and changes nothing.
    assert [job.argv for job in engine.jobs] == [made["argv"], again["argv"]] == [made["argv"]] * 2
    assert "--yes" not in made["argv"]


def test_an_operation_that_is_run_again_can_be_left_to_itself():
    with serving(until_cancelled) as (client, _):
        made = start(client)
        again = client.post(f"/v2/operations/{made['id']}/run-again", headers={"Prefer": "respond-async"})

    assert again.status_code == 202
    assert again.headers["Location"].endswith(again.json()["id"])


def test_a_command_line_of_which_a_part_was_kept_cannot_be_run_again():
    words = [f"{number}{'b' * 1500}" for number in range(900)]
    with serving() as (client, engine):
        made = client.post("/v2/commands/dags/list", json={"bundle_name": words}).json()
        path = f"/v2/operations/{made['id']}"
        wait_for(lambda: client.get(path).json()["argv"][-1] == CUT)
        again = client.post(f"{path}/run-again")
        listed = client.get("/v2/operations")

    assert (again.status_code, again.json()["detail"]["reason"]) == (409, "cannot_repeat")
    assert len(engine.jobs) == 1
    assert len(listed.content) < 100_000


def test_what_was_not_kept_cannot_be_run_again():
    with serving() as (client, engine):
        secret = {"conn_id": "c", "conn_uri": "http://u:hidden@h"}
        made = [
            client.post("/v2/commands/connections/add", json=secret).json(),
            client.post("/v2/commands/pools/import", files={"file": ("p.json", b"{}")}).json(),
            client.post("/v2/commands/variables/set", json={"key": "k", "value": "v" * 3000}).json(),
        ]
        jobs = len(engine.jobs)
        answers = [client.post(f"/v2/operations/{one['id']}/run-again") for one in made]

    assert [answer.status_code for answer in answers] == [409] * 3
    assert {answer.json()["detail"]["reason"] for answer in answers} == {"cannot_repeat"}
    assert [answer.json()["detail"]["id"] for answer in answers] == [one["id"] for one in made]
    assert len(engine.jobs) == jobs == 3


def test_a_switched_off_command_is_not_run_again():
    address = own_database()
    with serving(operations_database=address) as (client, _):
        made = client.post("/v2/commands/dags/pause", json={"dag_id": "a"}).json()
    with serving(operations_database=address, read_only=True) as (client, engine):
        refused = client.post(f"/v2/operations/{made['id']}/run-again")

    assert (refused.status_code, refused.json()["detail"]["reason"]) == (403, "switched_off")
    assert engine.jobs == []


def test_two_servers_on_one_database_answer_for_each_others_operations():
    address = own_database()
    with (
        serving(until_cancelled, operations_database=address) as (here, engine),
        serving(operations_database=address) as (there, _),
    ):
        path = f"/v2/operations/{start(here)['id']}"
        seen, listed = there.get(path), ids(there.get("/v2/operations"))
        cancelled = there.post(f"{path}/cancel", headers={"Prefer": "wait=60"})
        again = here.post(f"{path}/cancel")

    assert (seen.status_code, seen.json()["id"], listed) == (202, path[-32:], [path[-32:]])
    assert (cancelled.status_code, cancelled.json()["state"]) == (200, "cancelled")
    assert (cancelled.json()["cancel"], again.json()["cancel"]) == ("asked", "ended_before")
    assert cancelled.json()["message"] == "The command was cancelled by admin."
    assert engine.processes[0].cancelled.is_set()


def test_an_operation_survives_its_server():
    address = own_database()
    with serving(prints("out"), operations_database=address) as (client, _):
        made = client.post("/v2/commands/version").json()
        line = client.post("/v2/run", json={"argv": ["version"]}, headers={"Prefer": "wait=60"}).json()
    with serving(operations_database=address) as (client, _):
        assert client.get(f"/v2/operations/{made['id']}").json() == made
        assert client.get(f"/v2/operations/{line['id']}").json() == line


def test_a_clean_stop_leaves_what_ran_as_cancelled():
    address = own_database()
    with serving(until_cancelled, operations_database=address) as (client, _):
        made = start(client)
    with serving(operations_database=address) as (client, _):
        ended = client.get(f"/v2/operations/{made['id']}").json()

    assert (ended["state"], ended["message"]) == ("cancelled", "The API server was stopped.")
    assert ended["stdout"] == "working\n"


def events(text: str) -> list[tuple[str, Any, str | None]]:
    """Return the events of a stream: name, data, id. Comments are left out."""
    found = []
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if line and line[0] != ":")
        if fields:
            found.append((fields["event"], json.loads(fields["data"]), fields.get("id")))
    return found


@pytest.fixture
def spoken(monkeypatch: pytest.MonkeyPatch) -> set[int]:
    """Which streams have said something."""
    said: set[int] = set()
    sent = sse.Subscription.sent

    def noted(subscription: sse.Subscription) -> None:
        said.add(id(subscription))
        sent(subscription)

    monkeypatch.setattr(sse.Subscription, "sent", noted)
    return said


def follow(client: TestClient, identifier: str, **params: Any) -> list[tuple[str, Any, str | None]]:
    answer = client.get(f"/v2/operations/{identifier}/events", params=params)
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"] == "text/event-stream; charset=utf-8"
    assert answer.headers["Cache-Control"] == "no-store"
    return events(answer.text)


async def talks(process: StandInProcess) -> Outcome:
    process.stdout.add(b"one ")
    process.stderr.add(b"two ")
    process.stdout.add("drei€".encode())
    return Outcome(Ending.EXITED, 0)


def test_an_ended_operation_is_told_in_order_and_its_end_comes_last():
    with serving(talks) as (client, _):
        made = client.post("/v2/commands/version").json()
        found = follow(client, made["id"])

    assert [(name, data.get("stream"), data.get("text"), key) for name, data, key in found] == [
        ("output", "stdout", "one ", "1.4.0.0"),
        ("output", "stderr", "two ", "2.4.4.0"),
        ("output", "stdout", "drei€", "3.11.4.0"),
        ("end", None, None, "3.11.4.0"),
    ]
    assert found[2][1]["offset"] == 4
    end = found[-1][1]
    assert {name: made[name] for name in end} == end
    assert set(made) - set(end) == {"stdout", "stderr"}


@pytest.mark.parametrize(
    ("after", "header"),
    [(None, "2"), ("2", None), ("2", ""), ("1.4.0.0", "2.4.4.0"), ("2", "0"), ("0", "2"), ("1", "2")],
)
def test_a_client_resumes_behind_the_last_event_it_received(after: str | None, header: str | None):
    with serving(talks) as (client, _):
        made = client.post("/v2/commands/version").json()
        answer = client.get(
            f"/v2/operations/{made['id']}/events",
            params={} if after is None else {"after": after},
            headers={} if header is None else {"Last-Event-ID": header},
        )

    assert [(name, data.get("text")) for name, data, _ in events(answer.text)] == [
        ("output", "drei€"),
        ("end", None),
    ]


@pytest.mark.parametrize("after", ["x", "1.2", "1.2.3", "1.2.3.4.5", "-1", "9" * 16, "٣", "1\n"])
def test_an_id_that_was_never_given_out_is_refused(after: str):
    with serving(talks) as (client, _):
        made = client.post("/v2/commands/version").json()
        answer = client.get(f"/v2/operations/{made['id']}/events", params={"after": after})

    assert (answer.status_code, answer.json()["detail"]["argument"]) == (400, "after")


def test_what_was_let_go_is_told_as_a_gap():
    with serving(prints("0123456789" * 1000), output_limit=1024) as (client, _):
        made = client.post("/v2/commands/version").json()
        found = follow(client, made["id"])

    names = [name for name, _, _ in found]
    gap = names.index("gap")
    assert names == ["output"] * gap + ["gap"] + ["output"] * (len(names) - gap - 2) + ["end"]
    head, tail = ("".join(data["text"] for _, data, _ in part) for part in (found[:gap], found[gap + 1 : -1]))
    assert found[gap][1] == {"stream": "stdout", "missing": 10_000 - len(head) - len(tail)}
    assert 512 <= len(head) < 512 + 64
    assert 512 <= len(tail) < 512 + 64
    assert found[gap + 1][1]["offset"] == 10_000 - len(tail)


def test_who_may_not_see_an_operation_may_not_follow_it():
    with serving(talks) as (client, _):
        made = client.post("/v2/commands/dags/pause", json={"dag_id": "a"}).json()
        answer = client.get(f"/v2/operations/{made['id']}/events", headers=bearer("viewer"))

    assert answer.status_code == 404


@pytest.mark.slow
def test_a_running_operation_is_followed_until_it_ends_here_and_on_another_server(spoken: set[int]):
    database = own_database()
    with (
        serving(until_cancelled, operations_database=database) as (here, engine),
        serving(operations_database=database) as (there, _),
    ):
        made = here.post("/v2/commands/version", headers={"Prefer": "respond-async"}).json()
        address = f"/v2/operations/{made['id']}"
        assert wait_for(lambda: there.get(address).json()["state"] == "running")
        found: dict[str, Any] = {}
        threads = [
            threading.Thread(target=lambda name=name, c=c: found.update({name: follow(c, made["id"])}))
            for name, c in (("here", here), ("there", there))
        ]
        for thread in threads:
            thread.start()
        contexts = [client.app.state.context for client in (here, there)]  # type: ignore[attr-defined]
        assert wait_for(lambda: len(spoken) == 2)
        here.portal.call(engine.processes[0].stderr.add, b"late")  # type: ignore[union-attr]
        here.post(f"/v2/operations/{made['id']}/cancel")
        for thread in threads:
            thread.join(60)
        open_streams = [context.streams.number for context in contexts]
        resumed = [follow(client, made["id"], after="1") for client in (here, there)]

    for told in (found["here"], found["there"]):
        assert [(name, data.get("text")) for name, data, _ in told if name == "output"] == [
            ("output", "working\n"),
            ("output", "late"),
        ]
        assert (told[0][0], told[0][1]["state"]) == ("state", "running")
        assert (told[-1][0], told[-1][1]["state"]) == ("end", "cancelled")
    assert open_streams == [0, 0]
    numbers = [
        [key.partition(".")[0] for name, _, key in told if name == "output"] for told in found.values()
    ]
    assert numbers == [["1", "2"], ["1", "2"]]
    assert [(name, data.get("text"), key.partition(".")[0]) for name, data, key in resumed[0]] == [
        ("output", "late", "2"),
        ("end", None, "2"),
    ]
    assert resumed[0] == resumed[1]


@pytest.mark.slow
def test_a_stream_ends_with_the_token(monkeypatch: pytest.MonkeyPatch):
    with serving(until_cancelled) as (client, _):
        made = client.post("/v2/commands/version", headers={"Prefer": "respond-async"}).json()
        client.headers["Authorization"] = f"Bearer {token('admin', seconds=10)}"
        found = follow(client, made["id"])

    assert [name for name, _, _ in found] == ["state", "output"]


@pytest.mark.slow
def test_a_stream_ends_when_its_reader_may_no_longer_see_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sse, "CHECK", 0.0)
    with serving(until_cancelled, user="viewer") as (client, _):
        made = client.post("/v2/commands/version", headers={"Prefer": "respond-async"}).json()
        gate = client.app.state.context.gate  # type: ignore[attr-defined]
        may_see, asked = gate.may_see, []

        async def once(caller: Any, operations: Any) -> set[str]:
            asked.append(caller)
            return await may_see(caller, operations) if len(asked) < 3 else set()

        gate.may_see = once
        found = follow(client, made["id"])

    assert "end" not in [name for name, _, _ in found]
    # The auth manager is asked anew each time.
    assert len({id(caller) for caller in asked}) == 3


@pytest.mark.slow
def test_an_idle_stream_shows_that_it_lives(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sse, "HEARTBEAT", 0.0)
    with serving(until_cancelled) as (client, _):
        made = client.post("/v2/commands/version", headers={"Prefer": "respond-async"}).json()
        client.headers["Authorization"] = f"Bearer {token('admin', seconds=10)}"
        text = client.get(f"/v2/operations/{made['id']}/events").text

    assert "\n\n: \n\n" in text


def test_a_user_may_not_open_streams_without_end():
    with serving(talks) as (client, _):
        made = client.post("/v2/commands/version").json()
        streams = client.app.state.context.streams  # type: ignore[attr-defined]
        for _ in range(sse.PER_USER):
            streams.opened("admin")
        refused = client.get(f"/v2/operations/{made['id']}/events")
        other = client.get(f"/v2/operations/{made['id']}/events", headers=bearer("viewer"))
        streams.closed("admin")
        assert follow(client, made["id"])[-1][0] == "end"

    assert (refused.status_code, refused.json()["detail"]["reason"]) == (429, "too_many_streams")
    assert refused.headers["Retry-After"]
    assert other.status_code == 200


@pytest.mark.slow
def test_streams_end_when_the_server_stops(spoken: set[int]):
    with serving(until_cancelled) as (client, _):
        made = client.post("/v2/commands/version", headers={"Prefer": "respond-async"}).json()
        found: list[Any] = []
        thread = threading.Thread(target=lambda: found.extend(follow(client, made["id"])))
        thread.start()
        assert wait_for(lambda: spoken)
        client.app.state.context.streams.close()  # type: ignore[attr-defined]
        thread.join(60)
        assert not thread.is_alive()

    assert [name for name, _, _ in found][:1] == ["state"]


def test_a_client_that_resumes_is_told_of_the_gap_behind_what_it_has():
    with serving(prints("0123456789" * 1000), output_limit=1024) as (client, _):
        made = client.post("/v2/commands/version").json()
        whole = follow(client, made["id"])
        found = follow(client, made["id"], after="2")
        nothing = follow(client, made["id"], after=whole[-1][2])
        behind = next(index for index, (name, _, _) in enumerate(whole) if name == "gap") + 1
        number, offset = whole[behind][2].partition(".")[0], whole[behind][1]["offset"]
        # Of what was dropped since, it had all but the last ten bytes.
        had = follow(client, made["id"], after=f"{int(number) - 1}.{offset - 10}.0.0")
        had_all = follow(client, made["id"], after=f"{int(number) - 1}.{offset}.0.0")

    assert found == whole[2:]
    assert [name for name, _, _ in nothing] == ["end"]
    assert had[0][:2] == ("gap", {"stream": "stdout", "missing": 10})
    assert had[1:] == had_all == whole[behind:]
