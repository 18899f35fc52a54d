"""Operations: list, see, wait for, end and repeat them, follow and fetch what they print and write."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Annotated, Literal

from fastapi import APIRouter, Header, Query, Request
from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError
from starlette.responses import PlainTextResponse, Response

from airflow_rest_api.api.answers import (
    answer_file,
    answer_model,
    answer_operation,
    answer_part,
    answer_run,
    once,
    origin_of,
    preference_of,
    run_again,
)
from airflow_rest_api.api.context import CallerDep, Context, ContextDep, by_name
from airflow_rest_api.api.following import follow, latest, read, visible
from airflow_rest_api.api.models import (
    ACCEPTED,
    FILE,
    IDEMPOTENCY_KEY,
    PREFER,
    QUEUE,
    RUN_RESPONSES,
    CancelBody,
    OperationBody,
    OperationList,
    OperationSummary,
    errors,
    event_stream,
)
from airflow_rest_api.api.waiting import ended
from airflow_rest_api.commands.model import Effect
from airflow_rest_api.errors import BadRequest, Forbidden, UnknownResultFile
from airflow_rest_api.operations.model import Filter, Operation, State
from airflow_rest_api.security.routes import Needs, needs

if TYPE_CHECKING:
    from airflow_rest_api.security.caller import Caller


router = APIRouter(prefix="/v2/operations", tags=["operations"], generate_unique_id_function=by_name)

_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


def _dated(value: object) -> object:
    """Return what can be a moment: digits alone, as of `20270131`, are seconds since 1970 to pydantic."""
    if isinstance(value, str) and not _DATE.match(value):
        raise PydanticCustomError("datetime_parsing", "a date, and a time, as 2026-01-31T00:00:00+00:00")
    return value


Moment = Annotated[datetime, BeforeValidator(_dated)]
EVENTS = event_stream("`output`, `progress`, `gap` and `state` as they come, at last `end`.")
CANCEL_WAIT = 5.0
"""Seconds that a cancel waits for the end of the command, when the client does not say."""
LONGEST_PIECE = 4 * 1024 * 1024
"""Bytes of output in one answer, when the client asks for a part."""


@router.get("", response_model=OperationList, responses=errors(400))
@needs(Needs.OPERATION)
async def list_operations(
    context: ContextDep,
    caller: CallerDep,
    state: Annotated[list[State] | None, Query(description="May be given more than once.")] = None,
    command: Annotated[str | None, Query(description="The name, such as `dags list`.")] = None,
    user: str | None = None,
    effect: Annotated[
        list[Effect] | None,
        Query(description="May be given more than once: all but `read` for what changes something."),
    ] = None,
    dag_id: str | None = None,
    endpoint: Annotated[
        str | None,
        Query(description="The endpoint of the 1.x plugin that it came by.", examples=["trigger_dag"]),
    ] = None,
    legacy: Annotated[
        bool | None,
        Query(description="Whether it came by an endpoint of the 1.x plugin, whichever."),
    ] = None,
    since: Annotated[Moment | None, Query(description="Created then or later.")] = None,
    until: Annotated[Moment | None, Query(description="Created before then.")] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    cursor: Annotated[str | None, Query(description="`next` of the page before.")] = None,
) -> Response:
    """List the operations that the caller may see, the newest first."""
    wanted = Filter(
        states=tuple(state or ()),
        command=command,
        user=user,
        effects=tuple(one.value for one in effect or ()),
        dag_id=dag_id,
        since=since,
        until=until,
        endpoints=endpoints_of(endpoint, legacy, context.endpoints),
    )
    found, following = await page(context, caller, wanted, cursor, limit)
    bodies = [OperationSummary.model_validate(operation) for operation in found]
    return answer_model(OperationList(operations=bodies, next=following))


@router.get(
    "/{identifier}",
    response_model=OperationBody,
    responses={**ACCEPTED, **errors(404)},
    openapi_extra={"parameters": [PREFER]},
)
@needs(Needs.OPERATION)
async def get_operation(
    identifier: str, request: Request, context: ContextDep, caller: CallerDep
) -> Response:
    """Return an operation; with `Prefer: wait=N`, once it has ended or after N seconds."""
    await read(context, caller, identifier)
    preferred = preference_of(request, 0)
    return await answer_operation(
        request, await ended(context, request, identifier, preferred.wait), preferred
    )


@router.post(
    "/{identifier}/cancel",
    response_model=CancelBody,
    responses={202: {**ACCEPTED[202], "model": CancelBody}, **errors(404)},
    openapi_extra={"parameters": [PREFER]},
)
@needs(Needs.OPERATION)
async def cancel_operation(
    identifier: str, request: Request, context: ContextDep, caller: CallerDep
) -> Response:
    """End a command, whichever API server runs it. Done again, and after its end, it changes nothing."""
    operation = await visible(context, caller, identifier)
    if not await context.gate.may_cancel(caller, operation):
        with context.audit.refusals(caller, "operations cancel"):
            raise Forbidden(f"Only {operation.user} and administrators may end this command.")
    # Before it is ended: afterwards there is no way back where this cannot be recorded.
    context.audit.reads(caller, operation)
    came = await context.operations.cancel(identifier, f"The command was cancelled by {caller.name}.")
    preferred = preference_of(request, CANCEL_WAIT)
    cancelled = await ended(context, request, identifier, preferred.wait)
    return await answer_operation(request, cancelled, preferred, cancel=came)


@router.post(
    "/{identifier}/run-again",
    responses=RUN_RESPONSES,
    openapi_extra={"parameters": [PREFER, IDEMPOTENCY_KEY, QUEUE]},
)
@needs(Needs.COMMAND)
async def run_operation_again(
    identifier: str, request: Request, context: ContextDep, caller: CallerDep
) -> Response:
    """
    Run the command of an operation once more, as the caller, who needs the permission for it now.

    One with secrets or uploaded files cannot be repeated: neither are kept.
    """
    operation = await visible(context, caller, identifier)
    origin = await origin_of(context, request, caller, None)
    again, headers = await once(context, origin, lambda: run_again(context, caller, operation, origin))
    return await answer_run(context, request, again, headers)


@router.get("/{identifier}/output", response_class=PlainTextResponse, responses=errors(400, 404))
@needs(Needs.OPERATION)
async def get_output(
    identifier: str,
    context: ContextDep,
    caller: CallerDep,
    stream: Literal["stdout", "stderr"] = "stdout",
    offset: Annotated[int | None, Query(ge=0, le=10**15, description="Bytes of the stream to skip.")] = None,
    limit: Annotated[int | None, Query(ge=1, le=LONGEST_PIECE, description="Bytes to return.")] = None,
) -> Response:
    """
    Return what the command has printed so far, as plain text.

    With `offset` or `limit` it is the bytes from there on, as far as none are missing: `X-Output-Offset` is
    where they begin, `X-Output-Next` the offset to go on with, `X-Output-End` whether nothing more will come.
    """
    await read(context, caller, identifier)
    if offset is None and limit is None:
        operation = await context.operations.get(identifier)
        return PlainTextResponse(operation.stdout if stream == "stdout" else operation.stderr)
    start, data, complete = await context.operations.output(
        identifier, stream, offset or 0, limit or LONGEST_PIECE
    )
    return answer_part(start, data, end=complete)


@router.get("/{identifier}/files/{name}", response_class=Response, responses={**FILE, **errors(404, 410)})
@needs(Needs.OPERATION)
async def get_file(identifier: str, name: str, context: ContextDep, caller: CallerDep) -> Response:
    """Return a file that the command wrote."""
    operation = await read(context, caller, identifier)
    for file in operation.files:
        if file.name == name:
            return answer_file(file, await context.operations.file(identifier, name))
    raise UnknownResultFile


@router.get("/{identifier}/events", response_class=Response, responses={**EVENTS, **errors(400, 404, 429)})
@needs(Needs.OPERATION)
async def follow_operation(
    identifier: str,
    context: ContextDep,
    caller: CallerDep,
    request: Request,
    after: Annotated[str | None, Query(description="The id of the last event that was received.")] = None,
    last_event_id: Annotated[
        str | None, Header(description="The same, as browsers send it; the later one counts.")
    ] = None,
) -> Response:
    """
    Follow an operation as server-sent events, from the beginning or from behind the last one received.

    Both streams come in the order in which they were printed. The answer ends after `end`, with the token,
    and when the server stops; a client that saw no `end` asks again.
    """
    # A browser that reconnects sends the newest id to the address that it was given, with the first one.
    return await follow(context, caller, identifier, latest(last_event_id, after))


BATCH = 250
SCANNED = 1000
"""Operations of others that are looked at for one page: who may see few of many gets short pages."""
_CURSOR = re.compile(r"([0-9a-f]{32}|-)\.([0-9a-f]{32}|-)", re.ASCII)
_DONE = "-"
_FIRST = "f" * 32  # behind no id


NOT_A_CURSOR = 'cursor: not a value that a page of this listing returned in "next".'


@dataclass(frozen=True)
class Cursor:
    """
    Where a page ends: the last id of the reader's own operations, and of those that others ran.

    None stands for the beginning, `-` for the end. The two are read apart, so that a reader finds their own
    at once, whatever others ran since.
    """

    own: str | None = None
    others: str | None = None

    @classmethod
    def parse(cls, text: str | None) -> Cursor:
        """Return the cursor that a client was given; raise BadRequest for any other text."""
        if text is None:
            return cls()
        match = _CURSOR.fullmatch(text)
        if match is None:
            raise BadRequest(NOT_A_CURSOR, argument="cursor")
        return cls(match[1], match[2])

    def __str__(self) -> str:
        """Return the cursor as it is given to clients."""
        return f"{self.own}.{self.others}"


def check_endpoint(name: str | None, known: Collection[str]) -> None:
    """Raise BadRequest where a filter names an endpoint that the 1.x plugin did not have."""
    if name is not None and name not in known:
        raise BadRequest(
            f"endpoint: the 1.x plugin had no endpoint {name[:100]!r}",
            argument="endpoint",
            nearest=difflib.get_close_matches(name[:100], known),
        )


def endpoints_of(endpoint: str | None, legacy: bool | None, known: Collection[str]) -> tuple[str | None, ...]:
    """
    Return the endpoints of the operations that a filter wants; empty for all of them.

    :param endpoint: the name of one
    :param known: the names of the 1.x plugin's
    :param legacy: True for all of the 1.x plugin's, False for none of them
    :raises BadRequest: there is no such endpoint, or nothing can be both
    """
    check_endpoint(endpoint, known)
    if endpoint is not None:
        if legacy is False:
            raise BadRequest("legacy: what came by an endpoint is not false", argument="legacy")
        return (endpoint,)
    if legacy is None:
        return ()
    return tuple(known) if legacy else (None,)


async def page(
    context: Context, caller: Caller, wanted: Filter, cursor: str | None, limit: int
) -> tuple[list[Operation], str | None]:
    """Return operations that the caller may see, the newest first, and the cursor of the next page."""
    wanted = replace(wanted, since=_zoned(wanted.since), until=_zoned(wanted.until))
    place = Cursor.parse(cursor)
    await context.operations.written()
    if await caller.is_admin():
        found = await context.store.list(wanted, before=place.others, limit=limit + 1)
        more = len(found) > limit
        return found[:limit], str(Cursor(_DONE, found[limit - 1].id)) if more else None
    mine: list[Operation] = []
    looked = _DONE
    if place.own != _DONE and wanted.user in (None, caller.name):
        own = replace(wanted, user=caller.name)
        batch = await context.store.list(own, before=place.own, limit=limit + 1)
        # To MySQL and MariaDB a name with blanks behind it is the same.
        mine = [operation for operation in batch if operation.user == caller.name]
        looked = batch[-1].id if len(batch) > limit else _DONE
    theirs: list[Operation] = []
    scanned = _DONE
    if place.others != _DONE and wanted.user != caller.name:
        theirs, scanned = await _visible(context, caller, wanted, place.others, limit + 1)
    shown = sorted([*mine, *theirs], key=lambda operation: operation.id, reverse=True)[:limit]
    following = Cursor(
        own=_after(mine, shown, place.own, looked), others=_after(theirs, shown, place.others, scanned)
    )
    return shown, None if (following.own, following.others) == (_DONE, _DONE) else str(following)


def _zoned(moment: datetime | None) -> datetime | None:
    """Return a moment in UTC, which it is where it says nothing else."""
    if moment is None:
        return None
    try:
        return moment.replace(tzinfo=moment.tzinfo or timezone.utc).astimezone(timezone.utc)
    except OverflowError:
        # At an end of the calendar, which is passed in UTC.
        return (datetime.min if moment.year == 1 else datetime.max).replace(tzinfo=timezone.utc)


def _after(found: list[Operation], shown: list[Operation], before: str | None, end: str) -> str:
    """Return where to go on with one kind: behind the last one shown, or at the end where all were."""
    ids = {operation.id for operation in found}
    last = [operation.id for operation in shown if operation.id in ids]
    if len(last) == len(ids):
        return end
    return last[-1] if last else before or _FIRST


async def _visible(
    context: Context, caller: Caller, wanted: Filter, before: str | None, limit: int
) -> tuple[list[Operation], str]:
    """Return what the caller may see of what others ran, and up to which id that was looked at."""
    found: list[Operation] = []
    for _ in range(SCANNED // BATCH):
        batch = await context.store.list(wanted, before=before, limit=BATCH)
        others = [operation for operation in batch if operation.user != caller.name]
        seen = await context.gate.may_see(caller, others)
        found += [operation for operation in others if operation.id in seen]
        if len(batch) < BATCH:
            return found, _DONE
        before = batch[-1].id
        if len(found) >= limit:
            break
    return found, before or _DONE
