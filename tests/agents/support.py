"""A street in small: a clock moved by hand, parties on databases in memory, messages carried by hand."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from typing import Any, TypeVar

import pydantic_core

from wattmesh_agents.brain.brain import Brain
from wattmesh_agents.brain.graph import Party
from wattmesh_agents.dispatch import Dispatcher
from wattmesh_agents.happenings import StoryLine
from wattmesh_agents.parties.household import Household
from wattmesh_agents.parties.trader import Surroundings
from wattmesh_agents.parties.utility import Utility
from wattmesh_agents.rows import table_rows
from wattmesh_agents.store.database import IN_MEMORY, Database
from wattmesh_agents.store.messages import Outbox, Outgoing, Timer, Timers
from wattmesh_beckn.context import Action, BecknModel, Code, Location, request_context
from wattmesh_beckn.messages import read_call, write_call
from wattmesh_beckn.receiver import Received
from wattmesh_beckn.registry import SubscriberType, Subscription
from wattmesh_beckn.transport import Reply
from wattmesh_cli.books import Book, ContractRow, LedgerEntry, Offer, Reading
from wattmesh_cli.books import Party as PartyRow
from wattmesh_common.clock import GridClock, utc
from wattmesh_market.energy.battery import Battery
from wattmesh_market.energy.profiles import SlotProfile
from wattmesh_market.energy.tariff import Tariff
from wattmesh_market.parties.config import Backstop, DemandResponse, HouseholdConfig, Trading, UtilityConfig

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


def call(
    action: Action,
    body: BecknModel,
    *,
    sender: str,
    recipient: str,
    transaction_id: str,
    now: float,
    message_id: str | None = None,
) -> Received:
    """A message of anybody, well-formed on the wire."""
    me, other = (sender, url_of(sender)), (recipient, url_of(recipient))
    callback = action.startswith("on_")
    context = request_context(
        domain=DOMAIN,
        feeder=FEEDER,
        action=action,
        bap=other if callback else me,
        bpp=None if action == "search" else me if callback else other,
        transaction_id=transaction_id,
        message_id=message_id or uuid_of(action, sender, transaction_id, now),
        now=now,
        ttl_s=30,
    )
    return received(write_call(context, body), action)


def uuid_of(*parts: object) -> str:
    """The same UUID for the same parts."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, "/".join(map(str, parts))))


@dataclass
class Node:
    """A pod with one party. `posted` are messages on disk that are to be sent, `armed` alarms that are to ring."""

    config: HouseholdConfig | UtilityConfig
    clock: HandClock
    weather: Weather = field(default_factory=Weather)
    end_s: float | None = None
    brain: type[Brain] = Brain
    speed: float = SPEED
    posted: list[Outgoing] = field(default_factory=list)
    armed: list[Timer] = field(default_factory=list)
    missed_gates: int = 0
    told: list[StoryLine] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.database = Database.open(IN_MEMORY, salt=self.config.name)
        self.boot()
        with self.database.transaction():
            self.party.enrol()
            self.trader.peers.meet(entry(GRID, "BPP"), self.trader.now_ms)

    def boot(self) -> None:
        """What a process makes anew from its database."""
        grid = GridClock(self.clock, float(FIRST_SLOT), EPOCH, self.speed)
        around = Surroundings(
            self.database,
            grid,
            self.end_s,
            DOMAIN,
            CURRENCY,
            GATEWAY,
            self.posted.append,
            self.armed.append,
            self.miss,
            self.told.append,
        )
        self.party: Party = (
            Household(around, self.config, url_of(self.config.subscriber_id), self.weather)
            if isinstance(self.config, HouseholdConfig)
            else Utility(around, self.config, url_of(self.config.subscriber_id))
        )
        self.trader = self.party.trader
        self.dispatcher = Dispatcher(self.database, self.brain())

    def restart(self) -> None:
        """Die and come back: what was only in memory is gone, what the database holds is taken up."""
        self.posted[:] = Outbox(self.database.connection).waiting()
        self.armed[:] = Timers(self.database.connection).waiting()
        self.boot()

    def miss(self) -> None:
        self.missed_gates += 1

    @property
    def id(self) -> str:
        return self.config.subscriber_id

    def receive(self, body: bytes, action: str) -> Reply:
        """Answer as the receiving end does: the first answer to what it knows, the dispatcher's to what is new."""
        message = received(body, action)
        first = self.trader.inbox.first_answer(message.context.sender, message.context.message_id, action)
        return first or self.dispatcher.receive(self.party, message)

    def ring(self, timer: Timer) -> None:
        """Let an alarm go off, if it is still set."""
        self.armed.remove(timer)
        with self.dispatcher.transaction(f"alarm {timer.kind}"):
            if Timers(self.database.connection).take(timer):
                self.dispatcher.ring(self.party, timer)


# --- books for the audit ---


def book_of(node: Node) -> Book:
    """A node's rows as the audit reads them."""
    connection = node.database.connection
    offers = [
        Offer(row["party"], row["transaction_id"], row["seller"], row["price_micro"])
        for row in table_rows(connection, "offers")
    ]
    return Book(
        node.config.name,
        tuple(_as(PartyRow, row) for row in table_rows(connection, "parties")),
        tuple(
            _as(ContractRow, {**row, "in_doubt": bool(row["in_doubt"])}) for row in table_rows(connection, "contracts")
        ),
        tuple(offers),
        tuple(_as(LedgerEntry, row) for row in table_rows(connection, "ledger")),
        tuple(_as(Reading, row) for row in table_rows(connection, "readings")),
    )


def _as(kind: type[RowT], row: dict[str, Any]) -> RowT:
    return kind(**{one.name: row[one.name] for one in fields(kind)})  # type: ignore[arg-type]
