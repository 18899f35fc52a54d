"""Secrets in the address of a request: the clients of the 1.x endpoints put them there."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode

from airflow_rest_api import secret_names
from airflow_rest_api.commands import masking
from airflow_rest_api.security.request_size import is_taken

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send


class QuietQuery:
    """
    ASGI middleware that masks the secrets in the query once the request was answered.

    Airflow's access log is written after that, and masks by the names that Airflow knows alone
    (``airflow/api_fastapi/common/http_access_log.py``): neither a connection's address nor the value of a
    variable is among them.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        try:
            await self.app(scope, receive, send)
        finally:
            if scope.get("query_string"):
                scope["query_string"] = quiet(scope["query_string"])


def quiet(query: bytes) -> bytes:
    """Return a query string without the secrets in it; one that has none as it is."""
    if not is_taken(query):
        # The guard has refused it unseen, and nobody looks into it now.
        return secret_names.MASK.encode()
    pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
    key = next((value for name, value in pairs if name == "key"), "")
    shown = [(name, _shown(name, value, key)) for name, value in pairs]
    return query if shown == pairs else urlencode(shown).encode()


def _shown(name: str, value: str, key: str) -> str:
    if not value:
        return value
    if secret_names.is_secret(name) or (name == "value" and secret_names.value_is_secret(key)):
        return secret_names.MASK
    return masking.masked_text(value)
