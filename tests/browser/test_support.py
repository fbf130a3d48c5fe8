"""The browser that other tests rely on: what is wrong with a page is noticed, and no other machine is reached."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.browser.support import Visits

pytestmark = pytest.mark.browser


@pytest.fixture
def unchecked(browser: Browser) -> Iterator[Visits]:
    """Visits whose complaints fail no test."""
    visits = Visits(browser)
    yield visits
    visits.close()


def page(folder: Path, body: str) -> str:
    path = folder / "page.html"
    path.write_text(f"<!doctype html><title>page</title><body>{body}")
    return path.as_uri()


def test_a_page_without_fault_has_none(visits: Visits, tmp_path: Path) -> None:
    assert visits.open(page(tmp_path, "<h1>fine</h1>")).inner_text("h1") == "fine"


def test_errors_on_the_console_are_noticed(unchecked: Visits, tmp_path: Path) -> None:
    unchecked.open(page(tmp_path, "<script>console.error('no such house'); throw Error('and worse')</script>"))
    assert unchecked.wrong == ["error: no such house", "uncaught: and worse"]


def test_other_machines_are_not_reached(unchecked: Visits, tmp_path: Path) -> None:
    unchecked.open(page(tmp_path, "<img src='http://198.51.100.7/house.png'>"))
    assert unchecked.wrong[0] == "asked for http://198.51.100.7/house.png"
