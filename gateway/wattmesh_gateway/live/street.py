"""The street as its pods tell it, merged. Pure: pages go in, what changed comes out.

A pod is believed about those who are registered at it and about nobody else: about their standing, their side of a
contract, their messages. All of it is bounded; what is oldest is forgotten.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from wattmesh_common.pod_pages import (
    SLOTS_BACK,
    Grid,
    LiveContract,
    LiveMessage,
    LivePage,
    LiveParty,
    LiveReading,
    LiveStory,
    PartyKind,
)
from wattmesh_gateway.live.trades import Trade
from wattmesh_gateway.members import Member
from wattmesh_market.energy.slots import SLOT_S
from wattmesh_market.trade.contracts import ContractState, Side

MOST_CONTRACTS = 4_000
MOST_TRADES = 1_000
MOST_SHOWN = 500
"""In a snapshot."""
MOST_LINES = 30_000
"""Messages and lines of the story, in all trades."""
MOST_READINGS = 96
RETOLD_SLOTS = 3
"""A reading may change for that long: what was bought stands in `imported` until the seller has reported."""

Key = tuple[str, str, str]
"""A contract: transaction, buyer, seller."""
_ORDER = tuple(ContractState)


@dataclass
class _Pod:
    """How far a pod's page is known."""

    boot: str = ""
    number: int = 0
    newest_slot: int = 0


@dataclass
class _Sides:
    """A contract as its two sides hold it, as far as they said."""

    buyer: LiveContract | None = None
    seller: LiveContract | None = None

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
    gone: set[str] = field(default_factory=set)

    def __bool__(self) -> bool:
        return bool(self.parties or self.contracts or self.trades or self.gone)


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
        self._changed = _Changed()

    # --- what comes in ---

    def enrol(self, pods: Mapping[str, Mapping[str, Member]]) -> None:
        """Who is registered now; who is not any more is forgotten."""
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
        self._members = members
        self._pods = {pod: self._pods.get(pod, _Pod()) for pod in pods}

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
        self._forget_old(page.grid.now_s)

    def lost(self, pod: str) -> None:
        """A pod did not answer."""
        for name, (where, _) in self._members.items():
            if where == pod and name in self._reached:
                self._reached.discard(name)
                self._changed.parties.add(name)

    def _learn_party(self, party: LiveParty) -> None:
        name = party.subscriber_id
        if self._parties.get(name) != party or name not in self._reached:
            self._parties[name] = party
            self._reached.add(name)
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
        buys = contract.side is Side.BUYER
        pair = (contract.party, contract.counterparty) if buys else (contract.counterparty, contract.party)
        key = (contract.transaction_id, *pair)
        sides = self._contracts.setdefault(key, _Sides())
        if (sides.buyer if buys else sides.seller) == contract:
            return
        setattr(sides, contract.side, contract)
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
        old = [key for key, sides in self._contracts.items() if key[0] not in self._trades and _slot(sides) < oldest]
        for key in old:
            del self._contracts[key]

    # --- what goes out ---

    def snapshot(self, now: float) -> dict[str, Any]:
        """All of it, JSON-able, as of `now` (unix seconds)."""
        return {
            **self._time(now),
            "gateway": self._gateway_id,
            "slot_s": SLOT_S,
            "parties": [self._party(name) for name in sorted(self._members)],
            "contracts": [sides.shown(key) for key, sides in self._contracts.items()][-MOST_SHOWN:],
            "trades": [trade.summary() for trade in self._trades.values()][-MOST_SHOWN:],
        }

    def changes(self, now: float) -> dict[str, Any] | None:
        """What is new since this was asked last, in the form of a snapshot; None when nothing is."""
        changed, self._changed = self._changed, _Changed()
        if not changed:
            return None
        return {
            **self._time(now),
            "parties": [self._party(name) for name in sorted(changed.parties & self._members.keys())],
            "contracts": [
                self._contracts[key].shown(key) for key in sorted(changed.contracts & self._contracts.keys())
            ],
            "trades": [self._trades[name].summary() for name in sorted(changed.trades & self._trades.keys())],
            "gone": sorted(changed.gone),
        }

    def trade(self, transaction_id: str) -> dict[str, Any] | None:
        """The log of one transaction: messages and story in order, and its contracts."""
        trade = self._trades.get(transaction_id)
        if trade is None:
            return None
        contracts = [sides.shown(key) for key, sides in self._contracts.items() if key[0] == transaction_id]
        return {**trade.summary(), "gateway": self._gateway_id, "log": trade.log(), "contracts": contracts}

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

    def _time(self, now: float) -> dict[str, Any]:
        if self._grid is None:
            return {"grid": None}
        grid, at = self._grid
        return {"grid": {**grid.model_dump(), "now_s": grid.now_s + (now - at) * grid.speed}}


def _slot(sides: _Sides) -> int:
    return max(side.slot for side in (sides.buyer, sides.seller) if side is not None)
