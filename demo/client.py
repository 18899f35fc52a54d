"""The few HTTP requests the demo makes."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from http import HTTPStatus
from typing import Any

# The server is on this machine: a proxy of the environment is not asked.
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Unavailable(Exception):
    """Nobody answered, or not with JSON and a status below 400."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


def request(
    method: str,
    url: str,
    body: Any = None,
    *,
    token: str | None = None,
    timeout: float = 60.0,
    prefer: str | None = None,
) -> Any:
    """Send one JSON request and return the JSON of the answer, None where it has none to give (204).

    Raises `Unavailable` where there is none; its `status` is the HTTP status, if there was one.
    """
    headers = {"Accept": "application/json"}
    if prefer is not None:
        headers["Prefer"] = prefer
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    data = None
    if body is not None:
        headers["Content-Type"] = "application/json"
        data = json.dumps(body).encode()
    message = urllib.request.Request(url, data=data, headers=headers, method=method)
    try:
        with _opener.open(message, timeout=timeout) as response:
            return None if response.status == HTTPStatus.NO_CONTENT else json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            raise Unavailable(f"{method} {url}: {error.code}", error.code) from error
    except (OSError, ValueError) as error:
        raise Unavailable(f"{method} {url}: {error}") from error
