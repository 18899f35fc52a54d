"""What a browser opens: the page and its files, the OpenAPI document, the way to Airflow's login and back."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import json
import posixpath
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Request
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.datastructures import Headers
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from airflow_rest_api import __version__
from airflow_rest_api.airflow import installation
from airflow_rest_api.airflow.auth import LOGIN, SESSION_COOKIE
from airflow_rest_api.airflow.compat.version_compat import LOGIN_QUOTES_NEXT, TOKEN_STORAGE
from airflow_rest_api.api.context import CallerDep, Context, ContextDep
from airflow_rest_api.asgi import MOUNT, names_tag, root_path
from airflow_rest_api.errors import NotFound
from airflow_rest_api.legacy import usage_routes
from airflow_rest_api.legacy.endpoints import ENDPOINTS
from airflow_rest_api.security.routes import Needs, needs
from airflow_rest_api.security.sites import cookie
from airflow_rest_api.web.openapi import document

if TYPE_CHECKING:
    from starlette.routing import BaseRoute
    from starlette.types import Scope

    from airflow_rest_api.commands.catalog import Catalog
    from airflow_rest_api.security.caller import Caller


FOLDER = Path(__file__).parent / "static"

# By the end of the name, what is served; nothing else in the folder is.
MEDIA_TYPES: Mapping[str, str] = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}

STYLE = "style.css"
"""All style sheets of the page in one, in the order of their names: one request in place of many."""

MAIN, FIRST_VIEW = "main.js", "commands"

_IMPORT = re.compile(rb'^(?:import|export) [^"]*"(\.[^"]+)";$', re.MULTILINE)
_IMPORT_LATER = re.compile(rb'\bimport\("(\.[^"]+)"\)')

FOREVER = "private, max-age=31536000, immutable"
"""For an address that holds the version: what is there never changes."""

ASK_AGAIN = "no-cache"
"""For an address that stays the same: the browser asks whether its copy is still good."""


@dataclass(frozen=True)
class Asset:
    """One file. `etag`: of its content, with the quotes."""

    name: str
    content: bytes
    media_type: str
    etag: str

    @cached_property
    def packed(self) -> bytes:
        """The content as gzip, packed once: that takes too long for an event loop."""
        return gzip.compress(self.content, mtime=0)

    @property
    def is_packed(self) -> bool:
        """Whether that is done."""
        return "packed" in vars(self)


@dataclass(frozen=True)
class Assets:
    """
    All files, by their path below the folder.

    :ivar version: of all of them together: part of their address, so that no browser mixes two versions
    """

    files: Mapping[str, Asset]
    version: str

    def find(self, path: str) -> tuple[Asset, str] | None:
        """
        Return the file at a path and how long a browser may keep it; None where there is none.

        The path is looked up, not opened, so that it leads to nothing but these files.

        :param path: with the version in front or without
        """
        first, _, rest = path.partition("/")
        if first == self.version and rest in self.files:
            return self.files[rest], FOREVER
        # Another version: of an API server beside this one, or of a page opened before an upgrade.
        if _is_version(first) and rest in self.files:
            return self.files[rest], ASK_AGAIN
        return (self.files[path], ASK_AGAIN) if path in self.files else None

    def modules(self, view: str, chosen: bool = False) -> list[str]:
        """
        Return the paths of the modules that show a view, for the browser to fetch all of them at once.

        :param view: by its name; the first one in place of one that there is not
        :param chosen: with something chosen in it, which the view may have further modules for
        """
        path = f"views/{view}.js"
        path = path if path in self.files else f"views/{FIRST_VIEW}.js"
        found: list[str] = []
        waiting = [MAIN, path, *(self._imported(path, _IMPORT_LATER) if chosen else ())]
        while waiting:
            name = waiting.pop()
            if name not in found:
                found.append(name)
                waiting += self._imported(name, _IMPORT)
        return found

    def _imported(self, name: str, how: re.Pattern[bytes]) -> list[str]:
        folder = posixpath.dirname(name)
        targets = (target.decode() for target in how.findall(self.files[name].content))
        return [posixpath.normpath(posixpath.join(folder, target)) for target in targets]


@cache
def load() -> Assets:
    """Return the files, read once."""
    return read(FOLDER)


def read(folder: Path) -> Assets:
    """Read the files of a folder."""
    found = sorted(file for file in folder.rglob("*") if file.suffix in MEDIA_TYPES and file.is_file())
    contents = {file.relative_to(folder).as_posix(): file.read_bytes() for file in found}
    # What others have made is for pages of its own.
    styles = [
        name for name in contents if name.endswith(".css") and not name.startswith(("vendor/", "docs/"))
    ]
    contents[STYLE] = b"\n".join(contents.pop(name) for name in styles)
    files: dict[str, Asset] = {}
    whole = hashlib.sha256()
    for name, content in contents.items():
        digest = hashlib.sha256(content).hexdigest()
        whole.update(f"{name} {digest}\n".encode())
        files[name] = Asset(name, content, MEDIA_TYPES[Path(name).suffix], f'"{digest[:20]}"')
    return Assets(files, f"v{whole.hexdigest()[:12]}")


def _is_version(part: str) -> bool:
    return len(part) == 13 and part[0] == "v" and part[1:].isalnum()


CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        # Airflow shows the page in a frame of its own.
        "frame-ancestors 'self'",
    )
)

_EMPTY_STYLE = "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='"
"""The hash of nothing: an element `style` may be there that has no text, for scripts to add rules to."""

_SCROLL_BAR_STYLE = "'sha256-QMIg+bpjm3JdElJ388KYke01izlUW0UoNOeKjpMxdgc='"
"""The hash of the one style sheet with text that ReDoc adds: that of its scroll bars."""

REDOC_POLICY = CONTENT_SECURITY_POLICY.replace(
    "style-src 'self'", f"style-src 'self' {_EMPTY_STYLE} {_SCROLL_BAR_STYLE}"
)
"""As for the page; scripts and workers come from here alone, and no attribute holds style."""

HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    # The cookie of plain HTTP counts by the Referer: see security/sites.py.
    "Referrer-Policy": "same-origin",
}


_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def page(assets: Assets, facts: Mapping[str, Any], view: str = FIRST_VIEW, chosen: bool = False) -> str:
    """
    Return the page.

    :param facts: what the modules start from; JSON
    :param view: that will be shown, by its name
    :param chosen: with something chosen in it
    """
    return _TEMPLATES.get_template("page.html").render(
        base=f"{facts['root']}/static/{assets.version}",
        style=STYLE,
        modules=assets.modules(view, chosen),
        facts=json.dumps(facts),
    )


HOP = "rest_api_hop"
"""A cookie that lives for seconds: the hop below was tried and did not help."""


def airflow_path(scope: Scope) -> str:
    """Return the path under which the browser sees Airflow itself, without a slash at its end."""
    return root_path(scope).removesuffix(MOUNT)


def sign_in(scope: Scope) -> Response | None:
    """Return the way to the login for a browser that shows a page; None for any other client."""
    headers = Headers(scope=scope)
    if scope["method"] != "GET" or "text/html" not in headers.get("accept", ""):
        return None
    here = _address(scope)
    if _came_by_a_link(headers):
        # A link on another site, or perhaps one: the cookie does not count for what other sites' pages
        # ask for. From this empty page without scripts on, it is our own site that asks.
        hop = _TEMPLATES.get_template("hop.html").render(target=here)
        answer: Response = HTMLResponse(hop, 401, headers=dict(HEADERS))
        answer.set_cookie(HOP, "1", max_age=10, path=root_path(scope) or "/", httponly=True, samesite="lax")
        return answer
    back = here if LOGIN_QUOTES_NEXT else quote(here, safe="/")
    return RedirectResponse(f"{airflow_path(scope)}{LOGIN}?{urlencode({'next': back})}", 307)


def _came_by_a_link(headers: Headers) -> bool:
    site = headers.get("sec-fetch-site")
    linked = site in ("cross-site", "same-site") and headers.get("sec-fetch-dest") == "document"
    # On plain HTTP nothing says where an address comes from that was typed; the hop adds a Referer.
    typed = site is None and "referer" not in headers
    has_session = cookie(headers, SESSION_COOKIE) is not None
    return (linked or typed) and has_session and cookie(headers, HOP) is None


def _address(scope: Scope) -> str:
    """Return where the request goes, as the path and the query that the browser sees."""
    root = root_path(scope)
    path = str(scope["path"])
    if root and not (path == root or path.startswith(root + "/")):
        path = root + path
    query = bytes(scope.get("query_string") or b"").decode("latin-1")
    return quote(path) + (f"?{query}" if query else "")


router = APIRouter(include_in_schema=False)

LARGE = 1024
"""Bytes from which on a file is packed before it is sent: Airflow packs answers of that size else, each time
anew and on the event loop (airflow.api_fastapi.core_api.app, GZipMiddleware)."""


@router.get("/")
@needs(Needs.TOKEN)
async def home(request: Request, context: ContextDep, caller: CallerDep) -> Response:
    """Return the page."""
    facts = {**_facts(request, context, caller), "max_upload": context.settings.max_upload}
    view = request.query_params.get("view", FIRST_VIEW)
    chosen = len(request.query_params) > 1
    content = await asyncio.to_thread(lambda: page(load(), facts, view, chosen))
    return HTMLResponse(content, headers=dict(HEADERS))


@router.get("/docs")
@needs(Needs.TOKEN)
async def docs(request: Request, context: ContextDep, caller: CallerDep) -> Response:
    """Return the OpenAPI document as Swagger UI shows it, with a form to try each request."""
    return await _reference(_facts(request, context, caller), "swagger-ui", HEADERS)


@router.get("/redoc")
@needs(Needs.TOKEN)
async def redoc(request: Request, context: ContextDep, caller: CallerDep) -> Response:
    """Return the OpenAPI document as ReDoc shows it: to be read and searched."""
    headers = {**HEADERS, "Content-Security-Policy": REDOC_POLICY}
    return await _reference(_facts(request, context, caller), "redoc", headers)


async def _reference(facts: Mapping[str, Any], reader: str, headers: Mapping[str, str]) -> Response:
    """Return a page on which a reader (`swagger-ui` or `redoc`) shows the OpenAPI document."""

    def content() -> str:
        base = f"{facts['root']}/static/{load().version}"
        template = _TEMPLATES.get_template("docs.html")
        return template.render(base=base, reader=reader, facts=json.dumps(facts))

    return HTMLResponse(await asyncio.to_thread(content), headers=dict(headers))


def _facts(request: Request, context: Context, caller: Caller) -> dict[str, Any]:
    """Return what the modules of a page start from."""
    token_asked_for = bool(context.settings.rest_api_plugin_expected_http_token)
    return {
        "root": root_path(request.scope),
        "airflow": airflow_path(request.scope),
        "login": airflow_path(request.scope) + LOGIN,
        "version": __version__,
        "airflow_version": installation.version(),
        "user": caller.name,
        # With hyphens, which are the same: some proxies drop a name with underscores.
        "header_token": context.settings.rest_api_plugin_http_token_header_name.replace("_", "-")
        if token_asked_for
        else None,
        "token_storage": TOKEN_STORAGE,
        "queues": list(context.placement.queues),
    }


@router.get("/static/{path:path}")
@needs(Needs.TOKEN)
async def static(path: str, request: Request) -> Response:
    """Return a file of the page's."""
    assets = load() if load.cache_info().currsize else await asyncio.to_thread(load)
    found = assets.find(path)
    if found is None:
        raise NotFound("The page has no such file.")
    asset, keep = found
    headers = {"ETag": asset.etag, "Cache-Control": keep, "Vary": "Accept-Encoding"}
    if names_tag(request.headers.get("if-none-match", ""), asset.etag):
        return Response(status_code=304, headers=headers)
    return await _answer(request, asset, headers)


async def _answer(request: Request, asset: Asset, headers: dict[str, str]) -> Response:
    """Answer with a file, packed where that is worth it and the browser takes it."""
    content = asset.content
    if len(content) >= LARGE and "gzip" in request.headers.get("accept-encoding", ""):
        headers["Content-Encoding"] = "gzip"
        content = asset.packed if asset.is_packed else await asyncio.to_thread(lambda: asset.packed)
    return Response(content, headers=headers, media_type=asset.media_type)


@router.get("/endpoints.json")
@needs(Needs.TOKEN)
async def old_endpoints(request: Request, context: ContextDep, caller: CallerDep) -> Response:
    """Return what the page tells about the endpoints of the 1.x plugin, and whether also who calls them."""
    may_see = await context.gate.allowed(caller, [usage_routes.COMMAND])
    root = root_path(request.scope)
    described = [endpoint.described(root) for endpoint in ENDPOINTS]
    return JSONResponse({"endpoints": described, "usage": bool(may_see)})


@router.get("/openapi.json")
@needs(Needs.TOKEN)
async def openapi(request: Request, context: ContextDep) -> Response:
    """Return the OpenAPI document."""
    catalog = await context.catalog.get()
    root = root_path(request.scope)
    # Made once for each catalog and address: it takes some 100 ms.
    cached: tuple[Catalog, str, Asset] | None = getattr(request.app.state, "openapi", None)
    if cached is None or cached[0] is not catalog or cached[1] != root:
        made = await asyncio.to_thread(lambda: _document(request.app.routes, catalog, root))
        cached = request.app.state.openapi = (catalog, root, made)
    return await _answer(request, cached[2], {"Vary": "Accept-Encoding"})


def _document(routes: Iterable[BaseRoute], catalog: Catalog, root: str) -> Asset:
    content = json.dumps(document(routes, catalog, root), default=str, separators=(",", ":")).encode()
    return Asset("openapi.json", content, "application/json", "")
