"""The street, merged from what its pods tell."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from tests.gateway.live.pages import (
    FLAT,
    GATEWAY,
    ROOF,
    SLOT,
    contract,
    message,
    page,
    party,
    pods,
    raw_page,
    story,
)
from wattmesh_common.pod_pages import LivePage, read_history, read_slot
from wattmesh_gateway.live import street as bounds
from wattmesh_gateway.live.roster import pods_of
from wattmesh_gateway.live.street import Street
from wattmesh_gateway.members import Member

NOW = 1_000.0
HOMES = pods(roof=[ROOF], flat=[FLAT])


def street() -> Street:
    made = Street(GATEWAY)
    made.enrol(HOMES)
    return made


def told(*pages: tuple[str, LivePage]) -> Street:
    made = street()
    for pod, one in pages:
        made.learn(f"http://{pod}", one, NOW)
    return made


def parties(of: Street) -> dict[str, Any]:
    return {one["subscriber_id"]: one for one in of.snapshot(NOW)["parties"]}


def test_households_of_one_pod_are_asked_at_one_place() -> None:
    urls = {"a": "http://pod:8080/a", "b": "http://pod:8080/b/", "c": "https://proxy/pods/7/c", "d": "http://alone"}
    found = pods_of(Member(name, url, "main") for name, url in urls.items())
    assert {pod: sorted(here) for pod, here in found.items()} == {
        "http://pod:8080": ["a", "b"],
        "https://proxy/pods/7": ["c"],
        "http://alone": ["d"],
    }


def test_who_is_registered_is_shown_before_its_pod_has_answered() -> None:
    roof = parties(street())[ROOF]
    assert (roof["name"], roof["reached"], roof["last_reading"]) == ("roof-0", False, None)


def test_a_pod_tells_of_those_who_are_registered_at_it_and_of_nobody_else() -> None:
    lies = page(
        party(ROOF, level_wh=7_000),
        party(FLAT, level_wh=1),
        party("stranger.street"),
        contracts=[contract("buyer", "CONFIRMED")],
        readings={FLAT: [[SLOT, 1, 1, 1, 1, 1, 1, 1]]},
        happenings=[message("select", FLAT, "other.street", 1), story(FLAT, "sells all", 1)],
    )
    made = told(("roof", lies))
    assert parties(made)[ROOF]["level_wh"] == 7_000
    assert not parties(made)[FLAT]["reached"]
    assert parties(made).keys() == {ROOF, FLAT}
    snapshot = made.snapshot(NOW)
    assert (snapshot["contracts"], snapshot["trades"]) == ([], [])
    assert made.household(FLAT) == {**parties(made)[FLAT], "readings": []}


def test_the_registry_says_where_somebody_lives_not_its_pod() -> None:
    made = told(("roof", page(party(ROOF, feeder="elsewhere"))))
    assert parties(made)[ROOF]["feeder"] == "main"


def test_a_contract_is_one_whoever_tells_of_it_and_as_far_as_the_further_side() -> None:
    made = told(("flat", page(party(FLAT), contracts=[contract("buyer", "AGREED", in_doubt=True)])))
    [one] = made.snapshot(NOW)["contracts"]
    assert (one["buyer"], one["seller"], one["state"], one["in_doubt"]) == (FLAT, ROOF, "AGREED", True)
    made.learn("http://roof", page(party(ROOF), contracts=[contract("seller", "CONFIRMED")]), NOW)
    [one] = made.snapshot(NOW)["contracts"]
    assert (one["buyer"], one["seller"], one["state"]) == (FLAT, ROOF, "CONFIRMED")


def test_changes_are_told_once() -> None:
    made = told(("roof", page(party(ROOF), contracts=[contract("seller", "QUOTED")])))
    first = made.changes(NOW)
    assert first is not None
    assert [one["subscriber_id"] for one in first["parties"]] == [FLAT, ROOF]
    assert [one["state"] for one in first["contracts"]] == ["QUOTED"]
    made.learn("http://roof", page(party(ROOF), contracts=[contract("seller", "QUOTED")]), NOW)
    assert made.changes(NOW) is None
    made.learn("http://roof", page(party(ROOF, level_wh=1), contracts=[contract("seller", "QUOTED")]), NOW)
    second = made.changes(NOW)
    assert second is not None
    assert ([one["level_wh"] for one in second["parties"]], second["contracts"]) == ([1], [])


def test_a_pod_that_is_lost_and_a_household_that_left_are_told() -> None:
    made = told(("roof", page(party(ROOF))))
    made.changes(NOW)
    made.lost("http://roof")
    lost = made.changes(NOW)
    assert lost is not None
    assert [(one["reached"], one["level_wh"]) for one in lost["parties"]] == [(False, 8_000)], "what it said last stays"
    made.enrol(pods(flat=[FLAT]))
    gone = made.changes(NOW)
    assert gone is not None
    assert gone["gone"] == [ROOF]
    assert parties(made).keys() == {FLAT}


def test_a_pod_is_asked_for_what_is_new_and_for_all_after_its_restart() -> None:
    made = street()
    assert made.wanted("http://roof") == (0, 0)
    rows = {ROOF: [[SLOT - 900, 1, 1, 1, 1, 1, 1, 1]]}
    made.learn("http://roof", page(party(ROOF), number=7, readings=rows), NOW)
    assert made.wanted("http://roof") == (7, SLOT - 4 * 900), "the newest readings may still change"
    made.learn("http://roof", page(party(ROOF), boot="second", number=3), NOW)
    assert made.wanted("http://roof")[0] == 0
    made.learn("http://roof", page(party(ROOF), boot="second", number=5), NOW)
    assert made.wanted("http://roof")[0] == 5


def test_grid_time_goes_on_between_pages_and_stands_when_nobody_tells_it() -> None:
    made = told(("roof", page(party(ROOF))))
    grid = {"speed": 60.0, "utc_offset_s": 7200}
    assert made.snapshot(NOW + 2)["grid"] == {"now_s": SLOT + 180.0, **grid, "running": True}
    later = made.snapshot(NOW + bounds.HEARD_S + 1)["grid"]
    assert later == {"now_s": SLOT + 60.0, **grid, "running": False}, "when it was heard last"


def test_whether_a_purchase_is_open_is_its_buyers_to_say() -> None:
    search = page(party(FLAT), happenings=[message("search", FLAT, GATEWAY, 1)], open_purchases=["t"])
    made = told(("flat", search))
    assert [one["open"] for one in made.snapshot(NOW)["trades"]] == [True]
    made.changes(NOW)
    made.learn("http://flat", page(party(FLAT), open_purchases=[]), NOW)
    changed = made.changes(NOW)
    assert changed is not None
    assert [one["open"] for one in changed["trades"]] == [False]
    made.lost("http://flat")
    assert [one["open"] for one in made.snapshot(NOW)["trades"]] == [None], "nobody says it any more"
    made.learn("http://flat", page(party(FLAT)), NOW)
    assert [one["open"] for one in made.snapshot(NOW)["trades"]] == [None], "an older pod does not say it"


def test_a_trade_has_its_sellers_by_whom_confirm_was_sent_to() -> None:
    log = [message("search", FLAT, GATEWAY, 1), message("select", FLAT, "other.street", 2)]
    made = told(("flat", page(party(FLAT), happenings=[*log, message("confirm", FLAT, ROOF, 3)])))
    assert [one["sellers"] for one in made.snapshot(NOW)["trades"]] == [[ROOF]]


def test_a_contract_whose_messages_are_forgotten_is_shown_with_its_terms() -> None:
    made = told(("flat", page(party(FLAT), contracts=[contract("buyer", "SETTLED")])))
    trade = made.trade("t")
    assert trade is not None
    assert (trade["buyer"], trade["log"], [one["seller"] for one in trade["contracts"]]) == (FLAT, [], [ROOF])


def test_missed_trades_of_all_pods_are_counted() -> None:
    made = told(("roof", page(party(ROOF), missed_gates=2)), ("flat", page(party(FLAT), missed_gates=1)))
    assert made.snapshot(NOW)["missed"] == 3
    made.changes(NOW)
    made.learn("http://flat", page(party(FLAT), missed_gates=2), NOW)
    changed = made.changes(NOW)
    assert changed is not None
    assert changed["missed"] == 4


def test_each_feeder_has_its_newest_trades(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "MOST_SHOWN", 1)
    homes = {
        "http://one": {FLAT: Member(FLAT, "http://one/f", "a")},
        "http://two": {ROOF: Member(ROOF, "http://two/r", "b")},
    }
    made = Street(GATEWAY)
    made.enrol(homes)
    busy = [message("search", FLAT, GATEWAY, number, transaction_id=str(number)) for number in range(3)]
    made.learn(
        "http://two", page(party(ROOF), happenings=[message("search", ROOF, GATEWAY, 0, transaction_id="old")]), NOW
    )
    made.learn("http://one", page(party(FLAT), happenings=busy), NOW)
    assert [one["transaction_id"] for one in made.snapshot(NOW)["trades"]] == ["old", "2"]


def day(made: Street) -> dict[str, Any] | None:
    found: dict[str, Any] | None = made.snapshot(NOW)["feeders"]["main"]
    return found


def test_a_day_says_who_is_not_in_it() -> None:
    made = told(("roof", page(party(ROOF))), ("flat", page(party(FLAT))))
    assert day(made) is None
    sums = read_history(
        json.dumps(
            {"until": SLOT + 900, "more": False, "feeders": {"main": [[SLOT, 1, 0, 100, 100, 0, 0, 100, 0, 0, 0]]}}
        ).encode()
    )
    for pod, untold in (("roof", 1), ("flat", 0)):
        made.wanted_history(f"http://{pod}")
        made.learn_history(f"http://{pod}", sums)
        today = day(made)
        assert today is not None
        assert today["untold"] == untold
    made.lost("http://roof")
    changed = made.changes(NOW)
    assert changed is not None
    assert changed["feeders"]["main"]["untold"] == 1
    assert made.enrol(pods(roof=[ROOF, FLAT])), "flat has moved"
    assert day(made) is None, "its part of the sums is not known any more"


def test_a_slot_of_the_past_is_merged_from_its_pods_as_far_as_they_are_believed() -> None:
    made = street()
    reading = [SLOT, 5_000, 0, 100, 0, 0, 100, 0]
    flat = {"readings": {FLAT: reading, ROOF: reading}, "contracts": [contract("buyer", "SETTLED")]}
    past = made.past("main", {"http://flat": read_slot(json.dumps(flat).encode())})
    assert past["readings"].keys() == {FLAT}
    assert [(one["buyer"], one["seller"]) for one in past["contracts"]] == [(FLAT, ROOF)]
    assert past["unreached"] == [ROOF]


def test_readings_are_kept_for_a_day_and_later_word_replaces_earlier() -> None:
    rows = [[SLOT + 900 * i, i, 0, 0, 0, 0, 0, 0] for i in range(100)]
    made = told(("roof", page(party(ROOF), readings={ROOF: rows})))
    made.learn("http://roof", page(party(ROOF), readings={ROOF: [[SLOT + 900 * 99, 7, 0, 0, 0, 0, 0, 0]]}), NOW)
    household = made.household(ROOF)
    assert household is not None
    assert len(household["readings"]) == bounds.MOST_READINGS
    assert household["readings"][-1][1] == household["last_reading"][1] == 7


def test_what_is_oldest_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "MOST_TRADES", 3)
    monkeypatch.setattr(bounds, "MOST_CONTRACTS", 2)
    names = ["a", "b", "c", "d", "e"]
    searches = [message("search", FLAT, GATEWAY, i, transaction_id=name) for i, name in enumerate(names)]
    signed = [contract("buyer", "CONFIRMED", transaction_id=name) for name in names]
    made = told(("flat", page(party(FLAT), happenings=searches, contracts=signed)))
    snapshot = made.snapshot(NOW)
    assert [one["transaction_id"] for one in snapshot["trades"]] == ["c", "d", "e"]
    assert [one["transaction_id"] for one in snapshot["contracts"]] == ["d", "e"]
    assert made.trade("a") is None


def test_all_trades_together_have_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "MOST_LINES", 10)
    lines = [story(FLAT, str(i), i, transaction_id=str(i // 4)) for i in range(40)]
    made = told(("flat", page(party(FLAT), happenings=lines)))
    assert [one["transaction_id"] for one in made.snapshot(NOW)["trades"]] == ["8", "9"]


def test_contracts_of_long_ago_go_with_their_trades() -> None:
    made = told(("flat", page(party(FLAT), contracts=[contract("buyer", "SETTLED", slot=SLOT - 10 * 900)])))
    assert made.snapshot(NOW)["contracts"] == []


def test_meter_readings_are_no_trades() -> None:
    made = told(("flat", page(party(FLAT), happenings=[message("update", FLAT, "utility.street", 1)])))
    assert made.snapshot(NOW)["trades"] == []


@pytest.mark.parametrize(
    "changes",
    [
        {"boot": "x" * 65},
        {"number": -1},
        {"grid": {"now_s": float("1e300"), "speed": 1.0, "utc_offset_s": 0}},
        {"grid": {"now_s": 1.0, "speed": 0.0, "utc_offset_s": 0}},
        {"parties": [party("x" * 254)]},
        {"parties": [party(ROOF, level_wh=2**53)]},
        {"parties": [party(ROOF, role="king")]},
        {"contracts": [contract("buyer", "BROKEN")]},
        {"happenings": [story(ROOF, "x" * 501, 1)]},
        {"happenings": [story(ROOF, "x", 1)] * 2001},
        {"readings": {ROOF: [[1, 2]]}},
    ],
)
def test_a_page_out_of_bounds_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        page(**changes)
    assert raw_page()
