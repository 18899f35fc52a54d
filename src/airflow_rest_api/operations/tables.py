"""The tables of operations, as the newest migration leaves them, and bytes as their columns keep them."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable
from datetime import datetime, timedelta, timezone

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, SmallInteger, String, Table

from airflow_rest_api.airflow.installation import FernetCipher
from airflow_rest_api.operations.transcript import STREAMS, Block
from airflow_rest_api.storage.schema import (
    TABLE_OPTIONS,
    Utc,
    ascii_text,
    binary,
    long_text,
    metadata,
    name_text,
)

LONGEST_QUEUE = 128
LONGEST_COMMAND = LONGEST_DAG_ID = LONGEST_HOST = LONGEST_FILE_NAME = 255

OPERATION = Table(
    "rest_api_operation",
    metadata,
    Column("id", ascii_text(32), primary_key=True),
    Column("command", name_text(LONGEST_COMMAND), nullable=False),
    Column("effect", ascii_text(20), nullable=False),
    Column("user", name_text(), nullable=False),
    Column("host", String(LONGEST_HOST), nullable=False),
    Column("server", ascii_text(32), nullable=False),
    Column("state", ascii_text(10), nullable=False),
    Column("dag_id", name_text(LONGEST_DAG_ID)),
    Column("exit_code", Integer),
    Column("message", long_text()),
    Column("truncated", Boolean, nullable=False),
    Column("created_at", Utc, nullable=False),
    Column("started_at", Utc),
    Column("finished_at", Utc),
    Column("details", long_text(), nullable=False),  # JSON: see `rows.DETAILS`
    Column("result", binary()),  # compressed JSON; a large one is a file without a name
    Column("output", binary()),  # blocks that were new at its end, where they are few
    Column("key_hash", ascii_text(64)),
    Column("key_fingerprint", ascii_text(64)),
    Column("endpoint", ascii_text(32)),
    Column("queue", name_text(LONGEST_QUEUE)),
    Column("runner", name_text(LONGEST_HOST)),
    **TABLE_OPTIONS,
)
"""One row for each operation. The id sorts by time, and ends every index by which lists are read."""

_HEAVY = {"result", "output", "key_hash", "key_fingerprint"}
LIGHT = tuple(column for column in OPERATION.c if column.name not in _HEAVY)
"""The columns of a summary: those that are never large."""

for _column in ("command", "effect", "user", "state", "dag_id", "endpoint"):
    Index(f"{OPERATION.name}_{_column}", OPERATION.c[_column], OPERATION.c.id)
Index(f"{OPERATION.name}_finished", OPERATION.c.finished_at, OPERATION.c.id)
Index(f"{OPERATION.name}_key", OPERATION.c.key_hash, unique=True)

OUTPUT = Table(
    "rest_api_output",
    metadata,
    Column("operation_id", ascii_text(32), primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("stream", SmallInteger, nullable=False),  # its place in `transcript.STREAMS`
    Column("byte_offset", BigInteger, nullable=False),
    Column("at", Utc, nullable=False),
    Column("data", binary(), nullable=False),
    **TABLE_OPTIONS,
)
"""What a command printed while it ran, block by block: reading on from one is a range of the key."""

FILE = Table(
    "rest_api_file",
    metadata,
    Column("operation_id", ascii_text(32), primary_key=True),
    Column("name", name_text(LONGEST_FILE_NAME), primary_key=True),
    Column("part", Integer, primary_key=True, autoincrement=False),
    Column("data", binary(), nullable=False),
    **TABLE_OPTIONS,
)
"""What a command wrote, in parts that every database takes."""

CANCEL = Table(
    "rest_api_cancel",
    metadata,
    Column("operation_id", ascii_text(32), primary_key=True),
    Column("server", ascii_text(32), nullable=False),
    Column("reason", long_text(), nullable=False),
    **TABLE_OPTIONS,
)
"""Operations that were asked to end, until they have ended."""

Index(f"{CANCEL.name}_server", CANCEL.c.server)

SERVER = Table(
    "rest_api_server",
    metadata,
    Column("id", ascii_text(32), primary_key=True),
    Column("host", String(LONGEST_HOST), nullable=False),
    Column("pid", Integer, nullable=False),
    Column("started_at", Utc, nullable=False),
    Column("beat", BigInteger, nullable=False),
    Column("runner", name_text(LONGEST_HOST)),
    Column("queues", long_text()),
    Column("concurrency", Integer),
    Column("version", String(64)),
    Column("airflow_version", String(64)),
    **TABLE_OPTIONS,
)
"""The processes that run operations, API servers and runners, each with its last heartbeat."""

WORK = Table(
    "rest_api_work",
    metadata,
    Column("operation_id", ascii_text(32), primary_key=True),
    Column("queue", name_text(LONGEST_QUEUE), nullable=False),
    Column("user", name_text(), nullable=False),
    Column("created_at", Utc, nullable=False),
    Column("published_at", Utc, nullable=False),
    Column("published", Integer, nullable=False),
    **TABLE_OPTIONS,
)
"""What waits for a runner: a row until one has claimed it."""

WORK_PART = Table(
    "rest_api_work_part",
    metadata,
    Column("operation_id", ascii_text(32), primary_key=True),
    Column("part", Integer, primary_key=True, autoincrement=False),
    Column("data", binary(), nullable=False),
    **TABLE_OPTIONS,
)
"""What is to be run, encrypted, in parts that every database takes: see `work_orders`."""


NOT_KEPT = (
    "What this command printed can hold secrets and is not kept: the API server that ran it has it for a "
    "minute after its end."
)
LOCKED = (
    "What this command printed was kept encrypted and cannot be decrypted: its key is no longer in "
    "[core] fernet_key."
)

_PLAIN, _ZLIB, _ENCRYPTED = b"\0", b"\1", b"\2"
_WORTH = 512  # bytes from which compressing is worth it
_HEADER = struct.Struct("<QBQqI")  # number, stream, offset, microseconds since 1970, length
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


class NoCipher(FernetCipher):
    """Stands for a key that there is not: what may show secrets is not kept."""

    def _fernet(self) -> None:
        return None


def encode(data: bytes, cipher: FernetCipher | None = None) -> bytes:
    """
    Return bytes in the form in which they are stored, compressed where that is worth it.

    :param cipher: encrypts them, where they may show secrets
    """
    stored = _PLAIN + data
    if len(data) >= _WORTH:
        stored = min(stored, _ZLIB + zlib.compress(data, 1), key=len)
    return _ENCRYPTED + cipher.encrypt(stored) if cipher else stored


def decode(stored: bytes, cipher: FernetCipher) -> bytes:
    """Return the bytes of `encode`; raise ValueError where they are damaged, or Undecryptable."""
    if stored[:1] == _ENCRYPTED:
        stored = cipher.decrypt(stored[1:])
    if stored[:1] != _ZLIB:
        return stored[1:]
    try:
        return zlib.decompress(stored[1:])
    except zlib.error as error:
        raise ValueError("damaged bytes") from error


def pack(blocks: Iterable[Block]) -> bytes:
    """Return blocks as bytes."""
    return b"".join(
        _HEADER.pack(
            block.seq,
            STREAMS.index(block.stream),
            block.offset,
            (block.at - _EPOCH) // timedelta(microseconds=1),
            len(block.data),
        )
        + block.data
        for block in blocks
    )


def unpack(packed: bytes) -> list[Block]:
    """Return the blocks of `pack`; raise ValueError where they are damaged."""
    blocks, position = [], 0
    try:
        while position < len(packed):
            seq, number, offset, moment, length = _HEADER.unpack_from(packed, position)
            position += _HEADER.size
            at = _EPOCH + timedelta(microseconds=moment)
            blocks.append(Block(seq, STREAMS[number], offset, at, packed[position : position + length]))
            position += length
    except (struct.error, LookupError, OverflowError) as error:
        raise ValueError("damaged output") from error
    if position > len(packed):
        raise ValueError("damaged output")
    return blocks
