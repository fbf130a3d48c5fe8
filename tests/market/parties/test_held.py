"""Readings that are held for a person: which, until when, and what is booked of them on both sides."""

from __future__ import annotations

from contextlib import suppress
from random import Random

import pytest

from tests.market.invariants import check_end, check_sums
from tests.world.market import World
from tests.world.parties import FEES, FIRST_SLOT, GRID, Weather, battery, household, utility
from wattmesh_market.energy.profiles import Load, Pv, SlotProfile
from wattmesh_market.energy.slots import DAY_S, SLOT_S
from wattmesh_market.mechanisms.sharing import Sharing
from wattmesh_market.parties.config import installed_w
from wattmesh_market.parties.utility import Utility
from wattmesh_market.trade.ledger import HeldState, ReadingState, Reported, ReportState
from wattmesh_market.trade.messages import Basis, HeldReading, PricedReading, ReportReading
from wattmesh_market.trade.refusal import Refused

FLAT = "flat-0.default"
SLOT = FIRST_SLOT
INSTALLED_W = 8_000
OUTLIER_WH = 60_000
SUPPLY = f"supply-{FLAT}"


class Metered(World):
    """A flat that imports 300 Wh in a slot, and what its meter says besides. It may move 2 kWh in a slot, and its
    connection carries 75 kWh; nobody trades.
    """

    def __init__(
        self, said: dict[int, SlotProfile], *, sharing: bool = True, connection_w: int = 300_000, usual_wh: int = 300
    ) -> None:
        rule = Sharing() if sharing else None
        connections, installed = (("flat", connection_w),), (("flat", INSTALLED_W),)
        super().__init__(
            household("flat-0", shares=sharing, tariff=FEES, pv=(Pv(INSTALLED_W, 48.1, 11.5, 30, 180),)),
            utility(sharing=rule, tariff=FEES, connections=connections, installed=installed),
            weather={FLAT: Weather(0, usual_wh, said)},
        )
        self[FLAT].party.draining = True

    @property
    def grid_(self) -> Utility:
        party = self[GRID].party
        assert isinstance(party, Utility)
        return party

    def state(self, slot: int = SLOT) -> tuple[ReadingState, HeldState | None]:
        """How a slot's reading stands at the household, and at the utility."""
        held = self[GRID].journal.held.get((slot, FLAT))
        return self[FLAT].journal.readings[slot].state, None if held is None else held.state

    def decide(self, *slots: int, accept: bool) -> list[Reported]:
        """A person decides; Refused when that cannot be."""
        found: list[Reported] = []
        refused = self.act(self[GRID], lambda: found.extend(self.grid_.decide_held(FLAT, slots, accept=accept)))
        if refused is not None:
            raise refused
        return found

    def booked(self, name: str, other: str, slot: int = SLOT) -> tuple[int, int]:
        """Energy and money that a party has booked for a slot with another."""
        entries = [one for one in self[name].journal.ledger if (one.slot, one.counterparty) == (slot, other)]
        return sum(one.energy_wh for one in entries), sum(one.amount_micro for one in entries)


def imported(wh: int) -> SlotProfile:
    return SlotProfile(0, wh)


def exported(wh: int) -> SlotProfile:
    return SlotProfile(wh, 0)


@pytest.mark.parametrize("sharing", [True, False])
@pytest.mark.parametrize("said", [imported(OUTLIER_WH), exported(OUTLIER_WH)])
def test_what_nothing_installed_can_move_is_held_and_not_booked(said: SlotProfile, sharing: bool) -> None:
    world = Metered({SLOT: said}, sharing=sharing)
    world.live(6)
    assert world.state() == (ReadingState.HELD, HeldState.HELD)
    assert world.booked(FLAT, GRID) == world.booked(GRID, FLAT) == (0, 0)
    assert (SLOT, FLAT) not in world[GRID].journal.reported
    assert SLOT not in world[GRID].books.net_import_wh, "60 kWh left the utility nothing to sell"
    assert SLOT not in world[FLAT].books.unpriced
    # All others are booked as ever.
    assert world.state(SLOT + SLOT_S) == (ReadingState.BOOKED, None)
    world.settle_down()
    # A street may end without the person; an account is not closed without.
    assert world[FLAT].party.settled()
    assert world[FLAT].party.left_unpriced() == 1
    check_sums(world)


def test_just_what_is_installed_is_not_held() -> None:
    world = Metered({SLOT: imported(INSTALLED_W // 4), SLOT + SLOT_S: imported(INSTALLED_W // 4 + 1)})
    world.live(6)
    assert world.state() == (ReadingState.BOOKED, None)
    assert world.state(SLOT + SLOT_S) == (ReadingState.HELD, HeldState.HELD)


def test_an_accepted_reading_is_booked_as_it_was_told_and_unshared() -> None:
    world = Metered({SLOT: imported(OUTLIER_WH)})
    world.live(6)
    [billed] = world.decide(SLOT, accept=True)
    assert (billed.net_wh, billed.state) == (OUTLIER_WH, ReportState.ALONE)
    world.carry()
    assert world.state() == (ReadingState.BOOKED, HeldState.ACCEPTED)
    price_micro = OUTLIER_WH * 370_001 // 1000
    assert world.booked(FLAT, GRID) == (OUTLIER_WH, -price_micro)
    assert world.booked(GRID, FLAT) == (-OUTLIER_WH, price_micro)
    world.settle_down()
    check_end(world)


def test_an_estimate_is_the_mean_of_the_same_slot_on_three_days_before() -> None:
    slot = SLOT + 3 * DAY_S
    said = {SLOT + day * DAY_S: imported(wh) for day, wh in enumerate((200, 500, 404))}
    world = Metered(said | {slot: imported(OUTLIER_WH)})
    for member in world.members.values():
        member.party.grid = member.party.grid._replace(end_s=None)
    for _ in range(3 * 96 + 6):
        world.live()
    books = world[GRID].books
    for day in range(2):  # as the journal brings it back
        books.report(world[GRID].journal.reported[SLOT + day * DAY_S, FLAT])
    [billed] = world.decide(slot, accept=False)
    assert billed.net_wh == 368
    world.carry()
    assert world.state(slot) == (ReadingState.BOOKED, HeldState.ESTIMATED)
    reading = world[FLAT].journal.readings[slot]
    assert (reading.metered.imported_wh, reading.estimated_wh) == (OUTLIER_WH, 368)
    assert world.booked(FLAT, GRID, slot)[0] == 368
    check_sums(world)


def test_without_a_day_before_it_is_the_mean_of_the_slots_beside_it() -> None:
    world = Metered({SLOT: imported(200), SLOT + SLOT_S: imported(OUTLIER_WH), SLOT + 2 * SLOT_S: imported(300)})
    world.live(7)
    [billed] = world.decide(SLOT + SLOT_S, accept=False)
    assert billed.net_wh == 250


def test_without_anything_to_estimate_from_it_stays_held() -> None:
    world = Metered({SLOT + at * SLOT_S: imported(OUTLIER_WH) for at in range(3)})
    world.live(7)
    with pytest.raises(Refused, match="cannot be estimated: there is none of the 3 days before, and none beside it"):
        world.decide(SLOT, accept=False)
    assert world.state() == (ReadingState.HELD, HeldState.HELD)


def test_an_estimate_has_the_direction_of_what_was_told_and_is_no_more() -> None:
    world = Metered({SLOT + SLOT_S: exported(OUTLIER_WH)})
    world.live(7)
    [billed] = world.decide(SLOT + SLOT_S, accept=False)
    assert billed.net_wh == 0
    world.carry()
    assert world.booked(FLAT, GRID, SLOT + SLOT_S) == (0, 0)
    assert world[FLAT].journal.readings[SLOT + SLOT_S].estimated_wh == 0
    world.settle_down()
    check_end(world)


def test_beyond_the_connection_it_is_refused_and_held_when_it_is_said_again_after_the_closing() -> None:
    world = Metered({SLOT: imported(OUTLIER_WH)}, connection_w=30_000)
    world.live(2)
    assert world.state() == (ReadingState.FINAL, None)
    world.live(4)
    assert world.state() == (ReadingState.HELD, HeldState.HELD)
    with pytest.raises(Refused, match="is not held"):
        world.decide(SLOT + SLOT_S, accept=True)


def test_a_decision_is_made_once_and_all_or_none() -> None:
    world = Metered({SLOT + SLOT_S: imported(OUTLIER_WH)})
    world.live(7)
    slot = SLOT + SLOT_S
    with pytest.raises(Refused, match="is not held"):
        world.decide(slot, SLOT, accept=True)
    assert world.state(slot) == (ReadingState.HELD, HeldState.HELD)
    first = world.decide(slot, accept=False)
    ledger = [*world[GRID].journal.ledger]
    assert world.decide(slot, accept=False) == first
    assert world[GRID].journal.ledger == ledger
    with pytest.raises(Refused, match="was estimated before"):
        world.decide(slot, accept=True)


def test_who_says_another_thing_before_a_person_has_decided_is_billed_by_that() -> None:
    world = Metered({SLOT: imported(OUTLIER_WH)})
    world.live(6)
    told = ReportReading(SUPPLY, SLOT, 310, 0, 0)
    transaction = world[GRID].journal.held[SLOT, FLAT].transaction_id
    answer = world.say(GRID, FLAT, told, transaction)
    assert isinstance(answer, PricedReading)
    assert answer.reading == told
    assert world.state() == (ReadingState.HELD, HeldState.REPLACED)
    with pytest.raises(Refused, match="is not held"):
        world.decide(SLOT, accept=True)


@pytest.mark.parametrize("restarts", [True, False])
def test_a_decision_that_was_lost_is_asked_for_after_a_restart_or_a_day_later(restarts: bool) -> None:
    world = Metered({SLOT + SLOT_S: imported(OUTLIER_WH)})
    for member in world.members.values():
        member.party.grid = member.party.grid._replace(end_s=None)
    world.live(7)
    world.decide(SLOT + SLOT_S, accept=False)
    [letter] = world.sent(GRID, PricedReading)
    world.lose(letter)
    if restarts:
        world.restart(FLAT)
    else:
        world.live(80)
        assert world.state(SLOT + SLOT_S) == (ReadingState.HELD, HeldState.ESTIMATED)
        world.live(14)
    world.live()
    assert world.state(SLOT + SLOT_S) == (ReadingState.BOOKED, HeldState.ESTIMATED)
    check_sums(world)


def test_what_is_held_is_judged_anew_by_what_is_installed_since() -> None:
    world = Metered({SLOT: imported(OUTLIER_WH)})
    world.live(6)
    world.grid_.know_installed((("flat", 4 * OUTLIER_WH),))
    world.restart(FLAT)
    world.live()
    assert world.state() == (ReadingState.BOOKED, HeldState.REPLACED)
    assert world.booked(FLAT, GRID)[0] == OUTLIER_WH


def test_a_provisional_outlier_is_neither_booked_nor_held() -> None:
    world = Metered({})
    world.begin_slot()
    assert world.say(GRID, FLAT, ReportReading(SUPPLY, SLOT, OUTLIER_WH, 0, 0, provisional=True)) is None
    assert world[GRID].journal.held == {}
    assert isinstance(world.say(GRID, FLAT, ReportReading(SUPPLY, SLOT, OUTLIER_WH, 0, 0)), HeldReading)


def test_no_last_word_makes_an_outlier_of_what_was_billed() -> None:
    world = Metered({})
    world.begin_slot()
    assert world.say(GRID, FLAT, ReportReading(SUPPLY, SLOT, 300, 0, 0, provisional=True)) is None
    with pytest.raises(Refused, match=r"60\.000 kWh in a slot; what is installed moves 2\.000 kWh"):
        world.say(GRID, FLAT, ReportReading(SUPPLY, SLOT, OUTLIER_WH, 0, 0))


@pytest.mark.parametrize(
    ("metered_wh", "estimate", "text"),
    [
        (300, (200, 0), "that reading can be true"),
        (OUTLIER_WH, (OUTLIER_WH + 1, 0), "an estimate of more than was reported"),
        (OUTLIER_WH, (0, 1), "an estimate of more than was reported"),
    ],
)
def test_a_household_books_no_estimate_of_a_true_reading_nor_one_of_more(
    metered_wh: int, estimate: tuple[int, int], text: str
) -> None:
    config = household("flat-0", tariff=FEES, load=Load(20_000_000))
    world = World(config, utility(tariff=FEES), weather={FLAT: Weather(0, metered_wh)})
    world[FLAT].party.draining = True
    world.begin_slot()
    world.at(world.now.slot + SLOT_S / 2)
    world.ring_due()
    [letter] = world.sent(FLAT, ReportReading)
    priced = PricedReading(SUPPLY, ReportReading(SUPPLY, SLOT, *estimate, 0), 0, 0, None, "EUR", by=Basis.ESTIMATE)
    assert text in world.refusal(FLAT, GRID, priced, letter.transaction_id).text
    assert world[FLAT].journal.readings[SLOT].state is ReadingState.FINAL


@pytest.mark.parametrize("seed", range(6))
def test_whatever_is_lost_or_comes_twice_both_sides_book_the_same_once(seed: int) -> None:
    chance = Random(seed)
    outliers = {SLOT + at * SLOT_S: imported(OUTLIER_WH + at) for at in chance.sample(range(1, 12), 4)}
    outliers |= {SLOT + 13 * SLOT_S: exported(9_000)}
    world = Metered(outliers, usual_wh=1 + seed)
    undecided = set(outliers)
    for _ in range(20):
        world.live(1, chance, 4)
        for slot in sorted(undecided):
            if world[GRID].journal.held.get((slot, FLAT)) is not None and chance.randrange(3) == 0:
                with suppress(Refused):  # there may be nothing to estimate from
                    world.decide(slot, accept=chance.random() < 0.3)
                    undecided.remove(slot)
        if chance.randrange(6) == 0:
            world.restart(chance.choice((FLAT, GRID)))
    world.live(5)
    for slot in sorted(undecided):
        world.decide(slot, accept=True)
    world.restart(FLAT)
    world.settle_down()
    check_end(world)
    for slot in outliers:
        assert world.state(slot)[0] is ReadingState.BOOKED
        ours, theirs = world.booked(FLAT, GRID, slot), world.booked(GRID, FLAT, slot)
        assert ours == (-theirs[0], -theirs[1])


def test_no_device_moves_more_than_what_is_installed() -> None:
    assert installed_w((), None, None) == 0
    assert installed_w((Pv(10_000, 48.1, 11.5, 30, 180),), None, None) == 10_000
    east, west = (Pv(4000, 48.1, 11.5, 30, azimuth) for azimuth in (90, 270))
    assert installed_w((east, west), None, None) == 8000
    assert installed_w((), None, battery(charge_power_w=1900, discharge_power_w=3000)) == 5001  # 95 % are stored
