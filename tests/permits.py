"""Permits for tests that begin where the gate has decided."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from airflow_rest_api.commands.needs import Ask
from airflow_rest_api.operations.model import Operation
from airflow_rest_api.security import access
from airflow_rest_api.security.decision import Decision


def permit(
    user: str = "u",
    asks: tuple[Ask, ...] | None = None,
    visible: Mapping[str, Any] | None = None,
    redacted: bool = False,
    on_end: Callable[[Operation], None] | None = None,
) -> access.Permit:
    """Return what the gate would have given."""
    decision = None if asks is None else Decision(None, asks, visible, redacted)
    made = access.Permit(access._PROOF, user, decision, on_end)
    made.visible, made.redacted = visible, redacted
    return made
