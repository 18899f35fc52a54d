"""Where a request goes, seen from the app that it reached."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from starlette.responses import Response

    from airflow_rest_api.errors import ApiError

MOUNT = "/admin/rest_api"
"""Where Airflow's API server has the plugin, below its own path."""

PAGES = frozenset({"/", "/docs", "/redoc", "/openapi.json"})
"""What a browser opens by its address, unable to send a header."""

STATIC = "/static/"
"""The files of the page, which browsers ask for as they do for the page."""


def root_path(scope: Mapping[str, Any]) -> str:
    """Return the path under which the client sees the app, without a slash at its end."""
    return str(scope.get("root_path") or "").rstrip("/")


def local_path(scope: Mapping[str, Any]) -> str:
    """
    Return the path below the app's own.

    ``path`` holds the whole path when the server was told its prefix, and the rest when a proxy cut it off
    (https://asgi.readthedocs.io/en/latest/specs/www.html: ``root_path`` is not part of ``path`` for all
    servers).
    """
    path, root = str(scope["path"]), root_path(scope)
    if root and (path == root or path.startswith(root + "/")):
        return path[len(root) :]
    return path


def error_response(error: ApiError) -> Response:
    """Return the answer that an error is."""
    from starlette.responses import JSONResponse

    return JSONResponse({"detail": error.detail}, error.status, error.headers)
