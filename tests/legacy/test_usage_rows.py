from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone

import pytest
from sqlalchemy import delete

from airflow_rest_api.legacy import usage
from airflow_rest_api.legacy.usage import OTHER, USAGE, Calls, LegacyCallerBody, Sort, UsageKey
from airflow_rest_api.storage.database import Database, own_engine
from tests.databases import KINDS, database_of_our_own

NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=timezone.utc)
DAY = timedelta(days=1)
SERVERS = 4
TIMES = 25


@pytest.fixture(scope="module", params=KINDS)
def address(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with database_of_our_own(request.param, tmp_path_factory.mktemp("database")) as address:
        yield address


@pytest.fixture
def database(address: str) -> Iterator[Database]:
    engine = own_engine(address)
    database = Database(lambda: engine, patience=60)
    database.call(lambda connection: connection.execute(delete(USAGE)) and None)
    yield database
    database.close()
    engine.dispose()


def key(
    argument: str | None = None,
    *,
    known: bool = True,
    endpoint: str = "pause",
    user: str = "Ärger",
    address: str | None = "10.0.0.1",
) -> UsageKey:
    return UsageKey(endpoint, user, address, argument, known)


def calls(count: int = 1, first: datetime = NOW, last: datetime | None = None) -> Calls:
    return Calls(count, first, last or first)


def add(database: Database, *counted: tuple[UsageKey, Calls]) -> None:
    database.call(lambda connection: usage.add(connection, dict(counted)))


def read(
    database: Database,
    endpoint: str | None = None,
    user: str | None = None,
    sort: Sort = "calls",
    limit: int = 100,
) -> tuple[list[LegacyCallerBody], int]:
    return database.call(lambda connection: usage.read(connection, endpoint, user, sort, limit))


def test_what_is_added_sums_up_with_its_first_and_its_last_time(database: Database):
    add(database, (key(), calls(2, NOW)), (key("subdri", known=False), calls(1, NOW)))
    add(database, (key(), calls(3, NOW - DAY, NOW + DAY)), (key("subdri", known=False), calls(1, NOW + DAY)))
    add(database, (key(), calls(1, NOW)))

    [found], total = read(database)
    [ignored] = found.ignored
    assert (found.endpoint, found.user, found.address, total) == ("pause", "Ärger", "10.0.0.1", 1)
    assert (found.calls, found.first_at, found.last_at) == (6, NOW - DAY, NOW + DAY)
    assert (ignored.argument, ignored.known, ignored.calls) == ("subdri", False, 2)
    assert (ignored.first_at, ignored.last_at) == (NOW, NOW + DAY)


def test_callers_that_differ_in_anything_are_counted_apart(database: Database):
    different = [key(), key(endpoint="pool"), key(user="ärger"), key(user="Ärger "), key(address=None)]
    add(database, *((one, calls(number)) for number, one in enumerate(different, 1)))

    found, total = read(database)
    assert total == len(different)
    assert [(one.endpoint, one.user, one.address) for one in found] == [one[:3] for one in different[::-1]]


def test_a_page_has_the_first_in_its_order_and_says_how_many_there_are(database: Database):
    rarely = (key(user="a"), calls(1, NOW + DAY))
    often = (key(user="b"), calls(9, NOW))
    elsewhere = (key(user="b", endpoint="pool"), calls(5, NOW - DAY))
    add(database, rarely, often, elsewhere)

    def users(**wanted: str | int) -> tuple[list[tuple[str, str]], int]:
        found, total = read(database, **wanted)  # type: ignore[arg-type]
        return [(one.user, one.endpoint) for one in found], total

    assert users() == ([("b", "pause"), ("b", "pool"), ("a", "pause")], 3)
    assert users(sort="last") == ([("a", "pause"), ("b", "pause"), ("b", "pool")], 3)
    assert users(limit=1) == ([("b", "pause")], 3)
    assert users(user="b") == ([("b", "pause"), ("b", "pool")], 2)
    assert users(endpoint="pool") == ([("b", "pool")], 1)
    assert users(endpoint="pool", user="a") == ([], 0)


def test_several_servers_add_to_the_same_rows_at_once_and_nothing_is_lost(address: str, database: Database):
    keys = [key(), key("subdri", known=False), key(user="b"), key(endpoint="pool")]
    failures: list[BaseException] = []

    def server(number: int) -> None:
        engine = own_engine(address)
        mine = Database(lambda: engine, patience=60)
        try:
            for _ in range(TIMES):
                # Each in an order of its own.
                add(mine, *((one, calls()) for one in keys[number % 4 :] + keys[: number % 4]))
        except BaseException as error:
            failures.append(error)
        finally:
            mine.close()
            engine.dispose()

    threads = [threading.Thread(target=server, args=(number,)) for number in range(SERVERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    found, total = read(database)
    assert failures == []
    assert total == 3
    assert [one.calls for one in found] == [SERVERS * TIMES] * 3
    assert sum(ignored.calls for one in found for ignored in one.ignored) == SERVERS * TIMES


def test_a_client_with_many_addresses_gets_one_row_for_the_rest(
    database: Database, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(usage, "MOST_ADDRESSES", 3)
    for number in range(8):
        place = f"10.0.0.{number}"
        add(database, (key(address=place), calls()), (key("subdir", address=place), calls()))
    add(database, (key(address="10.0.0.0"), calls()), (key(user="b", address="10.0.0.9"), calls()))

    found, _ = read(database)
    assert {(one.user, one.address): one.calls for one in found} == {
        ("Ärger", "10.0.0.0"): 2,
        ("Ärger", "10.0.0.1"): 1,
        ("Ärger", "10.0.0.2"): 1,
        ("Ärger", OTHER): 5,
        ("b", "10.0.0.9"): 1,
    }
    assert {one.address: [i.calls for i in one.ignored] for one in found if one.user != "b"} == {
        "10.0.0.0": [1],
        "10.0.0.1": [1],
        "10.0.0.2": [1],
        OTHER: [5],
    }


@pytest.mark.parametrize("together", [True, False], ids=["in one go", "one by one"])
def test_names_that_clients_make_up_get_one_row_beyond_a_bound(
    database: Database, monkeypatch: pytest.MonkeyPatch, together: bool
):
    monkeypatch.setattr(usage, "MOST_UNKNOWN", 3)
    counted = [(key(), calls(8)), *((key(f"made_up_{n}", known=False), calls()) for n in range(8))]
    for batch in [counted] if together else [[one] for one in counted]:
        add(database, *batch)
    add(database, (key("subdir"), calls()), (key("made_up_0", known=False), calls()))
    add(database, (key(endpoint="pool"), calls()), (key("made", known=False, endpoint="pool"), calls()))

    found, _ = read(database)
    assert {one.endpoint: {i.argument: i.calls for i in one.ignored} for one in found} == {
        "pause": {OTHER: 5, "made_up_0": 2, "made_up_1": 1, "made_up_2": 1, "subdir": 1},
        "pool": {"made": 1},
    }
    assert found[0].calls == 8


def test_what_was_not_seen_for_long_is_forgotten(database: Database):
    add(database, (key(user="old"), calls(1, NOW - DAY)), (key(user="new"), calls(1, NOW)))
    add(database, (key("gone", user="new", known=False), calls(1, NOW - DAY)))

    assert database.call(lambda connection: usage.forget(connection, NOW)) == 2
    [left], _ = read(database)
    assert (left.user, left.ignored) == ("new", [])
