"""One feeder's market, slot by slot. Everything that a slot does follows from the parties' books, seed and slot alone.

What parties say to each other is handed over at once, in the order in which it is said, and nothing is lost; so no
reminder of a lost message ever comes due, and only looks, choices and reports are waited for.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from heapq import heappop, heappush

from wattmesh_market.energy.grid_time import GridTime
from wattmesh_market.energy.slots import SLOT_S
from wattmesh_market.mechanisms import Mechanism
from wattmesh_market.parties.books import Alarm, AlarmKind
from wattmesh_market.parties.events import Events, Unanswered
from wattmesh_market.parties.household import Household
from wattmesh_market.parties.party import Now, Party
from wattmesh_market.plugins.watch import Watch
from wattmesh_market.schedule import CLOSED_AFTER_S
from wattmesh_market.study.matching import Matching
from wattmesh_market.trade.messages import ACTION_OF, Action, Call, Search, Send
from wattmesh_market.trade.refusal import Refused

_FORGET_EVERY_S = 6 * 3600
_AWAITED = frozenset((AlarmKind.LOOK, AlarmKind.OFFERS_IN, AlarmKind.REPORT))


class Feeder:
    """The parties of a feeder. Their books gather changed rows, which need not be reversible, until they are stored."""

    def __init__(
        self,
        parties: Sequence[Party],
        now: Now,
        grid: GridTime,
        mechanism: Mechanism | None = None,
        watch: Watch | None = None,
    ) -> None:
        """`parties` have their books as of the start of a slot; `now` is theirs. Without a `mechanism` everybody hears
        everybody; `watch` asks one that is a plug-in.
        """
        self.parties = {party.id: party for party in sorted(parties, key=lambda party: party.id)}
        self._events = {name: Events(party) for name, party in self.parties.items()}
        # Who never has anything to sell is not asked.
        self._sellers = [
            name
            for name, party in self.parties.items()
            if not isinstance(party, Household) or party.config.may_ever_sell
        ]
        self._now = now
        self._grid = grid
        self._waiting: list[tuple[float, str, int, Alarm]] = []
        self._count = 0
        homes = [party for party in self.parties.values() if isinstance(party, Household)]
        self._matching = Matching(mechanism, homes, watch or Watch()) if mechanism else None
        self.sent: dict[tuple[str, Action], int] = {}
        """How many messages each party has sent of each action since this was last emptied."""

    def run_slot(self, slot: int) -> None:
        """Run a slot from its start to its end."""
        self.open_slot(slot)
        end_s = slot + SLOT_S
        while self._waiting and self._waiting[0][0] < end_s:
            due_s, name, _, alarm = heappop(self._waiting)
            self._move(due_s)
            self._events[name].ring(alarm)
            self._hand_over((name,))

    def end_trading(self, slot: int | None) -> None:
        """Let no slot from `slot` on be traded."""
        self._grid = self._grid._replace(end_s=slot)
        for party in self.parties.values():
            party.grid = self._grid

    def open_slot(self, slot: int) -> None:
        """Begin a slot: what was delivered in the one before is metered, told and paid."""
        self._waiting.clear()
        self._move(slot)
        for events in self._events.values():
            if slot % _FORGET_EVERY_S == 0:
                events.party.books.forget(slot)
            events.open_slot()
        self._hand_over(self._events)
        following = next(iter(self.parties.values())).following_slot()
        if self._matching and following is not None:
            self._matching.clear(following)

    def settle(self, slot: int) -> None:
        """After the last slot: let what was delivered be paid, reported, shared and booked, from `slot` on."""
        for now_slot in range(slot, slot + CLOSED_AFTER_S, SLOT_S):
            self.open_slot(now_slot)
            while self._waiting:
                due_s, name, _, alarm = heappop(self._waiting)
                if alarm.kind is AlarmKind.REPORT:
                    self._move(due_s)
                    self._events[name].ring(alarm)
                    self._hand_over((name,))
            if all(party.settled() for party in self.parties.values()):
                return

    def _move(self, grid_s: float) -> None:
        self._now.move(self._grid.wall_ms(grid_s), grid_s)

    def _hand_over(self, names: Iterable[str]) -> None:
        """Deliver all that these parties said, and what is said because of it."""
        mail: deque[tuple[str, Send]] = deque()
        for name in names:
            self._collect(name, mail)
        while mail:
            sender, sent = mail.popleft()
            if self._matching:
                sent = self._matching.limited(sender, sent)
            count = (sender, ACTION_OF[type(sent.message)])
            self.sent[count] = self.sent.get(count, 0) + 1
            if isinstance(sent.message, Search):
                for seller in self._sellers:
                    # Who is no seller in this slot would decline; that is not waited for.
                    if self._matching and self._matching.keeps_apart(sender, seller):
                        continue
                    if seller != sender and self.parties[seller].sells(sent.message.slot):
                        self._deliver(sender, seller, sent, mail)
            elif (refused := self._deliver(sender, sent.to, sent, mail)) is not None:
                why = Unanswered(refused.reason, refused.text)
                self._events[sender].unanswered(sent.to, sent.transaction_id, count[1], why)
                self._collect(sender, mail)

    def _deliver(self, sender: str, to: str, sent: Send, mail: deque[tuple[str, Send]]) -> Refused | None:
        try:
            refused = self._events[to].receive(Call(sender, sent.transaction_id, sent.reply_to or "", sent.message))
        except Refused as error:
            return error
        self._collect(to, mail)
        return refused

    def _collect(self, name: str, mail: deque[tuple[str, Send]]) -> None:
        """Take up what a party wants to say, and what it wants to be reminded of."""
        changes = self._events[name].party.books.changes
        if changes.sends:
            for send in changes.sends:
                mail.append((name, send))
            changes.sends.clear()
        if changes.alarms:
            for alarm, due_s in changes.alarms:
                if alarm.kind in _AWAITED:
                    self._count += 1
                    heappush(self._waiting, (due_s, name, self._count, alarm))
            changes.alarms.clear()
