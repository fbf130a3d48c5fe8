"""The past from the books, for a live view: sums of each slot, and one slot in full.

The journal is read, not the state in memory, which lets go of what is over.
"""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from wattmesh_agents.live import LONGEST_REASON
from wattmesh_agents.pod import Pod
from wattmesh_common.pod_pages import MOST_HISTORY_SLOTS, HistoryPage, HistoryRow, LiveContract, LiveReading, SlotPage
from wattmesh_market.energy.slots import SLOT_S
from wattmesh_market.parties.household import Household
from wattmesh_market.trade.contracts import ContractState, Side
from wattmesh_market.trade.ledger import EntryKind

_HERE = "party IN (SELECT value FROM json_each(?))"
_FIRST = f"SELECT MIN(slot) FROM readings WHERE {_HERE} AND slot >= ?"  # noqa: S608 - constants of ours
_READINGS = (
    "SELECT slot, COUNT(*), SUM(pv_wh), SUM(load_wh), SUM(bought_wh + imported_wh - sold_wh - exported_wh), "  # noqa: S608
    "SUM(level_before_wh), SUM(level_after_wh), SUM(state <> 'booked') FROM readings "
    f"WHERE {_HERE} AND slot >= ? AND slot < ? GROUP BY slot ORDER BY slot"
)
_LEDGER = (
    "SELECT kind, slot, counterparty, energy_wh, amount_micro FROM ledger "
    "WHERE party = ? AND kind IN ('trade', 'shared', 'backstop', 'grid_fee') AND slot >= ? AND slot < ?"
)
_SLOT = (
    "SELECT party, slot, level_after_wh, pv_wh, load_wh, bought_wh, sold_wh, imported_wh, exported_wh FROM readings "  # noqa: S608
    f"WHERE {_HERE} AND slot = ?"
)
_CONTRACTS = (
    "SELECT party, side, transaction_id, counterparty, slot, energy_wh, amount_micro, state, in_doubt, delivered_wh, "  # noqa: S608
    f"settled_micro, reason, created_ms, updated_ms FROM contracts WHERE {_HERE} AND slot = ?"
)


def history_page(pod: Pod, since: int) -> HistoryPage:
    """The sums of the first slots from `since` (unix seconds) that all households here have metered."""
    households = _households(pod)
    metered = min((household.books.standing.next_slot for household in households), default=0)
    connection = pod.database.connection
    [first] = connection.execute(_FIRST, (_ids(households), since)).fetchone()
    if first is None or first >= metered:
        return HistoryPage(until=max(since, metered), more=False, feeders={})
    until = min(metered, first + MOST_HISTORY_SLOTS * SLOT_S)
    feeders: defaultdict[str, list[Household]] = defaultdict(list)
    for household in households:
        feeders[household.feeder].append(household)
    return HistoryPage(
        until=until,
        more=until < metered,
        feeders={name: _rows(connection, here, first, until) for name, here in feeders.items()},
    )


def slot_page(pod: Pod, slot: int) -> SlotPage:
    """Readings and contracts of one slot."""
    connection, here = pod.database.connection, json.dumps([party.id for party in pod.parties.values()])
    readings = connection.execute(_SLOT, (here, slot))
    return SlotPage(
        readings={party: LiveReading(*values) for party, *values in readings},
        contracts=tuple(_contract(row) for row in connection.execute(_CONTRACTS, (here, slot))),
    )


def _households(pod: Pod) -> list[Household]:
    return [party for party in pod.parties.values() if isinstance(party, Household)]


def _ids(households: Sequence[Household]) -> str:
    return json.dumps([household.id for household in households])


def _rows(
    connection: sqlite3.Connection, households: Sequence[Household], first: int, until: int
) -> tuple[HistoryRow, ...]:
    taken: defaultdict[int, int] = defaultdict(int)
    local: defaultdict[int, int] = defaultdict(int)
    saved: defaultdict[int, int] = defaultdict(int)
    for household in households:
        utilities = household.config.utilities
        entries = connection.execute(_LEDGER, (household.id, first, until))
        for kind, slot, counterparty, energy_wh, earned_micro in entries:
            taken[slot] += max(0, energy_wh)
            if kind == EntryKind.BACKSTOP:
                continue
            saved[slot] += earned_micro - household.supply_micro(slot, energy_wh)
            if kind == EntryKind.SHARED or (kind == EntryKind.TRADE and counterparty not in utilities):
                local[slot] += max(0, energy_wh)
    return tuple(
        HistoryRow(slot, count, pv, load, net, before, after, taken[slot], local[slot], saved[slot], unbooked)
        for slot, count, pv, load, net, before, after, unbooked in connection.execute(
            _READINGS, (_ids(households), first, until)
        )
    )


def _contract(row: Sequence[Any]) -> LiveContract:
    party, side, transaction_id, counterparty, slot, energy_wh, price_micro, state, in_doubt, *rest = row
    delivered_wh, settled_micro, reason, created_ms, updated_ms = rest
    return LiveContract(
        party=party,
        side=Side(side),
        transaction_id=transaction_id,
        counterparty=counterparty,
        slot=slot,
        energy_wh=energy_wh,
        amount_micro=price_micro,
        state=ContractState(state),
        in_doubt=bool(in_doubt),
        delivered_wh=delivered_wh,
        settled_micro=settled_micro,
        reason=reason and reason[:LONGEST_REASON],
        created_ms=created_ms,
        updated_ms=updated_ms,
    )
