"""
What the engine costs in memory, as proportional set size: pages that processes share are divided among them,
so that the sum over the processes is what the machine has to have (`man 5 proc`, smaps_rollup).
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import psutil

from bench.client import PLUGIN, Client, Unexpected
from bench.measure import AIRFLOW
from bench.rows import SLOW

COMMANDS = 4
IN_TASK = "2 of 600 seconds"
"""What the slow task prints when it is well under way."""
WARM_PARENT = "airflow_rest_api.engine.forkserver"
SETTLE = 1.5
"""Seconds until the spare children are ready again."""


@dataclass(frozen=True)
class Memory:
    """
    Bytes.

    :ivar parent: the warm parent with all that its children share with it
    :ivar waiting: how many children wait for a command: spare ones, and those that have run some
    :ivar child: what one of them has of its own
    :ivar command: what one more running command adds
    :ivar process: what the same takes as a new process
    """

    parent: int
    waiting: int
    child: float
    command: float
    process: int


@dataclass(frozen=True)
class Usage:
    """What the processes of a tree hold."""

    processes: int
    descriptors: int
    pss: int


def warm_parent(server: int) -> psutil.Process:
    """Return the warm parent below the API server with the process id `server`."""
    for process in psutil.Process(server).children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if WARM_PARENT in process.cmdline() and process.ppid() != 0 and _is_top(process):
                return process
    raise Unexpected("There is no warm parent")


def pss(process: psutil.Process) -> int:
    """Return a process's proportional set size in bytes; nothing for one that is gone."""
    try:
        return int(process.memory_full_info().pss)
    except psutil.Error:
        return 0


def private(process: psutil.Process) -> int:
    """Return the bytes that only this process has; nothing for one that is gone."""
    try:
        return int(process.memory_full_info().uss)
    except psutil.Error:
        return 0


def tree(process: psutil.Process) -> list[psutil.Process]:
    """Return a process and all that it started."""
    return [process, *process.children(recursive=True)]


def usage(processes: Iterable[psutil.Process]) -> Usage:
    """Return what processes hold together."""
    processes = list(processes)
    descriptors = 0
    for process in processes:
        with contextlib.suppress(psutil.Error):
            descriptors += process.num_fds()
    return Usage(len(processes), descriptors, sum(map(pss, processes)))


def measure_memory(server: int, client: Client, environment: Mapping[str, str]) -> Memory:
    """
    Return what the engine takes while it is idle, and what a running command adds.

    :param server: process id of the API server
    :param environment: with which an `airflow` command works
    """
    time.sleep(SETTLE)
    parent = warm_parent(server)
    children = [private(child) for child in parent.children()]
    before = usage(tree(parent)).pss
    with slow_commands(client, COMMANDS):
        time.sleep(SETTLE)
        after = usage(tree(parent)).pss
    return Memory(
        parent=before - sum(children),
        waiting=len(children),
        child=sum(children) / max(1, len(children)),
        command=(after - before) / COMMANDS,
        process=_process_memory(environment),
    )


def _process_memory(environment: Mapping[str, str]) -> int:
    values = _slow_arguments(COMMANDS + 1)
    argv = [AIRFLOW, "tasks", "test", f"--task-params={values.pop('task_params')}", *values.values()]
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            argv, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )

        def is_in_task() -> bool:
            if process.poll() is not None:
                raise Unexpected(f"airflow tasks test: exit code {process.returncode}")
            return IN_TASK.encode() in os.pread(output.fileno(), 2**20, 0)

        try:
            _wait_for(is_in_task)
            return usage(tree(psutil.Process(process.pid))).pss
        finally:
            process.kill()
            process.wait()


@contextlib.contextmanager
def slow_commands(client: Client, count: int) -> Iterator[None]:
    """Keep some commands running, in the midst of their task."""
    started: list[str] = []
    try:
        for number in range(1, count + 1):
            answer = client.command("tasks test", _slow_arguments(number), {"Prefer": "respond-async"})
            if answer.status != 202:
                raise Unexpected(f"tasks test: {answer.status} {answer.body}")
            started.append(answer.body["id"])
        for identifier in started:
            _wait_for(partial(_is_in_task, client, identifier))
        yield
    finally:
        for identifier in started:
            client.send("POST", f"{PLUGIN}/v2/operations/{identifier}/cancel")
        for identifier in started:
            client.send("GET", f"{PLUGIN}/v2/operations/{identifier}", headers={"Prefer": "wait=20"})


def _slow_arguments(number: int) -> dict[str, str]:
    return {**SLOW, "logical_date_or_run_id": f"2024-03-{number:02}"}


def _is_in_task(client: Client, identifier: str) -> bool:
    operation = client.send("GET", f"{PLUGIN}/v2/operations/{identifier}", headers={"Prefer": "wait=0"}).body
    if operation["state"] not in ("queued", "running"):
        raise Unexpected(f"tasks test ended: {operation}")
    return IN_TASK in operation["stdout"] + operation["stderr"]


def _wait_for(holds: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise Unexpected(f"The slow task did not begin within {seconds:.0f} s")
        time.sleep(0.2)


def _is_top(process: psutil.Process) -> bool:
    """Whether it is the parent itself: a fork of it has the same command line."""
    above = process.parent()
    return above is None or WARM_PARENT not in above.cmdline()
