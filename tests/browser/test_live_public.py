"""The live page as anybody sees it, who has not logged in, and the way from there to all of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.made import MadeStreet
from tests.browser.support import Visits, inaccessible
from tests.gateway.live.pages import SLOT, party
from tests.world.tokens import ANOTHER, TOKEN

pytestmark = pytest.mark.browser

HOMES = [f"home-{number}.street" for number in range(6)]
UTILITY = "utility.street"
FIRST = SLOT - 20 * 900


def row(slot: int, households: int) -> list[int]:
    """Each household has 250 Wh of PV, uses 400 and buys 100 of a neighbour."""
    return [slot, households, 250 * households, 400 * households, 150 * households, 0, 0, 250 * households,
            100 * households, 10_000 * households, 0]  # fmt: skip


def street(homes: list[str]) -> MadeStreet:
    made = MadeStreet({"pod": dict.fromkeys([UTILITY, *homes], "main")})
    sold = {"price_micro_per_kwh": 300_000, "next_price_micro_per_kwh": 280_000, "slot": SLOT}
    made.say("pod", party(UTILITY, kind="utility", level_wh=0, capacity_wh=0, **sold), *map(party, homes))
    rows = [row(FIRST + 900 * number, len(homes)) for number in range(16)]
    made.pods.pages["http://pod/history"] = {"until": SLOT, "more": False, "feeders": {"main": rows}}
    return made


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with street(HOMES) as made:
        yield made.url


def anonymous(visits: Visits, url: str, **options: Any) -> Page:
    page = visits.open(url, token="", **options)
    expect(page.locator("#public-cards")).to_contain_text("6")
    return page


def test_anybody_sees_sums_and_prices_and_no_household(visits: Visits, url: str) -> None:
    page = anonymous(visits, url)
    expect(page.locator("#public-rows tr")).to_have_count(12)
    assert page.locator("#public-rows tr").first.locator("td").all_inner_texts() == [
        "6", "1.50", "2.40", "0.60", "0.90",
    ]  # fmt: skip
    cards = page.locator("#public-cards").inner_text()
    assert "0.30" in cards
    assert "next slot 0.28, feed-in 0.08" in cards
    assert "Local share\n40 %" in cards
    assert page.locator("#public-plot svg").get_attribute("aria-label") is not None
    assert "home-" not in page.content()
    assert not page.locator("#all").is_visible()
    assert not page.locator("#connection").is_visible()


def test_what_the_gateway_tells_anybody_names_no_household(visits: Visits, url: str) -> None:
    page = anonymous(visits, url)
    told = page.evaluate("fetch('api/public').then((answer) => answer.text())")
    assert not [home for home in HOMES if home.partition(".")[0] in told]
    assert json.loads(told)["households"] == 6


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_public_view_can_be_read_by_all(visits: Visits, url: str, scheme: str) -> None:
    page = anonymous(visits, url, color_scheme=scheme)
    expect(page.locator("#public-rows tr")).to_have_count(12)
    assert inaccessible(page) == []


def test_it_fits_a_phone(visits: Visits, url: str) -> None:
    page = anonymous(visits, url, viewport={"width": 390, "height": 844})
    expect(page.locator("#public-rows tr")).to_have_count(12)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_the_token_opens_all_of_it_until_one_logs_out(visits: Visits, url: str) -> None:
    page = anonymous(visits, url)
    page.get_by_label("Reading token").fill(TOKEN.text)
    page.get_by_role("button", name="Log in").click()
    expect(page.locator("#households tr")).to_have_count(7)
    expect(page.locator("#connection-text")).to_have_text("live")
    assert not page.locator("#public").is_visible()
    page.reload()
    expect(page.locator("#households tr")).to_have_count(7)
    assert TOKEN.text not in page.url + page.content()
    page.get_by_role("button", name="Log out").click()
    expect(page.locator("#public-rows tr")).to_have_count(12)
    assert "home-" not in page.content()


def test_a_link_with_the_token_opens_it_and_the_address_forgets_it(visits: Visits, url: str) -> None:
    page = visits.open(f"{url}#token={TOKEN.text}", token="")
    expect(page.locator("#households tr")).to_have_count(7)
    assert page.url == url


def test_another_token_opens_nothing(visits: Visits, url: str) -> None:
    page = anonymous(visits, url)
    page.get_by_label("Reading token").fill("ä token")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert")).to_have_text("This token opens nothing here.")
    page.get_by_label("Reading token").fill(ANOTHER.text)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert")).to_have_text("This token opens nothing here.")
    refused = visits.open(f"{url}#token={ANOTHER.text}", token="")
    expect(refused.locator("#public-rows tr")).to_have_count(12)
    assert "home-" not in refused.content()
    # The browser itself tells of each answer 401, and there is no other word of it.
    assert {text.partition(":")[0] for text in visits.wrong} == {"error"}
    assert all("401" in text for text in visits.wrong)
    visits.wrong.clear()


def test_of_few_households_no_sum_is_shown(visits: Visits) -> None:
    with street(HOMES[:4]) as made:
        page = visits.open(made.url, token="")
        expect(page.locator("#public-none")).to_have_text("Sums are shown of 5 households or more.")
        assert page.evaluate("fetch('api/public').then((answer) => answer.json())")["rows"] == []
