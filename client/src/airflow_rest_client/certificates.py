"""What the certificates of a server are checked with, whatever carries the requests."""

from __future__ import annotations

import os
import ssl

import httpcore

from airflow_rest_client.errors import RestError


def authorities(url: str) -> ssl.SSLContext | None:
    """
    Return the authorities that are believed, None where no certificate will be looked at.

    Those of `SSL_CERT_FILE` or `SSL_CERT_DIR`, as httpx has them (its docs, Environment Variables), else
    those of the system and of certifi. httpx itself has certifi's alone, and so none that is a company's own.

    :raises RestError: what the environment names cannot be read
    """
    if url.lower().startswith("http:"):
        # To make ready for it takes 20 ms.
        return None
    try:
        if file := os.environ.get("SSL_CERT_FILE"):
            return ssl.create_default_context(cafile=file)
        if folder := os.environ.get("SSL_CERT_DIR"):
            return ssl.create_default_context(capath=folder)
    except OSError as error:
        said = f"The certificates of SSL_CERT_FILE or SSL_CERT_DIR cannot be read: {error}"
        raise RestError(said) from None
    return httpcore.default_ssl_context()
