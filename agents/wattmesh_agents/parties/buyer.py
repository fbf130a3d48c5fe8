"""The second half of a purchase: follow each contract from its quote until it is paid.

Methods named `hear_…` run in the transaction of the callback they take in and write down what it changes; the others
decide and send what comes next, and do nothing when run twice.
"""

from __future__ import annotations

from collections.abc import Callable

from wattmesh_agents.parties.shopper import Shopper
from wattmesh_agents.parties.terms import (
    agreed_order,
    broken_up,
    difference,
    fee_in,
    quoted_order,
    slot_of_fulfillment,
)
from wattmesh_agents.parties.trader import MOST_DRIVEN, Trader, short
from wattmesh_agents.store.messages import Outgoing
from wattmesh_agents.store.readings import LedgerEntry
from wattmesh_agents.trade.contracts import DELIVERED, OPEN, TENTATIVE, Contract, ContractState, Side
from wattmesh_beckn.answers import nack
from wattmesh_beckn.client import Acked, Nacked, Outcome
from wattmesh_beckn.errors import ErrorCode, declined, invalid
from wattmesh_beckn.messages import (
    AgreedOrder,
    Billing,
    CancelMessage,
    ConfirmMessage,
    InitMessage,
    InitOrder,
    OnCancelMessage,
    OnConfirmMessage,
    OnInitMessage,
    OnSelectMessage,
    OnStatusMessage,
    OnUpdateMessage,
    Payment,
    PaymentParams,
    StatusMessage,
    StatusOrder,
    UpdatedOrder,
    UpdateMessage,
)
from wattmesh_beckn.receiver import Received
from wattmesh_beckn.transport import Reply
from wattmesh_market.energy.slots import SLOT_S
from wattmesh_market.units import amount_micro, kwh_text, money_text, share_micro

CLOCK_TOLERANCE_S = 5.0
"""How far a seller's clock may run ahead when it reports a delivery (wall time)."""


class Buyer:
    """Carries a party's purchases from quote to settlement. `on_delivered` is told of each booked delivery."""

    def __init__(self, trader: Trader, shopper: Shopper, on_delivered: Callable[[Contract], None]) -> None:
        self._trader = trader
        self._shopper = shopper
        self._on_delivered = on_delivered

    # --- contracts ---

    def hear_quote(self, received: Received) -> Reply | None:
        """`on_select`: a quote for what was selected, or less. A dearer one, more, or a wrong sum is refused."""
        order = received.read(OnSelectMessage).order
        trader, context = self._trader, received.context
        seller = received.sender.subscriber_id
        purchase = self._shopper.purchase(context.transaction_id)
        selection = trader.contracts.offer(context.transaction_id, seller)
        if selection is None or selection.selected_wh is None:
            raise declined(ErrorCode.BUSINESS_ERROR, f"nothing was selected from {seller!r} in this transaction")
        if selection.outcome != "selected":
            return None
        if trader.contracts.get(context.transaction_id, seller) is not None:
            raise declined(ErrorCode.BUSINESS_ERROR, f"{seller!r} buys in this transaction; it cannot sell in it, too")
        price = order.quote.price
        most_micro = amount_micro(selection.offer.price_micro_per_kwh, order.energy_wh)
        slot = slot_of_fulfillment(order.fulfillments[0], "message.order.fulfillments.0")
        wrong = None
        if order.energy_wh > selection.selected_wh:
            wrong = f"quoted {kwh_text(order.energy_wh)} kWh but {kwh_text(selection.selected_wh)} kWh was selected"
        elif price.value_micro > most_micro or price.currency != trader.currency:
            wrong = (
                f"quoted {money_text(price.value_micro)} {price.currency} but the offer makes it "
                f"{money_text(most_micro)} {trader.currency}"
            )
        elif order.items[0].id != selection.offer.item_id or slot != purchase.slot or order.provider.id != seller:
            wrong = "quoted another item, slot or provider than was selected"
        else:
            wrong = broken_up(order.quote)
        if wrong is not None:
            trader.contracts.mark_offer(context.transaction_id, seller, "failed")
            trader.story("refused the quote of %s: %s", short(seller), wrong, transaction_id=context.transaction_id)
            return nack(declined(ErrorCode.QUOTE_UNAVAILABLE, wrong, "message.order.quote"))
        trader.contracts.mark_offer(context.transaction_id, seller, "quoted")
        expires_ms = int((context.timestamp + order.quote.ttl).timestamp() * 1000)
        trader.contracts.put(
            Contract(
                party=trader.id,
                side=Side.BUYER,
                transaction_id=context.transaction_id,
                counterparty=seller,
                item_id=order.items[0].id,
                slot=purchase.slot,
                energy_wh=order.energy_wh,
                amount_micro=price.value_micro,
                fee_micro=fee_in(order.quote),
                state=ContractState.QUOTED,
                expires_ms=min(expires_ms, trader.gate_ms(purchase.slot)),
                created_ms=trader.now_ms,
                updated_ms=trader.now_ms,
                searched_ms=purchase.searched_ms,
            )
        )
        return None

    def init(self, transaction_id: str) -> None:
        """Take every quote that stands."""
        trader = self._trader
        for contract in trader.contracts.of_transaction(transaction_id):
            if contract.state is not ContractState.QUOTED or contract.expired(trader.now_ms):
                continue
            quoted = quoted_order(contract, trader.currency, trader.now_ms)
            order = InitOrder(**dict(quoted), billing=Billing(name=trader.id))
            trader.tell(
                "init",
                contract.counterparty,
                InitMessage(order=order),
                transaction_id=transaction_id,
                message_id=trader.derive_id("init", transaction_id, contract.counterparty),
                until_ms=contract.expires_ms,
            )
            trader.story(
                "init: %s kWh from %s for %s %s",
                kwh_text(contract.energy_wh),
                short(contract.counterparty),
                money_text(contract.amount_micro),
                trader.currency,
                transaction_id=transaction_id,
            )

    def hear_terms(self, received: Received) -> Reply | None:
        """`on_init`: the order id. Terms other than the quote's are refused and the order cancelled."""
        order = received.read(OnInitMessage).order
        trader, context = self._trader, received.context
        contract = self._contract(context.transaction_id, received.sender.subscriber_id)
        if contract.state is not ContractState.QUOTED:
            return None
        wrong = self._other_terms(contract, order)
        if wrong is not None:
            trader.contracts.put(contract.ended(ContractState.CANCELLED, wrong[1], trader.now_ms))
            trader.story(
                "refused the terms of %s: %s", short(contract.counterparty), wrong[1],
                transaction_id=contract.transaction_id,
            )  # fmt: skip
            self._cancel(contract, order.id)
            return nack(declined(ErrorCode.QUOTE_UNAVAILABLE, wrong[1], wrong[0]))
        if trader.contracts.by_order(order.id, contract.counterparty) is not None:
            raise declined(ErrorCode.BUSINESS_ERROR, f"{order.id!r} is the id of another order", "message.order.id")
        if contract.expired(trader.now_ms):
            return None
        trader.contracts.put(contract.agreed(order.id, trader.now_ms))
        return None

    def confirm(self, transaction_id: str) -> None:
        """Confirm all that is agreed. From here on only the seller knows whether the contract holds: in doubt."""
        trader = self._trader
        for contract in trader.contracts.of_transaction(transaction_id):
            if contract.state is not ContractState.AGREED or contract.in_doubt or contract.expired(trader.now_ms):
                continue
            order = agreed_order(contract, trader.currency, trader.now_ms)
            trader.contracts.put(contract.doubted(trader.now_ms))
            trader.tell(
                "confirm",
                contract.counterparty,
                ConfirmMessage(order=order),
                transaction_id=transaction_id,
                message_id=trader.derive_id("confirm", transaction_id, contract.counterparty),
                until_ms=contract.expires_ms,
            )
            trader.story(
                "confirm: %s kWh from %s for %s %s",
                kwh_text(contract.energy_wh),
                short(contract.counterparty),
                money_text(contract.amount_micro),
                trader.currency,
                transaction_id=transaction_id,
            )
            self._doubt_again(contract)

    def hear_confirmation(self, received: Received) -> Reply | None:
        """`on_confirm`: in force. What differs from the agreed terms is refused and stays in doubt."""
        order = received.read(OnConfirmMessage).order
        trader = self._trader
        contract = self._contract(received.context.transaction_id, received.sender.subscriber_id)
        wrong = self._other_terms(contract, order)
        if wrong is None and order.id != contract.order_id:
            wrong = ("message.order.id", f"order says {order.id!r} but {contract.order_id!r} was agreed")
        if wrong is not None:
            raise declined(ErrorCode.BUSINESS_ERROR, wrong[1], wrong[0])
        if contract.state is ContractState.AGREED and contract.in_doubt:
            trader.contracts.put(contract.confirmed(trader.now_ms))
            trader.story(
                "confirmed by %s: %s kWh for %s",
                short(contract.counterparty),
                kwh_text(contract.energy_wh),
                trader.slot_text(contract.slot),
                transaction_id=contract.transaction_id,
            )
        return None

    def ask_status(self, transaction_id: str, seller: str) -> None:
        """Ask what became of a contract that is in doubt, or whose delivery was not reported."""
        trader = self._trader
        contract = trader.contracts.get(transaction_id, seller)
        if contract is None or contract.order_id is None or contract.side is not Side.BUYER:
            return
        overdue = contract.state is ContractState.CONFIRMED and trader.current_slot > contract.slot
        if not (contract.in_doubt or overdue):
            return
        trader.tell(
            "status",
            seller,
            StatusMessage(order_id=contract.order_id),
            transaction_id=transaction_id,
            message_id=trader.derive_id("status", transaction_id, seller, trader.now_ms),
        )
        if contract.in_doubt:
            self._doubt_again(contract)

    def hear_status(self, received: Received) -> Reply | None:
        """`on_status` or `on_cancel`: what the seller says of the contract, believed as far as it can be."""
        message = received.message
        if not isinstance(message, OnStatusMessage | OnCancelMessage):
            raise TypeError(f"{received.action} carries no order")
        order = message.order
        trader = self._trader
        contract = trader.contracts.get(received.context.transaction_id, received.sender.subscriber_id)
        if contract is None or contract.side is not Side.BUYER or contract.order_id != order.id:
            raise declined(ErrorCode.ORDER_NOT_FOUND, f"no order {order.id!r} with you here", "message.order.id")
        if order.state == ContractState.CONFIRMED and contract.in_doubt:
            trader.contracts.put(contract.confirmed(trader.now_ms))
        elif order.state in (ContractState.EXPIRED, ContractState.CANCELLED):
            self._ended_by_seller(contract, order)
        elif order.state in DELIVERED:
            self._delivered(contract, order)
        return None

    def settle(self, transaction_id: str, occasion: object = "delivered") -> None:
        """Pay for what was delivered. `occasion` tells a payment said again from the first."""
        trader = self._trader
        for contract in trader.contracts.of_transaction(transaction_id):
            if contract.state is not ContractState.DELIVERED or contract.order_id is None:
                continue
            params = PaymentParams(amount_micro=contract.settled_micro or 0, currency=trader.currency)
            order = UpdatedOrder(id=contract.order_id, payments=(Payment(status="PAID", params=params),))
            trader.tell(
                "update",
                contract.counterparty,
                UpdateMessage(update_target="order.payments", order=order),
                transaction_id=transaction_id,
                message_id=trader.derive_id("pay", transaction_id, contract.counterparty, occasion),
            )

    def hear_receipt(self, received: Received) -> Reply | None:
        """`on_update` of a payment: settled."""
        order = received.read(OnUpdateMessage).order
        contract = self._contract(received.context.transaction_id, received.sender.subscriber_id)
        if contract.order_id != order.id or not order.payments or order.payments[0].status != "PAID":
            raise declined(ErrorCode.BUSINESS_ERROR, "no receipt for a payment of this order", "message.order")
        if contract.state is ContractState.DELIVERED:
            self._trader.contracts.put(contract.settled(self._trader.now_ms))
        return None

    # --- what the post and the clock say ---

    def sent(self, message: Outgoing, outcome: Outcome) -> str | None:
        """What a synchronous answer means; returns the event for the brain, if any."""
        trader = self._trader
        transaction_id = message.transaction_id
        if message.action == "search":
            if isinstance(outcome, Acked):
                trader.contracts.note_asked(transaction_id, int(outcome.tags.get("recipients", "0")))
                return None
            trader.story("search failed: %s", _why(outcome), transaction_id=transaction_id)
            trader.contracts.note_asked(transaction_id, 0)
            return "answered"
        if isinstance(outcome, Acked):
            return None
        seller = message.recipient
        contract = trader.contracts.get(transaction_id, seller)
        if message.action == "select":
            trader.contracts.mark_offer(transaction_id, seller, "failed")
            trader.story("%s declined: %s", short(seller), _why(outcome), transaction_id=transaction_id)
            return "failed"
        if message.action == "init" and isinstance(outcome, Nacked):
            if contract is not None and contract.state is ContractState.QUOTED:
                trader.contracts.put(contract.ended(ContractState.EXPIRED, _why(outcome), trader.now_ms))
                trader.story("%s declined: %s", short(seller), _why(outcome), transaction_id=transaction_id)
            return "failed"
        if message.action == "confirm":
            trader.story("in doubt about %s: %s", short(seller), _why(outcome), transaction_id=transaction_id)
            self.ask_status(transaction_id, seller)
        if (
            message.action == "status"
            and isinstance(outcome, Nacked)
            and outcome.code == ErrorCode.ORDER_NOT_FOUND
            and contract is not None
            and contract.in_doubt
        ):
            trader.contracts.put(contract.ended(ContractState.CANCELLED, "unknown to the seller", trader.now_ms))
            return "failed"
        return None

    def expire(self) -> list[str]:
        """End quotes that ran out unconfirmed; returns their transactions."""
        trader, ended = self._trader, []
        for contract in trader.contracts.in_states(Side.BUYER, TENTATIVE):
            if contract.expired(trader.now_ms):
                late = not trader.gate_open(contract.slot)
                reason = "gate closed before it was confirmed" if late else "quote ran out"
                trader.contracts.put(contract.ended(ContractState.EXPIRED, reason, trader.now_ms))
                if late:
                    trader.around.missed_gate()
                trader.story("%s: %s", short(contract.counterparty), reason, transaction_id=contract.transaction_id)
                ended.append(contract.transaction_id)
        return ended

    def stalled(self, transaction_id: str) -> None:
        """Sellers that did not answer in time are given up."""
        self.expire()
        for selection in self._trader.contracts.offers(transaction_id):
            if selection.outcome == "selected":
                self._trader.contracts.mark_offer(transaction_id, selection.offer.seller, "failed")
                self._trader.story("no answer from %s", short(selection.offer.seller), transaction_id=transaction_id)
        if any(c.state in TENTATIVE and not c.in_doubt for c in self._trader.contracts.of_transaction(transaction_id)):
            self._shopper.watch(transaction_id)

    def wants_more(self, transaction_id: str) -> bool:
        """Whether something is missing that others offer. When nothing is under way either, the purchase is closed.

        Contracts may outlive what was noted of their purchase; then no more is bought.
        """
        trader = self._trader
        purchase = trader.contracts.purchase(transaction_id)
        selections = trader.contracts.offers(transaction_id)
        contracts = trader.contracts.of_transaction(transaction_id)
        if (
            purchase is not None
            and not purchase.closed
            and any(s.outcome == "open" for s in selections)
            and self._shopper.choose(transaction_id)
        ):
            return True
        ended = (ContractState.SETTLED, ContractState.EXPIRED, ContractState.CANCELLED)
        if all(s.outcome != "selected" for s in selections) and all(c.state in ended for c in contracts):
            trader.contracts.close_purchase(transaction_id)
        return False

    def drive(self, before: int, occasion: int) -> None:
        """Say again what purchases for slots before `before` wait for."""
        late = [c for c in self._trader.contracts.in_states(Side.BUYER, OPEN) if c.slot < before]
        for contract in late[:MOST_DRIVEN]:
            if contract.state is ContractState.DELIVERED:
                self.settle(contract.transaction_id, occasion)
            else:
                self.ask_status(contract.transaction_id, contract.counterparty)

    # --- parts ---

    def _contract(self, transaction_id: str, seller: str) -> Contract:
        contract = self._trader.contracts.get(transaction_id, seller)
        if contract is None or contract.side is not Side.BUYER:
            raise declined(ErrorCode.ORDER_NOT_FOUND, "no order with you in this transaction", "context.transaction_id")
        return contract

    def _doubt_again(self, contract: Contract) -> None:
        trader = self._trader
        subject = f"{contract.transaction_id} {contract.counterparty}"
        trader.set_timer("doubt", subject, trader.now_ms + max(200, trader.wait_ms(3.0, 0.25)))

    def _other_terms(self, contract: Contract, order: AgreedOrder) -> tuple[str, str] | None:
        wrong = difference(contract, order, self._trader.currency)
        due_micro = order.payments[0].params.amount_micro
        if wrong is None and due_micro != contract.amount_micro:
            path = "message.order.payments.0.params.amount"
            return path, f"payment of {money_text(due_micro)} but {money_text(contract.amount_micro)} was quoted"
        return wrong

    def _cancel(self, contract: Contract, order_id: str) -> None:
        self._trader.tell(
            "cancel",
            contract.counterparty,
            CancelMessage(order_id=order_id, cancellation_reason_id="terms-changed"),
            transaction_id=contract.transaction_id,
            message_id=self._trader.derive_id("cancel", contract.transaction_id, contract.counterparty),
        )

    def _ended_by_seller(self, contract: Contract, order: StatusOrder) -> None:
        trader = self._trader
        state = ContractState(order.state)
        if contract.state in (ContractState.EXPIRED, ContractState.CANCELLED):
            return
        if contract.state in DELIVERED or (
            contract.state is ContractState.CONFIRMED and state is ContractState.EXPIRED
        ):
            raise declined(ErrorCode.BUSINESS_ERROR, f"the order is {contract.state} here; it cannot be {state}")
        reason = order.cancellation.reason.name if order.cancellation else None
        trader.contracts.put(contract.ended(state, reason or "ended by the seller", trader.now_ms))
        trader.story(
            "%s says %s: %s", short(contract.counterparty), state.lower(), reason or "no reason given",
            transaction_id=contract.transaction_id,
        )  # fmt: skip

    def _delivered(self, contract: Contract, order: StatusOrder) -> None:
        trader = self._trader
        try:
            delivered_wh = order.delivered_wh
        except ValueError as error:
            raise invalid(f"tag delivery.delivered_kwh {error}", "message.order.fulfillments.0.tags") from None
        due_micro = order.payments[0].params.amount_micro
        if contract.state in DELIVERED:
            if (delivered_wh, due_micro) != (contract.delivered_wh, contract.settled_micro):
                text = f"a delivery of {kwh_text(contract.delivered_wh or 0)} kWh is booked already"
                raise declined(ErrorCode.BUSINESS_ERROR, text, "message.order.fulfillments.0.tags")
            return
        if delivered_wh is None or delivered_wh > contract.energy_wh:
            raise declined(
                ErrorCode.BUSINESS_ERROR,
                f"delivery of {'nothing stated' if delivered_wh is None else kwh_text(delivered_wh) + ' kWh'} for an "
                f"order of {kwh_text(contract.energy_wh)} kWh",
                "message.order.fulfillments.0.tags",
            )
        if due_micro != share_micro(contract.amount_micro, delivered_wh, contract.energy_wh):
            raise declined(
                ErrorCode.BUSINESS_ERROR,
                f"{money_text(due_micro)} is not what {kwh_text(delivered_wh)} kWh of this order cost",
                "message.order.payments.0.params.amount",
            )
        slot_end = contract.slot + SLOT_S - CLOCK_TOLERANCE_S * trader.around.grid.speed
        if trader.around.grid.now() < slot_end:
            raise declined(ErrorCode.BUSINESS_ERROR, "delivery reported before its slot has ended")
        if contract.in_doubt:
            contract = contract.confirmed(trader.now_ms)
        if contract.state is not ContractState.CONFIRMED:
            raise declined(ErrorCode.BUSINESS_ERROR, f"the order is {contract.state} here; it cannot be delivered")
        contract = contract.delivered(delivered_wh, due_micro, trader.now_ms)
        trader.contracts.put(contract)
        trader.meter.book(
            LedgerEntry(
                "trade", contract.slot, contract.counterparty, contract.transaction_id, delivered_wh, -due_micro
            )
        )
        self._on_delivered(contract)


def _why(outcome: Outcome) -> str:
    match outcome:
        case Nacked(code=code, message=message):
            return f"{code} {message}".strip()
        case Acked():
            return "taken"
        case _:
            return outcome.reason
