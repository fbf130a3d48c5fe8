"""The live page of a real street, as people see and use it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect

from tests.browser.support import Served, Visits, inaccessible
from tests.world.manifests import MARKET, households, planned, utility
from tests.world.street import logged
from tests.world.tokens import TOKEN
from wattmesh_cli.state import locked
from wattmesh_cli.street.local import running_street
from wattmesh_common.reading_token import ReadingToken

pytestmark = pytest.mark.browser

STREET = planned(
    MARKET
    + utility()
    + households("roof", "battery: {capacityKwh: 10, initialKwh: 10}, trading: {sellAbovePercent: 50}", replicas=2)
    + households("flat", "householdsPerPod: 2, load: {annualKwh: 6000}, strategy: rules", replicas=2)
)
NAMES = ["utility", "flat-0", "flat-1", "roof-0", "roof-1"]
SPEED = 180
ACTIONS = ["select", "on_select", "init", "on_init", "confirm", "on_confirm"]
PHONE = {"width": 390, "height": 844}
PATIENCE_MS = 60_000
NARROW = "document.documentElement.scrollWidth <= window.innerWidth"


class Background(Served):
    """The street beside Playwright's event loop, which occupies the tests' thread."""

    def __init__(self, state: Path) -> None:
        super().__init__()
        self._state = state

    def run(self) -> None:
        """See Served."""
        known = patch.object(ReadingToken, "new", return_value=TOKEN)
        with locked(self._state), known, logged():  # a story that nobody would read is not told
            super().run()

    async def serve(self) -> None:
        """See Served."""
        async with running_street(STREET, self._state, speed=SPEED) as street:
            await self.end(f"{street.gateway_url}/")


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with Background(tmp_path_factory.mktemp("street") / "state") as street:
        yield street.url


def opened(visits: Visits, url: str, **options: Any) -> Page:
    page = visits.open(url, **options)
    page.set_default_timeout(PATIENCE_MS)
    expect(page.locator("#households tr")).to_have_count(len(NAMES), timeout=PATIENCE_MS)
    return page


def a_confirmed_trade(page: Page) -> Any:
    """The link to a trade whose contract is in force, or was."""
    link = page.locator("#trades a").filter(has=page.locator(".state", has_text="paid")).first
    expect(link).to_be_visible(timeout=PATIENCE_MS)
    return link


def test_the_street_is_shown_and_goes_on(visits: Visits, url: str) -> None:
    page = opened(visits, url)
    assert page.locator("#households th").all_inner_texts() == NAMES
    assert sorted(page.locator("#graph .name").all_text_contents()) == sorted(NAMES)
    expect(page.locator("#connection-text")).to_have_text("live")
    expect(page.locator("#graph .flow.now").first).to_be_attached(timeout=PATIENCE_MS)
    roof = page.locator("#graph a", has_text="roof-0")
    assert "battery" in (roof.get_attribute("aria-label") or "")
    assert "sells at 0.15 EUR per kWh" in (roof.get_attribute("aria-label") or "")
    prices = page.locator("#prices").inner_text()
    assert "0.25" in prices
    assert "0.15" in prices
    before = page.locator("#grid-time").inner_text()
    expect(page.locator("#grid-time")).not_to_have_text(before)


def test_a_trade_appears_and_its_log_is_a_sequence_diagram(visits: Visits, url: str) -> None:
    page = opened(visits, url)
    link = a_confirmed_trade(page)
    said = link.locator(".who").inner_text()
    assert re.fullmatch(r"(flat-\d|utility) buys from .*(roof-\d|utility).*", said)
    link.click()
    dialog = page.locator("#trade")
    expect(dialog.locator("svg.sequence")).to_be_visible()
    arrows = dialog.locator("svg.sequence g.arrow")
    actions = [arrow.get_attribute("data-action") for arrow in arrows.all()]
    assert actions[:2] == ["search", "search"]
    assert [action for action in actions if action in ACTIONS] == ACTIONS
    assert [name for name in ("on_status", "update", "on_update") if name in actions] == actions[-3:]
    assert dialog.locator("g.arrow[data-action=select]").get_attribute("data-answer") == "ACK"
    assert dialog.locator("text.party-name").all_text_contents()[1] == "gateway"
    rows = dialog.locator("table.log tbody tr")
    assert rows.count() > len(actions), "the table has the story too"
    assert "chosen: " in dialog.locator("table.log").inner_text()


def test_a_household_has_its_level_totals_and_contracts(visits: Visits, url: str) -> None:
    page = opened(visits, url)
    a_confirmed_trade(page)
    page.locator("#graph a", has_text="roof-0").click()
    dialog = page.locator("#household")
    expect(dialog.locator("h2")).to_have_text("roof-0")
    for name in ("Role", "Battery", "Bought", "Sold", "Balance"):
        expect(dialog.locator("dt", has_text=name)).to_have_count(1)
    expect(dialog.locator("svg.chart").first).to_have_attribute("aria-label", re.compile("^Battery: level from"))
    expect(dialog.locator("ol.trades a").first).to_be_visible()
    page.go_back()
    expect(dialog).to_be_hidden()


def test_the_keyboard_reaches_everything(visits: Visits, url: str) -> None:
    page = opened(visits, url)
    a_confirmed_trade(page)
    reached: list[str] = []
    for _ in range(200):
        page.keyboard.press("Tab")
        where = page.evaluate("document.activeElement.getAttribute('href') ?? document.activeElement.className ?? ''")
        outline = page.evaluate("""() => { const e = document.activeElement; if (e === document.body) return 'body';
            const drawn = e.closest('#graph') ? e.firstElementChild : e;
            const style = getComputedStyle(drawn);
            return e.closest('#graph') ? style.stroke : style.outlineStyle; }""")
        if outline == "body":
            break
        assert outline != "none", where
        reached.append(str(where))
    assert any(where.startswith("#/trade/") for where in reached)
    for name in NAMES:
        assert sum(where == f"#/household/{name}.default" for where in reached) == 2, "in the graph and in the table"
    link = page.locator("#trades a").first
    link.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#trade")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#trade")).to_be_hidden()
    assert page.evaluate("document.activeElement.getAttribute('href')").startswith("#/trade/"), "focus goes back"
    assert urlsplit(page.url).fragment == ""


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_it_can_be_read_in_light_and_dark_and_by_machines(visits: Visits, url: str, colours: str) -> None:
    page = opened(visits, url, color_scheme=colours)
    link = a_confirmed_trade(page)
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background == {"light": "rgb(243, 245, 240)", "dark": "rgb(16, 22, 26)"}[colours]
    assert inaccessible(page) == []
    link.click()
    expect(page.locator("#trade svg.sequence")).to_be_visible()
    assert inaccessible(page) == []
    page.goto(f"{url}#/household/roof-0.default")
    expect(page.locator("#household svg.chart").first).to_be_visible()
    assert inaccessible(page) == []


def test_it_fits_a_phone(visits: Visits, url: str) -> None:
    page = opened(visits, url, viewport=PHONE, has_touch=True)
    link = a_confirmed_trade(page)
    assert page.evaluate(NARROW)
    link.tap()
    expect(page.locator("#trade svg.sequence")).to_be_visible()
    assert page.evaluate(NARROW)
    box = page.locator("#trade").bounding_box()
    assert box is not None
    assert box["width"] <= PHONE["width"]


def test_who_wants_no_motion_gets_none(visits: Visits, url: str) -> None:
    page = opened(visits, url, reduced_motion="reduce")
    flow = page.locator("#graph .flow.now").first
    expect(flow).to_be_attached(timeout=PATIENCE_MS)
    assert flow.evaluate("e => getComputedStyle(e).animationName") == "none"
    assert flow.get_attribute("marker-end") == "url(#arrow-now)", "an arrow says whereto all the same"


def test_a_gateway_that_does_not_answer_is_told_and_the_page_goes_on_by_itself(visits: Visits, url: str) -> None:
    page = opened(visits, url)
    page.clock.install()
    page.route("**/events", lambda route: route.fulfill(status=503))
    page.reload()
    expect(page.locator("#connection-text")).to_have_text("reconnecting …")
    page.clock.fast_forward("00:20")
    expect(page.locator("#connection-text")).to_have_text("gateway gone")
    expect(page.locator("#notice")).to_be_visible()
    page.unroute("**/events")
    page.clock.fast_forward("00:40")
    expect(page.locator("#connection-text")).to_have_text("live")
    expect(page.locator("#notice")).to_be_hidden()
    assert all("503" in complaint for complaint in visits.wrong), visits.wrong
    visits.wrong.clear()
