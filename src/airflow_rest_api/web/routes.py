"""The pages that a browser opens, and what belongs to them: static files, the OpenAPI document."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from airflow_rest_api import __version__
from airflow_rest_api.airflow import installation
from airflow_rest_api.airflow.auth import LOGIN
from airflow_rest_api.api.context import CallerDep, ContextDep
from airflow_rest_api.asgi import root_path
from airflow_rest_api.errors import NotFound
from airflow_rest_api.legacy import usage_routes
from airflow_rest_api.legacy.endpoints import ENDPOINTS
from airflow_rest_api.security.routes import Needs, needs
from airflow_rest_api.web import page
from airflow_rest_api.web.openapi import document
from airflow_rest_api.web.page import HEADERS, REDOC_POLICY, Asset, airflow_path
from airflow_rest_api.web.page import docs as reference
from airflow_rest_api.web.page import page as frame

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.datastructures import Headers
    from starlette.routing import BaseRoute

    from airflow_rest_api.api.context import Context
    from airflow_rest_api.commands.catalog import Catalog
    from airflow_rest_api.security.caller import Caller

router = APIRouter(include_in_schema=False)

LARGE = 16 * 1024
"""Bytes from which on a file is packed before it is sent."""


@router.get("/")
@needs(Needs.TOKEN)
async def home(request: Request, context: ContextDep, caller: CallerDep) -> Response:
    """Return the page."""
    facts = {**_facts(request, context, caller), "max_upload": context.settings.max_upload}
    view = request.query_params.get("view", page.FIRST_VIEW)
    chosen = len(request.query_params) > 1
    content = await asyncio.to_thread(lambda: frame(page.load(), facts, view, chosen))
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


async def _reference(facts: dict[str, Any], viewer: str, headers: Mapping[str, str]) -> Response:
    content = await asyncio.to_thread(lambda: reference(page.load(), facts, viewer))
    return HTMLResponse(content, headers=dict(headers))


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
    }


@router.get("/static/{path:path}")
@needs(Needs.TOKEN)
async def static(path: str, request: Request) -> Response:
    """Return a file of the page's."""
    found = (await asyncio.to_thread(page.load)).find(path)
    if found is None:
        raise NotFound("The page has no such file.")
    asset, keep = found
    headers = {"ETag": asset.etag, "Cache-Control": keep, "Vary": "Accept-Encoding"}
    if asset.etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    if len(asset.content) < LARGE or not _takes_gzip(request.headers):
        return Response(asset.content, headers=headers, media_type=asset.media_type)
    # Airflow packs answers too, each time anew and on the event loop.
    headers["Content-Encoding"] = "gzip"
    packed = await asyncio.to_thread(lambda: asset.packed)
    return Response(packed, headers=headers, media_type=asset.media_type)


def _takes_gzip(headers: Headers) -> bool:
    return "gzip" in headers.get("accept-encoding", "")


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
    if not _takes_gzip(request.headers):
        return Response(
            cached[2].content, media_type=cached[2].media_type, headers={"Vary": "Accept-Encoding"}
        )
    headers = {"Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
    packed = await asyncio.to_thread(lambda: cached[2].packed)
    return Response(packed, media_type=cached[2].media_type, headers=headers)


def _document(routes: Iterable[BaseRoute], catalog: Catalog, root: str) -> Asset:
    content = json.dumps(document(routes, catalog, root), default=str, separators=(",", ":")).encode()
    return Asset("openapi.json", content, "application/json", "")
