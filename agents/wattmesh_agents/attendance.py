"""Which of a pod's parties an event may reach.

Not one whose books are ahead of grid time, which waits; nor one that has closed its account, or that asks its partners
what it has signed because its books may have been put back.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from math import ceil

from wattmesh_agents.closing import Closings
from wattmesh_beckn.errors import busy
from wattmesh_common.clock import Clock, GridClock, rfc3339
from wattmesh_market.parties.party import Now, Party

log = logging.getLogger(__name__)

_LATEST_S = datetime(9999, 12, 31, tzinfo=UTC).timestamp()
"""The last day that can be told of."""
_RESTS_S, _ASKS_S = 5, 1
"""When a caller may ask again whether a party trades on that has closed its account, or that asks its partners."""


class Attendance:
    """`restoring` has the names of those that ask their partners."""

    def __init__(self, clock: Clock, grid: GridClock, now: Now, closings: Closings) -> None:
        self._clock = clock
        self._grid = grid
        self._now = now
        self._closings = closings
        self._waiting: set[str] = set()
        self.restoring: set[str] = set()

    def begin(self) -> None:
        """As in a new process: nobody has been waited for."""
        self._waiting.clear()
        self.restoring.clear()

    def leave(self, name: str) -> None:
        """A party is not here any more."""
        self._waiting.discard(name)

    def is_here(self, party: Party) -> bool:
        """Whether an event may reach a party now."""
        if party.is_ahead:
            self.wait(party)
            return False
        return not self._closings.rests(party) and party.name not in self.restoring

    def require(self, party: Party) -> None:
        """Refuse a message to a party that no event may reach now, with when to say it again."""
        if party.is_ahead:
            raise busy(self._why_it_waits(party), max(1, ceil(self.caught_up_s(party) - self._clock.wall())))
        if self._closings.rests(party):
            raise busy(f"{party.id} has closed its account", _RESTS_S)
        if party.name in self.restoring:
            raise busy(f"{party.id} asks its partners what it has signed", _ASKS_S)

    def wait(self, party: Party) -> None:
        """Leave a party alone until grid time has caught up with its books."""
        if party.name not in self._waiting:
            self._waiting.add(party.name)
            log.warning("%s: %s", party.name, self._why_it_waits(party))

    def waits(self, party: Party) -> bool:
        """Whether a party has been left alone since."""
        return party.name in self._waiting

    def waited(self, party: Party) -> None:
        """Grid time has caught up with a party's books, and what was left open is taken up."""
        self._waiting.discard(party.name)
        log.info("%s: grid time has caught up with its books", party.name)

    def caught_up_s(self, party: Party) -> float:
        """The wall time at which grid time reaches a party's books."""
        return min(self._grid.wall_at(party.books.standing.next_slot), _LATEST_S)

    def _why_it_waits(self, party: Party) -> str:
        due_s = party.books.standing.next_slot
        return (
            f"its books reach {rfc3339(due_s)} of grid time, which is {rfc3339(self._now.grid_s)} now; "
            f"it waits until {rfc3339(self.caught_up_s(party))}"
        )
