-- The journal of flat-0 as version 3 left it in the middle of trade: two deliveries are paid, two are promised.
-- What its mailboxes held is left out.
BEGIN TRANSACTION;
CREATE TABLE accounts (
    party TEXT PRIMARY KEY,
    account TEXT NOT NULL,
    opened_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO "accounts" VALUES('flat-0.default','2d58ef2e-9b2b-84c2-bffd-491a471b7ebc',1800000000000);
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
INSERT INTO "contracts" VALUES('flat-0.default','buyer','09e69e0c-b003-88c7-9d3c-4ded06f518f1','roof-0.default',1782039600,'energy-1782039600',189,30240,1890,'CONFIRMED',NULL,NULL,1800000060000,1800000049174,1800000049174,'62a7193a-91e4-8f59-852b-7f4d9f317c75',0,NULL,1800000047374,1800000049174,160000,2);
INSERT INTO "contracts" VALUES('flat-0.default','buyer','42b67d80-6da5-8fe9-b407-17bf24d4b905','roof-0.default',1782038700,'energy-1782038700',185,29600,1850,'CONFIRMED',NULL,NULL,1800000045000,1800000034481,1800000034481,'8125e5bc-47d5-86fe-8b81-b82a4334ed57',0,NULL,1800000032681,1800000034481,160000,2);
INSERT INTO "contracts" VALUES('flat-0.default','buyer','5ca2b582-8a7a-8800-a2a1-93749b6391b6','roof-0.default',1782037800,'energy-1782037800',181,28960,1810,'SETTLED',181,28960,1800000030000,1800000018456,1800000045000,'a86bacdd-c3d3-8816-b7b9-e81ce9fb0ac0',0,NULL,1800000016656,1800000018456,160000,2);
INSERT INTO "contracts" VALUES('flat-0.default','buyer','84955460-d666-84bb-a62d-ce347556dee8','roof-0.default',1782036900,'energy-1782036900',177,28320,1770,'SETTLED',177,28320,1800000015000,1800000003781,1800000030000,'1f7e17ec-9884-8c9d-86da-83753b5a18ef',0,NULL,1800000001981,1800000003781,160000,2);
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
INSERT INTO "ledger" VALUES('flat-0.default','backstop',1782036000,'utility.default','supply',98,-24500);
INSERT INTO "ledger" VALUES('flat-0.default','trade',1782036900,'roof-0.default','84955460-d666-84bb-a62d-ce347556dee8',177,-28320);
INSERT INTO "ledger" VALUES('flat-0.default','trade',1782037800,'roof-0.default','5ca2b582-8a7a-8800-a2a1-93749b6391b6',181,-28960);
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
INSERT INTO "meta" VALUES('salt','7/flat-0');
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
INSERT INTO "parties" VALUES('flat-0.default','household',0,0,0,1782036000,1782038700,0);
CREATE TABLE peers (
    subscriber_id TEXT PRIMARY KEY,
    url TEXT NOT NULL,
    heard_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO "peers" VALUES('roof-0.default','http://roof-0/roof-0',1800000001981);
INSERT INTO "peers" VALUES('utility.default','http://utility/utility',1800000000000);
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
INSERT INTO "readings" VALUES('flat-0.default',1782036000,0,0,0,0,98,0,0,98,0,0,'booked');
INSERT INTO "readings" VALUES('flat-0.default',1782036900,0,0,0,0,114,177,0,0,63,0,'final');
INSERT INTO "readings" VALUES('flat-0.default',1782037800,0,0,0,0,235,181,0,54,0,0,'final');
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
CREATE TABLE roles (
    party TEXT NOT NULL,
    slot INTEGER NOT NULL,
    role TEXT NOT NULL CHECK (role IN ('buyer', 'seller', 'neither')),
    PRIMARY KEY (party, slot)
) STRICT, WITHOUT ROWID;
INSERT INTO "roles" VALUES('flat-0.default',1782036900,'buyer');
INSERT INTO "roles" VALUES('flat-0.default',1782037800,'buyer');
INSERT INTO "roles" VALUES('flat-0.default',1782038700,'buyer');
INSERT INTO "roles" VALUES('flat-0.default',1782039600,'buyer');
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
