"""Runners: processes on other hosts that run operations, over Celery."""
