"""Long reports are drawn in longer steps, which sum up to the same."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cli.kpi.small_street import FIRST, GRID
from tests.cli.report.support import reported
from wattmesh_cli.books import SLOT_S
from wattmesh_cli.report.content import Content
from wattmesh_cli.report.drawn import MOST_POINTS, STEPS_S, drawn
from wattmesh_cli.report.figures import figures
from wattmesh_cli.report.page import page
from wattmesh_cli.report.series import Metered, Traded, UtilityPrices

MIDNIGHT = FIRST - FIRST % 86_400
SHORT = reported()


def long(number: int, first: int = MIDNIGHT, utc_offset_s: int = 0) -> Content:
    """A report of so many slots: 100 Wh of PV in the first, 101 in the second and so on."""
    slots = tuple(first + SLOT_S * at for at in range(number))
    community = tuple(Metered(slot, 3, 100 + at, 60, 0, 0, 5, 0, at, at + 1, 3000) for at, slot in enumerate(slots))
    return replace(
        SHORT,
        market=replace(SHORT.market, zone=timezone(timedelta(seconds=utc_offset_s))),
        slots=slots,
        community=community,
        households={"roof": community[1:]},
        traded=tuple(Traded(slot, 10, 2_000, 1, 2) for slot in slots),
        prices=(UtilityPrices(GRID, tuple(300_000 + at for at in range(number)), (80_000,) * number),),
    )


def test_a_short_report_is_drawn_slot_by_slot() -> None:
    for number in (1, MOST_POINTS):
        shown = long(number)
        assert drawn(shown) is shown
    empty = replace(SHORT, slots=(), community=(), households={}, traded=(), prices=())
    assert drawn(empty) is empty


def test_in_hours_the_first_is_what_its_four_slots_sum_up_to() -> None:
    shown = drawn(long(MOST_POINTS + 1))
    assert (shown.step_s, shown.slots[:2]) == (3600, (MIDNIGHT, MIDNIGHT + 3600))
    # 100 + 101 + 102 + 103 of PV; stored 0 before and 4 after
    assert shown.community[0] == Metered(MIDNIGHT, 3, 406, 240, 0, 0, 20, 0, 0, 4, 3000, slots=4)
    assert shown.households["roof"][0] == Metered(MIDNIGHT, 3, 306, 180, 0, 0, 15, 0, 1, 4, 3000, slots=3)
    assert shown.traded[0] == Traded(MIDNIGHT, 40, 8_000, 4, 8)
    assert shown.traded[0].local_price_micro_per_kwh == 200_000
    assert (shown.prices[0].tariff_micro[0], shown.prices[0].feed_in_micro[0]) == (300_001, 80_000)


def test_steps_begin_on_the_streets_own_clock() -> None:
    """In Nepal, 5:45 h east of Greenwich, the day's first slot is 18:15 UTC."""
    shown = drawn(long(96 * 180, MIDNIGHT, 20_700))
    assert shown.step_s == 6 * 3600
    assert {(slot + 20_700) % shown.step_s for slot in shown.slots} == {0}
    assert shown.community[0].slots == 1, "05:45 to 06:00"


def test_power_is_a_mean_and_trades_are_sums() -> None:
    plots = figures(long(MOST_POINTS + 1))
    assert plots["power"]["data"][0]["y"][0] == pytest.approx(406 / 1000)
    assert plots["trades"]["data"][0]["y"][0] == pytest.approx(0.04)
    assert plots["trades"]["data"][0]["width"] == 3600 * 1000


def test_the_page_says_how_long_a_step_is() -> None:
    assert "show each hour as one" in page(long(MOST_POINTS + 1))
    assert "show every 6 hours as one" in page(long(96 * 180))
    assert "kWh per 6 hours" in page(long(96 * 180))
    assert "show each day as one" in page(long(96 * 365))
    assert "as one: means" not in page(long(4))


@given(number=st.integers(1, 20_000), utc_offset_h=st.integers(-12, 14))
def test_nothing_is_lost(number: int, utc_offset_h: int) -> None:
    slot_by_slot = long(number, utc_offset_s=3600 * utc_offset_h)
    shown = drawn(slot_by_slot)
    assert shown.step_s in STEPS_S
    assert len(shown.slots) <= MOST_POINTS + 1
    assert len(shown.slots) == len(shown.community) == len(shown.traded) == len(shown.prices[0].tariff_micro)
    assert sum(row.pv_wh for row in shown.community) == sum(row.pv_wh for row in slot_by_slot.community)
    assert sum(row.local_micro for row in shown.traded) == 2_000 * number
    assert shown.community[-1].level_after_wh == number
