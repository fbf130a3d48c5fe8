"""The tables of a runtime's journal.

Energy is in Wh, money in millionths of the currency, `slot` is the slot's start in unix seconds of grid time, `_ms` is
milliseconds of wall time. `party` is the subscriber id of the household or utility that a row belongs to.
"""

from __future__ import annotations

from wattmesh_agents.store.chain import chain_all
from wattmesh_agents.store.deletions import seal_all
from wattmesh_common.sqlite_files import Step

APPLICATION_ID = 0x574D4A4E
"""Marks a file as a wattmesh agents' journal ("WMJN")."""
FORMER_APPLICATION_ID = 0x574D4147
"""Marked the databases that were written before there was a journal; nothing in them is taken over."""
LEDGER_TABLES = ("parties", "contracts", "readings", "ledger", "roles", "messages", "reported", "closings", "held")
"""What is traded, metered, shared and booked."""
AUDITED_TABLES = (
    *LEDGER_TABLES,
    "accounts",
    "closing_records",
    "chain",
    "checkpoints",
    "carried",
    "deletions",
    "forgettings",
)
"""What an audit reads."""

_LEDGER = """
CREATE TABLE ledger (
    party TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('trade', 'backstop', 'shared', 'grid_fee')),
    slot INTEGER NOT NULL,
    counterparty TEXT NOT NULL,
    reference TEXT NOT NULL,
    energy_wh INTEGER NOT NULL,
    amount_micro INTEGER NOT NULL,
    PRIMARY KEY (party, kind, slot, counterparty, reference)
) STRICT, WITHOUT ROWID;
"""
_SHARING_OF_2 = """
-- What a utility's customers reported of a slot first. state: waiting (for the closing), closed (priced in it), alone
-- (priced by itself, unshared). provisional: something was in doubt, and the last word is still to come.
CREATE TABLE reported (
    party TEXT NOT NULL,
    slot INTEGER NOT NULL,
    household TEXT NOT NULL,
    transaction_id TEXT NOT NULL,
    imported_wh INTEGER NOT NULL CHECK (imported_wh >= 0),
    exported_wh INTEGER NOT NULL CHECK (exported_wh >= 0),
    sold_wh INTEGER NOT NULL CHECK (sold_wh >= 0),
    provisional INTEGER NOT NULL CHECK (provisional IN (0, 1)),
    state TEXT NOT NULL CHECK (state IN ('waiting', 'closed', 'alone')),
    PRIMARY KEY (party, slot, household)
) STRICT, WITHOUT ROWID;

-- How a utility shared a slot, once, among the readings of it that are closed; prices are per kWh.
-- price_micro is NULL where feed-in paid more than any neighbour could.
CREATE TABLE closings (
    party TEXT NOT NULL,
    slot INTEGER NOT NULL,
    sharing_key TEXT NOT NULL CHECK (sharing_key IN ('proRata', 'equal')),
    seed INTEGER NOT NULL,
    price_micro INTEGER CHECK (price_micro >= 0),
    tariff_micro INTEGER NOT NULL CHECK (tariff_micro >= 0),
    feed_in_micro INTEGER NOT NULL CHECK (feed_in_micro >= 0),
    local_fee_micro INTEGER NOT NULL CHECK (local_fee_micro >= 0),
    PRIMARY KEY (party, slot)
) STRICT, WITHOUT ROWID;
"""
_FORGOTTEN = "forgotten INTEGER NOT NULL DEFAULT 0 CHECK (forgotten >= 0)"
"""How many readings that a slot was closed with were of households that were forgotten since."""
_NUMBER, _SALT = "number INTEGER CHECK (number > 0)", "salt BLOB CHECK (length(salt) = 16)"
"""Which entry of the party's chain commits to the row, and its salt; NULL: none, as where there is no account."""
_SHARING = _SHARING_OF_2.replace(
    "CHECK (local_fee_micro >= 0),\n",
    f"CHECK (local_fee_micro >= 0),\n    {_FORGOTTEN},\n    {_NUMBER},\n    {_SALT},\n",
)
_ACCOUNTS = """
-- Since when (wall time; 0: not known) a party has this ledger. account is an id that no other ledger has.
CREATE TABLE accounts (
    party TEXT PRIMARY KEY,
    account TEXT NOT NULL,
    opened_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What a counterparty that has left says it had booked with a party, in all, before the slot `until`; energy received
-- and money earned by the counterparty are positive. record, signature and public_key are the evidence.
CREATE TABLE closing_records (
    party TEXT NOT NULL,
    counterparty TEXT NOT NULL,
    account TEXT NOT NULL,
    until INTEGER NOT NULL,
    entries INTEGER NOT NULL,
    energy_wh INTEGER NOT NULL,
    amount_micro INTEGER NOT NULL,
    record TEXT NOT NULL,
    signature TEXT NOT NULL,
    public_key TEXT NOT NULL,
    PRIMARY KEY (party, counterparty, account)
) STRICT, WITHOUT ROWID;
"""
_EVIDENCE = """
-- What a counterparty has signed that moved a contract on and commits it; see evidence.py. It goes with the contract.
CREATE TABLE evidence (
    party TEXT NOT NULL,
    transaction_id TEXT NOT NULL,
    counterparty TEXT NOT NULL,
    action TEXT NOT NULL,
    received_ms INTEGER NOT NULL,
    signed BLOB NOT NULL
) STRICT;
CREATE INDEX evidence_contract ON evidence (party, transaction_id, counterparty);
CREATE TRIGGER evidence_goes AFTER DELETE ON contracts
WHEN NOT EXISTS (
    SELECT 1 FROM contracts WHERE party = OLD.party AND transaction_id = OLD.transaction_id
    AND counterparty = OLD.counterparty
)
BEGIN
    DELETE FROM evidence WHERE party = OLD.party AND transaction_id = OLD.transaction_id
    AND counterparty = OLD.counterparty;
END;
"""
_CHAIN = """
-- The hash chain over a ledger, in the order of booking; see chain.py. head is the hash after the entry. Of an entry
-- that was deleted, commitment is left: what names it, and its salt, are gone.
CREATE TABLE chain (
    party TEXT NOT NULL,
    number INTEGER NOT NULL CHECK (number > 0),
    kind TEXT,
    slot INTEGER,
    counterparty TEXT,
    reference TEXT,
    salt BLOB CHECK (length(salt) = 16),
    commitment BLOB CHECK (length(commitment) = 32),
    head BLOB NOT NULL CHECK (length(head) = 32),
    PRIMARY KEY (party, number),
    CHECK ((salt IS NULL) <> (commitment IS NULL))
) STRICT, WITHOUT ROWID;

-- What signer has signed of its chain after the day of grid time that ended with until, as party was given it; a party
-- has its own, too. record, signature and public_key are the evidence.
CREATE TABLE checkpoints (
    party TEXT NOT NULL,
    signer TEXT NOT NULL,
    until INTEGER NOT NULL,
    record TEXT NOT NULL,
    signature TEXT NOT NULL,
    public_key TEXT NOT NULL,
    PRIMARY KEY (party, signer, until)
) STRICT, WITHOUT ROWID;

CREATE INDEX chain_slot ON chain (party, slot) WHERE slot IS NOT NULL;

-- Who is still to be given a party's own.
CREATE TABLE checkpoints_due (
    party TEXT NOT NULL,
    until INTEGER NOT NULL,
    recipient TEXT NOT NULL,
    PRIMARY KEY (party, until, recipient)
) STRICT, WITHOUT ROWID;
"""
_CARRIED_OF_7 = """
-- What a party has booked with another for slots before until, of which the rows are deleted; see retention.py.
CREATE TABLE carried (
    party TEXT NOT NULL,
    counterparty TEXT NOT NULL,
    kind TEXT NOT NULL,
    until INTEGER NOT NULL,
    entries INTEGER NOT NULL,
    received_wh INTEGER NOT NULL CHECK (received_wh >= 0),
    given_wh INTEGER NOT NULL CHECK (given_wh >= 0),
    amount_micro INTEGER NOT NULL,
    PRIMARY KEY (party, counterparty, kind)
) STRICT, WITHOUT ROWID;
"""
_CARRIED_FORWARD = _CARRIED_OF_7.replace("    PRIMARY KEY", f"    {_NUMBER},\n    {_SALT},\n    PRIMARY KEY")
_DELETIONS = """
-- The last entry of a party's chain that says what was deleted: how many rows of the chain are without their entries,
-- itself among them, and the entries, as a JSON list, that commit to the sums carried forward; see deletions.py.
CREATE TABLE deletions (
    party TEXT PRIMARY KEY,
    number INTEGER NOT NULL CHECK (number > 0),
    salt BLOB NOT NULL CHECK (length(salt) = 16),
    without_entry INTEGER NOT NULL CHECK (without_entry > 0),
    sums TEXT NOT NULL CHECK (json_valid(sums))
) STRICT, WITHOUT ROWID;
CREATE INDEX closings_unsealed ON closings (party, slot) WHERE forgotten > 0 AND number IS NULL;

-- Whom the pod was told to forget, by a salted hash of the id, and of the time before which slot. So an audit tells it
-- when books that were restored from an older copy name it again.
CREATE TABLE forgettings (
    digest BLOB PRIMARY KEY CHECK (length(digest) = 32),
    salt BLOB NOT NULL CHECK (length(salt) = 16),
    before INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
"""
_RANDOM_UUID = (
    "lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4' || substr(hex(randomblob(2)), 2) || '-a' || "
    "substr(hex(randomblob(2)), 2) || '-' || hex(randomblob(6)))"
)
VERSION = 15
"""Raised with every change of TABLES; `MIGRATIONS` then has the step that leads to it, with a test of its own."""
_CARRIED = "carried_uwh INTEGER NOT NULL DEFAULT 0 CHECK (carried_uwh BETWEEN 0 AND 999999)"
_COVERED = "covered_wh INTEGER NOT NULL DEFAULT 0 CHECK (covered_wh BETWEEN 0 AND sold_wh)"
_LOCAL = "local_micro_per_kwh INTEGER NOT NULL DEFAULT 0"
_STORED = "stored_micro_per_kwh INTEGER NOT NULL DEFAULT 0"
_SUN = "sun_wh INTEGER NOT NULL DEFAULT 0 CHECK (sun_wh BETWEEN 0 AND energy_wh)"
_PROVIDER = "provider TEXT"
"""Whose energy it is where the seller is a platform; NULL: the seller's own."""
_SAID = "said BLOB"
"""A digest of what the message said; NULL: not known."""
_DEVICES = "devices TEXT CHECK (devices IS NULL OR json_valid(devices))"
"""What each device took whose window the slot lies in, as a JSON list; NULL: there is none."""
_VEHICLE = "vehicle_wh INTEGER NOT NULL DEFAULT 0 CHECK (vehicle_wh BETWEEN 0 AND level_wh)"
_PROTOCOLS = "protocols TEXT NOT NULL DEFAULT 'v1'"
_READINGS_OF_6 = f"""
-- One row per household and slot. bought_wh counts what is booked; what is bought but not booked yet stands in
-- imported_wh until the seller has said what it delivered. state: open, final (reported to the backstop), held (there,
-- for a person), booked. estimated_wh: the net import that was billed in place of what was metered.
-- Of what was sold, covered_wh came from the backstop; carried_uwh is stored beyond level_after_wh. What a plan thinks
-- a kWh is worth: local_micro_per_kwh of neighbours, without fee, stored_micro_per_kwh in the store. devices: of
-- load_wh, what each device took whose window the slot lies in, and what it still needs in it.
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
    state TEXT NOT NULL CHECK (state IN ('open', 'final', 'held', 'booked')),
    {_COVERED},
    {_CARRIED},
    {_LOCAL},
    {_STORED},
    estimated_wh INTEGER,
    PRIMARY KEY (party, slot)
) STRICT, WITHOUT ROWID;
CREATE INDEX readings_unbooked ON readings (party, state) WHERE state <> 'booked';
"""
_READINGS = _READINGS_OF_6.replace("estimated_wh INTEGER,", f"estimated_wh INTEGER,\n    {_DEVICES},")
_HELD_OF_6 = """
-- Readings that a utility holds for a person, as they were told. state: held, then accepted, estimated or corrected
-- (what is billed stands in reported, and in the ledger's corrections), or replaced by its household before.
CREATE TABLE held (
    party TEXT NOT NULL,
    slot INTEGER NOT NULL,
    household TEXT NOT NULL,
    transaction_id TEXT NOT NULL,
    imported_wh INTEGER NOT NULL CHECK (imported_wh >= 0),
    exported_wh INTEGER NOT NULL CHECK (exported_wh >= 0),
    sold_wh INTEGER NOT NULL CHECK (sold_wh >= 0),
    state TEXT NOT NULL CHECK (state IN ('held', 'accepted', 'estimated', 'replaced')),
    PRIMARY KEY (party, slot, household)
) STRICT, WITHOUT ROWID;
"""
_HELD = _HELD_OF_6.replace("'estimated', ", "'estimated', 'corrected', ")
_ESTIMATED = """
CREATE INDEX readings_estimated ON readings (party, slot) WHERE estimated_wh IS NOT NULL;
"""
_REQUESTS = """
-- How requests in v2 of the last minutes were signed, with the digest of their bodies: callbacks are checked with it.
CREATE TABLE requests (
    party TEXT NOT NULL,
    message_id TEXT NOT NULL,
    action TEXT NOT NULL,
    digest TEXT NOT NULL,
    authorization TEXT NOT NULL,
    keep_until_ms INTEGER NOT NULL,
    PRIMARY KEY (party, message_id, action)
) STRICT, WITHOUT ROWID;
"""
MIGRATIONS: tuple[Step, ...] = (
    # 2: sharing. What was reported before was priced by itself, and stands in the ledger.
    f"""
ALTER TABLE ledger RENAME TO former_ledger;
{_LEDGER}
INSERT INTO ledger SELECT * FROM former_ledger;
DROP TABLE former_ledger;
{_SHARING_OF_2}
INSERT INTO reported
    SELECT
        party, slot, counterparty, '', sum(max(-energy_wh, 0)), sum(max(energy_wh, 0)),
        sum(CASE ledger.kind WHEN 'grid_fee' THEN CAST(round(CAST(reference AS REAL) * 1000) AS INTEGER) ELSE 0 END),
        0, 'alone'
    FROM ledger JOIN parties USING (party)
    WHERE parties.kind = 'utility' AND ledger.kind IN ('backstop', 'grid_fee')
    GROUP BY party, slot, counterparty;
""",  # noqa: S608 - text of ours
    # 3: accounts. Since when a ledger of before is kept is not known.
    f"{_ACCOUNTS} INSERT INTO accounts SELECT party, {_RANDOM_UUID}, 0 FROM parties;",  # noqa: S608 - words of ours
    # 4: sun beside the store, what is carried from slot to slot, and what a plan has learned. Before, all that was sold
    # came from the store.
    f"""
ALTER TABLE parties ADD COLUMN {_CARRIED};
ALTER TABLE contracts ADD COLUMN {_SUN};
ALTER TABLE readings ADD COLUMN {_COVERED};
ALTER TABLE readings ADD COLUMN {_CARRIED};
ALTER TABLE readings ADD COLUMN {_LOCAL};
ALTER TABLE readings ADD COLUMN {_STORED};
""",
    # 5: evidence. Of what was signed before nothing is left.
    _EVIDENCE,
    # 6: readings that are held for a person.
    f"""
ALTER TABLE readings RENAME TO former_readings;
DROP INDEX readings_unbooked;
{_READINGS_OF_6}
INSERT INTO readings SELECT *, NULL FROM former_readings;
DROP TABLE former_readings;
{_HELD_OF_6}
""",  # noqa: S608 - text of ours
    # 7: the chain and its checkpoints. In which order a ledger of before was booked is not known.
    (_CHAIN + _CARRIED_OF_7, chain_all),
    # 8: platforms, which sell for others; messages with the id of another. Before, there were none.
    f"ALTER TABLE contracts ADD COLUMN {_PROVIDER}; ALTER TABLE inbox ADD COLUMN {_SAID};",
    # 9: what each device took. Before, there were none.
    f"ALTER TABLE readings ADD COLUMN {_DEVICES};",
    # 10: what a car holds for its house. Before, nothing.
    f"ALTER TABLE parties ADD COLUMN {_VEHICLE};",
    # 11: versions of Beckn. Before, all spoke the first.
    f"ALTER TABLE peers ADD COLUMN {_PROTOCOLS};",
    # 12: corrections. Before, there were none.
    f"""
-- What is held may be corrected.
ALTER TABLE held RENAME TO former_held;
{_HELD}
INSERT INTO held SELECT * FROM former_held;
DROP TABLE former_held;
{_ESTIMATED}
""",  # noqa: S608 - text of ours
    # 13: how requests in v2 were signed. Of those before, nothing is known; they are answered within seconds.
    _REQUESTS,
    # 14: households that were forgotten. Before, none was.
    f"ALTER TABLE closings ADD COLUMN {_FORGOTTEN};",
    # 15: the chain covers what is left of deleted rows: as it is found now. Of those forgotten before, nothing is kept.
    (
        f"""
ALTER TABLE closings ADD COLUMN {_NUMBER};
ALTER TABLE closings ADD COLUMN {_SALT};
ALTER TABLE carried ADD COLUMN {_NUMBER};
ALTER TABLE carried ADD COLUMN {_SALT};
{_DELETIONS}
""",
        seal_all,
    ),
)
"""What leads from each version to the next, from 1 on."""

TABLES = f"""
CREATE TABLE meta (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;

-- Who lives here. level_wh and carried_uwh (millionths of a Wh) are stored at the start of next_slot, the first slot
-- not metered yet. vehicle_wh of it is in a car, for the house to use.
CREATE TABLE parties (
    party TEXT PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('household', 'utility')),
    capacity_wh INTEGER NOT NULL CHECK (capacity_wh >= 0),
    initial_level_wh INTEGER NOT NULL CHECK (initial_level_wh >= 0),
    level_wh INTEGER NOT NULL CHECK (level_wh >= 0),
    first_slot INTEGER NOT NULL,
    next_slot INTEGER NOT NULL,
    buying INTEGER NOT NULL CHECK (buying IN (0, 1)),
    {_CARRIED},
    {_VEHICLE}
) STRICT, WITHOUT ROWID;

-- Buyer or seller for a slot, never both.
CREATE TABLE roles (
    party TEXT NOT NULL,
    slot INTEGER NOT NULL,
    role TEXT NOT NULL CHECK (role IN ('buyer', 'seller', 'neither')),
    PRIMARY KEY (party, slot)
) STRICT, WITHOUT ROWID;

-- One row for each delivery of a contract; what belongs to the contract as a whole stands in each of its rows. Of a
-- seller's energy_wh, sun_wh was expected of the slot's own surplus when it was promised.
CREATE TABLE contracts (
    party TEXT NOT NULL,
    side TEXT NOT NULL CHECK (side IN ('buyer', 'seller')),
    transaction_id TEXT NOT NULL,
    counterparty TEXT NOT NULL,
    slot INTEGER NOT NULL,
    item_id TEXT NOT NULL,
    energy_wh INTEGER NOT NULL CHECK (energy_wh > 0),
    amount_micro INTEGER NOT NULL CHECK (amount_micro >= 0),
    fee_micro INTEGER NOT NULL CHECK (fee_micro BETWEEN 0 AND amount_micro),
    state TEXT NOT NULL,
    delivered_wh INTEGER CHECK (delivered_wh BETWEEN 0 AND energy_wh),
    settled_micro INTEGER CHECK (settled_micro BETWEEN 0 AND amount_micro),
    expires_ms INTEGER NOT NULL,
    created_ms INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL,
    order_id TEXT,
    in_doubt INTEGER NOT NULL CHECK (in_doubt IN (0, 1)),
    reason TEXT,
    searched_ms INTEGER,
    confirmed_ms INTEGER,
    offered_micro_per_kwh INTEGER,
    offers INTEGER,
    {_SUN},
    {_PROVIDER},
    PRIMARY KEY (party, transaction_id, counterparty, slot)
) STRICT, WITHOUT ROWID;
CREATE INDEX contracts_slot ON contracts (slot);
-- Order ids are the seller's: two sellers may use the same, one seller may not.
CREATE UNIQUE INDEX contracts_order ON contracts (party, counterparty, order_id, slot) WHERE order_id IS NOT NULL;
-- What is forgotten after a while; see retention.py.
CREATE INDEX contracts_unagreed ON contracts (slot)
    WHERE order_id IS NULL AND state IN ('EXPIRED', 'CANCELLED');
CREATE INDEX contracts_ended ON contracts (updated_ms)
    WHERE order_id IS NOT NULL AND state IN ('EXPIRED', 'CANCELLED');

-- What is booked. energy_wh and amount_micro are signed: energy received and money earned are positive.
{_LEDGER}{_SHARING}{_HELD}{_READINGS}{_ESTIMATED}
-- How many messages a party has sent of each Beckn action, as written down last.
CREATE TABLE messages (
    party TEXT NOT NULL,
    action TEXT NOT NULL,
    sent INTEGER NOT NULL CHECK (sent >= 0),
    PRIMARY KEY (party, action)
) STRICT, WITHOUT ROWID;

-- The answer that was given to each message; searches and offers have no effect on disk and are not here.
CREATE TABLE inbox (
    party TEXT NOT NULL,
    sender TEXT NOT NULL,
    message_id TEXT NOT NULL,
    action TEXT NOT NULL,
    status INTEGER NOT NULL,
    answer BLOB NOT NULL,
    keep_until_ms INTEGER NOT NULL,
    {_SAID},
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

-- Where others said in the registry that they live, and which versions of Beckn they speak, when they were last heard.
CREATE TABLE peers (
    subscriber_id TEXT PRIMARY KEY,
    url TEXT NOT NULL,
    heard_ms INTEGER NOT NULL,
    {_PROTOCOLS}
) STRICT, WITHOUT ROWID;
CREATE INDEX peers_age ON peers (heard_ms);
{_REQUESTS}{_ACCOUNTS}{_EVIDENCE}{_CHAIN}{_CARRIED_FORWARD}{_DELETIONS}"""
