"""What is set right in a child for its command, the start of that, and what is put back after it."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypedDict

from airflow_rest_api import airflow as package
from airflow_rest_api.airflow import event_log
from airflow_rest_api.airflow.child import output
from airflow_rest_api.airflow.compat.version_compat import AIRFLOW_V_3_1_PLUS
from airflow_rest_api.engine.job import function
from airflow_rest_api.engine.patches import patch
from airflow_rest_api.secret_names import maskers

PACKAGE = package.__name__
_PRINTS = "child.output:dag_files_to_stderr"
_PRINTS_NOTHING = "child.output:dag_files_to_nowhere"
_TRIES = "expressions:try_first"
_TEST_OF_DAG = "child.dag_test:test_unseen"
_ONE_DAG = "child.one_dag:parse_its_file"

BY_COMMAND: Mapping[str, tuple[str, ...]] = {
    "dags list": (_PRINTS,),
    "dags list-import-errors": (_PRINTS,),
    "dags pause": (_TRIES, "child.output:print_paused"),
    "dags report": (_PRINTS,),
    "dags reserialize": (_PRINTS,),
    "dags show": (_PRINTS,),
    "dags test": (_PRINTS, _ONE_DAG, _TEST_OF_DAG),
    "dags unpause": (_TRIES, "child.output:print_unpaused"),
    # With an expression it parses all files of a bundle, whoever asks.
    "tasks clear": (_PRINTS_NOTHING, "child.clearing:as_asked"),
    "tasks failed-deps": () if AIRFLOW_V_3_1_PLUS else ("child.task_test:depend_as_stored",),
    "tasks list": (_PRINTS, _ONE_DAG),
    "tasks render": (_PRINTS, _ONE_DAG, "child.task_test:render_as_in_a_run"),
    "tasks test": (_PRINTS, _ONE_DAG, "child.task_test:test_in_memory"),
}
"""
The functions of this package that set something right for a command, by its name.

What they replace is taken back after the command (`engine.patches`), but where its child ends with it.
They are imported when they are needed, with what they need of Airflow, which may be slow or lack it.
"""

REDACTED: Mapping[str, tuple[str, ...]] = {
    "tasks render": ("maskers:learn_within",),
    "variables get": ("maskers:variables_as_shown",),
}
"""What is set right for which command that prints values for a user who may read and not edit them."""

ASKS = "airflow.utils.cli"
"""The module that writes the `cli_…` rows of Airflow's event log."""

COMMANDS = "airflow.cli.commands."
"""The modules that write who triggered a run or created a backfill."""

ABOUT_THE_MACHINE = frozenset({f"{COMMANDS}info_command"})
"""Commands that show the operating system's user on purpose."""


_acting: list[str] = []
"""The user for whom this process runs a command; of the operating system where it is empty."""


def act_as(user: str) -> None:
    """Have Airflow's commands take `user` for the one who runs them, until another is named."""
    answer_for_the_user()
    _acting[:] = [user]


def answer_for_the_user() -> None:
    """
    Have Airflow's commands ask us who runs them; once for a process, and with it for its forks.

    `airflow.utils.platform.getuser` is also what task instances and jobs write down as the `unixname` of
    their process: only the commands themselves, and the decorator around them, get the other answer.
    """
    import airflow.utils.platform

    platform: Any = airflow.utils.platform
    of_the_machine = platform.getuser
    if getattr(of_the_machine, "__module__", "") == __name__:
        return

    def getuser() -> str:
        asks = _acting and _asks(sys._getframe(1).f_globals.get("__name__", ""))
        return _acting[0] if asks else str(of_the_machine())

    # A module that is imported later takes it from there.
    platform.getuser = getuser
    package = sys.modules.get(COMMANDS.rstrip("."))
    for module in (sys.modules.get(ASKS), *(vars(package).values() if package else ())):
        if getattr(module, "getuser", None) is of_the_machine and _asks(getattr(module, "__name__", "")):
            holder: Any = module
            holder.getuser = getuser


def _asks(module: str) -> bool:
    return module == ASKS or (module.startswith(COMMANDS) and module not in ABOUT_THE_MACHINE)


class SetupOrder(TypedDict):
    """
    The argument of `prepare`.

    :ivar user: the Airflow user as whom commands act
    :ivar commands: the names of those that will run, such as ``tasks test``
    :ivar redacted: whether the user may read values and not edit them
    :ivar visible: the rows that may be printed, by the key with which they name an object; None for all
    """

    user: str
    commands: list[str]
    redacted: bool
    visible: dict[str, list[str]] | None


def order(
    user: str,
    commands: Sequence[str],
    *,
    redacted: bool = False,
    visible: Mapping[str, Sequence[str]] | None = None,
) -> SetupOrder:
    """Return the argument of `prepare`."""
    rows = None if visible is None else {key: list(names) for key, names in visible.items()}
    return {"user": user, "commands": list(commands), "redacted": redacted, "visible": rows or None}


def prepare(order: SetupOrder) -> None:
    """
    Set right what the commands of an order need.

    :raises SystemExit: says in one sentence what cannot be
    """
    if order["visible"]:
        output.show_only(order["visible"])
    act_as(order["user"])
    event_log.shorten_command_rows()
    for command in order["commands"]:
        more = REDACTED.get(command, ()) if order["redacted"] else ()
        for name in (*BY_COMMAND.get(command, ()), *more):
            # The run of a test carries its user.
            function(f"{PACKAGE}.{name}")(*([order["user"]] if name == _TEST_OF_DAG else ()))


PREPARE = f"{__name__}:{prepare.__name__}"
"""As the engine knows it."""


def run_airflow(argv: Sequence[str]) -> None:
    """Run Airflow's own entry point, its parser with the real arguments."""
    from airflow.__main__ import main
    from airflow.cli.cli_parser import get_parser

    parser = get_parser()
    patch(parser, "parse_args", partial(parser.parse_args, list(argv)))
    main()  # type: ignore[no-untyped-call]


def remember() -> Callable[[], str | None]:
    """
    Return what puts Airflow's part of this process back as it is now.

    That returns None, or in some words what it could not: a process in which a command has left a transaction
    or a connection in use can run no other.
    """
    from airflow import settings
    from airflow.utils import cli_action_loggers

    before = _Maskers()
    database = settings.engine, settings.Session
    callbacks = [cli_action_loggers.__dict__[f"__{name}_exec_callbacks"] for name in ("pre", "post")]
    registered = [list(one) for one in callbacks]

    def put_back() -> str | None:
        before.put_back()
        for now, then in zip(callbacks, registered, strict=True):
            now[:] = then
        if (settings.engine, settings.Session) != database:
            return "Airflow has another database"
        return _leave_session(settings)

    return put_back


def _leave_session(settings: Any) -> str | None:
    if settings.Session is None or settings.engine is None:
        return None
    registry = settings.Session.registry
    if registry.has() and registry().in_transaction():
        return "a transaction is open"
    settings.Session.remove()
    pool = settings.engine.pool
    if callable(in_use := getattr(pool, "checkedout", None)) and in_use():
        return "a connection is in use"
    if not keeps_connections(settings):
        settings.engine.dispose()
    return None


def keeps_connections(settings: Any) -> bool:
    """
    Return whether a connection can be kept for the next command: Airflow looks at it before it uses it.

    The database may be restarted meanwhile. The pool is asked, not the configuration: local settings can make
    the engine in their own way.
    """
    pool = getattr(settings.engine, "pool", None)
    return settings.Session is not None and bool(getattr(pool, "_pre_ping", False))


class _Maskers:
    """What Airflow's secrets maskers know."""

    def __init__(self) -> None:
        self._known = [
            (masker, {**vars(masker), "patterns": set(masker.patterns)}, _of_class(type(masker)))
            for masker in (module._secrets_masker() for module in maskers())
        ]

    def put_back(self) -> None:
        """Have them forget what a command has taught them."""
        for masker, state, of_class in self._known:
            if masker.patterns != state["patterns"]:
                vars(masker).clear()
                vars(masker).update({**state, "patterns": set(state["patterns"])})
            for name, value in of_class.items():
                if getattr(type(masker), name) != value:
                    setattr(type(masker), name, value)


def _of_class(kind: type) -> dict[str, Any]:
    """Return the settings that a masker's class has: whether it masks, and has warned of a short secret."""
    found: dict[str, Any] = {}
    for name in ("_has_warned_short_secret", "mask_secrets_in_logs", "min_length_to_mask"):
        with contextlib.suppress(AttributeError):
            found[name] = getattr(kind, name)
    return found
