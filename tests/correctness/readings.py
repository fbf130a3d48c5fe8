"""The same exploration of what is told between households and their utility: readings, and what they are priced at.

Nobody trades. Each household reports two slots, which the utility shares; every message between them, each reminder,
and each look at a slot that closes another may come in any order, be lost, late or doubled, and all may crash.
"""

from __future__ import annotations

from collections.abc import Sequence

from tests.correctness.explore import Exploration, Whole
from tests.correctness.model import Post
from tests.world.parties import FEES, GRID, Config, Weather, battery, household, utility
from wattmesh_agents.store.mail import Outgoing
from wattmesh_market.mechanisms.sharing import Sharing
from wattmesh_market.parties.books import Alarm
from wattmesh_market.parties.events import Events

PHASES_S = (36.0, 61.0, 95.0, 121.0, 155.0, 181.0, 215.0, 241.0, 301.0, 361.0, 421.0)
"""The first slot runs; it has ended; it is reported; the second has ended; it is reported, and what was not heard of
the first; the first is closed; what was not heard of the second is reported; that is closed, too; what is not booked is
asked for again, and again."""
FAULTY_PHASES = 8


class Readings(Exploration):
    """Roofs that export 700 Wh in a slot and flats that import 250 Wh, all with batteries that neither buy nor sell."""

    def __init__(self, roofs: int, flats: int, most_faults: int | None) -> None:
        def idle(name: str) -> Config:
            slow = battery(5000, charge_power_w=400, discharge_power_w=400)
            return household(name, slow, tariff=FEES, shares=True)

        names = [*(f"roof-{at}" for at in range(roofs)), *(f"flat-{at}" for at in range(flats))]
        skies = [*([Weather(900, 100)] * roofs), *([Weather(0, 350)] * flats), Weather()]
        configs: Sequence[Config] = [*map(idle, names), utility(tariff=FEES, sharing=Sharing())]
        self._tell(configs, skies, Post(PHASES_S, reports=True), FAULTY_PHASES, most_faults)

    def _tell(
        self,
        configs: Sequence[Config],
        skies: Sequence[Weather],
        post: Post,
        faulty_phases: int,
        most_faults: int | None,
    ) -> None:
        """Parties that trade nothing and tell their readings."""
        self.slots = ()
        self.trading = range(len(configs))
        self.buyers = self.sellers = range(0)
        self.cancels = False
        self._set_up(configs, [Events] * len(configs), skies, post, faulty_phases, most_faults)
        self.shares: set[tuple[int, ...]] = set()
        """What came of it in the end: how many Wh the utility shared of each slot."""

    def start(self, *, calm_search: bool = True) -> Whole:  # noqa: ARG002 - nobody searches
        """Nothing has happened yet."""
        return Whole(0, tuple(actor.first().number for actor in self.actors), frozenset())

    def _travels(self, message: Outgoing) -> bool:  # noqa: ARG002 - all do
        return True

    def _due(self, whole: Whole, at: int) -> list[Alarm]:
        return self._reminders(whole, at)

    def _check_end(self, whole: Whole) -> None:
        super()._check_end(whole)
        [grid] = [moment for actor, moment in zip(self.actors, self._moments(whole), strict=True) if actor.id == GRID]
        rows = grid.book
        assert {row.state for row in rows.reported} <= {"closed", "alone"}, "something waits for ever"
        shared: dict[int, int] = {row.slot: 0 for row in rows.reported}
        for entry in rows.ledger:
            if entry.kind == "shared" and entry.energy_wh > 0:
                shared[entry.slot] += entry.energy_wh
        self.shares.add(tuple(shared[slot] for slot in sorted(shared)))
