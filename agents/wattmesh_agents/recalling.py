"""Bringing back from the disk what memory has let go of and an old message is about, before it is acted on."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from wattmesh_agents.store import journal
from wattmesh_market.energy.slots import DAY_S, SLOT_S
from wattmesh_market.parties.books import REMEMBERED_S, Changes
from wattmesh_market.parties.party import Party
from wattmesh_market.parties.restoring import Signed, parts_of
from wattmesh_market.parties.terms import Known, known
from wattmesh_market.parties.utility import LIKE_DAYS
from wattmesh_market.trade.messages import (
    Call,
    HeldReading,
    Offers,
    PricedReading,
    Quote,
    ReportReading,
    Search,
    Select,
)

_ABOUT_NO_CONTRACT = Search | Offers | Select | Quote | PricedReading | HeldReading
"""Nothing of these is about a contract of long ago."""


def known_of(connection: sqlite3.Connection, party: Party, transaction_id: str, sender: str) -> Known | None:
    """What a party has with a sender in a transaction, for what a message leaves out."""
    found = known(party, transaction_id, sender)
    if found is None:
        _contracts(connection, party, transaction_id)
        found = known(party, transaction_id, sender)
    return found


def for_call(connection: sqlite3.Connection, party: Party, call: Call) -> None:
    """Before a message is acted on."""
    books = party.books
    for part in parts_of(call.message):
        if isinstance(part, ReportReading):
            _supply(connection, party, call.sender, part.slot)
        elif not isinstance(part, _ABOUT_NO_CONTRACT) and books.contract(call.transaction_id, call.sender) is None:
            _contracts(connection, party, call.transaction_id)
    books.changes = Changes()


def for_restoring(connection: sqlite3.Connection, party: Party, signed: Sequence[Signed]) -> None:
    """Before a party takes over what it has signed itself."""
    told = PricedReading | HeldReading
    for one in signed:
        if isinstance(one.message, told):
            _supply(connection, party, one.to, one.message.reading.slot)
    for transaction_id in dict.fromkeys(one.transaction_id for one in signed if not isinstance(one.message, told)):
        _contracts(connection, party, transaction_id)
    party.books.changes = Changes()


def for_decision(connection: sqlite3.Connection, party: Party, household: str, slots: Sequence[int]) -> None:
    """Before a utility acts on what a person says of readings of a household: those, and what they are judged by."""
    for slot in slots:
        before = [slot - days * DAY_S for days in range(1, LIKE_DAYS + 1)]
        for at in (slot, slot - SLOT_S, slot + SLOT_S, *before):
            _supply(connection, party, household, at)
    party.books.changes = Changes()


def for_correction(connection: sqlite3.Connection, party: Party, household: str, slot: int) -> None:
    """Before a utility corrects a reading of a household."""
    _supply(connection, party, household, slot)
    party.books.changes = Changes()


def _contracts(connection: sqlite3.Connection, party: Party, transaction_id: str) -> None:
    books = party.books
    for contract in journal.recall_contracts(connection, party.id, transaction_id):
        if books.contract(*contract.key) is None:
            books.put(contract)
    books.changes = Changes()


def _supply(connection: sqlite3.Connection, party: Party, household: str, slot: int) -> None:
    old = slot < party.now.slot - REMEMBERED_S
    if old and household not in party.books.reported.get(slot, ()):
        journal.recall_supply(connection, party.books, party.id, household, slot)
