"""A small market in memory: parties, a time that tests move by hand, and messages that are carried by direct calls.

After each event its changes are committed (rows, letters and alarms are kept), or taken back when it is refused, as in
a pod. Each party has an inbox: a message that comes twice is answered as before and does nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, NamedTuple

from tests.world.parties import (
    CURRENCY,
    EPOCH_S,
    FIRST_SLOT,
    GATEWAY,
    SPEED,
    TARIFF,
    Config,
    Weather,
    battery,
    first_standing,
    household,
    party_of,
    utility,
)
from wattmesh_market.energy.grid_time import GridTime
from wattmesh_market.energy.slots import SLOT_S
from wattmesh_market.energy.tariff import Tariff
from wattmesh_market.mechanisms.sharing import Sharing
from wattmesh_market.parties.books import Alarm, AlarmKind, Books, Changes, LogLine, Role, Standing, Totals
from wattmesh_market.parties.config import DemandResponse
from wattmesh_market.parties.events import Events, Unanswered
from wattmesh_market.parties.household import Household
from wattmesh_market.parties.party import Now, Surroundings
from wattmesh_market.parties.utility import Utility
from wattmesh_market.trade.advice import Consultation
from wattmesh_market.trade.contracts import Contract, Key
from wattmesh_market.trade.ledger import Closing, EntryKind, Held, LedgerEntry, Reading, Reported
from wattmesh_market.trade.messages import ACTION_OF, Action, Call, Message, Offers, Publish, Search
from wattmesh_market.trade.refusal import Reason, Refused

TRADING_SLOTS = 40
TTL_MS = 30_000


class Letter(NamedTuple):
    """A message under way, worth sending until `until_ms` (wall time)."""

    sender: str
    to: str
    message_id: str
    action: Action
    transaction_id: str
    message: Message
    until_ms: int


@dataclass
class Journal:
    """The rows that a party has committed: all that outlives a restart."""

    standing: Standing
    contracts: dict[Key, Contract] = field(default_factory=dict)
    readings: dict[int, Reading] = field(default_factory=dict)
    roles: dict[int, Role] = field(default_factory=dict)
    ledger: list[LedgerEntry] = field(default_factory=list)
    reported: dict[tuple[int, str], Reported] = field(default_factory=dict)
    held: dict[tuple[int, str], Held] = field(default_factory=dict)
    closings: list[Closing] = field(default_factory=list)

    def write(self, changes: Changes) -> None:
        self.standing = changes.standing or self.standing
        self.contracts |= changes.contracts
        self.readings |= changes.readings
        self.roles |= changes.roles
        self.ledger += changes.ledger
        self.reported |= changes.reported
        self.held |= changes.held
        self.closings += changes.closings

    def load(self) -> Books:
        """Books made anew from the rows."""
        books = Books(self.standing)
        for contract in self.contracts.values():
            books.put(contract)
        books.note_first_expiry()
        for reading in self.readings.values():
            books.read(reading)
        for slot, role in self.roles.items():
            books.take_role(slot, role)
        for reported in self.reported.values():
            books.report(reported)
        for held in self.held.values():
            books.hold(held)
        trades_wh = [entry.energy_wh for entry in self.ledger if entry.kind is EntryKind.TRADE]
        sold_wh, bought_wh = -sum(wh for wh in trades_wh if wh < 0), sum(wh for wh in trades_wh if wh > 0)
        supplied = [entry for entry in self.ledger if entry.kind is not EntryKind.TRADE]
        books.know(supplied, Totals(sold_wh, bought_wh, sum(entry.amount_micro for entry in self.ledger)))
        books.changes = Changes()
        return books

    def booked(self, kind: EntryKind, slot: int, counterparty: str) -> list[LedgerEntry]:
        return [one for one in self.ledger if (one.kind, one.slot, one.counterparty) == (kind, slot, counterparty)]


@dataclass
class Member:
    """A party of the world, and what it has committed."""

    config: Config
    weather: Weather
    journal: Journal
    events: Events
    alarms: dict[Alarm, float] = field(default_factory=dict)
    inbox: dict[tuple[str, str, type[Message]], Refused | None] = field(default_factory=dict)
    lines: list[LogLine] = field(default_factory=list)
    consultations: list[Consultation] = field(default_factory=list)
    missed_gates: int = 0
    sun_promised_wh: dict[int, int] = field(default_factory=dict)
    """By slot, when it was last looked at."""

    @property
    def party(self) -> Household | Utility:
        party = self.events.party
        assert isinstance(party, Household | Utility)
        return party

    @property
    def home(self) -> Household:
        party = self.events.party
        assert isinstance(party, Household)
        return party

    @property
    def books(self) -> Books:
        return self.events.party.books


class World:
    """Some parties of one feeder. Their letters wait in `under_way` until a test carries them."""

    def __init__(
        self,
        *configs: Config,
        weather: Mapping[str, Weather] | None = None,
        speed: float = SPEED,
        adviser: bool = False,
        publishes: bool = False,
    ) -> None:
        self.now = Now()
        self.end_s = FIRST_SLOT + SLOT_S * TRADING_SLOTS
        self.grid = GridTime(FIRST_SLOT, EPOCH_S, speed, end_s=self.end_s)
        self.around = Surroundings(CURRENCY, GATEWAY, self.grid, self.now, lambda _: True, adviser, publishes=publishes)
        self.catalogs: dict[str, Publish] = {}
        """What sellers have published, where they do."""
        self.under_way: list[Letter] = []
        self._count = 0
        self.at(FIRST_SLOT)
        self.members: dict[str, Member] = {}
        for config in configs:
            journal = Journal(first_standing(config))
            found = (weather or {}).get(config.subscriber_id, Weather())
            member = Member(config, found, journal, Events(self._party(config, found, journal.load())))
            self.members[config.subscriber_id] = member

    def _party(self, config: Config, weather: Weather, books: Books) -> Household | Utility:
        return party_of(config, weather, self.around, books, config.name)

    def __getitem__(self, name: str) -> Member:
        return self.members[name]

    # --- time ---

    def at(self, grid_s: float) -> None:
        """Move to a grid time; nobody notices."""
        self.now.move(self.grid.wall_ms(grid_s), grid_s)

    def wait(self, wall_s: float) -> None:
        """Let wall time go on."""
        self.at(self.now.grid_s + wall_s * self.grid.speed)

    def begin_slot(self, slots: int = 1, order: Collection[str] | None = None) -> None:
        """Go to the start of a later slot and let the parties in `order` notice (default: all)."""
        self.at(self.now.slot + SLOT_S * slots)
        for name in self.members if order is None else order:
            self.open_slot(self.members[name])

    def open_slot(self, member: Member) -> None:
        """Let a party notice that a slot has begun."""
        self.act(member, member.events.open_slot)
        member.books.forget(self.now.slot)

    def catch_up(self, name: str, slots: int) -> None:
        """Go to the start of a later slot and let one party meter what has ended."""
        self.at(self.now.slot + SLOT_S * slots)
        self.act(self.members[name], self.members[name].events.catch_up)

    def ring_due(self) -> None:
        """Let every alarm that is due go off, the earliest first, then by party."""
        due = [
            (due_s, name, alarm)
            for name, member in self.members.items()
            for alarm, due_s in member.alarms.items()
            if due_s <= self.now.grid_s
        ]
        for due_s, name, alarm in sorted(due):
            if self.members[name].alarms.get(alarm) == due_s:
                self.ring(self.members[name], alarm)

    def ring(self, member: Member, alarm: Alarm) -> None:
        """Let an alarm go off."""
        del member.alarms[alarm]
        self.act(member, lambda: member.events.ring(alarm))

    def alarm_of(self, name: str, kind: AlarmKind, slot: int = 0) -> Alarm:
        """The one alarm of its kind that a party has set."""
        (found,) = [alarm for alarm in self.members[name].alarms if (alarm.kind, alarm.slot) == (kind, slot)]
        return found

    def live(self, slots: int = 1, chance: Random | None = None, faults: int = 0) -> None:
        """Some slots of trade, from the next one on; everybody sees every letter and alarm in time."""
        for _ in range(slots):
            self.begin_slot()
            self.until(self.now.slot + SLOT_S - 1, chance, faults)

    def until(self, grid_s: float, chance: Random | None = None, faults: int = 0) -> None:
        """Carry letters and ring alarms until a grid time; with faults, look at letters at least 30 times a slot."""
        while True:
            if faults:
                self.carry(chance, faults)
            else:
                while self.under_way:
                    self.carry(chance)
            due = [due_s for member in self.members.values() for due_s in member.alarms.values()]
            stop_s = max(self.now.grid_s, min([*due, self.now.grid_s + SLOT_S / 30, grid_s]))
            self.at(stop_s)
            self.ring_due()
            if stop_s >= grid_s:
                return

    def settle_down(self) -> None:
        """End trading and let all that is open find its end, with letters that arrive."""
        self.at(max(self.now.grid_s, self.end_s))
        self.live(5)

    # --- letters ---

    def say(self, to: str, sender: str, message: Message, transaction: str = "t-1", *, near: bool = True) -> Any:
        """What a party answers to a message of anybody; None when it answers nothing. Raises Refused as it declines."""
        self._count += 1
        call = Call(sender, transaction, f"m-{self._count}", message, near)
        refused = self.receive(self.members[to], call)
        if refused is not None:
            raise refused
        answers = [one for one in self.under_way if (one.sender, one.message_id) == (to, call.message_id)]
        for answer in answers:
            assert (answer.to, answer.transaction_id) == (sender, transaction)
            self.under_way.remove(answer)
        return answers[0].message if answers else None

    def refusal(
        self, to: str, sender: str, message: Message, transaction: str = "t-1", *, near: bool = True
    ) -> Refused:
        """Why a party declines a message."""
        try:
            answer = self.say(to, sender, message, transaction, near=near)
        except Refused as refused:
            return refused
        raise AssertionError(f"not declined but answered: {answer}")

    def receive(self, member: Member, call: Call) -> Refused | None:
        """Let a party act on a message, once."""
        key = (call.sender, call.message_id, type(call.message))
        if key not in member.inbox:
            refused = self.act(member, lambda: member.events.receive(call))
            if refused is not None and refused.reason is Reason.TOO_MANY:
                return refused
            member.inbox[key] = refused
        return member.inbox[key]

    def sent(self, name: str, kind: type[Message] | None = None) -> list[Letter]:
        """Letters of a party under way, those of one kind of message."""
        return [one for one in self.under_way if one.sender == name and (kind is None or type(one.message) is kind)]

    def hand_over(self, letter: Letter, missed: Collection[str] = ()) -> Unanswered | None:
        """Let the recipient (of a search: everybody but those who miss it) act on a letter."""
        if letter.until_ms <= self.now.ms:
            return Unanswered(None, "too late")
        call = Call(letter.sender, letter.transaction_id, letter.message_id, letter.message)
        if isinstance(letter.message, Publish):
            self.catalogs[letter.sender] = letter.message
            return None
        if letter.to == GATEWAY and self.around.publishes:
            assert isinstance(letter.message, Search)
            found = call._replace(sender=GATEWAY, message=self.found(letter.sender, letter.message))
            self.receive(self.members[letter.sender], found)
            return None
        if letter.to == GATEWAY:
            for name, member in self.members.items():
                if name != letter.sender and name not in missed:
                    self.receive(member, call)
            return None
        if letter.to not in self.members:
            return Unanswered(None, "nobody there")
        refused = self.receive(self.members[letter.to], call)
        return None if refused is None else Unanswered(refused.reason, refused.text)

    def found(self, buyer: str, sought: Search) -> Offers:
        """What the discovery service finds for a buyer in what others have published."""
        until = sought.until or sought.slot + 1
        published = [one for seller, told in self.catalogs.items() if seller != buyer for one in told.offers]
        return Offers(tuple((slot, offer) for slot, offer in published if sought.slot <= slot < until))

    def deliver(self, letter: Letter, missed: Collection[str] = ()) -> None:
        """Hand a letter over and tell its sender what came of it."""
        self._answered(letter, self.hand_over(letter, missed))

    def lose(self, letter: Letter) -> None:
        """The sender gives up; the letter may have arrived or not."""
        self._answered(letter, Unanswered(None, "lost"))

    def _answered(self, letter: Letter, why: Unanswered | None) -> None:
        if letter in self.under_way:
            self.under_way.remove(letter)
            sender = self.members.get(letter.sender)
            if why is not None and sender is not None:
                self.act(sender, lambda: sender.events.unanswered(letter.to, letter.transaction_id, letter.action, why))

    def carry(self, chance: Random | None = None, faults: int = 0) -> None:
        """Carry all that is under way once, in the order sent or in any; `faults` of 10 letters meet with one."""
        bag = list(self.under_way)
        if chance is not None:
            chance.shuffle(bag)
        for letter in bag:
            if letter not in self.under_way:  # its sender has restarted since
                continue
            fate = ""
            if chance is not None and chance.randrange(10) < faults:
                fate = chance.choice(("lost", "answer lost", "twice", "late", "half"))
            if fate == "lost":
                self.lose(letter)
            elif fate == "answer lost":
                self.hand_over(letter)
                self.lose(letter)
            elif fate == "twice":
                self.hand_over(letter)
                self.deliver(letter)
            elif fate == "half":
                assert chance is not None
                self.deliver(letter, [name for name in self.members if chance.randrange(2)])
            elif fate == "":
                self.deliver(letter)

    # --- one event ---

    def act(self, member: Member, step: Callable[[], Refused | None]) -> Refused | None:
        """Let an event happen and commit what it changes; nothing when it is refused, but time has passed."""
        books, refused = member.books, None
        try:
            refused = step()
            member.events.publish()
        except Refused as error:
            books.take_back()
            refused = error
            member.events.catch_up()
        self._commit(member)
        return refused

    def _commit(self, member: Member) -> None:
        party, changes = member.party, member.books.changes
        member.books.changes = Changes()
        member.journal.write(changes)
        for send in changes.sends:
            action = ACTION_OF[type(send.message)]
            message_id = send.reply_to or party.derive_id(action, send.transaction_id, send.to, send.occasion)
            ttl_ms = TTL_MS if send.until_ms is None else max(1000, min(TTL_MS, send.until_ms - self.now.ms))
            until_ms = self.now.ms + ttl_ms
            letter = Letter(party.id, send.to, message_id, action, send.transaction_id, send.message, until_ms)
            if not any(one[:4] == letter[:4] for one in self.under_way):
                self.under_way.append(letter)
        for alarm, due_s in changes.alarms:
            member.alarms[alarm] = due_s
        for line in changes.lines:
            assert line.text % line.values
        member.lines += changes.lines
        member.consultations += changes.consultations
        member.missed_gates += changes.missed_gates

    def restart(self, name: str) -> None:
        """Die and come back: alarms, searches, offers and purchases are gone, rows and letters are taken up."""
        member = self.members[name]
        gone = [
            one for one in self.under_way if one.sender == name and isinstance(one.message, Search | Offers | Publish)
        ]
        self.under_way = [one for one in self.under_way if one not in gone]
        member.alarms.clear()
        member.events = Events(self._party(member.config, member.weather, member.journal.load()))
        self.act(member, member.events.resume)


def street(
    levels_wh: Sequence[int] = (9500, 9800, 1200),
    response: DemandResponse | None = None,
    *,
    tariff: Tariff = TARIFF,
    sharing: Sharing | None = None,
    order: Sequence[int] = range(5),
    speed: float = SPEED,
    world: type[World] = World,
    strategy: str = "rules",
    panels: bool = False,
    **of_battery: int,
) -> World:
    """Two roofs with full batteries, a home with a low one, a flat with none, and the grid; listed in any order.

    With `panels` the first roof has panels and no battery.
    """
    first, second, low = (battery(level_wh, **of_battery) for level_wh in levels_wh)
    of_all: dict[str, Any] = {"tariff": tariff, "shares": sharing is not None, "strategy": strategy}
    configs: tuple[Config, ...] = (
        household("roof-0", None if panels else first, price_micro=180_000, **of_all),
        household("roof-1", second, price_micro=220_000, **of_all),
        household("home-0", low, **of_all),
        household("flat-0", **of_all),
        utility(response=response, tariff=tariff, sharing=sharing),
    )
    weather = {
        "roof-0.default": Weather(900, 200),
        "roof-1.default": Weather(300, 250),
        "home-0.default": Weather(0, 400),
        "flat-0.default": Weather(0, 350),
    }
    return world(*(configs[at] for at in order), weather=weather, speed=speed)
