"""
The plugin that Airflow loads.

Every component loads every plugin: scheduler, workers, each `airflow` command. So importing this module
costs next to nothing, and the app is built when Airflow reads `fastapi_apps`, which only the API server
does (and the commands and pages that describe plugins).
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from airflow.plugins_manager import AirflowPlugin

from airflow_rest_api import __version__
from airflow_rest_api.asgi import LOGIN_MOUNT, MOUNT, SlashRedirect, error_response
from airflow_rest_api.errors import Misconfigured
from airflow_rest_api.loop_share import LoopShare, OtherRequests, OthersFirst

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from airflow_rest_api.errors import ApiError

log = logging.getLogger(__name__)

OTHER_REQUESTS = OtherRequests()
"""What Airflow's own routes are being asked for in this process."""


class LazyApps:
    """A class attribute that builds the list of apps when it is first read; the same list ever after."""

    def __init__(self) -> None:
        self._apps: list[dict[str, Any]] | None = None

    def __get__(self, instance: object, owner: type) -> list[dict[str, Any]]:
        """Return the apps."""
        if self._apps is None:
            app, login = _build()
            self._apps = [
                {"name": "REST API", "app": app, "url_prefix": MOUNT},
                {"name": "REST API: login", "app": login, "url_prefix": LOGIN_MOUNT},
            ]
        return self._apps


class RestApiPlugin(AirflowPlugin):
    """Every Airflow command over REST."""

    name = "rest_api"
    fastapi_apps: Any = LazyApps()
    fastapi_root_middlewares: list[Any] = [  # noqa: RUF012
        {"name": "REST API: slash", "middleware": SlashRedirect, "args": [], "kwargs": {"path": MOUNT}},
        {
            "name": "REST API: Airflow's own routes first",
            "middleware": OthersFirst,
            "args": [],
            "kwargs": {"others": OTHER_REQUESTS, "ours": (MOUNT, LOGIN_MOUNT)},
        },
    ]
    # Relative addresses: Airflow's page has its own path as its base, whatever prefix it is served under.
    external_views: list[Any] = [  # noqa: RUF012
        {
            "name": "REST API",
            "href": f"{MOUNT[1:]}/",
            "destination": "nav",
            "category": "admin",
            "url_route": "rest-api",
            "icon": f"{MOUNT[1:]}/static/icon.svg",
            "icon_dark_mode": f"{MOUNT[1:]}/static/icon-dark.svg",
        }
    ]


def _build() -> tuple[Any, Any]:
    from airflow_rest_api.airflow.installation import hide_options
    from airflow_rest_api.app import create_app
    from airflow_rest_api.legacy.login.app import create_login_app
    from airflow_rest_api.runners.assembly import warn_of_unknown_options
    from airflow_rest_api.security.audit import QuietQuery
    from airflow_rest_api.settings import OPTIONS, SECTION, BadSetting, Settings

    try:
        hide_options(SECTION, [option.name for option in OPTIONS if option.secret])
        settings = Settings.load()
        warn_of_unknown_options()
        if settings.log_loading:
            log.info("The REST API plugin %s is loaded with %s", __version__, settings.shown())
        share = LoopShare(others=OTHER_REQUESTS)
        return create_app(settings, share=share), create_login_app(settings, share=share)
    except BadSetting as error:
        # Airflow goes on without a plugin that cannot start; this one says so at its address as well.
        log.error("The REST API plugin is off: %s", error)
        problem = Misconfigured()
    except Exception:
        # Such as an Airflow of tomorrow, without something that is used here: its own routes are to be there.
        log.exception("The REST API plugin is off: it cannot be made in this Airflow")
        problem = Misconfigured("The REST API plugin is off; the server's log says why.")
    off = QuietQuery(_refusing(problem))
    return off, off


def _refusing(problem: ApiError) -> ASGIApp:
    """Return an app that answers each request with an error."""

    async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
        # An answer of its own: Airflow's middlewares, such as the one that packs, change the headers of it.
        await error_response(problem)(scope, receive, send)

    return refuse
