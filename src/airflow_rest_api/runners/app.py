"""The Celery app of the runners, for Celery's own programs: `celery -A airflow_rest_api.runners.app`."""

from __future__ import annotations

from airflow_rest_api.runners.broker import celery_app
from airflow_rest_api.settings import Settings

app = celery_app(Settings.load())
