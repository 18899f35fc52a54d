"""The pages that a browser opens, and what belongs to them: static files, the OpenAPI document."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from airflow_rest_api import __version__
from airflow_rest_api.api import legacy_usage
from airflow_rest_api.api.context import CallerDep, ContextDep
from airflow_rest_api.api.openapi import document
from airflow_rest_api.api.reference import CONTENT_SECURITY_POLICY, page
from airflow_rest_api.hosts import airflow3
from airflow_rest_api.paths import root_path
from airflow_rest_api.problem import Problem
from airflow_rest_api.security.routes import Needs, needs
from airflow_rest_api.web import assets, endpoints
from airflow_rest_api.web.page import HEADERS
from airflow_rest_api.web.page import page as frame
from airflow_rest_api.web.sign_in import airflow_path

if TYPE_CHECKING:
    from airflow_rest_api.commands.catalog import Catalog

router = APIRouter(include_in_schema=False)


@router.get("/")
@needs(Needs.TOKEN)
async def home(request: Request, context: ContextDep, caller: CallerDep) -> Response:
    """Return the page."""
    root = root_path(request.scope)
    token_asked_for = bool(context.settings.rest_api_plugin_expected_http_token)
    facts = {
        "root": root,
        "airflow": airflow_path(request.scope),
        "login": airflow_path(request.scope) + airflow3.LOGIN,
        "version": __version__,
        "airflow_version": airflow3.version(),
        "user": caller.name,
        # With hyphens, which are the same: some proxies drop a name with underscores.
        "header_token": context.settings.rest_api_plugin_http_token_header_name.replace("_", "-")
        if token_asked_for
        else None,
        "max_upload": context.settings.max_upload,
    }
    view = request.query_params.get("view", assets.FIRST_VIEW)
    chosen = len(request.query_params) > 1
    content = await asyncio.to_thread(lambda: frame(assets.load(), facts, view, chosen))
    return HTMLResponse(content, headers=dict(HEADERS))


@router.get("/static/{path:path}")
@needs(Needs.TOKEN)
async def static(path: str, request: Request) -> Response:
    """Return a file of the page's."""
    found = (await asyncio.to_thread(assets.load)).find(path)
    if found is None:
        raise Problem(404, "not_found", "The page has no such file.")
    asset, keep = found
    headers = {"ETag": asset.etag, "Cache-Control": keep}
    if asset.etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(asset.content, headers=headers, media_type=asset.media_type)


@router.get("/endpoints.json")
@needs(Needs.TOKEN)
async def old_endpoints(request: Request, context: ContextDep, caller: CallerDep) -> Response:
    """Return what the page tells about the endpoints of the 1.x plugin, and whether also who calls them."""
    may_see = await context.gate.allowed(caller, [legacy_usage.COMMAND])
    return JSONResponse({"endpoints": endpoints.described(root_path(request.scope)), "usage": bool(may_see)})


@router.get("/docs")
@needs(Needs.TOKEN)
async def docs(request: Request, context: ContextDep) -> Response:
    """Return the reference of all commands as a page without scripts."""
    catalog = await context.catalog.get()
    root = root_path(request.scope)
    address = f"{request.url.scheme}://{request.url.netloc}{root}"
    content = await asyncio.to_thread(page, catalog.commands, address, root)
    return HTMLResponse(
        content,
        headers={"Content-Security-Policy": CONTENT_SECURITY_POLICY, "Referrer-Policy": "same-origin"},
    )


@router.get("/openapi.json")
@needs(Needs.TOKEN)
async def openapi(request: Request, context: ContextDep) -> Response:
    """Return the OpenAPI document."""
    catalog = await context.catalog.get()
    root = root_path(request.scope)
    # Made once for each catalog and address: it takes some 100 ms.
    cached: tuple[Catalog, str, bytes] | None = getattr(request.app.state, "openapi", None)
    if cached is None or cached[0] is not catalog or cached[1] != root:
        made = await asyncio.to_thread(
            lambda: json.dumps(document(request.app.routes, catalog.commands, root), default=str).encode()
        )
        cached = request.app.state.openapi = (catalog, root, made)
    return Response(cached[2], media_type="application/json")
