"""What may show secrets, in the database: encrypted with Airflow's key, or not at all."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import select

from airflow_rest_api.operations import live
from airflow_rest_api.operations.store import Store
from airflow_rest_api.operations.tables import LOCKED, NOT_KEPT, OUTPUT, NoCipher, pack, unpack
from airflow_rest_api.storage.database import Database
from tests.operations.scene import append
from tests.standin import StandInProcess, fernet_keys, own_database, prints, serving

SECRET = "hunter22-in-the-output"
FILE = "hunter33-in-the-file"
REVEALS = "connections/get"
EXPORTS = "connections/export"


@pytest.fixture
def keys() -> Iterator[Any]:
    """Set the keys of Airflow."""
    with fernet_keys() as use:
        yield use


def key() -> str:
    return Fernet.generate_key().decode()


async def exports(process: StandInProcess) -> Any:
    """Print and write, as `connections export` does."""
    from airflow_rest_api.engine.job import Ending, Outcome

    path = process.job.argv[-1]
    with open(path, "w") as file:
        file.write(FILE)
    process.stdout.add(SECRET.encode())
    return Outcome(Ending.EXITED, 0)


def stored(address: str) -> bytes:
    """Return all bytes of all our tables."""
    with sqlite3.connect(address.removeprefix("sqlite:///")) as database:
        tables = [row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        rows = [row for table in tables for row in database.execute(f"SELECT * FROM {table}")]
    # Compressed it would be no less readable.
    return b"".join(
        value if isinstance(value, bytes) else str(value).encode() for row in rows for value in row
    )


def run(client: Any, path: str, **arguments: Any) -> Any:
    made = client.post(f"/v2/commands/{path}", json=arguments).json()
    assert made["state"] == "succeeded", made
    return made


def after(client: Any, made: Any) -> Any:
    return client.get(f"/v2/operations/{made['id']}").json()


def test_output_that_shows_secrets_is_encrypted_and_read_back(keys: Any):
    keys(key())
    address = own_database()
    with serving(prints(f'[{{"password": "{SECRET}"}}]'), operations_database=address) as (client, _):
        made = run(client, REVEALS, conn_id="a")
        kept = stored(address)
        again = after(client, made)
        chunks = client.get(f"/v2/operations/{made['id']}/output").text
        events = client.get(f"/v2/operations/{made['id']}/events").text

    assert SECRET.encode() not in kept
    assert made["result"] == again["result"] == [{"password": SECRET}]
    assert again["stdout"] == chunks == f'[{{"password": "{SECRET}"}}]'
    assert SECRET in events
    assert again["warnings"] == []


def test_what_shows_none_is_kept_as_it_is(keys: Any):
    keys(key())
    address = own_database()
    with serving(prints(SECRET), operations_database=address) as (client, _):
        run(client, "version")
        client.get("/v2/operations")  # it is written by now
        assert SECRET.encode() in stored(address)


def test_a_file_with_secrets_is_encrypted_and_read_back(keys: Any):
    keys(key())
    address = own_database()
    with serving(exports, operations_database=address) as (client, _):
        made = run(client, EXPORTS)
        kept = stored(address)
        content = client.get(f"/v2/operations/{made['id']}/files/{made['files'][0]['name']}")

    assert FILE.encode() not in kept
    assert SECRET.encode() not in kept
    assert content.text == FILE


def test_long_output_and_a_large_result_are_encrypted_in_their_parts(keys: Any):
    keys(key())
    address = own_database()
    # Beyond what fits into the row, in output and in result; nothing of it compresses.
    import random

    words = [f"{SECRET}-{random.Random(n).getrandbits(256):x}" for n in range(20_000)]
    text = "[" + ", ".join(f'"{word}"' for word in words) + "]"
    with serving(prints(text), operations_database=address, output_limit=4_000_000) as (client, _):
        made = run(client, REVEALS, conn_id="a")
        kept = stored(address)
        again = after(client, made)

    assert b"hunter22" not in kept
    assert again["result"] == words
    assert again["stdout"] == text


def test_after_a_rotation_old_output_is_read_with_the_old_key_and_new_is_written_with_the_new(keys: Any):
    old, new = key(), key()
    address = own_database()
    keys(old)
    with serving(prints(SECRET), operations_database=address) as (client, _):
        first = run(client, REVEALS, conn_id="a")
    keys(new, old)
    with serving(prints(SECRET), operations_database=address) as (client, _):
        second = run(client, REVEALS, conn_id="a")
        assert after(client, first)["stdout"] == SECRET
    keys(new)
    with serving(prints(SECRET), operations_database=address) as (client, _):
        assert after(client, second)["stdout"] == SECRET
        gone = after(client, first)

    assert gone["stdout"] == ""
    assert gone["warnings"] == [LOCKED]


@pytest.mark.parametrize(
    "now", [lambda: key(), lambda: "", lambda: "no key"], ids=["another", "none", "broken"]
)
def test_what_cannot_be_decrypted_is_shown_as_such_and_breaks_nothing(keys: Any, now: Any):
    keys(key())
    address = own_database()
    with serving(exports, operations_database=address) as (client, _):
        written = run(client, EXPORTS)
    with serving(prints('["a"]'), operations_database=address) as (client, _):
        printed = run(client, REVEALS, conn_id="a")
    keys(now())
    with serving(prints(), operations_database=address) as (client, _):
        page = client.get("/v2/operations")
        shown = after(client, printed)
        answers = [client.get(f"/v2/operations/{printed['id']}{rest}") for rest in ("/output", "/events")]
        file = client.get(f"/v2/operations/{written['id']}/files/{written['files'][0]['name']}")

    assert page.status_code == 200
    assert {one["id"] for one in page.json()["operations"]} == {written["id"], printed["id"]}
    assert (shown["state"], shown["exit_code"], shown["stdout"], shown["result"]) == (
        "succeeded",
        0,
        "",
        None,
    )
    assert LOCKED in shown["warnings"]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert (file.status_code, file.json()["detail"]["reason"]) == (410, "cannot_decrypt")


@pytest.mark.parametrize(("setting", "fernet"), [("no", None), ("encrypted", ""), ("encrypted", "no key")])
def test_without_a_key_or_by_option_nothing_is_kept_and_who_asked_gets_it_all_the_same(
    keys: Any, setting: str, fernet: str | None
):
    keys(key() if fernet is None else fernet)
    address = own_database()
    with serving(exports, operations_database=address, keep_revealed=setting) as (client, _):
        made = run(client, EXPORTS)
        file = client.get(f"/v2/operations/{made['id']}/files/{made['files'][0]['name']}")
        at_once = client.post(f"/v2/commands/{EXPORTS}", headers={"Accept": "application/octet-stream"})
        again = after(client, made)
        kept = stored(address)
    with serving(prints(), operations_database=address, keep_revealed=setting) as (client, _):
        later = after(client, made)
        lost = client.get(f"/v2/operations/{made['id']}/files/{made['files'][0]['name']}")

    assert (made["stdout"], again["stdout"], file.text, at_once.text) == (SECRET, SECRET, FILE, FILE)
    assert SECRET.encode() not in kept
    assert FILE.encode() not in kept
    assert made["warnings"] == again["warnings"] == later["warnings"] == [NOT_KEPT]
    assert (later["state"], later["exit_code"], later["stdout"]) == ("succeeded", 0, "")
    assert lost.status_code == 404


def test_what_is_not_kept_is_forgotten_after_a_while(keys: Any, monkeypatch: pytest.MonkeyPatch):
    keys("")
    monkeypatch.setattr(live, "KEPT_FOR", 0.05)
    with serving(prints(SECRET)) as (client, _):
        made = run(client, REVEALS, conn_id="a")
        deadline = time.monotonic() + 30
        while after(client, made)["stdout"] and time.monotonic() < deadline:
            time.sleep(0.02)
        assert after(client, made)["stdout"] == ""


def test_every_command_that_the_policy_says_reveals_secrets_is_kept_encrypted(keys: Any):
    from airflow_rest_api.commands.catalog import load_catalog
    from airflow_rest_api.commands.model import Effect

    keys(key())
    address = own_database()
    tried = []
    with serving(
        prints(SECRET), operations_database=address, enabled_commands="*, db *, db-manager *, users *"
    ) as (client, _):
        for command in load_catalog().commands.values():
            if not command.reveals_secrets or command.effect is Effect.SERVICE:
                continue
            given: dict[str, Any] = {
                argument.name: "2026-01-01" if argument.type == "datetime" else "x"
                for argument in command.arguments
                if argument.required and argument.file is None
            }
            if command.revealed_by:
                given[command.revealed_by] = True
            answer = client.post(f"/v2/commands/{'/'.join(command.path)}", json=given)
            assert answer.status_code == 200, (command.name, answer.text)
            tried.append(command.name)
        kept = stored(address)

    assert {"connections get", "connections export", "variables export", "config list"} <= set(tried)
    assert SECRET.encode() not in kept


class OwnKey:
    """A key of the test's own."""

    available = True

    def __init__(self) -> None:
        self._fernet = Fernet(Fernet.generate_key())

    def encrypt(self, data: bytes) -> bytes:
        return self._fernet.encrypt(data)

    def decrypt(self, encrypted: bytes) -> bytes:
        return self._fernet.decrypt(encrypted)


def test_what_a_running_command_prints_is_encrypted_and_followed_from_another_server(
    every_database: Database,
) -> None:
    from tests.operations.test_store import printed, running

    cipher = OwnKey()
    here, there, other = (Store(every_database, cipher=one) for one in (cipher, cipher, NoCipher()))
    made = printed(SECRET, "x" * 400, ("stderr", "the end"))

    async def scene() -> None:
        operation = running(reveals=True)
        await here.insert(operation)
        for block in made:
            await append(here, operation.id, [block], reveals=True)
        assert (await there.blocks(operation.id))[0] == made
        assert (await there.get(operation.id)).stderr == "the end"
        locked = await other.get(operation.id)
        assert (locked.stdout, locked.truncated, locked.warnings) == ("", True, [LOCKED])
        assert (await other.blocks(operation.id))[0] == []

    asyncio.run(scene())
    found = every_database.call(lambda c: [bytes(row[0]) for row in c.execute(select(OUTPUT.c.data))])
    assert len(found) == len(made)
    assert not any(b"hunter22" in data or b"the end" in data for data in found)


def test_blocks_are_packed_and_read_back_and_damage_is_an_error() -> None:
    from tests.operations.test_store import printed

    made = printed("a", ("stderr", "ü"), ("progress", "{}"), "x" * 1000)
    assert unpack(pack(made)) == made
    for damaged in (pack(made)[:-1000], b"\xff" * 30):
        with pytest.raises(ValueError, match="damaged"):
            unpack(damaged)
