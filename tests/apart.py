"""The beginning of scripts that do several things, each in a fork of a process that is warm already."""

from __future__ import annotations

SCRIPT = """
import os, traceback
from airflow_rest_api.engine.child import _exit_code, _finish

def apart(work, out, err=None):
    '''Do something that prints into files, as a child of the engine does; return its exit code.'''
    if (child := os.fork()) == 0:
        for number, name in ((1, out), (2, err)):
            if name is not None:
                os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666), number)
        try:
            work()
            code = 0
        except SystemExit as end:
            code = _exit_code(end.code)
        except BaseException:
            traceback.print_exc()
            code = 1
        # The interpreter takes seconds to give back what is warm.
        os._exit(_finish(code))
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
"""
"""Put in front of a script: `apart` does in a process of its own what it is given."""
