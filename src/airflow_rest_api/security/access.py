"""Who may run what, and see what."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_rest_api.commands.policy import described, refusal
from airflow_rest_api.errors import Forbidden, SwitchedOff
from airflow_rest_api.security.decision import Attempt, Decision, asks_of, decide, granted, possible
from airflow_rest_api.security.switches import Switches

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from airflow_rest_api.commands.model import Command
    from airflow_rest_api.commands.needs import Ask
    from airflow_rest_api.operations.model import Operation
    from airflow_rest_api.security.caller import Caller
    from airflow_rest_api.security.decision import Permissions


class Gate:
    """Decides, by the options and by the auth manager, before anything runs and before anything is shown."""

    def __init__(self, switches: Switches | None = None) -> None:
        self._switches = switches or Switches()

    def on(self, command: Command) -> None:
        """Raise SwitchedOff where an option switches a command off; says nothing about who may run it."""
        if (off := self._off(command)) is not None:
            raise off

    async def knock(self, caller: Caller, command: Command) -> None:
        """
        Raise Forbidden unless the caller may run a command on something, with some arguments.

        For the moment before the arguments are looked at.
        """
        if (refusal := (await self.refusals(caller, [command])).get(command.name)) is not None:
            raise refusal

    async def enter(self, caller: Caller, attempt: Attempt) -> Decision:
        """Raise Forbidden unless the caller may run a command with its arguments; say what of it they see."""
        command = attempt.command
        if (off := self._off(command, attempt.given)) is not None:
            raise off
        if await caller.is_admin():
            return Decision(None, asks_of(attempt))
        decision = await caller.ask(lambda permissions: decide(permissions, attempt))
        if decision.missing is not None:
            raise _refusal(command, decision.missing)
        return decision

    async def enter_all(self, caller: Caller, attempts: Iterable[Attempt]) -> Decision:
        """Raise Forbidden unless the caller may run all of several commands; say what may be seen of them."""
        asks: list[Ask] = []
        visible: dict[str, tuple[str, ...]] = {}
        redacted = False
        for attempt in attempts:
            decision = await self.enter(caller, attempt)
            asks += decision.asks
            redacted = redacted or decision.redacted
            for key, names in (decision.visible or {}).items():
                visible[key] = tuple(set(names) & set(visible.get(key, names)))
        return Decision(None, tuple(asks), visible or None, redacted)

    async def allowed(self, caller: Caller, commands: Iterable[Command]) -> set[str]:
        """Return the names of those commands that the caller may run on something."""
        found = list(commands)
        refused = await self.refusals(caller, found)
        return {command.name for command in found if command.name not in refused}

    async def refusals(self, caller: Caller, commands: Iterable[Command]) -> dict[str, Forbidden]:
        """Return, by name, why the caller may not run a command on anything; it may run the others."""
        refused: dict[str, Forbidden] = {}
        on: list[Command] = []
        for command in commands:
            if (off := self._off(command)) is not None:
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

    def _off(self, command: Command, given: Collection[str] = ()) -> SwitchedOff | None:
        option = self._switches.option(command, given)
        if option is None:
            return None
        return SwitchedOff(command.name, option, self._switches.setting(option, command))


def needs_in_words(command: Command) -> str:
    """Return what a command needs, as a sentence without its full stop; empty where a token is enough."""
    return "; ".join(dict.fromkeys(described(command)))


def _repeatable(permissions: Permissions, operations: Iterable[Operation]) -> set[str]:
    known: dict[Ask, bool] = {}

    def holds(ask: Ask) -> bool:
        if ask not in known:
            known[ask] = granted(permissions, ask)
        return known[ask]

    return {
        operation.id
        for operation in operations
        if operation.asks is not None and all(holds(ask) for ask in operation.asks)
    }


def _refusal(command: Command, missing: Ask) -> Forbidden:
    why = "" if command.known else ", because this version of the plugin does not know what it does"
    return Forbidden(refusal(command.name, f"{missing}{why}"))
