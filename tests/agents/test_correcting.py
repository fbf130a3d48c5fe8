"""Corrections of readings that memory has let go of, of accounts that are closed, and at whom nothing is held."""

from __future__ import annotations

import pytest

from tests.world.clocks import StillClock
from tests.world.parties import EPOCH_S, FEES, FIRST_SLOT, GRID, household, utility
from tests.world.pod import Node
from wattmesh_agents.store.journal import table_rows, write
from wattmesh_market.energy.slots import DAY_S
from wattmesh_market.parties.books import Changes
from wattmesh_market.trade.ledger import EntryKind, Held, HeldState, LedgerEntry, Reported, ReportState
from wattmesh_market.trade.refusal import Refused

FLAT = "flat-0.default"
SLOT = FIRST_SLOT - 3 * DAY_S
"""Long out of memory."""


def holder() -> Node:
    """A utility that has billed an estimate of 300 Wh three days ago."""
    node = Node(utility(tariff=FEES), StillClock(EPOCH_S))
    changes = Changes()
    changes.held[SLOT, FLAT] = Held(SLOT, FLAT, "t-1", 60_000, 0, 0, HeldState.ESTIMATED)
    changes.reported[SLOT, FLAT] = Reported(SLOT, FLAT, "t-1", 300, 0, 0, False, ReportState.ALONE)
    changes.ledger.append(LedgerEntry(EntryKind.BACKSTOP, SLOT, FLAT, "supply", -300, 111_000))
    with node.database.transaction("before") as connection:
        write(connection, GRID, "utility", changes)
    return node


def test_what_memory_has_let_go_of_is_corrected_by_the_journal() -> None:
    node = holder()
    assert SLOT not in node.party.books.reported
    node.driver.correct(node.member, FLAT, SLOT, 100)
    [held] = table_rows(node.database.connection, "held")
    assert held["state"] == "corrected"
    entries = {row["reference"]: row for row in table_rows(node.database.connection, "ledger")}
    assert (entries["correction"]["energy_wh"], entries["correction"]["amount_micro"]) == (200, -74_000)
    assert [one.recipient for one in node.posted] == [FLAT]


def test_an_account_that_is_closed_is_not_corrected() -> None:
    node = holder()
    row = (GRID, FLAT, "account", SLOT + 1, 1, 300, -111_000, "", "", "")
    with node.database.transaction("closing") as connection:
        connection.execute("INSERT INTO closing_records VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
    with pytest.raises(Refused, match="has closed its account of that slot"):
        node.driver.correct(node.member, FLAT, SLOT, 100)
    assert [row["reference"] for row in table_rows(node.database.connection, "ledger")] == ["supply"]


def test_only_a_utility_corrects() -> None:
    node = Node(household("flat-0"), StillClock(EPOCH_S))
    with pytest.raises(Refused, match="only a utility holds meter readings"):
        node.driver.correct(node.member, FLAT, SLOT, 100)
