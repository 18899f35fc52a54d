"""Who may run what, and see what: the options, the gate, and the permit without which nothing begins."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import nullcontext
from fnmatch import fnmatchcase
from functools import cache
from typing import TYPE_CHECKING

from airflow_rest_api.commands.model import Effect
from airflow_rest_api.commands.needs import Ask, Resource, queue_power
from airflow_rest_api.commands.policy import (
    CHOOSES_CODE,
    RULES,
    RUN_DAG_CODE,
    WITH_DAG_FILES,
    described,
    refusal,
)
from airflow_rest_api.errors import Forbidden, SwitchedOff
from airflow_rest_api.placement import DAG_FILES, LOCAL, Placement, globs
from airflow_rest_api.security.audit import Audit
from airflow_rest_api.security.decision import Attempt, Decision, asks_of, decide, granted, possible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_rest_api.airflow.permissions import Permissions
    from airflow_rest_api.commands.model import Command, Invocation
    from airflow_rest_api.operations.model import Operation
    from airflow_rest_api.security.audit import EndRecord
    from airflow_rest_api.security.caller import Caller


_SAYS_SOMETHING = re.compile(r"[^*?\s]")


class Switches:
    """
    The options that switch commands off.

    :param enabled: globs over names; what none of them matches is off. A command that is destructive or
        grants access is only on when one of them says something of its name: ``*`` alone does not
    :param disabled: globs over names; what one of them matches is off
    :param read_only: whether everything beyond the effect `read` is off
    :param run_dag_code: whether the code of DAG authors may run in processes of the API server's host
    :param aliases: the names of the 1.x endpoints with those of the commands that do their work; a glob that
        matches one of the former counts for the latter
    :param placement: says what does not run on the API server's host
    """

    def __init__(
        self,
        *,
        enabled: str = "*",
        disabled: str = "",
        read_only: bool = False,
        run_dag_code: bool = True,
        aliases: Mapping[str, Collection[str]] | None = None,
        placement: Placement | None = None,
    ) -> None:
        self._enabled, self._disabled = globs(enabled), globs(disabled)
        self._read_only = read_only
        self._run_dag_code = run_dag_code
        self._placement = placement or Placement()
        self._aliases = aliases or {}
        self._names: dict[str, list[str]] = {}
        for alias, commands in self._aliases.items():
            for command in commands:
                self._names.setdefault(command, []).append(alias)

    def fitting_nothing(self, commands: Iterable[str]) -> list[tuple[str, str]]:
        """
        Return the globs that fit no name, each behind its option: misspelled, it does nothing.

        :param commands: the names of the commands of this Airflow
        """
        # Those of providers that are not installed, and of other versions of Airflow, are no mistakes.
        known = {*commands, *RULES, *self._aliases}
        options = {
            "enabled_commands": self._enabled,
            "disabled_commands": self._disabled,
            "placement": self._placement.globs,
        }
        found = [(option, glob) for option, globs in options.items() for glob in globs]
        return [(option, glob) for option, glob in found if not _matches([glob], known)]

    @property
    def queues(self) -> tuple[str, ...]:
        """The queues whose runners run something, by the rules."""
        return self._placement.queues

    def queue_of(
        self, commands: Iterable[Command], effect: Effect, given: Collection[str] = frozenset()
    ) -> str:
        """
        Return the queue of what runs commands; all work on DAG files has one of its own.

        :param given: the names of the arguments that the caller chose: a path in a bundle needs the bundle
        """
        names = [command.name for command in commands]
        if WITH_DAG_FILES.isdisjoint(names):
            found = self._placement.queue_of(names, effect.value)
            if found != LOCAL or CHOOSES_CODE.isdisjoint(given):
                return found
        return self._placement.queue_of([DAG_FILES])

    def option(self, command: Command, given: Collection[str] = (), queue: str | None = None) -> str | None:
        """
        Return the option because of which a command is off, None where it is on.

        :param given: the names of the arguments that the caller chose
        :param queue: where it is to run; by default where the rules say
        """
        names = [command.name, *self._names.get(command.name, ())]
        effect = command.effect_of(given)
        if _matches(self._disabled, names):
            return "disabled_commands"
        if self._read_only and effect is not Effect.READ:
            return "read_only"
        if not self._run_dag_code and (effect is Effect.EXECUTE or command.name in RUN_DAG_CODE):
            where = self.queue_of([command], effect, given) if queue is None else queue
            if where == LOCAL:
                return "run_dag_code"
        enabling = self._enabled
        if command.off_until_named(given):
            enabling = [glob for glob in enabling if _SAYS_SOMETHING.search(glob)]
        return None if _matches(enabling, names) else "enabled_commands"

    def setting(self, option: str, command: Command) -> str:
        """
        Return the line of `[rest_api_plugin]` with which an option no longer switches a command off.

        :param option: what `option` returns for the command
        """
        if option == "read_only":
            return "read_only = False"
        if option == "run_dag_code":
            return "run_dag_code = True"
        names = [command.name, *self._names.get(command.name, ())]
        if option == "disabled_commands":
            left = [glob for glob in self._disabled if not _matches([glob], names)]
            return f"disabled_commands = {', '.join(left)}".rstrip()
        return f"enabled_commands = {', '.join([*self._enabled, command.name])}"


def _matches(globs: Iterable[str], names: Iterable[str]) -> bool:
    return any(fnmatchcase(name, glob) for name in names for glob in globs)


OnEnd = Callable[["Operation"], None]
Rule = Callable[["Permissions | None"], "Decision"]
"""Decides by the permissions of a user, None for an administrator; raises Forbidden."""


_PROOF = object()
"""What only this module has: without it there is no `Permit`."""


class Permit:
    """
    What an operation needs to begin: that its user may, and that it is recorded. Only the `Gate` gives it.

    :ivar user: the name under which it is recorded
    :ivar asks: what the user needed for it: who may do all of that may see the operation
    :ivar visible: the rows that may be printed, None for all
    :ivar redacted: secrets are masked, although the command is there to show them
    :ivar on_end: records the end, None for a plain read
    :ivar queue: whose runners run it; `LOCAL`: this API server
    """

    def __init__(
        self,
        proof: object,
        user: str,
        decision: Decision | None = None,
        on_end: EndRecord | None = None,
        queue: str = LOCAL,
    ) -> None:
        if proof is not _PROOF:
            raise TypeError("only the gate gives permits")
        self.user = user
        self.asks = None if decision is None else decision.asks
        self.visible = None if decision is None else decision.visible
        self.redacted = decision is not None and decision.redacted
        self.on_end = on_end
        self.queue = queue


class Gate:
    """
    Decides, by the options and by the auth manager, before anything runs and before anything is shown.

    :param audit: records refusals, and the end of what was permitted
    """

    def __init__(self, switches: Switches | None = None, audit: Audit | None = None) -> None:
        self._switches = switches or Switches()
        self._audit = audit or Audit()

    def runs_here(
        self, command: Command | None, given: Collection[str] = (), queue: str | None = None
    ) -> bool:
        """
        Return whether it is certain that this API server runs a command, and no runner.

        :param command: None where it is not known yet
        :param given: the names of the arguments that the caller chose
        :param queue: that the caller has named
        """
        if queue is not None or command is None:
            return queue == LOCAL or (queue is None and not self._switches.queues)
        return self._switches.queue_of([command], command.effect_of(given), given) == LOCAL

    def usual_queue(self, invocation: Invocation, attempts: Iterable[Attempt]) -> str:
        """Return the queue that the rules have for what comes to some attempts."""
        attempts = list(attempts)
        commands = [invocation.command, *(attempt.command for attempt in attempts)]
        given = frozenset().union(*(attempt.given for attempt in attempts), invocation.given)
        return self._switches.queue_of(commands, invocation.effect, given)

    async def queue_for(self, caller: Caller, command: Command, queue: str | None = None) -> str:
        """
        Return the queue whose runners run a command; `LOCAL`: this API server.

        :param queue: that the caller has named
        :raises Forbidden: which they may not
        """
        if queue is not None and queue != self.where(command):
            await self._check_queue(caller, queue)
        return self.where(command, queue)

    def where(self, command: Command, queue: str | None = None) -> str:
        """Return the queue of a command, which is the one that the caller has named or that of the rules."""
        return queue or self._switches.queue_of([command], command.effect)

    def on(self, command: Command, queue: str | None = None) -> None:
        """
        Raise SwitchedOff where an option switches a command off; says nothing about who may run it.

        :param queue: where it is to run; by default where the rules say
        """
        if (off := self._off(command, (), queue)) is not None:
            raise off

    async def precheck(
        self,
        caller: Caller,
        command: Command,
        invocation: Invocation | None = None,
        *,
        queue: str | None = None,
    ) -> None:
        """
        Raise Forbidden unless the caller may run a command on something, with some arguments.

        For the moment before the arguments are looked at. A refusal is recorded.

        :param queue: that the caller has named
        """
        with self._audit.refusals(caller, command.name, invocation):
            if (refusal := (await self.refusals(caller, [command], queue)).get(command.name)) is not None:
                raise refusal

    async def authorize(
        self,
        caller: Caller,
        invocation: Invocation,
        attempts: Iterable[Attempt] | None = None,
        *,
        rule: Rule | None = None,
        recorded: bool = True,
        queue: str | None = None,
    ) -> Permit:
        """
        Return the permit for an operation, which says as well where it runs.

        :param invocation: as which it is recorded
        :param attempts: all that it comes to, by default the invocation itself; none where there is a rule
        :param rule: decides besides
        :param recorded: whether a refusal is; not where the same request has another way
        :param queue: that the caller has named, in place of that of the rules
        :raises Forbidden: the caller may not
        :raises Unavailable: its end could not be recorded
        """
        if attempts is None:
            own = Attempt(invocation.command, invocation.values, invocation.given)
            attempts = [own] if rule is None else []
        attempts = list(attempts)
        usual = self.usual_queue(invocation, attempts)
        refusals = self._audit.refusals(caller, invocation.command.name, invocation)
        with refusals if recorded else nullcontext():
            if queue is not None and queue != usual:
                await self._check_queue(caller, queue)
            where = queue or usual
            decisions = [await self._decision(caller, attempt, where) for attempt in attempts]
            if rule is not None:
                decisions.append(rule(None) if await caller.is_admin() else await caller.ask(rule))
        if not decisions:
            raise ValueError("there is nothing to decide")
        return Permit(_PROOF, caller.name, _joined(decisions), self._audit.ended(caller, invocation), where)

    @staticmethod
    def standing(user: str, queue: str = LOCAL) -> Permit:
        """
        Return the permit for what needs no decision about a user any more, or comes before one.

        To bring about the desired state that they were authorized to record, and to look up what they have
        named for the decision on it.
        """
        return Permit(_PROOF, user, queue=queue)

    async def check(self, caller: Caller, attempts: Iterable[Attempt], queue: str | None = None) -> Decision:
        """
        Raise Forbidden unless the caller may run all of some commands; say what may be seen of them.

        :param queue: where they run; by default where the rules say
        """
        return _joined([await self._decision(caller, attempt, queue) for attempt in attempts])

    async def _check_queue(self, caller: Caller, queue: str) -> None:
        """Raise Forbidden where a caller may not name a queue."""
        needed = Ask(Resource.POWER, "PUT", queue_power(queue), None)
        if not await caller.is_admin() and not await caller.ask(lambda held: granted(held, needed)):
            raise Forbidden(f"You may not use the queue {queue!r}: that takes {needed}.")

    async def _decision(self, caller: Caller, attempt: Attempt, queue: str | None = None) -> Decision:
        command = attempt.command
        if (off := self._off(command, attempt.given, queue)) is not None:
            raise off
        if await caller.is_admin():
            return Decision(None, asks_of(attempt))
        decision = await caller.ask(lambda permissions: decide(permissions, attempt))
        if decision.missing is not None:
            raise _refusal(command, decision.missing)
        return decision

    async def allowed(self, caller: Caller, commands: Iterable[Command]) -> set[str]:
        """Return the names of those commands that the caller may run on something."""
        found = list(commands)
        refused = await self.refusals(caller, found)
        return {command.name for command in found if command.name not in refused}

    async def refusals(
        self, caller: Caller, commands: Iterable[Command], queue: str | None = None
    ) -> dict[str, Forbidden]:
        """
        Return, by name, why the caller may not run a command on anything; it may run the others.

        :param queue: that the caller has named
        """
        refused: dict[str, Forbidden] = {}
        on: list[Command] = []
        for command in commands:
            if (off := self._off(command, (), queue)) is not None:
                refused[command.name] = off
            else:
                on.append(command)
        if on and not await caller.is_admin():
            missing = await caller.ask(lambda permissions: [possible(permissions, one) for one in on])
            refused |= {
                command.name: _refusal(command, ask)
                for command, ask in zip(on, missing, strict=True)
                if ask is not None
            }
        return refused

    async def may_see(self, caller: Caller, operations: Iterable[Operation]) -> set[str]:
        """
        Return the ids of those operations that the caller may see.

        Their own, all as an administrator, and those that they could have run with the same outcome.
        """
        found = list(operations)
        own = {operation.id for operation in found if operation.user == caller.name}
        others = [operation for operation in found if operation.id not in own]
        if not others:
            return own
        if await caller.is_admin():
            return {operation.id for operation in found}
        return own | await caller.ask(lambda permissions: _repeatable(permissions, others))

    async def may_cancel(self, caller: Caller, operation: Operation) -> bool:
        """Return whether the caller may end a command: their own, or any as an administrator."""
        return operation.user == caller.name or await caller.is_admin()

    def _off(
        self, command: Command, given: Collection[str] = (), queue: str | None = None
    ) -> SwitchedOff | None:
        option = self._switches.option(command, given, queue)
        if option is None:
            return None
        return SwitchedOff(command.name, option, self._switches.setting(option, command))


def needs_in_words(command: Command) -> str:
    """Return what a command needs, as a sentence without its full stop; empty where a token is enough."""
    return "; ".join(dict.fromkeys(described(command)))


def _joined(decisions: Sequence[Decision]) -> Decision:
    """Return what several decisions come to together."""
    visible: dict[str, tuple[str, ...]] = {}
    for decision in decisions:
        for key, names in (decision.visible or {}).items():
            visible[key] = tuple(set(names) & set(visible.get(key, names)))
    asks = tuple(ask for decision in decisions for ask in decision.asks)
    return Decision(None, asks, visible or None, any(decision.redacted for decision in decisions))


def _repeatable(permissions: Permissions, operations: Iterable[Operation]) -> set[str]:
    @cache
    def holds(ask: Ask) -> bool:
        return granted(permissions, ask)

    return {
        operation.id
        for operation in operations
        if operation.asks is not None and all(holds(ask) for ask in operation.asks)
    }


def _refusal(command: Command, missing: Ask) -> Forbidden:
    why = "" if command.known else ", because this version of the plugin does not know what it does"
    return Forbidden(refusal(command.name, f"{missing}{why}"))
