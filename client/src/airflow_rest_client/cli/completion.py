"""`airflow-rest completion`: scripts for shells, and the words that they ask for."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from contextlib import suppress
from importlib import import_module
from typing import Any

from airflow_rest_client.catalog import Argument, Catalog, Command
from airflow_rest_client.cli import _MODULES, COMPLETE, OWN, _take_options
from airflow_rest_client.cli.session import Options, Session
from airflow_rest_client.errors import RestError
from airflow_rest_client.http import Request
from airflow_rest_client.instances import Instances, UnknownInstance

BASH = """\
_airflow_rest() {
    local found i word kept rest="$COMP_LINE" words=()
    COMPREPLY=()
    # Bash ends words at : and = as well; what has no blank before it belongs to the word before.
    for ((i = 0; i <= COMP_CWORD; i++)); do
        word="${COMP_WORDS[i]}"
        if [[ $i == 0 || -z "$rest" || "$rest" == [[:space:]]* ]]; then
            words+=("$word")
            rest="${rest#"${rest%%[![:space:]]*}"}"
        else
            words[${#words[@]}-1]+="$word"
        fi
        rest="${rest#"$word"}"
    done
    # It puts the answer behind the last of these ends.
    kept="${words[${#words[@]}-1]}"
    while [[ -n "$kept" && "$COMP_WORDBREAKS" != *"${kept:${#kept}-1}"* ]]; do kept="${kept%?}"; done
    while IFS= read -r found; do
        [[ -n "$found" ]] && COMPREPLY+=("${found#"$kept"}")
    done < <(airflow-rest __complete "${words[@]:1}" 2>/dev/null)
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


def main(words: list[str], options: Options) -> int:
    """Print a script, or what may come next; return the exit code."""
    if words[0] == COMPLETE:
        with suppress(RestError, UnknownInstance, OSError, ValueError):
            print(*complete(words[1:], options), sep="\n")
        return 0
    print(SCRIPTS[_parser().parse_args(words[1:]).shell], end="")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "airflow-rest completion",
        description="Print the completion for a shell.",
        epilog='bash: eval "$(airflow-rest completion bash)" in ~/.bashrc. '
        'zsh: eval "$(airflow-rest completion zsh)" in ~/.zshrc, after compinit. '
        "fish: airflow-rest completion fish > ~/.config/fish/completions/airflow-rest.fish",
    )
    parser.add_argument("shell", choices=tuple(SCRIPTS))
    return parser


PARSERS = {"completion": _parser}


def complete(words: Sequence[str], options: Options) -> list[str]:
    """
    Return what may stand in the place of the last word, which is begun or empty.

    :raises RestError: the server was asked, and does not say
    """
    *before, begun = words or [""]
    if begun.startswith("--") and "=" in begun:
        flag, _, value = begun.partition("=")
        values = complete([*before, flag, value], options)
        return [f"{flag}={one}" for one in values if not one.startswith("-")]
    if before and before[-1] in ("-i", "--instance"):
        return sorted(name for name in Instances().all()[0] if name.startswith(begun))
    before = _take_options(list(before), options)
    found: Iterable[str]
    if before and before[0] in OWN:
        found = _of_own(before, begun)
    else:
        session = Session(options)
        found = _of_airflow(session, session.catalog(), before, begun)
        if not before:
            found = [*found, *OWN, *(OPTIONS if begun.startswith("-") else ())]
    return sorted({word for word in found if word.startswith(begun) and word.isprintable()})


def _of_own(before: Sequence[str], begun: str) -> Iterable[str]:
    """Return what may come next behind a word of our own, as its parser has it."""
    module = import_module(f"airflow_rest_client.cli.{_MODULES.get(before[0], before[0])}")
    parser: argparse.ArgumentParser = module.PARSERS[before[0]]()
    for word in before[1:]:
        below = next((one.choices for one in parser._actions if isinstance(one.choices, dict)), {})
        parser = below.get(word, parser)
    for action in parser._actions:
        if before[-1] in action.option_strings and action.nargs != 0:
            return action.choices or ()
    if begun.startswith("-"):
        return [flag for one in parser._actions for flag in one.option_strings if flag.startswith("--")]
    places = [one.choices for one in parser._actions if one.choices and not one.option_strings]
    return [choice for choices in places if not {*choices} & {*before[1:]} for choice in choices]


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
