"""An import error, for `dags list-import-errors`."""

from __future__ import annotations

raise RuntimeError("This file is broken on purpose")
