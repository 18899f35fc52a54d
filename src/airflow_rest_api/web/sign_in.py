"""Who opens the page without being signed in is led to Airflow's login, and from there back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from starlette.datastructures import Headers
from starlette.responses import HTMLResponse, RedirectResponse, Response

from airflow_rest_api.asgi import MOUNT, root_path
from airflow_rest_api.security.sites import cookie
from airflow_rest_api.web.page import HEADERS, hop

if TYPE_CHECKING:
    from starlette.types import Scope

HOP = "rest_api_hop"
"""A cookie that lives for seconds: the hop below was tried and did not help."""


def airflow_path(scope: Scope) -> str:
    """Return the path under which the browser sees Airflow itself, without a slash at its end."""
    return root_path(scope).removesuffix(MOUNT)


@dataclass(frozen=True)
class SignIn:
    """
    Answers who opens the page and is not known.

    :ivar login: the path of Airflow's login, below Airflow's own; it takes `next`
    :ivar session_cookie: the name of the cookie of Airflow's session
    """

    login: str
    session_cookie: str

    def __call__(self, scope: Scope) -> Response | None:
        """Return the way to the login for a browser that shows a page; None for any other client."""
        headers = Headers(scope=scope)
        if scope["method"] != "GET" or "text/html" not in headers.get("accept", ""):
            return None
        here = _address(scope)
        if self._came_by_a_link(headers):
            # A link on another site, or perhaps one: the cookie does not count for what other sites' pages
            # ask for. From this empty page on, it is our own site that asks.
            answer: Response = HTMLResponse(hop(here), 401, headers=dict(HEADERS))
            answer.set_cookie(
                HOP, "1", max_age=10, path=root_path(scope) or "/", httponly=True, samesite="lax"
            )
            return answer
        login = f"{airflow_path(scope)}{self.login}?{urlencode({'next': here})}"
        return RedirectResponse(login, 307)

    def _came_by_a_link(self, headers: Headers) -> bool:
        site = headers.get("sec-fetch-site")
        linked = site in ("cross-site", "same-site") and headers.get("sec-fetch-dest") == "document"
        # On plain HTTP nothing says where an address comes from that was typed; the hop adds a Referer.
        typed = site is None and "referer" not in headers
        return (
            (linked or typed)
            and cookie(headers, self.session_cookie) is not None
            and cookie(headers, HOP) is None
        )


def _address(scope: Scope) -> str:
    """Return where the request goes, as the path and the query that the browser sees."""
    root = root_path(scope)
    path = str(scope["path"])
    if root and not (path == root or path.startswith(root + "/")):
        path = root + path
    query = bytes(scope.get("query_string") or b"").decode("latin-1")
    return quote(path) + (f"?{query}" if query else "")
