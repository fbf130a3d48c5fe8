"""The selling side of a party: answers each of a buyer's messages, promises no more than there is.

Every method runs in the transaction of the message it answers; a Refusal undoes it whole.
"""

from __future__ import annotations

from typing import Protocol

from wattmesh_agents.parties.terms import (
    agreed_order,
    difference,
    item_id,
    payment,
    quoted_order,
    slot_of_fulfillment,
    status_order,
)
from wattmesh_agents.parties.trader import MOST_DRIVEN, Trader, delivery, short
from wattmesh_agents.store.readings import LedgerEntry
from wattmesh_agents.trade.contracts import DELIVERED, TENTATIVE, Contract, ContractState, Side
from wattmesh_agents.trade.quotas import check_open_quotes, check_unpaid
from wattmesh_beckn.errors import ErrorCode, Refusal, declined, invalid
from wattmesh_beckn.messages import (
    ENERGY,
    Available,
    CancelMessage,
    Catalog,
    CatalogItem,
    ConfirmedOrder,
    ConfirmMessage,
    Descriptor,
    InitMessage,
    Measure,
    MeasureOf,
    OnCancelMessage,
    OnConfirmMessage,
    OnInitMessage,
    OnSearchMessage,
    OnSelectMessage,
    OnStatusMessage,
    OnUpdatedOrder,
    OnUpdateMessage,
    Provider,
    QuotedOrder,
    SearchMessage,
    SelectMessage,
    StatusMessage,
    UpdateMessage,
)
from wattmesh_beckn.receiver import Received
from wattmesh_market.trade.offers import MIN_TRADE_WH
from wattmesh_market.units import MAX_ENERGY_WH, amount_micro, kwh_text, money_text, share_micro

QUOTE_TTL_MS = 30_000
"""How long a quote holds its energy, if the gate does not close before (wall time)."""
HORIZON_S = 86_400
"""How far ahead slots are sold (grid time)."""


class Stock(Protocol):
    """What a seller has."""

    def sells(self, slot: int) -> bool:
        """Whether the party is a seller for this slot."""
        ...

    def sellable_wh(self, slot: int) -> int:
        """What can still be promised for this slot."""
        ...

    def price_micro_per_kwh(self, slot: int) -> int:
        """What a kWh costs in this slot, without grid fee."""
        ...

    def grid_fee_micro_per_kwh(self, buyer: str) -> int:
        """The grid fee on a kWh that a buyer gets, on top of the price."""
        ...


class Seller:
    """Answers searches, quotes, agrees, commits, reports, and takes payment."""

    def __init__(self, trader: Trader, stock: Stock) -> None:
        self._trader = trader
        self._stock = stock

    def offer(self, received: Received) -> None:
        """`search` → `on_search`: what could be had; nothing is held for it."""
        message = received.read(SearchMessage)
        trader = self._trader
        trader.require_near(received.sender)
        if message.intent.item.descriptor.code != ENERGY:
            raise declined(ErrorCode.ITEM_NOT_FOUND, f"only {ENERGY!r} is sold here", "message.intent.item.descriptor")
        slot = slot_of_fulfillment(message.intent.fulfillment, "message.intent.fulfillment")
        available_wh = self._available_wh(slot)
        item = CatalogItem(
            id=item_id(slot),
            descriptor=Descriptor(code=ENERGY, name=f"energy {trader.slot_text(slot)}"),
            price=trader.price(self._all_in_micro_per_kwh(slot, received.context.bap_id)),
            quantity=Available(available=MeasureOf(measure=Measure(energy_wh=available_wh))),
            fulfillment_ids=(f"slot-{slot}",),
        )
        provider = Provider(
            id=trader.id, descriptor=Descriptor(name=short(trader.id)), items=(item,), fulfillments=(delivery(slot),)
        )
        catalog = Catalog(descriptor=Descriptor(name=short(trader.id)), providers=(provider,))
        self._answer(received, "on_search", OnSearchMessage(catalog=catalog), until_ms=trader.gate_ms(slot))

    def quote(self, received: Received) -> None:
        """`select` → `on_select`: reserve, less when less is left, and price it."""
        message = received.read(SelectMessage)
        trader, order = self._trader, message.order
        context = received.context
        trader.require_near(received.sender)
        slot = slot_of_fulfillment(order.fulfillments[0], "message.order.fulfillments.0")
        if order.provider.id != trader.id:
            raise declined(
                ErrorCode.ITEM_NOT_FOUND, f"no provider {order.provider.id!r} here", "message.order.provider"
            )
        if order.items[0].id != item_id(slot):
            raise declined(
                ErrorCode.ITEM_NOT_FOUND, f"no item {order.items[0].id!r} in that slot", "message.order.items.0"
            )
        if trader.contracts.get(context.transaction_id, context.bap_id) is not None:
            raise declined(ErrorCode.BUSINESS_ERROR, "this transaction has an order here already; search anew")
        self._check_trust(context.bap_id)
        energy_wh = min(order.energy_wh, self._available_wh(slot))
        now_ms = trader.now_ms
        contract = Contract(
            party=trader.id,
            side=Side.SELLER,
            transaction_id=context.transaction_id,
            counterparty=context.bap_id,
            item_id=item_id(slot),
            slot=slot,
            energy_wh=energy_wh,
            amount_micro=amount_micro(self._all_in_micro_per_kwh(slot, context.bap_id), energy_wh),
            fee_micro=amount_micro(self._stock.grid_fee_micro_per_kwh(context.bap_id), energy_wh),
            state=ContractState.QUOTED,
            expires_ms=min(now_ms + QUOTE_TTL_MS, trader.gate_ms(slot)),
            created_ms=now_ms,
            updated_ms=now_ms,
        )
        trader.contracts.put(contract)
        trader.story(
            "quoted %s kWh for %s to %s at %s %s",
            kwh_text(energy_wh),
            trader.slot_text(slot),
            short(context.bap_id),
            money_text(contract.amount_micro),
            trader.currency,
            transaction_id=context.transaction_id,
        )
        self._answer(
            received,
            "on_select",
            OnSelectMessage(order=quoted_order(contract, trader.currency, now_ms)),
            until_ms=contract.expires_ms,
        )

    def agree(self, received: Received) -> None:
        """`init` → `on_init`: fix the quoted terms under an order id."""
        message = received.read(InitMessage)
        trader, context = self._trader, received.context
        contract = self._tentative(context.transaction_id, context.bap_id)
        self._check(contract, message.order)
        if contract.state is ContractState.QUOTED:
            order_id = trader.derive_id("order", context.transaction_id, context.bap_id)
            contract = contract.agreed(order_id, trader.now_ms)
            trader.contracts.put(contract)
        order = agreed_order(contract, trader.currency, trader.now_ms)
        self._answer(received, "on_init", OnInitMessage(order=order), until_ms=contract.expires_ms)

    def commit(self, received: Received) -> None:
        """`confirm` → `on_confirm`: the reservation becomes a commitment."""
        message = received.read(ConfirmMessage)
        trader, context, order = self._trader, received.context, message.order
        contract = self._contract(context.transaction_id, context.bap_id)
        if contract is None or contract.order_id != order.id:
            raise _no_order(order.id)
        self._check(contract, order)
        if order.payments[0].params.amount_micro != contract.amount_micro:
            raise declined(
                ErrorCode.QUOTE_UNAVAILABLE,
                f"payment of {money_text(order.payments[0].params.amount_micro)} is not the agreed "
                f"{money_text(contract.amount_micro)}",
                "message.order.payments.0.params.amount",
            )
        if contract.state is not ContractState.CONFIRMED:
            contract = self._tentative(context.transaction_id, context.bap_id).confirmed(trader.now_ms)
            trader.contracts.put(contract)
            trader.story(
                "sold %s kWh for %s to %s at %s %s",
                kwh_text(contract.energy_wh),
                trader.slot_text(contract.slot),
                short(context.bap_id),
                money_text(contract.amount_micro),
                trader.currency,
                transaction_id=context.transaction_id,
            )
        fields = agreed_order(contract, trader.currency, trader.now_ms)
        confirmed = ConfirmedOrder(**dict(fields), status="ACTIVE")
        self._answer(received, "on_confirm", OnConfirmMessage(order=confirmed))

    def report(self, received: Received) -> None:
        """`status` → `on_status`: how the order stands."""
        message = received.read(StatusMessage)
        contract = self._ordered(message.order_id, received.context.bap_id)
        order = status_order(contract, self._trader.currency, self._trader.now_ms)
        self._answer(received, "on_status", OnStatusMessage(order=order))

    def withdraw(self, received: Received) -> None:
        """`cancel` → `on_cancel`: free what was promised, until the slot starts."""
        message = received.read(CancelMessage)
        trader = self._trader
        contract = self._ordered(message.order_id, received.context.bap_id)
        if contract.state in (*TENTATIVE, ContractState.CONFIRMED):
            if not trader.gate_open(contract.slot):
                raise declined(
                    ErrorCode.CANCELLATION_NOT_POSSIBLE,
                    f"the delivery slot {trader.slot_text(contract.slot)} has started; what was confirmed is delivered",
                )
            reason = f"cancelled by the buyer: {message.cancellation_reason_id}"
            contract = contract.ended(ContractState.CANCELLED, reason, trader.now_ms)
            trader.contracts.put(contract)
            trader.story("order cancelled by %s", short(contract.counterparty), transaction_id=contract.transaction_id)
        elif contract.state in DELIVERED:
            raise declined(ErrorCode.CANCELLATION_NOT_POSSIBLE, f"the order is {contract.state}")
        order = status_order(contract, trader.currency, trader.now_ms)
        self._answer(received, "on_cancel", OnCancelMessage(order=order))

    def receive_payment(self, received: Received) -> None:
        """`update` of `order.payments` → `on_update`: the delivered energy is paid, the contract settled."""
        message = received.read(UpdateMessage)
        trader = self._trader
        contract = self._ordered(message.order.id, received.context.bap_id)
        if contract.state not in DELIVERED:
            raise declined(ErrorCode.BUSINESS_ERROR, f"nothing to pay yet: the order is {contract.state}")
        payments = message.order.payments
        if payments is None or payments[0].status != "PAID":
            raise invalid("a payment must have status PAID", "message.order.payments.0.status")
        paid = payments[0].params
        if paid.amount_micro != contract.settled_micro or paid.currency != trader.currency:
            raise declined(
                ErrorCode.BUSINESS_ERROR,
                f"paid {money_text(paid.amount_micro)} {paid.currency} but "
                f"{money_text(contract.settled_micro or 0)} {trader.currency} is due",
                "message.order.payments.0.params.amount",
            )
        if contract.state is ContractState.DELIVERED:
            contract = contract.settled(trader.now_ms)
            trader.contracts.put(contract)
            trader.story(
                "paid %s %s by %s",
                money_text(paid.amount_micro),
                trader.currency,
                short(contract.counterparty),
                transaction_id=contract.transaction_id,
            )
        order = OnUpdatedOrder(id=message.order.id, payments=(payment(contract, trader.currency),), status="COMPLETE")
        self._answer(received, "on_update", OnUpdateMessage(order=order))

    def deliver(self, contract: Contract, delivered_wh: int) -> None:
        """Book what was metered for a confirmed contract and tell the buyer."""
        trader = self._trader
        settled_micro = share_micro(contract.amount_micro, delivered_wh, contract.energy_wh)
        contract = contract.delivered(delivered_wh, settled_micro, trader.now_ms)
        trader.contracts.put(contract)
        trader.meter.book(
            LedgerEntry(
                "trade", contract.slot, contract.counterparty, contract.transaction_id, -delivered_wh, settled_micro
            )
        )
        if delivered_wh < contract.energy_wh:
            trader.story(
                "delivered only %s of %s kWh to %s",
                kwh_text(delivered_wh),
                kwh_text(contract.energy_wh),
                short(contract.counterparty),
                transaction_id=contract.transaction_id,
            )
        self.tell_delivery(contract, "end of slot")

    def tell_delivery(self, contract: Contract, occasion: object) -> None:
        """Unasked `on_status`: what was delivered. `occasion` tells one telling from the next."""
        trader = self._trader
        trader.tell(
            "on_status",
            contract.counterparty,
            OnStatusMessage(order=status_order(contract, trader.currency, trader.now_ms)),
            transaction_id=contract.transaction_id,
            message_id=trader.derive_id("delivered", contract.transaction_id, contract.counterparty, occasion),
        )

    def drive(self, before: int, occasion: int) -> None:
        """Tell again what was delivered in slots before `before` and is not paid."""
        delivered = self._trader.contracts.in_states(Side.SELLER, (ContractState.DELIVERED,))
        for contract in [c for c in delivered if c.slot < before][:MOST_DRIVEN]:
            self.tell_delivery(contract, occasion)

    def declined_by_buyer(self, transaction_id: str, buyer: str, reason: str) -> None:
        """The buyer refused the quote or the terms: free what they held."""
        contract = self._contract(transaction_id, buyer)
        if contract is not None and contract.state in TENTATIVE:
            self._trader.contracts.put(contract.ended(ContractState.CANCELLED, reason, self._trader.now_ms))

    def expire(self) -> None:
        """Free what expired quotes held."""
        trader = self._trader
        for contract in trader.contracts.in_states(Side.SELLER, TENTATIVE):
            if contract.expired(trader.now_ms):
                late = not trader.gate_open(contract.slot)
                reason = "gate closed before it was confirmed" if late else "quote not taken in time"
                trader.contracts.put(contract.ended(ContractState.EXPIRED, reason, trader.now_ms))

    def _all_in_micro_per_kwh(self, slot: int, buyer: str) -> int:
        return self._stock.price_micro_per_kwh(slot) + self._stock.grid_fee_micro_per_kwh(buyer)

    def _available_wh(self, slot: int) -> int:
        trader = self._trader
        if not trader.gate_open(slot):
            raise declined(
                ErrorCode.BUSINESS_ERROR,
                f"gate closed: the delivery slot {trader.slot_text(slot)} has started",
                "message.order.fulfillments.0.stops.0.time.range",
            )
        if slot > trader.current_slot + HORIZON_S:
            raise declined(ErrorCode.BUSINESS_ERROR, f"slots are sold up to {HORIZON_S // 3600} h ahead")
        available_wh = min(self._stock.sellable_wh(slot), MAX_ENERGY_WH) if self._stock.sells(slot) else 0
        if available_wh < MIN_TRADE_WH:
            raise declined(ErrorCode.QUANTITY_UNAVAILABLE, f"nothing to sell for {trader.slot_text(slot)}")
        return available_wh

    def _contract(self, transaction_id: str, buyer: str) -> Contract | None:
        contract = self._trader.contracts.get(transaction_id, buyer)
        return contract if contract is not None and contract.side is Side.SELLER else None

    def _tentative(self, transaction_id: str, buyer: str) -> Contract:
        contract = self._contract(transaction_id, buyer)
        if contract is None:
            raise declined(ErrorCode.QUOTE_UNAVAILABLE, "no quote was given in this transaction")
        if contract.state not in TENTATIVE:
            raise declined(ErrorCode.QUOTE_UNAVAILABLE, f"the quote is {contract.state}: {contract.reason or 'taken'}")
        return contract

    def _ordered(self, order_id: str, buyer: str) -> Contract:
        contract = self._trader.contracts.by_order(order_id, buyer)
        if contract is None or contract.side is not Side.SELLER:
            raise _no_order(order_id)
        return contract

    def _check_trust(self, buyer: str) -> None:
        trader = self._trader
        check_open_quotes(buyer, trader.contracts.in_states(Side.SELLER, TENTATIVE, buyer), trader.now_ms)
        unpaid = trader.contracts.in_states(Side.SELLER, (ContractState.DELIVERED,), buyer)
        check_unpaid(buyer, unpaid, trader.now_ms, trader.slot_ms())

    def _check(self, contract: Contract, order: QuotedOrder) -> None:
        wrong = difference(contract, order, self._trader.currency)
        if wrong is not None:
            raise declined(ErrorCode.QUOTE_UNAVAILABLE, wrong[1], wrong[0])

    def _answer(self, received: Received, action: str, body: object, until_ms: int | None = None) -> None:
        context = received.context
        self._trader.tell(
            action,  # type: ignore[arg-type]
            context.bap_id,
            body,  # type: ignore[arg-type]
            transaction_id=context.transaction_id,
            message_id=context.message_id,
            until_ms=until_ms,
        )


def _no_order(order_id: str) -> Refusal:
    return declined(ErrorCode.ORDER_NOT_FOUND, f"no order {order_id!r} of yours here", "message.order.id")
