"""What households and utilities have in common: identity, time, books and a voice.

What events do to a party is `events.Events`; the rules are functions of a party: `selling`, `shopping` (search to
select) and `buying` (quote to payment).
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple

from wattmesh_market.energy.battery import NO_BATTERY
from wattmesh_market.energy.grid_time import GridTime
from wattmesh_market.energy.slots import SLOT_S, slot_of, slot_text
from wattmesh_market.ids import derive_uuid
from wattmesh_market.parties.books import Alarm, Books, LogLine, Standing
from wattmesh_market.parties.config import HouseholdConfig, UtilityConfig
from wattmesh_market.plugins.watch import Watch
from wattmesh_market.strategies import Decision
from wattmesh_market.trade.contracts import OPEN, Contract, Delivery, Side
from wattmesh_market.trade.messages import Bills, Call, HeldReading, PricedReading, Readings, ReportReading, Send, Sent
from wattmesh_market.trade.offers import Block, Pick
from wattmesh_market.trade.quotas import CUSTOMER_WH
from wattmesh_market.trade.refusal import About, Reason, Refused

MOST_REPEATED = 50
"""How much of each kind is said again at once; the oldest first, so all get their turn."""
CLOCK_TOLERANCE_S = 5.0
"""How far a partner's clock may run ahead when it tells of something in grid time (wall time)."""


class Now:
    """The moment at which an event is handled: wall time in ms, grid time in unix seconds, and its slot."""

    __slots__ = ("grid_s", "ms", "slot")

    def __init__(self) -> None:
        self.ms = 0
        self.grid_s = 0.0
        self.slot = 0

    def move(self, wall_ms: int, grid_s: float) -> None:
        """It is that late now."""
        self.ms = wall_ms
        self.grid_s = grid_s
        self.slot = slot_of(grid_s)


class Surroundings(NamedTuple):
    """What the parties of a market share: its currency, the gateway's subscriber id and its time.

    `told` says whether anybody reads the event log; `adviser` whether there is one to ask. `watch` asks plug-ins.
    With `publishes` sellers tell the gateway what they have; without it they are asked. A search is sent in so many
    `versions` of the protocol.
    """

    currency: str
    gateway_id: str
    grid: GridTime
    now: Now
    told: Callable[[int], bool] = lambda _: False
    adviser: bool = False
    watch: Watch | None = None
    publishes: bool = False
    versions: int = 1


class Party(ABC):
    """A household or utility: its configuration, its state, and what each event does to it."""

    kind: str
    advised = False
    """Whether an adviser chooses among offers."""
    is_neighbour = False
    """Whether it is a household: what one sells to another is under the grid fee of local trade."""
    plugged = False
    """Whether it goes by a plug-in that is asked before it trades."""
    shares = False
    """Whether its readings are priced when its utility closes their slot, not when they are reported."""

    def __init__(self, config: HouseholdConfig | UtilityConfig, around: Surroundings, books: Books, salt: str) -> None:
        self.name = config.name
        self.id = config.subscriber_id
        self.feeder = config.feeder
        self.may_ever_sell = not isinstance(config, HouseholdConfig) or config.may_ever_sell
        """Whether it is registered as a seller."""
        self.retention_days = config.retention_days
        """For how long its books are kept (days of grid time)."""
        self.lot = config.seed
        """What draws lots for it where offers are equal."""
        self.around = around
        self.now = around.now
        self.grid = around.grid
        self.books = books
        self._salt = salt
        self.draining = False
        """Makes no new contracts: the party is about to be taken down."""
        self._drains_from: int | None = None
        self.told: dict[tuple[str, str, int], int] = {}
        """What it had said it delivered (Wh), by transaction, buyer and slot, while books are restored."""
        self.advised_picks: dict[str, tuple[Pick, ...]] = {}
        """What an adviser chose, by transaction, while that is acted on."""
        self.tells = around.told(logging.INFO)
        """Whether anybody reads the event log."""

    # --- what a party has to sell, and what its strategy wants ---

    @abstractmethod
    def decide(self, slot: int) -> Decision:
        """What to do for a slot."""

    def ahead_until(self, slot: int) -> int | None:  # noqa: ARG002 - who plans does
        """Up to which later slot (not included) to look for offers, beside those for `slot`; None: for none."""
        return None

    def buys_ahead(self, slot: int, until: int) -> Sequence[tuple[int, Block]]:  # noqa: ARG002 - who plans does
        """What to buy already, with what is bought for `slot`, for later slots that begin before `until`."""
        return ()

    def sells_ahead(self, slot: int) -> bool:  # noqa: ARG002 - who plans does
        """Whether the party would already sell for a slot that is not traded yet. No role is taken."""
        return False

    def may_buy(self, slot: int) -> bool:  # noqa: ARG002 - a household looks at its role
        """Whether there is any reason to look for offers for a slot."""
        return not self.draining

    @abstractmethod
    def sells(self, slot: int) -> bool:
        """Whether the party is a seller for this slot."""

    @abstractmethod
    def sellable_wh(self, slot: int) -> int:
        """What can still be promised for this slot."""

    def sun_wh(self, slot: int, energy_wh: int) -> int:  # noqa: ARG002 - a household with panels has some
        """How much of what is promised for a slot now is counted on the slot's own surplus, not on the store."""
        return 0

    @abstractmethod
    def price_micro_per_kwh(self, slot: int) -> int:
        """What a kWh costs in this slot, without grid fee."""

    @abstractmethod
    def grid_fee_micro_per_kwh(self, buyer: str, slot: int) -> int:
        """The grid fee on a kWh that a buyer gets in a slot, on top of the price."""

    def lends_wh(self, buyer: str) -> int:  # noqa: ARG002 - a household tells neighbours from its utility
        """How much a buyer may have quoted, ordered and not yet paid that has paid nothing here."""
        return CUSTOMER_WH

    @abstractmethod
    def looks_s(self, slot: int) -> list[float]:
        """When (grid time) to look whether to buy for a slot."""

    @abstractmethod
    def meter(self) -> None:
        """Close every slot that has ended and was not closed yet."""

    @abstractmethod
    def enter_slot(self, following: int | None) -> None:
        """What else a new slot asks for, `following` being the one that is traded in it."""

    @abstractmethod
    def repeat(self, before: int, occasion: int) -> None:
        """Say again whatever should have been settled by now in slots before `before`."""

    def report(self, slot: int) -> None:  # noqa: B027 - a utility has no meter
        """Tell the utility what the meter read in a slot."""

    def report_later(self, slot: int) -> None:  # noqa: B027 - a utility has no meter
        """Ask to be reminded to do so, where a reading waits to be reported."""

    def report_unanswered(self, transaction_id: str) -> None:  # noqa: B027 - a utility has no meter
        """A reading that was told did not arrive, or was declined."""

    @abstractmethod
    def on_delivered(self, contract: Contract, delivery: Delivery) -> None:
        """A seller has said what it delivered in a slot, and it is booked."""

    def on_reading(self, call: Call, reading: ReportReading) -> None:  # noqa: ARG002 - a utility needs them
        """A household's meter reading."""
        raise Refused(Reason.POLICY, "only a utility takes meter readings", About.TARGET)

    def on_readings(self, call: Call, readings: Readings) -> None:  # noqa: ARG002 - a utility needs them
        """Several meter readings of a household."""
        raise Refused(Reason.POLICY, "only a utility takes meter readings", About.TARGET)

    def on_priced_reading(self, call: Call, priced: PricedReading) -> None:  # noqa: ARG002 - a household does
        """A priced meter reading."""
        raise Refused(Reason.POLICY, "a utility reports no meter readings")

    def on_bills(self, call: Call, bills: Bills) -> None:  # noqa: ARG002 - a household does
        """Several priced meter readings."""
        raise Refused(Reason.POLICY, "a utility reports no meter readings")

    def on_held_reading(self, call: Call, held: HeldReading) -> None:  # noqa: ARG002 - a household does
        """A meter reading that is held for a person."""
        raise Refused(Reason.POLICY, "a utility reports no meter readings")

    # --- books that are restored ---

    @abstractmethod
    def begin(self, slot: int) -> None:
        """Stand at the start of a slot as one that has not metered any yet."""

    def take_part(self, slot: int, side: Side) -> None:  # noqa: B027 - a utility has no role
        """Be for a slot what a contract says it was."""

    def take_reading(self, told: ReportReading) -> None:  # noqa: B027 - a utility has no meter
        """Let a slot's reading be what it was reported as."""

    def lacks_held(self, household: str, held: HeldReading) -> bool:  # noqa: ARG002 - a utility holds
        """Whether the books do not know that a reading was held."""
        return False

    def take_held(self, household: str, transaction_id: str, held: HeldReading) -> None:  # noqa: B027
        """Hold a reading that was held."""

    def lacks_price(self, household: str, priced: PricedReading) -> bool:  # noqa: ARG002 - a utility bills
        """Whether the books do not know that a reading was billed."""
        return False

    def take_price(self, household: str, transaction_id: str, priced: PricedReading) -> None:  # noqa: B027
        """Book what was billed for a reading."""

    def take_shares(self, slots: Collection[int]) -> None:  # noqa: B027 - a utility shares
        """Look which of those readings were part of their slot's closing."""

    # --- time ---

    @property
    def is_ahead(self) -> bool:
        """Whether its books reach further than grid time, which was set back: no event may reach it until then."""
        return self.books.standing.next_slot > self.now.slot

    def gate_open(self, slot: int) -> bool:
        """Whether contracts for a slot may still be made: until it starts."""
        return self.now.grid_s < slot

    def gate_ms(self, slot: int) -> int:
        """When the gate of a slot closes (ms of wall time)."""
        return self.grid.wall_ms(slot)

    def slot_ms(self) -> int:
        """Length of a slot in milliseconds of wall time."""
        return int(1000 * SLOT_S / self.grid.speed)

    def following_slot(self) -> int | None:
        """The slot that is traded now: the next; None when trading ends before it."""
        slot, end_s = self.now.slot + SLOT_S, self.grid.end_s
        return None if end_s is not None and slot >= end_s else slot

    def end_slot(self) -> int | None:
        """The first slot that nobody trades, if trading ends."""
        end_s = self.grid.end_s
        return None if end_s is None else slot_of(end_s + SLOT_S - 1)

    def metered_until(self, now_slot: int) -> int:
        """Up to which slot (not included) is metered in slot `now_slot`: that one, or the first that nobody trades.

        What goes on after the end of trading is nobody's business, and would never be priced. Nor is what goes on where
        a party drains: its account could not be closed, as the last readings are always still to be priced.
        """
        end, drains_from = self.end_slot(), self._drains_from
        ends = [] if end is None else [end]
        ends += [] if drains_from is None else [drains_from]
        if not ends or now_slot <= min(ends):
            return now_slot
        contracted = [contract.last_slot + SLOT_S for contract in self.open_contracts()]
        return min(now_slot, max([min(ends), *contracted]))

    def grid_in(self, wall_s: float) -> float:
        """Grid time in so many seconds of wall time."""
        return self.now.grid_s + wall_s * self.grid.speed

    # --- saying ---

    def derive_id(self, *parts: object) -> str:
        """An id that comes out the same when a step is run twice."""
        return derive_uuid(self._salt, self.id, *parts)

    def send(
        self, to: str, transaction_id: str, message: Sent, occasion: object = "", until_ms: int | None = None
    ) -> None:
        """Have a message sent once the changes are stored; one of the same occasion is the same message."""
        self.books.changes.sends.append(Send(to, transaction_id, message, None, str(occasion), until_ms))

    def answer(self, call: Call, message: Sent, until_ms: int | None = None) -> None:
        """Have the callback to a request sent."""
        self.books.changes.sends.append(Send(call.sender, call.transaction_id, message, call.message_id, "", until_ms))

    def alarm(self, alarm: Alarm, due_s: float) -> None:
        """Ask to be reminded at a grid time; an earlier reminder of the same thing is replaced."""
        self.books.changes.alarms.append((alarm, due_s))

    def tell(self, text: str, *values: Any, transaction_id: str | None = None) -> None:
        """Write a line into the event log once the changes are stored."""
        if self.tells:
            self.books.changes.lines.append(LogLine(text, values, transaction_id))

    def slot_text(self, slot: int) -> str:
        """A slot for people, in local time."""
        return slot_text(slot, self.grid.utc_offset_s)

    def slots_text(self, contract: Contract) -> str:
        """A contract's slots for people: the first, and how many follow."""
        later = len(contract.deliveries) - 1
        return f"{self.slot_text(contract.first_slot)}{f' and {later} later' if later else ''}"

    def require_near(self, call: Call) -> None:
        """Refuse who is registered on another feeder: energy is traded within one."""
        if not call.near:
            raise Refused(Reason.POLICY, f"{call.sender!r} is not on feeder {self.feeder!r}")

    # --- for others ---

    def drain(self, draining: bool) -> None:
        """Make no new contracts from now on, and meter only what is traded already; or trade and meter again."""
        self.draining = draining
        if not draining:
            self._drains_from = None
        elif self._drains_from is None:
            self._drains_from = self.now.slot

    def left_unpriced(self) -> int:
        """How many readings are not priced yet."""
        return len(self.books.unbooked)

    def open_contracts(self) -> list[Contract]:
        """All contracts that are not settled, expired or cancelled."""
        return [contract for side in self.books.open.values() for contract in side.values()]

    def settled(self) -> bool:
        """Whether every slot that was to be metered is, and all of them delivered, paid, shared and booked, or held."""
        now_slot = self.now.slot
        return (
            self.books.standing.next_slot >= self.metered_until(now_slot)
            and not self.books.unpriced
            and not any(
                delivery.slot < now_slot and delivery.state in OPEN
                for contract in self.open_contracts()
                for delivery in contract.deliveries
            )
        )


def standing_at(slot: int, household: HouseholdConfig | None = None) -> Standing:
    """Where a party stands that enters the books at a slot: a household with what it stores, or a utility."""
    battery, vehicle_wh = NO_BATTERY, 0
    if household is not None:
        battery, vehicle_wh = household.battery or NO_BATTERY, household.vehicle_wh
    level_wh = battery.initial_level_wh + vehicle_wh
    return Standing(
        battery.capacity_wh + vehicle_wh, level_wh, level_wh, slot, slot, buying=False, vehicle_wh=vehicle_wh
    )
