"""All that a command needs to run, here or where it is sent: as one object, and as bytes for the database."""

from __future__ import annotations

import dataclasses
import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from typing import TYPE_CHECKING, Any

from airflow_rest_api.airflow.child import setup
from airflow_rest_api.commands.model import PLAIN, Argument, Command, Effect, Invocation
from airflow_rest_api.engine.job import Job
from airflow_rest_api.operations.files import Upload
from airflow_rest_api.operations.result import Read, documents, reader, without_log_lines

if TYPE_CHECKING:
    from airflow_rest_api.operations.files import Removable
    from airflow_rest_api.operations.runs import Work
    from airflow_rest_api.security.access import Permit

LENGTH = 8
"""Bytes of the number that an order begins with."""
OTHER_VERSION = "This runner has another version of the REST API plugin than the API server."
FORM = 2
"""The version of the bytes: a runner of another version of the plugin takes none that it does not know."""


class NotTaken(Exception):
    """A work order cannot be carried out here; the message is one sentence."""


@dataclass(frozen=True)
class Reading:
    """
    How the result is read off what a command prints, where that is not as fits its invocation.

    :ivar of: as fits another invocation
    :ivar documents: as the JSON documents in it, one as it is and several as a list; else there is no result
    """

    of: Invocation | None = None
    documents: bool = False

    def reader(self) -> Read | None:
        """Return the reader."""
        if self.of is not None and (found := reader(self.of)) is not None:
            return found
        return _documents if self.documents else lambda stdout, done: None


def _documents(stdout: str, done: bool) -> Any:
    found = list(documents(without_log_lines(stdout)))
    return found if len(found) > 1 else found[0] if found else None


@dataclass(frozen=True)
class EntryPoint:
    """
    What runs in place of Airflow's own entry point.

    :ivar function: `module:function` of this package
    :ivar commands: the names of the commands that it runs; by default that of the invocation
    :ivar reading: how the result is read off what it prints; by default as fits the invocation
    :ivar limited: whether the engine's limit of memory holds for it
    """

    function: str
    commands: Sequence[str] = ()
    reading: Reading | None = None
    limited: bool = True


AIRFLOW = EntryPoint("")
"""Airflow's own entry point."""


@dataclass(frozen=True)
class NamedWork:
    """
    What no command does but a coroutine of ours, in this process or, by its name, in that of a runner.

    :ivar name: under which a runner knows it
    :ivar values: what it is given, good for JSON
    :ivar here: the same in this process
    :ivar files: what it works on, removed when the operation has ended
    :ivar uploads: returns these to be sent along, by any names; blocks
    """

    name: str
    values: Mapping[str, Any]
    here: Work
    files: Removable | None = None
    uploads: Callable[[], Mapping[str, Upload]] = dict

    @property
    def order(self) -> Mapping[str, Any]:
        """Its name and values, as the order has them."""
        return {"name": self.name, "values": self.values}


@dataclass(frozen=True)
class WorkOrder:
    """
    One command to be run, or work of ours to be done.

    :ivar user: as whom
    :ivar redacted: see `Permit`, as `visible`
    :ivar uploads: the files of its arguments
    :ivar ended: what its end is recorded with; None where that is not
    :ivar operation: the id of the operation for which it was made, and for no other
    :ivar airflow_version: of the one who has checked the arguments
    :ivar work: the `order` of a `NamedWork` that is to be done, in place of the command; else None
    """

    invocation: Invocation
    entry: EntryPoint
    user: str
    redacted: bool = False
    visible: Mapping[str, Sequence[str]] | None = None
    uploads: Mapping[str, Upload] = field(default_factory=dict)
    ended: Mapping[str, Any] | None = None
    operation: str = ""
    airflow_version: str = ""
    work: Mapping[str, Any] | None = None

    @classmethod
    def of(
        cls, permit: Permit, invocation: Invocation, entry: EntryPoint, uploads: Mapping[str, Upload]
    ) -> WorkOrder:
        """Return the order for what was permitted."""
        return cls(invocation, entry, permit.user, permit.redacted, permit.visible, uploads)

    def job(self, argv: list[str], timeout: float | None) -> Job:
        """
        Return the job of the engine.

        :param argv: with the places of its files on this host
        """
        invocation, entry = self.invocation, self.entry
        commands = entry.commands or [invocation.command.name]
        return Job(
            argv,
            shown=invocation.masked,
            entry=entry.function or None,
            timeout=timeout,
            secrets=invocation.secrets,
            # What shows secrets on purpose would show nothing.
            mask=self.redacted or not invocation.reveals_secrets,
            setup={
                setup.PREPARE: setup.order(self.user, commands, redacted=self.redacted, visible=self.visible)
            },
            limited=entry.limited,
            resident=entry == AIRFLOW and invocation.may_share,
            # What DAG authors' code does takes long by right, and needs a power of its own.
            owner=self.user if invocation.effect in PLAIN else None,
        )

    def reader(self) -> Read | None:
        """Return what reads the result off what is printed."""
        return reader(self.invocation) if self.entry.reading is None else self.entry.reading.reader()


def to_bytes(order: WorkOrder) -> bytes:
    """
    Return a work order as bytes: the length of what follows as JSON, that, and the content of its uploads.

    These are compressed and no JSON: to encode megabytes of text holds up all threads of the process.
    """
    reading = order.entry.reading
    contents = [(name, upload.filename, _packed(upload)) for name, upload in order.uploads.items()]
    head = json.dumps(
        {
            "form": FORM,
            "airflow_version": order.airflow_version,
            "operation": order.operation,
            "invocation": invocation_values(order.invocation),
            "entry": {
                "function": order.entry.function,
                "commands": list(order.entry.commands),
                "limited": order.entry.limited,
                "reading": reading
                and {"of": reading.of and invocation_values(reading.of), "documents": reading.documents},
            },
            "user": order.user,
            "redacted": order.redacted,
            "visible": order.visible and {key: list(names) for key, names in order.visible.items()},
            "uploads": [(name, filename, len(content)) for name, filename, content in contents],
            "ended": order.ended,
            "work": order.work,
        }
    ).encode()
    return b"".join((len(head).to_bytes(LENGTH, "big"), head, *(content for _, _, content in contents)))


def from_bytes(data: bytes, airflow_version: str) -> WorkOrder:
    """
    Return the work order of `to_bytes`.

    :raises NotTaken: it is of another version of Airflow or of the plugin
    """
    start = LENGTH + int.from_bytes(data[:LENGTH], "big")
    try:
        found = json.loads(data[LENGTH:start].decode())
    except ValueError:
        raise NotTaken(OTHER_VERSION) from None
    theirs = found.get("airflow_version")
    if theirs != airflow_version:
        raise NotTaken(f"This runner has Airflow {airflow_version}, and the API server has Airflow {theirs}.")
    if found.get("form") != FORM:
        raise NotTaken(OTHER_VERSION)
    entry, reading = found["entry"], found["entry"]["reading"]
    uploads: dict[str, Upload] = {}
    for name, filename, size in found["uploads"]:
        uploads[name] = Upload(filename, BytesIO(zlib.decompress(data[start : start + size])))
        start += size
    return WorkOrder(
        invocation_of(found["invocation"]),
        EntryPoint(
            entry["function"],
            entry["commands"] or (),
            reading and Reading(reading["of"] and invocation_of(reading["of"]), reading["documents"]),
            entry["limited"],
        ),
        found["user"],
        found["redacted"],
        found["visible"],
        uploads,
        found["ended"],
        found["operation"],
        theirs,
        found["work"],
    )


def _packed(upload: Upload) -> bytes:
    upload.content.seek(0)
    return zlib.compress(upload.content.read(), 1)


def invocation_values(invocation: Invocation) -> dict[str, Any]:
    """Return an invocation as JSON knows it; with its secrets."""
    return {
        "command": _from_command(invocation.command),
        "argv": invocation.argv,
        "values": invocation.values,
        "given": sorted(invocation.given),
        "masked": invocation.masked,
        "secrets": list(invocation.secrets),
    }


def invocation_of(found: Mapping[str, Any]) -> Invocation:
    """Return the invocation of such values."""
    return Invocation(
        _to_command(found["command"]),
        list(found["argv"]),
        dict(found["values"]),
        frozenset(found["given"]),
        list(found["masked"]),
        tuple(found["secrets"]),
    )


def _from_command(command: Command) -> dict[str, Any]:
    """Return a command as JSON knows it: an endpoint of 1.x is in no catalog, so the whole of it is sent."""
    found = {name: getattr(command, name) for name in _OF_COMMAND}
    found["effect"] = command.effect.value
    found["raised_by"] = {name: effect.value for name, effect in command.raised_by.items()}
    # What is filled in has been.
    found["arguments"] = [{**dataclasses.asdict(argument), "default": None} for argument in command.arguments]
    return found


def _to_command(found: dict[str, Any]) -> Command:
    return Command(
        **{
            **found,
            "path": tuple(found["path"]),
            "effect": Effect(found["effect"]),
            "raised_by": {name: Effect(effect) for name, effect in found["raised_by"].items()},
            "arguments": tuple(_to_argument(argument) for argument in found["arguments"]),
        }
    )


def _to_argument(found: dict[str, Any]) -> Argument:
    choices = found["choices"]
    return Argument(
        **{**found, "flags": tuple(found["flags"]), "choices": None if choices is None else tuple(choices)}
    )


_OF_COMMAND = tuple(part.name for part in dataclasses.fields(Command))
