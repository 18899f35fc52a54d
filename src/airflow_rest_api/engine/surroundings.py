"""
What a resident child puts back after a command, and what it looks at before it takes the next.

A fork begins as its warm parent was. A resident child, which runs one command after another, has to be as
that fork would be: what can be put back is; whatever else differs ends it.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import locale
import logging
import operator
import os
import resource
import signal
import socket
import sys
import threading
import time
import types
import warnings
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from airflow_rest_api.engine.descriptors import DESCRIPTORS
from airflow_rest_api.engine.job import function
from airflow_rest_api.engine.patches import take_back

MOST_GROWTH = 64 * 2**20
"""Bytes of memory beyond those after its first command with which a resident child ends."""

_LIBRARIES = (
    "argparse builtins contextlib datetime functools importlib io json logging os pathlib re shutil signal "
    "socket subprocess sys tempfile threading time traceback warnings"
)
WATCHED_LIBRARIES = frozenset(_LIBRARIES.split())
"""Modules of the standard library whose functions no command may leave replaced."""

_CODE = (
    types.FunctionType,
    types.BuiltinFunctionType,
    types.MethodDescriptorType,
    types.WrapperDescriptorType,
    type,
    classmethod,
    staticmethod,
    property,
)
_HEAP_TYPE = 1 << 9  # Py_TPFLAGS_HEAPTYPE
_OURS = frozenset("0123")
_THREADS = "/proc/self/task"
_PAGE = resource.getpagesize()
_LIMITS = tuple(
    getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_") and name != "RLIMIT_DATA"
)
"""All but the limit of memory, which the engine sets for a command."""

_STREAMS = ("stdin", "stdout", "stderr")
_HOOKS = ("excepthook", "unraisablehook", "displayhook", "breakpointhook", "dont_write_bytecode")
_LISTS = ("path", "meta_path", "path_hooks", "warnoptions")


def _is_of(kind: type, module: str) -> bool:
    # Python 3.13 has the classes of `pathlib` in `pathlib._local`.
    return kind.__module__ == module or kind.__module__.startswith(f"{module}._")


class Code:
    """
    The functions and classes of modules as they are now: in the warm parent, for all its children.

    :param package: the package whose modules are looked at beside `WATCHED_LIBRARIES`
    :param elsewhere: the beginnings of its modules that are not looked at: commands hardly run them
    """

    def __init__(self, package: str | None, elsewhere: Sequence[str] = ()) -> None:
        self._modules: dict[str, Any] = {}
        self._known: list[_Names] = []
        for name, module in list(sys.modules.items()):
            ours = name.partition(".")[0] == package and not name.startswith(tuple(elsewhere))
            if ours or name in WATCHED_LIBRARIES:
                self._note_module(name, module)

    def _note_module(self, name: str, module: Any) -> None:
        names = getattr(module, "__dict__", None)
        if not isinstance(names, dict):
            return
        self._modules[name] = module
        self._note(names)
        for value in list(names.values()):
            # No attribute of a built-in class can be set.
            if isinstance(value, type) and value.__flags__ & _HEAP_TYPE and _is_of(value, name):
                self._note(vars(value))

    def _note(self, names: Mapping[str, Any]) -> None:
        kept = [name for name, value in names.items() if isinstance(value, _CODE)]
        if kept:
            self._known.append(_Names(names, kept))

    def changed(self) -> bool:
        """Return whether a module was exchanged, or one of its functions or classes."""
        modules = sys.modules
        if any(modules.get(name) is not module for name, module in self._modules.items()):
            return True
        return any(names.all != tuple(names.now.values()) and names.changed() for names in self._known)


class _Names:
    """
    The names of a module or a class that stand for code.

    A look at them has to cost next to nothing, although there are some ten thousand: the values of all names
    are compared in one step, which is by identity, and those that stand for code where there is a difference.
    """

    __slots__ = ("_code", "_get", "all", "now")

    def __init__(self, names: Mapping[str, Any], code: Sequence[str]) -> None:
        self.now = names
        self.all = tuple(names.values())
        self._get = operator.itemgetter(*code)
        self._code = self._get(names)

    def changed(self) -> bool:
        """Return whether one of the names stands for something else, or for nothing."""
        try:
            if self._get(self.now) != self._code:
                return True
        except KeyError:
            return True
        # A method that hides an inherited one; modules get new names also by an import.
        if len(self.now) != len(self.all) and not isinstance(self.now, dict):
            code = sum(isinstance(value, _CODE) for value in self.now.values())
            if code > (len(self._code) if isinstance(self._code, tuple) else 1):
                return True
        self.all = tuple(self.now.values())
        return False


_code = Code(None)


def note_code(package: str | None, elsewhere: Sequence[str] = ()) -> None:
    """Note the code of a package as it is now, for this process and its forks: see `Code`."""
    global _code
    _code = Code(package, elsewhere)


class Surroundings:
    """
    The process as a command finds it, taken before the first.

    :param tidy: a hook: see `Hooks.tidy`
    :param rest: closes the connection that a command may leave open for the next
    :param stay: the numbers of descriptors that were there before, and stay
    """

    def __init__(self, tidy: str | None, rest: Callable[[], object], stay: Collection[int] = ()) -> None:
        made = function(tidy)()
        self._tidy: Callable[[], str | None] = made or (lambda: None)
        self._rest = rest
        self._argv = sys.argv
        self._environment = dict(_environment())
        self._folder = os.getcwd()
        self._signals = {number: signal.getsignal(number) for number in _settable()}
        self._blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ())
        self._attributes = {name: getattr(sys, name) for name in (*_STREAMS, *_HOOKS)}
        self._lists = {name: list(getattr(sys, name)) for name in _LISTS}
        self._recursion = sys.getrecursionlimit()
        self._switch = sys.getswitchinterval()
        self._thread_hook = threading.excepthook
        self._timeout = socket.getdefaulttimeout()
        self._collector = gc.isenabled(), gc.get_threshold()
        self._filters = list(warnings.filters)
        self._show = warnings.showwarning
        self._loggers = _Loggers()
        self._modules = set(sys.modules)
        self._imported = _imported()
        self._roots = _installed()
        self._fixed = _fixed()
        now = _descriptors()
        self._stay = frozenset(pair for pair in now if int(pair[0]) in stay)
        self._descriptors = {self._stay, now}
        """Sets of descriptors of which it is known that nothing in them is a command's."""
        self._memory: int | None = None

    def put_back(self) -> str | None:
        """Return None once all is as it was, or what is not, in some words for the log."""
        take_back()
        self._put_back_interpreter()
        if self._put_back_process():
            return "the working folder is gone"
        self._loggers.put_back()
        if (why := self._tidy()) is not None:
            return why
        return self._differs()

    def _put_back_interpreter(self) -> None:
        sys.argv = self._argv
        for name, value in self._attributes.items():
            if getattr(sys, name) is not value:
                setattr(sys, name, value)
        for name, values in self._lists.items():
            if getattr(sys, name) != values:
                getattr(sys, name)[:] = values
        sys.setrecursionlimit(self._recursion)
        sys.setswitchinterval(self._switch)
        sys.settrace(None)
        sys.setprofile(None)
        threading.excepthook = self._thread_hook
        threading.settrace(None)
        threading.setprofile(None)
        if warnings.filters != self._filters:
            filters: Any = warnings.filters
            filters[:] = self._filters
            warnings._filters_mutated()  # type: ignore[attr-defined]
        warnings.showwarning = self._show
        enabled, thresholds = self._collector
        (gc.enable if enabled else gc.disable)()
        gc.set_threshold(*thresholds)
        socket.setdefaulttimeout(self._timeout)

    def _put_back_process(self) -> bool:
        if _environment() != self._environment:
            zone = os.environ.get("TZ")
            os.environb.clear()
            os.environb.update(self._environment)
            if zone != os.environ.get("TZ"):
                time.tzset()
        signal.pthread_sigmask(signal.SIG_SETMASK, self._blocked)
        try:
            os.chdir(self._folder)
        except OSError:
            return True
        return False

    def _differs(self) -> str | None:
        if any(getattr(sys, name).closed for name in _STREAMS):
            return "a standard stream is closed"
        if threading.active_count() > 1 or len(os.listdir(_THREADS)) > 1:
            return "there is a thread"
        if _has_children():
            return "there is a process"
        if any(signal.getsignal(number) is not handler for number, handler in self._signals.items()):
            return "a signal has another handler"
        if (now := _fixed()) != self._fixed:
            names = [name for name, value in now.items() if value != self._fixed[name]]
            return f"what differs: {', '.join(names)}"
        if _imported() != self._imported:
            if any(self._is_foreign(name) for name in sys.modules.keys() - self._modules):
                return "a module was imported that is not installed"
            self._modules, self._imported = set(sys.modules), _imported()
        if _code.changed():
            return "code was exchanged"
        if not self._known_descriptors():
            return "a descriptor is open"
        used = _memory()
        if self._memory is None:
            self._memory = used
        return "its memory has grown" if used - self._memory > MOST_GROWTH else None

    def _known_descriptors(self) -> bool:
        found = _descriptors()
        if found in self._descriptors:
            return True
        # Those of a connection go with it.
        self._rest()
        if not _descriptors() <= self._stay:
            return False
        self._descriptors.add(found)
        return True

    def _is_foreign(self, name: str) -> bool:
        file = getattr(sys.modules.get(name), "__file__", None)
        return isinstance(file, str) and not file.startswith(self._roots)


class _Loggers:
    """The state of all loggers and their handlers."""

    def __init__(self) -> None:
        self._disabled = logging.root.manager.disable
        self._class = logging.getLoggerClass()
        self._factory = logging.getLogRecordFactory()
        self._raise = logging.raiseExceptions
        self._last = logging.lastResort
        self._known = {logger: _kept(_state(logger)) for logger in _loggers()}
        self._handlers = {
            handler: _handler_state(handler)
            for logger in self._known
            for handler in (*logger.handlers, *filter(None, [self._last]))
        }

    def put_back(self) -> None:
        """Set all as it was; a logger that is new gets no level and no handlers."""
        logging.disable(self._disabled) if logging.root.manager.disable != self._disabled else None
        logging.setLoggerClass(self._class)
        logging.setLogRecordFactory(self._factory)
        logging.raiseExceptions, logging.lastResort = self._raise, self._last
        cleared = False
        known_of = self._known.get
        for logger in _loggers():
            known = known_of(logger, _NEW)
            if _state(logger) != known:
                logger.level, logger.disabled, logger.propagate = known[:3]
                logger.handlers[:], logger.filters[:] = known[3], known[4]
                cleared = True
        for handler, state in self._handlers.items():
            if _handler_state(handler) != state:
                handler.level, handler.formatter, stream, filters = state
                handler.filters[:] = filters
                if stream is not None:
                    handler.stream = stream  # type: ignore[attr-defined]
        if cleared:
            logging.root.manager._clear_cache()  # type: ignore[attr-defined]


_NEW: tuple[Any, ...] = (logging.NOTSET, False, True, [], [])
_state: Callable[[logging.Logger], tuple[Any, ...]] = operator.attrgetter(
    "level", "disabled", "propagate", "handlers", "filters"
)


def _loggers() -> Iterable[logging.Logger]:
    yield logging.root
    for logger in list(logging.root.manager.loggerDict.values()):
        if isinstance(logger, logging.Logger):
            yield logger


def _kept(state: tuple[Any, ...]) -> tuple[Any, ...]:
    *plain, handlers, filters = state
    return *plain, list(handlers), list(filters)


def _handler_state(handler: logging.Handler) -> tuple[Any, ...]:
    return handler.level, handler.formatter, vars(handler).get("stream"), tuple(handler.filters)


def _environment() -> dict[bytes, bytes]:
    # To compare it as text, all of it would be decoded.
    return vars(os.environb)["_data"]  # type: ignore[no-any-return]


def _imported() -> tuple[int, str]:
    """Return what differs as soon as something was imported: the number of modules, and the last of them."""
    return len(sys.modules), next(reversed(sys.modules))


def _settable() -> set[signal.Signals]:
    return {number for number in signal.Signals if number not in (signal.SIGKILL, signal.SIGSTOP)}


def _installed() -> tuple[str, ...]:
    """Return where installed modules are: the standard library, the packages, and this one."""
    packages = [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
    ours = os.path.dirname(os.path.dirname(__file__))
    return tuple(os.path.join(folder, "") for folder in (os.path.dirname(os.__file__), ours, *packages))


def _fixed() -> dict[str, Any]:
    """Return what ends a resident child where it is another than before."""
    return {
        "a timer": signal.getitimer(signal.ITIMER_REAL)[0] > 0,
        "exit handlers": atexit._ncallbacks(),
        "exit handlers of threads": len(threading._threading_atexits),  # type: ignore[attr-defined]
        "the locale": locale.setlocale(locale.LC_ALL),
        "limits": [resource.getrlimit(limit) for limit in _LIMITS],
        "the user": (os.getresuid(), os.getresgid()),
        "the priority": os.getpriority(os.PRIO_PROCESS, 0),
        "standard input, or the socket to the engine": [
            os.readlink(f"{DESCRIPTORS}/{number}") for number in (0, 3)
        ],
    }


def _descriptors() -> frozenset[tuple[str, str]]:
    """Return the descriptors beside the standard ones and the socket to the engine, each with its kind."""
    found = set()
    for number in os.listdir(DESCRIPTORS):
        if number not in _OURS:
            # That of the listing is gone.
            with contextlib.suppress(OSError):
                found.add((number, os.readlink(f"{DESCRIPTORS}/{number}").partition(":[")[0]))
    return frozenset(found)


def _has_children() -> bool:
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def _memory() -> int:
    """Return the bytes of memory that are this process's and of no file."""
    with open("/proc/self/statm", "rb") as file:
        _, resident, shared, *_ = map(int, file.read().split())
    return (resident - shared) * _PAGE
