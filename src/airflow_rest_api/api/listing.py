"""Pages of operations, with what their reader may see."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from airflow_rest_api.errors import BadRequest

if TYPE_CHECKING:
    from airflow_rest_api.api.context import Context
    from airflow_rest_api.operations.model import Filter, Operation
    from airflow_rest_api.security.caller import Caller

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
    if await caller.is_admin():
        found = await context.store.list(wanted, before=place.others, limit=limit + 1)
        more = len(found) > limit
        return found[:limit], str(Cursor(_DONE, found[limit - 1].id)) if more else None
    mine: list[Operation] = []
    if place.own != _DONE and wanted.user in (None, caller.name):
        own = replace(wanted, user=caller.name)
        mine = await context.store.list(own, before=place.own, limit=limit + 1)
    theirs: list[Operation] = []
    scanned = _DONE
    if place.others != _DONE and wanted.user != caller.name:
        theirs, scanned = await _visible(context, caller, wanted, place.others, limit + 1)
    shown = sorted([*mine, *theirs], key=lambda operation: operation.id, reverse=True)[:limit]
    following = Cursor(
        own=_after(mine, shown, place.own, _DONE), others=_after(theirs, shown, place.others, scanned)
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
