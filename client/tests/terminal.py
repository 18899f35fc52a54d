"""A terminal at which somebody types."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress


def typed_at(
    line: Sequence[str], typed: bytes, *, prompt: bytes, env: Mapping[str, str] | None = None
) -> tuple[int, str]:
    """Return the exit code of a program and all that its terminal shows, where one types when it prompts."""
    here, there = os.openpty()
    process = subprocess.Popen(line, stdin=there, stdout=there, stderr=there, env=env, start_new_session=True)
    os.close(there)
    shown = b""
    # At its end Linux has an error for us.
    with suppress(OSError):
        while piece := os.read(here, 1000):
            shown += piece
            if typed and prompt in shown:
                os.write(here, typed)
                typed = b""
    os.close(here)
    return process.wait(30), shown.decode()
