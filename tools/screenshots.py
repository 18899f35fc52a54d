"""Take the pictures of docs/ from a demo that is started for it, so that they show the page as it is.

They show no more of this machine than Airflow's own pages would: its folders, its name and the port are put
into other words before a picture is taken, and none is taken where one of them, or a secret, is left.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from demo.stack import Stack
from tools.png import with_palette
from tools.screenshot_content import content
from tools.screenshot_pictures import FOLDER, PICTURES, Picture

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, StorageState

ROOT = Path(__file__).resolve().parent.parent
LARGEST = 150_000
"""Bytes of one picture: a clone gets every version of all of them."""
PATIENCE = 60_000
"""Milliseconds."""
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    # The browser asks nobody's proxy for what is on this machine.
    "--no-proxy-server",
)

# In the text, and in what was typed.
_REPLACE = """words => {
  const known = words.map(([from, to]) => [new RegExp(from, "g"), to]);
  const plain = text => known.reduce((text, [from, to]) => text.replace(from, to), text);
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    if (plain(node.data) !== node.data) node.data = plain(node.data);
  }
  for (const input of document.querySelectorAll("input:not([type=file]), textarea")) {
    if (plain(input.value) !== input.value) input.value = plain(input.value);
  }
}"""
_STILL = """async () => {
  const places = () => [...document.querySelectorAll("*")].map(element => element.scrollTop).join();
  for (let before = null, frames = 0; frames < 10; before = places()) {
    await new Promise(requestAnimationFrame);
    frames = places() === before ? frames + 1 : 0;
  }
}"""
_TEXT = """() => [document.body.innerText,
  ...[...document.querySelectorAll("input, textarea")].map(input => input.value)].join("\\n")"""


class ScreenshotError(Exception):
    """A picture shows what it must not, or is too large."""


def main() -> int:
    """Take all pictures; return the exit code."""
    with tempfile.TemporaryDirectory(prefix="screenshots-") as folder:
        try:
            take(PICTURES, Path(folder))
        except ScreenshotError as error:
            print(error, file=sys.stderr)
            return 1
    return 0


def take(pictures: Iterable[Picture], folder: Path) -> None:
    """Start a demo in a folder, and take pictures of it.

    Raises `ScreenshotError`; the pictures that were taken before stay.
    """
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        raise ScreenshotError("The pictures need the program chromium (Debian package chromium).")
    # No triggerer: that one is started from the page.
    components = ("api-server", "scheduler", "dag-processor")
    FOLDER.mkdir(exist_ok=True)
    with (
        Stack(folder / "home", components=components, expect=None) as stack,
        sync_playwright() as playwright,
        content(stack) as prepared,
    ):
        (folder / "chromium").mkdir()
        # Neither the settings nor the certificates of whoever takes the pictures.
        env: dict[str, str | float | bool] = {"HOME": str(folder / "chromium"), "PATH": os.defpath}
        browser = playwright.chromium.launch(executable_path=chromium, args=list(FLAGS), env=env)
        session = sign_in(browser, stack)
        words, secrets = machine(stack, folder), [*stack.passwords.values(), prepared.token]
        for picture in pictures:
            context = browser.new_context(
                viewport={"width": picture.width, "height": picture.height},
                color_scheme="dark" if picture.theme == "dark" else "light",
                device_scale_factor=1,
                locale="en-GB",
                timezone_id="UTC",
                storage_state=session,
            )
            context.set_default_timeout(PATIENCE)
            page = context.new_page()
            page.goto(f"{stack.url}/admin/rest_api/{picture.query(prepared)}")
            page.locator("main h1").first.wait_for(state="attached")
            picture.prepare(page, prepared)
            shoot(page, picture, words, secrets)
            context.close()
        browser.close()


def sign_in(browser: Browser, stack: Stack) -> StorageState:
    """Sign in as the administrator, on Airflow's own form, and return what the browser then keeps."""
    context = browser.new_context()
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    page.goto(f"{stack.url}/admin/rest_api/")
    page.get_by_label("Username").fill("admin")
    page.get_by_label("Password").fill(stack.passwords["admin"])
    page.get_by_role("button", name="Sign in").click()
    page.locator("main h1").first.wait_for(state="attached")
    session = context.storage_state()
    context.close()
    return session


def machine(stack: Stack, folder: Path) -> Mapping[str, str]:
    """Return what must not be seen of this machine, as regular expressions, and what is shown instead."""
    words = {
        str(stack.home): "/opt/airflow",
        str(folder): "/opt/airflow",
        sys.prefix: "/opt/venv",
        sys.base_prefix: "/opt/python",
        str(ROOT): "/opt/airflow-rest-api-plugin",
        str(Path.home()): "/home/airflow",
        f"localhost:{stack.port}": "localhost:8080",
        socket.getfqdn(): "airflow-1",
        socket.gethostname(): "airflow-1",
    }
    # These are nobody's.
    own = [word for word in words if word not in ("localhost", "/usr", "/")]
    # The longest first, as one may be within another; a host's name may be part of any word.
    own.sort(key=len, reverse=True)
    return {rf"(?<![\w-]){re.escape(word)}(?![\w-])": words[word] for word in own}


def shoot(page: Page, picture: Picture, words: Mapping[str, str], secrets: Iterable[str]) -> None:
    """Take one picture. Raises `ScreenshotError` where it would show the machine or a secret, or is large."""
    # Away from the button that was pressed last.
    page.mouse.move(0, 0)
    # What came out is scrolled to. A log that grows would go on and on, but not as fast as this.
    page.evaluate(_STILL)
    page.evaluate(_REPLACE, list(map(list, words.items())))
    image = with_palette(page.screenshot(animations="disabled", caret="hide", scale="css"))
    # What is left now was there, or has come while the picture was taken.
    text = page.evaluate(_TEXT)
    for word in words:
        if found := re.search(word, text):
            raise ScreenshotError(f"{picture.name} shows {found[0]}")
    if any(secret in text for secret in secrets):
        raise ScreenshotError(f"{picture.name} shows a secret")
    if len(image) > LARGEST:
        raise ScreenshotError(f"{picture.name} has {len(image):,} bytes, more than {LARGEST:,}")
    picture.path.write_bytes(image)
    print(f"{picture.path.relative_to(ROOT)} ({len(image):,} bytes)", flush=True)


if __name__ == "__main__":
    sys.exit(main())
