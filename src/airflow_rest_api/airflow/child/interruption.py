"""
What `dags test` and `tasks test` do when they are asked to end: so is the task, and no other is begun.

Airflow's task runner makes a failed task of an interrupt and goes on (`_run_task_and_map_outcome` of
`airflow.sdk.execution_time.task_runner`); for TERM it calls the task's `on_kill` and goes on as well.
"""

from __future__ import annotations

import contextlib
import functools
import signal
from collections.abc import Callable
from typing import Any, NoReturn


class Interruption:
    """
    Whether this process was interrupted, from now on.

    :ivar asked: it was
    """

    def __init__(self) -> None:
        self.asked = False
        # What is there for TERM beside a task is not the task's.
        self._idle = signal.getsignal(signal.SIGTERM)
        signal.signal(signal.SIGINT, self._interrupt)

    def ends(self, begin: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function `begin` such that it raises KeyboardInterrupt after an interrupt."""

        @functools.wraps(begin)
        def begin_unless_asked(*args: Any, **kwargs: Any) -> Any:
            if self.asked:
                raise KeyboardInterrupt
            return begin(*args, **kwargs)

        return begin_unless_asked

    def _interrupt(self, number: int, frame: Any) -> NoReturn:
        self.asked = True
        of_task = signal.getsignal(signal.SIGTERM)
        if of_task is not self._idle and callable(of_task):
            # What a task started elsewhere, such as a query or a pod, is ended by its `on_kill` alone.
            with contextlib.suppress(Exception):
                of_task(signal.SIGTERM, frame)
        raise KeyboardInterrupt
