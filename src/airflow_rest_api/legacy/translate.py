"""What the requests to the 1.x endpoints become: what the records of `legacy.endpoints` name."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from airflow_rest_api import json_text
from airflow_rest_api.commands.binding import MAX_NAME
from airflow_rest_api.commands.model import Command, Effect, Invocation
from airflow_rest_api.errors import Refusal
from airflow_rest_api.legacy.child.messages import DEPENDENCY_FLAGS, unknown_dag
from airflow_rest_api.legacy.model import (
    Action,
    Answer,
    Deploy,
    Ignored,
    LegacyRequest,
    RunChild,
    StartService,
    TranslationContext,
    attempts_of,
    of_commands,
    own,
)
from airflow_rest_api.legacy.names import (
    ARGUMENTS,
    LOG_ARGUMENTS,
    command_of,
    counterpart,
    exchanged,
    log_names,
    pid_name,
    renamed,
    uploaded,
)
from airflow_rest_api.services.model import BY_COMMAND, LOG_SERVER, StartRequest

CHILD = "airflow_rest_api.legacy.child"
START = f"{CHILD}.commands:start_component"

CONNECTION_VERBS = ("list", "add", "delete")
IN_URI = ("conn_type", "conn_host", "conn_login", "conn_password", "conn_schema", "conn_port")
"""What a connection's URI says: beside one, 1.x did not look at these."""
NO_VALUE = "None"
"""What 1.x printed for a variable that does not exist."""

RUN_TAKES = ("dag_id", "task_id", "execution_date", "subdir", "pool", "mark_success", "local")

PAUSE_AND_UNPAUSE = (
    "Both options pause and unpause were given. Skipping setting the state (pause, unpause) of the DAG."
)

_DAY = re.compile(r"(\d{4}-\d\d-\d\d)(Z|[+-]\d\d:?\d\d|)")
_OTHER_DAY = re.compile(r"(\d{4})(\d\d)(\d\d)|(\d{4})[-/](\d\d?)[-/](\d\d?)|(\d\d?)/(\d\d?)/(\d{4})")
"""A day as Airflow's parser reads it as well; of the last kind the month comes first."""


def translate(request: LegacyRequest, context: TranslationContext) -> Action:
    """
    Return what a request becomes.

    :raises Refusal: it makes no sense, or this Airflow cannot do it
    """
    dag_id = request.get("dag_id")
    if dag_id is not None and ("\0" in dag_id or len(dag_id) > MAX_NAME):
        raise Refusal(unknown_dag(dag_id))
    return request.endpoint.translate(request, context)


def command(**order: Any) -> Callable[[LegacyRequest, TranslationContext], RunChild]:
    """
    Return the translation into one command of today, with the arguments under their names of today.

    :param order: more for `legacy.child.commands`
    """

    def translated(request: LegacyRequest, context: TranslationContext) -> RunChild:
        return _renamed_command(request, context, command_of(request, context), **order)

    return translated


def answered(text: Callable[[], str]) -> Callable[[LegacyRequest, TranslationContext], Answer]:
    """Return the translation into a text that is known at once."""
    return lambda request, context: Answer(text(), own(request, Effect.READ)[1])


def trigger(request: LegacyRequest, context: TranslationContext) -> RunChild:
    """Create a run, with the client's date or one that `child.commands` chooses."""
    # A script's null is none, which no command of today takes.
    leave = ("execution_date", *(("conf",) if json_object(request, "conf") is None else ()))
    found = command_of(request, context)
    date, target = request.get("execution_date"), counterpart(found, "exec_date")
    default = {target: date} if date and target else {}
    return _renamed_command(request, context, found, leave=leave, values=default)


def test(request: LegacyRequest, context: TranslationContext) -> RunChild:
    """Run a task instance on its own; with `dry_run` render it, its parameters changed in the same way."""
    params = json_object(request, "task_params")
    found = command_of(request, context)
    if not request.given("dry_run") or found.argument("dry_run"):
        leave = ("task_params",) if params is None else ()
        return _renamed_command(request, context, found, leave=leave, load=True)
    rendering = context.get("tasks render")
    rendered = ("dry_run", "task_params")
    return _renamed_command(request, context, rendering, leave=rendered, load=True, params=params)


def list_tasks(request: LegacyRequest, context: TranslationContext) -> RunChild:
    """List the tasks of a DAG, also as a tree."""
    found = command_of(request, context)
    if request.given("tree") and not found.argument("tree"):
        # With a path the DAG's file is imported, which is its author's code.
        effect = Effect.EXECUTE if request.given("subdir") else Effect.READ
        return _child(request, "own_work:show_tree", effect)
    return _renamed_command(request, context, found, load=True)


def run(request: LegacyRequest, context: TranslationContext) -> RunChild:
    """Run one task instance: our own work, as no Airflow 3 has a command for it."""
    taken = (*RUN_TAKES, *DEPENDENCY_FLAGS)
    order: dict[str, Any] = {name: request.get(name) or request.given(name) or None for name in taken}
    lost = [a.name for a in request.endpoint.arguments if a.name not in taken and request.given(a.name)]
    warnings = [Ignored(f"Argument(s) {lost} have no effect", *lost)] if lost else []
    return _child(
        request, "own_work:run_task", Effect.EXECUTE, warnings, **order, json=context.as_json or None
    )


def list_dags(request: LegacyRequest, context: TranslationContext) -> RunChild:
    """List all DAGs or those of one path, with the report of their files if asked for."""
    report = request.given("report")
    if request.given("subdir"):
        effect = Effect.EXECUTE if report else Effect.READ
        output = "json" if context.as_json else "table"
        return _child(request, "own_work:list_dags", effect, report=report, output=output)
    found = [command_of(request, context), *([context.get("dags report")] if report else [])]
    return _commands(request, context, [context.bind(one, {}) for one in found])


def backfill(request: LegacyRequest, context: TranslationContext) -> RunChild:
    """Create the runs of a range of dates; only one of them means that day, or moment, alone."""
    found = command_of(request, context)
    given = zip(
        ("start_date", "end_date"), dates(request.get("start_date"), request.get("end_date")), strict=True
    )
    values = {target: date for name, date in given if (target := counterpart(found, name))}
    order: dict[str, Any] = {}
    leave = ["start_date", "end_date"]
    if context.as_json:
        order["task_regex"] = request.get("task_regex")
        order["ignore_dependencies"] = request.given("ignore_dependencies") or None
        if request.given("dry_run"):
            # They choose the tasks that it prints.
            leave += order
    return _renamed_command(request, context, found, leave=leave, values=values, **order)


def variables(request: LegacyRequest, context: TranslationContext) -> RunChild:
    """Do what is asked for, in the order in which 1.x did it; nothing asked for lists all variables."""
    steps: list[tuple[str, dict[str, Any]]] = []
    if key := request.get("get"):
        default = request.get("default") or (NO_VALUE if context.as_json else None)
        values = {"key": key, "default": default, "json": request.given("json") or None}
        steps.append(("get", {name: value for name, value in values.items() if value is not None}))
    if key := request.get("delete"):
        steps.append(("delete", {"key": key}))
    if request.sets:
        steps.append(("set", {name: request.get(name) for name in ("key", "value")}))
        _require(request, "key", "value")
    for verb in ("import", "export"):
        if path := request.get(verb):
            file = path
            if (verb, path) != ("export", "-"):  # which is the answer's own stdout
                file = exchanged(context.exchange_folder, path, argument=verb, to_write=verb == "export")
            steps.append((verb, {"file": file}))
    warnings = [
        *(() if request.given("get") else _without_effect(request, "get", "json", "default")),
        *(() if request.sets else _without_effect(request, "cmd=set", "key", "value")),
        *_unknown_cmd(request),
    ]
    if context.as_json and not steps:
        return _listed(request, "variables", context.bind(context.get("variables list"), {}), warnings)
    found = [context.bind(context.get(f"variables {verb}"), given) for verb, given in steps or [("list", {})]]
    return _commands(request, context, found, warnings)


def connections(request: LegacyRequest, context: TranslationContext) -> RunChild:
    """List, add or delete; none of the three check boxes lists all connections."""
    asked = [verb for verb in CONNECTION_VERBS if request.given(verb)]
    if len(asked) > 1:
        raise Refusal(f"The arguments {asked} exclude each other")
    verb = asked[0] if asked else "list"
    if verb != "list":
        _require(request, "conn_id")
    found = context.get(f"connections {verb}")
    has_uri = verb == "add" and request.given("conn_uri")
    said = [name for name in IN_URI if has_uri and request.given(name)]
    values, warnings = renamed(request, found, leave=(*CONNECTION_VERBS, *said))
    if said:
        warnings.append(Ignored(f"Argument(s) {said} have no effect: 'conn_uri' comes first", *said))
    invocation = context.bind(found, values)
    if verb == "list" and context.as_json:
        return _listed(request, "connections", invocation, warnings)
    return _commands(request, context, [invocation], warnings)


def pools(request: LegacyRequest, context: TranslationContext) -> RunChild:
    """Do one verb, of several the first in this order: get, set, delete; none asked for lists all pools."""
    verb, values = _pool_verb(request)
    asked = {"get": request.given("get"), "set": request.sets, "delete": request.given("delete")}
    warnings = [
        *_unknown_cmd(request),
        *(
            Ignored(f"'{name}' was ignored: '{verb}' comes first", "cmd" if name == "set" else name)
            for name, given in asked.items()
            if given and name != verb
        ),
    ]
    if verb != "set":
        of_set = ("pool_name", "slot_count", "description", "pool_description")
        warnings += _without_effect(request, "cmd=set", *of_set)
    work = _commands(request, context, [context.bind(context.get(f"pools {verb}"), values)], warnings)
    if verb != "delete" or not context.as_json:
        return work
    # 1.x showed the pool that it deleted, to those who may see it.
    shown = attempts_of(request, [context.bind(context.get("pools get"), values)])
    order = {**work.order, "pool": values["pool"]}
    return replace(work, order=order, attempts=(*work.attempts, *shown), instead=work)


def start(request: LegacyRequest, context: TranslationContext) -> StartService:
    """Start a component that Airflow has a command for."""
    found = command_of(request, context)
    values, warnings = renamed(request, found, leave=("pid", *LOG_ARGUMENTS))
    invocation = context.bind(found, values)
    stdout, stderr = log_names(request, warnings)
    plan = StartRequest(
        BY_COMMAND[found.name],
        invocation,
        stdout=stdout,
        stderr=stderr,
        pid_file=pid_name(request, warnings),
        entry=START,
        extra=_order(request, {}),
    )
    return StartService(*of_commands(request, [invocation]), warnings, plan=plan)


def serve_logs(request: LegacyRequest, context: TranslationContext) -> StartService:
    """Start Airflow's log server."""
    stdout, stderr = log_names(request, [])
    plan = StartRequest(BY_COMMAND[LOG_SERVER], stdout=stdout, stderr=stderr, entry=START)
    return StartService(*own(request, Effect.SERVICE), plan=plan)


def deploy(request: LegacyRequest, context: TranslationContext) -> Deploy:
    """Store a DAG file, or the files of an archive."""
    name = uploaded(request)
    pause, unpause = request.given("pause"), request.given("unpause")
    return Deploy(
        *own(request, Effect.EXECUTE),
        [Ignored(PAUSE_AND_UNPAUSE, "pause", "unpause")] if pause and unpause else [],
        file=name,
        force=request.given("force"),
        force_invalid=request.given("force_invalid"),
        paused=None if pause == unpause else pause,
        bundle=request.get("bundle"),
        folder=request.get("path") or "",
        wait=request.given("wait"),
    )


def refresh(request: LegacyRequest, context: TranslationContext) -> RunChild:
    """Have the file of a DAG parsed anew, or all: by the DAG processor, or here where none is alive."""
    asks = _child(request, "own_work:refresh", Effect.WRITE)
    if context.processor_alive():
        return asks
    return replace(_child(request, "own_work:refresh", Effect.EXECUTE, here=True), instead=asks)


def json_object(request: LegacyRequest, name: str) -> dict[str, Any] | None:
    """Return an argument that is a JSON object, None for null or none given; Refusal where it is neither."""
    text = request.get(name)
    if text is None:
        return None
    try:
        value = json_text.loads(text)
        # NaN, Infinity and what is too large for a number, which Python's parser takes, and no database.
        json.dumps(value, allow_nan=False)
    except json_text.TooMany as error:
        raise Refusal(f"Argument '{name}' {error}") from None
    except ValueError as error:
        raise Refusal(f"Argument '{name}' is not valid JSON: {error}") from None
    if value is not None and not isinstance(value, dict):
        raise Refusal(f"Argument '{name}' must be a JSON object")
    return value


def dates(start: str | None, end: str | None) -> tuple[str, str]:
    """Return the first and the last moment of a backfill: of the day, where it is given a day alone."""
    if start and end:
        return start, end
    only = start or end
    if not only:
        raise Refusal("Provide a start_date and/or end_date")
    match = _DAY.fullmatch(_iso_day(only.strip()))
    if match is None:
        return only, only  # a moment, or what Airflow's parser says is wrong
    day, zone = match.groups()
    return f"{day}T00:00:00{zone}", f"{day}T23:59:59{zone}"


def _iso_day(text: str) -> str:
    """Return a day in another form as ISO 8601 has it, and anything else as it is."""
    match = _OTHER_DAY.fullmatch(text)
    if match is None:
        return text
    parts = [part for part in match.groups() if part]
    year, month, day = (parts[2], *parts[:2]) if match[9] else parts
    return f"{year}-{month:0>2}-{day:0>2}"


def _pool_verb(request: LegacyRequest) -> tuple[str, dict[str, Any]]:
    if pool := request.get("get"):
        return "get", {"pool": pool}
    if request.sets:
        _require(request, "pool_name", "slot_count")
        description = request.get("description") or request.get("pool_description") or ""
        slots = request.get("slot_count")
        return "set", {"pool": request.get("pool_name"), "slots": slots, "description": description}
    if pool := request.get("delete"):
        return "delete", {"pool": pool}
    return "list", {}


def _require(request: LegacyRequest, *names: str) -> None:
    if missing := [name for name in names if not request.given(name)]:
        raise Refusal(f"The argument(s) {missing} are required")


def _without_effect(request: LegacyRequest, verb: str, *names: str) -> list[str]:
    """Return the warnings for arguments that are given without the verb that looks at them."""
    given = [name for name in names if request.given(name)]
    return [Ignored(f"Argument '{name}' has no effect without '{verb}'", name) for name in given]


def _unknown_cmd(request: LegacyRequest) -> list[str]:
    cmd = request.get("cmd")
    known = not cmd or request.sets
    return [] if known else [Ignored(f"Argument 'cmd' has no effect: '{cmd}' is not 'set'", "cmd")]


def _renamed_command(
    request: LegacyRequest,
    context: TranslationContext,
    command: Command,
    *,
    leave: Iterable[str] = (),
    values: Mapping[str, Any] | None = None,
    **order: Any,
) -> RunChild:
    """
    Return one command with a request's arguments by its names.

    :param leave: arguments that are looked after elsewhere
    :param values: what the command is given where the request says nothing
    :param order: more for `legacy.child.commands`
    """
    given, warnings = renamed(request, command, leave=leave)
    invocation = context.bind(command, {**(values or {}), **given})
    return _commands(request, context, [invocation], warnings, **order)


def _commands(
    request: LegacyRequest,
    context: TranslationContext,
    invocations: Sequence[Invocation],
    warnings: Sequence[str] = (),
    **order: Any,
) -> RunChild:
    """Return commands of Airflow that run after the look at DAG, path and run."""
    # The date, or the id, of the run that a command is to be given.
    takes_date = any(
        one.command.argument(name) for one in invocations for name in ARGUMENTS["execution_date"]
    )
    order |= {
        "argvs": [invocation.argv for invocation in invocations],
        "date": request.get("execution_date") if takes_date else None,
        "json": context.as_json or None,
    }
    work = of_commands(request, invocations)
    return RunChild(*work, warnings, invocations=invocations, order=_order(request, order))


def _child(
    request: LegacyRequest, entry: str, effect: Effect, warnings: Sequence[str] = (), **order: Any
) -> RunChild:
    return RunChild(*own(request, effect), warnings, entry=entry, order=_order(request, order))


def _listed(request: LegacyRequest, kind: str, invocation: Invocation, warnings: Sequence[str]) -> RunChild:
    """Return what lists what today's command does not print, with the permissions of that command."""
    listing = of_commands(request, [invocation])
    entry, order = "own_work:list_rows", {"kind": kind}
    return RunChild(*listing, warnings, entry=entry, order=order, invocations=[invocation])


def _order(request: LegacyRequest, order: Mapping[str, Any]) -> dict[str, Any]:
    """Return an order with the DAG and the path of a request, without what is None."""
    named = {"dag_id": request.get("dag_id"), "subdir": request.get("subdir")}
    return {name: value for name, value in (named | dict(order)).items() if value is not None}
