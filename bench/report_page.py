"""How long a report takes to open in Chromium: from the request of the file until all of its plots are painted."""

from __future__ import annotations

import statistics
import time
from pathlib import Path

from playwright.sync_api import expect, sync_playwright

from tests.browser.support import ARGUMENTS, chromium

RUNS = 3
_PATIENCE_MS = 120_000
_PAINTED = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"


def open_s(page: Path) -> float:
    """The median of some openings, each in a new context of a browser that runs. FileNotFoundError without Chromium."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
        seconds = []
        for _ in range(RUNS):
            context = browser.new_context()
            tab = context.new_page()
            began = time.perf_counter()
            tab.goto(page.as_uri(), timeout=_PATIENCE_MS)
            expect(tab.locator("figure > [role=img]:not(:has(.main-svg))")).to_have_count(0, timeout=_PATIENCE_MS)
            tab.evaluate(_PAINTED)
            seconds.append(time.perf_counter() - began)
            context.close()
        browser.close()
    return statistics.median(seconds)
