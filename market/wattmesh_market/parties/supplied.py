"""What a household exchanges with its backstop utility: its readings, its reports of them, and its bills."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from wattmesh_market.energy.battery import Metered
from wattmesh_market.energy.slots import SLOT_S, slot_energy_wh
from wattmesh_market.energy.tariff import PriceSeries, Rates
from wattmesh_market.parties.books import Alarm, AlarmKind, Books
from wattmesh_market.parties.buying import scheduled
from wattmesh_market.parties.config import CONNECTION_W, HouseholdConfig, installed_w
from wattmesh_market.parties.party import Party, Surroundings
from wattmesh_market.parties.supply import (
    SHARED,
    SUPPLY,
    correction_reference,
    corrections,
    fee_reference,
    supply_order_id,
)
from wattmesh_market.schedule import moment_s, report_ppm
from wattmesh_market.trade.contracts import DELIVERED, Side
from wattmesh_market.trade.ledger import EntryKind, LedgerEntry, Reading, ReadingState
from wattmesh_market.trade.messages import (
    Basis,
    Bills,
    Call,
    HeldReading,
    PricedReading,
    Readings,
    ReportReading,
    SharedPart,
)
from wattmesh_market.trade.refusal import About, Reason, Refused
from wattmesh_market.units import amount_micro, kwh_text, money_text

_SUPPLIES = 16
"""So many slots' transactions and moments are remembered: each is reported, told and booked within two hours."""


class Supplied(Party):
    """A party with a meter, whose utility supplies what the market does not, and takes what nobody buys."""

    def __init__(
        self, config: HouseholdConfig, around: Surroundings, books: Books, salt: str, prices: PriceSeries | None
    ) -> None:
        super().__init__(config, around, books, salt)
        self.config = config
        self.rates = Rates(config.backstop.tariff, around.grid.utc_offset_s, prices)
        self.shares = config.backstop.shares
        self._supplies: dict[int, str] = {}
        self._reports: dict[int, float] = {}
        self._sold_before: dict[int, int] = {}
        """What was reported as sold under a fee, by slot, where books that were put back know of less."""

    def finalise(self, reading: Reading) -> None:
        """When every purchase of a slot has ended, what is left was exchanged with the backstop: report it.

        So is what was sold under a grid fee, which is owed to the utility, and what was told while it was in doubt.
        Where the utility shares, everything is reported, even nothing at all.
        """
        slot, metered = reading.slot, reading.metered
        if reading.state is not ReadingState.OPEN or self._awaits_delivery(slot):
            self.books.read(reading)
            self.report_later(slot)
            return
        netted_wh = min(metered.imported_wh, metered.exported_wh)
        if netted_wh:
            metered = metered._replace(
                imported_wh=metered.imported_wh - netted_wh, exported_wh=metered.exported_wh - netted_wh
            )
        told = slot in self.books.readings and self.now.grid_s >= self._told_again_s(slot)
        exchanged = self.shares or told or metered.imported_wh or metered.exported_wh or self._sold_under_fee_wh(slot)
        state = ReadingState.FINAL if exchanged else ReadingState.BOOKED
        self.books.read(reading._replace(metered=metered, state=state))
        if exchanged:
            self.report_later(slot)

    def _awaits_delivery(self, slot: int) -> bool:
        return any(
            delivery.state not in DELIVERED and scheduled(contract, delivery)
            for contract, delivery in self.books.deliveries(Side.BUYER, slot)
        )

    def report_later(self, slot: int) -> None:
        """Report a reading at its next moment: not at once, as at the start of a slot everybody delivers and pays.

        One of nothing may wait for the next slot's.
        """
        state, now_s = self.books.readings[slot].state, self.now.grid_s
        if state is ReadingState.BOOKED and slot not in self.books.estimated:
            return
        told = self._to_tell(slot)
        waits = told is not None and self._waits(told)
        due_s = self._reported_s(slot + SLOT_S * waits)
        if waits and now_s < due_s:
            return
        if state is ReadingState.OPEN or (self.shares and due_s <= now_s):
            due_s += SLOT_S
        self.alarm(Alarm(AlarmKind.REPORT, slot), max(due_s, now_s))

    def _reported_s(self, slot: int) -> float:
        """When (grid time) a reading is reported."""
        found = self._reports.get(slot)
        if found is None:
            if len(self._reports) >= _SUPPLIES:
                self._reports.clear()
            found = self._reports[slot] = moment_s(slot + SLOT_S, report_ppm(self.config.seed, self.id, slot))
        return found

    def _told_again_s(self, slot: int) -> float:
        """When (grid time) one is told whatever is still in doubt, and again if it was not heard: a slot later."""
        return self._reported_s(slot) + SLOT_S

    def report(self, slot: int) -> None:
        """Tell the utility what was imported or exported in a slot, and what was sold under a grid fee.

        What is in doubt by then is told as import; what becomes of it, later. One that was billed by an estimate is
        told again for its correction, if there is one. With it goes what has waited for it.
        """
        before = self._to_tell(slot - SLOT_S) if self.now.grid_s < self._told_again_s(slot) else None
        waited = [before] if before is not None and self._waits(before) else []
        told = self._to_tell(slot)
        found = waited if told is None else [*waited, told]
        if not found:
            return
        utility, last = self.config.backstop.utility_id, found[-1]
        occasion = f"{last.slot} {self.now.ms}{' provisional' * last.provisional}"
        message = last if len(found) == 1 else Readings(tuple(found))
        told_in = self._supply_transaction(last.slot + SLOT_S * self._may_wait(last))
        self.send(utility, told_in, message, occasion)

    def _to_tell(self, slot: int) -> ReportReading | None:
        """What is to be told of a slot now; None where that is nothing, or not known yet."""
        reading = self.books.readings.get(slot)
        if reading is None or (reading.state is ReadingState.BOOKED and slot not in self.books.estimated):
            return None
        in_doubt, metered = reading.state is ReadingState.OPEN, reading.metered
        if in_doubt and self.now.grid_s < self._told_again_s(slot):
            return None
        netted_wh = min(metered.imported_wh, metered.exported_wh)
        return ReportReading(
            supply_order_id(self.id),
            slot,
            metered.imported_wh - netted_wh,
            metered.exported_wh - netted_wh,
            self._sold_under_fee_wh(slot),
            in_doubt,
        )

    def _waits(self, told: ReportReading) -> bool:
        """Whether a reading is told with that of the slot after it: one of nothing, of the first of two slots.

        Nobody foresees demand by it, and its slot is not closed before. The first of all does not wait: who has told
        one is known to the utility, whenever it was registered.
        """
        if not self._may_wait(told) or self.draining or told.slot == self.books.standing.first_slot:
            return False
        end = self.end_slot()
        return end is None or told.slot + SLOT_S < end

    def _may_wait(self, told: ReportReading) -> bool:
        """Whether a reading is one of nothing, of the first of two slots: it is told in the transaction of the second,
        so that it makes no difference whether it has waited.
        """
        return self.shares and not (told.slot % (2 * SLOT_S) or any(told[2:5]) or told.provisional)

    def _told_in(self, slot: int) -> tuple[str, ...]:
        """The transactions in which a slot's reading may have been told: its own, or that of the slot after it."""
        slots = (slot,) if slot % (2 * SLOT_S) else (slot, slot + SLOT_S)
        return tuple([self._supply_transaction(one) for one in slots])

    def report_unanswered(self, transaction_id: str) -> None:
        """What was not heard, or refused, is told again a slot later; after that, with what else is unfinished."""
        for slot in self.books.unbooked:
            if transaction_id in (told_in := self._told_in(slot)):
                again_s = self._told_again_s(slot + told_in.index(transaction_id) * SLOT_S)
                if self.now.grid_s < again_s:
                    self.alarm(Alarm(AlarmKind.REPORT, slot), again_s)

    def on_held_reading(self, call: Call, held: HeldReading) -> None:
        """The utility holds a reading for a person: it is not priced before."""
        reading, told = self._told(call, held.reading.slot, held.reading.order_id), held.reading
        metered = reading.metered
        if reading.state is not ReadingState.FINAL:
            return
        if told[2:4] != (metered.imported_wh, metered.exported_wh):
            raise Refused(Reason.BUSINESS, "another reading of that slot was reported", About.READING)
        self.books.read(reading._replace(state=ReadingState.HELD))
        exchanged_wh = max(metered.imported_wh, metered.exported_wh)
        self.tell(
            "the utility holds the reading of %s for a person: %s kWh",
            self.slot_text(told.slot),
            kwh_text(exchanged_wh),
        )

    def take_reading(self, told: ReportReading) -> None:
        """Let a final reading that is not booked yet be the one that was reported.

        Where it was metered once more and came out otherwise, the difference stands as load or as sun.
        """
        reading = self.books.readings.get(told.slot)
        if reading is None or reading.state is not ReadingState.FINAL or told.provisional:
            return
        metered = reading.metered
        if told.sold_wh > self._sold_under_fee_wh(told.slot):
            self._sold_before[told.slot] = told.sold_wh
            self.report_later(told.slot)
        more_wh = told.imported_wh - told.exported_wh - metered.imported_wh + metered.exported_wh
        if more_wh:
            metered = metered._replace(
                imported_wh=told.imported_wh,
                exported_wh=told.exported_wh,
                load_wh=metered.load_wh + max(0, more_wh),
                pv_wh=metered.pv_wh + max(0, -more_wh),
            )
            self.books.read(reading._replace(metered=_covered(metered, reading.metered)))
            self.report_later(told.slot)

    def _told(self, call: Call, slot: int, order_id: str) -> Reading:
        """The reading that the utility speaks of; Refused when it is none that was told, or not the utility's word."""
        if call.sender != self.config.backstop.utility_id:
            raise Refused(Reason.BUSINESS, "no priced reading of this household's supply", About.ORDER)
        reading = self.books.readings.get(slot)
        if reading is None or call.transaction_id not in self._told_in(slot):
            raise Refused(Reason.BUSINESS, "no reading of that slot was reported", About.ORDER)
        if order_id != supply_order_id(self.id):
            raise Refused(Reason.ORDER_NOT_FOUND, f"no supply order {order_id!r} here", About.ORDER_ID)
        return reading

    def on_bills(self, call: Call, bills: Bills) -> None:
        """The utility has priced several readings; it says so in the transaction of one. All are booked, or none."""
        transactions = [self._supply_transaction(one.reading.slot) for one in bills.priced]
        if not any(call.transaction_id in self._told_in(one.reading.slot) for one in bills.priced):
            raise Refused(Reason.BUSINESS, "no reading of these slots was reported", About.ORDER)
        for transaction_id, priced in zip(transactions, bills.priced, strict=True):
            self.on_priced_reading(call._replace(transaction_id=transaction_id), priced)

    def on_priced_reading(self, call: Call, priced: PricedReading) -> None:
        """The utility has priced a reading; book it, unless it is another reading or dearer than the tariff."""
        books, utility, slot = self.books, self.config.backstop.utility_id, priced.reading.slot
        reading = self._told(call, slot, priced.order_id)
        if priced.currency != self.around.currency:
            text = f"priced in {priced.currency}, but {self.around.currency} is paid here"
            raise Refused(Reason.BUSINESS, text, About.CURRENCY)
        if reading.state is ReadingState.OPEN or priced.reading.provisional:
            return
        is_booked = reading.state is ReadingState.BOOKED
        booked = [one for one in books.supplied.get((slot, utility), ()) if one.kind is not EntryKind.GRID_FEE]
        if is_booked and (slot not in books.estimated or len(priced.corrections) <= len(corrections(booked))):
            return
        _CHECKS[priced.by](self, priced, reading.metered)
        energy_wh = priced.reading.imported_wh - priced.reading.exported_wh
        entries = self._billed(priced)
        self._check_signs(priced)
        earned_micro, due_micro = sum([one.amount_micro for one in entries]), self.supply_micro(slot, energy_wh)
        if earned_micro < due_micro or (not energy_wh and earned_micro):
            text = f"priced {money_text(earned_micro)} but the tariff makes it {money_text(due_micro)}"
            raise Refused(Reason.BUSINESS, text, About.PRICE)
        if is_booked and not {*booked} <= {*entries}:
            raise Refused(Reason.BUSINESS, "another bill of that slot is booked already", About.READING)
        for entry in entries:
            if entry not in booked:
                books.book(entry)
        if is_booked:
            self.tell(
                "the utility has corrected the reading of %s: %s kWh, %s %s paid back",
                self.slot_text(slot),
                kwh_text(energy_wh),
                money_text(sum([one.back_micro for one in priced.corrections[len(corrections(booked)) :]])),
                priced.currency,
            )
        elif sold_wh := self._sold_under_fee_wh(slot):
            fee_micro = self._fee_asked_micro(priced, sold_wh)
            books.book(LedgerEntry(EntryKind.GRID_FEE, slot, utility, fee_reference(sold_wh), 0, -fee_micro))
        estimated_wh = None if priced.by is Basis.METER else energy_wh
        books.read(reading._replace(state=ReadingState.BOOKED, estimated_wh=estimated_wh))
        self._sold_before.pop(slot, None)

    def _check_energy(self, priced: PricedReading, metered: Metered) -> None:
        """Refuse to book what was not reported.

        What was billed before and corrected since can only have been import that turned out to be bought.
        """
        told = priced.reading
        sold_wh = self._sold_under_fee_wh(told.slot)
        # Who leaves out what was sold says nothing of it.
        if told[2:4] != (metered.imported_wh, metered.exported_wh) or told.sold_wh not in (0, sold_wh):
            raise Refused(Reason.BUSINESS, "another reading of that slot was reported", About.READING)
        for corrected in priced.corrections:
            turned_wh = corrected.imported_wh - corrected.exported_wh - metered.imported_wh + metered.exported_wh
            if min(corrected[:2]) != 0 or not 0 <= turned_wh <= metered.bought_wh:
                raise Refused(Reason.BUSINESS, "a correction of what was not reported before", About.READING)

    def _check_estimate(self, priced: PricedReading, metered: Metered) -> None:
        """Refuse an estimate of what the meter may well have read, and one of more than it has read."""
        told = priced.reading
        self._check_outlier(priced, metered)
        if told.imported_wh > metered.imported_wh or told.exported_wh > metered.exported_wh:
            raise Refused(Reason.BUSINESS, "an estimate of more than was reported", About.READING)
        if priced.corrections:
            raise Refused(Reason.BUSINESS, "another reading of that slot was reported", About.READING)

    def _check_correction(self, priced: PricedReading, metered: Metered) -> None:
        """Refuse a correction of what the meter may well have read, and one to what is installed here cannot move.

        What was billed before may have been an estimate, too.
        """
        self._check_outlier(priced, metered)
        installed_wh = self._installed_wh()
        imported_wh, exported_wh = max(installed_wh, metered.imported_wh), max(installed_wh, metered.exported_wh)
        for one in priced.corrections:
            both = min(one.imported_wh, one.exported_wh) > 0
            if both or one.imported_wh > imported_wh or one.exported_wh > exported_wh:
                raise Refused(Reason.BUSINESS, "a correction of what was not billed before", About.READING)
        if max(priced.reading[2:4]) > installed_wh:
            text = f"a correction to {kwh_text(max(priced.reading[2:4]))} kWh; what is installed moves less in a slot"
            raise Refused(Reason.BUSINESS, text, About.READING)

    def _check_outlier(self, priced: PricedReading, metered: Metered) -> None:
        """Refuse to book another reading than the meter's where that can be true."""
        if max(metered.imported_wh, metered.exported_wh) <= self._installed_wh():
            raise Refused(Reason.BUSINESS, f"that reading can be true, and is not to be {priced.by}", About.READING)
        if priced.reading.sold_wh not in (0, self._sold_under_fee_wh(priced.reading.slot)):
            raise Refused(Reason.BUSINESS, "another reading of that slot was reported", About.READING)

    def _installed_wh(self) -> int:
        """What all that is installed here can move in a slot; of a profile of files, what the connection carries."""
        config = self.config
        if config.profile_csv is not None:
            devices_w = sum([device.power_w for device in config.devices])
            return slot_energy_wh(max(config.connection_w, CONNECTION_W + devices_w))
        return slot_energy_wh(installed_w(config.pv, config.load, config.battery, config.devices))

    def _check_signs(self, priced: PricedReading) -> None:
        """Refuse negative parts, but for energy of the utility in a slot in which its price is negative."""
        shared, slot = priced.shared or SharedPart(0, 0, 0), priced.reading.slot
        energy_micro = priced.amount_micro - shared.amount_micro - priced.fee_micro
        imported_wh, exported_wh = priced.corrections[0][:2] if priced.corrections else priced.reading[2:4]
        if (self.rates.price(slot) if imported_wh > exported_wh else self.rates.feed_in(slot)) < 0:
            energy_micro = 0
        parts = (energy_micro, priced.fee_micro, priced.local_fee_micro or 0)
        if min(*parts, *shared, shared.amount_micro - shared.fee_micro) < 0:
            raise Refused(Reason.BUSINESS, "a part of the price is negative, or more than the whole", About.PRICE)

    def _billed(self, priced: PricedReading) -> list[LedgerEntry]:
        """What a priced reading makes the household book: supply, what was shared, and corrections."""
        reading, shared = priced.reading, priced.shared or SharedPart(0, 0, 0)
        billed = [one.imported_wh - one.exported_wh for one in priced.corrections]
        billed.append(reading.imported_wh - reading.exported_wh)
        billed_wh = billed[0]
        sign = 1 if billed_wh > 0 else -1
        supply = (billed_wh - sign * shared.energy_wh, -sign * (priced.amount_micro - shared.amount_micro))
        if supply[0] * sign < 0:
            raise Refused(Reason.UNSOUND, "more is shared than was imported or exported", About.READING)
        parts = [
            (EntryKind.BACKSTOP, SUPPLY, supply),
            (EntryKind.SHARED, SHARED, (sign * shared.energy_wh, -sign * shared.amount_micro)),
        ]
        for number, corrected in enumerate(priced.corrections, start=1):
            more_wh = billed[number] - billed[number - 1]
            parts.append((EntryKind.BACKSTOP, correction_reference(number), (more_wh, corrected.back_micro)))
        utility, slot = self.config.backstop.utility_id, reading.slot
        return [LedgerEntry(kind, slot, utility, reference, *part) for kind, reference, part in parts if any(part)]

    def _supply_transaction(self, slot: int) -> str:
        """The transaction id under which a slot's reading is reported."""
        found = self._supplies.get(slot)
        if found is None:
            if len(self._supplies) >= _SUPPLIES:
                self._supplies.clear()
            found = self._supplies[slot] = self.derive_id("supply", slot)
        return found

    def _sold_under_fee_wh(self, slot: int) -> int:
        """What others got in a slot by contracts that bear a grid fee."""
        sales = self.books.deliveries(Side.SELLER, slot)
        sold_wh = sum([delivery.delivered_wh or 0 for _, delivery in sales if delivery.fee_micro])
        return max(sold_wh, self._sold_before.get(slot, 0))

    def _fee_asked_micro(self, priced: PricedReading, sold_wh: int) -> int:
        """The grid fee in a priced reading; Refused when it is not stated or dearer than the tariff."""
        asked_micro = priced.local_fee_micro
        if asked_micro is None:
            raise Refused(Reason.UNSOUND, "a grid fee must be stated for what was sold to others", About.GRID_FEE)
        due_micro = amount_micro(self.rates.local_grid_fee(priced.reading.slot), sold_wh)
        if asked_micro > due_micro:
            text = f"grid fee of {money_text(asked_micro)} but the tariff makes it {money_text(due_micro)}"
            raise Refused(Reason.BUSINESS, text, About.GRID_FEE)
        return asked_micro

    def supply_micro(self, slot: int, energy_wh: int) -> int:
        """What the tariff makes of net import (energy_wh > 0: a cost) or export in a slot."""
        if energy_wh > 0:
            return -amount_micro(self.rates.all_in(slot), energy_wh)
        return amount_micro(self.rates.feed_in(slot), -energy_wh)


def _covered(metered: Metered, before: Metered) -> Metered:
    """How much of what was sold the backstop gave, when load or sun were more than was thought."""
    missing_wh = before.covered_wh + metered.load_wh - before.load_wh - metered.pv_wh + before.pv_wh
    most_wh = 0 if metered.exported_wh else min(metered.sold_wh, metered.imported_wh)
    return metered._replace(covered_wh=max(0, min(missing_wh, most_wh)))


_CHECKS: Mapping[Basis, Callable[[Supplied, PricedReading, Metered], None]] = {
    Basis.METER: Supplied._check_energy,
    Basis.ESTIMATE: Supplied._check_estimate,
    Basis.CORRECTION: Supplied._check_correction,
}
