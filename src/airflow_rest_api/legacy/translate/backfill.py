"""`backfill`: the runs of a range of dates, which the scheduler then runs."""

from __future__ import annotations

import re
from typing import Any

from airflow_rest_api.errors import Refusal
from airflow_rest_api.legacy.request import Request
from airflow_rest_api.legacy.translate.plan import (
    Context,
    Work,
    airflow_commands,
    bind,
    command_of,
    counterpart,
    renamed,
)

_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_ZONE = re.compile(r"Z|[+-]\d\d:?\d\d")
_LONGEST_ZONE = 6


def translate(request: Request, context: Context) -> Work:
    """Return the command; only one of the two dates means that day alone."""
    command = command_of(request, context)
    values, warnings = renamed(request, command, leave=("start_date", "end_date"))
    first, last = dates(request.get("start_date"), request.get("end_date"))
    for name, value in (("start_date", first), ("end_date", last)):
        if target := counterpart(command, name):
            values[target] = value
    order: dict[str, Any] = {}
    if context.as_json:
        order = {"json": True, "task_regex": request.get("task_regex")}
        order["ignore_dependencies"] = request.given("ignore_dependencies") or None
    return airflow_commands(request, [bind(context, command, values)], warnings, **order)


def dates(start: str | None, end: str | None) -> tuple[str, str]:
    """Return the first and the last moment of a backfill."""
    if start and end:
        return start, end
    only = start or end
    if not only:
        raise Refusal("Provide a start_date and/or end_date")
    day, zone = _day_and_zone(only)
    if not day:
        return only, only  # Airflow's parser says what is wrong with it
    return f"{day}T00:00:00{zone}", f"{day}T23:59:59{zone}"


def _day_and_zone(text: str) -> tuple[str, str]:
    """Return the day of a date and time, and its zone where it has one; twice nothing where it is neither."""
    text = text.strip()
    day, rest = text[:10], text[10:]
    if not _DAY.fullmatch(day) or "\n" in rest:
        return "", ""
    start = max(0, len(rest) - _LONGEST_ZONE)
    # Only the end of it, which has no room for a long search.
    zone = next((tail for at in range(start, len(rest)) if _ZONE.fullmatch(tail := rest[at:])), "")
    return (day, zone) if rest[:1] in ("", "T", " ") or rest == zone else ("", "")
