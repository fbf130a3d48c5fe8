"""Between contracts and Beckn orders: what an order says, and what a contract puts there."""

from __future__ import annotations

from typing import Any, Literal

from wattmesh_agents.parties.trader import delivery, ttl_until
from wattmesh_agents.trade.contracts import Contract, ContractState, Side
from wattmesh_beckn.context import Code
from wattmesh_beckn.errors import invalid
from wattmesh_beckn.messages import (
    ENERGY,
    GRID_FEE,
    AgreedOrder,
    Billing,
    Breakup,
    BreakupItem,
    Cancellation,
    Descriptor,
    Fulfillment,
    OrderItem,
    Payment,
    PaymentParams,
    PositiveMeasure,
    PositiveMeasureOf,
    Price,
    ProviderRef,
    Quote,
    QuotedOrder,
    Selected,
    SelectOrder,
    State,
    StatusOrder,
    TagGroup,
    tag_group,
)
from wattmesh_market.energy.slots import slot_from_range
from wattmesh_market.units import kwh_text, money_text

_STATUS: dict[ContractState, Literal["ACTIVE", "COMPLETE", "CANCELLED"]] = {
    ContractState.CONFIRMED: "ACTIVE",
    ContractState.DELIVERED: "COMPLETE",
    ContractState.SETTLED: "COMPLETE",
    ContractState.EXPIRED: "CANCELLED",
    ContractState.CANCELLED: "CANCELLED",
}


def item_id(slot: int) -> str:
    """The catalog id of energy in a slot."""
    return f"{ENERGY}-{slot}"


def selected(energy_wh: int) -> Selected:
    """A wanted quantity."""
    return Selected(selected=PositiveMeasureOf(measure=PositiveMeasure(energy_wh=energy_wh)))


def slot_of_fulfillment(fulfillment: Fulfillment, path: str) -> int:
    """The slot a fulfillment names; Refusal (400) when it is none."""
    try:
        return slot_from_range(*fulfillment.slot)
    except ValueError as error:
        raise invalid(str(error), f"{path}.stops.0.time.range") from None


def select_order(seller: str, item: str, slot: int, energy_wh: int) -> SelectOrder:
    """What a buyer selects."""
    return SelectOrder(
        provider=ProviderRef(id=seller),
        items=(OrderItem(id=item, quantity=selected(energy_wh)),),
        fulfillments=(delivery(slot),),
    )


def quoted_order(contract: Contract, currency: str, now_ms: int) -> QuotedOrder:
    """A contract's terms as a quote."""
    return QuotedOrder(**_quoted(contract, currency, now_ms))


def agreed_order(contract: Contract, currency: str, now_ms: int) -> AgreedOrder:
    """A contract's terms under its order id, to be paid after delivery."""
    return AgreedOrder(**_agreed(contract, currency, now_ms))


def status_order(contract: Contract, currency: str, now_ms: int) -> StatusOrder:
    """A contract as it stands, with what was delivered once it was."""
    fields = _agreed(contract, currency, now_ms)
    tags: tuple[TagGroup, ...] = ()
    if contract.delivered_wh is not None:
        tags = (tag_group("delivery", delivered_kwh=kwh_text(contract.delivered_wh)),)
    state = State(descriptor=Code(code=contract.state.value))
    reason = None
    if contract.reason is not None:
        reason = Cancellation(reason=Descriptor(code=contract.state.value, name=contract.reason[:200]))
    return StatusOrder(
        **{**fields, "fulfillments": (delivery(contract.slot, state=state, tags=tags),)},
        status=_STATUS.get(contract.state, "ACTIVE"),
        cancellation=reason,
    )


def payment(contract: Contract, currency: str) -> Payment:
    """What a contract costs and whether it is paid: the delivered part once it is known."""
    amount_micro = contract.amount_micro if contract.settled_micro is None else contract.settled_micro
    return Payment(
        status="PAID" if contract.state is ContractState.SETTLED else "NOT-PAID",
        params=PaymentParams(amount_micro=amount_micro, currency=currency),
    )


def priced(price_micro: int, fee_micro: int, currency: str, item: BreakupItem | None = None) -> dict[str, Any]:
    """A quote's price in all and its parts: the energy, and the grid fee where there is one."""
    lines = [Breakup(title=ENERGY, price=Price(currency=currency, value_micro=price_micro - fee_micro), item=item)]
    if fee_micro:
        lines.append(Breakup(title=GRID_FEE, price=Price(currency=currency, value_micro=fee_micro)))
    return {"price": Price(currency=currency, value_micro=price_micro), "breakup": tuple(lines)}


def broken_up(quote: Quote) -> str | None:
    """What is wrong with the parts of a quote's price; None when they make up the price, or none are given."""
    if not quote.breakup:
        return None
    price = quote.price
    if any(line.price.currency != price.currency for line in quote.breakup):
        return f"the breakup is not in {price.currency} throughout, as the price is"
    total_micro = sum(line.price.value_micro for line in quote.breakup)
    if total_micro != price.value_micro:
        return f"the breakup sums to {money_text(total_micro)} but the price is {money_text(price.value_micro)}"
    return None


def fee_in(quote: Quote) -> int:
    """The grid fee among the parts of a quote's price."""
    return sum(line.price.value_micro for line in quote.breakup if line.title == GRID_FEE)


def difference(contract: Contract, order: QuotedOrder, currency: str) -> tuple[str, str] | None:
    """Where an order says something else than the contract: (path, text), or None when they agree."""
    slot = slot_of_fulfillment(order.fulfillments[0], "message.order.fulfillments.0")
    price = order.quote.price
    pairs = (
        ("items.0.id", order.items[0].id, contract.item_id),
        ("items.0.quantity", f"{kwh_text(order.energy_wh)} kWh", f"{kwh_text(contract.energy_wh)} kWh"),
        ("fulfillments.0", slot, contract.slot),
        ("quote.price.currency", price.currency, currency),
        ("quote.price.value", price.value_micro, contract.amount_micro),
    )
    for path, got, agreed in pairs:
        if got != agreed:
            return f"message.order.{path}", f"order says {got} but {agreed} was quoted"
    wrong = broken_up(order.quote)
    if wrong is None and order.quote.breakup and fee_in(order.quote) != contract.fee_micro:
        fees = money_text(fee_in(order.quote)), money_text(contract.fee_micro)
        wrong = f"order says a grid fee of {fees[0]} but {fees[1]} was quoted"
    return None if wrong is None else ("message.order.quote.breakup", wrong)


def _quoted(contract: Contract, currency: str, now_ms: int) -> dict[str, Any]:
    seller = contract.party if contract.side is Side.SELLER else contract.counterparty
    quantity = selected(contract.energy_wh)
    price = priced(
        contract.amount_micro, contract.fee_micro, currency, BreakupItem(id=contract.item_id, quantity=quantity)
    )
    return {
        "provider": ProviderRef(id=seller),
        "items": (OrderItem(id=contract.item_id, quantity=quantity),),
        "fulfillments": (delivery(contract.slot),),
        "quote": Quote(**price, ttl=ttl_until(contract.expires_ms, now_ms)),
    }


def _agreed(contract: Contract, currency: str, now_ms: int) -> dict[str, Any]:
    buyer = contract.counterparty if contract.side is Side.SELLER else contract.party
    return {
        **_quoted(contract, currency, now_ms),
        "id": contract.order_id,
        "billing": Billing(name=buyer),
        "payments": (payment(contract, currency),),
    }
