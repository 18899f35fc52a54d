from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from airflow_rest_api import plugin
from airflow_rest_api.asgi import SlashRedirect

HEAVY = (
    "fastapi",
    "starlette",
    "pydantic",
    "airflow_rest_api.app",
    "airflow_rest_api.engine",
    "airflow_rest_api.commands",
)


def python(code: str, **environment: str) -> str:
    """Run code in an interpreter of its own; return what it printed last."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, **environment},
    )
    return done.stdout.strip().splitlines()[-1]


@pytest.mark.slow
def test_loading_the_plugin_imports_nothing_heavy_of_ours():
    code = f"""
import sys, json
import airflow.plugins_manager
before = set(sys.modules)
from airflow_rest_api.plugin import RestApiPlugin
RestApiPlugin.validate(); RestApiPlugin().on_load()
new = set(sys.modules) - before
print(json.dumps([name for name in new if name.startswith({HEAVY!r})]))
"""
    assert json.loads(python(code)) == []


@pytest.mark.airflow
def test_airflow_lists_the_plugin_with_its_app():
    done = subprocess.run(
        [sys.executable, "-m", "airflow", "plugins", "--output", "json"],
        capture_output=True,
        text=True,
        check=True,
    )
    plugins = {plugin["name"]: plugin for plugin in json.loads(done.stdout)}

    assert plugins["rest_api"]["fastapi_apps"] == [
        {"name": "REST API", "app": "fastapi.applications.FastAPI", "url_prefix": "/admin/rest_api"},
        {
            "name": "REST API: login",
            "app": "airflow_rest_api.legacy.login.app.LoginApp",
            "url_prefix": "/api/v1/security",
        },
    ]


def test_the_same_app_is_given_each_time():
    from airflow_rest_api.plugin import RestApiPlugin

    assert RestApiPlugin().fastapi_apps is RestApiPlugin().fastapi_apps


@pytest.mark.slow
@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("REST_API_PLUGIN__PARALLELISM", "secret-text"),
        ("REST_API_PLUGIN__OPERATIONS_DATABASE_CMD", "sh -c 'echo secret-text; exit 1'"),
        ("CELERY__BROKER_URL_CMD", "sh -c 'echo secret-text; exit 1'"),
    ],
)
def test_a_bad_setting_turns_off_the_plugin_and_not_the_api_server(variable: str, value: str):
    code = """
import asyncio, json
from airflow_rest_api.plugin import RestApiPlugin
sent = []
async def send(message): sent.append(message)
for entry in RestApiPlugin().fastapi_apps:
    asyncio.run(entry["app"]({"type": "http", "method": "GET", "path": "/", "headers": []}, None, send))
print(json.dumps([message.get("status") or message["body"].decode() for message in sent]))
"""
    status, body, *login = json.loads(python(code, **{f"AIRFLOW__{variable}": value}))

    assert status == 503
    assert "secret-text" not in body
    assert login == [status, body]


UNPACKED = """
import importlib.metadata, json
import importlib_metadata
def others(distributions):
    return lambda: (one for one in distributions() if one.metadata["Name"] != "airflow-rest-api-plugin")
for module in (importlib.metadata, importlib_metadata):
    module.distributions = others(module.distributions)
from airflow.configuration import conf
from airflow.providers_manager import ProvidersManager
from airflow_rest_api.plugin import RestApiPlugin
conf.read_string("[rest_api_plugin]\\noperations_database = s3cret-1\\nfork = s3cret-free")
RestApiPlugin().fastapi_apps
shown = [conf.as_dict(display_sensitive=False)]
ProvidersManager().initialize_providers_configuration()
shown += [conf.as_dict(display_sensitive=False)]
print(json.dumps([dict(one["rest_api_plugin"]) for one in shown]))
"""


@pytest.mark.slow
def test_airflow_shows_no_secret_of_ours_where_the_plugin_is_no_installed_package():
    secret = {"AIRFLOW__REST_API_PLUGIN__RUNNER_BROKER": "s3cret-2"}
    expected = {
        "operations_database": "< hidden >",
        "fork": "s3cret-free",
        "runner_broker": "< hidden >",
    }
    for shown in json.loads(python(UNPACKED, **secret)):
        # Another test may have made an airflow.cfg, with all options in it.
        assert {name: shown[name] for name in expected} == expected


def switched_off(monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Any]:
    """Return both apps of a plugin that cannot be made."""

    def fail(*_: Any, **__: Any) -> None:
        raise AttributeError("this Airflow has no such thing")

    monkeypatch.setattr("airflow_rest_api.app.create_app", fail)
    return plugin._build()


def test_a_plugin_that_cannot_be_made_is_off_and_the_api_server_goes_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    app, login = switched_off(monkeypatch)

    for one in (app, login):
        answer = TestClient(one).get("/")
        assert (answer.status_code, answer.json()["detail"]["reason"]) == (503, "misconfigured")
    assert "this Airflow has no such thing" in caplog.text


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
def test_a_plugin_that_is_off_says_so_to_each_request_however_answers_are_packed(
    monkeypatch: pytest.MonkeyPatch, encoding: str
):
    app, _ = switched_off(monkeypatch)
    # As Airflow has it around every app, with a size that the answer reaches.
    client = TestClient(GZipMiddleware(app, minimum_size=1), headers={"Accept-Encoding": encoding})

    for _ in range(3):
        answer = client.get("/")
        assert (answer.status_code, answer.json()["detail"]["reason"]) == (503, "misconfigured")
        assert answer.headers.get("content-encoding", "identity") == encoding
        assert answer.headers.get_list("vary") == ["Accept-Encoding"]


@pytest.mark.parametrize("prefix", ["", "/airflow"])
def test_the_address_without_its_slash_leads_to_the_one_with_it(prefix: str):
    async def other(scope: Any, receive: Any, send: Any) -> None:
        await PlainTextResponse("the UI")(scope, receive, send)

    app = SlashRedirect(other, "/admin/rest_api")
    client = TestClient(app, root_path=prefix, follow_redirects=False)

    answer = client.post(f"{prefix}/admin/rest_api?a=b")
    assert (answer.status_code, answer.headers["location"]) == (307, f"{prefix}/admin/rest_api/?a=b")
    assert client.get(f"{prefix}/admin/rest_api/").text == "the UI"
    assert client.get(f"{prefix}/admin/rest_api_other").text == "the UI"


def test_the_redirect_leaves_other_protocols_alone():
    seen = []

    async def other(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["type"])

    asyncio.run(SlashRedirect(other, "/admin/rest_api")({"type": "lifespan"}, None, None))  # type: ignore[arg-type]

    assert seen == ["lifespan"]


def test_the_entry_in_airflows_navigation_is_one_that_airflow_takes_and_is_right_behind_a_prefix():
    from airflow.api_fastapi.core_api.datamodels.plugins import ExternalViewResponse

    from airflow_rest_api.asgi import MOUNT
    from airflow_rest_api.plugin import RestApiPlugin
    from airflow_rest_api.web.page import load

    [view] = RestApiPlugin.external_views
    taken = ExternalViewResponse.model_validate(view)

    assert (taken.name, taken.category, taken.destination) == ("REST API", "admin", "nav")
    assert taken.href == f"{MOUNT}/".lstrip("/")
    # Relative, as Airflow's page has its prefix as its base.
    for icon in (taken.icon, taken.icon_dark_mode):
        assert icon is not None
        assert load().find(icon.removeprefix(f"{MOUNT}/static/".lstrip("/")))


def test_airflows_api_server_takes_our_middlewares_one_redirects_and_one_counts_its_own_requests():
    from airflow_rest_api.plugin import OTHER_REQUESTS, RestApiPlugin

    entries = RestApiPlugin.fastapi_root_middlewares
    found = []
    app = Starlette(
        routes=[
            Route(path, lambda _: found.append(OTHER_REQUESTS.any_new)) for path in ("/", "/admin/rest_api/")
        ],
        middleware=[Middleware(each["middleware"], *each["args"], **each["kwargs"]) for each in entries],
    )
    client = TestClient(app, follow_redirects=False, raise_server_exceptions=False)

    assert client.get("/admin/rest_api").status_code == 307
    for path in ("/", "/admin/rest_api/"):
        client.get(path)
    assert (found, OTHER_REQUESTS.any_new) == ([True, False], False)
