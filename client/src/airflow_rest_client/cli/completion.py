"""`airflow-rest completion`: scripts for shells, and the words that they ask for."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

from airflow_rest_client.catalog import Argument, Catalog, Command
from airflow_rest_client.cli import COMPLETE, OWN
from airflow_rest_client.cli.session import Options, Session
from airflow_rest_client.errors import RestError
from airflow_rest_client.http import Request
from airflow_rest_client.instances import Instances, UnknownInstance

BASH = """\
_airflow_rest() {
    local found
    COMPREPLY=()
    while IFS= read -r found; do
        [[ -n "$found" ]] && COMPREPLY+=("$found")
    done < <(airflow-rest __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -o default -F _airflow_rest airflow-rest
"""
ZSH = """\
#compdef airflow-rest
_airflow_rest() {
    local -a found
    found=("${(@f)$(airflow-rest __complete "${(@)words[2,CURRENT]}" 2>/dev/null)}")
    if [[ -n "${found[1]}" ]]; then compadd -a found; else _files; fi
}
compdef _airflow_rest airflow-rest
"""
FISH = """\
function __airflow_rest
    airflow-rest __complete (commandline -opc)[2..-1] (commandline -ct) 2>/dev/null
end
complete -c airflow-rest -a '(__airflow_rest)'
"""
SCRIPTS = {"bash": BASH, "zsh": ZSH, "fish": FISH}

OBJECTS = {
    "dag_id": ("dags", "dag_id"),
    "pool": ("pools", "name"),
    "conn_id": ("connections", "connection_id"),
    "key": ("variables", "key"),
}
"""Of the arguments that name an object: where Airflow's own API lists these, and the member with the name."""
MOST = 100
SECONDS = 3.0
OPTIONS = ("--instance", "--queue", "--detach", "--overwrite", "--ask", "--help", "--version")
INNER = {
    "operations": ("list", "show", "follow", "output", "cancel", "rerun"),
    "services": ("kinds", "list", "start", "show", "stop", "restart", "forget", "log"),
    "instances": ("list", "default", "remove", "test"),
    "completion": tuple(SCRIPTS),
}


def main(words: list[str], options: Options) -> int:
    """Print a script, or what may come next; return the exit code."""
    if words[0] == COMPLETE:
        with suppress(RestError, UnknownInstance, OSError, ValueError):
            print(*complete(words[1:], options), sep="\n")
        return 0
    parser = argparse.ArgumentParser(
        "airflow-rest completion",
        description="Print the completion for a shell.",
        epilog='bash: eval "$(airflow-rest completion bash)" in ~/.bashrc. '
        'zsh: eval "$(airflow-rest completion zsh)" in ~/.zshrc, after compinit. '
        "fish: airflow-rest completion fish > ~/.config/fish/completions/airflow-rest.fish",
    )
    parser.add_argument("shell", choices=SCRIPTS)
    print(SCRIPTS[parser.parse_args(words[1:]).shell], end="")
    return 0


def complete(words: Sequence[str], options: Options) -> list[str]:
    """
    Return what may stand in the place of the last word, which is begun or empty.

    :raises RestError: the server was asked, and does not say
    """
    *before, begun = words or [""]
    if before and before[-1] in ("-i", "--instance"):
        return sorted(name for name in Instances().all()[0] if name.startswith(begun))
    from airflow_rest_client.cli import _take_options

    before = _take_options(list(before), options)
    found: Iterable[str]
    if before and before[0] in OWN:
        found = INNER.get(before[0], ()) if len(before) == 1 else ()
    else:
        session = Session(options)
        found = _of_airflow(session, session.catalog(), before, begun)
        if not before:
            found = [*found, *OWN, *(OPTIONS if begun.startswith("-") else ())]
    return sorted({word for word in found if word.startswith(begun) and word.isprintable()})


def _of_airflow(session: Session, catalog: Catalog, before: Sequence[str], begun: str) -> Iterable[str]:
    command, rest = catalog.split(before)
    if command is None:
        depth = len(before)
        return [
            name.split()[depth]
            for name in catalog
            if name.split()[:depth] == list(before) and len(name.split()) > depth
        ]
    wanted = _argument(command, rest, begun)
    if wanted is not None:
        return wanted.choices or _objects(session, wanted, command, rest, begun)
    return [flag for argument in command.arguments for flag in argument.flags if flag.startswith("--")]


def _argument(command: Command, rest: Sequence[str], begun: str) -> Argument | None:
    """Return the argument whose value is begun, None where it is a flag."""
    if rest and rest[-1].startswith("-"):
        for argument in command.arguments:
            if rest[-1] in argument.flags and not argument.flag:
                return argument
    if begun.startswith("-"):
        return None
    given = len(_places(command, rest))
    places = command.positionals
    if not places:
        return None
    return places[given] if given < len(places) else places[-1] if places[-1].repeatable else None


def _places(command: Command, rest: Sequence[str]) -> list[str]:
    """Return the words that are given by their place."""
    with_value = {flag for argument in command.arguments if not argument.flag for flag in argument.flags}
    found, skip = [], False
    for word in rest:
        if skip:
            skip = False
        elif word.startswith("-"):
            skip = word in with_value
        else:
            found.append(word)
    return found


def _objects(
    session: Session, argument: Argument, command: Command, rest: Sequence[str], begun: str
) -> Iterable[str]:
    if argument.name == "task_id" and (places := _places(command, rest)):
        return _names(session, f"dags/{places[0]}/tasks", "task_id", {})
    if argument.name not in OBJECTS:
        return ()
    path, member = OBJECTS[argument.name]
    pattern = {"dags": "dag_id_pattern", "pools": "pool_name_pattern", "connections": "connection_id_pattern"}
    named = pattern.get(path, "variable_key_pattern")
    return _names(session, path, member, {"limit": str(MOST), **({named: f"{begun}%"} if begun else {})})


def _names(session: Session, path: str, member: str, params: dict[str, str]) -> Iterable[str]:
    from urllib.parse import quote

    request = Request("GET", f"/api/v2/{quote(path)}", params=params, timeout=SECONDS)
    body: Any = session.client.do(session.client.server.ask(request)).body
    rows = next((value for value in body.values() if isinstance(value, list)), [])
    return [str(row[member]) for row in rows]
