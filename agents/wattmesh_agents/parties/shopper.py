"""The first half of a purchase: search, collect offers, choose the cheapest mix or as advised, select.

`hear_offers` runs in the transaction of the callback it takes in; the others decide and send what comes next, and do
nothing when run twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from wattmesh_agents.parties.terms import select_order, selected, slot_of_fulfillment
from wattmesh_agents.parties.trader import Trader, delivery, short
from wattmesh_agents.store.contracts import Purchase
from wattmesh_agents.trade.advice import (
    AdviceRefused,
    Choice,
    Consultation,
    NoChoice,
    picks_of,
    question_about,
)
from wattmesh_agents.trade.contracts import ContractState
from wattmesh_beckn.context import Code
from wattmesh_beckn.errors import ErrorCode, declined
from wattmesh_beckn.messages import ENERGY, Intent, IntentItem, OnSearchMessage, SearchMessage, SelectMessage
from wattmesh_beckn.receiver import Received
from wattmesh_beckn.transport import Reply
from wattmesh_market.schedule import PPM, WINDOW_PPM
from wattmesh_market.strategies import Buy
from wattmesh_market.trade.offers import MIN_TRADE_WH, Offer, Pick, choose
from wattmesh_market.units import kwh_text, money_text

MOST_OFFERS = 1000
ADVICE = "advice"
"""The alarm that ends the waiting for an adviser; as long as it is set, one is being asked."""
_ADVICE_MS = 30_000
"""How long an adviser may take at most (wall time); it is never more than a third of the time to the gate."""


class Shopper:
    """Looks for energy and picks sellers. `advised`: an adviser, where there is one, makes the first choice."""

    def __init__(self, trader: Trader, *, advised: bool = False) -> None:
        self._trader = trader
        self._advised = advised
        self._advice: dict[str, tuple[Pick, ...]] = {}

    def transaction_for(self, slot: int, attempt: int) -> str:
        """The transaction id of a purchase."""
        return self._trader.derive_id("purchase", slot, attempt)

    def search(self, slot: int, attempt: int, decision: Buy) -> None:
        """Ask the gateway for offers and set the alarm that ends the collecting."""
        trader = self._trader
        transaction_id = self.transaction_for(slot, attempt)
        purchase = Purchase(
            transaction_id, slot, attempt, decision.energy_wh, decision.max_price_micro_per_kwh, None, closed=False,
            searched_ms=trader.now_ms,
        )  # fmt: skip
        trader.contracts.start_purchase(purchase)
        trader.story("%s", decision.reason, transaction_id=transaction_id)
        trader.story(
            "search: %s kWh for %s",
            kwh_text(decision.energy_wh),
            trader.slot_text(slot),
            transaction_id=transaction_id,
        )
        item = IntentItem(descriptor=Code(code=ENERGY), quantity=selected(decision.energy_wh))
        intent = Intent(item=item, fulfillment=delivery(slot))
        trader.tell(
            "search",
            trader.around.gateway_id,
            SearchMessage(intent=intent),
            transaction_id=transaction_id,
            message_id=trader.derive_id("search", transaction_id),
            until_ms=trader.gate_ms(slot),
        )
        window_ms = trader.slot_ms() * WINDOW_PPM // PPM
        left_ms = max(0, trader.gate_ms(slot) - trader.now_ms)
        trader.set_timer("collect", transaction_id, trader.now_ms + min(left_ms // 2, window_ms))

    def hear_offers(self, received: Received) -> Reply | None:
        """`on_search`: write the seller's offer down. One that was not asked for is refused."""
        catalog = received.read(OnSearchMessage).catalog
        trader, context = self._trader, received.context
        seller = received.sender.subscriber_id
        purchase = self.purchase(context.transaction_id)
        trader.require_near(received.sender)
        if purchase.closed:
            return None
        if trader.contracts.count_offers(context.transaction_id) >= MOST_OFFERS:
            raise declined(ErrorCode.BUSINESS_ERROR, f"this search has {MOST_OFFERS} offers already")
        for provider in catalog.providers:
            slots = {
                fulfillment.id: slot_of_fulfillment(fulfillment, "message.catalog.providers.0.fulfillments.0")
                for fulfillment in provider.fulfillments
            }
            for item in provider.items:
                if provider.id != seller:
                    raise declined(ErrorCode.BUSINESS_ERROR, f"{seller!r} cannot offer for {provider.id!r}")
                fits = any(slots.get(name) == purchase.slot for name in item.fulfillment_ids)
                if fits and item.price.currency == trader.currency and item.descriptor.code == ENERGY:
                    available_wh = item.quantity.available.measure.energy_wh
                    offer = Offer(seller, item.id, item.price.value_micro, available_wh)
                    trader.contracts.add_offer(context.transaction_id, offer)
        return None

    def buying(self, slot: int) -> bool:
        """Whether a purchase for this slot is still under way."""
        return any(not purchase.closed for purchase in self._trader.contracts.purchases_of_slot(slot))

    def searched(self, slot: int, attempt: int) -> bool:
        """Whether this attempt was made already."""
        return self._trader.contracts.purchase(self.transaction_for(slot, attempt)) is not None

    def collecting(self, transaction_id: str) -> bool:
        """Whether nothing was chosen yet."""
        purchase = self._trader.contracts.purchase(transaction_id)
        return purchase is not None and not purchase.closed and not self._trader.contracts.has_chosen(transaction_id)

    def ask_advice(self, transaction_id: str) -> bool:
        """Have the adviser asked which offers to take; whether its answer is to be waited for.

        It is asked once for each purchase, about the first choice. An alarm stands for the question: whoever takes it
        off, the answer or the clock, lets the purchase go on. So a question that dies with the process ends by the
        clock.
        """
        trader = self._trader
        if not self._advised or trader.around.ask is None or not self.collecting(transaction_id):
            return False
        if trader.timer_set(ADVICE, transaction_id):
            return True
        purchase = self.purchase(transaction_id)
        question = question_about(
            trader.slot_text(purchase.slot),
            trader.currency,
            self._open_offers(transaction_id),
            self._missing_wh(purchase),
            purchase.max_price_micro,
        )
        left_ms = trader.gate_ms(purchase.slot) - trader.now_ms
        if question is None or left_ms <= 0:
            return False
        due_ms = trader.now_ms + min(_ADVICE_MS, left_ms // 3)
        asked, ask = Consultation(trader.id, transaction_id, due_ms, question), trader.around.ask
        trader.set_timer(ADVICE, transaction_id, due_ms)
        trader.around.database.after_commit(lambda: ask(asked))
        trader.story("asks the chat model: %d offers", len(question.offers), transaction_id=transaction_id)
        return True

    @contextmanager
    def heeding(self, asked: Consultation, advice: Choice | NoChoice) -> Iterator[bool]:
        """While the block runs, `choose` gives what the adviser chose; the cheapest mix when that is outside of limits.

        False when it is not waited for any more.
        """
        transaction_id = asked.transaction_id
        if not self._trader.take_timer(ADVICE, transaction_id, asked.due_ms) or not self.collecting(transaction_id):
            yield False
            return
        try:
            if isinstance(advice, NoChoice):
                self._tell_no_advice(transaction_id, advice.reason)
            else:
                self._advice[transaction_id] = picks_of(advice, asked.question, self._open_offers(transaction_id))
        except AdviceRefused as refused:
            self._tell_no_advice(transaction_id, f"its answer is refused: {refused}")
        try:
            yield True
        finally:
            self._advice.pop(transaction_id, None)

    def advice_late(self, transaction_id: str) -> bool:
        """The adviser's time is over; whether it was still waited for."""
        waited = self.collecting(transaction_id)
        if waited:
            self._tell_no_advice(transaction_id, "no answer in time")
        return waited

    def choose(self, transaction_id: str) -> tuple[Pick, ...]:
        """What the adviser chose; else the cheapest mix for what is still needed, among offers not tried yet."""
        if transaction_id in self._advice:
            return self._advice[transaction_id]
        purchase = self.purchase(transaction_id)
        return choose(self._open_offers(transaction_id), self._missing_wh(purchase), purchase.max_price_micro)

    def has_choice(self, transaction_id: str) -> bool:
        """Whether there is something left to choose, and time to do it."""
        purchase = self.purchase(transaction_id)
        return self._trader.gate_open(purchase.slot) and bool(self.choose(transaction_id))

    def give_up(self, transaction_id: str) -> None:
        """Buy no more in this transaction, and say what is missing and why."""
        trader = self._trader
        purchase = self.purchase(transaction_id)
        gate_closed = not trader.gate_open(purchase.slot)
        trader.contracts.close_purchase(transaction_id)
        if gate_closed:
            trader.around.missed_gate()
        missing_wh = self._missing_wh(purchase)
        if missing_wh >= MIN_TRADE_WH:
            why = "the gate closed" if gate_closed else "no more offers"
            trader.story("%s kWh not bought: %s", kwh_text(missing_wh), why, transaction_id=transaction_id)

    def select(self, transaction_id: str) -> None:
        """Ask the chosen sellers for their part."""
        trader = self._trader
        purchase = self.purchase(transaction_id)
        selections = trader.contracts.offers(transaction_id)
        first = not any(s.outcome != "open" for s in selections)
        picks = self.choose(transaction_id)
        if first:
            self._tell_offers(transaction_id, [s.offer for s in selections])
        parts = ", ".join(
            f"{kwh_text(p.energy_wh)} kWh from {short(p.offer.seller)} at {money_text(p.offer.price_micro_per_kwh)}"
            for p in picks
        )
        why = "the cheapest offer" if len(picks) == 1 else f"the cheapest mix of {len(picks)} offers"
        if transaction_id in self._advice:
            why = "the chat model's choice"
        trader.story("chosen: %s (%s%s)", parts, why, "" if first else " left", transaction_id=transaction_id)
        for pick in picks:
            seller = pick.offer.seller
            trader.contracts.mark_offer(transaction_id, seller, "selected", pick.energy_wh)
            order = select_order(seller, pick.offer.item_id, purchase.slot, pick.energy_wh)
            trader.tell(
                "select",
                seller,
                SelectMessage(order=order),
                transaction_id=transaction_id,
                message_id=trader.derive_id("select", transaction_id, seller),
                until_ms=trader.gate_ms(purchase.slot),
            )
            trader.story(
                "select: %s kWh from %s", kwh_text(pick.energy_wh), short(seller), transaction_id=transaction_id
            )
        self.watch(transaction_id)

    def purchase(self, transaction_id: str) -> Purchase:
        """The purchase of a transaction; Refusal when none was started here."""
        purchase = self._trader.contracts.purchase(transaction_id)
        if purchase is None:
            raise declined(
                ErrorCode.BUSINESS_ERROR, f"no search with transaction_id {transaction_id!r} was sent from here"
            )
        return purchase

    def _open_offers(self, transaction_id: str) -> list[Offer]:
        return [s.offer for s in self._trader.contracts.offers(transaction_id) if s.outcome == "open"]

    def _missing_wh(self, purchase: Purchase) -> int:
        live = (ContractState.EXPIRED, ContractState.CANCELLED)
        contracts = self._trader.contracts.of_transaction(purchase.transaction_id)
        taken_wh = sum(contract.energy_wh for contract in contracts if contract.state not in live)
        asked_wh = sum(
            selection.selected_wh or 0
            for selection in self._trader.contracts.offers(purchase.transaction_id)
            if selection.outcome == "selected"
        )
        return purchase.need_wh - taken_wh - asked_wh

    def _tell_no_advice(self, transaction_id: str, reason: str) -> None:
        self._trader.story("the rules choose, not the chat model: %s", reason, transaction_id=transaction_id)

    def _tell_offers(self, transaction_id: str, offers: list[Offer]) -> None:
        listed = ", ".join(
            f"{short(offer.seller)} {kwh_text(offer.available_wh)} kWh at {money_text(offer.price_micro_per_kwh)}"
            for offer in sorted(offers, key=lambda offer: (offer.price_micro_per_kwh, offer.seller))[:5]
        )
        more = f", and {len(offers) - 5} more" if len(offers) > 5 else ""
        text = f"{len(offers)}: {listed}{more}" if offers else "none"
        self._trader.story("offers received: %s", text, transaction_id=transaction_id)

    def watch(self, transaction_id: str) -> None:
        """Set the alarm that gives up sellers which do not answer."""
        self._trader.set_timer("stall", transaction_id, self._trader.now_ms + self._trader.wait_ms(5.0, 0.2))
