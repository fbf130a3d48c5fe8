"""A pod in small: one party on a journal in memory, a clock moved by hand, messages and reminders carried by hand."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from functools import cache
from typing import Any, TypeVar

import pydantic_core

from tests.world.clocks import StillClock
from tests.world.parties import (
    CURRENCY,
    EPOCH_S,
    FIRST_SLOT,
    GATEWAY,
    GRID,
    SPEED,
    Config,
    Weather,
    first_standing,
    party_of,
)
from tests.world.subscribers import DOMAIN, entry_at, signer
from wattmesh_agents.brain import think
from wattmesh_agents.driver import Driver
from wattmesh_agents.store import journal
from wattmesh_agents.store.database import IN_MEMORY, Database
from wattmesh_agents.store.journal import table_rows
from wattmesh_agents.store.mail import Outgoing
from wattmesh_agents.store.transactions import Store
from wattmesh_agents.writing import Place, Writer
from wattmesh_beckn.codec.versions import codecs_of
from wattmesh_beckn.receiver import Received, read_any
from wattmesh_beckn.registry import SubscriberType, Subscription
from wattmesh_beckn.transport import Reply
from wattmesh_cli.books import Book, Closing, ContractRow, Held, LedgerEntry, Reading, Reported
from wattmesh_cli.books import Party as PartyRow
from wattmesh_common.clock import utc
from wattmesh_common.fields import V1_ONLY, Protocols
from wattmesh_market.energy.grid_time import GridTime
from wattmesh_market.parties.books import Alarm, LogLine
from wattmesh_market.parties.events import Events
from wattmesh_market.parties.party import Now, Party, Surroundings
from wattmesh_market.trade.advice import Consultation

RowT = TypeVar("RowT")


@cache
def entry(subscriber_id: str, role: SubscriberType) -> Subscription:
    """What the registry says of a subscriber."""
    until = utc(EPOCH_S + 10**8)
    return entry_at(EPOCH_S, signer(subscriber_id), role, url=url_of(subscriber_id), valid_until=until)


def url_of(subscriber_id: str) -> str:
    return f"http://{subscriber_id}"


def received(body: bytes, action: str) -> Received:
    """Bytes as they come out of a Receiver that found nothing wrong with them."""
    call = read_any(action, pydantic_core.from_json(body))
    seller = call.context.is_callback
    sender = entry((call.context.bpp_id if seller else call.context.bap_id) or "", "BPP" if seller else "BAP")
    return Received(action, call.context, call.message, sender, body, "", int(call.context.expires_at) + 1)


@dataclass
class Node:
    """A pod with one party. `posted` are messages that are to be sent, `armed` reminders that are to ring."""

    config: Config
    clock: StillClock
    weather: Weather = field(default_factory=Weather)
    end_s: float | None = None
    speed: float = SPEED
    protocols: Protocols = V1_ONLY
    events: type[Events] = Events
    posted: list[Outgoing] = field(default_factory=list)
    armed: dict[Alarm, float] = field(default_factory=dict)
    missed: int = 0
    told: list[LogLine] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.database = Database.open(IN_MEMORY, salt=self.config.name)
        self.grid = GridTime(float(FIRST_SLOT), EPOCH_S, self.speed, 0, self.end_s)
        self.now = Now()
        self.load()
        self.driver.enrol(self.member)
        self.driver.store.peers.meet(entry(GRID, "BPP"), self.now.ms)
        self.driver.store.tidy()

    def load(self) -> None:
        """What a process makes anew from its journal."""
        self.move()
        around = Surroundings(CURRENCY, GATEWAY, self.grid, self.now, publishes="v2" in self.protocols)
        connection, slot = self.database.connection, self.now.slot
        books = journal.load(connection, self.id, slot, first_standing(self.config, slot))
        self.party = party_of(self.config, self.weather, around, books, self.database.salt)
        self.member = self.events(self.party, think)
        place = Place(DOMAIN, {self.id: url_of(self.id)})
        codecs = codecs_of(self.protocols, CURRENCY, GATEWAY)
        store = Store(self.database)
        self.writer = Writer(codecs, place, store.peers, self.sign)
        self.driver = Driver(store, [self.member], codecs, self.writer, self)

    def restart(self) -> None:
        """Die and come back: what was only in memory is gone, what the journal holds is taken up."""
        self.armed.clear()
        self.load()
        self.posted[:] = self.driver.store.outbox.waiting.values()
        self.driver.enrol(self.member)

    def move(self) -> None:
        """Look at the clock, as a pod does before each event."""
        self.now.move(int(self.clock.now * 1000), self.grid.at(self.clock.now))

    @property
    def id(self) -> str:
        return self.config.subscriber_id

    def sign(self, message: Outgoing) -> str:
        created = int(self.clock.now)
        return signer(self.id).sign(message.body, created=created, expires=created + 30)

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

    def asks(self, party: Party, partner: str, *, again: bool) -> bool:  # noqa: ARG002
        return False  # these books were not put back

    # --- events ---

    def receive(self, body: bytes, action: str) -> Reply:
        """Answer as the receiving end does: the first answer to what it knows, the driver's to what is new."""
        self.move()
        message = received(body, action)
        context = message.context
        first = self.driver.store.inbox.first_answer(self.id, message.sender.subscriber_id, context.message_id, action)
        return first.reply if first else self.driver.receive(self.member, message)

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
        reported=tuple(
            _as(Reported, {**row, "provisional": bool(row["provisional"])})
            for row in table_rows(connection, "reported")
        ),
        held=tuple(_as(Held, row) for row in table_rows(connection, "held")),
        closings=tuple(_as(Closing, row) for row in table_rows(connection, "closings")),
    )


def _as(kind: type[RowT], row: dict[str, Any]) -> RowT:
    return kind(**{one.name: row[one.name] for one in fields(kind)})  # type: ignore[arg-type]
