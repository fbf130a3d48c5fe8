"""A utility that prices what its customer did not report. A price above the tariff is in tests/market/parties.

It is tried among the parties, where no version of Beckn is spoken: each codec's bills are read in tests/beckn.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.market.parties.test_sharing import FLAT, SUN, Neighbours, delivered, priced, told_in_doubt
from tests.world.market import Letter
from tests.world.parties import FIRST_SLOT, GRID, NEXT
from wattmesh_market.energy.slots import SLOT_S
from wattmesh_market.trade.ledger import ReadingState
from wattmesh_market.trade.messages import Correction, PricedReading
from wattmesh_market.trade.refusal import About, Reason, Refused


def bill(world: Neighbours, name: str) -> Letter:
    """The honest price of what a household reported of the first slot."""
    world.reported()
    world.close()
    [letter] = [one for one in world.sent(GRID, PricedReading) if one.to == name]
    return letter


def refused(world: Neighbours, name: str, letter: Letter, false: PricedReading, slot: int = FIRST_SLOT) -> Refused:
    """What a household says to a false price; then it takes the honest one."""
    before = list(world[name].journal.ledger)
    said = world.refusal(name, GRID, false, letter.transaction_id)
    assert world[name].journal.ledger == before
    assert world[name].books.readings[slot].state is ReadingState.FINAL
    world.deliver(letter)
    assert world[name].books.readings[slot].state is ReadingState.BOOKED
    assert len(world[name].journal.ledger) > len(before)
    return said


@pytest.mark.parametrize("name", [SUN, FLAT])
@pytest.mark.parametrize(
    ("changes", "reason", "about"),
    [
        ({"order_id": "supply-other.default"}, Reason.ORDER_NOT_FOUND, About.ORDER_ID),
        ({"currency": "XXX"}, Reason.BUSINESS, About.CURRENCY),
        ({"reading.slot": FIRST_SLOT + SLOT_S}, Reason.BUSINESS, About.ORDER),
        ({"reading.slot": 0}, Reason.BUSINESS, About.ORDER),
        ({"reading.imported_wh": 777_000, "reading.exported_wh": 777_000}, Reason.BUSINESS, About.READING),
        ({"reading.imported_wh": 777_000, "reading.exported_wh": 0}, Reason.BUSINESS, About.READING),
        ({"reading.sold_wh": 777_000}, Reason.BUSINESS, About.READING),
        ({"corrections": (Correction(777_000, 0, 10**9),)}, Reason.BUSINESS, About.READING),
        ({"corrections": (Correction(0, 777_000, 10**9),)}, Reason.BUSINESS, About.READING),
        ({"amount_micro": -1}, Reason.BUSINESS, About.PRICE),
        ({"fee_micro": -1}, Reason.BUSINESS, About.PRICE),
        ({"local_fee_micro": -1}, Reason.BUSINESS, About.PRICE),
        ({"shared.energy_wh": -100}, Reason.BUSINESS, About.PRICE),
        ({"shared.amount_micro": 10**9}, Reason.BUSINESS, About.PRICE),
        ({"shared.fee_micro": 10**9}, Reason.BUSINESS, About.PRICE),
        ({"shared.energy_wh": 777_000}, Reason.UNSOUND, About.READING),
    ],
    ids=str,
)
def test_no_field_of_a_priced_reading_is_booked_unchecked(
    name: str, changes: dict[str, Any], reason: Reason, about: About
) -> None:
    world = Neighbours()
    letter = bill(world, name)
    false = priced(letter)
    for path, value in changes.items():
        part, _, field = path.rpartition(".")
        false = (
            false._replace(**{part: getattr(false, part)._replace(**{field: value})})
            if part
            else false._replace(**{field: value})
        )
    said = refused(world, name, letter, false)
    assert (said.reason, said.about) == (reason, about)


@pytest.mark.parametrize("billed", [Correction(301, 0, 1), Correction(777_000, 0, 10**9), Correction(99, 0, 0)])
def test_a_correction_says_what_was_reported_in_doubt_and_no_more(billed: Correction) -> None:
    """The flat has reported 300 Wh while 200 of them were in doubt, and then 100."""
    world = told_in_doubt()
    world.carry()
    world.deliver(delivered(world, 200))
    [letter] = world.sent(GRID, PricedReading)
    [honest] = priced(letter).corrections
    assert honest[:2] == (300, 0)
    said = refused(world, FLAT, letter, priced(letter)._replace(corrections=(billed,)), NEXT)
    assert (said.reason, said.about) == (Reason.BUSINESS, About.READING)
