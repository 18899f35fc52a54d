"""The page itself: a frame that the modules fill; it holds nothing of Airflow's but versions and a name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from airflow_rest_api.web.assets import FIRST_VIEW, STYLE

if TYPE_CHECKING:
    from airflow_rest_api.web.assets import Assets

_FOLDER = Path(__file__).parent / "templates"

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


def page(assets: Assets, facts: Mapping[str, Any], view: str = FIRST_VIEW, chosen: bool = False) -> str:
    """
    Return the page.

    :param facts: what the modules start from; JSON
    :param view: that will be shown, by its name
    :param chosen: with something chosen in it
    """
    return (
        _environment()
        .get_template("page.html")
        .render(
            base=f"{facts['root']}/static/{assets.version}",
            style=STYLE,
            modules=assets.modules(view, chosen),
            facts=json.dumps(facts),
        )
    )


def docs(assets: Assets, facts: Mapping[str, Any], reader: str) -> str:
    """
    Return a page that shows the OpenAPI document.

    :param facts: as for the page
    :param reader: `swagger-ui` or `redoc`
    """
    base = f"{facts['root']}/static/{assets.version}"
    template = _environment().get_template("docs.html")
    return template.render(base=base, reader=reader, facts=json.dumps(facts))


def hop(target: str) -> str:
    """Return a page without scripts that leads to an address of ours."""
    return _environment().get_template("hop.html").render(target=target)


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
