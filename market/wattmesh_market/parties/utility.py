"""A utility: sells to any search within its capacity, is everybody's backstop, and buys when demand is high."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from statistics import mean

from wattmesh_market.energy.slots import DAY_S, SLOT_S, slot_energy_wh
from wattmesh_market.energy.tariff import PriceSeries, Rates
from wattmesh_market.mechanisms import sharing
from wattmesh_market.parties import buying, selling
from wattmesh_market.parties.books import Books
from wattmesh_market.parties.config import CONNECTION_W, UtilityConfig
from wattmesh_market.parties.party import CLOCK_TOLERANCE_S, Party, Surroundings, standing_at
from wattmesh_market.parties.shopping import short
from wattmesh_market.parties.supply import (
    SHARED,
    SUPPLY,
    correction_reference,
    corrections,
    fee_reference,
    supply_order_id,
)
from wattmesh_market.schedule import (
    BILLED_EVERY_S,
    CLOSED_AFTER_S,
    READ_WITHIN_S,
    SURELY_REPORTED_S,
    UTILITY_LOOKS_PPM,
    billed_s,
    look_ppm,
    moment_s,
)
from wattmesh_market.strategies import Decision, Hold, UtilityView, strategy_named
from wattmesh_market.trade.contracts import DELIVERED, OVER, Contract, ContractState, Delivery, Side
from wattmesh_market.trade.ledger import Closing, EntryKind, Held, HeldState, LedgerEntry, Reported, ReportState
from wattmesh_market.trade.messages import (
    MOST_CORRECTIONS,
    Basis,
    Bills,
    Call,
    Correction,
    HeldReading,
    PricedReading,
    Readings,
    ReportReading,
    SharedPart,
)
from wattmesh_market.trade.refusal import About, Reason, Refused
from wattmesh_market.units import amount_micro, kwh_text

LIKE_DAYS = 3
"""From how many days before a reading is estimated."""
_BASES: Mapping[HeldState, Basis] = {HeldState.ESTIMATED: Basis.ESTIMATE, HeldState.CORRECTED: Basis.CORRECTION}
_SURE = frozenset((ContractState.CONFIRMED, *DELIVERED))


class Utility(Party):
    """One utility."""

    kind = "utility"

    def __init__(
        self,
        config: UtilityConfig,
        around: Surroundings,
        books: Books,
        salt: str,
        prices: PriceSeries | None = None,
    ) -> None:
        """`prices` is what the file of its tariff says, if there is one."""
        super().__init__(config, around, books, salt)
        self.config = config
        self.rates = Rates(config.tariff, around.grid.utc_offset_s, prices)
        strategy = strategy_named(config.strategy)
        self.advised = strategy.advised
        self._decide = strategy.utility
        self._capacity_wh = slot_energy_wh(config.capacity_w)
        self._connections = dict(config.connections)
        self.know_installed(config.installed)

    def know_installed(self, installed: Iterable[tuple[str, int]]) -> None:
        """Hold readings by what is installed at customers now; see `UtilityConfig`."""
        self._installed = dict(installed)

    # --- each slot ---

    def looks_s(self, slot: int) -> list[float]:
        """When (grid time) to look at demand for a slot; households have bought by then: see `schedule`."""
        if self.config.demand_response is None:
            return []
        looks = UTILITY_LOOKS_PPM
        return [moment_s(slot - SLOT_S, look_ppm(looks, 0, self.id, slot, attempt)) for attempt in range(len(looks))]

    def enter_slot(self, following: int | None) -> None:
        """A utility sells in every slot."""

    def meter(self) -> None:
        """Deliver what was sold for every slot that has ended, and share the one that is due then."""
        standing = self.books.standing
        while standing.next_slot < self.now.slot:
            slot = standing.next_slot
            for contract, delivery in self.books.of_slot(Side.SELLER, slot):
                if delivery.state is ContractState.CONFIRMED:
                    selling.deliver(self, contract, slot, delivery.energy_wh)
            standing = standing._replace(next_slot=slot + SLOT_S)
            self.books.stand(standing)
            self._close(standing.next_slot - CLOSED_AFTER_S)
            self._tell_bills(standing.next_slot)

    def repeat(self, before: int, occasion: int) -> None:
        """Say again whatever should have been settled by now."""
        selling.repeat(self, before, occasion)
        buying.repeat(self, before, occasion)

    # --- role and decision ---

    def decide(self, slot: int) -> Decision:
        """Sell, or in high demand buy what lies above the start of demand response."""
        if self.draining:
            return Hold()
        response = self.config.demand_response
        start_wh = None if response is None else self._capacity_wh * response.start_at_ppm // 1_000_000
        view = UtilityView(
            sold_wh=self._energy_wh(Side.SELLER, slot),
            bought_wh=self._energy_wh(Side.BUYER, slot),
            backstop_wh=self.backstop_forecast_wh(),
            start_wh=start_wh,
            max_price_micro_per_kwh=response.max_price_micro_per_kwh if response else 0,
        )
        return self._decide(view)

    def sells(self, slot: int) -> bool:
        """A utility always sells, unless it drains, or would have to pay for it: no contract has a negative price."""
        return not self.draining and self.rates.price(slot) >= 0

    def sells_ahead(self, slot: int) -> bool:
        """As in the slot that is traded now."""
        return self.sells(slot)

    def sellable_wh(self, slot: int) -> int:
        """Capacity not sold and not expected to be drawn as backstop, and what was surely bought to relieve it."""
        used_wh = self._energy_wh(Side.SELLER, slot) + self.backstop_forecast_wh()
        bought = self.books.deliveries(Side.BUYER, slot)
        relief_wh = sum([delivery.energy_wh for _, delivery in bought if delivery.state in _SURE])
        return max(0, self._capacity_wh - used_wh + relief_wh)

    def price_micro_per_kwh(self, slot: int) -> int:
        """The tariff."""
        return self.rates.price(slot)

    def grid_fee_micro_per_kwh(self, buyer: str, slot: int) -> int:  # noqa: ARG002 - the same for all
        """What comes on top of the tariff."""
        return self.rates.grid_fee(slot)

    def backstop_forecast_wh(self) -> int:
        """Persistence: the higher net import of the two newest slots that all households have surely reported."""
        newest = self.now.slot - SURELY_REPORTED_S
        imports = self.books.net_import_wh
        return max(0, imports.get(newest, 0), imports.get(newest - SLOT_S, 0))

    def _energy_wh(self, side: Side, slot: int) -> int:
        deliveries = self.books.deliveries(side, slot)
        return sum([delivery.energy_wh for _, delivery in deliveries if delivery.state not in OVER])

    # --- bookings ---

    def on_delivered(self, contract: Contract, delivery: Delivery) -> None:
        """The seller has said what it delivered."""
        if self.tells:
            self.tell(
                "✅ Contract confirmed! Energy purchased. %.3f kWh from %s relieve the feeder",
                (delivery.delivered_wh or 0) / 1000,
                short(contract.counterparty),
                transaction_id=contract.transaction_id,
            )

    def on_reading(self, call: Call, reading: ReportReading) -> None:
        """Take a household's reading, once per slot: to be priced when the slot is closed, or at once and unshared."""
        self._take(call, reading, call)

    def on_readings(self, call: Call, readings: Readings) -> None:
        """Take several readings of a household: all of them or, with Refused, none. The last one is answered."""
        *others, last = readings.told
        for reading in others:
            self._take(call, reading, None)
        self._take(call, last, call)

    def _take(self, call: Call, reading: ReportReading, answered: Call | None) -> None:
        """Take a reading; what is told of it at once is the answer to `answered`, or comes unasked."""
        household, slot = call.sender, reading.slot
        if reading.order_id != supply_order_id(household):
            raise Refused(Reason.ORDER_NOT_FOUND, f"no supply order {reading.order_id!r} of yours here", About.ORDER_ID)
        self.require_near(call)
        if slot + SLOT_S > self.now.grid_s + CLOCK_TOLERANCE_S * self.grid.speed:
            raise Refused(Reason.BUSINESS, "a reading of a slot that has not ended", About.SLOT)
        if min(reading.imported_wh, reading.exported_wh) > 0:
            raise Refused(Reason.BUSINESS, "a slot's reading is import or export, net", About.READING)
        known = self.books.reported.get(slot, {}).get(household)
        if known is None and (slot, household) not in self.books.held:
            self._require_time(call, slot)
        if known is None and self._holds(call, reading, answered):
            return
        if known is not None and known.provisional:
            excess = self._beyond_connection(household, reading) or self._beyond_installed(household, reading)
            if excess is not None:
                raise excess
        if known is None or (known.state is ReportState.WAITING and known.provisional):
            new = Reported(slot, household, call.transaction_id, *reading[2:], ReportState.WAITING)
            if self.config.sharing is None or slot <= self.books.standing.next_slot - CLOSED_AFTER_S:
                self._tell_price(self._price(new, ReportState.ALONE), answered)
            else:
                self.books.report(new)
            return
        if reading.provisional and not known.provisional:
            return  # overtaken by the last word
        if known.provisional and not reading.provisional:
            known = self._correct(known, reading)
        elif not known.provisional and self._heard(known) != reading:
            raise Refused(Reason.BUSINESS, "another reading of that slot is booked already", About.READING)
        if known.state is not ReportState.WAITING:
            self._tell_price(known, answered)

    def _holds(self, call: Call, reading: ReportReading, answered: Call | None) -> bool:
        """Whether a first reading is held for a person: it is more than all that is installed there can move.

        One beyond the connection is refused before its slot is closed; who still says so then is held, too. What is
        provisional is not held: it waits for its last word.
        """
        household, slot, books = call.sender, reading.slot, self.books
        held = books.held.get((slot, household))
        excess = self._beyond_connection(household, reading)
        if excess is not None and slot > books.standing.next_slot - CLOSED_AFTER_S:
            raise excess
        if excess is None and self._beyond_installed(household, reading) is None:
            if held is not None:
                books.hold(held._replace(state=HeldState.REPLACED))
            return False
        if not reading.provisional:
            new = Held(slot, household, call.transaction_id, *reading[2:5], HeldState.HELD)
            if new != held:
                books.hold(new)
                self.tell(
                    "%s reports %s kWh for %s: held for a person",
                    short(household),
                    kwh_text(max(reading[2:4])),
                    self.slot_text(slot),
                )
            if answered is not None:
                self.answer(answered, HeldReading(reading))
            else:
                self.send(household, call.transaction_id, HeldReading(reading), f"{household} {slot} held")
        return True

    def decide_held(self, household: str, slots: Sequence[int], *, accept: bool) -> list[Reported]:
        """A person has decided about held readings: they are priced, unshared, as they were told or as estimated.

        All of them or, with Refused, none. What was decided the same way before stays as it is.
        """
        wanted = HeldState.ACCEPTED if accept else HeldState.ESTIMATED
        found = []
        for slot in slots:
            held = self.books.held.get((slot, household))
            what = f"the reading of {household} of {self.slot_text(slot)}"
            if held is None or held.state is HeldState.REPLACED:
                raise Refused(Reason.BUSINESS, f"{what} is not held", About.SLOT)
            if held.state is not HeldState.HELD and held.state is not wanted:
                raise Refused(Reason.BUSINESS, f"{what} was {held.state} before", About.SLOT)
            if held.state is HeldState.HELD:
                net_wh = held.net_wh if accept else self._estimated_wh(held, what)
                told = (held.transaction_id, max(0, net_wh), max(0, -net_wh), held.sold_wh, False)
                self.books.hold(held._replace(state=wanted))
                self._tell_price(self._price(Reported(slot, household, *told, ReportState.ALONE), ReportState.ALONE))
            found.append(self.books.reported[slot][household])
        return found

    def correct(self, household: str, slot: int, net_wh: int) -> None:
        """A person has found out what a reading should have been (net import): one that is held is billed by that, of
        one that was billed otherwise the difference is paid back, or owed on top.

        Refused where it is neither held nor was estimated or corrected, or is too old, or nothing installed can have
        moved that. The same again changes nothing.
        """
        what, held = f"the reading of {household} of {self.slot_text(slot)}", self.books.held.get((slot, household))
        if held is None or held.state is HeldState.REPLACED:
            raise Refused(Reason.BUSINESS, f"{what} is not held, nor was it estimated", About.SLOT)
        if held.state is HeldState.ACCEPTED:
            raise Refused(Reason.BUSINESS, f"{what} was {held.state} before", About.SLOT)
        reading = self._heard_as(held, net_wh)
        excess = self._beyond_connection(household, reading) or self._beyond_installed(household, reading)
        if excess is not None:
            raise excess
        if held.state is HeldState.HELD:
            self.books.hold(held._replace(state=HeldState.CORRECTED))
            told = (held.transaction_id, *reading[2:5], False)
            self._tell_price(self._price(Reported(slot, household, *told, ReportState.ALONE), ReportState.ALONE))
            return
        known = self.books.reported[slot][household]
        if net_wh == self.billed_wh(known):
            return
        if slot < self.now.slot - READ_WITHIN_S:
            text = f"{what} was billed, and its slot is more than {READ_WITHIN_S // DAY_S} days ago"
            raise Refused(Reason.BUSINESS, text, About.SLOT)
        if len(self._corrections(known)) >= MOST_CORRECTIONS:
            raise Refused(Reason.BUSINESS, f"{what} was corrected {MOST_CORRECTIONS} times", About.READING)
        self.books.hold(held._replace(state=HeldState.CORRECTED))
        self._book_correction(known, net_wh)
        self._tell_price(known)

    @staticmethod
    def _heard_as(held: Held, net_wh: int) -> ReportReading:
        """A held reading as it would have been told with another net import."""
        exchanged_wh = max(0, net_wh), max(0, -net_wh)
        return ReportReading(supply_order_id(held.household), held.slot, *exchanged_wh, held.sold_wh)

    def _estimated_wh(self, held: Held, what: str) -> int:
        """The substitute for a held reading (net import): the mean of the same slot on the days before, else of the
        slots beside it; within what was told.
        """
        slot, household = held.slot, held.household

        def mean_wh(slots: Iterable[int]) -> int | None:
            of = [known for at in slots if (known := self.books.reported.get(at, {}).get(household)) is not None]
            found = [self.billed_wh(one) for one in of if self._basis(one) is not Basis.ESTIMATE]
            return round(mean(found)) if found else None

        usual_wh = mean_wh(slot - days * DAY_S for days in range(1, LIKE_DAYS + 1))
        if usual_wh is None:
            usual_wh = mean_wh((slot - SLOT_S, slot + SLOT_S))
        if usual_wh is None:
            text = f"{what} cannot be estimated: there is none of the {LIKE_DAYS} days before, and none beside it"
            raise Refused(Reason.BUSINESS, text, About.READING)
        return min(max(0, usual_wh), held.net_wh) if held.net_wh > 0 else max(min(0, usual_wh), held.net_wh)

    def billed_wh(self, reported: Reported) -> int:
        """The net import that is billed of a reading now."""
        return reported.net_wh - sum([one.energy_wh for one in self._corrections(reported)])

    def _basis(self, reported: Reported) -> Basis:
        """What a reading is billed by."""
        held = self.books.held.get((reported.slot, reported.household))
        return Basis.METER if held is None else _BASES.get(held.state, Basis.METER)

    def _heard(self, reported: Reported) -> ReportReading:
        """The reading as its household told it last."""
        last = self._last_told(reported)
        if self._basis(reported) is Basis.METER:
            return last
        held = self.books.held[reported.slot, reported.household]
        return last._replace(imported_wh=held.imported_wh, exported_wh=held.exported_wh)

    def _require_time(self, call: Call, slot: int) -> None:
        """Refuse a first reading of a slot of long ago, or from before its household was a customer."""
        if slot < self.now.slot - READ_WITHIN_S:
            text = f"a reading of a slot of more than {READ_WITHIN_S // 86_400} days ago"
            raise Refused(Reason.BUSINESS, text, About.SLOT)
        if slot + SLOT_S > call.since_s:
            return
        # The registry may be a newer one than these books.
        known = [earlier for earlier, of in self.books.reported.items() if call.sender in of]
        if slot < min(known, default=self.now.slot):
            raise Refused(Reason.BUSINESS, "a reading of a slot from before the subscription", About.SLOT)

    def _beyond_connection(self, household: str, reading: ReportReading) -> Refused | None:
        """The refusal of a reading beyond what the household's connection carries in a slot.

        What it sold to neighbours and could not deliver is imported besides, and leaves by the same connection; without
        a local grid fee, it is not reported how much that was.
        """
        most_wh = slot_energy_wh(self._connections.get(_group(household), CONNECTION_W))
        covered_wh = reading.sold_wh if self.rates.local_grid_fee(reading.slot) else most_wh
        for what, energy_wh, limit_wh in (
            ("sold", reading.sold_wh, most_wh),
            ("exported", reading.exported_wh, most_wh),
            ("imported", reading.imported_wh, most_wh + covered_wh),
        ):
            if energy_wh > limit_wh:
                text = f"{kwh_text(energy_wh)} kWh {what} in a slot; the connection carries {kwh_text(limit_wh)} kWh"
                return Refused(Reason.BUSINESS, text, About.READING)
        return None

    def _beyond_installed(self, household: str, reading: ReportReading) -> Refused | None:
        """The refusal of a reading beyond what is installed behind the household's meter, where that is known."""
        installed = self._installed.get(_group(household))
        exchanged_wh = max(reading.imported_wh, reading.exported_wh)
        if installed is None or exchanged_wh <= slot_energy_wh(installed):
            return None
        most = kwh_text(slot_energy_wh(installed))
        text = f"{kwh_text(exchanged_wh)} kWh in a slot; what is installed moves {most} kWh"
        return Refused(Reason.BUSINESS, text, About.READING)

    def _close(self, slot: int) -> None:
        """Price all that was reported of a slot, once: what some households export goes to those that import.

        Readings that come later are priced by themselves.
        """
        waiting = [one for one in self.books.reported.get(slot, {}).values() if one.state is ReportState.WAITING]
        if not waiting:
            return
        prices, price, shares_wh = self._prices(slot), None, {}
        # A negative price would make what is shared a loss to one side or the other: each is priced by itself.
        rule = None if min(prices) < 0 or self._is_shared(slot) else self.config.sharing
        if rule is not None:
            price = sharing.price_micro_per_kwh(rule, prices)
            self.books.close(Closing(slot, rule.key, self.config.seed, price, *prices))
            if price is not None:
                net_wh = {one.household: one.net_wh for one in waiting}
                shares_wh = sharing.shares_wh(net_wh, rule.key, sharing.lot(self.config.seed, slot))
        state = ReportState.ALONE if rule is None else ReportState.CLOSED
        for one in sorted(waiting, key=lambda one: one.household):
            priced = self._price(one, state, shares_wh.get(one.household, 0), price or 0)
            if self.config.sharing is None:
                self._tell_price(priced)  # its household waits for no hour

    def _tell_bills(self, now_slot: int) -> None:
        """Tell each household what it is billed for the slots whose bills are due now, in one message."""
        if self.config.sharing is None:
            return
        end, last = self.end_slot(), now_slot - CLOSED_AFTER_S
        found: dict[str, list[Reported]] = {}
        for slot in range(last - BILLED_EVERY_S + SLOT_S, last + SLOT_S, SLOT_S):
            if billed_s(slot, end) == now_slot:
                for one in self.books.reported.get(slot, {}).values():
                    found.setdefault(one.household, []).append(one)
        for household in sorted(found):
            first, *others = found[household]
            if not others:
                self._tell_price(first)
                continue
            message = Bills(tuple([self._priced(one) for one in found[household]]))
            occasion = " ".join([self._occasion(one) for one in message.priced])
            self.send(household, first.transaction_id, message, f"{household} {occasion}")

    def _is_shared(self, slot: int) -> bool:
        """Whether a slot was shared before its books were restored."""
        return any(one.state is ReportState.CLOSED for one in self.books.reported.get(slot, {}).values())

    def _price(self, reported: Reported, state: ReportState, shared_wh: int = 0, price: int = 0) -> Reported:
        """Book what a reading is worth, of which `shared_wh` at a price per kWh."""
        slot, household, net_wh, sold_wh = reported.slot, reported.household, reported.net_wh, reported.sold_wh
        bill = sharing.bill(net_wh, shared_wh, price, self._prices(slot))
        sign = 1 if net_wh > 0 else -1
        supply = (shared_wh * sign - net_wh, sign * (bill.total_micro - bill.shared_micro))
        self._book(EntryKind.BACKSTOP, slot, household, SUPPLY, *supply)
        self._book(EntryKind.SHARED, slot, household, SHARED, -sign * shared_wh, sign * bill.shared_micro)
        if sold_wh:
            fee_micro = amount_micro(self.rates.local_grid_fee(slot), sold_wh)
            entry = LedgerEntry(EntryKind.GRID_FEE, slot, household, fee_reference(sold_wh), 0, fee_micro)
            self.books.book(entry)
        priced = reported._replace(state=state)
        self.books.report(priced)
        return priced

    def _correct(self, known: Reported, last: ReportReading) -> Reported:
        """Take the last word on what was provisional: what was billed too much is repaid, at the utility's cost."""
        if last.sold_wh != known.sold_wh:
            raise Refused(Reason.BUSINESS, "another sale of that slot is booked already", About.READING)
        self._book_correction(known, last.imported_wh - last.exported_wh)
        final = known._replace(provisional=False)
        self.books.report(final)
        return final

    def _book_correction(self, known: Reported, net_wh: int) -> None:
        """Book what is paid back, or owed on top, where a reading is `net_wh` in place of what is billed."""
        slot, household, billed_wh = known.slot, known.household, self.billed_wh(known)
        entries = self.books.supplied.get((slot, household), ())
        earned_micro = sum([one.amount_micro for one in entries if one.kind is not EntryKind.GRID_FEE])
        billed_micro = earned_micro if billed_wh > 0 else -earned_micro
        back_micro = sharing.correction_micro(billed_wh, billed_micro, net_wh, self._prices(slot))
        reference = correction_reference(len(self._corrections(known)) + 1)
        self._book(EntryKind.BACKSTOP, slot, household, reference, billed_wh - net_wh, -back_micro)

    def _corrections(self, reported: Reported) -> list[LedgerEntry]:
        return corrections(self.books.supplied.get((reported.slot, reported.household), ()))

    def _book(
        self, kind: EntryKind, slot: int, household: str, reference: str, energy_wh: int, earned_micro: int
    ) -> None:
        if energy_wh or earned_micro:
            self.books.book(LedgerEntry(kind, slot, household, reference, energy_wh, earned_micro))

    def _tell_price(self, reported: Reported, call: Call | None = None) -> None:
        """Tell what was billed: as the answer to a call, or, of a closing, whenever under the same id."""
        message = self._priced(reported)
        # A household that has begun its books anew asks in another transaction.
        other = call is not None and call.transaction_id != reported.transaction_id
        if call is not None and (other or reported.state is ReportState.ALONE):
            self.answer(call, message)
        else:
            occasion = f"{reported.household} {self._occasion(message)}"
            self.send(reported.household, reported.transaction_id, message, occasion)

    @staticmethod
    def _occasion(priced: PricedReading) -> str:
        """What tells a bill from another of the same household."""
        occasion = f"{priced.reading.slot}{' provisional' * priced.reading.provisional}"
        return f"{occasion} {priced.by} {len(priced.corrections)}" if priced.by is Basis.CORRECTION else occasion

    # --- books that are restored ---

    def begin(self, slot: int) -> None:
        """Stand at the start of a slot."""
        self.books.stand(standing_at(slot))

    def lacks_held(self, household: str, held: HeldReading) -> bool:
        """Whether the books do not know that a reading was held."""
        return (held.reading.slot, household) not in self.books.held

    def take_held(self, household: str, transaction_id: str, held: HeldReading) -> None:
        """Hold what was held; what became of it is told by what was billed."""
        if self.lacks_held(household, held):
            reading = held.reading
            self.books.hold(Held(reading.slot, household, transaction_id, *reading[2:5], HeldState.HELD))

    def lacks_price(self, household: str, priced: PricedReading) -> bool:
        """Whether the books do not know that a reading was billed, or corrected."""
        known = self.books.reported.get(priced.reading.slot, {}).get(household)
        if known is None or known.state is ReportState.WAITING:
            return True
        if len(priced.corrections) > len(self._corrections(known)):
            return True
        return known.provisional and not priced.reading.provisional

    def take_price(self, household: str, transaction_id: str, priced: PricedReading) -> None:
        """Book what was billed for a reading, and how its slot was shared."""
        reading, shared, corrected = priced.reading, priced.shared, priced.corrections
        slot = reading.slot
        if not self.lacks_price(household, priced):
            return
        known = self.books.reported.get(slot, {}).get(household)
        if known is None or known.state is ReportState.WAITING:
            billed = corrected[0][:2] if corrected else reading[2:4]
            net_wh, sign = billed[0] - billed[1], 1 if billed[0] > billed[1] else -1
            shared_wh, shared_micro = (0, 0) if shared is None else shared[:2]
            state = ReportState.ALONE if shared is None else ReportState.CLOSED
            if shared is not None and not self._is_shared(slot) and self.config.sharing is not None:
                rule, prices = self.config.sharing, self._prices(slot)
                price = sharing.price_micro_per_kwh(rule, prices)
                self.books.close(Closing(slot, rule.key, self.config.seed, price, *prices))
            supply = (shared_wh * sign - net_wh, sign * (priced.amount_micro - shared_micro))
            self._book(EntryKind.BACKSTOP, slot, household, SUPPLY, *supply)
            self._book(EntryKind.SHARED, slot, household, SHARED, -sign * shared_wh, sign * shared_micro)
            if reading.sold_wh:
                fee = (fee_reference(reading.sold_wh), 0, priced.local_fee_micro or 0)
                self.books.book(LedgerEntry(EntryKind.GRID_FEE, slot, household, *fee))
            known = Reported(slot, household, transaction_id, *billed, reading.sold_wh, False, state)
        after = [one.imported_wh - one.exported_wh for one in corrected[1:]]
        after.append(reading.imported_wh - reading.exported_wh)
        for number in range(len(self._corrections(known)), len(corrected)):
            parts = (self.billed_wh(known) - after[number], -corrected[number].back_micro)
            self._book(EntryKind.BACKSTOP, slot, household, correction_reference(number + 1), *parts)
        self.books.report(known._replace(provisional=reading.provisional))
        held = self.books.held.get((slot, household))
        if held is not None:
            as_told = reading[2:4] == (held.imported_wh, held.exported_wh)
            decided = {basis: state for state, basis in _BASES.items()}
            state_of_meter = HeldState.ACCEPTED if as_told else HeldState.REPLACED
            self.books.hold(held._replace(state=decided.get(priced.by, state_of_meter)))

    def take_shares(self, slots: Collection[int]) -> None:
        """What got no share may have been in its slot's closing as well: where the shares come out so, it was."""
        for slot in sorted(slots):
            billed = [one for one in self.books.reported.get(slot, {}).values() if one.state is not ReportState.WAITING]
            if self.config.sharing is None or not self._is_shared(slot):
                continue
            net_wh = {one.household: one.net_wh for one in billed}
            shares_wh = sharing.shares_wh(net_wh, self.config.sharing.key, sharing.lot(self.config.seed, slot))
            entries = {one.household: self._entry(one, EntryKind.SHARED) for one in billed}
            if all(shares_wh.get(name, 0) == (abs(one.energy_wh) if one else 0) for name, one in entries.items()):
                for one in billed:
                    self.books.report(one._replace(state=ReportState.CLOSED))

    def _entry(self, reported: Reported, kind: EntryKind, reference: str | None = None) -> LedgerEntry | None:
        for entry in self.books.supplied.get((reported.slot, reported.household), ()):
            if entry.kind is kind and reference in (None, entry.reference):
                return entry
        return None

    def _last_told(self, reported: Reported) -> ReportReading:
        """The reading as it was told last."""
        net_wh = self.billed_wh(reported)
        return ReportReading(
            supply_order_id(reported.household),
            reported.slot,
            max(0, net_wh),
            max(0, -net_wh),
            reported.sold_wh,
            reported.provisional,
        )

    def _priced(self, reported: Reported) -> PricedReading:
        """What was billed for a reading."""
        supply = self._entry(reported, EntryKind.BACKSTOP, SUPPLY)
        shared = self._entry(reported, EntryKind.SHARED)
        local_fee = self._entry(reported, EntryKind.GRID_FEE)
        sign, slot, part = 1 if reported.net_wh > 0 else -1, reported.slot, None
        supply_wh, supply_micro = (0, 0) if supply is None else (-supply.energy_wh, sign * supply.amount_micro)
        fee_micro = amount_micro(self.rates.grid_fee(slot), max(0, supply_wh))
        if fee_micro and self.rates.price(slot) >= 0:
            fee_micro = min(supply_micro, fee_micro)  # both are rounded
        if shared is not None:
            shared_wh, shared_micro = abs(shared.energy_wh), abs(shared.amount_micro)
            local_micro = amount_micro(self.rates.local_grid_fee(slot), shared_wh) if sign > 0 else 0
            part = SharedPart(shared_wh, shared_micro, min(shared_micro, local_micro))
        return PricedReading(
            supply_order_id(reported.household),
            self._last_told(reported),
            supply_micro + (0 if part is None else part.amount_micro),
            fee_micro,
            None if local_fee is None else local_fee.amount_micro,
            self.around.currency,
            part,
            tuple(self._told_corrections(reported)),
            self._basis(reported),
        )

    def _told_corrections(self, reported: Reported) -> Iterator[Correction]:
        billed_wh = reported.net_wh
        for entry in self._corrections(reported):
            yield Correction(max(0, billed_wh), max(0, -billed_wh), -entry.amount_micro)
            billed_wh -= entry.energy_wh

    def _prices(self, slot: int) -> sharing.Prices:
        return sharing.Prices(self.rates.all_in(slot), self.rates.feed_in(slot), self.rates.local_grid_fee(slot))


def _group(household: str) -> str:
    """The name that a household's has before its number."""
    return household.partition(".")[0].rpartition("-")[0]
