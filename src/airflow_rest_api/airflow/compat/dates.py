"""Airflow's own reading of dates, which has been in three places."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_rest_api.airflow.compat.version_compat import AIRFLOW_V_3_1_PLUS

if TYPE_CHECKING or AIRFLOW_V_3_1_PLUS:
    from airflow._shared.timezones.timezone import coerce_datetime, parse
else:
    from airflow.utils.timezone import coerce_datetime, parse

__all__ = ["coerce_datetime", "parse"]
