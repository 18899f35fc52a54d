"""What Airflow reads of an installed provider: our options, so that `airflow config list` knows them."""

from __future__ import annotations

from typing import Any

from airflow_rest_api import __version__
from airflow_rest_api.settings import OPTIONS, SECTION

TYPES = {bool: "boolean", int: "integer", str: "string"}


def get_provider_info() -> dict[str, Any]:
    """
    Return the description by which `airflow config list` knows the options of `[rest_api_plugin]`.

    Its form is Airflow's `provider_info.schema.json`. An option that is a secret can be given as
    `<name>_cmd` and `<name>_secret` too, and is masked where Airflow shows its configuration.
    """
    return {
        "package-name": "airflow-rest-api-plugin",
        "name": "REST API plugin",
        "description": "Every Airflow command over REST.",
        "versions": [__version__],
        "config": {
            SECTION: {
                "description": "The REST API plugin.",
                "options": {
                    option.name: {
                        "description": option.description,
                        "version_added": None,
                        "type": TYPES[option.type],
                        "example": None,
                        "default": str(option.default),
                        "sensitive": option.secret,
                    }
                    for option in OPTIONS
                },
            }
        },
    }
