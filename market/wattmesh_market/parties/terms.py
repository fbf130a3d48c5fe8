"""What a contract says of price and energy, as it is told to the other side and compared with what that side says."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from wattmesh_market.trade.contracts import Contract, Side
from wattmesh_market.trade.messages import Line, Terms
from wattmesh_market.trade.refusal import About
from wattmesh_market.units import kwh_text, money_text

if TYPE_CHECKING:
    from wattmesh_market.parties.party import Party


class Known(NamedTuple):
    """What a party has with a partner in a transaction, for what the partner's messages need not repeat.

    `slot` is what was searched for, if anything was. `lines` are those of the contract; before a quote, what was
    selected, at no price, and `total_micro` is None then.
    """

    slot: int | None
    provider: str
    lines: tuple[Line, ...]
    total_micro: int | None
    currency: str
    order_id: str | None


def known(party: Party, transaction_id: str, partner: str) -> Known | None:
    """What a party has with a partner in a transaction; None when it has nothing."""
    books, currency = party.books, party.around.currency
    purchase = books.purchases.get(transaction_id)
    contract = books.contract(transaction_id, partner)
    slot = None if purchase is None else purchase.slot
    if contract is not None:
        terms = terms_of(contract, currency)
        return Known(slot, terms.provider, terms.lines, terms.total_micro, currency, contract.order_id)
    if purchase is None:
        return None
    selection = books.selections.get(transaction_id, {}).get(partner)
    lines: list[Line] = []
    provider = selection.offer.provider if selection else None
    if selection is not None and selection.selected_wh is not None:
        lines.append(Line(purchase.slot, selection.offer.item_id, selection.selected_wh, 0, None))
        lines += [Line(one.slot, one.item_id, one.energy_wh, 0, None) for one in selection.selected_later]
    return Known(slot, provider or partner, tuple(lines), None, currency, None)


def terms_of(contract: Contract, currency: str) -> Terms:
    """A contract's terms."""
    lines = tuple(
        [Line(one.slot, one.item_id, one.energy_wh, one.amount_micro, one.fee_micro) for one in contract.deliveries]
    )
    return Terms(provider_of(contract), lines, contract.amount_micro, currency)


def provider_of(contract: Contract) -> str:
    """Whose energy a contract is about: the seller's own where it names nobody."""
    return contract.provider or (contract.party if contract.side is Side.SELLER else contract.counterparty)


def wrong_parts(terms: Terms) -> str | None:
    """What is wrong with the parts of a price; None when they make it up."""
    parts_micro = sum([line.amount_micro for line in terms.lines])
    if parts_micro != terms.total_micro:
        return f"the breakup sums to {money_text(parts_micro)} but the price is {money_text(terms.total_micro)}"
    return None


def difference(contract: Contract, terms: Terms, currency: str) -> tuple[About, str] | None:
    """Where terms say something else than the contract: the part and a text, or None when they agree."""
    if len(terms.lines) != len(contract.deliveries):
        return About.ITEM, f"order has {len(terms.lines)} deliveries but {len(contract.deliveries)} were quoted"
    if terms.provider != (provider := provider_of(contract)):
        return About.PROVIDER, f"order says provider {terms.provider!r} but {provider!r} was quoted"
    for line, agreed in zip(terms.lines, contract.deliveries, strict=True):
        if line.item_id != agreed.item_id:
            return About.ITEM, f"order says {line.item_id} but {agreed.item_id} was quoted"
        if line.energy_wh != agreed.energy_wh:
            said, quoted = kwh_text(line.energy_wh), kwh_text(agreed.energy_wh)
            return About.ENERGY, f"order says {said} kWh but {quoted} kWh was quoted"
        if line.slot != agreed.slot:
            return About.SLOT, f"order says {line.slot} but {agreed.slot} was quoted"
    if terms.currency != currency:
        return About.CURRENCY, f"order says {terms.currency} but {currency} was quoted"
    if terms.total_micro != contract.amount_micro:
        return About.PRICE, f"order says {terms.total_micro} but {contract.amount_micro} was quoted"
    if (wrong := wrong_parts(terms)) is not None:
        return About.BREAKUP, wrong
    for line, agreed in zip(terms.lines, contract.deliveries, strict=True):
        if line.amount_micro != agreed.amount_micro:
            said, quoted = money_text(line.amount_micro), money_text(agreed.amount_micro)
            return About.BREAKUP, f"order says {said} for a delivery but {quoted} was quoted"
        if line.fee_micro is not None and line.fee_micro != agreed.fee_micro:
            said, quoted = money_text(line.fee_micro), money_text(agreed.fee_micro)
            return About.BREAKUP, f"order says a grid fee of {said} but {quoted} was quoted"
    return None
