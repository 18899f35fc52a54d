"""Airflow's metadata database."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine


def engine() -> Engine:
    """Return the engine of this process, with its pool; raise RuntimeError where Airflow has none."""
    from airflow import settings

    if settings.engine is None:
        raise RuntimeError("Airflow has no database in this process")
    return settings.engine
