"""The live page of a town of a thousand households: feeders first, tables that are sorted and filtered, the past."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.made import FEEDERS, HOMES, town
from tests.browser.support import Visits, inaccessible

pytestmark = pytest.mark.browser

NARROW = "document.documentElement.scrollWidth <= window.innerWidth"
PATIENCE_MS = 60_000


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with town() as made:
        yield made.url


@pytest.fixture
def page(visits: Visits, url: str) -> Page:
    return opened(visits, url)


def opened(visits: Visits, url: str, **options: Any) -> Page:
    page = visits.open(url, **options)
    page.set_default_timeout(PATIENCE_MS)
    expect(page.locator("#row-count")).to_contain_text(f"of {FEEDERS * (HOMES + 1)}", timeout=PATIENCE_MS)
    expect(page.locator("#feeder-table tbody tr").first).not_to_contain_text("–", timeout=PATIENCE_MS)
    return page


def names(page: Page, table: str) -> list[str]:
    return page.locator(f"#{table} tbody th").all_inner_texts()


def test_feeders_come_first(page: Page) -> None:
    assert names(page, "feeder-table") == [f"f{number:02}" for number in range(1, FEEDERS + 1)]
    expect(page.locator("#street-card")).to_be_hidden()
    assert page.locator("#feeder-table tbody tr").first.inner_text().split() == [
        "f01", "50", "4.00", "30.00", "25", "25", "12.50", "0.07", "8", "1", "0",
    ]  # fmt: skip
    cards = page.locator("#prices").inner_text()
    assert "13.65 EUR" in cards, "saved on all feeders: since midnight 65 slots of 0.001 times 1 to 20"


def test_feeders_are_sorted_and_one_is_chosen_by_keyboard(page: Page) -> None:
    head = page.locator("#feeder-table").get_by_role("button", name="Saved today")
    head.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#feeder-table tbody th").first).to_have_text("f20")
    assert page.locator("#feeder-table th[aria-sort]").get_attribute("aria-sort") == "descending"
    page.locator("#feeder-table").get_by_role("button", name="f20").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#street-card")).to_be_visible()
    expect(page.locator("#graph .node")).to_have_count(HOMES + 1)
    assert page.url.endswith("?feeder=f20")
    page.go_back()
    expect(page.locator("#feeders-card")).to_be_visible()


def test_a_feeder_has_its_own_trades_and_failures_folded_away(visits: Visits, url: str) -> None:
    page = opened(visits, url)
    page.locator("#feeder").select_option("f03")
    expect(page.locator("#trades li")).to_have_count(HOMES // 2)
    assert all("home-f03-" in trade for trade in page.locator("#trades .who").all_inner_texts())
    expect(page.locator("#failed-count")).to_have_text("1 without a purchase")
    expect(page.locator("#failures")).to_be_hidden()
    page.locator("#failed-count").click()
    expect(page.locator("#failures li")).to_have_text(["home-f03-8 looked for energynothing bought"])


def test_a_thousand_households_are_sorted_filtered_and_shown_when_asked(page: Page) -> None:
    rows = page.locator("#households tr")
    expect(rows).to_have_count(50)
    page.get_by_label("Name").fill("home-f07")
    expect(page.locator("#row-count")).to_have_text("50 of 50 found among 1020")
    page.locator("#household-table").get_by_role("button", name="Battery").click()
    expect(page.locator("#households th").first).to_have_text("home-f07-0")
    page.locator("#household-table").get_by_role("button", name="Bought kWh").click()
    expect(page.locator("#households th").first).to_have_text("home-f07-49")
    page.locator("#role").select_option("seller")
    expect(page.locator("#row-count")).to_have_text("25 of 25 found among 1020")
    page.locator("#role").select_option("")
    page.get_by_label("Name").fill("")
    page.get_by_role("button", name="Show all 1020").click()
    expect(rows).to_have_count(FEEDERS * (HOMES + 1))


def test_the_past_is_chosen_by_a_slider(visits: Visits, url: str) -> None:
    page = visits.open(f"{url}?feeder=f04")
    slider = page.get_by_label("Slot that is shown")
    expect(slider).to_be_visible(timeout=PATIENCE_MS)
    assert slider.get_attribute("aria-valuetext") == "live"
    slider.focus()
    page.keyboard.press("Home")
    expect(page.locator("#street-title")).to_have_text("Energy in this slot, from the books")
    expect(page.locator("#trades li")).to_have_text(["home-f04-1 buys from home-f04-0paid500 Wh at 0.15 for 16:15"])
    expect(page.locator("#prices")).to_contain_text("7.50 kWh")
    assert slider.get_attribute("aria-valuetext") == "Sun 20 Sept 16:15"
    page.locator("#trades a").click()
    expect(page.locator("#trade-body")).to_contain_text("500 Wh from home-f04-0")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Live").click()
    expect(page.locator("#street-title")).to_have_text("Energy on its way")


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_machines_find_nothing_wrong(visits: Visits, url: str, colours: str) -> None:
    page = opened(visits, url, color_scheme=colours)
    assert inaccessible(page) == []
    page.locator("#feeder").select_option("f05")
    page.locator("#failed-count").click()
    slider = page.get_by_label("Slot that is shown")
    expect(slider).to_be_visible()
    assert inaccessible(page) == []
    slider.focus()
    page.keyboard.press("PageDown")
    expect(page.locator("#street-title")).to_have_text("Energy in this slot, from the books")
    assert inaccessible(page) == []


def test_it_fits_a_phone(visits: Visits, url: str) -> None:
    page = opened(visits, url, viewport={"width": 390, "height": 844}, has_touch=True)
    assert page.evaluate(NARROW)
    page.locator("#feeder").select_option("f05")
    expect(page.locator("#graph .node")).to_have_count(HOMES + 1)
    assert page.evaluate(NARROW)
