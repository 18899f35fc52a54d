"""Where what runs: rules that lead from commands, by name or effect, to the queues that runners serve."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

LOCAL = "local"
"""The queue that is none: an API server runs the command itself."""

HOST = "host:"
"""What the name of the queue begins with that each runner serves for its own host."""

DAG_FILES = "dag-files"
"""What a rule calls all work on DAG files: deployment, check, refresh, history, what lies in the bundles."""

LONGEST_QUEUE = 100
# What a header, a path and every broker take as it is.
_QUEUE = re.compile(rf"(?:{HOST})?[A-Za-z0-9][A-Za-z0-9_.-]*", re.ASCII)
# The marks of who quotes for a shell or a file that is none, and other separators than commas.
_NO_NAME = re.compile(r"""["'`;|&]""")
EFFECTS = ("read", "write", "execute", "service", "destructive")
"""What a rule can name in place of commands: see `commands.model.Effect`."""


def listed(text: str) -> list[str]:
    """Return the entries of a setting that is a list, with commas or ends of lines between them."""
    return [word for part in re.split(r"[\n,]", text) if (word := part.strip())]


def globs(text: str) -> list[str]:
    """Return the globs over names of commands that a list has; raise ValueError: see `_glob`."""
    return [_glob(word) for word in listed(text)]


def _glob(word: str) -> str:
    """
    Return a glob with single blanks.

    :raises ValueError: it has a sign that no name has, and would fit nothing: what is to be off stayed on
    """
    if _NO_NAME.search(word):
        raise ValueError(f"must be globs over names of commands, not {word[:LONGEST_QUEUE]!r}")
    return " ".join(word.split())


def queue_name(text: str) -> str:
    """Return the name of a queue; raise ValueError for what cannot be one."""
    if len(text) > LONGEST_QUEUE or not _QUEUE.fullmatch(text):
        raise ValueError(
            f"the name of a queue is letters, digits, '.', '_' and '-', up to {LONGEST_QUEUE}, "
            f"not {text[:LONGEST_QUEUE]!r}"
        )
    return text


def queue_of_host(host: str) -> str:
    """Return the queue of what is to run on one host; raise ValueError where its name cannot be one."""
    return queue_name(f"{HOST}{host}")


@dataclass(frozen=True)
class PlacementRule:
    """
    One line of `[rest_api_plugin] placement`.

    :ivar selector: an effect, or a glob over names of commands
    :ivar queue: where these run; `LOCAL` here
    """

    selector: str
    queue: str

    def matches(self, names: Iterable[str], effect: str) -> bool:
        """Return whether it is about a command that has one of these names, with this effect."""
        if self.selector in EFFECTS:
            return self.selector == effect
        return any(fnmatchcase(name, self.selector) for name in names)


def placement_rules(text: str) -> tuple[PlacementRule, ...]:
    """
    Return the rules of lines, or parts between commas, such as ``execute = dags``.

    :raises ValueError: one is no rule
    """
    rules = []
    for line in listed(text):
        selector, equals, queue = (part.strip() for part in line.partition("="))
        if not selector or not equals or not queue:
            raise ValueError(f"must be rules such as 'execute = dags', not {line[:LONGEST_QUEUE]!r}")
        rules.append(PlacementRule(_glob(selector), queue_name(queue)))
    return tuple(rules)


class Placement:
    """Decides where commands run: the first rule that fits counts; what none fits runs here."""

    def __init__(self, rules: Iterable[PlacementRule] = ()) -> None:
        self._rules = tuple(rules)

    @property
    def queues(self) -> tuple[str, ...]:
        """The queues that the rules name, each once, without `LOCAL`."""
        return tuple(dict.fromkeys(rule.queue for rule in self._rules if rule.queue != LOCAL))

    @property
    def globs(self) -> list[str]:
        """The globs over names of commands in the rules."""
        found = (rule.selector for rule in self._rules if rule.selector not in EFFECTS)
        return [glob for glob in found if not fnmatchcase(DAG_FILES, glob)]

    def queue_of(self, names: Iterable[str], effect: str = "") -> str:
        """
        Return the queue of what runs commands.

        :param names: all names that it has: of an endpoint of 1.x, and of the commands that this runs; or
            `DAG_FILES`
        :param effect: what it may do at most; none for work on DAG files, which no rule for effects is about
        """
        found = list(names)
        return next((rule.queue for rule in self._rules if rule.matches(found, effect)), LOCAL)
