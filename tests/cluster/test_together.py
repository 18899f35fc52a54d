"""Two API servers that both live: each answers for what the other one runs."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.cluster.following import Follower
from tests.cluster.servers import USERS, Client, Cluster, lines, wait_until
from tests.cluster.statements import Statements

# The first test of a worker starts both servers.
pytestmark = [pytest.mark.airflow, pytest.mark.timeout(900)]

OPERATIONS = 1000
AT_A_TIME = 20
FOLLOWERS = 100
WINDOW = 2.5
"""Seconds in which the queries of a server are counted."""


def test_what_runs_on_one_server_is_listed_read_streamed_and_awaited_on_the_other(a: Client, b: Client):
    identifier = a.begin("shared", lines=50, every=0.3)["id"]

    listed = {one["id"]: one for one in b.every(command="tasks test", dag_id="ticker")}
    assert listed[identifier]["state"] in ("queued", "running")
    with a.follow(identifier) as here, b.follow(identifier) as there:
        there.until(lambda stream: len(lines(stream.text(), "shared")) >= 3)
        assert b.operation(identifier)["state"] == "running"
        assert lines(b.operation(identifier)["stdout"], "shared")
        awaited = b.operation(identifier, wait=120)
        for stream in (here, there):
            stream.until(lambda stream: stream.over)

    assert awaited["state"] == "succeeded"
    assert lines(awaited["stdout"], "shared") == list(range(1, 51))
    assert a.operation(identifier) == b.operation(identifier) == awaited
    for stream in (here, there):
        assert stream.text() == awaited["stdout"]
        assert stream.text("stderr") == awaited["stderr"]
        assert stream.end
        assert (stream.end["state"], stream.end["exit_code"]) == ("succeeded", 0)
    for client in (a, b):
        assert client.get(f"/operations/{identifier}/output").text == awaited["stdout"]


def test_a_stream_that_began_on_one_server_goes_on_at_the_other(a: Client, b: Client):
    identifier = a.begin("moved", lines=20, every=0.2)["id"]

    with a.follow(identifier) as here:
        here.until(lambda stream: lines(stream.text(), "moved"))
    last = here.seen[-1].id
    assert last is not None
    with b.follow(identifier, after=last) as there:
        there.until(lambda stream: stream.over)

    assert there.end
    assert there.end["state"] == "succeeded"
    assert lines(here.text() + there.text(), "moved") == list(range(1, 21))
    assert here.text() + there.text() == b.operation(identifier)["stdout"]


def test_what_runs_on_one_server_is_cancelled_on_the_other(cluster: Cluster, a: Client, b: Client):
    identifier = a.begin("unwanted", lines=3000)["id"]
    with a.follow(identifier) as here:
        b.until(identifier, lambda one: lines(one["stdout"], "unwanted"))
        answer = b.post(f"/operations/{identifier}/cancel", headers={"Prefer": "wait=120"})
        here.until(lambda stream: stream.over)

    assert (answer.status_code, answer.json()["state"]) == (200, "cancelled")
    assert here.end
    assert here.end["state"] == "cancelled"
    for client in (a, b):
        said = client.operation(identifier)
        assert (said["state"], said["message"]) == ("cancelled", "The command was cancelled by admin.")
        again = client.post(f"/operations/{identifier}/cancel")
        assert (again.status_code, again.json()["state"]) == (200, "cancelled")
        assert again.json()["cancel"] == "ended_before"
    traces = cluster.traces()
    assert (traces["unwanted begins"], traces["unwanted ends"]) == (1, 0)


def test_a_file_and_a_result_of_one_server_are_fetched_from_the_other(a: Client, b: Client):
    assert a.run("variables/set", key="exported", value="by a")["state"] == "succeeded"
    said = a.run("variables/export", file="all.json")
    name = said["files"][0]["name"]
    listed = a.run("dags/list")

    assert b.get(f"/operations/{said['id']}/files/{name}").json()["exported"] == "by a"
    assert "ticker" in {dag["dag_id"] for dag in listed["result"]}
    assert b.operation(listed["id"]) == listed


def test_the_same_key_at_the_same_moment_on_both_servers_is_one_operation(
    cluster: Cluster, a: Client, b: Client
):
    for turn in range(5):
        body = {"key": f"once_{turn}", "value": "yes"}
        moment = threading.Barrier(4)

        def ask(client: Client, body: dict[str, str] = body, moment: threading.Barrier = moment):
            moment.wait()
            return client.post("/commands/variables/set", json=body, headers={"Idempotency-Key": body["key"]})

        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(ask, (a, b, a, b)))

        assert {answer.status_code for answer in answers} <= {200, 202}
        assert len({answer.json()["id"] for answer in answers}) == 1
        replayed = [answer.headers.get("Idempotency-Replayed") for answer in answers]
        assert Counter(replayed) == {None: 1, "true": 3}
        assert b.operation(answers[0].json()["id"], wait=120)["state"] == "succeeded"
        for client in (a, b):
            other = client.post(
                "/commands/variables/set",
                json={**body, "value": "no"},
                headers={"Idempotency-Key": body["key"]},
            )
            assert (other.status_code, other.json()["detail"]["reason"]) == (409, "idempotency_conflict")
    assert cluster.runs("cli_variables_set", r"once_\d+") == {f"once_{turn}": 1 for turn in range(5)}


def test_a_thousand_operations_twenty_at_a_time_are_all_recorded(a: Client, b: Client):
    newest = next(b.every(limit=1), None)

    def run(number: int) -> tuple[str, str]:
        client = (a, b)[number % 2]
        said = client.run("version")
        return said["id"], said["state"]

    began = time.perf_counter()
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        answered = list(pool.map(run, range(OPERATIONS)))
    seconds = time.perf_counter() - began
    print(f"{OPERATIONS} operations at {AT_A_TIME} at a time: {OPERATIONS / seconds:.0f} a second")

    told = dict(answered)
    assert len(told) == OPERATIONS
    assert set(told.values()) == {"succeeded"}

    def listed(client: Client) -> dict[str, str]:
        found = {}
        for one in client.every(command="version", limit=500):
            if newest and one["id"] <= newest["id"]:
                break
            found[one["id"]] = one["state"]
        return found

    # The answer of a command that only reads may come before its record, which the other server lists.
    assert dict(answered[::2]).items() <= listed(a).items()
    assert dict(answered[1::2]).items() <= listed(b).items()
    assert wait_until(lambda: listed(a) == listed(b) == told)


def test_a_hundred_clients_who_follow_an_operation_cost_no_more_queries_than_one(
    cluster: Cluster, a: Client, b: Client
):
    identifier = a.begin("popular", lines=100_000)["id"]
    try:
        b.until(identifier, lambda one: lines(one["stdout"], "popular"))
        for stack, proxy in ((cluster.a, cluster.proxies["a"]), (cluster.b, cluster.proxies["b"])):
            with contextlib.ExitStack() as exits:
                clients = [exits.enter_context(Client(stack, user)) for user in USERS]
                followers = [exits.enter_context(clients[0].follow(identifier))]
                one = [count(proxy, followers) for _ in range(2)]
                for number in range(1, FOLLOWERS):
                    followers.append(exits.enter_context(clients[number % 3].follow(identifier)))
                hundred = [count(proxy, followers) for _ in range(2)]
            print(f"Statements in {WINDOW:g} s with one client: {one}, with {FOLLOWERS}: {hundred}")
            # Of two times each, lest a moment in which the machine was busy makes one client look cheap.
            assert min(hundred) <= 1.5 * max(one) + FOLLOWERS
    finally:
        b.post(f"/operations/{identifier}/cancel", headers={"Prefer": "wait=120"})


def count(proxy: Statements, followers: list[Follower]) -> int:
    """Return how many statements a server sends to the database in a while in which all followers read on."""
    for each in followers:
        each.until(lambda stream: lines(stream.text(), "popular"))
    known = [len(each.seen) for each in followers]
    mark = proxy.count
    time.sleep(WINDOW)
    statements = proxy.count - mark
    for each, before in zip(followers, known, strict=True):
        each.until(lambda stream, before=before: len(stream.seen) > before)
    return statements
