"""The hook: a client of the Airflow that a connection names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow_rest_client.airflow import CONNECTION_TYPE
from airflow_rest_client.async_client import AsyncClient
from airflow_rest_client.client import Client
from airflow_rest_client.credentials import HEADER, Credentials
from airflow_rest_client.errors import RestError
from airflow_rest_client.exchanges import address

if TYPE_CHECKING:
    from airflow.sdk import Connection

try:
    from airflow.sdk import BaseHook
except ImportError:
    # Airflow 3.0, where it is nowhere else; the types are those of today.
    from airflow.hooks.base import BaseHook  # type: ignore[attr-defined,no-redef]


def url_of(connection: Connection) -> str:
    """
    Return the address of the API server that a connection names: its host, which may be a whole URL.

    :raises ValueError: it names none
    """
    host = (connection.host or "").strip()
    if "://" not in host:
        host = f"{connection.schema or 'https'}://{host}"
    scheme, _, rest = host.partition("://")
    name, slash, path = rest.partition("/")
    if name.count(":") > 1 and "[" not in name:
        name = f"[{name}]"
    port = f":{connection.port}" if connection.port and ":" not in name.rpartition("]")[2] else ""
    return address(f"{scheme}://{quote(name, safe=':[]@')}{port}{slash}{path}")


def credentials_of(connection: Connection) -> Credentials:
    """Return who asks: login and password; without a login the password is a token."""
    extra: Mapping[str, Any] = connection.extra_dejson
    found = Credentials(
        provider=str(extra.get("provider") or "db"),
        header_token=extra.get("header_token"),
        header_name=str(extra.get("header_name") or HEADER),
    )
    if connection.login:
        found.username, found.password = connection.login, connection.password
    else:
        found.token = connection.password
    return found


class RestApiHook(BaseHook):
    """
    A client of another Airflow.

    :param conn_id: a connection of the type `airflow_rest_api`: the host is the address of the API server,
        login and password are a user's, or the password alone is a token; the extra may have `header_token`,
        `header_name` and `provider`
    """

    conn_name_attr = "conn_id"
    default_conn_name = "airflow_rest_api_default"
    conn_type = CONNECTION_TYPE
    hook_name = "Airflow REST API"

    def __init__(self, conn_id: str = default_conn_name) -> None:
        super().__init__()
        self.conn_id = conn_id
        self._client: Client | None = None

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """Return how the form of a connection is labelled."""
        return {
            "hidden_fields": [],
            "relabeling": {
                "host": "API server",
                "schema": "Scheme",
                "password": "Password, or a token without a login",
            },
            "placeholders": {"host": "https://airflow.example.org", "schema": "https"},
        }

    def get_conn(self) -> Client:
        """Return the client; it is made once."""
        if self._client is None:
            connection = self.get_connection(self.conn_id)
            self._client = Client(url_of(connection), credentials=credentials_of(connection))
        return self._client

    async def get_async_conn(self) -> AsyncClient:
        """Return a client to be awaited; the caller closes it."""
        if hasattr(self, "aget_connection"):
            connection = await self.aget_connection(self.conn_id)
        else:
            from asgiref.sync import sync_to_async

            connection = await sync_to_async(self.get_connection)(self.conn_id)
        return AsyncClient(url_of(connection), credentials=credentials_of(connection))

    def test_connection(self) -> tuple[bool, str]:
        """Return whether the other Airflow lets us in, and what it says."""
        try:
            return True, f"Airflow {self.get_conn().catalog.airflow_version}"
        except (RestError, ValueError) as error:
            return False, str(error)
