"""What browser tests share: where Chromium is, pages that are watched, work beside Playwright's event loop."""

from __future__ import annotations

import asyncio
import shutil
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Route

from tests.world.tokens import TOKEN

T = TypeVar("T")

ARGUMENTS = ["--no-sandbox", "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1 , EXCLUDE localhost"]
"""No sandbox, as tests may run as root; no name but this machine's is resolved."""
FAINT = Path(__file__).with_name("faint.js").read_text()
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_HERE = {"127.0.0.1", "localhost", "[::1]", "::1"}


def chromium() -> str:
    """Where the system's Chromium is. Playwright's own is never downloaded."""
    for name in _NAMES:
        if found := shutil.which(name):
            return found
    raise FileNotFoundError(
        "there is no Chromium on PATH: apt-get install chromium (Debian, Ubuntu), dnf install chromium (Fedora), "
        "brew install --cask chromium (macOS)"
    )


def apart(work: Callable[..., T], *arguments: Any) -> T:
    """Do what runs an event loop of its own, in a thread of its own; Playwright's loop occupies the tests' thread."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(work, *arguments).result()


class Served:
    """A page that is served in a thread with an event loop of its own, at `url`, while this is entered."""

    def __init__(self) -> None:
        self.url = ""
        self._running = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._end: asyncio.Event | None = None
        self._thread = threading.Thread(target=self.run)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._running.wait(60)
        return self

    def __exit__(self, *_: object) -> None:
        if self._end is not None:
            self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(60)

    async def serve(self) -> None:
        """Serve the page, and wait for the `end` as soon as it can be opened."""
        raise NotImplementedError

    async def end(self, url: str) -> None:
        """The page can be opened at `url`: returns when it is not wanted any more."""
        self.url, self._end = url, asyncio.Event()
        self._running.set()
        await self._end.wait()

    def run(self) -> None:
        """What the thread does."""
        self._loop.run_until_complete(self.serve())
        self._loop.close()


def inaccessible(page: Page) -> list[str]:
    """What axe-core finds wrong with a page as it is now, of whatever impact; and what it leaves out: text in drawings
    with a contrast of less than 4.5 to what is behind it (WCAG 2.2, 1.4.3).
    """
    found = Axe().run(page).response["violations"]
    targets = [
        f"{one['id']} ({one['impact']}): {node['target'][0]}: {node['failureSummary']}"
        for one in found
        for node in one["nodes"]
    ]
    faint: list[str] = page.evaluate(FAINT)
    return targets + faint


class Visits:
    """Pages of one test. `wrong` has what the browser complains of: errors on the console, uncaught exceptions, calls
    to other machines (which are refused).
    """

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._contexts: list[BrowserContext] = []
        self.wrong: list[str] = []

    def open(self, url: str, *, token: str = TOKEN.text, **options: Any) -> Page:
        """Open a page in a context of its own; `options` are Playwright's for a context: viewport, color_scheme, …

        A live page is logged in with the token, if there is one.
        """
        context = self._browser.new_context(**options)
        if token:
            context.add_init_script(f"sessionStorage.setItem('wattmesh-reading-token', '{token}')")
        self._contexts.append(context)
        context.route("**/*", self._only_here)
        page = context.new_page()
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.wrong.append(f"uncaught: {error}"))
        page.goto(url)
        return page

    def close(self) -> None:
        """Close all pages."""
        while self._contexts:
            self._contexts.pop().close()

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.wrong.append(f"{message.type}: {message.text}")

    def _only_here(self, route: Route) -> None:
        parts = urlsplit(route.request.url)
        if parts.scheme in ("http", "https") and parts.hostname not in _HERE:
            self.wrong.append(f"asked for {route.request.url}")
            route.abort()
        else:
            route.continue_()
