"""Every Airflow command over REST."""

from __future__ import annotations

__version__ = "2.0.0.dev0"
