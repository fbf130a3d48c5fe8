"""Every order in which a few parties' messages, alarms and crashes can happen: breadth first, until nothing is new.

A state of the whole is the phase of the clock, the state of each party, who is dead for this phase, and the messages
that their senders have given up and that may arrive all the same. From it these moves lead on (* is a fault):

- a message arrives, and its answer comes back;
- * a message arrives, and its answer is lost: it stays in the outbox and will be sent again. A sender that crashes
  after sending leaves the same behind;
- * its sender gives up (no registry, no connection; at the ttl's end it is no fault of its own): the message may still
  arrive at any later time while its ttl lasts, or never;
- an alarm that is due rings; a party looks at the slot that has begun; * a party crashes and comes back;
- the clock passes to its next phase. * A message that is not there by then is delayed; * a party may be dead for a
  whole phase: it takes nothing, sends nothing, and no alarm of its rings.

That is all there is. *Reordering*: any message may arrive at any time. *Duplication*: what was received stays in the
inbox (checked at each step), and a second copy is answered from there and changes nothing (checked), so a copy leads to
no other state. *Crash in a transaction*: it is rolled back, and nothing was sent (checked). *Crash between two*: the
process forgets which slot it has looked at, and which messages are acknowledged and stand in the outbox yet; the first
is a move, the second the same as an answer that was lost.

Parties touch each other only by messages, so a state is the tuple of theirs, and a move changes one or two of them.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations, product
from typing import NamedTuple

from tests.correctness.buyer import BuyerOfTwoSlots
from tests.correctness.model import (
    LATE_MS,
    SLOT,
    SPEED,
    TABLES,
    Actor,
    Moment,
    Post,
    State,
    heard_when_lost,
)
from tests.world.clocks import StillClock
from tests.world.parties import EPOCH_S, FEES, FIRST_SLOT, GATEWAY, GRID, Config, Weather, battery, household, utility
from tests.world.pod import Node, entry
from wattmesh_agents.store.mail import Outgoing
from wattmesh_beckn.client import Acked, Outcome, Undelivered
from wattmesh_cli.audit import audit
from wattmesh_cli.books import OPEN, ContractRow
from wattmesh_market.energy.profiles import SlotProfile
from wattmesh_market.energy.slots import SLOT_S
from wattmesh_market.mechanisms.sharing import Sharing
from wattmesh_market.parties.books import Alarm, AlarmKind
from wattmesh_market.parties.events import Events
from wattmesh_market.trade.messages import Cancel

FAULTY_PHASES = 6
"""Faults happen in the first phases, one more for a second slot; in those after them everything works."""

TOGETHER = frozenset(
    (buyer, seller)
    for buyer, sellers in {
        "none": "none QUOTED EXPIRED CANCELLED",
        "QUOTED": "QUOTED AGREED EXPIRED",
        "IN_DOUBT": "AGREED CONFIRMED DELIVERED EXPIRED CANCELLED",
        "CONFIRMED": "CONFIRMED DELIVERED CANCELLED",
        "DELIVERED": "DELIVERED SETTLED",
        "SETTLED": "SETTLED",
        "EXPIRED": "QUOTED AGREED EXPIRED",
        "CANCELLED": "CANCELLED",
    }.items()
    for seller in sellers.split()
)
"""What buyer and seller can be of one delivery at the same time; docs/correctness.md has it as a table."""

DELIVERIES = frozenset(
    (first, second)
    for first, seconds in {
        "none": "QUOTED EXPIRED CANCELLED",
        "QUOTED": "QUOTED",
        "AGREED": "AGREED",
        "CONFIRMED": "CONFIRMED CANCELLED",
        "DELIVERED": "CONFIRMED CANCELLED DELIVERED SETTLED",
        "SETTLED": "CONFIRMED CANCELLED DELIVERED SETTLED",
        "EXPIRED": "EXPIRED",
        "CANCELLED": "CANCELLED",
    }.items()
    for second in seconds.split()
)
"""What two deliveries of an order can be at one side, of which the buyer may cancel the second; in the docs, too.

A seller that is asked when the first slot has begun quotes the second only, to a buyer that has given up.
"""

CLOUDED = Weather(
    700, 100, {FIRST_SLOT: SlotProfile(0, 0), **{SLOT + at * SLOT_S: SlotProfile(50, 300) for at in (0, 1)}}
)
"""A surplus of 600 Wh is expected of each slot, and none comes."""

Letter = tuple[Outgoing, str]
"""A message and who it reaches (a search: each seller)."""


class Whole(NamedTuple):
    """A state of all parties together: numbers of their states, and what may arrive late. `faults` are those so far."""

    phase: int
    moments: tuple[int, ...]
    late: frozenset[Letter]
    asleep: frozenset[int] = frozenset()
    faults: int = 0


@dataclass
class Counts:
    """What an exploration has seen."""

    states: int = 0
    transitions: int = 0
    steps_run: int = 0
    pairs: Counter[tuple[str, str]] = field(default_factory=Counter)
    deliveries: Counter[tuple[str, str]] = field(default_factory=Counter)
    ends: Counter[tuple[tuple[str, str], ...]] = field(default_factory=Counter)
    exposed: Counter[int] = field(default_factory=Counter)
    """What a seller had quoted, promised or delivered to a buyer that has not paid it yet (Wh)."""
    covered: Counter[int] = field(default_factory=Counter)
    """How much of what a seller sold in a slot came from the backstop in the end (Wh)."""


class Broken(AssertionError):
    """Something does not hold, and the way there."""


class Exploration:
    """Buyers and sellers, from the decision to buy until all is paid.

    `sellers` is what is in their batteries (Wh); None is without. `most_faults` bounds the faults on one way; None: any
    number. `cancels`: a buyer may also cancel its order at any time. `two_slots`: an order is for two slots, and what
    may be cancelled is the second of its deliveries. `clouded`: sellers plan, and what they promise of their sun does
    not come.
    """

    together: frozenset[tuple[str, str]] = TOGETHER

    def __init__(
        self,
        sellers: Sequence[int | None],
        *,
        buyers: int = 1,
        most_faults: int | None = None,
        cancels: bool = False,
        two_slots: bool = False,
        clouded: bool = False,
        tables: Sequence[str] = TABLES,
    ) -> None:
        configs: list[Config] = [
            household(f"home-{at}", battery(1200), tariff=FEES, shares=True) for at in range(buyers)
        ]
        configs += [
            household(
                f"roof-{at}",
                None if level is None else battery(level),
                price_micro=180_000 + 1000 * at,
                tariff=FEES,
                shares=True,
                strategy="plan" if clouded else "rules",
            )
            for at, level in enumerate(sellers)
        ]
        configs.append(utility(tariff=FEES, sharing=Sharing()))
        self.slots: tuple[int, ...] = (SLOT, SLOT + SLOT_S) if two_slots else (SLOT,)
        kinds = [BuyerOfTwoSlots if two_slots and at < buyers else Events for at in range(len(configs))]
        self.trading = range(len(configs) - 1)
        self.buyers, self.sellers = self.trading[:buyers], self.trading[buyers:]
        self.cancels = cancels
        skies = [CLOUDED if clouded and at in self.sellers else Weather() for at in range(len(configs))]
        self._set_up(configs, kinds, skies, Post(), FAULTY_PHASES + two_slots, most_faults, tables)

    def _set_up(
        self,
        configs: Sequence[Config],
        kinds: Sequence[type[Events]],
        weather: Sequence[Weather],
        post: Post,
        faulty_phases: int,
        most_faults: int | None,
        tables: Sequence[str] = TABLES,
    ) -> None:
        self.phases_s, self.faulty_phases, self.most_faults = post.phases_s, faulty_phases, most_faults
        self.clock = StillClock(EPOCH_S)
        self._go_to(0)
        self.actors = [
            Actor(one[0], self.clock, post, *one[1:], tables=tables)
            for one in zip(configs, kinds, weather, strict=True)
        ]
        self.names = {actor.id: at for at, actor in enumerate(self.actors)}
        for actor in self.actors:
            for name in self.names:
                actor.node.driver.store.peers.meet(entry(name, "BPP"), actor.node.now.ms)
            actor.node.driver.store.tidy()
        self.counts = Counts()
        self._came: dict[Whole, tuple[Whole, str] | None] = {}
        self._sound: set[tuple[int, ...]] = set()
        self._settles: set[Whole] = set()

    def close(self) -> None:
        for actor in self.actors:
            actor.close()

    # --- the exploration ---

    def start(self, *, calm_search: bool = True) -> Whole:
        """The buyers have decided to buy and their searches are to be sent; or, after a calm search, all selects."""
        moments = [actor.first() for actor in self.actors]
        for at in self.buyers:
            moments[at] = self.actors[at].ring(moments[at], Alarm(AlarmKind.LOOK, SLOT, 0))
        whole = Whole(0, tuple(moment.number for moment in moments), frozenset())
        if not calm_search:
            return whole
        while found := [(at, one) for at in self.trading for one in self._moment(whole, at).under_way]:
            whole = self._calmly(whole, *found[0])
        whole = self._tick(whole)
        for at in self.buyers:
            self._go_to(whole.phase)
            [choice] = [alarm for alarm in self._due(whole, at) if alarm.kind is AlarmKind.OFFERS_IN]
            whole = self._ring(whole, at, choice)
        return whole

    def run(self, start: Whole) -> Counts:
        """Visit every state, check it, and see that it comes to a good end when no more goes wrong."""
        self._came = {start: None}
        waiting = deque([start])
        while waiting:
            whole = waiting.popleft()
            try:
                self._check(whole)
                self._check_future(whole)
                for label, after in self._moves(whole):
                    self.counts.transitions += 1
                    if after not in self._came:
                        self._came[after] = whole, label
                        waiting.append(after)
            except AssertionError as error:
                raise Broken(f"{error}\n{self.way_to(whole)}") from error
        self.counts.states = len(self._came)
        self.counts.steps_run = sum(actor.steps_run for actor in self.actors)
        return self.counts

    def way_to(self, whole: Whole) -> str:
        """The moves that lead to a state, and where it stands."""
        labels: list[str] = []
        at = self._came.get(whole)
        while at is not None:
            labels.append(at[1])
            at = self._came.get(at[0])
        lines = [f"{number}. {label}" for number, label in enumerate(reversed(labels), 1)]
        lines += [f"   {self.actors[at].id}: {_standing(moment)}" for at, moment in enumerate(self._moments(whole))]
        return "\n".join(lines)

    # --- moves ---

    def _moves(self, whole: Whole) -> Iterator[tuple[str, Whole]]:
        self._go_to(whole.phase)
        awake = [at for at in self.trading if at not in whole.asleep]
        for at in awake:
            for message in self._moment(whole, at).under_way:
                if self._travels(message):
                    yield from self._fates(whole, at, message)
            for alarm in self._due(whole, at):
                yield f"{self.actors[at].id} is reminded: {alarm.kind}", self._ring(whole, at, alarm)
            if not self._moment(whole, at).opened:
                yield f"{self.actors[at].id} looks at the slot", self._open(whole, at)
        for letter in whole.late:
            message, name = letter
            if self.names[name] in whole.asleep:
                continue
            after, _ = self._arrive(whole, message, name)
            yield f"{_text(message)} arrives late at {name}", after._replace(late=after.late - {letter})
        if self.cancels:
            for at in self.buyers:
                if at in awake:
                    yield from self._cancellations(whole, at)
        yield from self._ticks(whole, awake)
        if self._may_fail(whole):
            for at in awake:
                if not self._moment(whole, at).opened:
                    continue  # a new process would do no more than the old
                after = self._set(whole, at, self.actors[at].crash(self._moment(whole, at)))
                yield f"{self.actors[at].id} crashes and comes back", self._fault(after)

    def _ticks(self, whole: Whole, awake: Sequence[int]) -> Iterator[tuple[str, Whole]]:
        """Whoever is alive has rung its alarms by then. A message that has not arrived is late, which is a fault."""
        if whole.phase + 1 == self.faulty_phases or any(self._has_to_do(whole, at) for at in awake):
            return
        slow = [one for at in awake for one in self._moment(whole, at).under_way if self._could_arrive(whole, one)]
        left = len(self.actors) if self.most_faults is None else self.most_faults - whole.faults - len(slow)
        if left < 0:
            return
        after = self._fault(self._tick(whole), len(slow))
        for sleepers in range(min(left, len(self.trading)) + 1):
            for asleep in combinations(self.trading, sleepers):
                names = ", ".join(self.actors[at].id for at in asleep) or "nobody"
                slept = after._replace(asleep=frozenset(asleep))
                yield f"the clock goes on; for this phase {names} is dead", self._fault(slept, sleepers)

    def _fates(self, whole: Whole, at: int, message: Outgoing) -> Iterator[tuple[str, Whole]]:
        if self._could_arrive(whole, message):
            arrived, outcome = self._carry(whole, message)
            yield f"{_text(message)}, answered", self._answered(arrived, at, message, outcome)
            matters = heard_when_lost(message) or not isinstance(outcome, Acked)
            if self._may_fail(whole) and arrived != whole and matters:
                yield f"{_text(message)}, its answer is lost", self._fault(arrived)
        known = message.recipient != GATEWAY and self._moment(whole, self.names[message.recipient]).knows(message)
        if known and not heard_when_lost(message) and message.expires_ms > self._now_ms:
            return  # to give up is as if the answer came
        if self._may_fail(whole) or message.expires_ms <= self._now_ms:
            given_up = self._answered(whole, at, message, Undelivered("lost"))
            missed = {(message, name) for name in self._recipients(message) if self._may_arrive(whole, message, name)}
            after = given_up._replace(late=given_up.late | missed)
            yield f"{_text(message)} is given up", self._fault(after) if message.expires_ms > self._now_ms else after

    def _cancellations(self, whole: Whole, at: int) -> Iterator[tuple[str, Whole]]:
        """One `cancel` for each order: none is under way, on its way, or taken."""
        buyer, moment = self.actors[at], self._moment(whole, at)
        slots = None if len(self.slots) == 1 else self.slots[-1:]
        for contract in moment.contracts:
            if contract.order_id is None or contract.slot != self.slots[-1]:
                continue
            seller = contract.counterparty
            made = {one.recipient for one in moment.under_way if one.action == "cancel"}
            made |= {name for one, name in whole.late if (one.party, one.action) == (buyer.id, "cancel")}
            known = {(row[0], row[2]) for row in self._moment(whole, self.names[seller]).received}
            if seller in made or (buyer.id, "cancel") in known:
                continue

            def cancel(node: Node, contract: ContractRow = contract, order_id: str = contract.order_id) -> None:
                message = Cancel(order_id, "changed-mind", slots)
                node.party.send(contract.counterparty, contract.transaction_id, message)

            after = buyer.do(moment, f"cancel {seller}", cancel)
            yield f"{buyer.id} cancels with {seller}", self._set(whole, at, after)

    def _carry(self, whole: Whole, message: Outgoing) -> tuple[Whole, Outcome]:
        if message.recipient == GATEWAY:
            names = self._recipients(message)
            forwarded = {(message, name) for name in names if self._may_arrive(whole, message, name)}
            return whole._replace(late=whole.late | forwarded), Acked({"recipients": str(len(names))})
        return self._arrive(whole, message, message.recipient)

    def _arrive(self, whole: Whole, message: Outgoing, name: str) -> tuple[Whole, Outcome]:
        at = self.names[name]
        moment, outcome = self.actors[at].receive(self._moment(whole, at), message)
        return self._set(whole, at, moment), outcome

    def _answered(self, whole: Whole, at: int, message: Outgoing, outcome: Outcome) -> Whole:
        return self._set(whole, at, self.actors[at].sent(self._moment(whole, at), message, outcome))

    def _ring(self, whole: Whole, at: int, alarm: Alarm) -> Whole:
        return self._set(whole, at, self.actors[at].ring(self._moment(whole, at), alarm))

    def _open(self, whole: Whole, at: int) -> Whole:
        return self._set(whole, at, self.actors[at].open_slot(self._moment(whole, at)))

    def _tick(self, whole: Whole) -> Whole:
        phase, moments = whole.phase + 1, self._moments(whole)
        slot_over = self._slot(phase) != self._slot(whole.phase)
        now_ms = self._ms(phase)
        late = frozenset(letter for letter in whole.late if letter[0].expires_ms + LATE_MS >= now_ms)
        alive = {letter[0] for letter in whole.late}.union(*(moment.under_way for moment in moments))
        names = {(one.party, one.message_id, one.action) for one in alive}
        over = _OF_ITS_TIME if self._slot(phase) <= SLOT else (*_OF_ITS_TIME, *_OF_TRADING)
        numbers = []
        for actor, moment in zip(self.actors, moments, strict=True):
            gone = frozenset(one for one in moment.received if one[2] in over and one not in names)
            numbers.append(actor.clock_goes_on(moment, gone, slot_over=slot_over).number)
        return Whole(phase, tuple(numbers), late, frozenset(), whole.faults)

    def _could_arrive(self, whole: Whole, message: Outgoing) -> bool:
        dead = message.recipient != GATEWAY and self.names[message.recipient] in whole.asleep
        return self._travels(message) and message.expires_ms > self._now_ms and not dead

    def _travels(self, message: Outgoing) -> bool:
        """What is told to the utility is left for the end: nothing in a trade reads it."""
        return message.recipient != GRID

    def _has_to_do(self, whole: Whole, at: int) -> bool:
        """A process that lives rings its alarms and looks at its slot long before the clock's next phase."""
        return not self._moment(whole, at).opened or bool(self._due(whole, at))

    def _due(self, whole: Whole, at: int) -> list[Alarm]:
        """Reminders that are due. The report to the utility is left for the end: nothing in a trade reads it."""
        return [alarm for alarm in self._reminders(whole, at) if alarm.kind is not AlarmKind.REPORT]

    def _reminders(self, whole: Whole, at: int) -> list[Alarm]:
        actor = self.actors[at]
        armed = self._moment(whole, at).mind.armed
        return [alarm for alarm, due_s in armed.items() if actor.node.grid.wall_ms(due_s) <= self._now_ms]

    def _may_fail(self, whole: Whole) -> bool:
        return self.most_faults is None or whole.faults < self.most_faults

    def _fault(self, whole: Whole, number: int = 1) -> Whole:
        return whole if self.most_faults is None else whole._replace(faults=whole.faults + number)

    def _recipients(self, message: Outgoing) -> list[str]:
        return [self.actors[at].id for at in self.sellers] if message.action == "search" else [message.recipient]

    def _may_arrive(self, whole: Whole, message: Outgoing, name: str) -> bool:
        known = self._moment(whole, self.names[name]).knows(message)
        return not known and message.expires_ms + LATE_MS >= self._now_ms

    # --- what must hold ---

    def _check(self, whole: Whole) -> None:
        """At any moment, by the project's own audit and by a table of what both sides may be at once."""
        moments = self._moments(whole)
        key = tuple(moment.book_number for moment in moments)
        if key in self._sound:
            return
        self._sound.add(key)
        self._check_books(moments)
        for pair in self._pairs(moments):
            assert pair in self.together, f"the buyer is {pair[0]} and the seller {pair[1]}"
            self.counts.pairs[pair] += 1
        for exposed_wh, most_wh in self._exposures(moments):
            assert exposed_wh <= most_wh, f"a seller lends {exposed_wh} Wh to a buyer that may owe {most_wh} Wh"
            self.counts.exposed[exposed_wh] += 1
        for pair in self._deliveries(moments):
            assert pair in DELIVERIES, f"the first delivery is {pair[0]} and the second {pair[1]}"
            self.counts.deliveries[pair] += 1

    def _check_books(self, moments: Sequence[Moment]) -> None:
        findings = audit([moment.book for moment in moments]).findings
        assert findings == (), findings

    def _pairs(self, moments: Sequence[Moment]) -> list[tuple[str, str]]:
        """The positions of buyer and seller in each delivery of their contracts."""
        pairs = []
        for buying, selling, slot in product(self.buyers, self.sellers, self.slots):
            buyer, seller = self.actors[buying].id, self.actors[selling].id
            bought = [one for one in moments[buying].contracts if (one.counterparty, one.slot) == (seller, slot)]
            sold = [one for one in moments[selling].contracts if (one.counterparty, one.slot) == (buyer, slot)]
            assert len(bought) <= 1, "two contracts in one transaction"
            assert len(sold) <= 1, "two contracts in one transaction"
            position = "none" if not bought else "IN_DOUBT" if bought[0].in_doubt else bought[0].state
            pairs.append((position, sold[0].state if sold else "none"))
        return pairs

    def _exposures(self, moments: Sequence[Moment]) -> Iterator[tuple[int, int]]:
        """What each seller has quoted, promised or delivered to a buyer unpaid, and the most that it may (Wh)."""
        for buying, selling in product(self.buyers, self.sellers):
            sold = [one for one in moments[selling].contracts if one.counterparty == self.actors[buying].id]
            exposed_wh = sum(one.energy_wh for one in sold if one.state in OPEN)
            lends_wh = self.actors[selling].node.party.lends_wh(self.actors[buying].id)
            yield exposed_wh, lends_wh + sum(one.energy_wh for one in sold if one.state == State.SETTLED)

    def _deliveries(self, moments: Sequence[Moment]) -> list[tuple[str, str]]:
        """How the deliveries of orders for two slots stand, at each side."""
        if len(self.slots) == 1:
            return []
        pairs = []
        for at in self.trading:
            states = {(one.counterparty, one.slot): one.state for one in moments[at].contracts}
            for partner in {partner for partner, _ in states}:
                first, second = (states.get((partner, slot), "none") for slot in self.slots)
                pairs.append((first, second))
        return pairs

    def _check_future(self, whole: Whole) -> None:
        """If from here on all messages arrive and all alarms ring, everything is settled in the end."""
        seen: list[Whole] = []
        whole = whole._replace(late=frozenset(), asleep=frozenset(), faults=0)
        while whole not in self._settles:
            seen.append(whole)
            assert len(seen) < 1000, "it never ends"
            after = self._calm_step(whole)
            if after is None:
                self._check_end(whole)
                break
            whole = after
        self._settles.update(seen)

    def _calm_step(self, whole: Whole) -> Whole | None:
        self._go_to(whole.phase)
        for at in range(len(self.actors)):
            if not self._moment(whole, at).opened:
                return self._open(whole, at)
            for message in self._moment(whole, at).under_way:
                if message.expires_ms <= self._now_ms:
                    return self._answered(whole, at, message, Undelivered("too late"))
                return self._calmly(whole, at, message)
            for alarm in self._reminders(whole, at):
                return self._ring(whole, at, alarm)
        return self._tick(whole) if whole.phase + 1 < len(self.phases_s) else None

    def _calmly(self, whole: Whole, at: int, message: Outgoing) -> Whole:
        arrived, outcome = self._carry(whole, message)
        for letter in arrived.late:  # a search, forwarded
            arrived, _ = self._arrive(arrived, *letter)
        return self._answered(arrived._replace(late=frozenset()), at, message, outcome)

    def _check_end(self, whole: Whole) -> None:
        moments = self._moments(whole)
        result = audit([moment.book for moment in moments])
        assert result.findings == (), result.findings
        assert (result.deliveries_in_flight, result.energy_in_flight_wh, result.amount_in_flight_micro) == (0, 0, 0)
        assert (result.energy_sum_wh, result.amount_sum_micro) == (0, 0)
        for actor, moment in zip(self.actors, moments, strict=True):
            assert not moment.mind.armed, f"{actor.id} keeps the reminders {moment.mind.armed}"
            assert all(row.state == "booked" for row in moment.book.readings), f"{actor.id} has unbooked readings"
        pairs = self._pairs(moments)
        for buyer, seller in pairs:
            ended = (buyer, seller) == (State.SETTLED, State.SETTLED) or {buyer, seller} <= _NOTHING
            assert ended, f"it ends {buyer} at the buyer, {seller} at the seller"
        for contract in (one for moment in moments for one in moment.contracts):
            if contract.state == State.SETTLED:
                assert contract.delivered_wh == contract.energy_wh, "what was confirmed was not delivered in full"
            if contract.side == "seller" and contract.state == State.SETTLED:
                readings = [one for moment in moments for one in moment.book.readings if one.party == contract.party]
                self.counts.covered.update(one.covered_wh for one in readings if one.slot == contract.slot)
        self.counts.ends[tuple(pairs)] += 1

    # --- parts ---

    def _go_to(self, phase: int) -> None:
        self.clock.now = EPOCH_S + self.phases_s[phase]
        self._now_ms = self._ms(phase)

    def _ms(self, phase: int) -> int:
        return int((EPOCH_S + self.phases_s[phase]) * 1000)

    def _slot(self, phase: int) -> int:
        return FIRST_SLOT + SLOT_S * int(self.phases_s[phase] * SPEED // SLOT_S)

    def _moment(self, whole: Whole, at: int) -> Moment:
        return self.actors[at].moments[whole.moments[at]]

    def _moments(self, whole: Whole) -> list[Moment]:
        return [self._moment(whole, at) for at in range(len(self.actors))]

    def _set(self, whole: Whole, at: int, moment: Moment) -> Whole:
        return whole._replace(moments=(*whole.moments[:at], moment.number, *whole.moments[at + 1 :]))


_OF_ITS_TIME = ("status", "on_status")
"""Their ids come of the moment or the slot in which they are told: once that is over, no such id is made again."""
_OF_TRADING = ("search", "on_search", "select", "on_select", "init", "on_init", "confirm", "on_confirm")
"""Nobody makes these after the slot."""
_NOTHING = {"none", "EXPIRED", "CANCELLED"}


def _text(message: Outgoing) -> str:
    return f"{message.action} from {message.party} to {message.recipient}"


def _standing(moment: Moment) -> str:
    contracts = [f"{one.counterparty} {one.state}{' in doubt' * one.in_doubt}" for one in moment.contracts]
    outbox = [f"{message.action}→{message.recipient}" for message in moment.under_way]
    return f"contracts {contracts}, to send {outbox}, reminders {[alarm.kind for alarm in moment.mind.armed]}"
