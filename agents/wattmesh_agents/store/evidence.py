"""What counterparties have signed of contracts, kept as it came: what commits them, not what led there.

With it goes what shows that the contract's ledger entries are in the chain that their keeper has signed.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from itertools import groupby

from wattmesh_agents.store.chain import committed
from wattmesh_beckn.evidence import BookedEntry, DeliveryClaim, SideOfContract, SignedCheckpoint, SignedMessage
from wattmesh_beckn.receiver import Received
from wattmesh_beckn.registry import Subscription
from wattmesh_market.trade.messages import Action

_CONTRACTS = (
    "SELECT party, counterparty, transaction_id, side, slot, energy_wh, amount_micro, state, delivered_wh, "
    "settled_micro FROM contracts WHERE transaction_id >= :beginning AND transaction_id < :beginning || 'g' "
    "ORDER BY party, transaction_id, counterparty, slot"
)
_MESSAGES = (
    "SELECT action, received_ms, signed FROM evidence "
    "WHERE party = ? AND counterparty = ? AND transaction_id = ? ORDER BY received_ms, rowid"
)
_ENTRY = (
    "SELECT chain.number, salt, energy_wh, amount_micro FROM chain JOIN ledger "
    "USING (party, kind, slot, counterparty, reference) WHERE chain.party = ? AND chain.number > ? AND kind = 'trade' "
    "AND slot = ? AND counterparty = ? AND reference = ? ORDER BY chain.number LIMIT 1"
)
_CHECKPOINTS = (
    "SELECT until, record ->> 'number', record, signature, public_key FROM checkpoints "
    "WHERE party = ? AND signer = ? ORDER BY until"
)

_LAST = "SELECT received_ms FROM evidence WHERE party = ? ORDER BY rowid DESC LIMIT 1"
_NEXT = "SELECT rowid, received_ms FROM evidence WHERE rowid >= ? ORDER BY rowid LIMIT 1"
_PRUNED_MS = 7 * 86_400_000
"""Of how long before what is forgotten goes: longer than a pod is away."""
_SIGNED_BY = (
    "SELECT rowid, action, received_ms, signed FROM evidence "
    "WHERE party = ? AND counterparty = ? AND received_ms >= ? AND rowid > ? ORDER BY rowid LIMIT ?"
)

KEPT = frozenset(
    (
        Action.CONFIRM,
        Action.UPDATE,
        Action.CANCEL,
        Action.ON_CONFIRM,
        Action.ON_STATUS,
        Action.ON_UPDATE,
        Action.ON_CANCEL,
    )
)
"""Actions that commit their sender. What is confirmed repeats what was quoted and agreed."""
KEPT_DAYS = 7
"""How many of the counterparty's checkpoints after a contract go with it: it may book it some days later."""
_TYPICAL = (
    b'Signature keyId="-0.default||ed25519",algorithm="ed25519",created="17",expires="17",'
    b'headers="(created) (expires) digest",signature="=="\n'
    b'{"subscriber_id":"-0.default","url":"http://","type":"BAP","type":"BPP","domain":"uei:p2p_trading",'
    b'"location":{"city":{"code":"main"},"country":{"code":"DEU"}},"key_id":"","signing_public_key":"=",'
    b'"encr_public_key":"","valid_from":"20","valid_until":"20","status":"SUBSCRIBED","created":"20","updated":"20"}\n'
    b'{"context":{"domain":"uei:p2p_trading","location":{"city":{"code":"main"},"country":{"code":"DEU"}},'
    b'"action":"cancel","action":"on_cancel","action":"confirm","action":"update","action":"on_update",'
    b'"action":"on_confirm","action":"on_status","version":"1.1.0","bap_id":"","bap_uri":"http://","bpp_id":"",'
    b'"bpp_uri":"http://","transaction_id":"","message_id":"","timestamp":"20","ttl":"PT30S"},"message":{'
    b'"order_id":"","cancellation_reason_id":"","update_target":"payments","order":{"id":"","provider":{"id":""},'
    b'"items":[{"id":"energy-17","quantity":{"selected":{"measure":{"value":"0.","unit":"kWh"}}},'
    b'"fulfillment_ids":["slot-17"]}],"fulfillments":[{"id":"slot-17","type":"energy","state":{"descriptor":{'
    b'"code":"PENDING","code":"CONFIRMED","code":"DELIVERED"}},"stops":[{"type":"start","time":{"range":{"start":"20",'
    b'"end":"20"}}}],"tags":[{"descriptor":{"code":"delivery"},"list":[{"descriptor":{"code":"delivered-energy"},'
    b'"value":"0."}]}]}],"quote":{"price":{"currency":"EUR","value":"0."},"breakup":[{"item":{"id":"energy-17"},'
    b'"title":"energy","price":{"currency":"EUR","value":"0."}}],"ttl":"PT30S"},"billing":{"name":""},'
    b'"payments":[{"id":"","type":"POST-FULFILLMENT","status":"NOT-PAID","status":"PAID","params":{"amount":"0.",'
    b'"currency":"EUR"}}]}}}'
)
"""What nearly all of it has in common: with this before it a message takes a quarter of what it took. It may never
change, or what is kept could not be read.
"""


_BETWEEN = "\t"
"""Between the sender's signature and that of the request, where the one covers the other; no header has a tab."""


def keep(connection: sqlite3.Connection, party: str, received: Received, now_ms: int) -> None:
    """Keep a message that has moved a contract of `party` or a reading on, if it commits its sender."""
    if received.action not in KEPT:
        return
    packer = zlib.compressobj(zdict=_TYPICAL)
    signatures = _BETWEEN.join(filter(None, (received.authorization, received.answers)))
    parts = (signatures.encode(), received.sender.model_dump_json().encode(), received.body)
    signed = packer.compress(b"\n".join(parts)) + packer.flush()
    values = (
        party, received.context.transaction_id, received.sender.subscriber_id, received.action, now_ms, signed
    )  # fmt: skip
    connection.execute("INSERT INTO evidence VALUES (?, ?, ?, ?, ?, ?)", values)


def signed_by(
    connection: sqlite3.Connection, party: str, counterparty: str, since_ms: int, after: int, most: int
) -> tuple[list[SignedMessage], int | None]:
    """What a counterparty has signed and `party` has kept since, at most so many; the number of the last, None: all."""
    rows = connection.execute(_SIGNED_BY, (party, counterparty, since_ms, after, most + 1)).fetchall()
    found = [read_kept(*row[1:]) for row in rows[:most]]
    return found, rows[most - 1][0] if len(rows) > most else None


def last_received_ms(connection: sqlite3.Connection, party: str) -> int:
    """When a party's books were last told something that is kept (ms of wall time); 0 where they have nothing."""
    row = connection.execute(_LAST, (party,)).fetchone()
    return 0 if row is None else int(row[0])


def forget_readings(connection: sqlite3.Connection, before_ms: int) -> None:
    """Delete what was received before a moment and belongs to no contract; what belongs to one goes with it."""
    first, end = (_first_since(connection, ms) for ms in (before_ms - _PRUNED_MS, before_ms))
    connection.execute(
        "DELETE FROM evidence WHERE rowid >= ? AND rowid < ? AND NOT EXISTS (SELECT 1 FROM contracts WHERE "
        "contracts.party = evidence.party AND contracts.transaction_id = evidence.transaction_id AND "
        "contracts.counterparty = evidence.counterparty)",
        (first, end),
    )


def _first_since(connection: sqlite3.Connection, ms: int) -> int:
    """The number of the first row that was received at a moment or later: rows are numbered as they come."""
    low, high = 0, 1 + (connection.execute("SELECT max(rowid) FROM evidence").fetchone()[0] or 0)
    while low < high:
        middle = (low + high) // 2
        row = connection.execute(_NEXT, (middle,)).fetchone()
        if row is not None and row[1] < ms:
            low = row[0] + 1
        else:
            high = middle
    return low


def read_kept(action: str, received_ms: int, signed: bytes) -> SignedMessage:
    """A message as it was kept."""
    signatures, entry, body = zlib.decompressobj(zdict=_TYPICAL).decompress(signed).split(b"\n", 2)
    authorization, _, answers = signatures.decode().partition(_BETWEEN)
    return SignedMessage(
        action=action,
        received_ms=received_ms,
        body=body.decode(),
        authorization=authorization,
        registry_entry=Subscription.model_validate_json(entry),
        request_signature=answers or None,
    )


def _booked(
    connection: sqlite3.Connection, party: str, counterparty: str, transaction: str, slots: Sequence[int]
) -> Iterator[BookedEntry]:
    """A party's ledger entries of a contract, with what leads from each to the next checkpoint in its chain."""
    checkpoints = connection.execute(_CHECKPOINTS, (party, party)).fetchall()
    for slot in slots:
        # A delivery is booked after its slot.
        before = max((number for until, number, *_ in checkpoints if until <= slot), default=0)
        entry = connection.execute(_ENTRY, (party, before, slot, counterparty, transaction)).fetchone()
        if entry is None:
            continue
        number, salt, energy_wh, amount_micro = entry
        after = next((row for row in checkpoints if row[1] >= number), None)
        former, path = committed(connection, party, number, number if after is None else after[1])
        yield BookedEntry(
            slot=slot,
            energy_wh=energy_wh,
            amount_micro=amount_micro,
            number=number,
            salt=salt.hex(),
            former=former.hex(),
            path=tuple(one.hex() for one in path),
            checkpoint=None
            if after is None
            else SignedCheckpoint(body=after[2], authorization=after[3], public_key=after[4]),
        )


def kept(connection: sqlite3.Connection, transaction: str, currency: str) -> list[SideOfContract]:
    """Each side's books and evidence of the contracts whose transaction ids begin with `transaction` (hexadecimal)."""
    found = []
    rows = connection.execute(_CONTRACTS, {"beginning": transaction}).fetchall()
    for (party, counterparty, transaction_id, side), group in groupby(rows, lambda row: row[:4]):
        deliveries = [*group]
        slots = [row[4] for row in deliveries]
        signed = connection.execute(_MESSAGES, (party, counterparty, transaction_id)).fetchall()
        found.append(
            SideOfContract(
                party=party,
                side=side,
                counterparty=counterparty,
                transaction_id=transaction_id,
                currency=currency,
                deliveries=tuple(
                    DeliveryClaim(
                        slot=slot,
                        energy_wh=energy_wh,
                        amount_micro=amount_micro,
                        state=state,
                        delivered_wh=delivered_wh,
                        settled_micro=settled_micro,
                    )
                    for *_, slot, energy_wh, amount_micro, state, delivered_wh, settled_micro in deliveries
                ),
                messages=tuple(read_kept(*row) for row in signed),
                booked=tuple(_booked(connection, party, counterparty, transaction_id, slots)),
                kept=tuple(
                    SignedCheckpoint(body=row[2], authorization=row[3], public_key=row[4])
                    for row in connection.execute(_CHECKPOINTS, (party, counterparty))
                    if row[0] > slots[0]
                )[:KEPT_DAYS],
            )
        )
    return found
