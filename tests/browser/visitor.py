"""Somebody with a browser of their own."""

from __future__ import annotations

import html
import json
import re
from typing import Any

from playwright.sync_api import Browser, ConsoleMessage, Frame, Locator, Page, Route

from tests.stacks import Stack

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    # The browser asks nobody's proxy for what is on this machine.
    "--no-proxy-server",
)

PLUGIN = "/admin/rest_api/"
PATIENCE = 60_000
"""Milliseconds: two busy cores serve the page and run the browser."""


class Visitor:
    """
    A browser without a past, and what went wrong in it.

    :ivar problems: errors on the console of the plugin's page, scripts that failed, requests to other hosts
    """

    def __init__(
        self,
        browser: Browser,
        stack: Stack,
        user: str | None,
        *,
        theme: str = "light",
        width: int = 1280,
        zone: str | None = None,
    ) -> None:
        self.stack = stack
        self.problems: list[str] = []
        self.allowed: list[str] = []
        self.context = browser.new_context(
            viewport={"width": width, "height": 800},
            color_scheme="dark" if theme == "dark" else "light",
            timezone_id=zone,
        )
        self.context.set_default_timeout(PATIENCE)
        self.context.on("weberror", lambda error: self.problems.append(f"script: {error.error}"))
        self.context.on("console", self._console)
        self.context.on("request", lambda request: self._request(request.url))
        if user:
            self.context.add_cookies([{"name": "_token", "value": stack.token(user), "url": stack.url + "/"}])
        self.page = self.context.new_page()

    def open(self, query: str = "") -> Page:
        """Open the page itself, and wait for its view."""
        self.page.goto(f"{self.stack.url}{PLUGIN}{query}")
        self.page.locator("main h1").first.wait_for(state="attached")
        return self.page

    def tell(self, **facts: object) -> None:
        """Have the server tell the page something else about itself."""

        def answer(route: Route) -> None:
            # It is fetched without what says that nobody else's site has led here.
            found = route.fetch(headers={**route.request.headers, "Sec-Fetch-Site": "same-origin"})
            text = re.sub(r'(?<=data-facts=")[^"]*', lambda told: changed(told[0]), found.text())
            route.fulfill(response=found, body=text)

        def changed(told: str) -> str:
            return html.escape(json.dumps({**json.loads(html.unescape(told)), **facts}))

        self.context.route(re.compile(rf"{PLUGIN}(docs|redoc)?(\?.*)?$"), answer)

    def sign_in(self, user: str, page: Page | None = None) -> None:
        """Fill in Airflow's own login form, which is shown."""
        page = page or self.page
        page.get_by_label("Username").fill(user)
        page.get_by_label("Password").fill(self.stack.passwords[user])
        page.get_by_role("button", name="Sign in").click()

    def allow(self, text: str) -> None:
        """Expect console messages with a text: those of answers that the test provokes."""
        self.allowed.append(text)

    def _console(self, message: ConsoleMessage) -> None:
        place = message.location.get("url", "")
        # Airflow's own UI is not ours to judge.
        if message.type == "error" and PLUGIN in place + message.text:
            text = f"console: {message.text} ({place})"
            if not any(allowed in text for allowed in self.allowed):
                self.problems.append(text)

    def _request(self, url: str) -> None:
        own = self.stack.url.partition("/airflow")[0]
        if not url.startswith((own, "data:", "blob:", "about:")) and PLUGIN in self.page.url:
            self.problems.append(f"request to {url}")


def violations(page: Page | Frame, axe: str) -> list[str]:
    """Return what axe-core finds that is serious or critical."""
    page.evaluate(f"() => {{ {axe}; }}")
    found: dict[str, Any] = page.evaluate("() => axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{one['id']}: {one['help']}: {node['html'][:200]} {node.get('failureSummary', '')[:300]}"
        for one in found["violations"]
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"]
    ]


def run(page: Page | Frame, state: str = "succeeded") -> Locator:
    """Press Run and wait for the operation to be in a state; return what shows it."""
    page.get_by_role("button", name="Run", exact=True).click()
    operation = page.locator("section.operation")
    operation.get_by_text(state, exact=True).first.wait_for()
    return operation
