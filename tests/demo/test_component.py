from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import psutil
import pytest

from demo.component import Component, stop

ROOT = Path(__file__).resolve().parents[2]

# A child in a session of its own, as BashOperator starts its commands.
FAMILY = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", {child!r}], start_new_session=True, stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
time.sleep(60)
"""
PATIENT = "import time; print('ready', flush=True); time.sleep(60)"
DEAF = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("deaf", flush=True)
time.sleep(60)
"""


def start(tmp_path: Path, code: str) -> Component:
    command = [sys.executable, "-c", code]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    return Component("it", command, env=env, cwd=tmp_path, output=tmp_path / "it.out")


def printed(component: Component) -> str:
    deadline = time.monotonic() + 60
    while not component.last_line():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return component.last_line()


@pytest.mark.slow
@pytest.mark.parametrize("child", [PATIENT, DEAF])
def test_a_child_that_left_the_process_group_is_ended_too(tmp_path: Path, child: str) -> None:
    component = start(tmp_path, FAMILY.format(child=child))
    pid = int(printed(component).split()[0])
    assert psutil.pid_exists(pid)
    stop([component], grace=2)
    assert not psutil.pid_exists(pid)
    assert component.process.poll() is not None


def test_a_component_that_ignores_the_request_is_killed(tmp_path: Path) -> None:
    component = start(tmp_path, DEAF)
    printed(component)
    stop([component], grace=0.5)
    assert component.process.returncode == -9


def test_stopping_what_has_ended_already_is_no_error(tmp_path: Path) -> None:
    component = start(tmp_path, "print('done')")
    component.process.wait()
    stop([component])
    stop([component])
    assert component.process.returncode == 0


def test_the_last_line_says_something(tmp_path: Path) -> None:
    component = start(tmp_path, "print('first'); print('the reason'); print('  '); print('=====')")
    component.process.wait()
    assert component.last_line() == "the reason"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's parent-death signal")
def test_a_component_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    parent = start(
        tmp_path,
        "import os, sys, time\nfrom pathlib import Path\nfrom demo.component import Component\n"
        f"command = [sys.executable, '-c', {PATIENT!r}]\n"
        "child = Component('c', command, env=dict(os.environ), cwd=Path.cwd(), output=Path('c.out'))\n"
        "print(child.process.pid, flush=True)\ntime.sleep(60)",
    )
    child = psutil.Process(int(printed(parent)))
    parent.process.kill()
    parent.process.wait()
    child.wait(timeout=60)
