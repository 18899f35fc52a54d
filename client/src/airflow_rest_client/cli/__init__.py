"""`airflow-rest`: the words of a command line, and who takes them."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib import import_module
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_rest_client.cli.session import Options

OWN = {
    "login": "Sign in at an Airflow, and remember it",
    "logout": "Forget the tokens of an Airflow",
    "instances": "The Airflows that are known here",
    "operations": "What was run: list, show, follow, cancel, run again",
    "deploy": "Put DAG files into a bundle, with a check, and wait until they are DAGs",
    "services": "Start, stop and look at schedulers, workers and their like",
    "completion": "Completion for bash, zsh or fish",
}
"""The words of our own: no group or command of Airflow's is called so."""
COMPLETE = "__complete"
_MODULES = {"logout": "login", "instances": "login", COMPLETE: "completion"}

USAGE = """\
usage: airflow-rest [options] <any airflow command line>
       airflow-rest [options] <word of its own> …

The command runs at the Airflow that you have signed in at, and prints and ends here as it does there.

options, before the command:
  -i, --instance NAME   the Airflow to use, in place of the default one
  --queue NAME          have it run by a runner of this queue
  --detach              print the id of the operation, and leave
  --overwrite           files that the command writes here may be there already
  --ask ARGUMENT        ask for the value of an argument, such as conn-password;
                        it is read from standard input where that is no terminal
  --version             the version of airflow-rest
  -h, --help            this
"""


class Terminated(BaseException):
    """
    A signal came that ends a process: TERM, or HUP of a terminal that goes away.

    :ivar code: the exit code that stands for it
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.code = 128 + number


def main(argv: Sequence[str] | None = None) -> int:
    """
    Run a command line; return its exit code.

    :param argv: without the name of the program; None for that of this process
    """
    from airflow_rest_client.cli.exits import BROKEN_PIPE, CANCELLED, code_of, say
    from airflow_rest_client.errors import RestError
    from airflow_rest_client.instances import UnknownInstance

    words = list(sys.argv[1:] if argv is None else argv)
    _open_streams()
    # A terminal that cannot show a character shows its number; what is read and is no text, is said so.
    for stream, errors in (
        (sys.stdin, "surrogateescape"),
        (sys.stdout, "backslashreplace"),
        (sys.stderr, "backslashreplace"),
    ):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=errors)
    for name in ("SIGTERM", "SIGHUP"):
        # Not beside the main thread, nor where whoever started us has it ignored, as nohup does.
        if (number := getattr(signal, name, None)) and signal.getsignal(number) is not signal.SIG_IGN:
            with suppress(ValueError):
                signal.signal(number, _terminate)
    try:
        code = _dispatch(words)
        sys.stdout.flush()
        return code
    except (RestError, UnknownInstance, OSError) as error:
        if isinstance(error, BrokenPipeError):
            _close_output()
            return BROKEN_PIPE
        return code_of(error)
    except KeyboardInterrupt:
        say("interrupted")
        return CANCELLED
    except Terminated as terminated:
        return terminated.code


def _terminate(number: int, frame: FrameType | None) -> None:
    raise Terminated(number)


def _open_streams() -> None:
    """Give a place to read from and to write to where a stream was closed before we began."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115 - until the end


def _close_output() -> None:
    """Keep Python from complaining at its end that nobody reads its output."""
    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _dispatch(words: list[str]) -> int:
    from airflow_rest_client.cli.exits import USAGE as USAGE_CODE
    from airflow_rest_client.cli.exits import say
    from airflow_rest_client.cli.session import Options

    options = Options()
    if any(not _is_text(word) for word in words):
        say("the command line is not valid Unicode text")
        return USAGE_CODE
    try:
        rest = _take_options(words, options)
    except ValueError as error:
        say(str(error))
        return USAGE_CODE
    if not rest or rest[0] in ("-h", "--help"):
        return _help(options, bool(rest))
    if rest[0] == "--version":
        from airflow_rest_client import __version__

        print(__version__)
        return 0
    if rest[0].startswith("-"):
        say(f"there is no option {rest[0]}; airflow-rest --help has them")
        return USAGE_CODE
    if rest[0] in OWN or rest[0] == COMPLETE:
        module = import_module(f"airflow_rest_client.cli.{_MODULES.get(rest[0], rest[0])}")
        take: Callable[[list[str], Options], int] = module.main
        return take(rest, options)
    from airflow_rest_client.cli.run import run

    return run(rest, options)


def _is_text(word: str) -> bool:
    try:
        word.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in word


def _take_options(words: list[str], options: Options) -> list[str]:
    """Set what stands before the first word of the command, and return the rest; raise ValueError."""
    rest = list(words)
    while rest and rest[0].startswith("-"):
        flag, equals, value = rest[0].partition("=")
        if flag in ("--detach", "--overwrite") and not equals:
            setattr(options, flag[2:], True)
            del rest[0]
        elif flag in ("-i", "--instance", "--ask", "--queue"):
            if not equals:
                if len(rest) < 2:
                    raise ValueError(f"{flag} takes a value")
                value = rest.pop(1)
            if not value:
                raise ValueError(f"{flag} takes a value, and none was given")
            if flag == "--ask":
                options.ask.append(value.lstrip("-").replace("-", "_"))
            elif flag == "--queue":
                options.queue = value
            else:
                options.instance = value
            del rest[0]
        else:
            break
    return rest


def _help(options: Options, asked: bool) -> int:
    from airflow_rest_client.cli.exits import USAGE as USAGE_CODE

    print(USAGE)
    print("words of its own:")
    for name, text in OWN.items():
        print(f"  {name:<20}  {text}")
    groups = _known_groups(options)
    print(
        "\ncommands of Airflow:"
        if groups
        else "\nSign in to see the commands of an Airflow: airflow-rest login URL"
    )
    for name, text in groups.items():
        print(f"  {name:<20}  {text}")
    return 0 if asked else USAGE_CODE


def _known_groups(options: Options) -> dict[str, str]:
    """Return the groups and commands of the server as they were last seen; nothing is asked for."""
    from airflow_rest_client.cache import CatalogCache
    from airflow_rest_client.instances import Instances, UnknownInstance

    try:
        catalog = CatalogCache(Instances().get(options.instance).url).read()
    except UnknownInstance:
        return {}
    if catalog is None:
        return {}
    alone = {name: command.help for name in catalog if " " not in name and (command := catalog.get(name))}
    return dict(sorted({**catalog.groups, **alone}.items()))
