"""Whether what Airflow has of a DAG file comes from the file as it is now; pure of database and clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from airflow_rest_api.airflow.dag_processor import FileState, Parse, Stored

ALLOWANCE = 0.5
"""Seconds more than Airflow's rest between two versions of a DAG: who waits for it must not be early."""


@dataclass(frozen=True)
class Step:
    """
    What a look at a file comes to.

    :ivar done: the file has been parsed, and Airflow runs what was found
    :ivar again: the DAG processor has to be asked once more
    :ivar until: the moment, on the clock given, before which asking again is of no use
    """

    done: bool = False
    again: bool = False
    until: float | None = None


class Watch:
    """
    Follows one file.

    That a new result is there does not suffice:

    * The DAG processor may have begun to read the file before it was written. A request that it takes in that
      moment is dropped (`DagFileProcessorManager._start_new_processes`). A result counts when it began late
      enough, or when it is the second one that is seen: the same file is not parsed twice at a time.
    * Airflow leaves a DAG as it was when it has stored it less than ``[core]
      min_serialized_dag_update_interval`` ago (`SerializedDagModel.write_dag`): then a later parse decides.

    :param since: before the DAG processor was asked, and after the file was written
    :param before: what Airflow had of the file at that moment
    """

    def __init__(self, since: datetime, before: FileState) -> None:
        self._since = since
        self._last = before
        self._known = bool(before.dags or before.error_at)
        self._second = False
        self._ask_at: float | None = None
        self.dag_ids: list[str] = []
        """The DAGs that the file has, once done."""

    def is_news(self, seen: FileState) -> bool:
        """Return whether there is a result that has not been looked at."""
        return (_time(seen.newest), seen.error_at) != (_time(self._last.newest), self._last.error_at)

    def look(self, seen: FileState, stored: Mapping[str, Stored], rest: timedelta, clock: float) -> Step:
        """
        Look at what Airflow has of the file.

        :param stored: the newest versions of its DAGs
        :param rest: the time that Airflow leaves between two versions of a DAG
        :param clock: seconds on any clock that is never set
        """
        if not self.is_news(seen):
            if self._ask_at is not None and clock >= self._ask_at:
                self._ask_at = None
                return Step(again=True)
            return Step()
        before, self._last = self._last, seen
        parse = seen.newest
        if parse is None or _time(parse) == _time(before.newest):
            # An import error; or one that is gone, which a file that still had it cannot have brought about.
            return (self._counts(None) if seen.error_at else None) or Step(done=True)
        if step := self._counts(parse.began):
            return step
        floor = max(
            moment for moment in (_time(before.newest), parse.began, self._since) if moment is not None
        )
        dags = {dag_id: one for dag_id, one in seen.dags.items() if self._is_of(one, parse, before)}
        delay = max(
            (_delay(one, stored.get(dag_id), floor, rest) for dag_id, one in dags.items()), default=0.0
        )
        if delay > 0 and seen.error is None:
            self._ask_at = clock + delay + ALLOWANCE
            return Step(until=self._ask_at)
        self.dag_ids = sorted(dags)
        return Step(done=True)

    def _counts(self, began: datetime | None) -> Step | None:
        """Return None where a result is of the file as it is now."""
        if self._second or not self._known or (began is not None and began >= self._since):
            self._second = True
            return None
        self._second = True
        return Step(again=True)

    def _is_of(self, one: Parse, newest: Parse, before: FileState) -> bool:
        """Return whether a DAG was found in the newest parse, or is a leftover of an earlier one."""
        earlier = _time(before.newest)
        return (earlier is None or one.at > earlier) and (newest.began is None or one.at >= newest.began)


def _delay(parse: Parse, stored: Stored | None, floor: datetime, rest: timedelta) -> float:
    """Return the seconds until a parse can store a DAG that this one left as it was; 0 where it did not."""
    if stored is None or stored.at >= floor:
        return 0.0
    return max((rest - (parse.at - stored.at)).total_seconds(), 0.0)


def _time(parse: Parse | None) -> datetime | None:
    return None if parse is None else parse.at
