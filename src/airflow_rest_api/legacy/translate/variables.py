"""`variables`: the verbs that are asked for, in the order in which 1.x did them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from airflow_rest_api.errors import Refusal
from airflow_rest_api.legacy.request import Request
from airflow_rest_api.legacy.translate.exchange import path_in
from airflow_rest_api.legacy.translate.plan import Context, Ignored, Work, airflow_commands, bind

NO_VALUE = "None"
"""What 1.x printed for a variable that does not exist."""

USED_BY = {"json": "get", "default": "get", "key": "cmd=set", "value": "cmd=set"}


def translate(request: Request, context: Context) -> Work:
    """Return the commands; none asked for lists all variables."""
    steps: list[tuple[str, dict[str, Any]]] = []
    if key := request.get("get"):
        values: dict[str, Any] = {"key": key}
        if (default := request.get("default")) is not None:
            values["default"] = default
        elif context.as_json:
            values["default"] = NO_VALUE
        if request.given("json"):
            values["json"] = True
        steps.append(("variables get", values))
    if key := request.get("delete"):
        steps.append(("variables delete", {"key": key}))
    setting = (request.get("cmd") or "").strip().lower() == "set"
    if setting:
        steps.append(("variables set", {"key": request.get("key"), "value": request.get("value")}))
        missing = [name for name in ("key", "value") if not request.given(name)]
        if missing:
            raise Refusal(f"The argument(s) {missing} are required")
    for verb in ("import", "export"):
        if path := request.get(verb):
            file = path
            if (verb, path) != ("export", "-"):  # which is the answer's own stdout
                file = path_in(context.exchange_folder, path, argument=verb, to_write=verb == "export")
            steps.append((f"variables {verb}", {"file": file}))
    invocations = [
        bind(context, context.catalog.get(name), values) for name, values in steps or [("variables list", {})]
    ]
    work = airflow_commands(request, invocations, _warnings(request, setting=setting))
    if context.as_json and not steps:
        return replace(work, entry="listings:list_rows", order={"kind": "variables"})
    return work


def _warnings(request: Request, *, setting: bool) -> list[str]:
    used = {"get": request.given("get"), "cmd=set": setting}
    warnings: list[str] = [
        Ignored(f"Argument '{name}' has no effect without '{verb}'", [name])
        for name, verb in USED_BY.items()
        if request.given(name) and not used[verb]
    ]
    cmd = request.get("cmd")
    if cmd and not setting:
        warnings.append(Ignored(f"Argument 'cmd' has no effect: '{cmd}' is not 'set'", ["cmd"]))
    return warnings
