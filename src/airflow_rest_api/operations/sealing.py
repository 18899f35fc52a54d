"""What may show secrets, as it lies in the database: encrypted, or not at all."""

from __future__ import annotations

from typing import Protocol

from airflow_rest_api.errors import Undecryptable

NOT_KEPT = (
    "What this command printed can hold secrets and is not kept: the API server that ran it has it for a "
    "minute after its end."
)
LOCKED = (
    "What this command printed was kept encrypted and cannot be decrypted: its key is no longer in "
    "[core] fernet_key."
)
_SEALED = b"\2"
"""Begins what is sealed, where `packing` begins the rest with other bytes."""


class Seal(Protocol):
    """
    Encrypts what lies in the database.

    :ivar keeps: whether it can; what it cannot encrypt is not kept
    """

    @property
    def keeps(self) -> bool:
        """Whether there is a key."""

    def close(self, data: bytes) -> bytes:
        """Return bytes encrypted."""

    def open(self, sealed: bytes) -> bytes:
        """Return the bytes of `close`; raise Undecryptable."""


class KeepsNothing:
    """Stands for a key that there is not."""

    keeps = False

    def close(self, data: bytes) -> bytes:
        """Refuse: nobody should have asked."""
        raise RuntimeError("there is no key to encrypt with")

    def open(self, sealed: bytes) -> bytes:
        """Refuse to decrypt."""
        raise Undecryptable


def closed(data: bytes, seal: Seal) -> bytes:
    """Return packed bytes as they are stored where they may show secrets."""
    return _SEALED + seal.close(data)


def opened(stored: bytes, seal: Seal) -> bytes:
    """Return packed bytes, of `closed` or as they are; raise Undecryptable."""
    return seal.open(stored[1:]) if stored[:1] == _SEALED else stored
