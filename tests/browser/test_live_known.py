"""The live page says what it has been told, and where it has not been told, it says so."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.made import SLOT_S, MadeStreet
from tests.browser.support import Visits, inaccessible
from tests.gateway.live.pages import FLAT, GATEWAY, ROOF, SLOT, UTILITY, contract, message, party, story
from wattmesh_gateway.live import events

pytestmark = pytest.mark.browser

PATIENCE_MS = 60_000
SLOW = {"grid": {"now_s": SLOT + 60.0, "speed": 1.0, "utc_offset_s": 7200}}


@pytest.fixture
def street(visits: Visits) -> Iterator[MadeStreet]:
    """A roof, a flat and their utility, each in a pod of its own."""
    members = {"roof": {ROOF: "main"}, "flat": {FLAT: "main"}, "grid": {UTILITY: "main"}}
    with MadeStreet(members) as made:
        made.say("roof", party(ROOF, slot=SLOT), **SLOW)
        made.say("flat", party(FLAT, slot=SLOT, role="buyer", next_role="buyer"), open_purchases=[], **SLOW)
        made.say("grid", utility(), **SLOW)
        yield made
        visits.close()  # before what they show is gone, of which a page that asks again complains


def utility(**changes: Any) -> dict[str, Any]:
    prices = {"price_micro_per_kwh": 400_000, "next_price_micro_per_kwh": 240_000, "slot": SLOT}
    return party(UTILITY, **{"kind": "utility", "level_wh": 0, "capacity_wh": 0, "role": "seller", **prices, **changes})


def opened(visits: Visits, street: MadeStreet) -> Page:
    page = visits.open(street.url)
    page.set_default_timeout(PATIENCE_MS)
    expect(page.locator("#households tr")).to_have_count(3, timeout=PATIENCE_MS)
    return page


def card(page: Page, name: str) -> Any:
    return page.locator("#prices .price").filter(has=page.locator("dt", has_text=name)).locator("dd")


def test_the_price_of_a_tariff_period_that_has_ended_is_not_shown(visits: Visits, street: MadeStreet) -> None:
    page = opened(visits, street)
    expect(card(page, "Utility, now")).to_contain_text("0.40")
    street.silence("grid")
    later = {**SLOW["grid"], "now_s": SLOT + SLOT_S + 60.0}
    for pod, one in (("roof", party(ROOF, slot=SLOT + SLOT_S)), ("flat", party(FLAT, slot=SLOT + SLOT_S))):
        street.say(pod, one, grid=later)
    expect(card(page, "Utility, now")).to_have_text("– not known", timeout=PATIENCE_MS)
    expect(page.locator("#households tr").first).to_contain_text("no answer")
    street.say("grid", utility(slot=SLOT + SLOT_S, price_micro_per_kwh=240_000), grid=later)
    expect(card(page, "Utility, now")).to_contain_text("0.24", timeout=PATIENCE_MS)


def test_the_price_of_the_next_slot_is_that_of_the_running_one_once_it_has_begun(
    visits: Visits, street: MadeStreet
) -> None:
    page = opened(visits, street)
    expect(card(page, "Utility, now")).to_contain_text("next slot 0.24")
    later = {**SLOW["grid"], "now_s": SLOT + SLOT_S + 60.0}
    street.say("roof", party(ROOF, slot=SLOT + SLOT_S), grid=later)
    street.say("flat", party(FLAT, slot=SLOT + SLOT_S), grid=later)
    street.say("grid", utility(), grid=later)  # it has not said what it asks after that
    expect(card(page, "Utility, now")).to_have_text("0.24 EUR/kWh, next slot not known, feed-in 0.08")


def test_grid_time_stands_when_no_pod_tells_it(visits: Visits, street: MadeStreet) -> None:
    page = opened(visits, street)
    expect(page.locator("#clock-name")).to_have_text("Grid time")
    for pod in ("roof", "flat", "grid"):
        street.silence(pod)
    expect(page.locator("#clock-name")).to_have_text("Grid time, last heard", timeout=PATIENCE_MS)
    expect(page.locator("#notice")).to_contain_text("No household’s pod answers", timeout=PATIENCE_MS)
    assert page.locator("#grid-time").inner_text().endswith("16:16")
    assert inaccessible(page) == []


def test_a_purchase_is_over_when_its_buyer_says_so_and_then_it_is_folded_away(
    visits: Visits, street: MadeStreet
) -> None:
    page = opened(visits, street)
    flat = party(FLAT, slot=SLOT)
    log = [message("search", FLAT, GATEWAY, 1_000), story(FLAT, "search: 0.400 kWh for 16:30", 1_000)]
    street.say("flat", flat, happenings=log, open_purchases=["t"], number=2, **SLOW)
    expect(page.locator("#trades li")).to_have_text(
        ["flat-0 looks for energylooking for offerssearch: 0.400 kWh for 16:30"]
    )
    log.append(story(FLAT, "0.400 kWh not bought: the gate closed", 2_000))
    street.say("flat", flat, happenings=log, open_purchases=[], number=3, missed_gates=1, **SLOW)
    expect(page.locator("#trades li")).to_have_count(0)
    expect(page.locator("#failed-count")).to_have_text("1 without a purchase")
    page.locator("#failed-count").click()
    expect(page.locator("#failures li")).to_have_text(
        ["flat-0 looked for energynothing bought0.400 kWh not bought: the gate closed"]
    )
    expect(page.locator("#missed")).to_contain_text("1 trade missed since the start")


def test_what_a_silent_buyer_bought_is_not_guessed(visits: Visits, street: MadeStreet) -> None:
    street.say("flat", party(FLAT), happenings=[message("search", FLAT, GATEWAY, 1_000)], open_purchases=["t"], **SLOW)
    page = opened(visits, street)
    expect(page.locator("#trades .state")).to_have_text("looking for offers")
    street.silence("flat")
    expect(page.locator("#trades .state")).to_have_text("not known", timeout=PATIENCE_MS)


def test_older_trades_keep_their_seller(visits: Visits, street: MadeStreet) -> None:
    log = [message("search", FLAT, GATEWAY, 1_000), message("confirm", FLAT, ROOF, 2_000)]
    log.append(message("on_update", ROOF, FLAT, 3_000))
    street.say("flat", party(FLAT, slot=SLOT), happenings=log, open_purchases=[], **SLOW)  # no contract any more
    page = opened(visits, street)
    expect(page.locator("#trades li")).to_have_text(["flat-0 buys from roof-0paid"])


def test_trades_whose_messages_were_missed_are_shown(visits: Visits, street: MadeStreet) -> None:
    signed = [contract("buyer", "SETTLED", slot=SLOT)]
    street.say("flat", party(FLAT, slot=SLOT), contracts=signed, open_purchases=[], **SLOW)
    page = opened(visits, street)
    expect(page.locator("#trades li")).to_have_text(["flat-0 buys from roof-0paid500 Wh at 0.15 for 16:15"])
    page.locator("#trades a").click()
    expect(page.locator("#trade-body")).to_contain_text("500 Wh from roof-0 for")
    expect(page.locator("#trade-body")).to_contain_text("Its messages are not remembered")
    assert inaccessible(page) == []


def test_pv_and_load_stand_at_each_house(visits: Visits, street: MadeStreet) -> None:
    reading = [SLOT - SLOT_S, 8_000, 500, 125, 0, 0, 0, 375]
    street.say("roof", party(ROOF, slot=SLOT), readings={ROOF: [reading]}, **SLOW)
    page = opened(visits, street)
    node = page.locator("#graph .node", has=page.locator("a[href*='roof-0']"))
    expect(node.locator(".power")).to_have_text("PV 2.0 | load 0.5")
    assert "PV 2.00 kW, load 0.50 kW" in (node.locator("a").get_attribute("aria-label") or "")
    cells = page.locator("#households tr", has_text="roof-0").locator("td").all_inner_texts()
    assert cells[2:4] == ["2.00", "0.50"]


def test_a_silent_gateway_is_noticed_and_nothing_runs_on(
    visits: Visits, street: MadeStreet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "HEARTBEAT_S", 3_600)
    fast = {**SLOW["grid"], "speed": 60.0}
    for pod, one in (("roof", party(ROOF, slot=SLOT)), ("flat", party(FLAT, slot=SLOT)), ("grid", utility())):
        street.say(pod, one, grid=fast)
    page = opened(visits, street)
    page.clock.install()
    page.reload()
    expect(page.locator("#households tr")).to_have_count(3)
    page.route("**/events", lambda _: None)  # from now on it takes calls and never answers
    page.clock.fast_forward("00:13")
    expect(page.locator("#connection-text")).to_have_text("reconnecting …")
    page.clock.fast_forward("00:16")
    expect(page.locator("#connection-text")).to_have_text("gateway gone")
    expect(page.locator("#clock-name")).to_have_text("Grid time, last heard")
    expect(page.locator("#notice")).to_contain_text("Showing the last data received at")
    stands = page.locator("#grid-time").inner_text()
    page.clock.fast_forward("10:00")
    assert page.locator("#grid-time").inner_text() == stands
    assert inaccessible(page) == []
