"""The Celery app of the runners, for Celery's own programs: `celery -A airflow_rest_api.runners.app`."""

from __future__ import annotations

from airflow_rest_api.airflow.installation import read_provider_options
from airflow_rest_api.runners.broker import celery_app
from airflow_rest_api.settings import Settings

read_provider_options()
app = celery_app(Settings.load())
