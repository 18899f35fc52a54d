"""The two versions: known without a command."""

from __future__ import annotations

from airflow_rest_api.legacy.request import Request
from airflow_rest_api.legacy.translate.plan import Answer, Context


def airflow(request: Request, context: Context) -> Answer:
    """Answer with the version of Airflow."""
    from airflow import __version__

    return Answer(str(__version__))


def plugin(request: Request, context: Context) -> Answer:
    """Answer with the version of this plugin."""
    from airflow_rest_api import __version__

    return Answer(__version__)
