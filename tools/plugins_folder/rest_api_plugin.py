"""Where Airflow finds the plugin in its plugins folder; the folder beside this file holds the code."""

from __future__ import annotations

from airflow_rest_api.plugin import RestApiPlugin

__all__ = ["RestApiPlugin"]
