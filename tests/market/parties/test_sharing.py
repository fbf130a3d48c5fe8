"""Sharing between a utility and its households: when what is reported is priced, and what messages may meet with."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from tests.market.invariants import billed, check_end
from tests.world.market import Letter, World, street
from tests.world.parties import FEES, FIRST_SLOT, GRID, NEXT, TARIFF, Weather, household, utility
from wattmesh_market.energy.slots import SLOT_S
from wattmesh_market.mechanisms.sharing import Sharing
from wattmesh_market.parties.books import AlarmKind
from wattmesh_market.parties.events import Unanswered
from wattmesh_market.parties.utility import Utility
from wattmesh_market.schedule import BILLED_EVERY_S, billed_s
from wattmesh_market.trade.contracts import Contract, ContractState, Delivery, Side
from wattmesh_market.trade.ledger import Closing, EntryKind, ReadingState, ReportState
from wattmesh_market.trade.messages import (
    Bills,
    Call,
    DeliveryStatus,
    Line,
    PricedReading,
    Readings,
    ReportReading,
    SharedPart,
    Status,
    Terms,
)
from wattmesh_market.trade.refusal import About, Reason

SUN, FLAT, LOFT = "sun-0.default", "flat-0.default", "loft-0.default"
SLOT = FIRST_SLOT
CLOSED = SLOT + 3 * SLOT_S
BILLED = CLOSED + 3 * SLOT_S
"""When the last slot of its hour is closed."""
MID = 190_000


class Neighbours(World):
    """A roof that exports 400 Wh in each slot, a flat that imports 300 Wh, a loft that imports 500 Wh; no battery."""

    def __init__(self, sharing: Sharing | None = Sharing(), **more: Any) -> None:  # noqa: B008 - frozen
        super().__init__(
            *(
                household(f"{name}-0", shares=sharing is not None, sell_percent=0, **more)
                for name in ("sun", "flat", "loft")
            ),
            utility(sharing=sharing, **more),
            weather={SUN: Weather(600, 200), FLAT: Weather(0, 300), LOFT: Weather(0, 500)},
        )
        for name in (SUN, FLAT, LOFT):
            self[name].party.draining = True  # nobody trades: all is left to the utility

    def report(self, name: str, slot: int = SLOT) -> Letter:
        """What a household tells the utility of a slot, at its moment."""
        self.at(max(self.now.grid_s, self[name].alarms[self.alarm_of(name, AlarmKind.REPORT, slot)]))
        self.ring(self[name], self.alarm_of(name, AlarmKind.REPORT, slot))
        [letter] = [one for one in self.sent(name, ReportReading) if reading(one).slot == slot]
        return letter

    def reported(self) -> dict[str, Letter]:
        """All households have told of the first slot, in time."""
        self.begin_slot()
        letters = {name: self.report(name) for name in (SUN, FLAT, LOFT)}
        for letter in letters.values():
            self.deliver(letter)
        return letters

    def close(self) -> dict[str, PricedReading]:
        """The utility notices that the slot's closing is due, and then that its bills are; what it tells."""
        for moment in (CLOSED, BILLED):
            self.at(moment)
            self.open_slot(self[GRID])
        return {one.to: priced(one) for one in self.sent(GRID, PricedReading)}


def reading(letter: Letter) -> ReportReading:
    assert isinstance(letter.message, ReportReading)
    return letter.message


def priced(letter: Letter) -> PricedReading:
    assert isinstance(letter.message, PricedReading)
    return letter.message


def booked(world: World, name: str, kind: EntryKind) -> list[tuple[int, int]]:
    return [(one.energy_wh, one.amount_micro) for one in world[name].journal.booked(kind, SLOT, GRID)]


# --- a slot ---


def test_a_reading_is_acknowledged_unpriced_and_priced_when_its_slot_is_closed() -> None:
    world = Neighbours()
    world.reported()
    assert world.sent(GRID) == []
    assert world[GRID].journal.ledger == []
    assert {one.state for one in world[GRID].journal.reported.values()} == {ReportState.WAITING}
    world.at(CLOSED - 1)
    world.act(world[GRID], world[GRID].events.catch_up)
    assert world.sent(GRID) == []
    prices = world.close()
    assert set(prices) == {SUN, FLAT, LOFT}
    assert world[GRID].journal.closings == [Closing(SLOT, "proRata", 0, MID, 300_000, 80_000, 0)]
    world.carry()
    # 400 Wh for 300 and 500: 150 and 250.
    assert booked(world, SUN, EntryKind.SHARED) == [(-400, 400 * 190)]
    assert booked(world, FLAT, EntryKind.SHARED) == [(150, -150 * 190)]
    assert booked(world, FLAT, EntryKind.BACKSTOP) == [(150, -150 * 300)]
    assert booked(world, LOFT, EntryKind.SHARED) == [(250, -250 * 190)]
    assert booked(world, LOFT, EntryKind.BACKSTOP) == [(250, -250 * 300)]
    assert billed(world[SUN], SLOT) == (-400, 76_000)
    assert billed(world[LOFT], SLOT) == (500, -122_500)


# --- the bills of an hour ---


def an_hour(world: Neighbours) -> Neighbours:
    """All have reported the four slots of an hour, whose bills are due now; no bill has arrived."""
    for name in (SUN, FLAT, LOFT):
        world[name].party.draining = False  # who drains asks for its bills
        world[name].party.grid = world.grid._replace(end_s=None)
    for slot in range(SLOT, SLOT + BILLED_EVERY_S, SLOT_S):
        world.begin_slot(order=(SUN, FLAT, LOFT))
        for name in (SUN, FLAT, LOFT):
            world.deliver(world.report(name, slot))
    world[GRID].party.grid = world.grid._replace(end_s=None)
    world.at(BILLED)
    world.open_slot(world[GRID])
    return world


def hour_of(name: str, world: Neighbours) -> Letter:
    [letter] = [one for one in world.sent(GRID, Bills) if one.to == name]
    return letter


def test_the_bills_of_an_hour_are_told_in_one_message() -> None:
    world = an_hour(Neighbours())
    assert world.sent(GRID, PricedReading) == []
    assert len(world.sent(GRID, Bills)) == 3
    letter = hour_of(FLAT, world)
    assert isinstance(letter.message, Bills)
    slots = [one.reading.slot for one in letter.message.priced]
    assert slots == [*range(SLOT, SLOT + BILLED_EVERY_S, SLOT_S)]
    world.deliver(letter)
    assert [billed(world[FLAT], slot) for slot in slots] == [(300, -150 * 190 - 150 * 300)] * 4
    assert min(world[FLAT].books.unpriced) == SLOT + BILLED_EVERY_S


def test_bills_that_wait_for_their_hour_survive_a_restart() -> None:
    world = Neighbours()
    world.reported()
    world.at(CLOSED)
    world.open_slot(world[GRID])
    assert {one.state for one in world[GRID].journal.reported.values()} == {ReportState.CLOSED}
    world.restart(GRID)
    assert set(world.close()) == {SUN, FLAT, LOFT}


def test_bills_that_were_lost_are_asked_for_a_slot_later_and_come_one_by_one() -> None:
    world = an_hour(Neighbours())
    world.lose(hour_of(FLAT, world))
    world.begin_slot(order=[FLAT])
    asked = [one for one in world.sent(FLAT, ReportReading) if reading(one).slot < SLOT + BILLED_EVERY_S]
    assert len(asked) == 4
    for letter in asked:
        world.deliver(letter)
        world.deliver(world.sent(GRID, PricedReading)[0])
    assert [billed(world[FLAT], reading(one).slot)[0] for one in asked] == [300] * 4


def test_a_bill_that_is_wrong_is_refused_with_all_that_came_with_it() -> None:
    world = an_hour(Neighbours())
    letter = hour_of(FLAT, world)
    assert isinstance(letter.message, Bills)
    *right, last = letter.message.priced
    dearer = Bills((*right, last._replace(amount_micro=300 * 300 + 1)))
    refused = world.refusal(FLAT, GRID, dearer, letter.transaction_id)
    assert (refused.reason, refused.about) == (Reason.BUSINESS, About.PRICE)
    assert min(world[FLAT].books.unpriced) == SLOT
    assert world.refusal(FLAT, GRID, letter.message, "other").about is About.ORDER
    assert world.refusal(FLAT, SUN, letter.message, letter.transaction_id).about is About.ORDER
    assert world.refusal(GRID, SUN, letter.message).reason is Reason.POLICY


@pytest.mark.parametrize(("slots_before_end", "waits"), [(1, 3), (2, 4), (3, 5), (9, 6)])
def test_no_bill_waits_for_what_is_not_traded(slots_before_end: int, waits: int) -> None:
    assert billed_s(SLOT, SLOT + slots_before_end * SLOT_S) == SLOT + waits * SLOT_S


def test_the_local_grid_fee_is_on_what_was_shared() -> None:
    world = Neighbours(tariff=FEES)
    world.reported()
    prices = world.close()
    price = (80_000 + 300_000 + 70_001 - 29_999) // 2
    assert world[GRID].journal.closings[0].price_micro_per_kwh == price
    assert prices[SUN].shared == SharedPart(400, (price * 400 + 500) // 1000, 0)
    assert prices[FLAT].shared == SharedPart(150, ((price + 29_999) * 150 + 500) // 1000, (29_999 * 150 + 500) // 1000)
    assert prices[FLAT].fee_micro == (70_001 * 150 + 500) // 1000, "on the other half"


def test_nothing_is_shared_where_feed_in_pays_more() -> None:
    world = Neighbours(tariff=TARIFF.__class__(100_000, 80_000, local_grid_fee_micro_per_kwh=20_001))
    world.reported()
    prices = world.close()
    assert world[GRID].journal.closings[0].price_micro_per_kwh is None
    assert {one.shared for one in prices.values()} == {None}


def test_a_household_with_nothing_to_tell_tells_that() -> None:
    world = Neighbours()
    world[FLAT].weather.given[SLOT] = world[FLAT].weather.usual._replace(load_wh=0)
    letters = world.reported()
    assert letters[FLAT].message == ReportReading(f"supply-{FLAT}", SLOT, 0, 0, 0)
    assert world[FLAT].books.readings[SLOT].state is ReadingState.FINAL
    bill = world.close()[FLAT]
    assert (bill.amount_micro, bill.shared) == (0, None)
    world.carry()
    assert world[FLAT].books.readings[SLOT].state is ReadingState.BOOKED


# --- readings of nothing ---


def trading(*idle: int, load_wh: int = 300) -> Neighbours:
    """The flat neither drains nor uses anything in the slots that are `idle`, `load_wh` in the others."""
    world = Neighbours()
    world[FLAT].party.draining = False
    world[FLAT].party.grid = world.grid._replace(end_s=None)
    world[FLAT].books.stand(world[FLAT].books.standing._replace(first_slot=SLOT - SLOT_S))  # it is no newcomer
    world[FLAT].weather.usual = world[FLAT].weather.usual._replace(load_wh=load_wh)
    for slot in idle:
        world[FLAT].weather.given[slot] = world[FLAT].weather.usual._replace(load_wh=0)
    return world


def told(world: Neighbours, slot: int) -> list[Letter]:
    """What the flat tells the utility at the moment of a slot, which has ended."""
    before = len(world.sent(FLAT))
    alarm = world.alarm_of(FLAT, AlarmKind.REPORT, slot)
    world.at(world[FLAT].alarms[alarm])
    world.ring(world[FLAT], alarm)
    return [one for one in world.sent(FLAT)[before:] if isinstance(one.message, ReportReading | Readings)]


def told_together() -> tuple[Neighbours, Letter]:
    world = trading(SLOT)
    world.begin_slot(2, order=(FLAT,))
    [letter] = told(world, NEXT)
    return world, letter


def test_a_reading_of_nothing_is_told_with_the_next_slots_before_its_own_is_closed() -> None:
    world, letter = told_together()
    metered = {SLOT: 0, NEXT: 300}
    assert letter.message == Readings(
        tuple(ReportReading(f"supply-{FLAT}", slot, imported_wh, 0, 0) for slot, imported_wh in metered.items())
    )
    assert world.now.grid_s <= SLOT + 2.5 * SLOT_S
    world.deliver(letter)
    assert {slot: one.state for (slot, _), one in world[GRID].journal.reported.items()} == {
        SLOT: ReportState.WAITING,
        NEXT: ReportState.WAITING,
    }
    world.at(BILLED)
    world.open_slot(world[GRID])
    [bills] = world.sent(GRID, Bills)
    world.deliver(bills)
    assert [world[FLAT].books.readings[slot].state for slot in (SLOT, NEXT)] == [ReadingState.BOOKED] * 2
    assert [billed(world[FLAT], slot) for slot in (SLOT, NEXT)] == [(0, 0), (300, -300 * 300)]


def test_its_bill_counts_in_the_transaction_that_it_was_told_in() -> None:
    world, letter = told_together()
    world.deliver(letter)
    world.at(CLOSED)
    world.open_slot(world[GRID])
    alone = world.say(GRID, FLAT, ReportReading(f"supply-{FLAT}", SLOT, 0, 0, 0), letter.transaction_id)
    assert alone is None
    [bill] = world.sent(GRID, PricedReading)
    world.deliver(bill)
    assert world[FLAT].books.readings[SLOT].state is ReadingState.BOOKED


@pytest.mark.parametrize("idle", [NEXT, SLOT])
def test_it_is_told_at_its_moment_where_another_has_waited_for_it_or_the_house_drains(idle: int) -> None:
    world = trading(idle)
    world[FLAT].party.draining = idle == SLOT
    world.begin_slot(1 if idle == SLOT else 2, order=(FLAT,))
    [letter] = told(world, idle)
    assert letter.message == ReportReading(f"supply-{FLAT}", idle, 0, 0, 0)


def test_it_does_not_wait_for_what_is_in_doubt() -> None:
    world = trading(SLOT)
    world.begin_slot(2, order=(FLAT,))
    books = world[FLAT].books
    books.read(books.readings[NEXT]._replace(state=ReadingState.OPEN))
    [letter] = told(world, NEXT)
    assert letter.message == ReportReading(f"supply-{FLAT}", SLOT, 0, 0, 0)


def test_readings_that_were_lost_are_both_told_again() -> None:
    world, letter = told_together()
    world.lose(letter)
    again_s = {world[FLAT].alarms[world.alarm_of(FLAT, AlarmKind.REPORT, slot)] for slot in (SLOT, NEXT)}
    assert again_s == {world.now.grid_s + SLOT_S}


def test_readings_are_taken_all_or_none() -> None:
    world, letter = told_together()
    assert isinstance(letter.message, Readings)
    nothing, one = letter.message.told
    false = Readings((nothing, one._replace(imported_wh=one.imported_wh + 10**6)))
    assert world.refusal(GRID, FLAT, false, letter.transaction_id).about is About.READING
    assert world[GRID].journal.reported == {}
    assert world.refusal(FLAT, GRID, letter.message).reason is Reason.POLICY


def test_without_sharing_a_reading_is_priced_at_once_and_nothing_is_told_of_nothing() -> None:
    world = Neighbours(None)
    world[FLAT].weather.given[SLOT] = world[FLAT].weather.usual._replace(load_wh=0)
    world.begin_slot()
    assert world[FLAT].books.readings[SLOT].state is ReadingState.BOOKED
    world.deliver(world.report(LOFT))
    [answer] = world.sent(GRID, PricedReading)
    world.deliver(answer)
    assert booked(world, LOFT, EntryKind.BACKSTOP) == [(500, -150_000)]
    assert world[GRID].journal.closings == []


def test_what_waits_when_a_utility_stops_sharing_is_priced_unshared_all_the_same() -> None:
    world = Neighbours()
    world.reported()
    member = world[GRID]
    member.config = utility()
    world.restart(GRID)
    assert {name: one.amount_micro for name, one in world.close().items()} == {
        SUN: 400 * 80,
        FLAT: 300 * 300,
        LOFT: 500 * 300,
    }
    assert member.journal.closings == []


# --- repeats, and what comes late ---


def test_a_price_is_told_again_under_the_same_id() -> None:
    world = Neighbours()
    letters = world.reported()
    world.close()
    [first] = [one for one in world.sent(GRID, PricedReading) if one.to == FLAT]
    world.lose(first)
    world.receive(world[GRID], call_of(letters[FLAT], "again"))
    [again] = [one for one in world.sent(GRID, PricedReading) if one.to == FLAT]
    assert again.message_id == first.message_id
    assert again.message == first.message


def call_of(letter: Letter, message_id: str) -> Call:
    return Call(letter.sender, letter.transaction_id, message_id, letter.message)


def test_a_reading_that_comes_late_is_priced_unshared_and_leaves_the_others_as_they_are() -> None:
    world = Neighbours()
    world.begin_slot()
    letters = {name: world.report(name) for name in (SUN, FLAT, LOFT)}
    for name in (SUN, FLAT):
        world.deliver(letters[name])
    world.close()
    before = list(world[GRID].journal.ledger)
    assert world[GRID].journal.booked(EntryKind.SHARED, SLOT, FLAT)[0].energy_wh == -300, "all of it is the flat's"
    answer = world.say(GRID, LOFT, letters[LOFT].message, letters[LOFT].transaction_id)
    assert (answer.amount_micro, answer.shared) == (150_000, None)
    assert world[GRID].journal.ledger[:-1] == before
    assert world[GRID].journal.reported[SLOT, LOFT].state is ReportState.ALONE
    assert len(world[GRID].journal.closings) == 1


def test_another_reading_of_the_same_slot_is_refused_before_and_after_the_closing() -> None:
    world = Neighbours()
    letter = world.reported()[FLAT]
    other = reading(letter)._replace(imported_wh=299)
    for _ in range(2):
        refused = world.refusal(GRID, FLAT, other, letter.transaction_id)
        assert (refused.reason, refused.about) == (Reason.BUSINESS, About.READING)
        world.close()


def test_a_report_that_did_not_arrive_is_told_again_before_the_closing() -> None:
    world = Neighbours()
    world.begin_slot()
    first = world.report(FLAT)
    told_s = world.now.grid_s
    world.lose(first)
    again = world.report(FLAT)
    assert world.now.grid_s == told_s + SLOT_S
    assert world.now.grid_s <= SLOT + 2.5 * SLOT_S
    assert again.message == first.message
    world.deliver(again)
    assert world[GRID].journal.reported[SLOT, FLAT].state is ReportState.WAITING


def test_after_a_restart_what_waits_is_told_again_before_the_closing() -> None:
    world = Neighbours()
    world.reported()
    world.restart(FLAT)
    due_s = world[FLAT].alarms[world.alarm_of(FLAT, AlarmKind.REPORT, SLOT)]
    assert SLOT + 2.2 * SLOT_S <= due_s <= SLOT + 2.5 * SLOT_S
    world.deliver(world.report(FLAT))
    assert world.sent(GRID) == [], "it is known"


# --- what is in doubt ---


def in_doubt(load_wh: int = 300, sharing: Sharing | None = Sharing()) -> Neighbours:  # noqa: B008 - frozen
    """The flat has bought 200 Wh of the loft for the first slot and does not know whether they came."""
    world = Neighbours(sharing)
    world[FLAT].weather.given[NEXT] = world[FLAT].weather.usual._replace(load_wh=load_wh)
    delivery = Delivery(NEXT, "item", 200, 30_000, 0, ContractState.CONFIRMED)
    for name, side, other in ((FLAT, Side.BUYER, LOFT), (LOFT, Side.SELLER, FLAT)):
        contract = Contract(name, side, "t-9", other, (delivery,), 2**62, 0, 0, "order-9")
        world.act(world[name], partial(world[name].books.put, contract))
    return world


@pytest.mark.parametrize("sharing", [Sharing(), None], ids=["with sharing", "unshared"])
def test_what_is_in_doubt_is_reported_as_import_by_the_middle_of_the_second_slot_after(sharing: Sharing | None) -> None:
    world = in_doubt(sharing=sharing)
    world.begin_slot(2, [FLAT])
    letter = world.report(FLAT, NEXT)
    assert NEXT + 2.2 * SLOT_S <= world.now.grid_s <= NEXT + 2.5 * SLOT_S
    assert letter.message == ReportReading(f"supply-{FLAT}", NEXT, 300, 0, 0, provisional=True)
    assert world[FLAT].books.readings[NEXT].state is ReadingState.OPEN


def told_in_doubt(load_wh: int = 300) -> Neighbours:
    """The same, reported and billed while in doubt: 300 Wh, of which 200 were shared."""
    world = in_doubt(load_wh)
    world.begin_slot(2, [FLAT, SUN])
    world[SUN].weather.given[NEXT] = world[SUN].weather.usual._replace(pv_wh=400)
    for name in (FLAT, SUN):
        world.deliver(world.report(name, NEXT))
    world.at(NEXT + 3 * SLOT_S)
    world.open_slot(world[GRID])
    world.at(BILLED)
    world.open_slot(world[GRID])
    return world


def delivered(world: Neighbours, energy_wh: int) -> Letter:
    """The seller tells what it delivered, and the flat reports its last word."""
    terms = Terms(LOFT, (Line(NEXT, "item", 200, 30_000, None),), 30_000, "EUR")
    told = DeliveryStatus(NEXT, ContractState.DELIVERED, energy_wh, 30_000 * energy_wh // 200)
    world.say(FLAT, LOFT, Status("order-9", terms, (told,), None), "t-9")
    return world.report(FLAT, NEXT)


def test_a_bill_of_what_was_in_doubt_is_booked_when_the_last_word_is_said() -> None:
    world = told_in_doubt()
    world.carry()
    assert world[FLAT].books.readings[NEXT].state is ReadingState.OPEN
    assert world[FLAT].journal.booked(EntryKind.SHARED, NEXT, GRID) == []
    letter = delivered(world, 200)
    assert letter.message == ReportReading(f"supply-{FLAT}", NEXT, 100, 0, 0)
    world.deliver(letter)
    [answer] = world.sent(GRID, PricedReading)
    bill_micro, [correction] = priced(answer).amount_micro, priced(answer).corrections
    assert correction == (300, 0, -(-bill_micro * 200 // 300)), "two thirds of it are paid back"
    shared = world[GRID].journal.booked(EntryKind.SHARED, NEXT, SUN)
    world.deliver(answer)
    assert world[GRID].journal.booked(EntryKind.SHARED, NEXT, SUN) == shared, "the slot is not opened again"
    energy_wh, amount_micro = billed(world[FLAT], NEXT)
    assert energy_wh == 100
    assert amount_micro == -(bill_micro - correction.back_micro) >= -30_000
    assert world[FLAT].books.readings[NEXT].state is ReadingState.BOOKED
    assert sum(one.energy_wh for one in world[GRID].journal.ledger if one.counterparty == FLAT) == -100


def test_a_doubt_that_comes_to_nothing_changes_nothing_of_the_bill() -> None:
    world = told_in_doubt()
    [provisional] = [one for one in world.sent(GRID, PricedReading) if one.to == FLAT]
    world.carry()
    letter = delivered(world, 0)
    assert letter.message == ReportReading(f"supply-{FLAT}", NEXT, 300, 0, 0)
    world.deliver(letter)
    [last] = world.sent(GRID, PricedReading)
    assert last.message_id != provisional.message_id, "or it would be taken for the same"
    assert priced(last).corrections == ()
    world.deliver(last)
    assert billed(world[FLAT], NEXT)[1] == -priced(provisional).amount_micro


def test_the_last_word_before_the_closing_takes_the_place_of_what_was_in_doubt() -> None:
    world = in_doubt()
    world.begin_slot(2, [FLAT, SUN])
    provisional = world.report(FLAT, NEXT)
    world.deliver(provisional)
    world.deliver(delivered(world, 200))
    known = world[GRID].journal.reported[NEXT, FLAT]
    assert (known.imported_wh, known.provisional) == (100, False)
    world.receive(world[GRID], call_of(provisional, "late"))
    assert world[GRID].journal.reported[NEXT, FLAT] == known, "what was said before is overtaken"
    assert world[GRID].books.net_import_wh == {NEXT: 100}


@pytest.mark.parametrize(("load_wh", "delivered_wh"), [(300, 200), (300, 0), (200, 200)])
def test_without_sharing_what_was_in_doubt_is_billed_in_time_and_corrected_when_the_truth_comes(
    load_wh: int, delivered_wh: int
) -> None:
    world = in_doubt(load_wh, sharing=None)
    world.begin_slot(2, [FLAT])
    world.deliver(world.report(FLAT, NEXT))
    world.carry()
    assert by_utility(world) == (-load_wh, amount(load_wh)), "the utility has its money on time"
    assert billed(world[FLAT], NEXT) == (0, 0)
    letter = delivered(world, delivered_wh)
    left_wh = load_wh - delivered_wh
    assert letter.message == ReportReading(f"supply-{FLAT}", NEXT, left_wh, 0, 0)
    world.deliver(letter)
    world.carry()
    assert world[FLAT].books.readings[NEXT].state is ReadingState.BOOKED
    assert billed(world[FLAT], NEXT) == (left_wh, -amount(left_wh))
    assert by_utility(world) == (-left_wh, amount(left_wh))


@pytest.mark.parametrize("sharing", [Sharing(), None], ids=["with sharing", "unshared"])
def test_a_refused_reading_is_told_again_once_a_slot_and_not_in_a_loop(sharing: Sharing | None) -> None:
    world = Neighbours(sharing)
    world.begin_slot()
    told_s = []
    for _ in range(2):
        letter = world.report(FLAT)
        told_s.append(world.now.grid_s)
        world.under_way.remove(letter)
        refused = Unanswered(Reason.BUSINESS, "no reason")
        world.act(
            world[FLAT],
            partial(world[FLAT].events.unanswered, GRID, letter.transaction_id, letter.action, refused),
        )
    assert told_s[1] == told_s[0] + SLOT_S
    assert AlarmKind.REPORT not in {alarm.kind for alarm in world[FLAT].alarms if alarm.slot == SLOT}
    # From then on with what else is unfinished.
    world.begin_slot(1, [FLAT])
    assert len(world.sent(FLAT, ReportReading)) <= 2


def amount(energy_wh: int) -> int:
    """What import costs."""
    return TARIFF.price_micro_per_kwh * energy_wh // 1000


def by_utility(world: World) -> tuple[int, int]:
    """What the utility has booked of the flat: energy received, money earned."""
    entries = [one for one in world[GRID].journal.ledger if (one.counterparty, one.slot) == (FLAT, NEXT)]
    return sum(one.energy_wh for one in entries), sum(one.amount_micro for one in entries)


# --- a household ---


def test_a_household_refuses_a_bill_that_is_worse_than_unshared() -> None:
    world = Neighbours()
    letters = world.reported()
    prices = world.close()
    flat, sun = prices[FLAT], prices[SUN]
    for name, wrong in (
        (FLAT, flat._replace(amount_micro=90_001)),
        (FLAT, flat._replace(amount_micro=90_001, shared=None)),
        (SUN, sun._replace(amount_micro=31_999)),
        (SUN, sun._replace(amount_micro=31_999, shared=SharedPart(400, 31_999, 0))),
    ):
        refused = world.refusal(name, GRID, wrong, letters[name].transaction_id)
        assert (refused.reason, refused.about) == (Reason.BUSINESS, About.PRICE)
        assert world[name].books.readings[SLOT].state is ReadingState.FINAL


@pytest.mark.parametrize(
    "change",
    [
        {"shared": SharedPart(301, 1, 0)},
        {"reading": ReportReading(f"supply-{FLAT}", SLOT, 299, 0, 0)},
    ],
)
def test_a_household_refuses_a_bill_of_what_it_has_not_reported(change: dict[str, Any]) -> None:
    world = Neighbours()
    letters = world.reported()
    bill = world.close()[FLAT]
    refused = world.refusal(FLAT, GRID, bill._replace(**change), letters[FLAT].transaction_id)
    assert refused.about is About.READING


def test_a_household_that_drains_meters_no_more_and_waits_until_what_came_before_is_priced() -> None:
    world = Neighbours()
    world.reported()
    flat = world[FLAT].party
    flat.draining = False
    flat.drain(True)
    world.begin_slot()  # the slot in which it was told to drain has ended
    flat.drain(True)
    assert set(flat.books.unbooked) == {SLOT}
    assert flat.left_unpriced() == 1
    assert not flat.settled()
    world.close()
    world.carry()
    assert flat.left_unpriced() == 0
    assert flat.settled()
    flat.drain(False)
    world.begin_slot()
    assert NEXT in flat.books.unbooked, "who is called back meters what it left out"


# --- a street ---


def test_a_street_that_trades_and_shares_ends_with_nothing_open() -> None:
    world = street(sharing=Sharing(), tariff=FEES)
    world.live(6)
    world.settle_down()
    check_end(world)
    assert any(entry.kind is EntryKind.SHARED for entry in world[GRID].journal.ledger)


def test_what_a_utility_expects_to_supply_is_what_was_reported_not_what_is_priced() -> None:
    world = Neighbours()
    world.reported()
    world.at(SLOT + 2 * SLOT_S)
    party = world[GRID].party
    assert isinstance(party, Utility)
    assert party.backstop_forecast_wh() == 300 + 500 - 400
