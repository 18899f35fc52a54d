from __future__ import annotations

import sqlite3
import zlib
from typing import Any

import pytest

from airflow_rest_api.storage.schema import moment_of
from tests.standin import own_database, prints, serving

DAMAGE: list[tuple[str, Any]] = [
    *[("exit_code", value) for value in ("x", 1.5, 10**15, b"\0", -1000)],
    *[("state", value) for value in ("x", "", b"\xff", "SUCCEEDED")],
    *[("created_at", value) for value in ("x", 5, b"", "9999-99-99 00:00:00.000000")],
    *[("started_at", value) for value in ("x", 5, b"")],
    *[("finished_at", value) for value in ("x", "")],
    *[("command", value) for value in (b"\xff", b"")],
    ("effect", "x"),
    ("host", b"\xff"),
    ("server", b"\xff"),
    ("dag_id", b"\xff"),
    ("endpoint", b"\xff"),
    ("message", b"\xff"),
    *[
        ("details", value)
        for value in (
            "",
            "no JSON",
            "[]",
            "5",
            "null",
            b"\xff",
            "[" * 100_000,
            '{"argv": 5}',
            '{"argv": [1, 2], "warnings": {"a": 1}, "refused": [], "rerun_of": 7}',
            '{"asks": "x"}',
            '{"asks": [["x", 1, 2, 3]]}',
            '{"asks": [["DAG", "GET", null, [5]]]}',
            '{"files": [[1]]}',
            '{"files": [["a", "b", "c", "d"]]}',
            '{"files": [[null, "b", 5, []]]}',
        )
    ],
]
HEAVY: list[tuple[str, Any]] = [
    *[("result", value) for value in (b"", b"\1no zlib", b"\0no JSON", b"\0" + b"[" * 100_000, "text")],
    *[
        ("output", value)
        for value in (b"\1no zlib", b"\0xx", b"\0" + b"\xff" * 40, b"\1" + zlib.compress(b"x" * 99), "text")
    ],
]


@pytest.mark.slow
@pytest.mark.parametrize(("column", "value"), [*DAMAGE, *HEAVY], ids=lambda given: repr(given)[:30])
def test_a_damaged_row_is_shown_as_such_and_breaks_nothing(column: str, value: Any):
    address = own_database()
    with serving(prints('{"a": 1}'), operations_database=address) as (client, _):
        good = client.post("/v2/commands/version").json()
        bad = client.post("/v2/commands/pools/list").json()
        client.get("/v2/operations")  # it is written by now
        with sqlite3.connect(address.removeprefix("sqlite:///")) as database:
            database.execute(f"UPDATE rest_api_operation SET {column} = ? WHERE id = ?", (value, bad["id"]))

        page = client.get("/v2/operations")
        listed = {one["id"]: one for one in page.json()["operations"]}
        answers = [client.get(f"/v2/operations/{bad['id']}{rest}") for rest in ("", "/output", "/events")]

    assert page.status_code == 200
    assert set(listed) == {good["id"], bad["id"]}
    assert listed[good["id"]]["warnings"] == []
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    shown = answers[0].json()
    said = [
        text for text in shown["warnings"] if text.startswith("The record of this operation is damaged: ")
    ]
    assert said
    if (column, value) in DAMAGE:
        assert said[0] in listed[bad["id"]]["warnings"]
    assert '"id":"' + bad["id"] in answers[2].text.replace(" ", "")


def test_what_is_left_of_a_damaged_row_is_shown():
    address = own_database()
    with serving(prints("printed"), operations_database=address) as (client, _):
        made = client.post("/v2/commands/version").json()
        client.get("/v2/operations")  # it is written by now
        with sqlite3.connect(address.removeprefix("sqlite:///")) as database:
            database.execute("UPDATE rest_api_operation SET exit_code = 'x', state = 'y', created_at = 'z'")
        shown = client.get(f"/v2/operations/{made['id']}").json()

    assert (shown["exit_code"], shown["state"]) == (None, "lost")
    assert (shown["command"], shown["stdout"], shown["user"]) == ("version", "printed", "admin")
    assert shown["created_at"][:19] == made["created_at"][:19]
    assert shown["warnings"] == [
        "The record of this operation is damaged: state, exit_code, created_at cannot be read."
    ]


def test_a_damaged_list_of_permissions_hides_an_operation_from_others():
    from tests.standin import bearer

    address = own_database()
    with serving(prints("printed"), operations_database=address, user="user") as (client, _):
        made = client.post("/v2/commands/version").json()
        path = f"/v2/operations/{made['id']}"
        before = client.get(path, headers=bearer("viewer"))
        client.get("/v2/operations")  # it is written by now
        with sqlite3.connect(address.removeprefix("sqlite:///")) as database:
            database.execute("UPDATE rest_api_operation SET details = ?", ('{"argv": [], "asks": [[]]}',))
        after, own = client.get(path, headers=bearer("viewer")), client.get(path)

    assert (before.status_code, after.status_code, own.status_code) == (200, 404, 200)


@pytest.mark.parametrize("identifier", ["", "x", "zz" * 16, "f" * 32])
def test_an_id_that_holds_no_time_is_from_the_beginning_or_the_end(identifier: str):
    assert moment_of(identifier) is not None
