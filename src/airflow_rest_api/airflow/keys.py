"""
Airflow's keys, which all API servers share.

Keys of ours are derived from the one with which it signs; what may show secrets is encrypted with its Fernet
key, as Airflow does with its connections.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
from typing import Any

from airflow_rest_api.errors import Undecryptable

log = logging.getLogger(__name__)


def derived(label: bytes) -> bytes:
    """Return a key of ours for one purpose; a different label gives a different key."""
    from airflow.api_fastapi.auth.tokens import get_signing_args
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    arguments = get_signing_args()
    if private := arguments.get("private_key"):
        secret = private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    else:
        secret = arguments["secret_key"].encode()
    return hmac.new(secret, label, hashlib.sha512).digest()


class FernetCipher:
    """
    Encrypts with the first key of `[core] fernet_key` and decrypts with any (``airflow.models.crypto``).

    Without a key Airflow keeps its secrets in clear. We keep none then.
    """

    def __init__(self) -> None:
        self._logged = False

    @property
    def available(self) -> bool:
        """Whether there is a key."""
        return self._fernet() is not None

    def encrypt(self, data: bytes) -> bytes:
        """Return bytes encrypted; raise RuntimeError where there is no key."""
        fernet = self._fernet()
        if fernet is None:
            raise RuntimeError("there is no Fernet key")
        return bytes(fernet.encrypt(data))

    def decrypt(self, encrypted: bytes) -> bytes:
        """Return the bytes of `encrypt`; raise Undecryptable."""
        from cryptography.fernet import InvalidToken

        fernet = self._fernet()
        if fernet is None:
            raise Undecryptable
        try:
            return bytes(fernet.decrypt(encrypted))
        except (InvalidToken, ValueError, TypeError):
            raise Undecryptable from None

    def _fernet(self) -> Any:
        from airflow.models.crypto import get_fernet

        try:
            fernet = get_fernet()
        except Exception as error:
            # A key that is none: Airflow logs the same of each of its connections.
            if not self._logged:
                self._logged = True
                log.error("What may show secrets is not kept: %s", error)
            return None
        return fernet if fernet.is_encrypted else None
