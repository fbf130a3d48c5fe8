"""The street's last days, summed from what its pods' books say."""

from __future__ import annotations

from wattmesh_common.pod_pages import MOST_HISTORY_SLOTS, HistoryPage, HistoryRow
from wattmesh_gateway.live.history import KEPT_S, History
from wattmesh_market.energy.slots import DAY_S, SLOT_S

NIGHT = 20_000 * DAY_S
"""Midnight, UTC."""
MAIN = frozenset({"main"})


def row(number: int, **values: int) -> HistoryRow:
    """The row of a slot after midnight: a household that uses 100 Wh, all from its utility."""
    used = {"households": 1, "pv_wh": 0, "load_wh": 100, "net_wh": 100, "level_before_wh": 0, "level_after_wh": 0}
    booked = {"taken_wh": 100, "local_wh": 0, "saved_micro": 0, "unbooked": 0}
    return HistoryRow(NIGHT + number * SLOT_S, **{**used, **booked, **values})


def page(*rows: HistoryRow, feeder: str = "main", more: bool = False) -> HistoryPage:
    return HistoryPage(until=rows[-1].slot + SLOT_S, more=more, feeders={feeder: rows})


def learned(**pages: HistoryPage) -> History:
    history = History()
    for pod, one in pages.items():
        history.wanted(pod, NIGHT)
        history.learn(pod, one, MAIN)
    return history


def test_pods_are_summed_slot_by_slot() -> None:
    history = learned(one=page(row(0), row(1)), two=page(row(0, load_wh=50), row(1)))
    assert [(one.slot, one.households, one.load_wh) for one in history.rows("main")] == [
        (NIGHT, 2, 150),
        (NIGHT + SLOT_S, 2, 200),
    ]


def test_what_is_not_booked_is_asked_for_again_and_counted_once() -> None:
    history = learned(one=page(row(0), row(1, unbooked=1), row(2)))
    assert history.wanted("one", NIGHT) == NIGHT + SLOT_S
    assert [one.unbooked for one in history.rows("main")] == [0, 1, 0]
    history.learn("one", page(row(1, saved_micro=7), row(2)), MAIN)
    assert [(one.households, one.saved_micro) for one in history.rows("main")] == [(1, 0), (1, 7), (1, 0)]
    assert history.wanted("one", NIGHT) == NIGHT + 3 * SLOT_S


def test_a_slot_that_is_told_twice_is_counted_once() -> None:
    history = learned(one=page(row(0)))
    history.learn("one", page(row(0), row(1)), MAIN)
    assert [one.households for one in history.rows("main")] == [1, 1]


def test_a_pod_is_believed_about_its_own_feeders_only() -> None:
    history = learned(one=page(row(0), feeder="elsewhere"))
    assert history.rows("elsewhere") == []


def test_a_week_is_kept() -> None:
    history, slots = History(), KEPT_S // SLOT_S
    now_s = NIGHT + 2 * KEPT_S
    assert history.wanted("one", now_s) == now_s - KEPT_S, "older slots are not asked for"
    for first in range(slots, 2 * slots + 10, MOST_HISTORY_SLOTS):
        history.wanted("one", now_s)
        history.learn("one", page(*(row(first + number) for number in range(MOST_HISTORY_SLOTS))), MAIN)
    assert len(history.rows("main")) == slots


def test_a_pod_has_told_all_once_it_has_no_more() -> None:
    history = History()
    assert not history.told("one")
    history.wanted("one", NIGHT)
    assert history.learn("one", page(*(row(number) for number in range(5)), more=True), MAIN)
    assert not history.told("one")
    assert not history.learn("one", page(row(5)), MAIN)
    assert history.told("one")


def test_today_begins_at_local_midnight() -> None:
    history = learned(one=page(*(row(number) for number in range(-8, 5))))
    today = history.today("main", 0)
    assert today is not None
    assert (today["since"], today["until"], today["load_wh"]) == (NIGHT, NIGHT + 5 * SLOT_S, 500)
    in_summer = history.today("main", 3600)
    assert in_summer is not None
    assert (in_summer["since"], in_summer["load_wh"]) == (NIGHT - 3600, 900)
    assert history.today("nowhere", 0) is None


def test_own_pv_counts_when_it_is_used_also_out_of_the_battery() -> None:
    charged = row(0, pv_wh=1100, net_wh=0, level_after_wh=1000, taken_wh=0)
    bought = row(1, load_wh=0, net_wh=1000, level_before_wh=1000, level_after_wh=2000, taken_wh=1000, local_wh=400)
    drawn = row(2, load_wh=600, net_wh=0, level_before_wh=2000, level_after_wh=1400, taken_wh=0)
    today = learned(one=page(charged, bought, drawn)).today("main", 0)
    assert today is not None
    # 100 at once; of the 600 that were drawn half, as half of the store was the roof's.
    assert (today["used_pv_wh"], today["load_wh"]) == (100 + 300, 700)
    assert (today["local_wh"], today["taken_wh"]) == (400, 1000)
