"""Who may run what, and see what."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_rest_api.commands.needs import described
from airflow_rest_api.security.decision import Attempt, Decision, asks_of, decide, granted, possible
from airflow_rest_api.security.switches import Switches

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_rest_api.commands.model import Command
    from airflow_rest_api.commands.needs import Ask
    from airflow_rest_api.operations.model import Operation
    from airflow_rest_api.security.caller import Caller
    from airflow_rest_api.security.decision import Permissions


class Forbidden(Exception):
    """The caller may not; the message says what is missing."""

    reason = "forbidden"
    option: str | None = None


class SwitchedOff(Forbidden):
    """Nobody may, because of an option."""

    reason = "switched_off"

    def __init__(self, command: str, option: str) -> None:
        self.option = option
        super().__init__(f"{command!r} is switched off: see [rest_api_plugin] {option}.")


class Gate:
    """Decides, by the options and by the auth manager, before anything runs and before anything is shown."""

    def __init__(self, switches: Switches | None = None) -> None:
        self._switches = switches or Switches()

    def on(self, command: Command) -> None:
        """Raise SwitchedOff where an option switches a command off; says nothing about who may run it."""
        if option := self._switches.option(command):
            raise SwitchedOff(command.name, option)

    async def knock(self, caller: Caller, command: Command) -> None:
        """
        Raise Forbidden unless the caller may run a command on something, with some arguments.

        For the moment before the arguments are looked at.
        """
        if option := self._switches.option(command):
            raise SwitchedOff(command.name, option)
        if not await caller.is_admin():
            missing = await caller.ask(lambda permissions: possible(permissions, command))
            if missing is not None:
                raise Forbidden(_refusal(caller, command, missing))

    async def enter(self, caller: Caller, attempt: Attempt) -> Decision:
        """Raise Forbidden unless the caller may run a command with its arguments; say what of it they see."""
        command = attempt.command
        if option := self._switches.option(command, attempt.given):
            raise SwitchedOff(command.name, option)
        if await caller.is_admin():
            return Decision(None, asks_of(attempt))
        decision = await caller.ask(lambda permissions: decide(permissions, attempt))
        if decision.missing is not None:
            raise Forbidden(_refusal(caller, command, decision.missing))
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
        on = [command for command in commands if self._switches.option(command) is None]
        if await caller.is_admin():
            return {command.name for command in on}
        return await caller.ask(
            lambda permissions: {command.name for command in on if possible(permissions, command) is None}
        )

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


def _refusal(caller: Caller, command: Command, missing: Ask) -> str:
    why = "" if command.known else ", because this version of the plugin does not know what it does"
    return f"{command.name!r} needs {missing}{why}; {caller.name} has no such permission."
