"""Take the pictures of the page for the docs, from the real demo in a real browser.

    python docs/screenshots.py [OUT]

Needs Playwright and a Chromium (TINTYPE_CHROMIUM, by default /usr/bin/chromium). The dashboard's
pictures need photographs to send as well, see ``dashboard.py``; without them they stay as they are.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import dashboard
from playwright.sync_api import Browser, Page, sync_playwright

PICTURES = Path(__file__).with_name("pictures")
CHROMIUM = os.environ.get("TINTYPE_CHROMIUM", "/usr/bin/chromium")
ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """One picture: its file name, the size of the window, and the colours."""

    name: str
    width: int
    height: int
    scheme: str
    scale: int = 1


SAMPLE = "[data-sample='dog.jpg']"
COLLAR = (270 / 640, 322 / 480)
"""Where the dog's collar is, as parts of the picture's width and height."""

SHOTS = (
    Shot(name="page-light.png", width=1200, height=800, scheme="light"),
    Shot(name="page-dark.png", width=1200, height=800, scheme="dark"),
    Shot(name="page-phone.png", width=360, height=740, scheme="light", scale=2),
)


BOARDS = (
    Shot(name="dashboard-light.png", width=1200, height=900, scheme="light"),
    Shot(name="dashboard-dark.png", width=1200, height=900, scheme="dark"),
    Shot(name="dashboard-phone.png", width=360, height=740, scheme="light", scale=2),
)


def take(base_url: str, out: Path) -> tuple[Path, ...]:
    """Write ``page-*.png`` of the served page into ``out``, with its first sample answered."""
    out.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        paths = tuple(_shoot(browser, base_url, shot, out / shot.name) for shot in SHOTS)
        browser.close()
    return paths


def _shoot(browser: Browser, base_url: str, shot: Shot, path: Path) -> Path:
    context = browser.new_context(
        viewport={"width": shot.width, "height": shot.height},
        device_scale_factor=shot.scale,
        color_scheme="dark" if shot.scheme == "dark" else "light",
        reduced_motion="reduce",
    )
    page = context.new_page()
    page.goto(base_url)
    _ask(page, page.locator(SAMPLE).click)
    picture = page.locator("#picture")
    box = picture.bounding_box() or {"width": 0, "height": 0}
    place = {"x": COLLAR[0] * box["width"], "y": COLLAR[1] * box["height"]}
    _ask(page, lambda: picture.click(position=place))
    page.evaluate("() => { document.activeElement.blur(); scrollTo(0, 0); }")
    page.screenshot(path=path)
    context.close()
    return path


def take_boards(base_url: str, out: Path) -> Iterator[Path]:
    """Write ``dashboard-*.png``, the whole page each, but for the phone's first screen."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        for shot in BOARDS:
            context = browser.new_context(
                viewport={"width": shot.width, "height": shot.height},
                device_scale_factor=shot.scale,
                color_scheme="dark" if shot.scheme == "dark" else "light",
            )
            page = context.new_page()
            page.goto(f"{base_url}/dashboard?model=cats-dogs")
            page.screenshot(path=out / shot.name, full_page=shot.scale == 1)
            context.close()
            yield out / shot.name
        browser.close()


def _ask(page: Page, action: Callable[[], None]) -> None:
    with page.expect_response(lambda response: response.request.method == "POST"):
        action()
    page.wait_for_selector("#answers:not([aria-busy=true]) .answer")


@contextmanager
def demo(state: Path) -> Iterator[str]:
    """The demo on a free port, with what lasts in ``state``; gives its address."""
    start = "from tintype.cli.app import main; main()"
    command = [sys.executable, "-c", start, "demo", "--port", "0", "--state", str(state)]
    # Nobody reads its log, and a full pipe would stop it. Photographs that are sent are other
    # people's: none is kept, so that none is seen in the pictures of the dashboard.
    environment = os.environ | {"TINTYPE_PICTURES_KEEP": "false", "TINTYPE_LOG_LEVEL": "error"}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as server:
        try:
            yield _address(server)
        finally:
            server.terminate()


def _address(server: subprocess.Popen[str]) -> str:
    told = []
    for line in server.stderr or ():
        told.append(line)
        found = re.search(r"ready: (http://\S+)", line)
        if found:
            return found[1]
    raise SystemExit("the demo did not start:\n" + "".join(told))


def main() -> None:
    """Start the demo, take the pictures, say where they are."""
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else PICTURES
    with tempfile.TemporaryDirectory() as folder, demo(Path(folder)) as address:
        for path in take(address, out):
            sys.stdout.write(f"{path}\n")
        if dashboard.DATA.is_dir():
            dashboard.send(address)
            dashboard.spread(Path(folder) / "record.db")
            for path in take_boards(address, out):
                sys.stdout.write(f"{path}\n")


if __name__ == "__main__":
    main()
