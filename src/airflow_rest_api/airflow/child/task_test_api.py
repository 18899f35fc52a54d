"""
What a task under `tasks test` finds where it asks Airflow: the answers for a task instance that has no row.

A task speaks to Airflow's execution API through a client, which in a test calls that API inside its own
process. Here the client answers by itself for the task instance and its run, and keeps what the task pushes.
All else goes to Airflow: connections, variables, assets, other runs, and what the run that is tested in had
before. What is not foreseen here ends in Airflow's "not found", for it does not know the id.

Imported by the child only: it needs Airflow.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from airflow.sdk.api import client as sdk
from airflow.sdk.api.datamodels import _generated as models
from airflow.sdk.definitions.asset import Asset
from airflow.sdk.exceptions import ErrorType
from airflow.sdk.execution_time import comms
from airflow.sdk.execution_time.comms import ErrorResponse, OKResponse, TICount
from airflow.utils.session import create_session

from airflow_rest_api.airflow.compat.tasks import HITLOperations, client_class

if TYPE_CHECKING:
    from airflow_rest_api.airflow.child.task_test import Key, Tested

OK = OKResponse(ok=True)


class OfTest:
    """A part of the API that knows the task instance under test."""

    client: Any

    @property
    def _tested(self) -> Tested:
        tested: Tested = self.client.tested
        return tested


class TaskInstances(OfTest, sdk.TaskInstanceOperations):
    """The task instance under test; its changes of state are for the caller alone."""

    def start(self, id: Any, pid: int, when: Any) -> models.TIRunContext:
        tested = self._tested
        resumed: dict[str, Any] = {}
        if tested.next_method:
            resumed = {
                "next_method": tested.next_method,
                "next_kwargs": tested.next_kwargs,
                "start_date": tested.start_date,
            }
        else:
            tested.start_date = when
        return models.TIRunContext(
            dag_run=tested.shown_run(),
            max_tries=tested.max_tries,
            variables=[],
            connections=[],
            xcom_keys_to_clear=[],
            # As Airflow says of a task instance that was queued.
            should_retry=tested.max_tries != 0 and tested.try_number <= tested.max_tries,
            **resumed,
        )

    def _done(self, *_: Any, **__: Any) -> None:
        """Take note of nothing."""

    finish = retry = succeed = defer = await_input = reschedule = heartbeat = _done
    skip_downstream_tasks = _done

    def _ok(self, *_: Any, **__: Any) -> OKResponse:
        return OK

    set_rtif = set_rendered_map_index = _ok

    def get_count(self, dag_id: str, *args: Any, **criteria: Any) -> TICount:
        count = super().get_count(dag_id, *args, **criteria)
        tested = self._tested
        if (
            tested.temporary
            and dag_id == tested.dag_id
            and tested.run_id in (criteria.get("run_ids") or ())
            and tested.task_id in (criteria.get("task_ids") or (tested.task_id,))
            and "running" in (criteria.get("states") or ("running",))
        ):
            count.count += 1
        return count

    def get_previous_successful_dagrun(self, id: Any) -> models.PrevSuccessfulDagRunResponse:
        from airflow.models.dagrun import DagRun
        from airflow.utils.state import DagRunState
        from sqlalchemy import select

        shown = models.PrevSuccessfulDagRunResponse
        if self._tested.run.logical_date is None:
            return shown()
        with create_session() as session:
            row = session.execute(
                select(*(getattr(DagRun, name) for name in shown.model_fields))
                .where(
                    DagRun.dag_id == self._tested.dag_id,
                    DagRun.logical_date < self._tested.run.logical_date,
                    DagRun.state == DagRunState.SUCCESS,
                )
                .order_by(DagRun.logical_date.desc())
                .limit(1)
            ).one_or_none()
        return shown() if row is None else shown(**dict(zip(shown.model_fields, row, strict=True)))

    def validate_inlets_and_outlets(self, id: Any) -> models.InactiveAssetsResponse:
        from airflow.models.asset import AssetActive
        from sqlalchemy import select, tuple_

        named = {
            (asset.name, asset.uri)
            for asset in (*self._tested.task.inlets, *self._tested.task.outlets)
            if isinstance(asset, Asset)
        }
        with create_session() as session:
            active = session.execute(
                select(AssetActive.name, AssetActive.uri).where(
                    tuple_(AssetActive.name, AssetActive.uri).in_(named)
                )
            )
            inactive = named - {(name, uri) for name, uri in active}
        return models.InactiveAssetsResponse(
            inactive_assets=[
                models.AssetProfile(name=name, uri=uri, type="Asset") for name, uri in sorted(inactive)
            ]
        )


class XComs(OfTest, sdk.XComOperations):
    """What the task pushes is kept here; what others have pushed in its run, and in others, is Airflow's."""

    def set(
        self,
        dag_id: str,
        run_id: str,
        task_id: str,
        key: str,
        value: Any,
        map_index: int | None = None,
        *args: Any,
        **more: Any,
    ) -> OKResponse:
        # As it comes back from the database.
        kept = json.loads(json.dumps(value))
        self._tested.pushed.setdefault((dag_id, run_id, task_id, key), {})[_index(map_index)] = kept
        return OK

    def get(
        self,
        dag_id: str,
        run_id: str,
        task_id: str,
        key: str,
        map_index: int | None = None,
        include_prior_dates: bool = False,
    ) -> models.XComResponse:
        known = self._known((dag_id, run_id, task_id, key), include_prior_dates)
        if known is not None:
            value = next((value for index, value in known if index == _index(map_index)), None)
            return models.XComResponse(key=key, value=value)
        if include_prior_dates:
            run_id = self._standing_for(dag_id, run_id)
        return super().get(dag_id, run_id, task_id, key, map_index, include_prior_dates)

    def head(self, dag_id: str, run_id: str, task_id: str, key: str) -> Any:
        values = self._values((dag_id, run_id, task_id, key))
        if values is None:
            return super().head(dag_id, run_id, task_id, key)
        return comms.XComCountResponse(len=len(values))

    def get_sequence_item(self, dag_id: str, run_id: str, task_id: str, key: str, offset: int) -> Any:
        values = self._values((dag_id, run_id, task_id, key))
        if values is None or not -len(values) <= offset < len(values):
            return super().get_sequence_item(dag_id, run_id, task_id, key, offset)
        return models.XComSequenceIndexResponse(values[offset])

    def get_sequence_slice(
        self,
        dag_id: str,
        run_id: str,
        task_id: str,
        key: str,
        start: int | None,
        stop: int | None,
        step: int | None,
        include_prior_dates: bool = False,
    ) -> Any:
        values = self._values((dag_id, run_id, task_id, key), include_prior_dates)
        if values is not None:
            return models.XComSequenceSliceResponse(values[start:stop:step])
        if include_prior_dates:
            run_id = self._standing_for(dag_id, run_id)
        return super().get_sequence_slice(
            dag_id, run_id, task_id, key, start, stop, step, include_prior_dates
        )

    def delete(
        self, dag_id: str, run_id: str, task_id: str, key: str, map_index: int | None = None
    ) -> OKResponse:
        self._tested.pushed.get((dag_id, run_id, task_id, key), {}).pop(_index(map_index), None)
        return OK

    def _values(self, of: Key, prior: bool = False) -> list[Any] | None:
        known = self._known(of, prior)
        return None if known is None else [value for _, value in sorted(known, key=lambda one: one[0])]

    def _known(self, of: Key, prior: bool) -> list[tuple[int, Any]] | None:
        """
        Return values with their map indexes: what was pushed here before what was pushed elsewhere.

        The task begins without what it has pushed itself in an earlier try.

        :return: None where there is nothing from here, and Airflow can be asked
        """
        from airflow.models.xcom import XComModel

        dag_id, run_id, task_id, key = of
        pushed = self._tested.pushed.get(of, {})
        own = self._tested.is_of(dag_id, run_id) and task_id == self._tested.task_id
        if not pushed and not own:
            return None
        query = XComModel.get_many(
            run_id=self._standing_for(dag_id, run_id) if prior else run_id,
            key=key,
            task_ids=task_id,
            dag_ids=dag_id,
            include_prior_dates=prior,
        ).with_only_columns(XComModel.run_id, XComModel.map_index, XComModel.value)
        with create_session() as session:
            rows = session.execute(query).all()
        gone = {*pushed, self._tested.map_index} if own else set(pushed)
        stored = [(index, value) for run, index, value in rows if run != run_id or index not in gone]
        return [*pushed.items(), *stored]

    def _standing_for(self, dag_id: str, run_id: str) -> str:
        """Return a run with which Airflow finds the earlier ones of a temporary run: the last of them."""
        from airflow.models.dagrun import DagRun
        from sqlalchemy import func, select

        tested = self._tested
        if not (tested.temporary and tested.is_of(dag_id, run_id)):
            return run_id
        date = func.coalesce(DagRun.logical_date, DagRun.run_after)
        with create_session() as session:
            found = session.scalar(
                select(DagRun.run_id)
                .where(DagRun.dag_id == dag_id, date <= (tested.run.logical_date or tested.run.run_after))
                .order_by(date.desc())
                .limit(1)
            )
        return found or run_id


class DagRuns(OfTest, sdk.DagRunOperations):
    """Other runs are Airflow's; a temporary one is known here only."""

    def get_detail(self, dag_id: str, run_id: str) -> Any:
        if self._is_temporary(dag_id, run_id):
            return self._tested.shown_run()
        return super().get_detail(dag_id, run_id)

    def get_state(self, dag_id: str, run_id: str) -> Any:
        if self._is_temporary(dag_id, run_id):
            return models.DagRunStateResponse(state=self._tested.run.state)
        return super().get_state(dag_id, run_id)

    def _is_temporary(self, dag_id: str, run_id: str) -> bool:
        return self._tested.temporary and self._tested.is_of(dag_id, run_id)


class StateStore:
    """What the task keeps from one try to the next."""

    def __init__(self, client: Any) -> None:
        self._stored: dict[str, Any] = client.tested.stored

    def get(self, ti_id: Any, key: str) -> Any:
        if key not in self._stored:
            return ErrorResponse(error=ErrorType.TASK_STORE_NOT_FOUND, detail={"key": key})
        return models.TaskStateStoreResponse(value=self._stored[key])

    def set(self, ti_id: Any, key: str, value: Any, expires_at: Any = None) -> OKResponse:
        self._stored[key] = json.loads(json.dumps(value))
        return OK

    def delete(self, ti_id: Any, key: str) -> OKResponse:
        self._stored.pop(key, None)
        return OK

    def clear(self, ti_id: Any) -> OKResponse:
        self._stored.clear()
        return OK


class HumanInput(HITLOperations):
    """A question to a human, which is shown to none: the task then waits for an answer, and the test ends."""

    def add_response(self, *, ti_id: Any, **question: Any) -> Any:
        return models.HITLDetailRequest.model_validate({"ti_id": ti_id, **question}, from_attributes=True)


PARTS: dict[str, Callable[[Any], Any]] = {
    "task_instances": TaskInstances,
    "xcoms": XComs,
    "task_state_store": StateStore,
    "dag_runs": DagRuns,
    "hitl": HumanInput,
}
"""What the client has, by its name there, that does not ask Airflow's API."""


def client_of(test: Tested) -> type[sdk.Client]:
    """Return the class of clients for the test of a task."""

    # Which class that is depends on the version: it is known when this runs.
    base: Any = client_class()

    class TestClient(base):  # type: ignore[misc]
        tested = test

    for name, part in PARTS.items():
        setattr(TestClient, name, property(part))
    return TestClient


def _index(map_index: int | None) -> int:
    return -1 if map_index is None or map_index < 0 else map_index
