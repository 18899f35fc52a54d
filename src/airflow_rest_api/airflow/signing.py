"""Keys of our own, derived from the one with which Airflow signs: all API servers share that."""

from __future__ import annotations

import hashlib
import hmac


def derived(label: bytes) -> bytes:
    """Return the key for one purpose; a different label gives a different key."""
    from airflow.api_fastapi.auth.tokens import get_signing_args
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    arguments = get_signing_args()
    if private := arguments.get("private_key"):
        secret = private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    else:
        secret = arguments["secret_key"].encode()
    return hmac.new(secret, label, hashlib.sha512).digest()
