"""Whether Airflow can run a DAG that was deployed a moment ago, and what keeps it from that."""

from __future__ import annotations

import asyncio
import logging
import time
from datetime import timedelta
from typing import TYPE_CHECKING

from airflow_rest_api.admission import while_waiting
from airflow_rest_api.airflow import dag_processor
from airflow_rest_api.airflow.queries import ask
from airflow_rest_api.dag_files.child import worker
from airflow_rest_api.dag_files.history_tables import now
from airflow_rest_api.errors import Unavailable
from airflow_rest_api.storage.schema import storable

if TYPE_CHECKING:
    from airflow_rest_api.dag_files.history import History
    from airflow_rest_api.dag_files.history_tables import DeployedDag

log = logging.getLogger(__name__)

RECENT = timedelta(minutes=5)
"""A DAG that was deployed before that and is not there will not come: it is not waited for."""

PATIENCE = 30.0
"""Seconds to wait for a DAG: the DAG processor is asked for its file, and may have others in its hands."""

LOOK_UP = 2.0
"""Seconds for the question whether a DAG was deployed, which is asked before every command on a DAG."""

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 1.0
"""Seconds between two looks at the database."""

ASK_AGAIN = 5.0
"""Seconds after which the DAG processor is asked once more: it can drop a request: `refresh.Watch`."""


class DagReadiness:
    """
    Waits for DAGs that were deployed: Airflow knows one when its DAG processor has parsed its file.

    However many requests ask for a DAG, there is one wait for it.

    :param history: knows the DAGs of what was deployed through any API server
    """

    def __init__(self, history: History) -> None:
        self._history = history
        self._waits: dict[str, asyncio.Task[str | None]] = {}

    async def wait(self, dag_id: str) -> str | None:
        """
        Return when Airflow can run a DAG, and at once where it was not deployed recently.

        :return: why it still cannot, where the DAG processor is to blame
        """
        if dag_id not in self._waits:
            deployed = await self._deployed(dag_id)
            if deployed is None or now() - deployed.at > RECENT:
                return None
            if await ask(dag_processor.is_runnable, dag_id):
                return None
            if dag_id not in self._waits:  # by another request, meanwhile
                task = self._waits[dag_id] = asyncio.create_task(self._wait(dag_id, deployed))
                task.add_done_callback(lambda _: self._waits.pop(dag_id, None))
        # A request that is cancelled does not end the wait of the others.
        with while_waiting():
            return await asyncio.shield(self._waits[dag_id])

    async def import_error(self, dag_id: str) -> str | None:
        """Return what is wrong with the file of a DAG, None where it can be imported or is not known."""
        try:
            file = await ask(dag_processor.file_of, dag_id)
        except LookupError:
            deployed = await self._deployed(dag_id)
            file = None if deployed is None else (deployed.bundle, deployed.path)
        if file is None:
            return None
        error = (await ask(dag_processor.look, [file]))[file].error
        return None if error is None else f"its file cannot be imported: {worker.sentence(file[1], error)}"

    async def _deployed(self, dag_id: str) -> DeployedDag | None:
        if storable(dag_id) != dag_id:
            return None  # no database takes the question
        try:
            return await asyncio.wait_for(self._history.dag(dag_id), LOOK_UP)
        except (Unavailable, asyncio.TimeoutError):
            return None  # commands go on while our database is away

    async def _wait(self, dag_id: str, deployed: DeployedDag) -> str | None:
        file = (deployed.bundle, deployed.path)
        end, ask_at, pause = time.monotonic() + PATIENCE, time.monotonic(), FIRST_PAUSE
        while time.monotonic() < end:
            if time.monotonic() >= ask_at:
                await self._ask(file)
                if not await ask(dag_processor.processor_alive):
                    return f"No DAG processor is alive: {deployed.path} will be parsed when one is started"
                ask_at = time.monotonic() + ASK_AGAIN
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, LONGEST_PAUSE)
            if await ask(dag_processor.is_runnable, dag_id):
                return None
            seen = (await ask(dag_processor.look, [file]))[file]
            if seen.error_at is not None and seen.error_at >= deployed.at:
                return None  # `import_error` tells it
        return f"The DAG processor has been asked to parse {deployed.path}, and has yet to finish it"

    async def _ask(self, file: dag_processor.File) -> None:
        try:
            await ask(dag_processor.request_parsing, [file])
        except Exception as error:
            # As when a SQLite file is locked: the deployment has asked before, and there is a next time.
            log.warning("The DAG processor could not be asked to parse %s: %s", file[1], type(error).__name__)
