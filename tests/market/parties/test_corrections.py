"""Corrections of readings that were held: entries of their own, the same on both sides, no worse than the tariff."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.market.invariants import check_end, check_sums
from tests.market.parties.test_held import FLAT, INSTALLED_W, OUTLIER_WH, SLOT, SUPPLY, Metered, exported, imported
from tests.world.market import Member
from tests.world.parties import FEES, GRID
from wattmesh_market.energy.profiles import SlotProfile
from wattmesh_market.energy.slots import SLOT_S
from wattmesh_market.energy.tariff import Rates
from wattmesh_market.parties.books import Changes
from wattmesh_market.parties.restoring import Signed, is_news, take_over
from wattmesh_market.schedule import READ_WITHIN_S
from wattmesh_market.trade.ledger import EntryKind, HeldState, ReadingState
from wattmesh_market.trade.messages import (
    MOST_CORRECTIONS,
    Basis,
    Correction,
    HeldReading,
    PricedReading,
    ReportReading,
)
from wattmesh_market.trade.refusal import Refused
from wattmesh_market.units import amount_micro

MOST_WH = INSTALLED_W // 4
AT = SLOT + SLOT_S
"""The slot of the outlier, between two of 300 Wh."""
TARIFF = 370_001


class Corrected(Metered):
    """A flat whose meter has said 60 kWh for a slot, which is held."""

    def __init__(self, said: SlotProfile | None = None, *, sharing: bool = True) -> None:
        super().__init__({AT: said or imported(OUTLIER_WH)}, sharing=sharing)
        self.live(7)

    def go_on(self, slots: int) -> None:
        """Live on beyond the end."""
        for member in self.members.values():
            member.party.grid = member.party.grid._replace(end_s=None)
        self.live(slots)

    def act(self, member: Member, step: Callable[[], Refused | None]) -> Refused | None:
        """The utility's journal brings back what an old reading is about."""
        books, journal = member.books, member.journal
        if (AT, FLAT) in journal.reported and AT not in books.reported:
            books.report(journal.reported[AT, FLAT])
            books.hold(journal.held[AT, FLAT])
            books.know([one for one in journal.ledger if (one.slot, one.counterparty) == (AT, FLAT)], books.totals)
            books.changes = Changes()
        return super().act(member, step)

    def correct(self, net_wh: int) -> None:
        """A person corrects; Refused when that cannot be."""
        refused = self.act(self[GRID], lambda: self.grid_.correct(FLAT, AT, net_wh))
        if refused is not None:
            raise refused

    def entries(self, name: str) -> list[tuple[str, int, int]]:
        """What a party has booked for the slot: reference, energy, money."""
        found = [one for one in self[name].journal.ledger if one.slot == AT and one.kind is not EntryKind.GRID_FEE]
        return [(one.reference, one.energy_wh, one.amount_micro) for one in found]

    def check_both_sides(self, net_wh: int) -> None:
        """Both have booked the same entries, which come to what is billed now."""
        ours, theirs = self.entries(FLAT), self.entries(GRID)
        assert ours == [(reference, -wh, -micro) for reference, wh, micro in theirs]
        assert sum(wh for _, wh, _ in ours) == net_wh
        reading = self[FLAT].journal.readings[AT]
        assert (reading.state, reading.estimated_wh) == (ReadingState.BOOKED, net_wh)


def due_micro(net_wh: int) -> int:
    """What the household earns by a net import, by the tariff."""
    rates = Rates(FEES, 0)
    return -amount_micro(rates.all_in(AT), net_wh) if net_wh > 0 else amount_micro(rates.feed_in(AT), -net_wh)


@pytest.mark.parametrize("net_wh", [0, 250, -400, MOST_WH, -MOST_WH])
def test_a_held_reading_is_billed_by_what_it_should_have_been(net_wh: int) -> None:
    world = Corrected()
    world.correct(net_wh)
    world.carry()
    assert world.state(AT) == (ReadingState.BOOKED, HeldState.CORRECTED)
    world.check_both_sides(net_wh)
    assert world.entries(FLAT) == ([("supply", net_wh, due_micro(net_wh))] if net_wh else [])
    world.settle_down()
    check_end(world)


def test_of_an_estimate_the_difference_is_paid_back_by_an_entry_of_its_own() -> None:
    world = Corrected()
    world.decide(AT, accept=False)
    world.carry()
    before_micro = -amount_micro(TARIFF, 300)
    assert world.entries(FLAT) == [("supply", 300, before_micro)]
    world.correct(100)
    world.carry()
    back_micro = -(before_micro * 200 // 300)
    assert world.entries(FLAT) == [("supply", 300, before_micro), ("correction", -200, back_micro)]
    world.check_both_sides(100)
    assert world.state(AT) == (ReadingState.BOOKED, HeldState.CORRECTED)
    assert any("corrected the reading" in line.text for line in world[FLAT].lines)
    world.settle_down()
    check_end(world)


def test_what_was_billed_too_little_is_owed_by_the_tariff() -> None:
    world = Corrected()
    world.decide(AT, accept=False)
    world.correct(1000)
    world.carry()
    assert world.entries(FLAT)[1] == ("correction", 700, -(TARIFF * 700 // 1000))
    world.check_both_sides(1000)


def test_a_second_correction_has_a_place_of_its_own() -> None:
    world = Corrected()
    world.decide(AT, accept=False)
    for net_wh in (100, -50, 900):
        world.correct(net_wh)
        world.carry()
        world.check_both_sides(net_wh)
    assert [name for name, *_ in world.entries(FLAT)] == ["supply", "correction", "correction 2", "correction 3"]
    assert sum(micro for *_, micro in world.entries(FLAT)) >= due_micro(900)
    world.settle_down()
    check_end(world)


def test_the_same_again_changes_nothing() -> None:
    world = Corrected()
    world.correct(100)
    world.correct(100)
    assert world.entries(GRID) == [("supply", -100, -due_micro(100))]
    world.correct(50)
    entries = world.entries(GRID)
    world.correct(50)
    assert world.entries(GRID) == entries


def test_a_correction_is_refused_where_it_cannot_be_true_or_has_nothing_to_correct() -> None:
    world = Corrected()
    for net_wh in (MOST_WH + 1, -MOST_WH - 1):
        with pytest.raises(Refused, match=r"2\.001 kWh in a slot; what is installed moves 2\.000 kWh"):
            world.correct(net_wh)
    assert world.state(AT) == (ReadingState.HELD, HeldState.HELD)
    with pytest.raises(Refused, match="is not held, nor was it estimated"):
        world.grid_.correct(FLAT, SLOT, 100)
    world.decide(AT, accept=True)
    with pytest.raises(Refused, match="was accepted before"):
        world.correct(100)


def test_a_corrected_reading_is_neither_accepted_nor_estimated_any_more() -> None:
    world = Corrected()
    world.correct(100)
    for accept in (True, False):
        with pytest.raises(Refused, match="was corrected before"):
            world.decide(AT, accept=accept)


def test_corrections_of_a_reading_come_to_an_end() -> None:
    world = Corrected()
    for net_wh in range(MOST_CORRECTIONS + 1):
        world.correct(net_wh)
    world.carry()
    world.check_both_sides(MOST_CORRECTIONS)
    with pytest.raises(Refused, match="was corrected 10 times"):
        world.correct(100)


def test_what_was_billed_is_not_corrected_after_30_days_but_what_is_held_is_decided_whenever() -> None:
    world = Corrected()
    world.decide(AT, accept=False)
    world.now.grid_s = float(AT + READ_WITHIN_S + SLOT_S)
    world.now.slot = AT + READ_WITHIN_S + SLOT_S
    with pytest.raises(Refused, match="its slot is more than 30 days ago"):
        world.grid_.correct(FLAT, AT, 100)
    other = Corrected()
    other.now.grid_s, other.now.slot = world.now.grid_s, world.now.slot
    other.grid_.correct(FLAT, AT, 100)
    assert other[GRID].books.held[AT, FLAT].state is HeldState.CORRECTED


def test_days_later_the_household_still_knows_what_is_corrected() -> None:
    world = Corrected()
    world.decide(AT, accept=False)
    world.carry()
    world.go_on(3 * 96 + 3)
    assert SLOT not in world[FLAT].books.readings
    world.correct(100)
    world.carry()
    world.check_both_sides(100)
    check_sums(world)


@pytest.mark.parametrize("restarts", [True, False])
def test_a_correction_that_was_lost_is_asked_for_after_a_restart_or_a_day_later(restarts: bool) -> None:
    world = Corrected()
    world.decide(AT, accept=False)
    world.carry()
    world.correct(100)
    world.correct(60)
    for letter in world.sent(GRID, PricedReading):
        world.lose(letter)
    if restarts:
        world.restart(FLAT)
        world.live()
    else:
        world.go_on(80)
        assert len(world.entries(FLAT)) == 1
        world.go_on(15)
    world.check_both_sides(60)
    check_sums(world)


def test_an_answer_that_was_overtaken_changes_nothing() -> None:
    world = Corrected()
    world.decide(AT, accept=False)
    world.correct(100)
    world.correct(60)
    for letter in sorted(world.sent(GRID, PricedReading), key=lambda one: -len(priced(one.message).corrections)):
        world.deliver(letter)
    world.check_both_sides(60)


def priced(message: object) -> PricedReading:
    assert isinstance(message, PricedReading)
    return message


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"corrections": ()}, None),
        ({"corrections": (Correction(299, 0, 74_000),)}, "another bill of that slot is booked"),
        ({"corrections": (Correction(OUTLIER_WH + 1, 0, 74_000),)}, "a correction of what was not billed before"),
        ({"corrections": (Correction(300, 300, 74_000),)}, "a correction of what was not billed before"),
        ({"corrections": (Correction(300, 0, 73_999),)}, "but the tariff makes it"),
        ({"reading": ReportReading(SUPPLY, AT, MOST_WH + 1, 0, 0)}, "a correction to 2.001 kWh"),
        ({"by": Basis.ESTIMATE}, "another reading of that slot was reported"),
        ({"by": Basis.METER}, "another reading of that slot was reported"),
        ({"currency": "XXX"}, "priced in XXX"),
    ],
)
def test_no_field_of_a_correction_is_booked_unchecked(change: dict[str, Any], text: str | None) -> None:
    world = Corrected()
    world.decide(AT, accept=False)
    world.carry()
    before = world.entries(FLAT)
    world.correct(100)
    [letter] = world.sent(GRID, PricedReading)
    false = priced(letter.message)._replace(**change)
    world.lose(letter)
    if text is None:
        world.say(FLAT, GRID, false, letter.transaction_id)
    else:
        assert text in world.refusal(FLAT, GRID, false, letter.transaction_id).text
    assert world.entries(FLAT) == before


def test_a_true_reading_is_not_corrected() -> None:
    world = Metered({})
    world.live(6)
    transaction = world[GRID].journal.reported[SLOT, FLAT].transaction_id
    told = ReportReading(SUPPLY, SLOT, 100, 0, 0)
    false = PricedReading(
        SUPPLY, told, 111_001, 0, None, "EUR", corrections=(Correction(300, 0, 74_000),), by=Basis.CORRECTION
    )
    entries = [*world[FLAT].journal.ledger]
    world.say(FLAT, GRID, false, transaction)
    assert world[FLAT].journal.ledger == entries


def test_a_utility_that_has_lost_its_books_takes_over_what_it_held_billed_and_corrected() -> None:
    world = Corrected()
    signed: list[Signed] = []

    def keep() -> None:
        for one in world.under_way:
            if one.sender == GRID and one.to == FLAT and isinstance(one.message, PricedReading | HeldReading):
                signed.append(Signed(FLAT, one.transaction_id, len(signed), one.message))
        world.carry()

    held = world[GRID].journal.held[AT, FLAT]
    told = ReportReading(SUPPLY, AT, *held[3:6])
    signed.append(Signed(FLAT, held.transaction_id, 0, HeldReading(told)))
    world.decide(AT, accept=False)
    keep()
    for net_wh in (100, 60):
        world.correct(net_wh)
        keep()
    journal = world[GRID].journal
    entries, state = world.entries(GRID), journal.held[AT, FLAT]
    # The books are put back to before any of it.
    journal.ledger = [one for one in journal.ledger if one.slot != AT]
    del journal.held[AT, FLAT], journal.reported[AT, FLAT]
    world.restart(GRID)
    party = world[GRID].party
    assert all(is_news(party, one) for one in signed)
    assert world.act(world[GRID], lambda: take_over(party, signed)) is None
    assert world.entries(GRID) == entries
    assert journal.held[AT, FLAT] == state
    assert not any(is_news(party, one) for one in signed)
    world.correct(250)
    world.carry()
    world.check_both_sides(250)


def test_a_household_put_back_to_its_first_slot_meters_all_slots_since_then() -> None:
    world = Metered({})
    party = world[FLAT].party
    world.at(SLOT + 3 * SLOT_S)
    signed = Signed(GRID, "t-1", 0, ReportReading(SUPPLY, AT, 300, 0, 0))
    assert world.act(world[FLAT], lambda: take_over(party, [signed])) is None
    assert sorted(world[FLAT].journal.readings) == [SLOT, AT, AT + SLOT_S]
    assert world[FLAT].journal.standing.first_slot == SLOT


@pytest.mark.parametrize("seed", range(8))
def test_whatever_is_lost_or_comes_twice_both_sides_book_the_same_corrections(seed: int) -> None:
    chance = Random(seed)
    world = Corrected(exported(OUTLIER_WH) if seed % 2 else None, sharing=seed % 3 > 0)
    if chance.random() < 0.5:
        world.decide(AT, accept=False)
    billed_wh = 0
    for _ in range(10):
        world.live(1, chance, 4)
        if chance.random() < 0.6:
            with suppress(Refused):
                billed_wh = chance.randint(-MOST_WH, MOST_WH)
                world.correct(billed_wh)
        if chance.random() < 0.2:
            world.restart(chance.choice((FLAT, GRID)))
    world.correct(billed_wh)
    world.live(2)
    world.restart(FLAT)
    world.live(2)
    world.check_both_sides(billed_wh)
    world.settle_down()
    check_end(world)


@settings(max_examples=150, deadline=None)
@given(
    first=st.none() | st.booleans(),
    values=st.lists(st.integers(-MOST_WH, MOST_WH), min_size=1, max_size=MOST_CORRECTIONS),
    direction=st.sampled_from((imported, exported)),
)
def test_after_any_corrections_the_bill_is_the_last_ones_and_at_most_a_fraction_better(
    first: bool | None, values: list[int], direction: object
) -> None:
    world = Metered({AT: imported(OUTLIER_WH) if direction is imported else exported(OUTLIER_WH)})
    world.live(7)
    if first:
        world.decide(AT, accept=False)
    for net_wh in values:
        refused = world.act(world[GRID], lambda wh=net_wh: world.grid_.correct(FLAT, AT, wh))  # type: ignore[misc]
        assert refused is None
    world.carry()
    ours, theirs = world.booked(FLAT, GRID, AT), world.booked(GRID, FLAT, AT)
    assert ours == (-theirs[0], -theirs[1])
    assert ours[0] == values[-1]
    assert 0 <= ours[1] - due_micro(values[-1]) <= len(values) + 1
    assert world[FLAT].journal.readings[AT].state is ReadingState.BOOKED
