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
