"""The commands of the Airflow that runs us, and the checking of their arguments."""

from __future__ import annotations

from airflow_rest_api.commands.catalog import Catalog, load_catalog
from airflow_rest_api.commands.model import Argument, Command, Effect, Invocation
from airflow_rest_api.errors import BadArgument, UnknownCommand

__all__ = [
    "Argument",
    "BadArgument",
    "Catalog",
    "Command",
    "Effect",
    "Invocation",
    "UnknownCommand",
    "load_catalog",
]
