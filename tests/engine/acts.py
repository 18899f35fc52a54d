"""What the engine's tests let a child do in place of a command; the child finds this module by its path."""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path


def echo(argv: list[str]) -> int:
    """Print the arguments, one repr per line."""
    for word in argv:
        print(repr(word))
    return 0


def leave(argv: list[str]) -> int:
    """Exit with the code given."""
    sys.exit(int(argv[0]))


def fail(argv: list[str]) -> int:
    """Raise."""
    raise RuntimeError(argv[0])


def both(argv: list[str]) -> int:
    """Print a line on each stream."""
    print("to stdout")
    print("to stderr", file=sys.stderr)
    return 0


def pour(argv: list[str]) -> int:
    """Print so many mebibytes."""
    block = "x" * 1023 + "\n"
    print("first line")
    for _ in range(int(argv[0]) * 16):
        os.write(1, (block * 64).encode())
    print("last line")
    return 0


def linger(argv: list[str]) -> int:
    """End, but for an exit handler that does not."""
    atexit.register(time.sleep, 600)
    print("done")
    return 0


def sleep(argv: list[str]) -> int:
    """Say the process id and never end by itself."""
    print(os.getpid())
    while True:
        time.sleep(60)


def resist(argv: list[str]) -> int:
    """Ignore the polite signals."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    return sleep(argv)


def tidy(argv: list[str]) -> int:
    """Exit in order when asked to by the signal of the given name, and ignore the other."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.Signals[argv[0]], lambda *_: sys.exit(7))
    return sleep(argv)


def end_well(argv: list[str]) -> int:
    """Do what is left to do when asked to end, and succeed."""
    asked: list[int] = []
    signal.signal(signal.SIGINT, lambda number, _: asked.append(number))
    print(os.getpid())
    while not asked:
        time.sleep(0.05)
    print("done")
    return 0


def leave_to_a_thread(argv: list[str]) -> int:
    """Succeed, with a thread that never ends."""
    threading.Thread(target=time.sleep, args=(600,)).start()
    print("done")
    return 0


def leave_a_grandchild(argv: list[str]) -> int:
    """Start a process that holds the pipes, say its id, and end without it."""
    child = subprocess.Popen(["sleep", "600"])
    print(child.pid)
    return 0


def start_elsewhere(argv: list[str]) -> int:
    """Start a process in a session of its own, as Airflow does with shell commands, and wait for it."""
    child = subprocess.Popen(["sleep", "600"], start_new_session=True)
    print(child.pid)
    return child.wait()


def become_another(argv: list[str]) -> int:
    """Replace this process by another program."""
    os.execv("/bin/sh", ["sh", "-c", argv[0]])


def fork(argv: list[str]) -> int:
    """Have a fork of this process end in the way of the given name, some time before the command does."""
    if os.fork() == 0:
        if argv[0] == "exit":
            sys.exit(0)
        if argv[0] == "exec":
            os.execv("/bin/true", ["true"])
        raise RuntimeError("in the fork")
    os.wait()
    time.sleep(0.2)
    print("done")
    if argv[0] == "exec":
        sys.stdout.flush()
        os._exit(0)
    return 3


def exchange_streams(argv: list[str]) -> int:
    """Print, with something in the place of standard output that is as much of a stream as print needs."""

    class Tee:
        def __init__(self) -> None:
            self.write = sys.stdout.write

    sys.stdout.reconfigure(write_through=False)  # type: ignore[union-attr]
    sys.stdout.write("unfinished ")
    sys.stdout = None if argv[0] == "nothing" else Tee()  # type: ignore[assignment]
    print("done")
    return 0


def exit_in_flush(argv: list[str]) -> int:
    """Print, and have what is in the place of standard output raise what is called so when it is flushed."""
    import builtins

    class Exits:
        def flush(self) -> None:
            raise getattr(builtins, argv[0])

    print("done")
    sys.stdout = Exits()  # type: ignore[assignment]
    return 0


def exit_without_stderr(argv: list[str]) -> int:
    """Exit with words, where they can be written no more."""
    sys.stderr.close()
    sys.exit("words")


_learned: list[Callable[[list[str]], None]] = []


def masker(secrets: Sequence[str], learned: Callable[[list[str]], None] | None) -> None:
    """Be the hook `masker`."""
    _learned[:] = [learned] if learned else []


def close_descriptors(argv: list[str]) -> int:
    """Close what is open, as daemons do, connect to somebody, and come across a secret."""
    import socket

    os.closerange(3, 100)
    ours, theirs = socket.socketpair()
    print(ours.fileno())
    with ours, theirs:
        _learned[0](argv)
        print(*argv)
    return 0


def vanish(argv: list[str]) -> int:
    """End this process without a word."""
    os._exit(int(argv[0]))


def die(argv: list[str]) -> int:
    """Be killed by someone else, by a signal of this number."""
    print("still here")
    os.kill(os.getpid(), int(argv[0]) if argv else signal.SIGKILL)
    return 0


def read_stdin(argv: list[str]) -> int:
    """Say what there is to read."""
    print(repr(sys.stdin.read()))
    return 0


def surroundings(argv: list[str]) -> int:
    """Say in what kind of process this runs."""
    import gc
    import json

    umask = os.umask(0)
    os.umask(umask)
    print(
        json.dumps(
            {
                "columns": os.environ.get("COLUMNS"),
                "no_color": os.environ.get("NO_COLOR"),
                "context": os.environ.get("_AIRFLOW_PROCESS_CONTEXT"),
                "added": os.environ.get("ADDED"),
                "umask": umask,
                "cwd": os.getcwd(),
                "group_leader": os.getpgrp() == os.getpid(),
                "terminal": os.isatty(0) or os.isatty(1) or os.isatty(2),
                "descriptors": sorted(
                    os.readlink(f"/proc/self/fd/{number}").partition(":")[0]
                    for number in os.listdir("/proc/self/fd")
                    if Path(f"/proc/self/fd/{number}").is_symlink()
                ),
                "title": Path("/proc/self/cmdline").read_text(),
                "collects": gc.isenabled(),
            }
        )
    )
    return 0


def scheduling(argv: list[str]) -> int:
    """Say how the kernel schedules this process."""
    print(os.sched_getscheduler(0))
    return 0


def grow(argv: list[str]) -> int:
    """Take so many mebibytes of memory."""
    block = bytearray(int(argv[0]) * 2**20)
    print(len(block))
    return 0


def random_number(argv: list[str]) -> int:
    """Print a random number: two children must not print the same."""
    import random

    print(random.random())
    return 0


def session_works(argv: list[str]) -> int:
    """Say how many connections to the database are open, and use it."""
    from airflow import settings
    from sqlalchemy import text

    print(settings.engine.pool.checkedin() + settings.engine.pool.checkedout())
    with settings.engine.connect() as connection:
        print(connection.execute(text("SELECT 'works'")).scalar())
    return 0


def print_secrets(argv: list[str]) -> int:
    """Learn a secret as Airflow does, and print it in every way there is; the argument is one more."""
    from airflow._shared.secrets_masker import mask_secret

    mask_secret("learned-by-the-core")
    from airflow.sdk.log import mask_secret as mask_in_the_sdk

    mask_in_the_sdk({"password": "learned-by-the-sdk", "login": "not-secret"})
    for secret in (*argv, "learned-by-the-core", "learned-by-the-sdk", "not-secret"):
        print("in one go:", secret)
        print("in two: ", secret[:4], sep="", end="", flush=True)
        time.sleep(0.05)
        print(secret[4:])
        os.write(1, f"past Python: {secret}\n".encode())
        print("on stderr:", secret, file=sys.stderr)
        subprocess.run(["/bin/sh", "-c", 'echo "by another: $1"', "sh", secret], check=True)
    return 0


def learn_many(argv: list[str]) -> int:
    """Learn so many secrets one by one, as a command that loads connections does, and print them all."""
    from airflow._shared.secrets_masker import mask_secret

    secrets = [f"learned-{number:05d}" for number in range(int(argv[0]))]
    for secret in secrets:
        mask_secret(secret)
    for secret in secrets:
        print("it is", secret)
    return 0


def forge(argv: list[str]) -> int:
    """Write bytes on the socket of the child, end with the exit code given, or with a third word do not."""
    os.write(3, bytes.fromhex(argv[0]))
    print("still here")
    if len(argv) > 2:
        time.sleep(600)
    return int(argv[1])


def forge_on(argv: list[str]) -> int:
    """Write bytes on the socket of the child without end."""
    while True:
        os.write(3, bytes.fromhex(argv[0]))


def module_path(argv: list[str]) -> int:
    """Print where modules are looked for."""
    print("\n".join(sys.path))
    return 0


def which(argv: list[str]) -> int:
    """Say which process this is."""
    print(os.getpid())
    return 0


def doze(argv: list[str]) -> int:
    """Say which process this is, and take so many seconds."""
    print(os.getpid())
    time.sleep(float(argv[0]))
    return 0


def print_much(argv: list[str]) -> int:
    """Print so many characters on each stream, without an end of line."""
    for stream in (sys.stdout, sys.stderr):
        stream.write("x" * int(argv[0]))
    return 0


def refuse(argv: list[str]) -> int:
    """Refuse the arguments as a parser does."""
    import argparse

    argparse.ArgumentParser(prog="acts").error("no such argument")


def parse(argv: list[str]) -> int:
    """Parse something with a parser that refuses it, and go on."""
    import argparse

    try:
        argparse.ArgumentParser(prog="acts").parse_args(["--unknown"])
    except SystemExit:
        print("done all the same")
    return 0


def state(argv: list[str]) -> int:
    """Say which process this is, and what of it a command can change."""
    import json
    import locale
    import logging
    import warnings

    umask = os.umask(0)
    os.umask(umask)
    found = {
        "argv": sys.argv,
        "environment": dict(os.environ),
        "folder": os.getcwd(),
        "umask": umask,
        "signals": {int(number): str(signal.getsignal(number)) for number in signal.Signals},
        "blocked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ())),
        "recursion": sys.getrecursionlimit(),
        "path": sys.path,
        "locale": locale.setlocale(locale.LC_ALL),
        "loggers": {
            name: (logger.level, logger.disabled, len(logger.handlers))
            for name, logger in logging.root.manager.loggerDict.items()
            if isinstance(logger, logging.Logger) and name != "left"
        },
        "root": (logging.root.level, len(logging.root.handlers), logging.root.manager.disable),
        "filters": len(warnings.filters),
        "threads": threading.active_count(),
        "descriptors": len(os.listdir("/proc/self/fd")),
        "exit_handlers": atexit._ncallbacks(),
        "streams": [type(stream).__name__ for stream in (sys.stdin, sys.stdout, sys.stderr)],
        "left": getattr(logging.getLogger("left"), "handlers", None) == [],
    }
    print(json.dumps({"pid": os.getpid(), "state": found}))
    return 0


def warn(argv: list[str]) -> int:
    """Warn in a way of which Python tells once for each place."""
    import warnings

    warnings.warn("careful", UserWarning, stacklevel=1)
    return 0


def change_what_is_put_back(argv: list[str]) -> int:
    """Change whatever a resident child can put back."""
    import io
    import logging
    import warnings

    sys.argv = ["changed", *argv]
    os.environ["LEFT"] = "here"
    os.environ.pop("TERM")
    os.chdir("/")
    os.umask(0)
    sys.setrecursionlimit(5000)
    sys.path.insert(0, "/left")
    warnings.simplefilter("error")
    logging.disable(logging.ERROR)
    logging.root.setLevel(1)
    logging.root.addHandler(logging.StreamHandler(sys.stdout))
    logging.getLogger("known").setLevel(3)
    logging.getLogger("left").addHandler(logging.NullHandler())
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})
    sys.stdout, sys.stderr = io.StringIO(), io.StringIO()
    return 0


def leave_behind(argv: list[str]) -> int:
    """Leave something in the process after which it can be no other command's; say which process it is."""
    print(os.getpid())
    _LEAVES[argv[0]]()
    return 0


def _leave_a_daemon() -> None:
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            for _ in range(600):
                time.sleep(0.1)
                with contextlib.suppress(OSError):
                    os.write(1, b"late words of a daemon\n")
        os._exit(0)
    os.wait()


def _leave_a_module() -> None:
    import importlib
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "a_dag_file.py").write_text("")
        sys.path.insert(0, folder)
        importlib.import_module("a_dag_file")


def _leave_a_module_exchanged() -> None:
    import json

    sys.modules["json"] = type(sys)("json")
    sys.modules["json"].__dict__.update(vars(json))


def _leave_a_limit() -> None:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft - 1, hard))


def _raise() -> None:
    raise RuntimeError("not in order")


_kept: list[object] = []
_LEAVES: dict[str, Callable[[], object]] = {
    "a thread": lambda: threading.Thread(target=time.sleep, args=(0.2,)).start(),
    "a daemon thread": lambda: threading.Thread(target=time.sleep, args=(600,), daemon=True).start(),
    "a process": lambda: _kept.append(subprocess.Popen(["sleep", "600"])),
    "a daemon": _leave_a_daemon,
    "a timer": lambda: signal.setitimer(signal.ITIMER_REAL, 600),
    "a signal handler": lambda: signal.signal(signal.SIGUSR1, lambda *_: None),
    "an interrupt handler": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    "an exit handler": lambda: atexit.register(time.time),
    "a locale": lambda: __import__("locale").setlocale(__import__("locale").LC_ALL, "C"),
    "a cache": lambda: _kept.append(bytes(range(256)) * (2**20)),
    "a file": lambda: _kept.append(os.open(__file__, os.O_RDONLY)),
    "a closed stream": lambda: sys.stdout.close(),
    "a function": lambda: setattr(os, "getcwd", lambda: "/"),
    "a method": lambda: setattr(Path, "exists", lambda self: True),
    "a built-in": lambda: setattr(__import__("builtins"), "ascii", repr),
    "another module": _leave_a_module_exchanged,
    "a module of its own": _leave_a_module,
    "a limit": _leave_a_limit,
    "an exception": _raise,
    "a megabyte of output": lambda: print("x" * 2**20),
}


def main(argv: list[str]) -> None:
    """Be what a job without an entry runs: the hook `main`."""
    print("main", *argv)


def fail_in_main(argv: list[str]) -> None:
    """Be such a hook that fails below itself."""
    fail(argv)


def warm(watch: Callable[[Sequence[str]], None], preload: Sequence[str]) -> None:
    """Be the hook `warm`: watch the file that `preload` has for a name."""
    watch(preload)


def import_all(watch: Callable[[Sequence[str]], None], preload: Sequence[str]) -> None:
    """Be a hook `warm` that imports what the acts import: this module, and what `state` does."""
    import json
    import locale
    import logging
    import warnings

    _kept.extend((json, locale, logging.getLogger("known"), warnings))


def what_can_be_seen(argv: list[str]) -> int:
    """Say in how many places of this process a text is, and for whom it works."""
    import getpass
    import json

    from airflow._shared.secrets_masker import _secrets_masker
    from airflow.sdk._shared.secrets_masker import _secrets_masker as masker_of_the_sdk
    from airflow.utils.platform import getuser

    [text] = argv
    known = [pattern for masker in (_secrets_masker(), masker_of_the_sdk()) for pattern in masker.patterns]
    found = {
        "argv": sum(text in word for word in sys.argv[2:]),
        "environment": sum(text in value for value in os.environ.values()),
        "maskers": sum(
            text.replace("-", "") in pattern.replace("\\", "").replace("-", "") for pattern in known
        ),
        "user": getuser() == getpass.getuser(),
        "files": len(os.listdir(".")),
    }
    print(json.dumps(found))
    return 0


def leave_of_airflow(argv: list[str]) -> int:
    """Leave something of Airflow in the process after which it can be no other command's."""
    from airflow import settings
    from airflow.models.pool import Pool
    from sqlalchemy import text

    if argv[0] == "transaction":
        settings.Session().execute(text("SELECT 1"))  # type: ignore[misc]
    elif argv[0] == "connection":
        _kept.append(settings.engine.connect())  # type: ignore[union-attr]
    elif argv[0] == "engine":
        settings.engine = None
    elif argv[0] == "model":
        Pool.get_pool = staticmethod(lambda *_: None)  # type: ignore[method-assign, assignment]
    else:
        threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
    return 0


def learn(secrets: Sequence[str], learned: Callable[[list[str]], None] | None) -> None:
    """Be the hook `masker`: learn one more secret for each."""
    if learned is not None:
        learned([f"learned-with-{secret}" for secret in secrets])


def hold(watch: Callable[[Sequence[str]], None], preload: Sequence[str]) -> None:
    """Be a hook `warm` that leaves a log file open, a socket for messages and a connection, as a plugin."""
    import socket

    import_all(watch, preload)
    log = os.open(preload[0], os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    _kept.append([log, *socket.socketpair(type=socket.SOCK_DGRAM), *socket.socketpair()])


def use_what_is_held(argv: list[str]) -> int:
    """Write to what `hold` has opened, beside files of this command's own, and say what came of that."""
    log, messages, others, connection, _ = _kept[-1]
    files = [os.open(f"{argv[0]}.{number}", os.O_CREAT | os.O_RDWR) for number in range(20)]
    os.write(log, b"a line\n")
    messages.send(b"a message")
    try:
        connection.send(b"to whom?")
    except OSError as error:
        print(type(error).__name__)
    print(others.recv(100).decode(), connection.fileno() in files)
    print([number for number in files if os.pread(number, 100, 0)])
    print(os.getpid())
    for number in files:
        os.close(number)
    return 0
