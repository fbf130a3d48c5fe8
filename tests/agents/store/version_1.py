"""A database of schema version 1, as the first release wrote it, with a street's business in the middle."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

ORDER_INDEXES = (
    "CREATE UNIQUE INDEX contracts_order ON contracts (party, order_id) WHERE order_id IS NOT NULL",
    "CREATE UNIQUE INDEX contracts_order ON contracts (party, counterparty, order_id) WHERE order_id IS NOT NULL",
)
"""The two forms that files of version 1 have."""

TABLES = """
CREATE TABLE meta (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;

-- Who lives here. level_wh is the stored energy at the start of next_slot, the first slot not metered yet.
CREATE TABLE parties (
    party TEXT PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('household', 'utility')),
    capacity_wh INTEGER NOT NULL CHECK (capacity_wh >= 0),
    initial_level_wh INTEGER NOT NULL CHECK (initial_level_wh >= 0),
    level_wh INTEGER NOT NULL CHECK (level_wh >= 0),
    first_slot INTEGER NOT NULL,
    next_slot INTEGER NOT NULL,
    buying INTEGER NOT NULL DEFAULT 0 CHECK (buying IN (0, 1))
) STRICT;

-- Buyer or seller for a slot, never both: whoever writes first has decided.
CREATE TABLE roles (
    party TEXT NOT NULL,
    slot INTEGER NOT NULL,
    role TEXT NOT NULL CHECK (role IN ('buyer', 'seller', 'neither')),
    PRIMARY KEY (party, slot)
) STRICT, WITHOUT ROWID;

-- A buyer's transactions: one search and what came of it.
CREATE TABLE purchases (
    party TEXT NOT NULL,
    transaction_id TEXT NOT NULL,
    slot INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    need_wh INTEGER NOT NULL CHECK (need_wh > 0),
    max_price_micro INTEGER,
    asked INTEGER,
    closed INTEGER NOT NULL DEFAULT 0 CHECK (closed IN (0, 1)),
    PRIMARY KEY (party, transaction_id),
    UNIQUE (party, slot, attempt)
) STRICT, WITHOUT ROWID;

CREATE TABLE offers (
    party TEXT NOT NULL,
    transaction_id TEXT NOT NULL,
    seller TEXT NOT NULL,
    item_id TEXT NOT NULL,
    price_micro INTEGER NOT NULL CHECK (price_micro >= 0),
    available_wh INTEGER NOT NULL CHECK (available_wh >= 0),
    selected_wh INTEGER,
    outcome TEXT NOT NULL DEFAULT 'open' CHECK (outcome IN ('open', 'selected', 'quoted', 'failed')),
    PRIMARY KEY (party, transaction_id, seller)
) STRICT, WITHOUT ROWID;

CREATE TABLE contracts (
    party TEXT NOT NULL,
    side TEXT NOT NULL CHECK (side IN ('buyer', 'seller')),
    transaction_id TEXT NOT NULL,
    counterparty TEXT NOT NULL,
    item_id TEXT NOT NULL,
    slot INTEGER NOT NULL,
    energy_wh INTEGER NOT NULL CHECK (energy_wh > 0),
    amount_micro INTEGER NOT NULL CHECK (amount_micro >= 0),
    state TEXT NOT NULL,
    expires_ms INTEGER NOT NULL,
    created_ms INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL,
    order_id TEXT,
    delivered_wh INTEGER CHECK (delivered_wh BETWEEN 0 AND energy_wh),
    settled_micro INTEGER CHECK (settled_micro BETWEEN 0 AND amount_micro),
    in_doubt INTEGER NOT NULL DEFAULT 0 CHECK (in_doubt IN (0, 1)),
    reason TEXT,
    PRIMARY KEY (party, transaction_id, counterparty)
) STRICT, WITHOUT ROWID;
CREATE INDEX contracts_open ON contracts (party, side, state);
CREATE INDEX contracts_slot ON contracts (party, slot);

-- What is booked. energy_wh and amount_micro are signed: energy received and money earned are positive.
CREATE TABLE ledger (
    party TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('trade', 'backstop')),
    slot INTEGER NOT NULL,
    counterparty TEXT NOT NULL,
    reference TEXT NOT NULL,
    energy_wh INTEGER NOT NULL,
    amount_micro INTEGER NOT NULL,
    PRIMARY KEY (party, kind, slot, counterparty, reference)
) STRICT, WITHOUT ROWID;

-- One row per household and slot. bought_wh counts what is booked; what is bought but not booked yet stands in
-- imported_wh until the seller has said what it delivered. state: open, final (reported to the backstop), booked.
CREATE TABLE readings (
    party TEXT NOT NULL,
    slot INTEGER NOT NULL,
    level_before_wh INTEGER NOT NULL,
    level_after_wh INTEGER NOT NULL,
    capacity_wh INTEGER NOT NULL,
    pv_wh INTEGER NOT NULL,
    load_wh INTEGER NOT NULL,
    bought_wh INTEGER NOT NULL,
    sold_wh INTEGER NOT NULL,
    imported_wh INTEGER NOT NULL CHECK (imported_wh >= 0),
    exported_wh INTEGER NOT NULL CHECK (exported_wh >= 0),
    losses_wh INTEGER NOT NULL CHECK (losses_wh >= 0),
    state TEXT NOT NULL CHECK (state IN ('open', 'final', 'booked')),
    PRIMARY KEY (party, slot)
) STRICT, WITHOUT ROWID;
CREATE INDEX readings_unbooked ON readings (party, state) WHERE state <> 'booked';

CREATE TABLE inbox (
    party TEXT NOT NULL,
    sender TEXT NOT NULL,
    message_id TEXT NOT NULL,
    action TEXT NOT NULL,
    status INTEGER NOT NULL,
    answer BLOB NOT NULL,
    keep_until_ms INTEGER NOT NULL,
    PRIMARY KEY (party, sender, message_id, action)
) STRICT, WITHOUT ROWID;
CREATE INDEX inbox_age ON inbox (keep_until_ms);

-- Messages to send; a row goes when the other side has answered or its time is over.
CREATE TABLE outbox (
    party TEXT NOT NULL,
    message_id TEXT NOT NULL,
    action TEXT NOT NULL,
    recipient TEXT NOT NULL,
    transaction_id TEXT NOT NULL,
    body BLOB NOT NULL,
    expires_ms INTEGER NOT NULL,
    PRIMARY KEY (party, message_id, action, recipient)
) STRICT, WITHOUT ROWID;

-- Where others said in the registry that they live, when they were last heard.
CREATE TABLE peers (
    subscriber_id TEXT PRIMARY KEY,
    url TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE timers (
    party TEXT NOT NULL,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    due_ms INTEGER NOT NULL,
    PRIMARY KEY (party, kind, subject)
) STRICT, WITHOUT ROWID;
"""
_CHECKPOINTS = """
CREATE TABLE checkpoints (
    thread_id TEXT NOT NULL, checkpoint_ns TEXT NOT NULL DEFAULT '', checkpoint_id TEXT NOT NULL,
    parent_checkpoint_id TEXT, type TEXT, checkpoint BLOB, metadata BLOB,
    PRIMARY KEY (thread_id, checkpoint_ns, checkpoint_id)
);
CREATE TABLE writes (
    thread_id TEXT NOT NULL, checkpoint_ns TEXT NOT NULL DEFAULT '', checkpoint_id TEXT NOT NULL,
    task_id TEXT NOT NULL, task_path TEXT NOT NULL DEFAULT '', idx INTEGER NOT NULL, channel TEXT NOT NULL,
    type TEXT, value BLOB, PRIMARY KEY (thread_id, checkpoint_ns, checkpoint_id, task_id, idx)
);
"""


def write_version_1(path: Path, rows_of: sqlite3.Connection, order_index: str = ORDER_INDEXES[0]) -> None:
    """Make a file of version 1 with the rows of a database of today, without what version 1 did not know."""
    write_version(path, rows_of, 1, f"{TABLES} {order_index};")


def write_version(path: Path, rows_of: sqlite3.Connection, version: int, schema: str) -> None:
    """Make a file with the rows of a database of today, as far as an older version's tables have room for them."""
    with closing(sqlite3.connect(path, isolation_level=None)) as file:
        file.execute("PRAGMA journal_mode = WAL")
        file.executescript(f"{schema} {_CHECKPOINTS} PRAGMA application_id = {0x574D4147};")
        file.execute("BEGIN")
        file.execute("INSERT INTO checkpoints VALUES ('buy/home-0/t', '', 'c-1', NULL, 'msgpack', x'80', x'7b7d')")
        file.execute("INSERT INTO writes VALUES ('buy/home-0/t', '', 'c-1', 'n-1', '', 0, 'w', 'msgpack', x'80')")
        known = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT IN ('checkpoints', 'writes')"
        tables = [name for (name,) in file.execute(known)]
        for table in tables:
            columns = [name for _, name, *_ in file.execute(f"PRAGMA table_info({table})")]
            query = f"INSERT INTO {table} VALUES ({', '.join('?' * len(columns))})"  # noqa: S608
            file.executemany(query, rows_of.execute(f"SELECT {', '.join(columns)} FROM {table}"))  # noqa: S608
        file.execute(f"PRAGMA user_version = {version}")
        file.execute("COMMIT")
