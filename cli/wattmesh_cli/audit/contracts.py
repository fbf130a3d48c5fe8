"""Checks of contracts: each against its other side, its offer, and the role that its party has in the slot."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from math import floor

from wattmesh_cli.audit.findings import Finding
from wattmesh_cli.audit.rows import Rows
from wattmesh_cli.books import DELIVERED, FORGOTTEN, ContractRow, paired

_BINDING = frozenset({"CONFIRMED", "DELIVERED", "SETTLED"})
_STATES = _BINDING | {"QUOTED", "AGREED", "EXPIRED", "CANCELLED"}
_SELLER_REMEMBERS_S = 30 * 86_400
"""How long at least a seller can say what became of an order that came to nothing (grid time)."""
# What the seller may be while the buyer is so (state, in doubt): the same, or what a message under way will tell the
# buyer (or, of AGREED in doubt, the seller).
_SELLER_WITH = {
    ("AGREED", True): frozenset({"AGREED", "CONFIRMED", "DELIVERED", "EXPIRED", "CANCELLED"}),
    ("CONFIRMED", False): frozenset({"CONFIRMED", "DELIVERED", "CANCELLED"}),
    ("DELIVERED", False): frozenset({"DELIVERED", "SETTLED"}),
    ("SETTLED", False): frozenset({"SETTLED"}),
}


@dataclass(frozen=True)
class ContractChecks:
    """Findings, counts, and who sold what its buyer does not know delivered yet: (seller, transaction, buyer)."""

    findings: list[Finding]
    checked: int
    in_flight: int
    with_departed: int
    with_forgotten: int
    undelivered_to_buyer: frozenset[tuple[str, str, str, int]]


def check_contracts(rows: Rows) -> ContractChecks:
    """Compare the two sides of every contract that binds one of them, and check each side by itself."""
    findings: list[Finding] = []
    undelivered: set[tuple[str, str, str, int]] = set()
    checked = in_flight = with_departed = with_forgotten = 0
    for pair in paired(rows.contracts):
        if not (_binds(pair.buyer) or _binds(pair.seller)):
            continue
        checked += 1
        if pair.buyer is None or pair.seller is None:
            row = pair.known
            with_departed += row.counterparty in rows.departed
            with_forgotten += row.counterparty == FORGOTTEN
            if _forgotten(row, rows):
                in_flight += 1
            elif row.counterparty in rows.parties:
                other = "seller" if row.side == "buyer" else "buyer"
                findings.append(
                    _of(
                        "contract-states",
                        row,
                        f"{row.side} is {_position(row)}, {other} {row.counterparty} has no such contract: "
                        f"{row.energy_wh} Wh for {row.amount_micro} millionths are at stake",
                    )
                )
            continue
        findings += _terms(pair.buyer, pair.seller)
        if pair.seller.state not in _SELLER_WITH.get((pair.buyer.state, pair.buyer.in_doubt), ()):
            text = f"buyer is {_position(pair.buyer)}, seller {pair.seller.party} is {pair.seller.state}"
            findings.append(_of("contract-states", pair.buyer, text))
        elif pair.buyer.in_doubt or pair.buyer.state != pair.seller.state:
            in_flight += 1
            if pair.seller.state == "DELIVERED":
                undelivered.add((pair.seller.party, pair.seller.transaction_id, pair.buyer.party, pair.buyer.slot))
    for row in rows.contracts:
        findings += _alone(row, rows)
    findings += _both_roles(rows)
    return ContractChecks(findings, checked, in_flight, with_departed, with_forgotten, frozenset(undelivered))


def _forgotten(row: ContractRow, rows: Rows) -> bool:
    """Whether a buyer in doubt asks for an order so old that its seller may have forgotten it, and will say so."""
    seller = rows.parties.get(row.counterparty)
    return row.in_doubt and seller is not None and seller.next_slot - row.slot > _SELLER_REMEMBERS_S


def _binds(row: ContractRow | None) -> bool:
    return row is not None and (row.state in _BINDING or row.in_doubt)


def _position(row: ContractRow) -> str:
    return f"{row.state} in doubt" if row.in_doubt else row.state


def _terms(buyer: ContractRow, seller: ContractRow) -> Iterator[Finding]:
    """What the sides must have agreed on before either was bound."""
    terms: list[tuple[str, object, object, str]] = [
        ("slot", buyer.slot, seller.slot, ""),
        ("energy", buyer.energy_wh, seller.energy_wh, " Wh"),
        ("amount", buyer.amount_micro, seller.amount_micro, " millionths"),
        ("grid fee", buyer.fee_micro, seller.fee_micro, " millionths"),
        ("item", buyer.item_id, seller.item_id, ""),
        ("order", buyer.order_id, seller.order_id, ""),
    ]
    if buyer.delivered_wh is not None and seller.delivered_wh is not None:
        terms.append(("delivered energy", buyer.delivered_wh, seller.delivered_wh, " Wh"))
    if buyer.settled_micro is not None and seller.settled_micro is not None:
        terms.append(("settled amount", buyer.settled_micro, seller.settled_micro, " millionths"))
    for name, here, there, unit in terms:
        if here != there:
            yield _of("contract-terms", buyer, f"{name} is {here}{unit} to the buyer, {there}{unit} to {seller.party}")


def _alone(row: ContractRow, rows: Rows) -> Iterator[Finding]:
    """What one side's record must fulfil by itself."""
    if row.state not in _STATES:
        yield _of("contract-states", row, f"{row.side} is {row.state}, which is no state of a contract")
    if row.energy_wh <= 0 or row.amount_micro < 0:
        yield _of("contract-terms", row, f"{row.side} has {row.energy_wh} Wh for {row.amount_micro} millionths")
        return
    if not 0 <= row.fee_micro <= row.amount_micro:
        text = f"{row.side} has a grid fee of {row.fee_micro} millionths in an amount of {row.amount_micro}"
        yield _of("contract-terms", row, text)
    if row.fee_micro and rows.is_kind(row.seller, "household") and rows.is_kind(row.buyer, "utility"):
        yield _of("contract-terms", row, f"{row.side} has a grid fee on a household's sale to a utility")
    if row.state in DELIVERED:
        yield from _settlement(row)
    if row.side == "buyer" and _binds(row):
        if row.offered_micro_per_kwh is None:
            yield _of("contract-price", row, f"buyer has no offer of {row.counterparty}")
            return
        most = _rounded(row.offered_micro_per_kwh * row.energy_wh, 1000)
        if row.amount_micro > most:
            text = f"{row.energy_wh} Wh cost {row.amount_micro} millionths; by the offer at most {most}"
            yield _of("contract-price", row, text)


def _settlement(row: ContractRow) -> Iterator[Finding]:
    if row.delivered_wh is None or row.settled_micro is None:
        yield _of("contract-delivery", row, f"{row.side} is {row.state} without delivered energy or settled amount")
        return
    if not 0 <= row.delivered_wh <= row.energy_wh:
        yield _of("contract-delivery", row, f"{row.side} has {row.delivered_wh} Wh delivered of {row.energy_wh} Wh")
    due = _rounded(row.amount_micro * row.delivered_wh, row.energy_wh)
    if row.settled_micro != due:
        text = f"{row.side} has {row.settled_micro} millionths settled; {due} are due for what was delivered"
        yield _of("contract-delivery", row, text)


def _both_roles(rows: Rows) -> Iterator[Finding]:
    sides: defaultdict[tuple[str, int], set[str]] = defaultdict(set)
    for row in rows.contracts:
        if row.state in _BINDING and rows.is_kind(row.party, "household"):
            sides[row.party, row.slot].add(row.side)
    for (party, slot), roles in sides.items():
        if len(roles) > 1:
            yield Finding("contract-roles", party, slot, None, "is buyer and seller in one slot")


def _rounded(numerator: int, denominator: int) -> int:
    """A quotient rounded half up."""
    return floor(Fraction(numerator, denominator) + Fraction(1, 2))


def _of(kind: str, row: ContractRow, text: str) -> Finding:
    return Finding(kind, row.party, row.slot, row.transaction_id, text)
