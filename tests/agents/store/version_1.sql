-- A journal's tables as version 1 had them.
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
    buying INTEGER NOT NULL CHECK (buying IN (0, 1))
) STRICT, WITHOUT ROWID;

-- Buyer or seller for a slot, never both.
CREATE TABLE roles (
    party TEXT NOT NULL,
    slot INTEGER NOT NULL,
    role TEXT NOT NULL CHECK (role IN ('buyer', 'seller', 'neither')),
    PRIMARY KEY (party, slot)
) STRICT, WITHOUT ROWID;

-- One row for each delivery of a contract; what belongs to the contract as a whole stands in each of its rows.
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
    url TEXT NOT NULL,
    heard_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX peers_age ON peers (heard_ms);
