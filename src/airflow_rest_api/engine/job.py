"""What the engine is asked to run, within which limits, and how it can end."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any


@dataclass(frozen=True)
class Hooks:
    """
    What the engine's processes do for the program whose commands they run: functions, as `module:function`.

    :param warm: once in the warm parent; is given a function that takes the paths whose change renews the
        parent, and `Limits.preload`
    :param spare: in a spare child while it waits for its job
    :param rest: in a child that has waited for long, or ends without a job: closes what `spare` left open
    :param masker: before a job whose output is masked; is given the secrets of the job, and a function that
        takes those that the command learns, None where these may be seen
    :param main: runs a job without an entry of its own; is given its `argv`
    :param tidy: in a child that may take another job after its first, before that; returns a function that
        puts back after each what is the program's, and returns None, or in some words what it could not
    :param package: the one whose code no job may leave exchanged
    :param elsewhere: the beginnings of its modules that are not looked at, as jobs hardly use them
    """

    warm: str | None = None
    spare: str | None = None
    rest: str | None = None
    masker: str | None = None
    main: str | None = None
    tidy: str | None = None
    package: str | None = None
    elsewhere: Sequence[str] = ()


def function(name: str | None) -> Callable[..., Any]:
    """Return the function called `module:function`, for None one that does nothing."""
    if name is None:
        return lambda *_: None
    module, _, attribute = name.partition(":")
    return getattr(importlib.import_module(module), attribute)  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Limits:
    """
    What all commands of one engine share.

    :param parallelism: commands that run at the same time
    :param share: of them those of one owner, or None
    :param queue: commands that may wait in the queue; one more is refused
    :param spares: children kept forked and connected ahead of the requests
    :param residents: children that take one job after another, of those that allow it
    :param grace: seconds between the first signal (INT) and the last (KILL), with TERM half way
    :param memory: megabytes of private memory that one command may have, or None
    :param columns: width of the terminal that a command believes it prints to
    :param preload: modules that the warm parent imports beside Airflow's commands
    :param fork: False runs each command in a new interpreter instead of a fork of the warm parent
    """

    parallelism: int = 8
    share: int | None = None
    queue: int = 64
    spares: int = 2
    residents: int = 0
    grace: float = 10.0
    memory: int | None = None
    columns: int = 200
    preload: tuple[str, ...] = ()
    fork: bool = True


@dataclass(frozen=True)
class Job:
    """
    One command to run.

    :param argv: the words after `airflow`
    :param shown: the same without its secrets, for `sys.argv`, which Airflow writes to its audit log; `argv`
        itself when None
    :param entry: `module:function` that takes `argv` in place of the engine's `Hooks.main`
    :param cwd: folder to run in; the engine's own empty folder when None
    :param env: variables to add to the environment of the command
    :param timeout: seconds after which the command is ended, or None
    :param secrets: texts that are masked in whatever the command prints
    :param mask: whether to mask as well the secrets that the command learns while it runs: see `Hooks.masker`
    :param setup: functions, as `module:function`, that the child calls before the command, each with its
        argument, a JSON value
    :param limited: whether the engine's limit of memory holds for it
    :param resident: whether a child that has run other jobs may run it, and others after it
    :param owner: whose share of the engine it counts to, None where it counts to nobody's
    """

    argv: Sequence[str] = field(repr=False)
    shown: Sequence[str] | None = None
    entry: str | None = None
    cwd: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    timeout: float | None = None
    secrets: Sequence[str] = field(default=(), repr=False)
    mask: bool = False
    setup: Mapping[str, Any] = field(default_factory=dict, repr=False)
    limited: bool = True
    resident: bool = False
    owner: str | None = None


class Ending(str, Enum):
    """Why a command is no longer running."""

    EXITED = "exited"
    KILLED = "killed"
    """The process ended before the command had: by a signal, or by what the command ran."""
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"
    LOST = "lost"
    """The process that could have reported the end is gone."""
    USAGE = "usage"
    """The command's own parser refused the arguments; nothing was done."""


@dataclass(frozen=True)
class Outcome:
    """
    How a command ended.

    :param exit_code: what the process returned, where it returned at all
    :param signal: the signal that ended it, where one did
    :param message: one sentence for everything that is not `EXITED`
    """

    ending: Ending
    exit_code: int | None = None
    signal: int | None = None
    message: str | None = None
