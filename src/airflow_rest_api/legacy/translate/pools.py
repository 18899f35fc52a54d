"""`pool`: one verb at a time; of several, the first in this order: get, set, delete."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from airflow_rest_api.errors import Refusal
from airflow_rest_api.legacy.request import Request
from airflow_rest_api.legacy.translate.plan import Context, Ignored, Work, airflow_commands, bind

OF_SET = ("pool_name", "slot_count", "description", "pool_description")


def translate(request: Request, context: Context) -> Work:
    """Return the command; none asked for lists all pools."""
    cmd = request.get("cmd") or ""
    setting = cmd.strip().lower() == "set"
    verb, values = _verb(request, setting=setting)
    warnings: list[str] = []
    if cmd and not setting:
        warnings.append(Ignored(f"Argument 'cmd' has no effect: '{cmd}' is not 'set'", ["cmd"]))
    asked = [("get", request.given("get")), ("set", setting), ("delete", request.given("delete"))]
    warnings += [
        Ignored(f"'{name}' was ignored: '{verb}' comes first", ["cmd" if name == "set" else name])
        for name, given in asked
        if given and name != verb
    ]
    if verb != "set":
        warnings += [
            Ignored(f"Argument '{name}' has no effect without 'cmd=set'", [name])
            for name in OF_SET
            if request.given(name)
        ]
    invocation = bind(context, context.catalog.get(f"pools {verb}"), values)
    work = airflow_commands(request, [invocation], warnings)
    if verb != "delete" or not context.as_json:
        return work
    # 1.x showed the pool that it deleted, to those who may see it.
    shown = bind(context, context.catalog.get("pools get"), values)
    order = {**work.order, "pool": values["pool"]}
    return replace(work, order=order, invocations=(invocation, shown), instead=work)


def _verb(request: Request, *, setting: bool) -> tuple[str, dict[str, Any]]:
    if pool := request.get("get"):
        return "get", {"pool": pool}
    if setting:
        missing = [name for name in ("pool_name", "slot_count") if not request.given(name)]
        if missing:
            raise Refusal(f"The argument(s) {missing} are required")
        description = request.get("description") or request.get("pool_description") or ""
        return "set", {
            "pool": request.get("pool_name"),
            "slots": request.get("slot_count"),
            "description": description,
        }
    if pool := request.get("delete"):
        return "delete", {"pool": pool}
    return "list", {}
