"""From an operation to its row, and back."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from airflow_rest_api.commands.model import Effect
from airflow_rest_api.commands.needs import Ask, Resource
from airflow_rest_api.errors import Undecryptable
from airflow_rest_api.operations import packing
from airflow_rest_api.operations.damaged import Row as Columns
from airflow_rest_api.operations.damaged import exit_code, json_object, moment_of, texts, truth
from airflow_rest_api.operations.model import STREAMS, Chunk, Key, Operation, OutputFile, State
from airflow_rest_api.operations.sealing import LOCKED, Seal, opened
from airflow_rest_api.operations.tables import (
    LONGEST_COMMAND,
    LONGEST_DAG_ID,
    LONGEST_FILE_NAME,
    LONGEST_HOST,
)
from airflow_rest_api.storage.schema import LONGEST_NAME, PART, storable

Row = dict[str, Any]

DETAILS = ("argv", "warnings", "refused", "rerun_of", "quotes", "reveals")
"""Fields that nobody searches by: they share a column, as JSON, with `asks` and `files`."""

NO_DETAILS: Row = {
    **dict.fromkeys(DETAILS),
    "argv": [],
    "warnings": [],
    "quotes": False,
    "reveals": False,
    "asks": None,
    "files": [],
}

LONGEST_MESSAGE = 64 * 1024
LONGEST_WORD = 1000
"""Characters kept of the words of a command line that is too long to be kept."""

SEALED = 8
"""What the number of a stream is greater by where its output is encrypted."""
RESULT = ""
"""The name under which a large result is kept among the files; no file has it."""


def to_row(operation: Operation) -> Row:
    """Return the columns of an operation that change, but for its result and its output."""
    details: Row = {name: getattr(operation, name) for name in DETAILS}
    details["asks"] = None if operation.asks is None else [_from_ask(ask) for ask in operation.asks]
    details["files"] = [[f.argument, f.name, f.size, f.media_type] for f in operation.files]
    return {
        "id": operation.id,
        "command": storable(operation.command, LONGEST_COMMAND),
        "effect": operation.effect,
        "user": storable(operation.user, LONGEST_NAME),
        "host": storable(operation.host, LONGEST_HOST),
        "server": operation.server,
        "state": operation.state.value,
        "dag_id": storable(operation.dag_id, LONGEST_DAG_ID),
        "endpoint": operation.endpoint,
        "exit_code": operation.exit_code,
        "message": storable(operation.message, LONGEST_MESSAGE),
        "truncated": operation.truncated,
        "created_at": operation.created_at,
        "started_at": operation.started_at,
        "finished_at": operation.finished_at,
        "details": _bounded(details),
    }


def from_row(row: Mapping[str, Any], seal: Seal) -> Operation:
    """
    Return the operation of a row, without its output; with its result where the row has that.

    What cannot be read of a damaged row is left out, and a warning names it: its state is then `lost`.
    """
    columns = Columns(row)
    no_texts: list[str] = []
    identifier = str(row["id"])
    details = Columns({**NO_DETAILS, **columns.take("details", json_object, {})})
    operation = Operation(
        id=identifier,
        command=columns.text("command"),
        effect=columns.take("effect", lambda value: Effect(value).value, Effect.DESTRUCTIVE.value),
        user=columns.text("user"),
        host=columns.text("host"),
        server=columns.text("server"),
        state=columns.take("state", State, State.LOST),
        dag_id=columns.text_or_none("dag_id"),
        endpoint=columns.text_or_none("endpoint"),
        exit_code=columns.take("exit_code", exit_code, None),
        message=columns.text_or_none("message"),
        truncated=columns.take("truncated", truth, True),
        created_at=columns.moment("created_at") or moment_of(identifier),
        started_at=columns.moment("started_at"),
        finished_at=columns.moment("finished_at"),
        argv=[*details.take("argv", texts, no_texts)],
        warnings=[*details.take("warnings", texts, no_texts)],
        refused=details.text_or_none("refused"),
        rerun_of=details.text_or_none("rerun_of"),
        quotes=details.take("quotes", truth, False),
        reveals=details.take("reveals", truth, True),
        asks=details.take("asks", _to_asks, None),
        files=details.take("files", _to_files, []),
    )
    if row["created_at"] is None:
        columns.note("created_at")
    if row.get("result") is not None:
        try:
            operation.result = columns.take("result", lambda stored: to_result(stored, seal), None)
        except Undecryptable:
            operation.warnings.append(LOCKED)
    for name in details.damaged:
        columns.note(name)
    if (warning := columns.warning("operation")) is not None:
        operation.warnings.append(warning)
    return operation


def result_row(result: Any) -> tuple[bytes | None, bytes | None]:
    """Return a result as it is stored: in its row, or, a large one, among the files."""
    if result is None:
        return None, None
    stored = packing.squeeze(json.dumps(result).encode())
    return (stored, None) if len(stored) <= PART else (None, stored)


def to_result(stored: bytes, seal: Seal) -> Any:
    """Return the result of what was stored; raise ValueError where it is damaged, or Undecryptable."""
    return json.loads(packing.stretch(opened(bytes(stored), seal)))


def file_rows(identifier: str, files: Mapping[str, bytes]) -> list[Row]:
    """Return the rows of files."""
    return [
        {
            "operation_id": identifier,
            "name": storable(name, LONGEST_FILE_NAME),
            "part": part,
            "data": content[start : start + PART],
        }
        for name, content in files.items()
        for part, start in enumerate(range(0, max(len(content), 1), PART))
    ]


def output_rows(identifier: str, chunks: Iterable[Chunk], seal: Seal | None = None) -> list[Row]:
    """
    Return the rows of chunks.

    :param seal: encrypts them, where they may show secrets
    """
    return [
        {
            "operation_id": identifier,
            "stream": STREAMS.index(chunk.stream) + (SEALED if seal else 0),
            "upto": packing.upto(chunk),
            "at": chunk.at,
            "data": seal.close(chunk.data) if seal else chunk.data,
        }
        for chunk in chunks
    ]


def to_chunk(row: Mapping[str, Any], seal: Seal) -> Chunk:
    """
    Return the chunk of a row; raise ValueError, TypeError or LookupError where it is damaged.

    :raises Undecryptable: its key is gone
    """
    number, data = row["stream"], bytes(row["data"])
    if number >= SEALED:
        number, data = number - SEALED, seal.open(data)
    if not isinstance(row["at"], datetime):
        raise TypeError("no moment")
    return Chunk(STREAMS[number], row["upto"] - len(data), row["at"], data)


def key_hash(user: str, key: str) -> str:
    """Return by what a user's key is found: names and keys of any length and any characters."""
    return hashlib.sha256(json.dumps([user, key]).encode()).hexdigest()


def key_row(key: Key | None) -> Row:
    """Return the columns of a key."""
    if key is None:
        return {"key_hash": None, "key_fingerprint": None}
    return {"key_hash": key_hash(key.user, key.key), "key_fingerprint": key.fingerprint}


def _bounded(details: Row) -> str:
    """Return the details as JSON that every database takes: a client's arguments may be of any length."""
    details["refused"] = storable(details["refused"], LONGEST_MESSAGE)
    text = json.dumps(details)
    if len(text) <= PART:
        return text
    for name in ("argv", "warnings"):
        kept = [storable(word, LONGEST_WORD) for word in details[name][:LONGEST_WORD]]
        details[name] = [*kept, "…"] if len(details[name]) > len(kept) else kept
    return json.dumps(details)


def _from_ask(ask: Ask) -> list[Any]:
    return [ask.resource.value, ask.method, ask.entity, None if ask.names is None else list(ask.names)]


def _to_asks(stored: list[list[Any]] | None) -> tuple[Ask, ...] | None:
    # Damaged ones count as None: nobody but its user may see the operation.
    return None if stored is None else tuple(_to_ask(ask) for ask in stored)


def _to_files(stored: list[list[Any]]) -> list[OutputFile]:
    files = [OutputFile(*file) for file in stored]
    texts([text for file in files for text in (file.argument, file.name, file.media_type)])
    if not all(type(file.size) is int for file in files):
        raise TypeError("no size")
    return files


def _to_ask(stored: list[Any]) -> Ask:
    resource, method, entity, names = stored
    texts([method, *([] if entity is None else [entity]), *([] if names is None else names)])
    return Ask(Resource(resource), method, entity, None if names is None else tuple(names))
