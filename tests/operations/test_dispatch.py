"""Operations for runners: what is put into the queue, what takes it out, and what is given up."""

from __future__ import annotations

import asyncio
import secrets
import threading
from collections.abc import Coroutine
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from functools import partial
from typing import Any

import pytest
from sqlalchemy import select, update

from airflow_rest_api.airflow.event_log import Event
from airflow_rest_api.airflow.installation import FernetCipher
from airflow_rest_api.commands.catalog import load_catalog
from airflow_rest_api.errors import Busy, Misconfigured, NoRunner, TooManyWaiting, Unavailable, Undecryptable
from airflow_rest_api.operations import heartbeat, work_queue
from airflow_rest_api.operations.dispatch import PIECE, SENDERS, TOKENS, UNSERVED_FOR, Dispatcher, QueueLimits
from airflow_rest_api.operations.model import Cancel, Key, KeyTaken, Operation, Origin, Server, State, new_id
from airflow_rest_api.operations.store import Store
from airflow_rest_api.operations.tables import OPERATION, WORK, WORK_PART, NoCipher
from airflow_rest_api.operations.work_orders import NotTaken
from airflow_rest_api.security.audit import Audit, EndRecord
from tests.operations.scene import database_of, late_answers, make_store, operations, until
from tests.permits import permit
from tests.standin import prints

CATALOG = load_catalog()
WAITS = Origin(recorded=True)


class OwnCipher(FernetCipher):
    """With a key of its own."""

    def __init__(self) -> None:
        from cryptography.fernet import Fernet

        self._key = Fernet(Fernet.generate_key())
        self._key.is_encrypted = True  # type: ignore[attr-defined]

    def _fernet(self) -> Any:
        return self._key


@dataclass
class Scene:
    """An API server that sends, what it has sent, and what was recorded."""

    store: Store = field(default_factory=make_store)
    cipher: FernetCipher = field(default_factory=OwnCipher)
    limits: QueueLimits = field(default_factory=QueueLimits)
    sent: list[tuple[str, str]] = field(default_factory=list)
    recorded: list[Event] = field(default_factory=list)
    now: float = 0.0
    broken: bool = False

    def __post_init__(self) -> None:
        self.audit = Audit(self.recorded.extend)
        self.dispatcher = Dispatcher(
            self.store, self.audit, self._publish, self.limits, cipher=self.cipher, clock=lambda: self.now
        )
        self.api, _ = operations(prints("here"), store=self.store, dispatcher=self.dispatcher)

    def _publish(self, queue: str, identifier: str, *, after: float = 0.0) -> None:
        if self.broken:
            raise ConnectionError("redis://:password@host")
        self.sent.append((queue, identifier))

    async def start(
        self, queue: str = "dags", origin: Origin = WAITS, user: str = "u", **more: Any
    ) -> Operation:
        allowed = permit(user)
        allowed.queue = queue
        allowed.on_end = EndRecord(self.audit, user, "::1", {"dag_id": None})
        invocation = CATALOG.bind(CATALOG.get("variables set"), {"key": "k", "value": "hunter22", **more})
        return await self.api.start(allowed, invocation, parser=CATALOG, origin=origin)

    async def runner(self, *queues: str) -> Server:
        now = datetime.now(timezone.utc)
        server = Server(new_id(), "worker", 7, now, 0, "one@worker", " ".join(queues), 4, "2", "3")
        await self.store.database.run(lambda connection: heartbeat.beat(connection, server))
        return server

    async def claim(self, operation: Operation, server: Server, share: int = 6) -> bytes | None:
        claim = partial(work_queue.claim, identifier=operation.id, server=server, share=share)
        claimed = await self.store.claimed(operation.id, claim)
        if claimed is None:
            return None
        assert (claimed[0].state, claimed[0].runner) == (State.RUNNING, server.runner)
        return claimed[1]

    async def age(self, operation: Operation, seconds: float) -> None:
        """Have an operation wait for so many seconds more."""

        def work(connection: Any) -> None:
            row = connection.execute(select(WORK).where(WORK.c.operation_id == operation.id)).one()
            moments = {
                name: getattr(row, name) - timedelta(seconds=seconds)
                for name in ("created_at", "published_at")
            }
            connection.execute(update(WORK).where(WORK.c.operation_id == operation.id).values(moments))

        await self.store.database.run(work)

    async def left(self) -> int:
        """Return the rows of what is to be run."""

        def work(connection: Any) -> int:
            return sum(len(connection.execute(select(table)).all()) for table in (WORK, WORK_PART))

        return await self.store.database.run(work)


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


def test_it_waits_encrypted_and_only_its_id_is_sent():
    async def main() -> None:
        scene = Scene()
        operation = await scene.start()
        stored = await scene.api.get(operation.id)

        assert (stored.state, stored.queue, stored.server, stored.host) == (State.QUEUED, "dags", "", "")
        assert scene.sent == [("dags", operation.id)]
        server = await scene.runner("dags")
        data = await scene.claim(operation, server)
        assert data is not None
        assert b"hunter22" not in data
        assert scene.dispatcher.opened(data, operation.id).invocation.values["value"] == "hunter22"

    run(main())


def test_of_all_that_claim_it_one_gets_it():
    async def main() -> None:
        scene = Scene()
        operation = await scene.start()
        runners = [await scene.runner("dags") for _ in range(8)]
        got = await asyncio.gather(*(scene.claim(operation, one) for one in runners))

        [winner] = [one for one, data in zip(runners, got, strict=True) if data is not None]
        stored = await scene.store.get(operation.id)
        assert (stored.server, stored.runner, stored.host) == (winner.id, "one@worker", "worker")
        assert stored.state is State.RUNNING
        assert await scene.left() == 0

    run(main())


def test_what_this_runner_claimed_and_does_not_know_is_told_apart():
    async def main() -> None:
        scene = Scene()
        operation, server = await scene.start(), await scene.runner("dags")

        assert await scene.claim(operation, server)
        assert await scene.claim(operation, server) == b""
        assert await scene.claim(operation, await scene.runner("dags")) is None
        assert await scene.claim(replace(operation, id=new_id()), server) is None

    run(main())


def test_a_runner_of_a_long_name_claims_as_it_is_listed():
    async def main() -> None:
        scene = Scene()
        operation = await scene.start()
        server = replace(await scene.runner("dags"), id=new_id(), runner="r" * 300)
        await scene.store.database.run(lambda connection: heartbeat.beat(connection, server))

        # PostgreSQL and MySQL take no longer name than the column has.
        [listed] = [one for one in await scene.store.database.run(work_queue.runners) if one.id == server.id]
        claim = partial(work_queue.claim, identifier=operation.id, server=server, share=6)
        claimed = await scene.store.claimed(operation.id, claim)
        assert claimed is not None
        assert claimed[0].runner == listed.runner == "r" * 254 + "…"

    run(main())


def test_a_user_has_a_share_of_a_runner():
    async def main() -> None:
        scene = Scene()
        server = await scene.runner("dags")
        first, second, third = [await scene.start(user=user) for user in ("u", "u", "v")]

        assert await scene.claim(first, server, share=1)
        with pytest.raises(work_queue.ShareUsedUp) as full:
            await scene.claim(second, server, share=1)
        assert full.value.queue == "dags"
        assert await scene.claim(third, server, share=1)
        assert await scene.claim(second, await scene.runner("dags"), share=1)

    run(main())


def test_what_waits_for_the_share_of_its_user_has_one_message_however_long_it_waits():
    async def main() -> None:
        scene = Scene()
        server = await scene.runner("dags")
        runs, waits = await scene.start(), await scene.start()
        assert await scene.claim(runs, server, share=1)
        messages = 1
        for _ in range(10):
            scene.sent.clear()
            with pytest.raises(work_queue.ShareUsedUp):
                await scene.claim(waits, server, share=1)
            await scene.dispatcher.send_later("dags", waits.id, 1.0)
            await scene.dispatcher.look()
            messages += len(scene.sent) - 1  # One was taken.
            await scene.age(waits, 60)
        assert messages == 1

        # The last one is lost: it is sent again.
        scene.sent.clear()
        await scene.dispatcher.look()
        assert scene.sent == [("dags", waits.id)]

    run(main())


def test_without_a_runner_a_client_that_waits_is_told_so():
    async def main() -> None:
        scene = Scene()
        with pytest.raises(NoRunner) as told:
            await scene.start("heavy", Origin())
        assert told.value.detail["queue"] == "heavy"
        await scene.runner("dags", "heavy")
        await scene.start("heavy", Origin())
        assert [queue for queue, _ in scene.sent] == ["heavy"]

    run(main())


def test_what_was_answered_as_unavailable_is_sent_to_no_runner():
    async def main() -> None:
        scene = Scene()
        await scene.store.list()
        with late_answers(scene.store), pytest.raises(Unavailable):
            await scene.start()

        async def gone() -> bool:
            return not await scene.left() and not await scene.store.list()

        await until(gone)
        assert scene.sent == []

    run(main())


def test_what_a_runner_has_claimed_is_not_taken_back():
    async def main() -> None:
        scene = Scene()
        server = await scene.runner("dags")
        with late_answers(scene.store):
            with pytest.raises(Unavailable):
                await scene.start()
            # By another process, whose database answers.
            others = replace(scene, store=make_store(str(database_of(scene.store)._at.url)))
            (operation,) = await others.store.list()
            assert await others.claim(operation, server)

        await asyncio.to_thread(scene.store.database._threads.shutdown)
        assert await others.store.state(operation.id) is State.RUNNING

    run(main())


def test_a_claim_that_comes_too_late_is_lost_at_once_and_does_not_run():
    async def main() -> None:
        scene = Scene()
        server = await scene.runner("dags")
        operation = await scene.start()
        claim = partial(work_queue.claim, identifier=operation.id, server=server, share=6)
        lose = partial(heartbeat.lose, identifier=operation.id, server=server.id, message="late")
        with late_answers(scene.store), pytest.raises(Unavailable):
            await scene.store.claimed(operation.id, claim, lose)

        async def lost() -> bool:
            return await scene.store.state(operation.id) is State.LOST

        await until(lost)
        assert (await scene.store.get(operation.id)).message == "late"

    run(main())


def test_only_so_many_wait():
    async def main() -> None:
        scene = Scene(limits=QueueLimits(size=3, per_user=2))
        await scene.start()
        await scene.start()
        with pytest.raises(TooManyWaiting):
            await scene.start()
        await scene.start(user="v")
        with pytest.raises(Busy):
            await scene.start(user="w")
        # Each runner makes room for as many.
        for _ in range(2):
            await scene.runner("dags")
        await scene.start()
        assert len(scene.sent) == 4

    run(main())


def test_a_key_leads_to_what_was_sent_before():
    async def main() -> None:
        scene = Scene()
        origin = Origin(True, Key("u", "key", "f" * 64))
        operation = await scene.start(origin=origin)
        with pytest.raises(KeyTaken) as taken:
            await scene.start(origin=origin)
        assert taken.value.identifier == operation.id
        assert len(scene.sent) == 1

    run(main())


def test_without_a_broker_or_a_key_nothing_is_sent():
    async def main() -> None:
        store = make_store()
        api, _ = operations(prints("x"), store=store)
        allowed = permit()
        allowed.queue = "dags"
        with pytest.raises(Misconfigured, match="runner_broker"):
            await api.start(allowed, CATALOG.parse(["version"]), parser=CATALOG)
        with pytest.raises(Misconfigured, match="fernet_key"):
            await Scene(cipher=NoCipher()).start()

    run(main())


def test_a_broker_that_is_away_loses_nothing(caplog: pytest.LogCaptureFixture):
    async def main() -> None:
        scene = Scene(broken=True)
        await scene.runner("dags")
        operation = await scene.start()
        assert "password" not in caplog.text
        scene.broken = False
        await scene.dispatcher.look()
        assert scene.sent == []
        await scene.age(operation, 21)
        await scene.dispatcher.look()
        await scene.dispatcher.look()
        assert scene.sent == [("dags", operation.id)]
        # The next one twice as late.
        await scene.age(operation, 30)
        await scene.dispatcher.look()
        assert len(scene.sent) == 1
        await scene.age(operation, 11)
        await scene.dispatcher.look()
        assert len(scene.sent) == 2

    run(main())


def test_a_broker_that_does_not_answer_holds_no_thread_of_others(monkeypatch: pytest.MonkeyPatch):
    async def main() -> None:
        scene = Scene()
        answers = threading.Event()
        asked: list[str] = []

        def publish(queue: str, identifier: str, *, after: float = 0.0) -> None:
            asked.append(identifier)
            answers.wait(30)

        async def all_senders_wait() -> bool:
            return len(asked) == SENDERS

        monkeypatch.setattr(scene.dispatcher, "_publish", publish)
        await scene.runner("dags")
        # More than the threads that the event loop has for all.
        starting = asyncio.gather(*(scene.start() for _ in range(40)))
        try:
            await until(all_senders_wait)
            await asyncio.wait_for(asyncio.to_thread(lambda: None), 5)
        finally:
            answers.set()
        assert len({operation.id for operation in await starting}) == 40

    run(main())


def test_of_several_that_look_one_sends_again():
    async def main() -> None:
        scene = Scene()
        others = [Scene(store=scene.store, cipher=scene.cipher) for _ in range(4)]
        await scene.runner("dags")
        operation = await scene.start()
        await scene.age(operation, 21)
        await asyncio.gather(*(one.dispatcher.look() for one in others))
        assert sum(len(one.sent) for one in others) == 1

    run(main())


def test_what_was_sent_thousands_of_times_is_sent_again_and_holds_up_nothing_else():
    async def main() -> None:
        scene = Scene(limits=QueueLimits(seconds=None))
        await scene.runner("dags")
        often, other = await scene.start(), await scene.start()
        of_it = WORK.c.operation_id == often.id
        await scene.store.database.run(lambda c: c.execute(update(WORK).where(of_it).values(published=5000)))
        await scene.age(often, 321)
        await scene.age(other, 21)
        scene.sent.clear()
        await scene.dispatcher.look()
        assert [identifier for _, identifier in scene.sent] == [often.id, other.id]

    run(main())


def test_what_no_runner_asks_for_is_lost_with_a_sentence_and_recorded():
    async def main() -> None:
        scene = Scene()
        operation = await scene.start("heavy")
        await scene.dispatcher.look()
        await scene.age(operation, UNSERVED_FOR + 1)
        await scene.dispatcher.look()
        # Not before this server itself has seen nobody for as long.
        assert (await scene.store.get(operation.id)).state is State.QUEUED
        scene.now += UNSERVED_FOR + 1
        await scene.dispatcher.look()
        ended = await scene.store.get(operation.id)
        assert ended.state is State.LOST
        assert ended.message == "No runner has asked for the queue 'heavy' for 60 seconds."
        assert await scene.left() == 0
        scene.audit.close()
        assert [event.extra["state"] for event in scene.recorded] == ["lost"]

    run(main())


def test_a_runner_that_comes_in_time_saves_it():
    async def main() -> None:
        scene = Scene()
        operation = await scene.start("heavy")
        await scene.age(operation, UNSERVED_FOR + 1)
        for _ in range(3):
            scene.now += UNSERVED_FOR / 2
            await scene.dispatcher.look()
            server = await scene.runner("heavy")
            await scene.dispatcher.look()
            await scene.store.database.run(lambda c, one=server: heartbeat.leave(c, one.id))
        assert (await scene.store.get(operation.id)).state is State.QUEUED

    run(main())


@pytest.mark.parametrize("served", [False, True])
def test_without_a_broker_what_waits_is_sent_no_more_and_comes_to_an_end(served: bool):
    async def main() -> None:
        scene = Scene(limits=QueueLimits(seconds=600))
        operation = await scene.start()
        if served:
            await scene.runner("dags")
        without = Dispatcher(scene.store, limits=scene.limits, cipher=scene.cipher, clock=lambda: scene.now)
        await scene.age(operation, 100)
        await without.look()
        assert (await scene.store.get(operation.id)).state is State.QUEUED
        scene.now += UNSERVED_FOR
        if served:
            await scene.age(operation, 600)
        await without.look()

        expected = State.TIMED_OUT if served else State.LOST
        assert (await scene.store.get(operation.id)).state is expected
        assert len(scene.sent) == 1
        assert await scene.left() == 0

    run(main())


def test_a_look_at_a_queue_in_which_nothing_waits_is_one_query():
    async def main() -> None:
        scene = Scene()
        await scene.store.list()
        before = database_of(scene.store).calls
        await scene.dispatcher.look()
        assert database_of(scene.store).calls == before + 1

    run(main())


def test_what_waits_for_too_long_is_timed_out():
    async def main() -> None:
        scene = Scene(limits=QueueLimits(seconds=100))
        await scene.runner("dags")
        operation = await scene.start()
        await scene.age(operation, 101)
        await scene.dispatcher.look()
        ended = await scene.store.get(operation.id)
        assert ended.state is State.TIMED_OUT
        assert ended.message == "No runner of the queue 'dags' has taken it for 100 seconds."

    run(main())


def test_what_waits_is_cancelled_by_any_server_and_recorded():
    async def main() -> None:
        scene = Scene()
        operation = await scene.start()
        other = Scene(store=scene.store, cipher=scene.cipher)

        assert await other.api.cancel(operation.id, "Enough.") is Cancel.ASKED
        ended = await scene.store.get(operation.id)
        assert (ended.state, ended.message) == (State.CANCELLED, "Enough.")
        assert await scene.claim(operation, await scene.runner("dags")) is None
        assert await other.api.cancel(operation.id, "Again.") is Cancel.ENDED_BEFORE
        other.audit.close()
        assert [event.owner for event in other.recorded] == ["u"]

    run(main())


def test_what_runs_on_a_runner_is_cancelled_there():
    async def main() -> None:
        scene = Scene()
        operation, server = await scene.start(), await scene.runner("dags")
        await scene.claim(operation, server)

        assert await scene.api.cancel(operation.id, "Enough.") is Cancel.ASKED
        assert await scene.store.cancels(server.id) == {operation.id: "Enough."}

    run(main())


def test_an_api_server_that_ends_takes_nothing_along_that_waits():
    async def main() -> None:
        scene = Scene()
        operation = await scene.start()
        assert await scene.store.database.run(heartbeat.orphans) == set()
        await scene.store.database.run(lambda c: heartbeat.mark_lost(c, scene.api.server.id))
        assert (await scene.store.get(operation.id)).state is State.QUEUED

    run(main())


def test_what_a_dead_runner_ran_says_so():
    async def main() -> None:
        scene = Scene()
        operation, server = await scene.start(), await scene.runner("dags")
        await scene.claim(operation, server)
        await scene.store.database.run(lambda c: heartbeat.mark_lost(c, server.id))
        ended = await scene.store.get(operation.id)
        assert (ended.state, ended.message) == (State.LOST, "The runner that ran the command is gone.")

    run(main())


def test_what_is_left_of_an_operation_that_is_gone_is_removed():
    async def main() -> None:
        scene = Scene()
        operation, kept = await scene.start(), await scene.start()

        def ended(connection: Any) -> None:
            this = update(OPERATION).where(OPERATION.c.id == operation.id)
            connection.execute(this.values(state="lost"))

        await scene.store.database.run(ended)
        await scene.dispatcher.look()
        assert [one.id for one in await scene.store.database.run(work_queue.waiting)] == [kept.id]
        await scene.store.discard(kept.id)
        assert await scene.left() == 0

    run(main())


def test_what_another_key_encrypted_is_not_opened():
    async def main() -> None:
        scene = Scene()
        operation = await scene.start()
        data = await scene.claim(operation, await scene.runner("dags"))
        assert data is not None
        with pytest.raises(Undecryptable):
            Scene().dispatcher.opened(data, operation.id)
        with pytest.raises(Undecryptable):
            scene.dispatcher.opened(data[:-9], operation.id)
        # What was made for one operation is run as no other.
        larger = await scene.start(value=secrets.token_hex(PIECE))
        pieces = (await scene.claim(larger, await scene.runner("dags")) or b"").split(TOKENS)
        assert len(pieces) > 2
        opened = scene.dispatcher.opened(TOKENS.join(pieces), larger.id)
        assert len(opened.invocation.values["value"]) == 2 * PIECE
        for other in (pieces[:-1], pieces[::-1], [data, *pieces[1:]]):
            with pytest.raises(NotTaken, match="another operation"):
                scene.dispatcher.opened(TOKENS.join(other), larger.id)
        with pytest.raises(NotTaken, match="another operation"):
            scene.dispatcher.opened(data, new_id())

    run(main())


def test_a_large_upload_is_kept_in_parts():
    async def main() -> None:
        scene = Scene()
        operation = await scene.start(value="x" * 3_000_000)
        assert await scene.left() >= 4
        data = await scene.claim(operation, await scene.runner("dags"))
        assert data is not None
        assert len(scene.dispatcher.opened(data, operation.id).invocation.values["value"]) == 3_000_000

    run(main())
