"""One feeder's market, slot by slot. Everything that a slot does follows from the parties' books, seed and slot alone.

What parties say to each other is handed over at once, in the order in which it is said, and nothing is lost; so no
reminder of a lost message ever comes due, and only looks, choices and reports are waited for. A search is answered from
what sellers were found to offer, as long as nothing has happened to them: else a feeder would cost the square of its
households.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from heapq import heappop, heappush
from typing import NamedTuple

from wattmesh_market.energy.grid_time import GridTime
from wattmesh_market.energy.slots import SLOT_S
from wattmesh_market.mechanisms import Mechanism
from wattmesh_market.parties.books import Alarm, AlarmKind, Selection
from wattmesh_market.parties.events import Events, Unanswered
from wattmesh_market.parties.household import Household
from wattmesh_market.parties.party import Now, Party
from wattmesh_market.parties.selling import offers_to
from wattmesh_market.parties.shopping import best_of, hear_all
from wattmesh_market.plugins.watch import Watch
from wattmesh_market.schedule import CLOSED_AFTER_S
from wattmesh_market.study.matching import Matching
from wattmesh_market.trade.messages import ACTION_OF, Action, Call, Search, Send
from wattmesh_market.trade.offers import Offer
from wattmesh_market.trade.refusal import Refused

LaterOffers = tuple[tuple[int, Offer], ...]
_FORGET_EVERY_S = 6 * 3600
_AWAITED = frozenset((AlarmKind.LOOK, AlarmKind.OFFERS_IN, AlarmKind.REPORT))


class Later:
    """What a seller offered for later slots: worked out when a buyer has chosen it, or before it would be something
    else. Most of those who are asked are not chosen.
    """

    def __init__(self, offers: Callable[[], LaterOffers]) -> None:
        self._offers: Callable[[], LaterOffers] | LaterOffers = offers

    def work_out(self) -> LaterOffers:
        """All of them."""
        if not isinstance(self._offers, tuple):
            self._offers = self._offers()
        return self._offers

    def let_go(self) -> None:
        """The slot is over: nobody looks any more."""
        if not isinstance(self._offers, tuple):
            self._offers = ()

    def __iter__(self) -> Iterator[tuple[int, Offer]]:
        return iter(self.work_out())


class Board(NamedTuple):
    """Who sells in a slot, and what those who were asked offer; None: nothing."""

    sellers: list[str]
    made: dict[str, Selection | None]

    def drop(self, seller: str) -> None:
        """What a seller offers may be something else from now on."""
        made = self.made.pop(seller, None)
        if made is not None and isinstance(made.later, Later):
            made.later.work_out()

    def let_go(self) -> None:
        """The slot is over."""
        for made in self.made.values():
            if made is not None and isinstance(made.later, Later):
                made.later.let_go()


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
        self._boards: dict[tuple[int, int | None, str], Board] = {}
        self.sent: Counter[tuple[str, Action]] = Counter()
        """How many messages each party has sent of each action since this was last emptied."""

    def run_slot(self, slot: int) -> None:
        """Run a slot from its start to its end."""
        self.open_slot(slot)
        end_s = slot + SLOT_S
        while self._waiting and self._waiting[0][0] < end_s:
            due_s, name, _, alarm = heappop(self._waiting)
            self._move(due_s)
            # Who reports its reading only says something.
            (self._events[name] if alarm.kind is AlarmKind.REPORT else self._of(name)).ring(alarm)
            self._hand_over((name,))
        for board in self._boards.values():
            board.let_go()
        self._boards.clear()

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

    def _of(self, name: str) -> Events:
        """A party's events, of which one comes next: what it offered does not hold any more."""
        for board in self._boards.values():
            board.drop(name)
        return self._events[name]

    def _hand_over(self, names: Iterable[str]) -> None:
        """Deliver all that these parties said, and what is said because of it."""
        mail: deque[tuple[str, Send]] = deque()
        for name in names:
            self._collect(name, mail)
        while mail:
            sender, sent = mail.popleft()
            action = ACTION_OF[type(sent.message)]
            self.sent[sender, action] += 1
            if isinstance(sent.message, Search):
                self._search(sender, sent.transaction_id, sent.message)
            elif (refused := self._deliver(sender, sent, mail)) is not None:
                why = Unanswered(refused.reason, refused.text)
                self._of(sender).unanswered(sent.to, sent.transaction_id, action, why)
                self._collect(sender, mail)

    def _deliver(self, sender: str, sent: Send, mail: deque[tuple[str, Send]]) -> Refused | None:
        try:
            refused = self._of(sent.to).receive(Call(sender, sent.transaction_id, sent.reply_to or "", sent.message))
        except Refused as error:
            return error
        self._collect(sent.to, mail)
        return refused

    def _search(self, buyer: str, transaction_id: str, message: Search) -> None:
        """Let a buyer hear what each seller offers.

        A seller offers every household the same, until something happens to it: it is asked once. Who is no seller in
        this slot would decline; that is not waited for.
        """
        key = (message.slot, message.until, "" if self.parties[buyer].is_neighbour else buyer)
        board = self._boards.get(key)
        if board is None:
            selling = [name for name in self._sellers if self.parties[name].sells(message.slot)]
            board = self._boards[key] = Board(selling, {})
        found: dict[str, Selection] = {}
        matching, now_ms, made = self._matching, self._now.ms, board.made
        for seller in board.sellers:
            if seller == buyer or (matching and matching.keeps_apart(buyer, seller)):
                continue
            if self.parties[seller].books.first_expiry_ms <= now_ms:
                self._of(seller).catch_up()
            if seller not in made:
                made[seller] = self._asked(seller, buyer, message)
            one = made[seller]
            if one is not None:
                found[seller] = matching.limited(buyer, seller, one) if matching else one
        self.sent.update([(seller, Action.ON_SEARCH) for seller in found])
        hear_all(self.parties[buyer], transaction_id, found)

    def _asked(self, seller: str, buyer: str, message: Search) -> Selection | None:
        """What a seller offers; None where it declines."""
        party = self.parties[seller]
        try:
            # Plug-ins hear of all that is looked at, as they do live.
            if party.plugged or message.until is None:
                return best_of(offers_to(party, buyer, message), message.slot, message.until)
            ((_, offer),) = offers_to(party, buyer, message._replace(until=None))
        except Refused:
            return None
        return Selection(offer, later=Later(lambda: offers_to(party, buyer, message)[1:]))

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
