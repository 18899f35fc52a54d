"""A program that changes a bundle, or recovers it, and is killed or fails at a given step."""

from __future__ import annotations

import errno
import json
import os
import signal
import sys
from pathlib import Path

from airflow_rest_api.dag_files.transaction import Transaction, recover


def main() -> None:
    """Do what the order says: `act`, `root`, `files`, `deleted`; `kill` and `fail` are numbers of steps."""
    order = json.loads(sys.argv[1])
    count = 0

    def step(name: str) -> None:
        nonlocal count
        count += 1
        print(name, flush=True)
        if count == order.get("kill"):
            os.kill(os.getpid(), signal.SIGKILL)
        if count == order.get("fail"):
            raise OSError(errno.ENOSPC, "No space left on device")

    root = Path(order["root"])
    if order["act"] == "recover":
        recover(root, step)
        return
    files = {path: Path(source) for path, source in order["files"].items()}
    Transaction(root, "one", step).change(files, order["deleted"])


if __name__ == "__main__":
    main()
