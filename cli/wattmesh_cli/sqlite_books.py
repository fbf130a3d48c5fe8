"""Runtimes' SQLite databases → books. Reads only, while the runtimes write or after they stopped."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from wattmesh_agents.store.schema import APPLICATION_ID, FORMER_APPLICATION_ID, VERSION
from wattmesh_cli.books import (
    Account,
    Book,
    Carried,
    ChainLink,
    Checkpoint,
    Closing,
    ClosingRecord,
    ContractRow,
    Deletions,
    Forgetting,
    Held,
    LedgerEntry,
    Messages,
    Party,
    Reading,
    Reported,
)
from wattmesh_cli.state import AGENTS, StateError, agent_databases

_PARTIES = (
    "SELECT party, kind, capacity_wh, initial_level_wh, level_wh, first_slot, next_slot, carried_uwh FROM parties "
    "ORDER BY party"
)
_CONTRACTS = (
    "SELECT party, side, transaction_id, counterparty, item_id, slot, energy_wh, amount_micro, state, order_id, "
    "delivered_wh, settled_micro, in_doubt, reason, fee_micro, created_ms, searched_ms, confirmed_ms, "
    "offered_micro_per_kwh, offers, provider FROM contracts ORDER BY party, transaction_id, counterparty, slot"
)
_LEDGER = (
    "SELECT party, kind, slot, counterparty, reference, energy_wh, amount_micro FROM ledger "
    "ORDER BY party, kind, slot, counterparty, reference"
)
_READINGS = (
    "SELECT party, slot, level_before_wh, level_after_wh, capacity_wh, pv_wh, load_wh, bought_wh, sold_wh, "
    "imported_wh, exported_wh, losses_wh, state, covered_wh, carried_uwh, "
    "local_micro_per_kwh, stored_micro_per_kwh, estimated_wh, devices FROM readings ORDER BY party, slot"
)
_MESSAGES = "SELECT party, action, sent FROM messages ORDER BY party, action"
_REPORTED = (
    "SELECT party, slot, household, imported_wh, exported_wh, sold_wh, provisional, state FROM reported "
    "ORDER BY party, slot, household"
)
_HELD = (
    "SELECT party, slot, household, imported_wh, exported_wh, sold_wh, state FROM held ORDER BY party, slot, household"
)
_CLOSINGS = (
    "SELECT party, slot, sharing_key, seed, price_micro, tariff_micro, feed_in_micro, local_fee_micro, forgotten, "
    "number, nullif(lower(hex(salt)), '') FROM closings ORDER BY party, slot"
)
_ACCOUNTS = "SELECT party, account, opened_ms FROM accounts ORDER BY party"
_CLOSING_RECORDS = (
    "SELECT party, counterparty, account, until, entries, energy_wh, amount_micro, record, signature, public_key "
    "FROM closing_records ORDER BY party, counterparty, account"
)
_CHAIN = (
    "SELECT party, number, kind, slot, counterparty, reference, nullif(lower(hex(salt)), ''), "
    "nullif(lower(hex(commitment)), ''), lower(hex(head)) FROM chain ORDER BY party, number"
)
_CARRIED = (
    "SELECT party, counterparty, kind, until, entries, received_wh, given_wh, amount_micro, number, "
    "nullif(lower(hex(salt)), '') FROM carried ORDER BY party, counterparty, kind"
)
_DELETIONS = "SELECT party, number, lower(hex(salt)), without_entry, sums FROM deletions ORDER BY party"
_FORGETTINGS = "SELECT lower(hex(digest)), lower(hex(salt)), before FROM forgettings ORDER BY digest"
_CHECKPOINTS = (
    "SELECT party, signer, until, record, signature, public_key FROM checkpoints ORDER BY party, signer, until"
)

_NAMED = " UNION ".join(
    f"SELECT {column} FROM {table}"  # noqa: S608 - both from here
    for table, column in {
        "parties": "party",
        "contracts": "counterparty",
        "ledger": "counterparty",
        "reported": "household",
        "held": "household",
        "closing_records": "counterparty",
        "checkpoints": "signer",
        "carried": "counterparty",
    }.items()
)
"""All parties that a database says anything of."""

_LET_GO = "PRAGMA shrink_memory"
"""Frees what a connection keeps of its file, which nobody reads once more: a town has many files."""

_Opened = tuple[Path, sqlite3.Connection | None]


def read_books(state: Path) -> tuple[Book, ...]:
    """The books of a state directory, by pod name.

    Each is one moment of its runtime; the moments differ by as much as opening the files takes. StateError when the
    directory or a database is missing, damaged, another program's or of another schema.
    """
    with _opened(state) as databases:
        return _read_all(databases)


def read_markets(state: Path) -> Iterator[tuple[Book, ...]]:
    """The same books, those together whose parties have to do with each other, as on a feeder: one market after the
    other, so that no more than one need be in memory.
    """
    with _opened(state) as databases:
        for market in _markets(databases):
            yield _read_all(market)


@contextmanager
def _opened(state: Path) -> Iterator[list[_Opened]]:
    """All databases are opened first, so that the moments lie close together."""
    with ExitStack() as opened:
        yield [(path, opened.enter_context(_snapshot(path))) for path in agent_databases(state)]


def _markets(databases: Iterable[_Opened]) -> list[list[_Opened]]:
    """The databases that name the same parties, directly or by others between them."""
    markets: list[tuple[set[str], list[_Opened]]] = []
    for path, connection in databases:
        names, members = set[str](), [(path, connection)]
        if connection is not None:
            with _refusing(path):
                names.update(name for (name,) in connection.execute(_NAMED))
                connection.execute(_LET_GO)
        apart = []
        for market in markets:
            if names.isdisjoint(market[0]):
                apart.append(market)
            else:
                names |= market[0]
                members = market[1] + members
        markets = [*apart, (names, members)]
    return [members for _, members in markets]


def _read_all(databases: Iterable[_Opened]) -> tuple[Book, ...]:
    texts: dict[bytes, str] = {}

    def text(raw: bytes) -> str:
        """One object for all places where a text stands: a name or a transaction stands in dozens of rows."""
        return texts.get(raw) or texts.setdefault(raw, raw.decode())

    books = []
    for path, connection in databases:
        if connection is not None:
            connection.text_factory = text
        books.append(_read(path, connection))
    return tuple(books)


@contextmanager
def snapshots(state: Path) -> Iterator[list[sqlite3.Connection]]:
    """A connection to each database of a state directory, within a read transaction. StateError as above."""
    with ExitStack() as opened:
        connections = [opened.enter_context(_snapshot(path)) for path in agent_databases(state)]
        yield [connection for connection in connections if connection is not None]


def first_unmetered_slot(state: Path) -> int | None:
    """The first slot that no party has metered yet; None where there are no books. StateError as above."""
    with ExitStack() as opened:
        paths = sorted((state / AGENTS).glob("*.db"))
        connections = [connection for path in paths if (connection := opened.enter_context(_snapshot(path)))]
        reached = [one.execute("SELECT max(next_slot) FROM parties").fetchone()[0] for one in connections]
    return max((slot for slot in reached if slot is not None), default=None)


@contextmanager
def _snapshot(path: Path) -> Iterator[sqlite3.Connection | None]:
    """A connection within a read transaction; None for a database that its runtime has not set up yet."""
    with _refusing(path):
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
    try:
        with _refusing(path):
            connection.execute("BEGIN")
            # The first read takes the snapshot.
            tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
            application = connection.execute("PRAGMA application_id").fetchone()[0]
            version = connection.execute("PRAGMA user_version").fetchone()[0]
        if tables and application == FORMER_APPLICATION_ID:
            raise StateError(f"{path}: made by a wattmesh before its first release, which is not read; move it away")
        if tables and application != APPLICATION_ID:
            raise StateError(f"{path}: this is another program's database")
        if version > VERSION:
            raise StateError(f"{path}: made by a newer wattmesh (schema {version}; this one knows {VERSION})")
        if tables and version < VERSION:
            known = f"schema {version}; this one reads {VERSION}"
            raise StateError(f"{path}: made by an older wattmesh ({known}); `wattmesh up` brings it forward")
        yield connection if tables else None
    finally:
        connection.close()


def _read(path: Path, connection: sqlite3.Connection | None) -> Book:
    if connection is None:
        return Book(path.stem)
    with _refusing(path):
        book = Book(
            name=path.stem,
            parties=tuple(Party(*row) for row in connection.execute(_PARTIES)),
            contracts=tuple(_contract(row) for row in connection.execute(_CONTRACTS)),
            ledger=tuple(LedgerEntry(*row) for row in connection.execute(_LEDGER)),
            readings=tuple(Reading(*row) for row in connection.execute(_READINGS)),
            messages=tuple(Messages(*row) for row in connection.execute(_MESSAGES)),
            reported=tuple(_reported(row) for row in connection.execute(_REPORTED)),
            held=tuple(Held(*row) for row in connection.execute(_HELD)),
            closings=tuple(Closing(*row) for row in connection.execute(_CLOSINGS)),
            accounts=tuple(Account(*row) for row in connection.execute(_ACCOUNTS)),
            closing_records=tuple(ClosingRecord(*row) for row in connection.execute(_CLOSING_RECORDS)),
            chain=tuple(ChainLink(*row) for row in connection.execute(_CHAIN)),
            checkpoints=tuple(Checkpoint(*row) for row in connection.execute(_CHECKPOINTS)),
            carried=tuple(Carried(*row) for row in connection.execute(_CARRIED)),
            deletions=tuple(Deletions(*row) for row in connection.execute(_DELETIONS)),
            forgettings=tuple(Forgetting(*row) for row in connection.execute(_FORGETTINGS)),
        )
        connection.execute(_LET_GO)
        return book


def _contract(row: tuple[Any, ...]) -> ContractRow:
    values = list(row)
    values[12] = bool(row[12])
    return ContractRow(*values)


def _reported(row: tuple[Any, ...]) -> Reported:
    values = list(row)
    values[6] = bool(row[6])
    return Reported(*values)


@contextmanager
def _refusing(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise StateError(f"{path}: not a usable database ({error})") from None
