"""Bytes as the database keeps them: packed, compressed, and encrypted where they may show secrets."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable
from datetime import datetime, timedelta, timezone
from typing import Protocol

from airflow_rest_api.errors import Undecryptable
from airflow_rest_api.operations.transcript import STREAMS, Block

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


class Cipher(Protocol):
    """
    Encrypts what may show secrets.

    :ivar available: whether there is a key; without one, what may show secrets is not kept
    """

    @property
    def available(self) -> bool:
        """Return whether there is a key."""

    def encrypt(self, data: bytes) -> bytes:
        """Return bytes encrypted."""

    def decrypt(self, encrypted: bytes) -> bytes:
        """Return the bytes of `encrypt`; raise Undecryptable."""


class NoCipher:
    """Stands for a key that there is not."""

    available = False

    def encrypt(self, data: bytes) -> bytes:
        """Refuse to encrypt."""
        raise RuntimeError("there is no key to encrypt with")

    def decrypt(self, encrypted: bytes) -> bytes:
        """Refuse to decrypt."""
        raise Undecryptable


def encode(data: bytes, cipher: Cipher | None = None) -> bytes:
    """
    Return bytes in the form in which they are stored, compressed where that is worth it.

    :param cipher: encrypts them, where they may show secrets
    """
    stored = _PLAIN + data
    if len(data) >= _WORTH:
        stored = min(stored, _ZLIB + zlib.compress(data, 1), key=len)
    return _ENCRYPTED + cipher.encrypt(stored) if cipher else stored


def decode(stored: bytes, cipher: Cipher) -> bytes:
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
