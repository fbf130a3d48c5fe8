"""A utility whose books were put back knows what it held, estimated and corrected, by what it has signed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.correctness.test_restored import COPIED_S, HOURS, PLAN, restorations
from tests.world.meters import BrokenMeter
from tests.world.street import Hands, Street, play
from wattmesh_agents.pod import Pod
from wattmesh_cli.street.run import StreetRun
from wattmesh_market.energy.slots import SLOT_S
from wattmesh_market.parties.household import Household

FLAT = "flat-0.default"
OUTLIER_WH = 6_000
"""Within the flat's connection, and more than its appliances can take."""


def restored_after_corrections(folder: Path, *, old: bool) -> Street:
    """Two readings of flat-0 are held, then estimated, and one of them is corrected twice; then the utility's books are
    put back, or deleted, and the first is corrected again.
    """
    hands = Hands(PLAN, 1, folder)

    async def watch(run: StreetRun) -> None:
        hands.hold(run)

        def utility() -> Pod:
            return run.pods["utility"]

        def correct(slot: int, net_wh: int) -> None:
            [member] = utility()._driver.members.values()
            utility()._driver.correct(member, FLAT, slot, net_wh)

        [flat] = run.pods["flat-0"].parties.values()
        assert isinstance(flat, Household)
        first = flat.books.standing.first_slot
        slots = range(first + SLOT_S, first + 4 * SLOT_S, 2 * SLOT_S)
        flat._profile = BrokenMeter(flat._profile, slots, OUTLIER_WH)
        await hands.clock.sleep(COPIED_S)
        copy = hands.copy("utility")
        await hands.clock.sleep(75.0 - COPIED_S)
        [member] = utility()._driver.members.values()
        utility()._driver.decide_held(member, FLAT, slots, accept=False)
        await hands.clock.sleep(1.0)
        for net_wh in (150, 90):
            correct(slots[0], net_wh)
            await hands.clock.sleep(1.0)
        await hands.kill("utility")
        hands.put_back("utility", copy if old else None)
        await hands.clock.sleep(2.0)
        hands.revive("utility")
        await hands.clock.sleep(14.0)
        correct(slots[0], 200)
        correct(slots[1], 110)

    return play(PLAN, HOURS, wrap=hands, watch=watch)


@pytest.mark.parametrize("old", [True, False], ids=["old", "deleted"])
def test_restored_books_know_what_was_held_estimated_and_corrected(tmp_path: Path, old: bool) -> None:
    street = restored_after_corrections(tmp_path, old=old)

    street.check_sound()
    street.check_settled()
    assert restorations(street, "utility")
    billed = [row.estimated_wh for row in street.readings("flat-0") if row.estimated_wh is not None]
    assert billed == [200, 110]
    names = [one.reference for one in street.ledger("backstop", "flat-0") if one.correction is not None]
    assert names == ["correction", "correction 2", "correction 3", "correction"]
    [held] = [book.held for book in street.books if book.held]
    assert [one.state for one in held] == ["corrected", "corrected"]
