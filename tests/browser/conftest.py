"""A real browser in front of a real server with a fake predictor."""

from __future__ import annotations

import asyncio
import io
import os
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import structlog
import uvicorn
from PIL import Image

from tintype.access.door import AccessPolicy, Door, LimitPolicy
from tintype.access.keyring import Keyring
from tintype.access.keys import Key, Scope, digest_of, id_of, new_text
from tintype.access.limits import MemoryLimiter
from tintype.access.store import KeyStore
from tintype.live import LiveWindow
from tintype.record.policy import RecordPolicy
from tintype.record.recorder import Recorder
from tintype.record.values import ModelFacts
from tintype.web.app import create_app
from tintype.web.compat.policy import CompatPolicy
from tintype.web.fake import FakePredictor
from tintype.web.services import Services
from tintype.web.uploads import UploadLimits

CHROMIUM = Path(os.environ.get("TINTYPE_CHROMIUM", "/usr/bin/chromium"))
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
]
WATCH_POLICY = """
window.violations = [];
addEventListener("securitypolicyviolation", (event) =>
  window.violations.push(`${event.violatedDirective} ${event.blockedURI}`), true);
"""


@dataclass
class Site:
    """The served application: where it is, and the predictor behind it."""

    url: str
    predictor: FakePredictor


class Server(uvicorn.Server):
    """Tells when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = threading.Event()

    async def startup(self, sockets=None) -> None:
        """Start, and say so."""
        await super().startup(sockets)
        self.listening.set()


def picture(kind: str = "PNG", *, size: tuple[int, int] = (120, 80), orientation: int = 1) -> bytes:
    """A small real picture, with an EXIF orientation if asked for."""
    file = io.BytesIO()
    image = Image.linear_gradient("L").resize(size).convert("RGB")
    exif = Image.Exif()
    exif[0x0112] = orientation
    image.save(file, kind, **({"exif": exif} if kind == "JPEG" else {}))
    return file.getvalue()


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """The server's log lines are caught."""
    with structlog.testing.capture_logs():
        yield


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Iterator[Site]:
    sample = tmp_path_factory.mktemp("samples") / "red-dog.png"
    sample.write_bytes(picture())
    predictor = FakePredictor()
    with recording(predictor, tmp_path_factory.mktemp("state")) as record:
        yield from serving(predictor, record, sample)


@contextmanager
def recording(predictor: FakePredictor, state: Path) -> Iterator[Recorder]:
    """A running record of what the fake predictor answers."""
    with Recorder(state / "record.db", state=state, policy=RecordPolicy()) as record:
        record.know(
            ModelFacts(
                name=info.name,
                version=info.version,
                task=info.task,
                path=state / info.file,
                recipe="{}",
                labels=info.labels,
            )
            for info in predictor.models()
        )
        predictor.observers = (record,)
        yield record


@pytest.fixture(scope="module")
def guarded_site(tmp_path_factory) -> Iterator[tuple[Site, str]]:
    """A server that asks for keys, and a key."""
    text, store = new_text(), KeyStore(tmp_path_factory.mktemp("keys"))
    scopes, digest = frozenset({Scope.PREDICT}), digest_of(text.encode())
    store.add(Key(id=id_of(text.encode()), name="ann", digest=digest, scopes=scopes))
    keyring = Keyring(store, session_seconds=60)
    with ThreadPoolExecutor(1) as thread:  # Playwright has a loop at work in this one
        thread.submit(lambda: asyncio.run(keyring.sync())).result()
    door = Door(keyring, policy=AccessPolicy(), limits=LimitPolicy(), limiter=MemoryLimiter())
    for site in running(Services(predictor=FakePredictor(), door=door)):
        yield site, text


def serving(predictor: FakePredictor, record: Recorder, sample: Path) -> Iterator[Site]:
    """The application on a real port, in a thread."""
    live = LiveWindow()
    predictor.observers = (*predictor.observers, live)
    services = Services(predictor=predictor, record=record, live=live)
    yield from running(services, sample)


def running(services: Services, *samples: Path) -> Iterator[Site]:
    """The application around these services, on a real port."""
    app = create_app(
        services,
        limits=UploadLimits(max_body_bytes=1 << 20),
        compat=CompatPolicy(enabled=True),
        samples=samples,
    )
    config = uvicorn.Config(app, lifespan="off", log_level="critical", access_log=False)
    server = Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        assert server.listening.wait(20)
        yield Site(f"http://127.0.0.1:{listener.getsockname()[1]}", services.predictor)
        server.should_exit = True
        thread.join(20)


# Not for the session: while Playwright's synchronous interface is open, no asynchronous test of
# another module could run in this process.
@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    if not CHROMIUM.exists():
        pytest.skip(f"no browser at {CHROMIUM}: install chromium or set TINTYPE_CHROMIUM")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser, site):
    """Open the page in a fresh context; afterwards nothing may have been complained about."""
    contexts = []
    complaints: list[str] = []

    def open_page(path: str = "/", *, watched: bool = True, **options):
        context = browser.new_context(**{"viewport": {"width": 1200, "height": 900}, **options})
        context.set_default_timeout(10_000)
        contexts.append((context, watched))
        page = context.new_page()
        if options.get("java_script_enabled", True):
            page.add_init_script(WATCH_POLICY)
        if not watched:
            page.goto(site.url + path)
            return page
        page.on("console", lambda message: _complain(complaints, message))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "request",
            lambda request: _outside(request.url, site.url) and complaints.append(request.url),
        )
        page.goto(site.url + path)
        return page

    yield open_page
    for context, watched in contexts:
        for page in context.pages:
            if watched and page.evaluate("() => 'violations' in window"):
                complaints += page.evaluate("() => window.violations")
        context.close()
    assert [] == complaints


@pytest.fixture
def page(open_page):
    """The page, as a person opens it."""
    return open_page()


def _outside(url: str, home: str) -> bool:
    return not url.startswith((home, "data:", "blob:"))


def _complain(complaints: list[str], message) -> None:
    # A refused picture is answered with its status; the browser writes that into its console.
    if message.type in {"error", "warning"} and "Failed to load resource" not in message.text:
        complaints.append(message.text)


@pytest.fixture(scope="session")
def make_picture():
    """Makes small real pictures."""
    return picture
