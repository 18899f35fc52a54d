"""`airflow-rest login`, `logout` and `instances`: the Airflows that are known here, and who asks there."""

from __future__ import annotations

import argparse
import os
import sys
from urllib.parse import urlsplit

from airflow_rest_client.cache import CatalogCache
from airflow_rest_client.cli import exits
from airflow_rest_client.cli.kinds import word
from airflow_rest_client.cli.printing import table
from airflow_rest_client.cli.run import Refused, secret
from airflow_rest_client.cli.session import Options, Session
from airflow_rest_client.client import Client
from airflow_rest_client.credentials import HEADER
from airflow_rest_client.exchanges import address
from airflow_rest_client.instances import INSTANCE, Instance, Instances, UnknownInstance

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def main(words: list[str], options: Options) -> int:
    """Do what the words say; return the exit code."""
    try:
        if words[0] == "login":
            return _login(_login_parser().parse_args(words[1:]), options)
        if words[0] == "logout":
            return _logout(_logout_parser().parse_args(words[1:]), options)
        return _instances(_instances_parser().parse_args(words[1:]))
    except (Refused, ValueError) as error:
        exits.say(str(error))
        return error.code if isinstance(error, Refused) else exits.USAGE
    except OSError as error:
        # There is nothing that is read here but the file of the instances, which is written then.
        exits.say(f"the file of the instances cannot be written: {error}")
        return exits.NOT_WRITTEN


def _login_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "airflow-rest login",
        description="Sign in at an Airflow with the REST API plugin, and remember it.",
        epilog="Of an instance that is known, username, provider, header name and keyring stay what they "
        "are where they are not given. What is asked for is read from standard input, a line each, where "
        "that is no terminal.",
    )
    parser.add_argument(
        "url", nargs="?", help="of the API server, or of the page; by default that of the instance"
    )
    parser.add_argument("--name", type=word, help="what to call it here; by default the host")
    parser.add_argument("--username", "-u", type=word)
    parser.add_argument("--provider", choices=("db", "ldap"), help="of Flask-AppBuilder; by default db")
    parser.add_argument(
        "--token", action="store_true", help="ask for a token of Airflow's in place of a password"
    )
    parser.add_argument(
        "--header-token", action="store_true", help="ask for the shared token of the site as well"
    )
    parser.add_argument("--header-name", help=f"the name of its header; by default {HEADER}")
    parser.add_argument("--only-header-token", action="store_true", help="the shared token and nothing else")
    parser.add_argument(
        "--keyring",
        action=argparse.BooleanOptionalAction,
        help="keep the tokens in the keyring of the system, or (--no-keyring, the default) in a file",
    )
    parser.add_argument("--default", action="store_true", help="make it the default instance")
    return parser


def _login(given: argparse.Namespace, options: Options) -> int:
    instances = Instances()
    instance = _instance(given, options, instances)
    if _is_open(instance.url):
        exits.say(f"{instance.url} is not encrypted: password and token can be read on the way")
    if given.header_token or given.only_header_token:
        instance.header_token = secret("Header token: ")
    credentials = instance.credentials(instances)
    credentials.changed = None
    with Client(instance.url, credentials=credentials) as client:
        if given.token:
            credentials.token = secret("Token: ")
        elif not given.only_header_token:
            if not credentials.username:
                credentials.username = _asked("Username: ")
            client.do(credentials.login(secret(f"Password of {credentials.username}: ")))
        catalog = client.catalog
    instance.username = None if given.token or given.only_header_token else credentials.username
    instance.token, instance.refresh_token = credentials.token, credentials.refresh_token
    _say_left(instance.name, gone=instances.save(instance, default=given.default))
    CatalogCache(instance.url).write(catalog)
    who = f" as {instance.username}" if instance.username else ""
    number = sum(1 for _ in catalog)
    print(
        f"Signed in at {instance.url}{who}, called {instance.name}: "
        f"Airflow {catalog.airflow_version}, {number} commands"
    )
    return 0


def _instance(given: argparse.Namespace, options: Options, instances: Instances) -> Instance:
    """Return the instance to sign in at, without the tokens that it may have had; raise ValueError."""
    known, default = instances.all()
    name = given.name or options.instance or os.environ.get(INSTANCE)
    if given.url:
        url = address(given.url)
        name = name or next(
            (one for one, instance in known.items() if instance.url == url), urlsplit(url).netloc
        )
    else:
        name = name or default
        if name not in known:
            raise ValueError("login takes the URL of an Airflow")
        url = known[name].url
    before = known.get(name) or Instance(name, url)
    return Instance(
        name,
        url,
        username=given.username or before.username,
        header_name=given.header_name or before.header_name,
        provider=given.provider or before.provider,
        keyring=before.keyring if given.keyring is None else given.keyring,
    )


def _say_left(name: str | None, *, gone: bool) -> None:
    if not gone:
        exits.say(f"the keyring of the system does not answer: what it has of {name} is still there")


def _asked(prompt: str) -> str:
    print(prompt, end="", file=sys.stderr, flush=True)
    if not (text := sys.stdin.readline().strip()):
        raise Refused("no name was given", exits.USAGE)
    return text


def _is_open(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme == "http" and parts.hostname not in LOOPBACK


def _logout_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "airflow-rest logout", description="Forget the tokens of an Airflow; its address stays."
    )
    parser.add_argument("name", nargs="?", help="by default the default instance")
    return parser


def _logout(given: argparse.Namespace, options: Options) -> int:
    instance, gone = Instances().sign_out(given.name or options.instance)
    _say_left(instance.name, gone=gone)
    if gone:
        print(f"The tokens of {instance.name} are forgotten here; they go on being good until they end.")
    return 0


def _instances_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "airflow-rest instances", description="The Airflows that are known here."
    )
    what = parser.add_subparsers(dest="what")
    what.add_parser("list", help="all of them")
    for name, text in (
        ("default", "make one the default"),
        ("remove", "forget one"),
        ("test", "ask one who answers"),
    ):
        what.add_parser(name, help=text).add_argument("name", type=word)
    return parser


PARSERS = {"login": _login_parser, "logout": _logout_parser, "instances": _instances_parser}


def _instances(given: argparse.Namespace) -> int:
    instances = Instances()
    if given.what == "default":
        instances.set_default(given.name)
    elif given.what == "remove":
        _say_left(given.name, gone=instances.remove(given.name))
    elif given.what == "test":
        session = Session(Options(instance=given.name))
        print(f"{given.name}: Airflow {session.renewed_catalog().airflow_version} at {session.instance.url}")
        return 0
    try:
        known, default = instances.all()
    except UnknownInstance as error:
        exits.say(str(error))
        return 1
    rows = [
        {
            "default": "*" if name == default else "",
            "name": name,
            "url": one.url,
            "username": one.username,
            "signed_in": one.signed_in,
        }
        for name, one in known.items()
    ]
    table(rows, ("default", "name", "url", "username", "signed_in"))
    return 0
