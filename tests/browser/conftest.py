"""A real Airflow with the plugin, and a real browser to look at it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.browser.visitor import FLAGS, Visitor
from tests.servers import require_chromium
from tests.stacks import Stack


@pytest.fixture(scope="module")
def stack(request: pytest.FixtureRequest) -> Stack:
    require_chromium()
    found: Stack = request.getfixturevalue("examples")
    return found


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    # For one file: while it lives, an event loop runs in this thread, and other tests run their own.
    home = tmp_path_factory.mktemp("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=require_chromium(),
            args=list(FLAGS),
            # Neither the settings nor the certificates of whoever runs the tests.
            env={"HOME": str(home), "PATH": "/usr/local/bin:/usr/bin:/bin"},
        )
        yield browser
        browser.close()


Visit = Callable[..., Visitor]


@pytest.fixture
def visit(stack: Stack, browser: Browser) -> Iterator[Visit]:
    """Make visitors; at the end of the test, each of them must have met no error of the page's."""
    visitors: list[Visitor] = []

    def make(user: str | None = "admin", **how: object) -> Visitor:
        visitor = Visitor(browser, how.pop("stack", stack), user, **how)  # type: ignore[arg-type]
        visitors.append(visitor)
        return visitor

    yield make
    problems = [problem for visitor in visitors for problem in visitor.problems]
    for visitor in visitors:
        visitor.context.close()
    assert problems == []


@pytest.fixture(scope="session")
def axe() -> str:
    """The source of axe-core."""
    return (Path(__file__).parents[1] / "data" / "browser" / "axe.min.js").read_text()
