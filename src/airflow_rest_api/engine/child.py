"""The life of one child: wait for a job, become the command, report how it ended."""

from __future__ import annotations

import argparse
import atexit
import contextlib
import contextvars
import functools
import os
import resource
import select
import signal
import socket
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from types import CodeType, TracebackType
from typing import Any, NoReturn

from airflow_rest_api import processes
from airflow_rest_api.engine import descriptors, wire
from airflow_rest_api.engine.job import Job, function
from airflow_rest_api.engine.patches import patch
from airflow_rest_api.engine.surroundings import Surroundings

CONTROL = 3
"""Where a child keeps its socket to the engine; what is above is closed: see `descriptors`."""

UMASK = 0o027
INTERRUPTED = 128 + signal.SIGINT
"""Exit code of a command that an interrupt ended, as a shell gives it."""

UNHEARD = b"The command was ended: what it ran has closed the socket on which it reports (descriptor 3).\n"

RESTS_AFTER = 60.0
"""Seconds without a job after which a spare child lets go of what it holds open."""

_REFUSAL = "airflow_rest_api_refusal"
"""What a parser that exits has said, with its exception."""

Handlers = dict[signal.Signals, Any]

_sending = threading.Lock()


def become_child(
    control: int,
    stdout: int,
    stderr: int,
    parent: int,
    prepare: Callable[[], object],
    rest: Callable[[], object],
    held: Mapping[int, descriptors.Held] | None = None,
) -> NoReturn:
    """
    Turn a process that was just forked from the warm parent into one that waits for its job.

    :param control: descriptor of the socket to the engine
    :param stdout: descriptor that takes the place of standard output
    :param stderr: descriptor that takes the place of standard error
    :param parent: process id of the warm parent; the child does not outlive it
    :param prepare: what to do while no job has come yet
    :param rest: what to do when none has come for a while, and when none will come any more
    :param held: what the parent has open for something that lives on in this process
    """
    try:
        os.setsid()
        processes.end_with(parent, signal.SIGKILL)
        _reset_signals()
        engine, stay = _take_descriptors(control, stdout, stderr, held or {})
        prepare()
        serve(engine, rest, stay)
    except Exception:
        # No command's: it is what keeps one from being begun. Who reads the exit code alone knows nothing.
        traceback.print_exc()
        _flush(0)
    finally:
        # Whatever happens, a child never returns into the parent's loop.
        os._exit(70)


def serve(control: socket.socket, rest: Callable[[], object], stay: Collection[int] = ()) -> NoReturn:
    """
    Wait for a job, run it, report its end; wait for the next where the job and what it left allow that.

    Ends without a report when the engine has gone.

    :param stay: the numbers of descriptors that are open for longer than a job
    """
    before: Surroundings | None = None
    while True:
        order = _next_order(control, rest)
        if before is None and order["again"]:
            processes.adopt_orphans()
            _leave_processor_to_server()
            before = Surroundings(order["tidy"], rest, stay)
        report, orderly, handlers = _work(control, order)
        # Neither the exit handlers nor what is put back change the result, which need not wait for them.
        _send(control, report)
        if before is None or not orderly:
            break
        _say_nothing()
        if order["lingers"]:
            # The engine's end shows in the socket.
            select.select([control], [], [], order["lingers"])
        for number, handler in handlers.items():
            signal.signal(number, handler)
        if (why := before.put_back()) is not None:
            _send(control, {"leaves": why})
            break
        _send(control, {"again": True})
    _leave()
    os._exit(report["exit_code"])


def _work(control: socket.socket, order: wire.Message) -> tuple[wire.Message, bool, Handlers]:
    """Return the report of a job, whether it ended in order, and the handlers of the signals that end it."""
    # What is known before the command begins is one message to the engine, which wakes up for each.
    first: list[wire.Message] = [{"begun": True}]
    over = False

    def learned(secrets: list[str]) -> None:
        message = {"secrets": secrets}
        if first:
            first.append(message)
        elif not _send(control, message) and not over:
            # Nobody can take it out of what would be printed now.
            os.write(2, UNHEARD)
            os._exit(70)

    def begin() -> None:
        _send(control, *first)
        first.clear()

    process = os.getpid()
    _report_exec(lambda: _send(control, {"becomes": True}) if os.getpid() == process else None)
    report, orderly = run(order, learned, begin)
    over = True
    if os.getpid() != process:
        # A fork that the command made, and that came back from its code: its end is not the command's.
        _leave()
        os._exit(report["exit_code"])
    # It has ended: a signal from now on comes too late.
    handlers = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    return report, orderly, handlers


def _next_order(control: socket.socket, rest: Callable[[], object]) -> wire.Message:
    if not select.select([control], [], [], RESTS_AFTER)[0]:
        rest()
    order, descriptors = wire.receive_with_descriptors(control)
    if order is None:
        rest()
        os._exit(0)
    # The first job has the pipes that came with the fork.
    for target, descriptor in zip((1, 2), descriptors, strict=False):
        os.dup2(descriptor, target)
        os.close(descriptor)
    return order


def _say_nothing() -> None:
    """Lead the streams nowhere: what comes now is no job's."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for target in (1, 2):
        os.dup2(nowhere, target)
    os.close(nowhere)
    # What could not be printed, as to a pipe that was full, is not for the next job.
    _flush(0)


def _send(control: socket.socket, *messages: wire.Message) -> bool:
    """
    Send messages to the engine, which may be gone; return whether the socket still leads there.

    A command that closes all descriptors, as daemons do, may have a connection of its own by that number.
    """
    # Threads may learn secrets at the same time.
    with _sending:
        try:
            if _inode(control) != os.fstat(control.fileno()).st_ino:
                return False
        except OSError:
            return False
        with contextlib.suppress(OSError):
            control.sendall(b"".join(map(wire.pack, messages)))
    return True


@functools.cache  # One for a process.
def _inode(control: socket.socket) -> int:
    return os.fstat(control.fileno()).st_ino


def run(
    order: wire.Message, learned: Callable[[list[str]], None], begin: Callable[[], None]
) -> tuple[wire.Message, bool]:
    """
    Run one job in this process as a new interpreter would.

    :param order: the fields of the `job`, of `Hooks` its `main` and `masker`, and its `memory` in bytes
    :param learned: takes the secrets that the command comes across, where they are to be masked
    :param begin: called when all is ready for the command, and nothing of it has been done
    :return: `exit_code`, and `usage` with the parser's message if the parser refused the arguments; and
        whether the job returned or exited, and left no threads that had to be waited for
    """
    os.umask(UMASK)
    job = Job(**order["job"])
    if job.cwd:
        os.chdir(job.cwd)
    os.environ.update(job.env)
    if order["memory"]:
        _limit_memory(order["memory"])
    if job.mask or job.secrets:
        function(order["masker"])(job.secrets, learned if job.mask else None)
    # A reader on the other side wants each line when it is printed.
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    _note_refusals()
    begin()
    # What the command sets in the context of its thread is gone with its own.
    code, orderly, refusal = contextvars.copy_context().run(_call, job, order["main"])
    orderly = orderly and threading.active_count() == 1
    # The interpreter can be told only once that it ends: threads that are begun later are waited for no more.
    code = _flush(code) if orderly and order["again"] else _finish(code)
    return {"exit_code": code, **refusal}, orderly


def _limit_memory(size: int) -> None:
    """Let this process have so many bytes, or as many as it may anyway: a limit cannot be raised."""
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    most = size if hard == resource.RLIM_INFINITY else min(size, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))


def _call(job: Job, main: str | None) -> tuple[int, bool, dict[str, str]]:
    """Return the exit code of a job, whether it returned or exited, and `usage` where a parser ended it."""
    # Airflow writes `sys.argv` to its audit log.
    sys.argv = ["airflow", *(job.argv if job.shown is None else job.shown)]
    _warn_anew()
    ours: list[CodeType] = []
    try:
        for name, argument in job.setup.items():
            function(name)(argument)
        run_command = function(job.entry or main)
        if job.entry is None:
            ours.append(run_command.__code__)
        return run_command(job.argv) or 0, True, {}
    except SystemExit as end:
        return _exit_code(end.code), True, vars(end).get(_REFUSAL, {})
    except BaseException as error:
        sys.excepthook(type(error), error.with_traceback(_of_command(error, ours)), error.__traceback__)
        return INTERRUPTED if isinstance(error, KeyboardInterrupt) else 1, False, {}


def _warn_anew() -> None:
    """Have Python warn also of what it has warned of before, in the parent or a command that ran here."""
    warnings._filters_mutated()  # type: ignore[attr-defined]


def _of_command(error: BaseException, ours: Sequence[CodeType]) -> TracebackType | None:
    """Return the traceback without the frames above the command: they would be noise to the reader."""
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        if code.co_filename != __file__ and code not in ours:
            break
        trace = trace.tb_next
    return trace


def _exit_code(code: Any) -> int:
    """Return what the interpreter makes of `sys.exit(code)`."""
    if code is None:
        return 0
    if isinstance(code, int):
        return code & 0xFF
    # Wherever that leads by now, if anywhere.
    with contextlib.suppress(Exception):
        sys.stderr.write(f"{code}\n")
    return 1


def _finish(code: int) -> int:
    """Wait for the command's threads, as the interpreter does at the end of a program, and for its output."""
    ends: list[type[BaseException]] = []
    report = sys.unraisablehook

    def note(unraisable: Any) -> None:
        # From Python 3.13, what ends the wait is one of them (`thread_shutdown`, `_threadmodule.c`).
        ends.append(unraisable.exc_type)
        report(unraisable)

    sys.unraisablehook = note
    try:
        threading._shutdown()  # type: ignore[attr-defined]
    except BaseException as error:
        traceback.print_exc()
        ends.append(type(error))
    finally:
        sys.unraisablehook = report
    if any(issubclass(kind, KeyboardInterrupt) for kind in ends):
        # What a thread was still doing is not done.
        code = code or INTERRUPTED
    return _flush(code)


def _leave() -> None:
    """Run the exit handlers; what they print is late where the result has been reported."""
    try:
        atexit._run_exitfuncs()
    except BaseException:
        traceback.print_exc()
    _flush(0)


def _flush(code: int) -> int:
    # The interpreter's own too: what they still hold, behind what a command has put in their place, is its.
    for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
        try:
            # A command may have closed it when it was done, and put anything in its place, or nothing.
            if stream is not None and not getattr(stream, "closed", False) and hasattr(stream, "flush"):
                stream.flush()
        except BaseException as error:
            # Also an exit: without its report nobody knew how the command ended.
            code = code or (INTERRUPTED if isinstance(error, KeyboardInterrupt) else 120)
    return code


def _report_exec(report: Callable[[], object]) -> None:
    """
    Call `report` when a command is about to become another program, as `airflow db shell` does.

    That program's end is the command's; a process that ends without a report otherwise has ended in the
    middle. All functions of the family go through these two.
    """
    for name in ("execv", "execve"):
        becomes = getattr(os, name)

        @functools.wraps(becomes)
        def note(*args: Any, becomes: Callable[..., Any] = becomes) -> Any:
            report()
            return becomes(*args)

        patch(os, name, note)


def _note_refusals() -> None:
    """
    Note the message of argparse when it refuses arguments, which is to exit with 2.

    With the exception: the code of a command may have parsers of its own, and go on.
    """
    leave = argparse.ArgumentParser.exit

    def note(self: argparse.ArgumentParser, status: int = 0, message: str | None = None) -> NoReturn:
        try:
            leave(self, status, message)
        except SystemExit as end:
            if status == 2 and message:
                vars(end)[_REFUSAL] = {"usage": message.strip()[: wire.LONGEST_USAGE]}
            raise

    patch(argparse.ArgumentParser, "exit", note)


def _leave_processor_to_server() -> None:
    """
    Take no processor from the API server in the moment in which it wakes this process.

    The share of the processors is as large as ever (https://man7.org/linux/man-pages/man7/sched.7.html,
    SCHED_BATCH). What a process starts has that too: this is for commands that start none. A server that was
    given another policy than the usual one keeps it, and a sandbox may forbid to change it.
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            if os.sched_getscheduler(0) == os.SCHED_OTHER:
                os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def _reset_signals() -> None:
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _take_descriptors(
    control: int, stdout: int, stderr: int, held: Mapping[int, descriptors.Held]
) -> tuple[socket.socket, list[int]]:
    """Return the socket to the engine, and the numbers of the parent's descriptors that stay."""
    # Above the standard ones first: a descriptor must not be overwritten before it was copied.
    nothing = os.open(os.devnull, os.O_RDONLY)
    copies = [os.dup(number) for number in (nothing, stdout, stderr, control)]
    for target, copy in enumerate(copies):
        os.dup2(copy, target, inheritable=target != CONTROL)
    stay = descriptors.close_from(CONTROL + 1, held, 0)
    return socket.socket(fileno=CONTROL), stay


def main(descriptor: int) -> NoReturn:
    """Be a child in an interpreter of its own, where forking is not possible."""
    control = socket.socket(fileno=descriptor)
    os.set_inheritable(descriptor, False)
    order = wire.receive(control)
    if order is None:
        os._exit(0)
    threading.Thread(target=_end_with, args=(control,), daemon=True).start()
    report, *_ = _work(control, order)
    # Here the exit handlers come first: once the engine has the result, `_end_with` may end this process.
    _leave()
    _send(control, report)
    os._exit(report["exit_code"])


def _end_with(control: socket.socket) -> None:
    """Kill this command and all that it started when the engine is gone: no warm parent is there to do it."""
    wire.receive(control)
    processes.kill_all(processes.detached_descendants(os.getpid()))
    os.killpg(0, signal.SIGKILL)
