"""In Airflow: a hook, an operator and a connection type, with which one Airflow runs commands on another."""

from __future__ import annotations

from typing import Any

from airflow_rest_client import __version__

CONNECTION_TYPE = "airflow_rest_api"


def get_provider_info() -> dict[str, Any]:
    """Return what Airflow asks a provider for (``airflow/provider_info.schema.json``)."""
    return {
        "package-name": "airflow-rest-api-client",
        "name": "Airflow REST API client",
        "description": "Run the commands of another Airflow that has the REST API plugin.",
        "versions": [__version__],
        "connection-types": [
            {
                "hook-class-name": f"{__name__}.hook.RestApiHook",
                "connection-type": CONNECTION_TYPE,
            }
        ],
    }
