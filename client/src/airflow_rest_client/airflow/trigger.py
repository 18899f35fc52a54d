"""The trigger: waits for the end of an operation on another Airflow."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_rest_client.airflow.hook import RestApiHook
from airflow_rest_client.errors import RestError

ENDS_WITHIN = 60.0
"""Seconds in which an operation that was cancelled comes to its end."""


class OperationTrigger(BaseTrigger):
    """
    Fires when an operation has ended.

    :param conn_id: the connection: see `RestApiHook`
    :param operation_id: of the operation
    :param until: when it is ended that has not come to its end, in seconds since 1970; None for never
    """

    def __init__(self, conn_id: str, operation_id: str, until: float | None = None) -> None:
        super().__init__()  # type: ignore[no-untyped-call] # Airflow's has no annotations
        self.conn_id = conn_id
        self.operation_id = operation_id
        self.until = until

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return how it is made again, in another process."""
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {"conn_id": self.conn_id, "operation_id": self.operation_id, "until": self.until},
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield one event: the id, the state and whether time was up, or why nobody knows how it ended."""
        try:
            async with await RestApiHook(self.conn_id).get_async_conn() as client:
                operation = await client.operation(self.operation_id)
                await operation.wait(None if self.until is None else max(0.0, self.until - time.time()))
                if late := not operation.ended:
                    await (await operation.cancel()).wait(ENDS_WITHIN)
        except (RestError, ValueError) as error:
            said: dict[str, Any] = {"error": str(error)}
        else:
            said = {"id": operation.id, "state": operation.state, "late": late}
        yield TriggerEvent(said)  # type: ignore[no-untyped-call] # Airflow's has no annotations

    async def on_kill(self) -> None:
        """End the command with a task that somebody ends while it is deferred: Airflow 3.3 calls this."""
        async with await RestApiHook(self.conn_id).get_async_conn() as client:
            await (await client.operation(self.operation_id)).cancel()
