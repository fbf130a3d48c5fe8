"""The street as its pods tell it, merged. Pure: pages go in, what changed comes out.

A pod is believed about those who are registered at it and about nobody else: about their standing, their side of a
contract, their messages. All of it is bounded; what is oldest is forgotten.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from typing import Any

from wattmesh_common.pod_pages import (
    SLOTS_BACK,
    Grid,
    HistoryPage,
    HistoryRow,
    LiveContract,
    LiveMessage,
    LivePage,
    LiveParty,
    LiveReading,
    LiveStory,
    PartyKind,
    SlotPage,
)
from wattmesh_gateway.live.history import History
from wattmesh_gateway.live.public import LEAST_SUMMED, PublicSums
from wattmesh_gateway.live.trades import Trade
from wattmesh_gateway.members import Member
from wattmesh_market.energy.slots import SLOT_S
from wattmesh_market.trade.contracts import ContractState, Side

MOST_CONTRACTS = 4_000
MOST_TRADES = 1_000
MOST_SHOWN = 100
"""Trades of each feeder in a snapshot."""
HEARD_S = 6.0
"""So long after the last word of a pod (wall time) grid time is taken to go on."""
MOST_LINES = 30_000
"""Messages and lines of the story, in all trades."""
MOST_READINGS = 96
RETOLD_SLOTS = 3
"""A reading may change for that long: what was bought stands in `imported` until the seller has reported."""

_OF_UTILITIES = {
    *("name", "currency", "slot", "price_micro_per_kwh", "next_price_micro_per_kwh", "grid_fee_micro_per_kwh"),
    "feed_in_micro_per_kwh",
}
"""What is said of them in public."""

Key = tuple[str, str, str]
"""A contract: transaction, buyer, seller."""
_ORDER = tuple(ContractState)


@dataclass
class _Pod:
    """How far a pod's page is known."""

    boot: str = ""
    number: int = 0
    newest_slot: int = 0
    open_purchases: frozenset[str] | None = None
    missed_gates: int = 0


@dataclass
class _Sides:
    """A contract as its two sides hold it, as far as they said."""

    buyer: LiveContract | None = None
    seller: LiveContract | None = None

    @property
    def slot(self) -> int:
        """The slot of the delivery."""
        return max(side.slot for side in (self.buyer, self.seller) if side is not None)

    def take(self, contract: LiveContract) -> bool:
        """Take a side's word; False when it was known."""
        name = "buyer" if contract.side is Side.BUYER else "seller"
        known = getattr(self, name) == contract
        setattr(self, name, contract)
        return not known

    def shown(self, key: Key) -> dict[str, Any]:
        """Both sides in one: the state is that of the side that is further."""
        sides = [side for side in (self.seller, self.buyer) if side is not None]
        first = max(sides, key=lambda side: _ORDER.index(side.state))
        return {
            "transaction_id": key[0],
            "buyer": key[1],
            "seller": key[2],
            **first.model_dump(include={"slot", "energy_wh", "amount_micro", "state", "delivered_wh", "settled_micro"}),
            "in_doubt": any(side.in_doubt for side in sides),
            "reason": next((side.reason for side in sides if side.reason), None),
            "created_ms": min(side.created_ms for side in sides),
        }


@dataclass
class _Changed:
    """What differs from what was told last."""

    parties: set[str] = field(default_factory=set)
    contracts: set[Key] = field(default_factory=set)
    trades: set[str] = field(default_factory=set)
    feeders: set[str] = field(default_factory=set)
    gone: set[str] = field(default_factory=set)
    missed: bool = False

    def __bool__(self) -> bool:
        return bool(self.parties or self.contracts or self.trades or self.feeders or self.gone or self.missed)


class Street:
    """Everybody's standing, the contracts of the last slots, the newest trades."""

    def __init__(self, gateway_id: str) -> None:
        self._gateway_id = gateway_id
        self._pods: dict[str, _Pod] = {}
        self._members: dict[str, tuple[str, Member]] = {}
        self._parties: dict[str, LiveParty] = {}
        self._reached: set[str] = set()
        self._readings: dict[str, OrderedDict[int, LiveReading]] = {}
        self._contracts: OrderedDict[Key, _Sides] = OrderedDict()
        self._trades: OrderedDict[str, Trade] = OrderedDict()
        self._lines = 0
        self._grid: tuple[Grid, float] | None = None
        self._history = History()
        self._public = PublicSums()
        self._changed = _Changed()

    # --- what comes in ---

    def enrol(self, pods: Mapping[str, Mapping[str, Member]]) -> bool:
        """Who is registered now; who is not any more is forgotten. Whether anybody came, left or moved."""
        members = {name: (pod, member) for pod, here in pods.items() for name, member in here.items()}
        for name in self._members.keys() - members.keys():
            self._parties.pop(name, None)
            self._readings.pop(name, None)
            self._reached.discard(name)
            self._changed.parties.discard(name)
            self._changed.gone.add(name)
        for name in members.keys() - self._members.keys():
            self._changed.gone.discard(name)
            self._changed.parties.add(name)
        moved = members != self._members
        if moved:
            self._history = History()
            self._changed.feeders.update(member.feeder for _, member in members.values())
        self._members = members
        self._pods = {pod: self._pods.get(pod, _Pod()) for pod in pods}
        return moved

    def wanted(self, pod: str) -> tuple[int, int]:
        """What to ask a pod for: happenings after this number, readings after this slot."""
        known = self._pods[pod]
        return known.number, max(0, known.newest_slot - RETOLD_SLOTS * SLOT_S)

    def learn(self, pod: str, page: LivePage, at: float) -> None:
        """Take over a pod's page, read at `at` (unix seconds)."""
        known = self._pods.get(pod)
        if known is None:
            return
        # A pod that has started anew counts anew: unless it was asked for all, it is so next time.
        known.number = page.number if page.boot == known.boot or not known.number else 0
        known.boot = page.boot
        here = {name for name, (where, _) in self._members.items() if where == pod}
        self._grid = (page.grid, at)
        for party in page.parties:
            if party.subscriber_id in here:
                self._learn_party(party)
        for name, rows in page.readings.items():
            if name in here:
                self._learn_readings(name, rows)
                known.newest_slot = max([known.newest_slot, *(row.slot for row in rows)])
        for contract in page.contracts:
            if contract.party in here:
                self._learn_contract(contract)
        for happening in page.happenings:
            self._learn_happening(happening, here)
        self._learn_open(known, None if page.open_purchases is None else frozenset(page.open_purchases))
        self._changed.missed |= page.missed_gates != known.missed_gates
        known.missed_gates = page.missed_gates
        self._forget_old(page.grid.now_s)

    def lost(self, pod: str) -> None:
        """A pod did not answer."""
        self._learn_open(self._pods[pod], None)
        for name, (where, _) in self._members.items():
            if where == pod and name in self._reached:
                self._reached.discard(name)
                self._changed.parties.add(name)
                self._changed.feeders.add(self._members[name][1].feeder)

    def wanted_history(self, pod: str) -> int | None:
        """The slot from which on a pod is to be asked for its history; None before it has said what time it is."""
        return None if self._grid is None else self._history.wanted(pod, self._grid[0].now_s)

    def learn_history(self, pod: str, page: HistoryPage) -> bool:
        """Take over a pod's history; whether it has more."""
        feeders = {member.feeder for where, member in self._members.values() if where == pod}
        more = self._history.learn(pod, page, feeders)
        self._changed.feeders |= feeders & page.feeders.keys()
        return more

    def _learn_open(self, pod: _Pod, purchases: frozenset[str] | None) -> None:
        """Which purchases are open; None where nobody says it any more."""
        before, pod.open_purchases = pod.open_purchases, purchases
        if before is None or purchases is None:
            self._changed.trades.update(() if before is purchases else self._trades)
        else:
            self._changed.trades.update((before ^ purchases) & self._trades.keys())

    def _learn_party(self, party: LiveParty) -> None:
        name = party.subscriber_id
        if self._parties.get(name) != party or name not in self._reached:
            self._parties[name] = party
            if name not in self._reached:
                self._reached.add(name)
                self._changed.feeders.add(self._members[name][1].feeder)
            self._changed.parties.add(name)

    def _learn_readings(self, name: str, rows: tuple[LiveReading, ...]) -> None:
        readings = self._readings.setdefault(name, OrderedDict())
        for row in rows:
            if readings.get(row.slot) != row:
                readings[row.slot] = row
                self._changed.parties.add(name)
        while len(readings) > MOST_READINGS:
            del readings[min(readings)]

    def _learn_contract(self, contract: LiveContract) -> None:
        key = _key(contract)
        sides = self._contracts.setdefault(key, _Sides())
        if not sides.take(contract):
            return
        self._changed.contracts.add(key)
        while len(self._contracts) > MOST_CONTRACTS:
            self._contracts.popitem(last=False)

    def _learn_happening(self, happening: LiveMessage | LiveStory, here: set[str]) -> None:
        if isinstance(happening, LiveStory):
            believed = happening.party in here
        else:
            believed = happening.sender in here or happening.recipient in here
        if not believed or not happening.transaction_id:
            return
        name = happening.transaction_id
        trade = self._trades.get(name)
        if trade is None:
            if isinstance(happening, LiveMessage) and happening.action in ("update", "on_update"):
                return  # no trade begins with it: a meter's reading, or the end of a trade that is forgotten
            trade = self._trades[name] = Trade(name, self._gateway_id)
        lines = len(trade)
        if trade.add(happening):
            self._changed.trades.add(name)
        self._lines += len(trade) - lines
        while len(self._trades) > MOST_TRADES or self._lines > MOST_LINES:
            self._lines -= len(self._trades.popitem(last=False)[1])

    def _forget_old(self, now_s: float) -> None:
        oldest = now_s - (SLOTS_BACK + 1) * SLOT_S
        old = [key for key, sides in self._contracts.items() if key[0] not in self._trades and sides.slot < oldest]
        for key in old:
            del self._contracts[key]

    # --- what goes out ---

    def snapshot(self, now: float) -> dict[str, Any]:
        """All of it, JSON-able, as of `now` (unix seconds): the newest trades of each feeder with their contracts, and
        all contracts of the last slots.
        """
        trades = self._newest_trades()
        shown = set(trades)
        oldest = 0.0 if self._grid is None else self._grid[0].now_s - (SLOTS_BACK + 1) * SLOT_S
        return {
            **self.time(now),
            "gateway": self._gateway_id,
            "slot_s": SLOT_S,
            "parties": [self._party(name) for name in sorted(self._members)],
            "contracts": [
                sides.shown(key)
                for key, sides in self._contracts.items()
                if key[0] in shown or sides.slot >= oldest or key[0] not in self._trades
            ],
            "trades": [self._summary(name) for name in trades],
            "feeders": self._today({member.feeder for _, member in self._members.values()}),
        }

    def public(self, now: float) -> dict[str, Any]:
        """What anybody may see, JSON-able, as of `now` (unix seconds): how many households there are, what utilities
        ask, and the sums of slots over all households together (`PublicSums`).
        """
        pods = {pod for name, (pod, _) in self._members.items() if name in self._reached}
        until = self._public.wants({pod: self._history.booked_until(pod) for pod in pods})
        feeders = {member.feeder for _, member in self._members.values()}
        if until is not None:
            self._public.take((self._history.rows(feeder) for feeder in feeders), until)
        utilities = [self._parties[name] for name in sorted(self._reached) if self._is_utility(name)]
        return {
            **self.time(now),
            "gateway": self._gateway_id,
            "slot_s": SLOT_S,
            "households": sum(not self._is_utility(name) for name in self._members),
            "utilities": [party.model_dump(include=_OF_UTILITIES) for party in utilities],
            "least": LEAST_SUMMED,
            "columns": HistoryRow._fields,
            "rows": self._public.rows,
        }

    def _is_utility(self, name: str) -> bool:
        return name in self._parties and self._parties[name].kind is PartyKind.UTILITY

    def changes(self, now: float) -> dict[str, Any] | None:
        """What is new since this was asked last, in the form of a snapshot; None when nothing is."""
        changed, self._changed = self._changed, _Changed()
        if not changed:
            return None
        return {
            **self.time(now),
            "parties": [self._party(name) for name in sorted(changed.parties & self._members.keys())],
            "contracts": [
                self._contracts[key].shown(key) for key in sorted(changed.contracts & self._contracts.keys())
            ],
            "trades": [self._summary(name) for name in sorted(changed.trades & self._trades.keys())],
            "feeders": self._today(changed.feeders),
            "gone": sorted(changed.gone),
        }

    def trade(self, transaction_id: str) -> dict[str, Any] | None:
        """The log of one transaction: messages and story in order, and its contracts."""
        contracts = [sides.shown(key) for key, sides in self._contracts.items() if key[0] == transaction_id]
        if transaction_id in self._trades:
            log, summary = self._trades[transaction_id].log(), self._summary(transaction_id)
        elif contracts:  # its messages are forgotten, or never were on a page
            log, summary = [], {"transaction_id": transaction_id, "buyer": contracts[0]["buyer"]}
        else:
            return None
        return {**summary, "gateway": self._gateway_id, "log": log, "contracts": contracts}

    def history(self, feeder: str) -> list[HistoryRow]:
        """The slots of a feeder's last days, oldest first."""
        return self._history.rows(feeder)

    def past(self, feeder: str, pages: Mapping[str, SlotPage]) -> dict[str, Any]:
        """One slot of a feeder as the books of these pods have it: readings by household, and contracts."""
        readings: dict[str, LiveReading] = {}
        contracts: dict[Key, _Sides] = {}
        members = {name: pod for name, (pod, member) in self._members.items() if member.feeder == feeder}
        for pod, page in pages.items():
            readings |= {name: reading for name, reading in page.readings.items() if members.get(name) == pod}
            for contract in page.contracts:
                if members.get(contract.party) == pod:
                    contracts.setdefault(_key(contract), _Sides()).take(contract)
        return {
            "readings": readings,
            "contracts": [sides.shown(key) for key, sides in sorted(contracts.items())],
            "unreached": sorted(name for name, pod in members.items() if pod not in pages),
        }

    def pods_on(self, feeder: str) -> list[str]:
        """The pods in which somebody lives on a feeder."""
        return sorted({where for where, member in self._members.values() if member.feeder == feeder})

    def _newest_trades(self) -> list[str]:
        """The newest of each feeder, by where their buyers live; those without a known one are together."""
        counts: Counter[str] = Counter()
        found = set()
        for name in reversed(self._trades):
            member = self._members.get(self._trades[name].buyer)
            feeder = member[1].feeder if member else ""
            counts[feeder] += 1
            if counts[feeder] <= MOST_SHOWN:
                found.add(name)
        return [name for name in self._trades if name in found]

    def _summary(self, name: str) -> dict[str, Any]:
        """Of a trade; `open` is whether its buyer still wants to buy in it, None where its pod does not say."""
        trade = self._trades[name]
        member = self._members.get(trade.buyer)
        purchases = self._pods[member[0]].open_purchases if member else None
        return {**trade.summary(), "open": None if purchases is None else name in purchases}

    def _today(self, feeders: Set[str]) -> dict[str, Any]:
        """Of each feeder the sums of its day, and `untold`: households that are not in all of them, as their pods do
        not answer or have not told their history yet.
        """
        offset_s = 0 if self._grid is None else self._grid[0].utc_offset_s
        untold = Counter(
            member.feeder
            for name, (pod, member) in self._members.items()
            if name not in self._reached or not self._history.told(pod)
        )
        days = {name: self._history.today(name, offset_s) for name in sorted(feeders)}
        return {name: None if day is None else {**day, "untold": untold[name]} for name, day in days.items()}

    def household(self, subscriber_id: str) -> dict[str, Any] | None:
        """One member with its readings, oldest first."""
        if subscriber_id not in self._members:
            return None
        readings = self._readings.get(subscriber_id) or OrderedDict()
        return {**self._party(subscriber_id), "readings": [readings[slot] for slot in sorted(readings)]}

    def _party(self, name: str) -> dict[str, Any]:
        member = self._members[name][1]
        party, readings = self._parties.get(name), self._readings.get(name)
        # Who it is and where is the registry's to say.
        return {
            **(party.model_dump() if party else {"name": name.partition(".")[0], "kind": PartyKind.HOUSEHOLD}),
            "subscriber_id": name,
            "feeder": member.feeder,
            "reached": name in self._reached,
            "last_reading": readings[max(readings)] if readings else None,
        }

    def time(self, now: float) -> dict[str, Any]:
        """Grid time at `now`, and how many trades were missed since the pods' start because the gate had closed.

        Where no pod has answered for `HEARD_S`, grid time stands where it was heard last and is not `running`.
        """
        missed = sum(pod.missed_gates for pod in self._pods.values())
        if self._grid is None:
            return {"grid": None, "missed": missed}
        grid, at = self._grid
        running = now - at <= HEARD_S
        now_s = grid.now_s + (now - at) * grid.speed if running else grid.now_s
        return {"grid": {**grid.model_dump(), "now_s": now_s, "running": running}, "missed": missed}


def _key(contract: LiveContract) -> Key:
    if contract.side is Side.BUYER:
        return contract.transaction_id, contract.party, contract.counterparty
    return contract.transaction_id, contract.counterparty, contract.party
