"""`airflow rest-api runner`: its arguments, for Airflow's own command line and for ours."""

from __future__ import annotations

import argparse
import socket
import sys
from typing import Any

from airflow_rest_api.runners import broker

HELP = "Start a runner: a Celery worker that runs commands of the REST API on this host"
DEFAULT_QUEUE = "default"
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")

OPTIONS: tuple[tuple[tuple[str, ...], dict[str, Any]], ...] = (
    (
        ("-q", "--queues"),
        {
            "default": DEFAULT_QUEUE,
            "help": "Queues to serve, with commas between them; that of this host comes on top",
        },
    ),
    (
        ("-n", "--name"),
        {
            "default": None,
            "help": "Name of the runner, no other one's; without an @, the host is added",
        },
    ),
    (
        ("-c", "--concurrency"),
        {
            "type": int,
            "default": None,
            "help": "Commands that run at the same time, by default as many as `parallelism` says",
        },
    ),
    (
        ("-l", "--loglevel"),
        {"default": "INFO", "choices": LEVELS, "help": "What Celery logs at least"},
    ),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments to a parser."""
    for flags, options in OPTIONS:
        parser.add_argument(*flags, **options)


def main(options: argparse.Namespace) -> int:
    """Be a runner; return the exit code, 2 where it cannot begin."""
    from airflow_rest_api.airflow.installation import read_provider_options
    from airflow_rest_api.runners.assembly import warn_of_unknown_options
    from airflow_rest_api.runners.worker import serve
    from airflow_rest_api.settings import BadSetting, Settings

    try:
        read_provider_options()
        settings = Settings.load()
        warn_of_unknown_options()
        if not broker.address(settings):
            raise ValueError("a runner needs Celery, and a broker: [rest_api_plugin] runner_broker")
        broker.check(settings)
        if options.concurrency is not None and options.concurrency < 1:
            raise ValueError("--concurrency must be at least 1")
        name = _node_name(options.name or "runner")
        queues = [queue.strip() for queue in options.queues.split(",") if queue.strip()]
        code = serve(
            settings,
            name,
            queues,
            options.concurrency or settings.parallelism,
            options.loglevel,
        )
    except (BadSetting, ValueError) as error:
        print(f"airflow rest-api runner: {error}", file=sys.stderr)  # noqa: T201 - how a command answers
        code = 2
    if code:
        raise SystemExit(code)
    return code


def _node_name(text: str) -> str:
    """
    Return the name of a runner as Celery reads it: with a host, and `%h`, `%n` and `%d` for parts of ours.

    :raises ValueError: a `%` stands for nothing
    """
    from celery.utils.nodenames import host_format  # type: ignore[import-untyped]

    host = socket.gethostname()
    try:
        return str(host_format(text if "@" in text else f"{text}@{host}", host=host))
    except ValueError:
        raise ValueError(
            f"--name {text!r}: a % stands before h, n or d, for parts of the host's name"
        ) from None
