"""`make run`: start Airflow with the plugin, say how to reach it, and stay until Ctrl-C."""

from __future__ import annotations

import configparser
import contextlib
import ctypes
import json
import os
import shlex
import signal
import sys
import time
from pathlib import Path
from types import FrameType
from typing import NoReturn

import psutil

from demo.component import kill
from demo.config import write_private
from demo.stack import Stack, StackError

_PR_SET_CHILD_SUBREAPER = 36  # <linux/prctl.h>
_ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main() -> int:
    """Run the demo; return its exit code: 0 when it was asked to end, 1 when it failed."""
    try:
        port = int(os.environ.get("PORT") or 8080)
    except ValueError:
        return _fail(f"PORT is not a number: {os.environ['PORT']}")
    if not 0 < port < 65536:
        return _fail(f"PORT is not between 1 and 65535: {port}")
    topology = os.environ.get("TOPOLOGY") or "single"
    if topology not in ("single", "split"):
        return _fail(f"TOPOLOGY is neither single nor split: {topology}")
    home = Path(os.environ.get("AIRFLOW_HOME") or ".airflow").expanduser()
    for number in _ENDS:
        signal.signal(number, _end)
    _adopt_orphans()
    host = os.environ.get("HOST") or "127.0.0.1"
    stack = Stack(home, port, host=host, expect=None, topology=topology)
    facts = stack.home / "demo.json"
    started = time.monotonic()
    print(f"Starting Airflow in {stack.home} ...", flush=True)
    try:
        stack.start()
        print("Airflow is up; the commands are warming up ...", flush=True)
        stack.wait_for_commands()
        more = {"topology": topology} if topology != "single" else {}
        write_private(facts, json.dumps({"url": stack.url, "users": stack.passwords, **more}) + "\n")
        _announce(stack, time.monotonic() - started)
        while True:
            stack.check()
            _end_orphans(stack)
            time.sleep(0.5)
    except KeyboardInterrupt:
        print("Stopping ...", flush=True)
        return 0
    except (StackError, OSError, ValueError, configparser.Error) as error:
        # The last two: a file that its user has changed.
        return _fail(str(error))
    finally:
        # A second Ctrl-C must not leave half of it running.
        for number in _ENDS:
            signal.signal(number, signal.SIG_IGN)
        if stack.owned:
            facts.unlink(missing_ok=True)
        stack.stop()
        with contextlib.suppress(psutil.Error):
            kill(psutil.Process().children(recursive=True))


def _announce(stack: Stack, seconds: float) -> None:
    """Print where the demo is, who may log in, and a command to try."""
    password = stack.passwords["admin"]
    login = shlex.quote(json.dumps({"username": "admin", "password": password}))
    token = (
        f"$(curl -s {stack.url}/auth/token -H 'Content-Type: application/json' -d {login}"
        """ | sed 's/.*"access_token":"\\([^"]*\\)".*/\\1/')"""
    )
    print(
        f"Ready: {stack.url}/admin/rest_api/ (log in as admin with {password}; after {seconds:.0f} s)\n"
        f"The other users and their passwords are in {stack.home / 'demo.json'}. Try:\n"
        f"curl -s -X POST {stack.url}/admin/rest_api/v2/commands/dags/list"
        f" -H 'Content-Type: application/json' -d '{{}}' -H \"Authorization: Bearer {token}\"\n"
        "Ctrl-C ends it.",
        flush=True,
    )


def _end(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def _adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent ends, so that none escapes (Linux only)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)


def _end_orphans(stack: Stack) -> None:
    """Take note of the end of those who were adopted; the components' own ends are theirs to tell."""
    own = {component.process.pid for component in stack.components}
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.Error, ChildProcessError):
            if child.pid not in own and child.status() == psutil.STATUS_ZOMBIE:
                os.waitpid(child.pid, os.WNOHANG)


def _fail(message: str) -> int:
    print(f"The demo failed: {message}", file=sys.stderr, flush=True)
    return 1


if __name__ == "__main__":
    sys.exit(main())
