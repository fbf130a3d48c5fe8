"""From older schemas to today's: one step per version, each whole or not at all."""

from __future__ import annotations

import logging
import sqlite3
from pathlib import Path

from wattmesh_agents.store.schema import VERSION

log = logging.getLogger(__name__)

_TO_2 = """
-- Files of version 1 have this index in one of two forms.
DROP INDEX contracts_order;
CREATE UNIQUE INDEX contracts_order ON contracts (party, counterparty, order_id) WHERE order_id IS NOT NULL;
CREATE INDEX contracts_unagreed ON contracts (slot)
    WHERE order_id IS NULL AND state IN ('EXPIRED', 'CANCELLED');
CREATE INDEX contracts_ended ON contracts (updated_ms)
    WHERE order_id IS NOT NULL AND state IN ('EXPIRED', 'CANCELLED');
CREATE TEMP TABLE met AS SELECT subscriber_id, url FROM peers;
DROP TABLE peers;
CREATE TABLE peers (
    subscriber_id TEXT PRIMARY KEY,
    url TEXT NOT NULL,
    heard_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX peers_age ON peers (heard_ms);
INSERT INTO peers SELECT subscriber_id, url, 0 FROM met;
DROP TABLE met;
"""

_TO_3 = """
ALTER TABLE purchases ADD COLUMN searched_ms INTEGER;
ALTER TABLE contracts ADD COLUMN fee_micro INTEGER NOT NULL DEFAULT 0 CHECK (fee_micro BETWEEN 0 AND amount_micro);
ALTER TABLE contracts ADD COLUMN searched_ms INTEGER;
ALTER TABLE contracts ADD COLUMN confirmed_ms INTEGER;
CREATE TEMP TABLE booked AS SELECT * FROM ledger;
DROP TABLE ledger;
CREATE TABLE ledger (
    party TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('trade', 'backstop', 'grid_fee')),
    slot INTEGER NOT NULL,
    counterparty TEXT NOT NULL,
    reference TEXT NOT NULL,
    energy_wh INTEGER NOT NULL,
    amount_micro INTEGER NOT NULL,
    PRIMARY KEY (party, kind, slot, counterparty, reference)
) STRICT, WITHOUT ROWID;
INSERT INTO ledger SELECT * FROM booked;
DROP TABLE booked;
CREATE TABLE messages (
    party TEXT NOT NULL,
    action TEXT NOT NULL,
    sent INTEGER NOT NULL CHECK (sent >= 0),
    PRIMARY KEY (party, action)
) STRICT, WITHOUT ROWID;
"""

_TO_4 = """
-- The graph remembered here where a purchase waits; that is read from the books now.
DROP TABLE IF EXISTS checkpoints;
DROP TABLE IF EXISTS writes;
"""

STEPS = {1: _TO_2, 2: _TO_3, 3: _TO_4}
"""By the version that a step starts from. A step is never changed once it was released."""


def migrate(connection: sqlite3.Connection, path: Path | str) -> None:
    """Bring a database forward to today's schema. Killed in between it is whole, and of one version or the other."""
    (found,) = connection.execute("PRAGMA user_version").fetchone()
    for version in range(found, VERSION):
        try:
            connection.executescript(f"BEGIN IMMEDIATE; {STEPS[version]} PRAGMA user_version = {version + 1}; COMMIT;")
        except BaseException:
            connection.rollback()
            raise
    if found < VERSION:
        log.info("%s: brought from schema %d to %d", path, found, VERSION)
