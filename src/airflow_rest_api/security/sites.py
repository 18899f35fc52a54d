"""
Which site a request comes from, and whether a browser's session cookie counts for it.

A browser sends the cookie by itself, whatever page made it send the request. So the cookie needs a proof of
where the request comes from, the stricter the more the request can do. Browsers leave ``Sec-Fetch-Site`` out
on plain HTTP (https://www.w3.org/TR/fetch-metadata/, trustworthy addresses only), and old ones always; then
``Origin`` or ``Referer`` have to do, of which another site's page can send neither with our address.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from airflow_rest_api.errors import CrossSite

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from starlette.datastructures import Headers


class Use(str, Enum):
    """What a request can do at most."""

    PAGE = "open a page"
    READ = "read"
    RUN = "run a command"


def cookie(headers: Headers, name: str) -> str | None:
    """Return the value of a cookie, None where there is none."""
    # One that another app of this host has set in its own way does not hide the others, and the last of a
    # name counts, as for Airflow (starlette.requests.cookie_parser). That one undoes quotes as well, which no
    # token has: before Python 3.11.10 in time with the square of the length (http.cookies._unquote).
    # HTTP/2 lets a client send them in several headers, which not every server joins (RFC 9113, 8.2.3).
    found = None
    for one in ";".join(headers.getlist("cookie")).split(";"):
        key, _, value = one.partition("=")
        if key.strip() == name:
            found = value.strip()
    return found or None


def cookie_counts(headers: Headers, method: str, use: Use) -> bool:
    """
    Return whether a session cookie is as good as a token for a request.

    * A page: for this site and for its user, who typed the address or has it as a bookmark.
    * Reading: for this site alone.
    * Running: for scripts of this site alone. A link or an image is not enough, even on a page of this
      site: Airflow shows what others wrote (notes, the documentation of DAGs), with links and images in it.
    """
    site = headers.get("sec-fetch-site")
    if site is None:
        own = _is_own(headers, headers.get("origin"))
        if own is None and (use is not Use.RUN or method not in ("GET", "HEAD")):
            own = _is_own(headers, headers.get("referer"))
        return own is True
    if use is Use.PAGE:
        return site in ("same-origin", "none")
    if use is Use.READ:
        return site == "same-origin"
    return site == "same-origin" and headers.get("sec-fetch-mode", "cors") in ("cors", "same-origin")


def refuse_others(
    headers: Headers, trusted: Callable[[], Collection[str]], *, followed_link: bool = False
) -> None:
    """
    Refuse what a page of another site sends, whatever it carries.

    A browser adds no bearer token on its own, but Airflow does with ``[core]
    simple_auth_manager_all_admins``: without this, any web page could run commands on a developer's machine.
    On plain HTTP one that keeps its ``Referer`` to itself still can, by a link or an image: these send what
    any client sends.

    :param trusted: gives the origins that may; asked for a request from elsewhere alone, as few are
    :param followed_link: a link from elsewhere may lead here
    :raises ApiError: the request comes from elsewhere
    """
    if not _from_elsewhere(headers):
        return
    if followed_link and _can_be_link(headers):
        return
    if headers.get("origin") not in trusted():
        raise CrossSite


def _from_elsewhere(headers: Headers) -> bool:
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site not in ("same-origin", "none")
    own = _is_own(headers, headers.get("origin"))
    if own is None and "//" in headers.get("referer", ""):
        # All that browsers send with links, images and frames on plain HTTP. One without a host is no page of
        # another site's: "about:blank", or a path (RFC 9110, 10.1.3).
        own = _is_own(headers, headers.get("referer"))
    return own is False


def _can_be_link(headers: Headers) -> bool:
    if "sec-fetch-site" in headers:
        return headers.get("sec-fetch-mode") == "navigate"
    # On plain HTTP an image looks the same; what a script sends has an Origin.
    return "origin" not in headers


def _is_own(headers: Headers, address: str | None) -> bool | None:
    """Return whether an address is of the host that was asked, None without an address."""
    if address is None:
        return None
    try:
        # "null" is an origin too, and not ours.
        return bool(headers.get("host")) and urlsplit(address).netloc == headers.get("host")
    except ValueError:
        return False
