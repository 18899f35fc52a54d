"""The words in which people look for commands that Airflow calls otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_rest_api.commands.model import Command

_ENDING = ("stop", "shutdown", "cleanup", "delete")
_SHOWING = ("list", "get", "show", "details")
_HEALTH = ("check", "state", "states", "jobs", "workers")
_PEOPLE = ("users", "roles")
_OLD_DATA = ("clean", "archived", "cleanup")

WORDS: Mapping[str, tuple[str, ...]] = {
    "abort": _ENDING,
    "access": (*_PEOPLE, "perm", "permissions"),
    "account": _PEOPLE,
    "activate": ("unpause",),
    "alive": _HEALTH,
    "backup": ("export",),
    "blocked": ("deps",),
    "broken": ("errors",),
    "cancel": _ENDING,
    "catchup": ("backfill",),
    "change": ("set", "update", "add"),
    "clean": ("clear", *_OLD_DATA),
    "configuration": ("config",),
    "credentials": ("connections", "variables", "fernet"),
    "dataset": ("assets",),
    "deactivate": ("pause",),
    "debug": ("test", "render", "deps"),
    "disable": ("pause",),
    "download": ("export",),
    "drop": ("delete", "remove", "archived"),
    "dump": ("export",),
    "edit": ("set", "update", "add"),
    "enable": ("unpause",),
    "encryption": ("fernet",),
    "execute": ("trigger", "test", "backfill"),
    "failed": ("errors", "deps", "states"),
    "graph": ("show",),
    "health": _HEALTH,
    "heartbeat": ("jobs", "workers"),
    "history": ("runs", "jobs"),
    "jinja": ("render",),
    "k8s": ("kubernetes",),
    "kill": _ENDING,
    "launch": ("trigger", "test"),
    "login": _PEOPLE,
    "logs": ("test", "errors", "states"),
    "monitor": _HEALTH,
    "new": ("create", "add", "set"),
    "parse": ("reserialize", "errors", "report"),
    "password": ("users", "connections"),
    "permission": (*_PEOPLE, "perm", "permissions"),
    "prune": _OLD_DATA,
    "purge": _OLD_DATA,
    "redo": ("clear", "backfill"),
    "refresh": ("reserialize",),
    "reload": ("reserialize",),
    "remove": ("delete", "remove", "clean"),
    "rename": ("set",),
    "rerun": ("clear", "backfill"),
    "restart": ("clear",),
    "restore": ("import",),
    "resume": ("unpause",),
    "retry": ("clear",),
    "rollback": ("downgrade",),
    "run": ("trigger", "test", "backfill"),
    "save": ("export",),
    "schedule": ("execution", "pause", "unpause"),
    "secret": ("connections", "variables", "fernet"),
    "settings": ("config",),
    "start": ("trigger", "server", "scheduler", "worker", "processor", "triggerer"),
    "status": _HEALTH,
    "stop": ("stop", "shutdown", "pause"),
    "stuck": ("deps", "states"),
    "suspend": ("pause",),
    "sync": ("reserialize", "sync"),
    "template": ("render",),
    "terminate": _ENDING,
    "tree": ("show",),
    "trigger": ("trigger", "backfill", "materialize"),
    "undo": ("downgrade",),
    "upgrade": ("migrate",),
    "upload": ("import",),
    "validate": ("check", "lint", "errors", "test"),
    "view": _SHOWING,
    "web": ("server",),
    "webserver": ("server",),
    "why": ("deps",),
}
"""By the everyday word: the words in the names of the commands that are meant."""


def everyday(command: Command) -> list[str]:
    """Return the words by which a command is looked for, though they are not in its name."""
    own = {part for word in command.path for part in word.split("-")}
    return [word for word, meant in WORDS.items() if word not in own and not own.isdisjoint(meant)]
