"""Airflow's command line from anywhere, and from Python, over the REST API plugin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_rest_client.async_client import AsyncClient, AsyncOperation
    from airflow_rest_client.client import Client, Operation
    from airflow_rest_client.errors import (
        ApiError,
        Busy,
        CommandFailed,
        DeploymentFailed,
        NotAllowed,
        NotSignedIn,
        RestError,
        Unreachable,
    )
    from airflow_rest_client.model import Line

__version__ = "2.0.0.dev0"

__all__ = [
    "ApiError",
    "AsyncClient",
    "AsyncOperation",
    "Busy",
    "Client",
    "CommandFailed",
    "DeploymentFailed",
    "Line",
    "NotAllowed",
    "NotSignedIn",
    "Operation",
    "RestError",
    "Unreachable",
]

_PLACES = {
    "AsyncClient": "async_client",
    "AsyncOperation": "async_client",
    "Client": "client",
    "Operation": "client",
    "Line": "model",
}


def __getattr__(name: str) -> Any:
    # The command line needs a part of it, and nobody should wait for the rest.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_PLACES.get(name, 'errors')}"), name)
