"""How a command ended, in the words of the server, and the exit code that the client makes of them."""

from __future__ import annotations

import asyncio
import signal

import pytest

from airflow_rest_api.engine.job import Outcome
from airflow_rest_api.engine.process import _outcome
from airflow_rest_client.cli.run import exit_code
from airflow_rest_client.model import OperationData


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGXCPU, signal.SIGSYS, 40])
def test_the_end_by_a_signal_is_that_of_a_shell(number: int):
    async def ended() -> Outcome:
        exited: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        exited.set_result(-number)
        return _outcome(exited)

    how = asyncio.run(ended())
    said = {"command": "version", "state": "failed", "exit_code": how.exit_code, "message": how.message}

    assert exit_code(OperationData(said)) == 128 + number
