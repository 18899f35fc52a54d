"""What the engine is asked to run, within which limits, and how it can end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any


@dataclass(frozen=True)
class Limits:
    """
    What all commands of one engine share.

    :param parallelism: commands that run at the same time
    :param queue: commands that may wait for their turn; one more is refused
    :param spares: children kept forked and connected ahead of the requests
    :param grace: seconds between the first signal (INT) and the last (KILL), with TERM half way
    :param memory: megabytes of private memory that one command may have, or None
    :param columns: width of the terminal that a command believes it prints to
    :param preload: modules that the warm parent imports beside Airflow's commands
    :param fork: False runs each command in a new interpreter instead of a fork of the warm parent
    """

    parallelism: int = 8
    queue: int = 64
    spares: int = 2
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
    :param shown: the same without its secrets: what Airflow's audit log gets to see; `argv` itself when None
    :param entry: `module:function` of this package that takes `argv` in place of Airflow's own entry point
    :param cwd: folder to run in; the engine's own empty folder when None
    :param env: variables to add to the environment of the command
    :param timeout: seconds after which the command is ended, or None
    :param secrets: texts that are masked in whatever the command prints
    :param visible: the rows that may be printed, by the key with which they name an object; None for all
    :param mask: whether to mask as well what Airflow's secrets masker learns while the command runs
    :param setup: functions of this package, as `module:function`, that the child calls before the command,
        each with its argument, a JSON value
    :param limited: whether the engine's limit of memory holds for it
    """

    argv: Sequence[str] = field(repr=False)
    shown: Sequence[str] | None = None
    entry: str | None = None
    cwd: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    timeout: float | None = None
    secrets: Sequence[str] = field(default=(), repr=False)
    visible: Mapping[str, Sequence[str]] | None = field(default=None, repr=False)
    mask: bool = False
    setup: Mapping[str, Any] = field(default_factory=dict)
    limited: bool = True


class Ending(str, Enum):
    """Why a command is no longer running."""

    EXITED = "exited"
    KILLED = "killed"
    """By a signal that did not come from us."""
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"
    LOST = "lost"
    """The process that could have told us is gone."""
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
