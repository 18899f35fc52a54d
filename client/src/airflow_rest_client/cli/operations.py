"""`airflow-rest operations`: what was run, and what goes on."""

from __future__ import annotations

import argparse

from airflow_rest_client.cli import exits
from airflow_rest_client.cli.kinds import number, word
from airflow_rest_client.cli.printing import as_json, listing, plain, shown
from airflow_rest_client.cli.run import follow
from airflow_rest_client.cli.session import Options, Session
from airflow_rest_client.client import Operation
from airflow_rest_client.exchanges import operation_path
from airflow_rest_client.following import Following
from airflow_rest_client.http import Request
from airflow_rest_client.model import OperationData

COLUMNS = ("id", "command", "state", "exit_code", "user", "created_at")
SHOWN = ("id", "command", "state", "exit_code", "message", "user", "host", "created_at", "finished_at")


def main(words: list[str], options: Options) -> int:
    """Do what the words say; return the exit code."""
    given = _parser().parse_args(words[1:])
    session = Session(options)
    take = {
        "list": _list,
        "show": _show,
        "follow": _follow,
        "output": _output,
        "cancel": _cancel,
        "rerun": _rerun,
    }
    return take[given.what](session, given)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("airflow-rest operations", description="What was run, and what goes on.")
    what = parser.add_subparsers(dest="what", required=True)
    listing = what.add_parser("list", help="the newest first")
    listing.add_argument("--state", action="append", help="queued, running, succeeded, failed, …")
    listing.add_argument("--command", help="such as 'dags list'")
    listing.add_argument("--user")
    listing.add_argument("--dag-id")
    listing.add_argument("--limit", type=number, default=20)
    for name, text in (
        ("show", "one, without its output"),
        ("follow", "print its output, and exit as it does"),
        ("output", "what it has printed so far"),
        ("cancel", "end it"),
        ("rerun", "run the same again, and follow that"),
    ):
        one = what.add_parser(name, help=text)
        one.add_argument("id", type=word)
        if name == "output":
            one.add_argument("--stream", choices=("stdout", "stderr"), default="stdout")
    for one in (listing, what.choices["show"]):
        one.add_argument("-o", "--output", choices=("table", "json"), default="table")
    return parser


PARSERS = {"operations": _parser}


def _list(session: Session, given: argparse.Namespace) -> int:
    wanted = ("state", "command", "user", "dag_id")
    filters = {name: getattr(given, name) for name in wanted if getattr(given, name)}
    found = [operation.data for operation in session.client.operations(given.limit, **filters)]
    listing(found, COLUMNS, given.output)
    return 0


def _found(session: Session, identifier: str) -> Operation:
    """Return an operation; a server that was not there before is not waited for."""
    answer = session.client.do(session.client.server.ask(Request("GET", operation_path(identifier))))
    return Operation(session.client, answer.members("id", "state", "command"))


def _show(session: Session, given: argparse.Namespace) -> int:
    data = _found(session, given.id).data
    if given.output == "json":
        as_json(data)
    else:
        for name in SHOWN:
            print(plain(f"{name.replace('_', ' ')}: {shown(name, data.get(name))}"))
        print(plain(f"airflow {' '.join(data['argv'])}"))
    return 0


def _follow(session: Session, given: argparse.Namespace) -> int:
    return follow(session, Following(identifier=given.id, known=False))


def _output(session: Session, given: argparse.Namespace) -> int:
    operation = _found(session, given.id)
    print(operation.stdout if given.stream == "stdout" else operation.stderr, end="")
    if operation.lacks(given.stream):
        exits.say(f"some of {given.stream} is not kept by the server any more")
        return exits.NOT_WRITTEN
    return 0


def _cancel(session: Session, given: argparse.Namespace) -> int:
    data = session.client.do(session.client.server.cancel(given.id))
    exits.say(data["cancel_message"])
    return 0 if OperationData(data).ended else 1


def _rerun(session: Session, given: argparse.Namespace) -> int:
    operation = _found(session, given.id).rerun()
    if session.options.detach:
        print(operation.id)
        return 0
    return follow(session, Following(identifier=operation.id))
