"""Run one `airflow` command after another in warm, disposable processes."""

from __future__ import annotations

from airflow_rest_api.engine.engine import Engine
from airflow_rest_api.engine.job import Ending, Hooks, Job, Limits, Outcome
from airflow_rest_api.engine.process import Process
from airflow_rest_api.errors import Busy

__all__ = ["Busy", "Ending", "Engine", "Hooks", "Job", "Limits", "Outcome", "Process"]
