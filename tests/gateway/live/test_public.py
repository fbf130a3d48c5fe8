"""What anybody may see of a street: sums that hide each household, told once and never again otherwise."""

from __future__ import annotations

import json
from typing import Any

from tests.gateway.live.pages import GATEWAY, SLOT, page, party, pods
from wattmesh_common.pod_pages import HistoryRow, read_history
from wattmesh_gateway.live.public import LATE_S, LEAST_SUMMED, MOST_SLOTS, PublicSums
from wattmesh_gateway.live.street import Street

FIRST = SLOT - 100 * 900
ENOUGH = LEAST_SUMMED


def row(slot: int, households: int = ENOUGH, load_wh: int = 400, unbooked: int = 0) -> HistoryRow:
    return HistoryRow(slot, households, 100, load_wh, 300, 0, 0, 300, 100, 5_000, unbooked)


def told(sums: PublicSums) -> list[tuple[int, int, int]]:
    return [(one.slot, one.households, one.load_wh) for one in sums.rows]


def test_slots_are_summed_over_feeders() -> None:
    sums = PublicSums()
    assert sums.wants({"one": FIRST + 900}) == FIRST + 900
    sums.take([[row(FIRST, 3)], [row(FIRST, 2), row(FIRST + 900)]], FIRST + 900)
    assert told(sums) == [(FIRST, 5, 800)]


def test_of_fewer_households_than_five_nothing_is_told_also_later() -> None:
    sums = PublicSums()
    sums.take([[row(FIRST, ENOUGH - 1)]], FIRST + 900)
    assert told(sums) == []
    # One comes late with its reading: the sum of five is not told beside what was not told of four.
    sums.take([[row(FIRST, ENOUGH), row(FIRST + 900)]], FIRST + 1800)
    assert told(sums) == [(FIRST + 900, ENOUGH, 400)]


def test_a_slot_that_was_told_stays_as_it_is_so_nobodys_share_is_the_difference() -> None:
    sums = PublicSums()
    sums.take([[row(FIRST)]], FIRST + 900)
    sums.take([[row(FIRST, ENOUGH + 1, load_wh=1_234), row(FIRST + 900)]], FIRST + 1800)
    assert told(sums) == [(FIRST, ENOUGH, 400), (FIRST + 900, ENOUGH, 400)]
    assert sums.wants({"one": FIRST + 1800}) is None


def test_pods_are_waited_for_until_they_have_told_and_booked_but_not_for_ever() -> None:
    sums = PublicSums()
    assert sums.wants({}) is None
    assert sums.wants({"one": FIRST, "two": None}) is None
    assert sums.wants({"one": FIRST, "two": FIRST - 900}) == FIRST - 900
    assert sums.wants({"one": FIRST, "held": FIRST - LATE_S - 900}) == FIRST


def test_the_last_day_is_kept() -> None:
    sums = PublicSums()
    sums.take([[row(FIRST + 900 * number) for number in range(MOST_SLOTS + 7)]], FIRST + 900 * (MOST_SLOTS + 7))
    assert [one.slot for one in sums.rows[:: MOST_SLOTS - 1]] == [FIRST + 7 * 900, FIRST + 900 * (MOST_SLOTS + 6)]


# --- of a street ---

HOMES = [f"home-{number}.street" for number in range(ENOUGH)]


def street(*, until: int, **changes: Any) -> Street:
    """A street of two pods, five households and a utility, which have told their history until a slot."""
    made = Street(GATEWAY)
    made.enrol(pods(one=["utility.street", *HOMES[:2]], two=HOMES[2:]))
    sold = {"price_micro_per_kwh": 300_000, "slot": SLOT, "sold_wh": 4_321}
    made.learn("http://one", page(party("utility.street", kind="utility", **sold), *map(party, HOMES[:2])), 0.0)
    made.learn("http://two", page(*map(party, HOMES[2:])), 0.0)
    for pod, households in (("one", 2), ("two", 3)):
        tell(made, pod, row(FIRST, households), until=until, **changes)
    return made


def tell(made: Street, pod: str, *rows: HistoryRow, until: int, more: bool = False) -> None:
    made.wanted_history(f"http://{pod}")
    text = json.dumps({"until": until, "more": more, "feeders": {"main": rows}})
    made.learn_history(f"http://{pod}", read_history(text.encode()))


def test_a_street_in_public_is_numbers_and_utilities() -> None:
    seen = street(until=FIRST + 900).public(0.0)
    assert seen["households"] == ENOUGH
    assert [dict(zip(seen["columns"], one, strict=True))["load_wh"] for one in seen["rows"]] == [800]
    [utility] = seen["utilities"]
    assert (utility["name"], utility["price_micro_per_kwh"], "sold_wh" in utility) == ("utility", 300_000, False)
    assert "home-" not in json.dumps(seen)
    assert seen.keys() == {
        *("grid", "missed", "gateway", "slot_s", "households", "utilities", "least", "columns", "rows"),
    }


def test_who_comes_later_is_in_no_slot_that_was_told() -> None:
    made = street(until=FIRST + 900)
    before = made.public(0.0)["rows"]
    made.enrol(pods(one=["utility.street", *HOMES[:2]], two=HOMES[2:], three=["new.street"]))
    made.learn("http://three", page(party("new.street")), 0.0)
    for pod, households in (("one", 2), ("two", 3), ("three", 1)):
        tell(made, pod, row(FIRST, households, load_wh=999), row(FIRST + 900, households), until=FIRST + 1800)
    after = made.public(0.0)["rows"]
    assert after[:1] == before
    assert [one.households for one in after] == [ENOUGH, ENOUGH + 1]


def test_while_a_pod_has_not_told_all_nothing_new_is_told() -> None:
    assert street(until=FIRST + 900, more=True).public(0.0)["rows"] == []
