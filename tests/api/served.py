"""An app with a command that never ends, behind a real uvicorn: `python -m tests.api.served PORT`."""

from __future__ import annotations

import sys

import uvicorn
from fastapi import FastAPI

from tests.standin import make_app, until_cancelled


def main(port: int) -> None:
    """Serve until told to stop, mounted as by Airflow, and with the patience that it gives uvicorn."""
    app, _ = make_app(until_cancelled)
    outer = FastAPI(lifespan=lambda _: app.router.lifespan_context(app))
    outer.mount("/plugin", app)
    uvicorn.run(outer, host="127.0.0.1", port=port, log_level="warning", timeout_graceful_shutdown=120)


if __name__ == "__main__":
    main(int(sys.argv[1]))
