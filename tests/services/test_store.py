"""Services in each kind of database."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from airflow_rest_api.errors import UnknownService
from airflow_rest_api.operations.model import new_id
from airflow_rest_api.services.model import DesiredState, Restart
from airflow_rest_api.services.status import State
from airflow_rest_api.services.store import ServiceStore, Taken
from airflow_rest_api.storage.database import Database, own_engine
from tests.databases import KINDS, database_of_our_own
from tests.keeping import a_service

NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=timezone.utc)


@pytest.fixture(params=KINDS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ServiceStore]:
    with database_of_our_own(request.param, tmp_path) as address:
        engine = own_engine(address)
        database = Database(lambda: engine)
        yield ServiceStore(database)
        database.close()
        engine.dispose()


def test_a_service_comes_back_as_it_was(store: ServiceStore) -> None:
    service = a_service(
        argv=("celery", "worker", "--queues=a,ä"),
        secret=True,
        claim="c" * 64,
        identity="c" * 64,
        ready={"port": 1},
        pid_file="x.pid",
        state=State.RESTARTING,
        desired=DesiredState.KILL,
        desired_by="Zoë",
        pid=1,
        pid_start="b:2",
        supervisor=3,
        supervisor_start="b:4",
        restart=Restart.ON_FAILURE,
        restarts=5,
        exit_code=-9,
        message="m" * 5000,
        created_at=NOW,
        started_at=NOW,
        ended_at=NOW,
        seen_at=NOW,
    )
    asyncio.run(store.insert(service))
    assert asyncio.run(store.get(service.id)) == service
    assert asyncio.run(store.everything()) == [service]


def test_what_is_not_there_is_not_found(store: ServiceStore) -> None:
    with pytest.raises(UnknownService):
        asyncio.run(store.get(new_id()))
    with pytest.raises(UnknownService):
        asyncio.run(store.of_operation(new_id()))


def test_of_services_with_the_same_claim_one_can_be(store: ServiceStore) -> None:
    async def both() -> list[object]:
        claims = [store.insert(a_service(claim="c")) for _ in range(8)]
        return await asyncio.gather(*claims, return_exceptions=True)

    outcomes = asyncio.run(both())
    refused = [outcome for outcome in outcomes if isinstance(outcome, Taken)]
    assert outcomes.count(None) == 1
    assert len(refused) == 7
    [winner] = asyncio.run(store.everything())
    assert {one.service.id for one in refused if one.service} == {winner.id}


def test_of_services_without_a_claim_there_may_be_any_number(store: ServiceStore) -> None:
    for _ in range(3):
        asyncio.run(store.insert(a_service(claim=None)))
    assert len(asyncio.run(store.everything())) == 3


def test_a_service_that_is_inserted_again_is_there_once(store: ServiceStore) -> None:
    for service in (a_service(claim="c"), a_service(claim=None)):
        asyncio.run(store.insert(service))
        asyncio.run(store.insert(service))
    assert len(asyncio.run(store.everything())) == 2


def test_of_two_changes_at_the_same_time_one_wins(store: ServiceStore) -> None:
    service = a_service()
    asyncio.run(store.insert(service))

    async def both() -> list[object]:
        return await asyncio.gather(*(store.change(service, desired_by=str(n)) for n in range(8)))

    won = [changed for changed in asyncio.run(both()) if changed is not None]
    assert len(won) == 1
    assert won == [asyncio.run(store.get(service.id))]
    assert won[0].version == 1


def test_a_claim_that_is_let_go_can_be_taken_and_not_taken_back(store: ServiceStore) -> None:
    first, second = a_service(claim="c"), a_service(claim="c")
    asyncio.run(store.insert(first))
    changed = asyncio.run(store.change(first, claim=None, state=State.STOPPED))
    assert changed is not None
    asyncio.run(store.insert(second))
    with pytest.raises(Taken) as taken:
        asyncio.run(store.change(changed, claim="c"))
    assert taken.value.service == second


def test_due_is_what_lives_what_got_lost_lately_and_of_what_something_is_wanted(store: ServiceStore) -> None:
    recently, long_ago = NOW - timedelta(seconds=1), NOW - timedelta(days=1)
    due = [
        a_service(state=State.RUNNING),
        a_service(state=State.STOPPED, desired=DesiredState.RESTART),
        a_service(state=State.LOST, ended_at=recently),
    ]
    rest = [
        a_service(state=State.STOPPED),
        a_service(state=State.LOST, ended_at=long_ago),
        a_service(state=State.RUNNING, host="another"),
    ]
    for service in (*due, *rest):
        asyncio.run(store.insert(service))
    found = asyncio.run(store.due(due[0].host, NOW - timedelta(minutes=1)))
    assert {service.id for service in found} == {service.id for service in due}


def test_being_looked_after_is_noted_for_the_living_of_a_place(store: ServiceStore) -> None:
    old = NOW - timedelta(minutes=1)
    mine = a_service(state=State.RUNNING, seen_at=old)
    fresh = replace(mine, id=new_id(), seen_at=NOW - timedelta(seconds=1))
    ended = replace(mine, id=new_id(), state=State.STOPPED)
    elsewhere = replace(mine, id=new_id(), place="another")
    for service in (mine, fresh, ended, elsewhere):
        asyncio.run(store.insert(service))
    asyncio.run(store.seen(mine.host, mine.place, NOW, NOW - timedelta(seconds=7)))
    seen = {service.id: service.seen_at for service in asyncio.run(store.everything())}
    assert seen == {mine.id: NOW, fresh.id: fresh.seen_at, ended.id: old, elsewhere.id: old}


def test_the_operation_of_a_start_leads_to_the_service(store: ServiceStore) -> None:
    service = a_service()
    asyncio.run(store.insert(service))
    operation = new_id()
    asyncio.run(store.started_by(service, operation))
    assert asyncio.run(store.of_operation(operation)).id == service.id
    assert asyncio.run(store.change(service, state=State.RUNNING)) is not None


def test_only_as_it_was_read_a_service_can_be_removed(store: ServiceStore) -> None:
    service = a_service()
    asyncio.run(store.insert(service))
    changed = asyncio.run(store.change(service, state=State.STOPPED))
    assert changed is not None
    assert not asyncio.run(store.delete(service))
    assert asyncio.run(store.delete(changed))
    assert asyncio.run(store.everything()) == []


def test_the_oldest_of_the_ended_are_those_beyond_the_newest(store: ServiceStore) -> None:
    ended = [a_service(state=State.STOPPED, id=f"{number:032x}") for number in range(4)]
    for service in (*ended, a_service(state=State.RUNNING, id="f" * 32)):
        asyncio.run(store.insert(service))
    assert asyncio.run(store.oldest_ended(ended[0].host, 2)) == [ended[1], ended[0]]


def test_what_no_database_takes_is_made_fit(store: ServiceStore) -> None:
    service = a_service(message="a\0b", user="u" * 1000)
    asyncio.run(store.insert(service))
    found = asyncio.run(store.get(service.id))
    assert found.message == "a�b"
    assert len(found.user) == 512
