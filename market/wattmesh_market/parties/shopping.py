"""The first half of a purchase: search, collect offers, choose the cheapest mix or as advised, select."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING

from wattmesh_market.energy.slots import SLOT_S
from wattmesh_market.parties.books import Alarm, AlarmKind, Outcome, Purchase, Role, Selection
from wattmesh_market.schedule import PPM, WINDOW_PPM
from wattmesh_market.steps import Event, Situation, Trigger
from wattmesh_market.strategies import Buy
from wattmesh_market.trade.advice import Advice, AdviceRefused, Consultation, NoChoice, picks_of, question_about
from wattmesh_market.trade.contracts import OVER, ContractState, Side
from wattmesh_market.trade.messages import Call, Init, Line, Offers, Search, Select, Terms, Wanted
from wattmesh_market.trade.offers import MIN_TRADE_WH, Block, Offer, Pick, choose
from wattmesh_market.trade.partners import (
    MOST_DOUBTS,
    UNANSWERED,
    explained,
    has_kept,
    is_unanswered,
    left_wh,
    trust_of,
)
from wattmesh_market.trade.refusal import Reason, Refused
from wattmesh_market.units import amount_micro, kwh_text, money_text

if TYPE_CHECKING:
    from wattmesh_market.parties.party import Party

MOST_OFFERS = 1000
STALLED_S, STALLED_PPM = 5.0, 200_000
"""How long a seller may take to answer: so long in wall time, but no more than that part of a slot."""
_ADVICE_MS = 30_000
"""How long an adviser may take at most (wall time); it is never more than a third of the time to the gate."""
_FINISHED = frozenset((ContractState.SETTLED, *OVER))
_LOOKING = frozenset((Event.OFFERS_IN, Event.ADVISED))


def transaction_for(party: Party, slot: int, attempt: int) -> str:
    """The transaction id of a purchase."""
    return party.derive_id("purchase", slot, attempt)


def situation(party: Party, trigger: Trigger) -> Situation:
    """What a party finds when it looks at its purchase."""
    event, transaction_id = trigger.event, trigger.transaction_id
    if event is Event.LOOK:
        wants = isinstance(party.decide(trigger.slot), Buy)
        return Situation.NEEDS_ENERGY if wants else Situation.NEEDS_NOTHING
    if event in _LOOKING:
        if not collecting(party, transaction_id):
            return Situation.UNDER_WAY
        purchase = party.books.purchases[transaction_id]
        if not (party.gate_open(purchase.slot) and picks(party, purchase)):
            return Situation.NO_CHOICE
        if event is Event.OFFERS_IN and _to_ask(party, purchase) is not None:
            return Situation.ADVISER_WANTED
        return Situation.CHOICE
    if event is Event.CHECK:
        return _outcome(party, transaction_id)
    return Situation.ALWAYS


def _outcome(party: Party, transaction_id: str) -> Situation:
    """Whether something is missing that others offer. Contracts may outlive what was noted of their purchase."""
    books = party.books
    purchase = books.purchases.get(transaction_id)
    if purchase is None or purchase.closed:
        return Situation.UNDER_WAY
    if picks(party, purchase):
        return Situation.CHOICE if party.gate_open(purchase.slot) else Situation.NO_CHOICE
    if any(one.outcome is Outcome.SELECTED for one in _taken(party, transaction_id)):
        return Situation.UNDER_WAY
    over = all(contract.state in _FINISHED for contract in books.of_transaction(transaction_id))
    return Situation.DONE if over else Situation.UNDER_WAY


def search(party: Party, trigger: Trigger) -> None:
    """Ask the gateway for offers and be reminded when the time to collect them is over."""
    slot, transaction_id = trigger.slot, trigger.transaction_id
    decision = party.decide(slot)
    if not isinstance(decision, Buy):
        raise TypeError(f"a search needs a decision to buy, not {decision}")
    until = party.ahead_until(slot)
    purchase = Purchase(transaction_id, slot, trigger.attempt, decision.wants, party.now.ms, until=until)
    party.books.purchase(purchase)
    if party.tells:
        party.tell("%s", decision.reason, transaction_id=transaction_id)
        text = "search: %s kWh for %s"
        party.tell(text, kwh_text(decision.energy_wh), party.slot_text(slot), transaction_id=transaction_id)
    sought = Search(slot, decision.energy_wh, until)
    party.send(party.around.gateway_id, transaction_id, sought, until_ms=party.gate_ms(slot))
    left_s = max(0.0, slot - party.now.grid_s)
    window_s = min(left_s / 2, WINDOW_PPM * SLOT_S / PPM)
    party.alarm(Alarm(AlarmKind.OFFERS_IN, transaction_id=transaction_id), party.now.grid_s + window_s)


def search_failed(party: Party, transaction_id: str) -> bool:
    """A search was declined or did not arrive; whether no other one of its purchase may still bring offers."""
    purchase = party.books.purchases.get(transaction_id)
    if purchase is None:
        return False
    party.books.purchase(purchase._replace(failures=purchase.failures + 1))
    return purchase.failures + 1 >= party.around.versions


def on_offers(party: Party, call: Call, message: Offers) -> None:
    """Write sellers' offers down. Those not asked for are refused; those that come too late are passed over.

    A seller may answer several times until a choice is made; for each slot the best counts.
    """
    purchase = _purchase(party, call.transaction_id)
    party.require_near(call)
    if purchase.closed:
        return
    if not purchase.answered:
        party.books.purchase(purchase._replace(answered=True))
    made: dict[str, list[tuple[int, Offer]]] = {}
    for slot, offer in message.offers:
        # The discovery service tells of all sellers, a seller of itself.
        if offer.seller == call.sender or (call.sender == party.around.gateway_id and offer.seller != party.id):
            made.setdefault(offer.seller, []).append((slot, _all_in(party, offer)))
    for seller, offers in made.items():
        _note(party, purchase, seller, offers)


def _all_in(party: Party, offer: Offer) -> Offer:
    """An offer at all that the party would pay for it."""
    if not offer.local_fee_micro_per_kwh:
        return offer
    fee = offer.local_fee_micro_per_kwh if party.is_neighbour else 0
    return offer._replace(price_micro_per_kwh=offer.price_micro_per_kwh + fee, local_fee_micro_per_kwh=0)


def _note(party: Party, purchase: Purchase, seller: str, made: list[tuple[int, Offer]]) -> None:
    transaction_id = purchase.transaction_id
    offers = party.books.selections.get(transaction_id, {})
    former = offers.get(seller)
    if former is None and len(offers) >= MOST_OFFERS:
        raise Refused(Reason.BUSINESS, f"this search has {MOST_OFFERS} offers already")
    if former is not None and former.outcome is not Outcome.OPEN:
        return
    if former is not None:
        made = [(purchase.slot, former.offer), *former.later, *made]
    best = best_of(made, purchase.slot, purchase.until)
    if best is not None:
        party.books.select(transaction_id, seller, best)


def best_of(made: Sequence[tuple[int, Offer]], slot: int, until: int | None) -> Selection | None:
    """What counts of all that a seller has offered to who asks for a slot, and for later ones before `until`; None
    where the slot itself is not among it.
    """
    first = min([offer for at, offer in made if at == slot], key=_value, default=None)
    if first is None:
        return None
    later: dict[int, Offer] = {}
    for at, offer in made:  # an order is with one provider
        if slot < at < (until or 0) and offer.provider == first.provider:
            later[at] = min(later.get(at, offer), offer, key=_value)
    return Selection(first, later=tuple(sorted(later.items())))


def hear_all(party: Party, transaction_id: str, found: Mapping[str, Selection]) -> None:
    """Write down at once what all sellers offer who answer a search, as if each of them had said it."""
    purchase = party.books.purchases[transaction_id]
    if found:
        party.books.purchase(purchase._replace(answered=True))
        party.books.select_among(transaction_id, dict(islice(found.items(), MOST_OFFERS)))


def _value(offer: Offer) -> tuple[int, int]:
    """What makes one offer of a seller better than another: less money, or more energy for it."""
    return offer.price_micro_per_kwh, -offer.available_wh


def buying(party: Party, slot: int) -> bool:
    """Whether a purchase for this slot is still under way."""
    return any(one.slot == slot and not one.closed for one in party.books.purchases.values())


def in_vain(party: Party, slot: int, attempt: int) -> bool:
    """Whether nothing that was offered at a look was of use. Prices hold while a slot lasts, so nothing is later."""
    transaction_id = transaction_for(party, slot, attempt)
    purchase = party.books.purchases.get(transaction_id)
    if purchase is None or not purchase.closed or not purchase.answered or purchase.failures:
        return False
    return not _taken(party, transaction_id)


def collecting(party: Party, transaction_id: str) -> bool:
    """Whether nothing was chosen yet."""
    purchase = party.books.purchases.get(transaction_id)
    if purchase is None or purchase.closed:
        return False
    return not _taken(party, transaction_id)


def picks(party: Party, purchase: Purchase) -> tuple[Pick, ...]:
    """What the adviser chose; else the cheapest mix for what is still needed, among offers not tried yet."""
    advised = party.advised_picks.get(purchase.transaction_id)
    if advised is not None:
        return advised
    missing = _missing(party, purchase)
    if sum([block.energy_wh for block in missing]) < MIN_TRADE_WH:
        return ()
    return choose(_open_offers(party, purchase), missing, _lot(party, purchase.slot))


def select(party: Party, transaction_id: str) -> None:
    """Ask the chosen sellers for their part."""
    books = party.books
    purchase = books.purchases[transaction_id]
    chosen = picks(party, purchase)
    if party.tells:
        _tell_choice(party, purchase, chosen)
    later = _later(party, purchase, chosen)
    for offer, energy_wh in chosen:
        more = tuple(later.get(offer.seller, ()))
        selection = books.selections[transaction_id][offer.seller]
        selected = selection._replace(selected_wh=energy_wh, outcome=Outcome.SELECTED, selected_later=more)
        books.select(transaction_id, offer.seller, selected)
        wanted = (Wanted(purchase.slot, offer.item_id, energy_wh), *more)
        provider = offer.provider or offer.seller
        asked = Select(provider, wanted) if offer.selects else _as_offered(party, provider, selected, wanted)
        party.send(offer.seller, transaction_id, asked, until_ms=party.gate_ms(purchase.slot))
        if party.tells:
            what = "select" if offer.selects else "init"
            text = f"{what}: %s kWh from %s{', and more for %d later slots' if more else ''}"
            values = (kwh_text(energy_wh), short(offer.seller), *([len(more)] if more else []))
            party.tell(text, *values, transaction_id=transaction_id)
    watch(party, transaction_id)


def _as_offered(party: Party, provider: str, selection: Selection, wanted: Iterable[Wanted]) -> Init:
    """What is wanted on the terms that it was offered on."""
    offers = {offer.item_id: offer for offer in (selection.offer, *dict(selection.later).values())}
    lines = []
    for slot, item_id, energy_wh in wanted:
        amount = amount_micro(offers[item_id].price_micro_per_kwh, energy_wh)
        lines.append(Line(slot, item_id, energy_wh, amount, None))
    total_micro = sum([line.amount_micro for line in lines])
    return Init(Terms(provider, tuple(lines), total_micro, party.around.currency), quoted=False)


def _later(party: Party, purchase: Purchase, chosen: Iterable[Pick]) -> dict[str, list[Wanted]]:
    """What the chosen sellers are asked for later slots, with the first choice of a purchase: no handshake more."""
    books = party.books
    selections = books.selections[purchase.transaction_id]
    if purchase.until is None or any(one.outcome is not Outcome.OPEN for one in selections.values()):
        return {}
    offered: dict[int, list[Offer]] = {}
    limits = _limits(party, [offer for offer, _ in chosen])
    for offer, _ in chosen:
        for slot, later in selections[offer.seller].later if offer.seller not in limits else ():
            offered.setdefault(slot, []).append(later)
    found: dict[str, list[Wanted]] = {}
    for slot, block in party.buys_ahead(purchase.slot, purchase.until) if offered else ():
        picked = choose(offered.get(slot, ()), (block,), _lot(party, slot))
        if picked and slot not in books.roles:
            books.take_role(slot, Role.BUYER)
        for offer, energy_wh in picked:
            found.setdefault(offer.seller, []).append(Wanted(slot, offer.item_id, energy_wh))
    return found


def watch(party: Party, transaction_id: str) -> None:
    """Be reminded to give up sellers which do not answer."""
    party.alarm(Alarm(AlarmKind.STALLED, transaction_id=transaction_id), party.now.grid_s + stalled_after_s(party))


def stalled_after_s(party: Party) -> float:
    """After how much grid time a seller is given up that does not answer."""
    return min(STALLED_S * party.grid.speed, STALLED_PPM * SLOT_S / PPM)


def give_up(party: Party, transaction_id: str) -> None:
    """Buy no more in this transaction, and say what is missing and why."""
    purchase = party.books.purchases[transaction_id]
    gate_closed = not party.gate_open(purchase.slot)
    close(party, transaction_id)
    if gate_closed:
        party.books.changes.missed_gates += 1
    missing_wh = _missing_wh(party, purchase)
    if missing_wh >= MIN_TRADE_WH and party.tells:
        _tell_passed_over(party, transaction_id)
        why = "the gate closed" if gate_closed else "no more offers"
        party.tell("%s kWh not bought: %s", kwh_text(missing_wh), why, transaction_id=transaction_id)


def close(party: Party, transaction_id: str) -> None:
    """Nothing more is bought in this transaction."""
    party.books.purchase(party.books.purchases[transaction_id]._replace(closed=True))


def ask_adviser(party: Party, transaction_id: str) -> None:
    """Have the adviser asked which offers to take: once for each purchase, about the first choice.

    Whichever comes first, its answer or the reminder that it is late, lets the purchase go on.
    """
    purchase = party.books.purchases[transaction_id]
    consultation = _to_ask(party, purchase)
    if consultation is None:
        raise TypeError("there is nothing to ask an adviser")
    party.books.purchase(purchase._replace(asked_adviser=True))
    party.alarm(
        Alarm(AlarmKind.ADVICE_LATE, transaction_id=transaction_id),
        party.grid_in((consultation.due_ms - party.now.ms) / 1000),
    )
    party.books.changes.consultations.append(consultation)
    party.tell("asks the chat model: %d offers", len(consultation.question.offers), transaction_id=transaction_id)


def take_advice(party: Party, consultation: Consultation, advice: Advice) -> bool:
    """Choose as the adviser says, or by the rules when that is outside of the limits; whether it was waited for."""
    transaction_id = consultation.transaction_id
    if not collecting(party, transaction_id):
        return False
    purchase = party.books.purchases[transaction_id]
    if not purchase.asked_adviser or party.now.ms >= consultation.due_ms:
        return False
    try:
        if isinstance(advice, NoChoice):
            _tell_no_advice(party, transaction_id, advice.reason)
        else:
            chosen = picks_of(advice, consultation.question, _open_offers(party, purchase))
            party.advised_picks[transaction_id] = chosen
    except AdviceRefused as refused:
        _tell_no_advice(party, transaction_id, f"its answer is refused: {refused}")
    return True


def advice_late(party: Party, transaction_id: str) -> bool:
    """The adviser's time is over; whether it was still waited for."""
    waited = collecting(party, transaction_id)
    if waited:
        _tell_no_advice(party, transaction_id, "no answer in time")
    return waited


def short(subscriber_id: str) -> str:
    """A subscriber's name for people: its id without the namespace."""
    return subscriber_id.partition(".")[0]


def no_search(transaction_id: str) -> Refused:
    """Why an answer to a search that nobody sent is declined."""
    return Refused(Reason.BUSINESS, f"no search with transaction_id {transaction_id!r} was sent from here")


def _to_ask(party: Party, purchase: Purchase) -> Consultation | None:
    if not (party.advised and party.around.adviser) or purchase.asked_adviser:
        return None
    question = question_about(
        party.slot_text(purchase.slot),
        party.around.currency,
        _open_offers(party, purchase),
        _missing(party, purchase),
    )
    left_ms = party.gate_ms(purchase.slot) - party.now.ms
    if question is None or left_ms <= 0:
        return None
    return Consultation(purchase.transaction_id, party.now.ms + min(_ADVICE_MS, left_ms // 3), question)


def _purchase(party: Party, transaction_id: str) -> Purchase:
    purchase = party.books.purchases.get(transaction_id)
    if purchase is None:
        raise no_search(transaction_id)
    return purchase


def _open_offers(party: Party, purchase: Purchase) -> list[Offer]:
    selections = party.books.selections.get(purchase.transaction_id, {})
    offers = [one.offer for one in selections.values() if one.outcome is Outcome.OPEN]
    limits = _limits(party, offers)
    if not limits:
        return offers
    left = [
        offer._replace(available_wh=min(offer.available_wh, limits[offer.seller][0]))
        if offer.seller in limits
        else offer
        for offer in offers
    ]
    return [offer for offer in left if offer.available_wh >= MIN_TRADE_WH]


def _limits(party: Party, offers: Iterable[Offer]) -> dict[str, tuple[int, str]]:
    """How much (Wh) is bought now of sellers that are not trusted as others are, and why.

    Of who owes an answer nothing, of who has broken its word of late nothing for a while, then a little.
    With many contracts in doubt, nothing of all who have delivered nothing here within the day.
    """
    books, now_slot = party.books, party.now.slot
    unanswered = [one for one in books.open[Side.BUYER].values() if is_unanswered(one, now_slot)]
    if not unanswered and not books.failed:
        return {}
    found = {one.counterparty: (0, UNANSWERED) for one in unanswered}
    doubtful = sum([one.in_doubt for one in unanswered]) >= MOST_DOUBTS
    failed = {one.counterparty for one in books.failed.values() if one.side is Side.BUYER}
    for seller in {offer.seller for offer in offers if doubtful or offer.seller in failed} - found.keys():
        trust = trust_of(books.failures(Side.BUYER, seller), now_slot)
        most_wh = left_wh(trust, books.open_with(Side.BUYER, seller), now_slot)
        if most_wh is not None:
            found[seller] = most_wh, explained(trust, Side.BUYER, now_slot, party.slot_text)
        elif doubtful and not any(has_kept(one) for one in books.of_late(Side.BUYER, seller)):
            found[seller] = 0, f"{MOST_DOUBTS} contracts are in doubt, and it has delivered nothing here of late"
    return found


def _lot(party: Party, slot: int) -> int:
    """The lot that decides among equal offers: another for each buyer and slot."""
    return party.lot ^ slot


def _missing(party: Party, purchase: Purchase) -> tuple[Block, ...]:
    """What is still wanted: what was bought has served what is worth most."""
    got_wh, left = purchase.need_wh - _missing_wh(party, purchase), []
    if not got_wh:
        return purchase.wants
    for price_micro, energy_wh in purchase.wants:
        served_wh = min(got_wh, energy_wh)
        got_wh -= served_wh
        left.append(Block(price_micro, energy_wh - served_wh))
    return tuple(left)


def _missing_wh(party: Party, purchase: Purchase) -> int:
    transaction_id = purchase.transaction_id
    missing_wh = purchase.need_wh
    for contract in party.books.of_transaction(transaction_id):
        for delivery in contract.deliveries:
            if delivery.slot == purchase.slot and delivery.state not in OVER:
                missing_wh -= delivery.energy_wh
    for one in _taken(party, transaction_id):
        if one.outcome is Outcome.SELECTED:
            missing_wh -= one.selected_wh or 0
    return missing_wh


def _taken(party: Party, transaction_id: str) -> list[Selection]:
    """The offers of a purchase that were chosen, whatever became of that: few of them all."""
    still_open = Outcome.OPEN
    return [one for one in party.books.selections.get(transaction_id, {}).values() if one.outcome is not still_open]


def _tell_no_advice(party: Party, transaction_id: str, reason: str) -> None:
    party.tell("the rules choose, not the chat model: %s", reason, transaction_id=transaction_id)


def _tell_passed_over(party: Party, transaction_id: str) -> None:
    offers = [one.offer for one in party.books.selections.get(transaction_id, {}).values()]
    limits = _limits(party, offers)
    for seller in [offer.seller for offer in offers if offer.seller in limits]:
        most_wh, why = limits[seller]
        what = "passes over %s: %s" if most_wh < MIN_TRADE_WH else "buys little of %s: %s"
        party.tell(what, short(seller), why, transaction_id=transaction_id)


def _tell_choice(party: Party, purchase: Purchase, chosen: Iterable[Pick]) -> None:
    transaction_id = purchase.transaction_id
    selections = party.books.selections.get(transaction_id, {}).values()
    first = all(one.outcome is Outcome.OPEN for one in selections)
    if first:
        _tell_offers(party, transaction_id, [one.offer for one in selections])
        _tell_passed_over(party, transaction_id)
    parts = [
        f"{kwh_text(energy_wh)} kWh from {short(offer.seller)} at {money_text(offer.price_micro_per_kwh)}"
        for offer, energy_wh in chosen
    ]
    why = "the cheapest offer" if len(parts) == 1 else f"the cheapest mix of {len(parts)} offers"
    if transaction_id in party.advised_picks:
        why = "the chat model's choice"
    party.tell("chosen: %s (%s%s)", ", ".join(parts), why, "" if first else " left", transaction_id=transaction_id)


def _tell_offers(party: Party, transaction_id: str, offers: list[Offer]) -> None:
    listed = ", ".join(
        f"{short(offer.seller)} {kwh_text(offer.available_wh)} kWh at {money_text(offer.price_micro_per_kwh)}"
        for offer in sorted(offers, key=lambda offer: (offer.price_micro_per_kwh, offer.seller))[:5]
    )
    more = f", and {len(offers) - 5} more" if len(offers) > 5 else ""
    text = f"{len(offers)}: {listed}{more}" if offers else "none"
    party.tell("offers received: %s", text, transaction_id=transaction_id)
