"""What can be wrong with a command or its arguments before anything runs."""

from __future__ import annotations


class CommandError(Exception):
    """A command line that cannot be run."""


class UnknownCommand(CommandError):
    """No such command; ``nearest`` holds the names a client may have meant, best first."""

    def __init__(self, name: str, nearest: list[str] | None = None) -> None:
        self.name = name
        self.nearest = nearest or []
        super().__init__(f"unknown command: {name!r}")


class BadArgument(CommandError):
    """An argument was refused; ``argument`` is its name where one argument is to blame."""

    def __init__(self, argument: str | None, message: str) -> None:
        self.argument = argument
        self.message = message
        super().__init__(message)
