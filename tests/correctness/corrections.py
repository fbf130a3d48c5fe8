"""The same exploration of a reading that a person corrects: billed by what it should have been, then corrected twice.

The person may speak at any time, whatever is lost, late or doubled and whoever crashes meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tests.correctness.explore import Whole
from tests.correctness.model import Moment, Post
from tests.correctness.readings import PHASES_S, Readings
from tests.world.parties import FEES, FIRST_SLOT, GRID, Weather, battery, household, utility
from tests.world.pod import Node
from wattmesh_cli.books import LedgerEntry
from wattmesh_market.energy.profiles import Pv, SlotProfile
from wattmesh_market.mechanisms.sharing import Sharing
from wattmesh_market.parties.utility import Utility

FLAT = "flat-0.default"
SHOULD_BE_WH: Sequence[int] = (250, -400, 900)
"""What a person finds out that the reading should have been (net import), one after the other."""
NAMES = ("supply", "correction", "correction 2")
_INSTALLED_W, _OUTLIER_WH = 8_000, 6_000
_DAY_LATER_S = 97 * 60.0 + 1
"""Once a day a household asks whether what was billed in place of its meter's reading is corrected."""
_FAULTY_PHASES = 5


class Corrections(Readings):
    """A flat whose meter has said 6 kWh for the first slot, which is held, as 2 kWh is all that it can move."""

    def __init__(self, most_faults: int | None) -> None:
        slow = battery(5000, charge_power_w=400, discharge_power_w=400)
        flat = household("flat-0", slow, tariff=FEES, shares=True, pv=(Pv(_INSTALLED_W, 48.1, 11.5, 30, 180),))
        grid = utility(tariff=FEES, sharing=Sharing(), installed=(("flat", _INSTALLED_W),))
        skies = [Weather(0, 350, {FIRST_SLOT: SlotProfile(0, _OUTLIER_WH)}), Weather()]
        self._tell([flat, grid], skies, Post((*PHASES_S, _DAY_LATER_S), reports=True), _FAULTY_PHASES, most_faults)
        self.flat, self.grid = self.names[FLAT], self.names[GRID]
        self.booked: set[tuple[int, int]] = set()
        """How many entries the utility and the flat were seen to have of the reading at the same time."""

    def _moves(self, whole: Whole) -> Iterator[tuple[str, Whole]]:
        yield from super()._moves(whole)
        after = None if self.grid in whole.asleep else self._corrected(whole)
        if after is not None:
            yield "a person corrects", after

    def _calm_step(self, whole: Whole) -> Whole | None:
        """Before the last day has passed the person has said all."""
        last = whole.phase + 2 == len(self.phases_s)
        if last and not any(self._moment(whole, at).under_way for at in self.trading):
            self._go_to(whole.phase)
            if (after := self._corrected(whole)) is not None:
                return after
        return super()._calm_step(whole)

    def _corrected(self, whole: Whole) -> Whole | None:
        """The person's next word; None before the reading is held, and when all is said."""
        moment = self._moment(whole, self.grid)
        state = next((one.state for one in moment.book.held), None)
        said = 0 if state == "held" else len(_entries(moment))
        if state is None or said == len(SHOULD_BE_WH):
            return None

        def correct(node: Node) -> None:
            assert isinstance(node.party, Utility)
            node.party.correct(FLAT, FIRST_SLOT, SHOULD_BE_WH[said])

        return self._set(whole, self.grid, self.actors[self.grid].do(moment, f"correct {said}", correct))

    def _check(self, whole: Whole) -> None:
        """The flat has booked what the utility has, or what that had booked before: each correction once."""
        theirs, ours = (_entries(self._moment(whole, at)) for at in (self.grid, self.flat))
        assert [one.reference for one in theirs] == [*NAMES[: len(theirs)]]
        said = [(one.reference, -one.energy_wh, -one.amount_micro) for one in theirs]
        assert [(one.reference, one.energy_wh, one.amount_micro) for one in ours] == said[: len(ours)]
        self.booked.add((len(theirs), len(ours)))
        super()._check(whole)

    def _check_end(self, whole: Whole) -> None:
        super()._check_end(whole)
        for at in (self.grid, self.flat):
            assert len(_entries(self._moment(whole, at))) == len(SHOULD_BE_WH), "a correction is missing"
        assert sum(one.energy_wh for one in _entries(self._moment(whole, self.flat))) == SHOULD_BE_WH[-1]


def _entries(moment: Moment) -> list[LedgerEntry]:
    """What is booked of the reading, by name."""
    found = [one for one in moment.book.ledger if one.slot == FIRST_SLOT and one.kind == "backstop"]
    return sorted(found, key=lambda one: NAMES.index(one.reference))
