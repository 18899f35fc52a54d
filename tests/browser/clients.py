"""Clients of the API beside the browser, which prepare what the page is to show."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tests.server.conftest import Client
from tests.stacks import Stack


@contextmanager
def warm(stack: Stack, user: str = "admin") -> Iterator[Client]:
    """Give a client for whom commands start at once: the engine's first one waits for its imports."""
    with Client(stack, user) as client:
        for _ in range(10):
            operation = client.line("version", Prefer="wait=30").json()
            if operation["state"] not in ("queued", "running"):
                break
        else:
            raise TimeoutError(str(operation))
        yield client
