"""A pod in small: one party on a journal in memory, a clock moved by hand, messages and reminders carried by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from typing import Any, TypeVar

import pydantic_core

from wattmesh_agents.brain import think
from wattmesh_agents.driver import Driver, Place
from wattmesh_agents.store import journal
from wattmesh_agents.store.database import IN_MEMORY, Database
from wattmesh_agents.store.journal import table_rows
from wattmesh_agents.store.mail import Outgoing
from wattmesh_beckn.codec.v1.codec import CodecV1
from wattmesh_beckn.context import Code, Location
from wattmesh_beckn.messages import read_call
from wattmesh_beckn.receiver import Received
from wattmesh_beckn.registry import SubscriberType, Subscription
from wattmesh_beckn.transport import Reply
from wattmesh_cli.books import Book, ContractRow, LedgerEntry, Reading
from wattmesh_cli.books import Party as PartyRow
from wattmesh_common.clock import utc
from wattmesh_market.energy.battery import Battery
from wattmesh_market.energy.grid_time import GridTime
from wattmesh_market.energy.profiles import SlotProfile
from wattmesh_market.energy.tariff import Tariff
from wattmesh_market.parties.books import Alarm, LogLine
from wattmesh_market.parties.config import Backstop, DemandResponse, HouseholdConfig, Trading, UtilityConfig
from wattmesh_market.parties.events import Events
from wattmesh_market.parties.household import Household
from wattmesh_market.parties.party import Now, Party, Surroundings, standing_at
from wattmesh_market.parties.utility import Utility
from wattmesh_market.trade.advice import Consultation

DOMAIN, FEEDER, CURRENCY = "uei:p2p_trading", "feeder-1", "EUR"
GATEWAY, GRID = "gateway.default", "grid.default"
EPOCH = 1_800_000_000.0
FIRST_SLOT = int(datetime(2026, 6, 21, 6, 0, tzinfo=UTC).timestamp())
SPEED = 60.0
SLOT_WALL_S = 900 / SPEED
"""Wall seconds in a slot."""
TARIFF = Tariff(price_micro_per_kwh=300_000, feed_in_micro_per_kwh=80_000)
FEES = replace(TARIFF, grid_fee_micro_per_kwh=70_001, local_grid_fee_micro_per_kwh=29_999)
"""The same with grid fees, odd, so that amounts need rounding."""

RowT = TypeVar("RowT")


class HandClock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = EPOCH

    def wall(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        raise AssertionError(f"nothing waits here, not even {seconds} s")


class Weather:
    """PV and load by slot; what is not given is `usual`, which is also the forecast."""

    def __init__(self, usual: SlotProfile | None = None, given: Mapping[int, SlotProfile] | None = None) -> None:
        self.usual = usual or SlotProfile(0, 0)
        self.given = dict(given or {})

    def actual(self, slot: int) -> SlotProfile:
        return self.given.get(slot, self.usual)

    def forecast(self, slot: int) -> SlotProfile:  # noqa: ARG002 - nobody foresees
        return self.usual


def battery(level_wh: int = 9000, **changes: Any) -> Battery:
    """10 kWh with a minimum of 1 kWh, 1000 Wh per slot each way, 95 % in and 90 % out."""
    usual = {
        "capacity_wh": 10_000,
        "initial_level_wh": level_wh,
        "min_level_wh": 1000,
        "charge_power_w": 4000,
        "discharge_power_w": 4000,
        "charge_efficiency_ppm": 950_000,
        "discharge_efficiency_ppm": 900_000,
    }
    return Battery(**(usual | changes))


def household(
    name: str,
    of: Battery | None,
    *,
    price_micro: int = 200_000,
    buy_percent: int = 20,
    sell_percent: int = 80,
    tariff: Tariff = TARIFF,
    pricing: str = "fixed",
    forecast: str = "profile",
) -> HouseholdConfig:
    """Buys below 20 % up to 50 %, sells above 80 %."""
    capacity_wh = of.capacity_wh if of else 0
    return HouseholdConfig(
        name=name,
        subscriber_id=f"{name}.default",
        feeder=FEEDER,
        seed=1,
        battery=of,
        trading=Trading(
            buy_below_wh=capacity_wh * buy_percent // 100,
            buy_target_wh=min(capacity_wh // 2, capacity_wh * sell_percent // 100),
            sell_above_wh=capacity_wh * sell_percent // 100,
            pricing=pricing,
            sell_price_micro_per_kwh=price_micro,
        ),
        backstop=Backstop(utility_id=GRID, tariff=tariff),
        forecast=forecast,
    )


def utility(capacity_w: int = 40_000, response: DemandResponse | None = None, tariff: Tariff = TARIFF) -> UtilityConfig:
    """The backstop; 10 kWh per slot."""
    return UtilityConfig(
        name="grid",
        subscriber_id=GRID,
        feeder=FEEDER,
        tariff=tariff,
        capacity_w=capacity_w,
        demand_response=response,
    )


def entry(subscriber_id: str, role: SubscriberType) -> Subscription:
    """What the registry says of a subscriber."""
    return Subscription(
        subscriber_id=subscriber_id,
        url=url_of(subscriber_id),
        type=role,
        domain=DOMAIN,
        location=Location(city=Code(code=FEEDER)),
        key_id="00000000-0000-4000-8000-000000000001",
        signing_public_key=f"{'A' * 43}=",
        valid_from=utc(EPOCH),
        valid_until=utc(EPOCH + 10**8),
    )


def url_of(subscriber_id: str) -> str:
    return f"http://{subscriber_id}"


def received(body: bytes, action: str) -> Received:
    """Bytes as they come out of a Receiver that found nothing wrong with them."""
    call = read_call(action, pydantic_core.from_json(body))
    role: SubscriberType = "BPP" if action.startswith("on_") else "BAP"
    sender = entry(call.context.sender, role)
    return Received(action, call.context, call.message, sender, body, "", int(call.context.expires_at) + 1)


@dataclass
class Node:
    """A pod with one party. `posted` are messages that are to be sent, `armed` reminders that are to ring."""

    config: HouseholdConfig | UtilityConfig
    clock: HandClock
    weather: Weather = field(default_factory=Weather)
    end_s: float | None = None
    speed: float = SPEED
    posted: list[Outgoing] = field(default_factory=list)
    armed: dict[Alarm, float] = field(default_factory=dict)
    missed: int = 0
    told: list[LogLine] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.database = Database.open(IN_MEMORY, salt=self.config.name)
        self.grid = GridTime(float(FIRST_SLOT), EPOCH, self.speed, 0, self.end_s)
        self.now = Now()
        self.load()
        self.driver.enrol(self.member)
        self.driver.meet(entry(GRID, "BPP"), self.now.ms)
        self.driver.tidy()

    def load(self) -> None:
        """What a process makes anew from its journal."""
        self.move()
        around = Surroundings(CURRENCY, GATEWAY, self.grid, self.now)
        config, connection, salt = self.config, self.database.connection, self.database.salt
        self.party: Household | Utility
        if isinstance(config, HouseholdConfig):
            books = journal.load(connection, self.id, self.now.slot, standing_at(self.now.slot, config.battery))
            self.party = Household(config, self.weather, around, books, salt)
        else:
            books = journal.load(connection, self.id, self.now.slot, standing_at(self.now.slot))
            self.party = Utility(config, around, books, salt)
        self.member = Events(self.party, think)
        place = Place(DOMAIN, {self.id: url_of(self.id)})
        self.driver = Driver(self.database, [self.member], CodecV1(CURRENCY), place, self)

    def restart(self) -> None:
        """Die and come back: what was only in memory is gone, what the journal holds is taken up."""
        self.armed.clear()
        self.load()
        self.posted[:] = self.driver.outbox.waiting.values()
        self.driver.enrol(self.member)

    def move(self) -> None:
        """Look at the clock, as a pod does before each event."""
        self.now.move(int(self.clock.now * 1000), self.grid.at(self.clock.now))

    @property
    def id(self) -> str:
        return self.config.subscriber_id

    # --- what a driver publishes to ---

    def send(self, message: Outgoing) -> None:
        self.posted.append(message)

    def remind(self, party: Party, alarm: Alarm, due_s: float) -> None:
        assert party is self.party
        self.armed[alarm] = due_s

    def tell(self, party: Party, line: LogLine) -> None:
        assert party is self.party
        self.told.append(line)

    def consult(self, party: Party, asked: Consultation) -> None:
        raise AssertionError(f"nobody advises {party.id} about {asked}")

    def missed_gates(self, number: int) -> None:
        self.missed += number

    # --- events ---

    def receive(self, body: bytes, action: str) -> Reply:
        """Answer as the receiving end does: the first answer to what it knows, the driver's to what is new."""
        self.move()
        message = received(body, action)
        context = message.context
        first = self.driver.inbox.first_answer(self.id, context.sender, context.message_id, action)
        return first or self.driver.receive(self.member, message)

    def ring(self, alarm: Alarm) -> None:
        """Let a reminder come due."""
        self.move()
        self.armed.pop(alarm, None)
        self.driver.ring(self.member, alarm)

    def open_slot(self) -> None:
        """Notice that a slot has begun."""
        self.move()
        self.driver.open_slot(self.member)


# --- books for the audit ---


def book_of(node: Node) -> Book:
    """A node's rows as the audit reads them."""
    connection = node.database.connection
    return Book(
        node.config.name,
        tuple(_as(PartyRow, row) for row in table_rows(connection, "parties")),
        tuple(
            _as(ContractRow, {**row, "in_doubt": bool(row["in_doubt"])}) for row in table_rows(connection, "contracts")
        ),
        tuple(_as(LedgerEntry, row) for row in table_rows(connection, "ledger")),
        tuple(_as(Reading, row) for row in table_rows(connection, "readings")),
    )


def _as(kind: type[RowT], row: dict[str, Any]) -> RowT:
    return kind(**{one.name: row[one.name] for one in fields(kind)})  # type: ignore[arg-type]
