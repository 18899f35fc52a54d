"""The operator: a command on another Airflow, with its output in the log of the task."""

from __future__ import annotations

import shlex
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from airflow_rest_client.airflow.hook import RestApiHook
from airflow_rest_client.airflow.trigger import OperationTrigger
from airflow_rest_client.client import Operation
from airflow_rest_client.errors import RestError
from airflow_rest_client.model import Line

if TYPE_CHECKING:
    from airflow.sdk import Context


class AirflowCommandOperator(BaseOperator):
    """
    Runs a command on another Airflow, and fails where that does.

    :param command: the words after `airflow`, as a list or as one text that is read as a shell does
    :param conn_id: the connection: see `RestApiHook`
    :param deferrable: wait for the end in the triggerer, and hold no worker; the output comes into the log
        at the end
    :return: the JSON that the command printed, or the value that it is there to print; else what it printed,
        None where the server has left out some of that
    :raises RestError: it only reads, and the server has left out some of what it printed
    """

    template_fields: Sequence[str] = ("command",)
    ui_color = "#d9eefc"

    def __init__(
        self,
        *,
        command: str | Sequence[str],
        conn_id: str = RestApiHook.default_conn_name,
        deferrable: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.command = command
        self.conn_id = conn_id
        self.deferrable = deferrable
        self._operation: Operation | None = None

    def execute(self, context: Context) -> Any:
        """Run the command; return what comes of it."""
        words = shlex.split(self.command) if isinstance(self.command, str) else list(self.command)
        self._operation = RestApiHook(self.conn_id).get_conn().start(*words)
        self.log.info("airflow %s is operation %s", self._operation.command, self._operation.id)
        if self.deferrable:
            # Airflow looks at the time no more now; where it gives up a trigger, the command goes on.
            limit = self.execution_timeout
            until = None if limit is None else time.time() + limit.total_seconds()
            trigger = OperationTrigger(self.conn_id, self._operation.id, until)
            self.defer(trigger=trigger, method_name="execute_complete")
        for line in self._operation.follow():
            self._show(line)
        return self._result(self._operation)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """Go on when the trigger has seen the end; return what comes of it."""
        if "error" in event:
            raise RestError(event["error"])
        operation = RestApiHook(self.conn_id).get_conn().operation(event["id"])
        for text in operation.stdout.splitlines():
            self._show(Line("stdout", text))
        for text in operation.stderr.splitlines():
            self._show(Line("stderr", text))
        if event.get("late"):
            self.log.error("airflow %s was ended: execution_timeout is over", operation.command)
        return self._result(operation)

    def on_kill(self) -> None:
        """End the command with the task."""
        if self._operation is not None:
            self._operation.cancel()

    def _show(self, line: Line) -> None:
        (self.log.info if line.stream == "stdout" else self.log.warning)("%s", line.text)

    def _result(self, operation: Operation) -> Any:
        operation.check()
        if operation.result is not None:
            return operation.result
        if not operation.lacks("stdout"):
            return operation.stdout
        # A part would be taken for the whole; what changes something is not to be done again.
        said = f"airflow {operation.command} printed more than the server keeps (output_limit)"
        if operation.reads:
            raise RestError(said)
        self.log.warning("%s: there is no result", said)
        return None
