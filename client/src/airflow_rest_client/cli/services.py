"""`airflow-rest services`: schedulers, workers and their like."""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

from airflow_rest_client.cli import exits
from airflow_rest_client.cli.kinds import number, word
from airflow_rest_client.cli.printing import as_json, listing, plain, table
from airflow_rest_client.cli.session import Options, Session

COLUMNS = ("id", "kind", "state", "host", "pid", "user", "started_at", "managed")
POLL = 1.0
"""Seconds between two looks at a log that is followed."""


def main(words: list[str], options: Options) -> int:
    """Do what the words say; return the exit code."""
    given = _parser().parse_args(words[1:])
    session = Session(options)
    if given.what in ("list", "kinds"):
        return _list(session, given)
    if given.what == "start":
        return _start(session, given)
    if given.what == "log":
        return _log(session, given)
    services = session.client.services
    if given.what == "forget":
        services.forget(given.id)
        return 0
    if given.what == "stop":
        found = services.stop(given.id, force=given.force)
    else:
        found = services.restart(given.id) if given.what == "restart" else services.get(given.id)
    return _said(found, given)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "airflow-rest services", description="Schedulers, workers and their like."
    )
    what = parser.add_subparsers(dest="what", required=True)
    what.add_parser("kinds", help="what can be started")
    listing = what.add_parser("list", help="the newest first")
    for name in ("state", "kind", "host"):
        listing.add_argument(f"--{name}")
    start = what.add_parser("start", help="start one, and wait until it is ready")
    start.add_argument("kind")
    start.add_argument(
        "arguments", nargs="*", metavar="NAME=VALUE", help="arguments of its command; the value may be JSON"
    )
    start.add_argument("--restart", choices=("never", "on-failure"), default="never")
    start.add_argument("--on-host", metavar="HOST", help="by the runner of this host")
    start.add_argument("--another", action="store_true", help="although the same runs there already")
    for name, text in (
        ("show", "one, as it is now"),
        ("stop", "stop one"),
        ("restart", "stop one and start it again"),
        ("forget", "forget one that has ended"),
        ("log", "what it has written"),
    ):
        what.add_parser(name, help=text).add_argument("id", type=word)
    what.choices["stop"].add_argument("--force", action="store_true", help="kill it")
    log = what.choices["log"]
    log.add_argument("--stream", choices=("stdout", "stderr"), default="stdout")
    log.add_argument("--tail", type=number, default=100, help="lines")
    log.add_argument("-f", "--follow", action="store_true", help="go on with what is written now")
    for name in ("kinds", "list", "start", "show", "stop", "restart"):
        what.choices[name].add_argument("-o", "--output", choices=("table", "json"), default="table")
    return parser


PARSERS = {"services": _parser}


def _list(session: Session, given: argparse.Namespace) -> int:
    columns: tuple[str, ...] = COLUMNS
    if given.what == "kinds":
        found, columns = session.client.services.kinds(), ("kind", "title", "available", "allowed")
    else:
        filters = {name: getattr(given, name) for name in ("state", "kind", "host") if getattr(given, name)}
        found = session.client.services.list(**filters)
    listing(found, columns, given.output)
    return 0


def _start(session: Session, given: argparse.Namespace) -> int:
    arguments = {}
    for one in given.arguments:
        name, equals, value = one.partition("=")
        if not equals:
            exits.say(f"{one}: give arguments as NAME=VALUE")
            return exits.USAGE
        arguments[name.replace("-", "_")] = _value(value)
    body = {"kind": given.kind, "restart": given.restart, "another": given.another, "arguments": arguments}
    body |= {"host": given.on_host} if given.on_host else {}
    return _said(session.client.do(session.client.server.start_service(body)), given)


def _value(text: str) -> Any:
    """Return what a text stands for: JSON where it is some, as numbers and lists are."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _said(found: dict[str, Any], given: argparse.Namespace) -> int:
    if given.output == "json":
        as_json(found)
    else:
        table([found], COLUMNS)
        if found.get("message"):
            exits.say(found["message"])
    return 1 if given.what in ("start", "restart") and found["state"] in ("failed", "lost") else 0


def _log(session: Session, given: argparse.Namespace) -> int:
    server = session.client.server
    text, following = session.client.do(
        server.service_log(given.id, {"stream": given.stream, "tail": str(given.tail)})
    )
    print(plain(text, "\n\t"), end="", flush=True)
    while given.follow:
        time.sleep(POLL)
        more, following = session.client.do(
            server.service_log(given.id, {"stream": given.stream, "offset": following})
        )
        print(plain(more, "\n\t"), end="", flush=True)
    return 0
