"""A real browser for tests: the system's Chromium, driven by Playwright, without any network but this machine's.

While the browser runs, Playwright keeps an event loop in the tests' thread, so asyncio must run in another one there:
`tests.browser.support.apart`.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.browser.support import ARGUMENTS, Visits, chromium


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One browser for all tests."""
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
        yield running
        running.close()


@pytest.fixture
def visits(browser: Browser) -> Iterator[Visits]:
    """Opens pages; the test fails when one of them has an error on its console or asks another machine for anything."""
    made = Visits(browser)
    yield made
    made.close()
    assert made.wrong == []
