"""The pictures of docs/: of which view each is, and what is done there before it is taken."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tools.screenshot_content import Content

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "images"


@dataclass(frozen=True)
class Picture:
    """One picture, and how the page comes to look like that.

    :ivar name: of the file in docs/images, without `.png`
    :ivar query: gives the address of the view, for what has been prepared
    :ivar prepare: what a user does there
    :ivar width: of the window and so of the picture, in pixels, as `height`
    """

    name: str
    query: Callable[[Content], str]
    prepare: Callable[[Page, Content], None] = field(default=lambda page, content: None)
    theme: str = "light"
    width: int = 1280
    height: int = 800

    @property
    def path(self) -> Path:
        """The file."""
        return FOLDER / f"{self.name}.png"


def _panel(page: Page, words: str) -> Locator:
    """Wait until the operation that is shown has some words, and return it."""
    panel = page.locator("section.operation")
    panel.get_by_text(words).first.wait_for()
    return panel


def _run(page: Page, content: Content) -> None:
    page.get_by_role("button", name="Run", exact=True).click()
    _panel(page, "succeeded")


def _check(page: Page, content: Content) -> None:
    form = page.get_by_role("form", name="Deploy")
    form.locator("input[type=file]").set_input_files(
        {"name": "my_dag.py", "mimeType": "text/x-python", "buffer": content.broken.encode()}
    )
    form.get_by_role("button", name="Check", exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name="Check", exact=True).click()
    _panel(page, "my_dag.py, line")


def _history(page: Page, content: Content) -> None:
    page.get_by_role("tab", name="History").click()
    page.get_by_role("figure").wait_for()


def _followed(page: Page, content: Content) -> None:
    page.locator(".log-row", has_text="of 300 seconds").nth(5).wait_for()


def _running(page: Page, content: Content) -> None:
    page.locator(".log-count", has_text=re.compile("[1-9]")).wait_for()
    page.get_by_text("heartbeat").first.wait_for()


def _submit(page: Page, content: Content) -> None:
    page.get_by_role("button", name="Submit").click()
    page.get_by_role("region", name="The answer").wait_for()


def _listed(page: Page, content: Content) -> None:
    page.get_by_role("list", name="Operations").get_by_role("link").nth(5).wait_for()


_TRIGGER = "?view=commands&command=dags/trigger&a.dag_id=example_params&a.conf=%7B%22times%22%3A%205%7D"

_ENDPOINT = "?view=endpoints&api=dag_state&a.dag_id=my_dag&a.execution_date=first"

PICTURES = (
    # So high that there is the form from its first argument on, and what came out.
    Picture("commands", lambda content: _TRIGGER, _run, height=1000),
    Picture("commands-dark", lambda content: "?view=commands&command=dags/list", _run, "dark"),
    Picture("operations", lambda content: f"?view=operations&id={content.finished}", _listed),
    Picture("operation", lambda content: f"?view=operations&id={content.running}", _followed),
    Picture("operations-phone", lambda content: "?view=operations", _listed, width=360),
    Picture("services", lambda content: f"?view=services&id={content.triggerer}", _running),
    Picture("dag-files", lambda content: "?view=dag-files", _check, height=1000),
    Picture("dag-files-dark", lambda content: "?view=dag-files&path=my_dag.py", _history, "dark"),
    Picture("endpoints", lambda content: _ENDPOINT, _submit, height=1100),
)
