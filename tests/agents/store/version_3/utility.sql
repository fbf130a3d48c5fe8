-- The journal of utility as version 3 left it in the middle of trade: two deliveries are paid, two are promised.
-- What its mailboxes held is left out.
BEGIN TRANSACTION;
CREATE TABLE accounts (
    party TEXT PRIMARY KEY,
    account TEXT NOT NULL,
    opened_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO "accounts" VALUES('utility.default','69b03b72-7ce1-8c76-b7f1-4e1824da3ba6',1800000000000);
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
INSERT INTO "closings" VALUES('utility.default',1782036000,'proRata',4452474441430265,160000,250000,80000,10000);
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
INSERT INTO "ledger" VALUES('utility.default','backstop',1782036000,'flat-0.default','supply',-98,24500);
CREATE TABLE messages (
    party TEXT NOT NULL,
    action TEXT NOT NULL,
    sent INTEGER NOT NULL CHECK (sent >= 0),
    PRIMARY KEY (party, action)
) STRICT, WITHOUT ROWID;
CREATE TABLE meta (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;
INSERT INTO "meta" VALUES('salt','7/utility');
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
INSERT INTO "parties" VALUES('utility.default','utility',0,0,0,1782036000,1782038700,0);
CREATE TABLE peers (
    subscriber_id TEXT PRIMARY KEY,
    url TEXT NOT NULL,
    heard_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO "peers" VALUES('flat-0.default','http://flat-0/flat-0',1800000001981);
INSERT INTO "peers" VALUES('roof-0.default','http://roof-0/roof-0',1800000019916);
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
INSERT INTO "reported" VALUES('utility.default',1782036000,'flat-0.default','97c731c1-1cf9-85ba-a426-c25a217cb096',98,0,0,0,'closed');
INSERT INTO "reported" VALUES('utility.default',1782036000,'roof-0.default','721161da-015a-8ab0-a0b7-e1dd5675c278',0,0,0,0,'closed');
INSERT INTO "reported" VALUES('utility.default',1782036900,'flat-0.default','8db02889-76bc-88f6-b811-d79887abb955',0,63,0,0,'waiting');
INSERT INTO "reported" VALUES('utility.default',1782036900,'roof-0.default','f3647845-1092-8b01-a137-bfd1717286bf',0,0,177,0,'waiting');
INSERT INTO "reported" VALUES('utility.default',1782037800,'flat-0.default','af55f668-1c18-8463-8cf0-db59a61e4cb0',54,0,0,0,'waiting');
INSERT INTO "reported" VALUES('utility.default',1782037800,'roof-0.default','2449ff12-6c9e-8503-8d41-ff25c6325172',0,0,181,0,'waiting');
CREATE TABLE roles (
    party TEXT NOT NULL,
    slot INTEGER NOT NULL,
    role TEXT NOT NULL CHECK (role IN ('buyer', 'seller', 'neither')),
    PRIMARY KEY (party, slot)
) STRICT, WITHOUT ROWID;
CREATE INDEX contracts_slot ON contracts (slot);
CREATE UNIQUE INDEX contracts_order ON contracts (party, counterparty, order_id, slot) WHERE order_id IS NOT NULL;
CREATE INDEX contracts_unagreed ON contracts (slot)
    WHERE order_id IS NULL AND state IN ('EXPIRED', 'CANCELLED');
CREATE INDEX contracts_ended ON contracts (updated_ms)
    WHERE order_id IS NOT NULL AND state IN ('EXPIRED', 'CANCELLED');
CREATE INDEX readings_unbooked ON readings (party, state) WHERE state <> 'booked';
CREATE INDEX inbox_age ON inbox (keep_until_ms);
CREATE INDEX peers_age ON peers (heard_ms);
COMMIT;
