"""What the server says of operations, files and output."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import count
from typing import Any, Literal, NamedTuple

RUNNING = frozenset({"queued", "running"})
_NAMES = "HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM"
_SIGNALS = {**dict(zip(_NAMES.split(), count(1))), "XCPU": 24, "XFSZ": 25, "SYS": 31}
"""Those of Linux, where commands run; this machine may have others."""
_LEFT_OUT = re.compile(r"^… \d+ bytes left out …$", re.MULTILINE)
"""The line that the server puts in the place of output that it has dropped."""
_BY_SIGNAL = re.compile(r"ended by signal (?:SIG)?(\w+)\.")


class ResultFile(NamedTuple):
    """
    A file that a command wrote.

    :ivar argument: the argument that named it
    :ivar size: in bytes
    """

    argument: str
    name: str
    size: int
    media_type: str


class OperationData:
    """
    One run of a command, as the server last said.

    :ivar data: the members of the answer, all of docs/api.md of the plugin
    """

    def __init__(self, data: Mapping[str, Any]) -> None:
        self.data: dict[str, Any] = dict(data)

    @property
    def id(self) -> str:
        """Its id."""
        return str(self.data["id"])

    @property
    def command(self) -> str:
        """The name of the command, such as `dags list`."""
        return str(self.data["command"])

    @property
    def state(self) -> str:
        """`queued`, `running`, `succeeded`, `failed`, `cancelled`, `timed_out` or `lost`."""
        return str(self.data["state"])

    @property
    def ended(self) -> bool:
        """Whether it has ended."""
        return self.state not in RUNNING

    @property
    def succeeded(self) -> bool:
        """Whether it has ended well."""
        return self.state == "succeeded"

    @property
    def reads(self) -> bool:
        """Whether it only reads."""
        return self.data.get("effect") == "read"

    @property
    def exit_code(self) -> int | None:
        """What the command exited with; None before, and where it was ended."""
        code = self.data.get("exit_code")
        return code if isinstance(code, int) else None

    @property
    def signal(self) -> int | None:
        """The number of the signal that has ended its process, where one has."""
        found = _BY_SIGNAL.search(self.message or "") if self.data.get("exit_code") is None else None
        if found is None or self.state != "failed":
            return None
        return int(found[1]) if found[1].isdecimal() else _SIGNALS.get(found[1])

    @property
    def message(self) -> str | None:
        """One sentence on an end that is no success, or on what it still waits for."""
        message = self.data.get("message")
        return message if isinstance(message, str) else None

    @property
    def stdout(self) -> str:
        """What it has printed so far, without what the server left out (`truncated`)."""
        return str(self.data.get("stdout") or "")

    @property
    def stderr(self) -> str:
        """What it has printed on standard error so far."""
        return str(self.data.get("stderr") or "")

    @property
    def result(self) -> Any:
        """The JSON that it printed, or the one value that it is there to print; else None."""
        return self.data.get("result")

    @property
    def truncated(self) -> bool:
        """Whether output is missing from `stdout` or `stderr`."""
        return bool(self.data.get("truncated"))

    def lacks(self, stream: Literal["stdout", "stderr"]) -> bool:
        """Return whether output is missing from a stream; where neither says so, it may be from each."""
        if not self.truncated:
            return False
        cut = {name for name in ("stdout", "stderr") if _LEFT_OUT.search(getattr(self, name))}
        return stream in cut or not cut

    @property
    def warnings(self) -> list[str]:
        """What the server had to say about it."""
        return [str(warning) for warning in self.data.get("warnings") or ()]

    @property
    def files(self) -> list[ResultFile]:
        """The files that it wrote."""
        return [
            ResultFile(str(one["argument"]), str(one["name"]), int(one["size"]), str(one["media_type"]))
            for one in self.data.get("files") or ()
        ]

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id} {self.command}: {self.state}>"


class Output(NamedTuple):
    """
    A piece of what a command printed, as it came: not always whole lines.

    :ivar offset: bytes of the stream before it
    """

    stream: Literal["stdout", "stderr"]
    text: str
    offset: int


class Line(NamedTuple):
    """A line that a command printed, without its end."""

    stream: Literal["stdout", "stderr"]
    text: str


class Gap(NamedTuple):
    """That many bytes of a stream are not kept by the server any more."""

    stream: Literal["stdout", "stderr"]
    missing: int


class Progress(NamedTuple):
    """What an operation of several steps says of itself, such as a deployment."""

    step: str
    data: Mapping[str, Any]


class State(NamedTuple):
    """The operation began, waits, or is as it is now; without its output."""

    operation: OperationData


class End(NamedTuple):
    """The operation as it ended, without its output: the last event."""

    operation: OperationData


Event = Output | Gap | Progress | State | End
