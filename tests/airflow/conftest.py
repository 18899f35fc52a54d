"""The engines of `tests/engine`, for tests of what their processes do."""

from __future__ import annotations

from tests.engine.conftest import _acts_are_found, any_engine, engine, new_engine, run

__all__ = ["_acts_are_found", "any_engine", "engine", "new_engine", "run"]
