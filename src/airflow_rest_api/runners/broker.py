"""The Celery broker between API servers and runners: one task, whose argument is the id of an operation."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from airflow_rest_api.airflow.installation import celery_options, configured
from airflow_rest_api.settings import BadSetting

if TYPE_CHECKING:
    from celery import Celery  # type: ignore[import-untyped]

    from airflow_rest_api.settings import Settings

TASK = "airflow_rest_api.run"
"""The name of the task."""
PREFIX = "rest-api."
"""What the broker's names of our queues begin with: Airflow's own workers may be on the same broker."""
EXCHANGE = "rest-api-runners"
"""For Celery's remote control and events: `airflow celery shutdown-all-workers` must not end runners."""
CONNECT_SECONDS = 3.0
"""Seconds in which the broker must answer an API server that publishes."""

CONFIG: Mapping[str, Any] = {
    "accept_content": ["json"],
    "task_serializer": "json",
    "event_serializer": "json",
    "task_ignore_result": True,
    "result_backend": None,
    # One that was not acknowledged comes again, and is claimed by somebody else or by nobody.
    "task_acks_late": True,
    # What a busy runner holds back could be run by one that is idle.
    "worker_prefetch_multiplier": 1,
    # It is restored in the thread of a task, beside the one that reads the connection: both hang then.
    "worker_enable_prefetch_count_reduction": False,
    "worker_hijack_root_logger": False,
    "worker_redirect_stdouts": False,
    "broker_connection_retry_on_startup": True,
    "broker_connection_max_retries": None,
    # RabbitMQ closes the channel where a command takes longer than its `consumer_timeout`, of half an hour.
    "broker_channel_error_retry": True,
    # A command goes on where the connection is lost: its end goes to the database.
    "worker_cancel_long_running_tasks_on_connection_loss": False,
    "control_exchange": EXCHANGE,
    "event_exchange": f"{EXCHANGE}-events",
}


def address(settings: Settings) -> str:
    """Return the address of the broker, which may hold a password, empty for none; raise BadSetting."""
    if find_spec("celery") is None:
        return ""
    try:
        # What a command has printed ends with its line.
        return settings.runner_broker or (configured("celery", "broker_url") or "").strip()
    except Exception as error:
        # Its words hold the value, or what a command has printed.
        raise BadSetting(f"[celery] broker_url cannot be read ({type(error).__name__})") from None


def check(settings: Settings) -> None:
    """
    See that Celery can use the address of the broker; connects to nothing.

    :raises BadSetting: it cannot; the message does not repeat the address
    """
    from kombu.connection import Connection

    made: Any = Connection
    where = "[rest_api_plugin] runner_broker" if settings.runner_broker else "[celery] broker_url"
    try:
        # Made by the scheme, with the packages that it takes.
        _ = made(address(settings)).transport
    except ImportError as error:
        raise BadSetting(f"{where} needs a Python package: {error.name or error}") from None
    except Exception as error:
        # Its words hold parts of the address.
        raise BadSetting(
            f"{where} is no address of a broker that Celery knows ({type(error).__name__})"
        ) from None


def celery_app(settings: Settings) -> Celery:
    """
    Return the Celery app of API servers and runners; connects to nothing.

    With a broker of its own it has nothing of Airflow's `[celery]` options, else those about the connection.
    """
    from celery import Celery

    app = Celery("airflow_rest_api", set_as_current=False)
    app.conf.update(CONFIG)
    if not settings.runner_broker:
        app.conf.update(celery_options())
    app.conf.update(
        broker_url=address(settings),
        task_default_queue=f"{PREFIX}default",
        broker_connection_timeout=CONNECT_SECONDS,
    )
    return app


def broker_queue(queue: str) -> str:
    """Return what the broker calls a queue."""
    return f"{PREFIX}{queue}"


class Publisher:
    """Sends messages, from any thread."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._app: Celery | None = None
        self._making = threading.Lock()

    def __call__(self, queue: str, identifier: str, *, after: float = 0.0) -> None:
        """
        Send the id of an operation to a queue; blocks.

        :param after: seconds before which no runner is to take it
        :raises Exception: the broker cannot be reached, in the words of its transport
        """
        self._celery().send_task(
            TASK,
            (identifier,),
            queue=broker_queue(queue),
            countdown=after or None,
            retry=True,
            retry_policy={"max_retries": 1, "interval_start": 0.1},
        )

    def _celery(self) -> Celery:
        with self._making:
            if self._app is None:
                app = celery_app(self._settings)
                timeouts = {"socket_connect_timeout": CONNECT_SECONDS, "socket_timeout": CONNECT_SECONDS}
                app.conf.broker_transport_options = {**(app.conf.broker_transport_options or {}), **timeouts}
                self._app = app
            return self._app
