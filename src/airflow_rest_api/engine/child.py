"""The life of one child: wait for a job, become the command, report how it ended."""

from __future__ import annotations

import argparse
import atexit
import contextlib
import ctypes
import functools
import importlib
import os
import resource
import select
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, NoReturn

from airflow_rest_api.airflow import maskers
from airflow_rest_api.airflow.child import output
from airflow_rest_api.engine import descendants, wire

CONTROL = 3
"""Where a child keeps its socket to the engine; everything above is closed."""

UMASK = 0o027
INTERRUPTED = 128 + signal.SIGINT
"""Exit code of a command that an interrupt ended, as a shell gives it."""

PR_SET_PDEATHSIG = 1

RESTS_AFTER = 60.0
"""Seconds without a job after which a spare child lets go of what it holds open."""

_libc = ctypes.CDLL(None)
_telling = threading.Lock()


def become_child(
    control: socket.socket,
    stdout: int,
    stderr: int,
    parent: int,
    prepare: Callable[[], None],
    rest: Callable[[], None],
) -> NoReturn:
    """
    Turn a process that was just forked from the warm parent into one that waits for its job.

    :param control: socket to the engine
    :param stdout: descriptor that takes the place of standard output
    :param stderr: descriptor that takes the place of standard error
    :param parent: process id of the warm parent; the child does not outlive it
    :param prepare: what to do while no job has come yet
    :param rest: what to do when none has come for a while, and none ever will
    """
    try:
        os.setsid()
        _die_with(parent)
        _reset_signals()
        control = _take_descriptors(control, stdout, stderr)
        prepare()
        serve(control, rest)
    finally:
        # Whatever happens, a child never returns into the parent's loop.
        os._exit(70)


def serve(control: socket.socket, rest: Callable[[], None]) -> NoReturn:
    """Wait for one job, run it, report its end; end without a word when the engine has gone."""
    if not select.select([control], [], [], RESTS_AFTER)[0]:
        rest()
    job = wire.receive(control)
    if job is None:
        rest()
        os._exit(0)
    report = _work(control, job)
    # The exit handlers close connections and change nothing of the result: nobody has to wait for them.
    _tell(control, report)
    _leave()
    os._exit(report["exit_code"])


def _work(control: socket.socket, job: wire.Message) -> wire.Message:
    _tell(control, {"begun": True})
    _note_becoming(lambda: _tell(control, {"becomes": True}))
    report = run(job, lambda secrets: _tell(control, {"secrets": secrets}))
    # It has ended: whoever asks it to end from now on comes too late.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    return report


def _tell(control: socket.socket, message: wire.Message) -> None:
    # The engine may be gone; what is left to do then is to end. Threads may learn secrets at the same time.
    with contextlib.suppress(OSError), _telling:
        wire.send(control, message)


def run(job: wire.Message, tell: Callable[[list[str]], None]) -> wire.Message:
    """
    Run one job in this process as a new interpreter would.

    :param job: `argv`, `shown`, `entry`, `cwd`, `env`, `memory` (bytes), `secrets`, `mask`, `visible` and
        `setup` of it
    :param tell: takes the secrets that the command comes across, where they are to be masked
    :return: `exit_code`, and `usage` with the parser's words if the parser refused the arguments
    """
    os.umask(UMASK)
    if job["cwd"]:
        os.chdir(job["cwd"])
    os.environ.update(job["env"])
    if job["memory"]:
        resource.setrlimit(resource.RLIMIT_DATA, (job["memory"], job["memory"]))
    if job["mask"] or job["secrets"]:
        maskers.pass_on(job["secrets"], tell if job["mask"] else None)
    if job["visible"]:
        output.show_only(job["visible"])
    # A reader on the other side wants each line when it is printed.
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    refusal = _note_refusals()
    code = _call(job["entry"], job["argv"], job["shown"], job["setup"])
    return {"exit_code": _finish(code), **refusal}


def _call(entry: str | None, argv: Sequence[str], shown: Sequence[str], setup: Mapping[str, Any]) -> int:
    # Airflow writes `sys.argv` to its audit log.
    sys.argv = ["airflow", *shown]
    try:
        for function, argument in setup.items():
            _function(function)(argument)
        if entry is None:
            run_airflow(argv)
            return 0
        return _function(entry)(list(argv)) or 0
    except SystemExit as end:
        return _exit_code(end.code)
    except BaseException as error:
        sys.excepthook(type(error), error.with_traceback(_below_us(error)), error.__traceback__)
        return INTERRUPTED if isinstance(error, KeyboardInterrupt) else 1


def _function(name: str) -> Callable[..., Any]:
    """Return the function called `module:function`."""
    module, _, function = name.partition(":")
    return getattr(importlib.import_module(module), function)  # type: ignore[no-any-return]


def _below_us(error: BaseException) -> TracebackType | None:
    """Return the traceback without the frames of this module: they would be noise to the reader."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
        trace = trace.tb_next
    return trace


def run_airflow(argv: Sequence[str]) -> None:
    """Run Airflow's own entry point, its parser with the real arguments."""
    from airflow.__main__ import main
    from airflow.cli.cli_parser import get_parser

    parser = get_parser()
    parser.parse_args = functools.partial(parser.parse_args, list(argv))  # type: ignore[assignment]
    main()  # type: ignore[no-untyped-call]


def _exit_code(code: Any) -> int:
    """Return what the interpreter makes of `sys.exit(code)`."""
    if code is None:
        return 0
    if isinstance(code, int):
        return code & 0xFF
    sys.stderr.write(f"{code}\n")
    return 1


def _finish(code: int) -> int:
    """Wait for the command's threads, as the interpreter does at the end of a program, and for its output."""
    try:
        threading._shutdown()  # type: ignore[attr-defined]
    except BaseException as error:
        traceback.print_exc()
        if isinstance(error, KeyboardInterrupt):
            # What a thread was still doing is not done.
            code = code or INTERRUPTED
    return _flush(code)


def _leave() -> None:
    """Run the exit handlers; what they print is late where the result has been told."""
    try:
        atexit._run_exitfuncs()
    except BaseException:
        traceback.print_exc()
    _flush(0)


def _flush(code: int) -> int:
    for stream in (sys.stdout, sys.stderr):
        # A command that writes to standard output as to a file may have closed it when it was done.
        if stream.closed:
            continue
        try:
            stream.flush()
        except (OSError, ValueError):
            code = code or 120
    return code


def _note_becoming(tell: Callable[[], None]) -> None:
    """
    Say so when a command is about to become another program, as `airflow db shell` does.

    That program's end is the command's; a process that ends without a word otherwise has ended in the middle.
    All functions of the family go through these two.
    """
    for name in ("execv", "execve"):
        becomes = getattr(os, name)

        @functools.wraps(becomes)
        def note(*args: Any, becomes: Callable[..., Any] = becomes) -> Any:
            tell()
            return becomes(*args)

        setattr(os, name, note)


def _note_refusals() -> dict[str, str]:
    """Catch what argparse says when it refuses the arguments: it exits with 2 and a message."""
    refusal: dict[str, str] = {}
    leave = argparse.ArgumentParser.exit

    def note(self: argparse.ArgumentParser, status: int = 0, message: str | None = None) -> NoReturn:
        if status == 2 and message:
            refusal["usage"] = message.strip()[: wire.LONGEST_USAGE]
        leave(self, status, message)

    argparse.ArgumentParser.exit = note  # type: ignore[method-assign]
    return refusal


def _die_with(parent: int) -> None:
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)


def _reset_signals() -> None:
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _take_descriptors(control: socket.socket, stdout: int, stderr: int) -> socket.socket:
    # Above the standard ones first: a descriptor must not be overwritten before it was copied.
    nothing = os.open(os.devnull, os.O_RDONLY)
    copies = [os.dup(number) for number in (nothing, stdout, stderr, control.fileno())]
    control.detach()
    for target, copy in enumerate(copies):
        os.dup2(copy, target, inheritable=target != CONTROL)
    os.closerange(CONTROL + 1, os.sysconf("SC_OPEN_MAX"))
    return socket.socket(fileno=CONTROL)


def main(descriptor: int) -> NoReturn:
    """Be a child in an interpreter of its own, where forking is not possible."""
    control = socket.socket(fileno=descriptor)
    os.set_inheritable(descriptor, False)
    job = wire.receive(control)
    if job is None:
        os._exit(0)
    threading.Thread(target=_end_with, args=(control,), daemon=True).start()
    report = _work(control, job)
    # Here the exit handlers come first: once the engine has the result, `_end_with` may end this process.
    _leave()
    _tell(control, report)
    os._exit(report["exit_code"])


def _end_with(control: socket.socket) -> None:
    """Kill this command and all that it started when the engine is gone: no warm parent is there to do it."""
    wire.receive(control)
    descendants.kill(descendants.strays_of(os.getpid()))
    os.killpg(0, signal.SIGKILL)
