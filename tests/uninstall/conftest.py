from __future__ import annotations

from tests.storage.conftest import address, engine

__all__ = ["address", "engine"]
