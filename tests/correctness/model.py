"""A party whose whole state can be taken down, put back and stepped on: the real code on a real database in memory.

An effect, the answer to its message and what is to be sent are written in one transaction; the state in memory is the
same as what the journal has (checked at each step, and after a write that is refused). In mind only are purchases with
their offers, searches and offers on their way, and reminders (`Mind`), which a crash loses; acknowledgements until the
next transaction takes them out of the outbox (a crash makes lost answers of them, and lost answers are explored); and
whether the process has looked at the present slot. A step depends on nothing but this state, the clock and what comes
in. So each is run once by the real code and then remembered; what parties do together is put together from such steps.

Two states are one when nothing can tell them apart: see `_essence`.
"""

from __future__ import annotations

import json
import sqlite3
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, partial
from typing import Any
from unittest import mock

from tests.world.clocks import StillClock
from tests.world.parties import CURRENCY, EPOCH_S, FIRST_SLOT, GATEWAY, GRID, Config, Weather
from tests.world.pod import Node, book_of, received
from wattmesh_agents.store import journal
from wattmesh_agents.store.evidence import read_kept
from wattmesh_agents.store.mail import Outgoing
from wattmesh_beckn.client import Acked, Outcome, Undelivered, read_answer
from wattmesh_beckn.codec.versions import codecs_of
from wattmesh_beckn.evidence import SignedMessage
from wattmesh_cli.books import Book, ContractRow
from wattmesh_common.fields import V1_ONLY
from wattmesh_market.energy.availability import Promise, held_wh
from wattmesh_market.energy.slots import SLOT_S
from wattmesh_market.parties.books import Alarm, AlarmKind, Books, Purchase, Selection
from wattmesh_market.parties.events import Events
from wattmesh_market.parties.household import Household
from wattmesh_market.parties.restoring import Signed, is_news
from wattmesh_market.trade.contracts import OVER, PROMISED, ContractState, Side

SLOT = FIRST_SLOT + SLOT_S
"""The delivery slot that is traded; an order for two slots is for this one and the next."""
SPEED = 15.0
"""A slot is a minute, so that no message outlives the slot it was written in by more than its ttl, as in real time."""
PHASES_S = (36.0, 45.0, 53.0, 61.0, 121.0, 181.0, 241.0, 301.0, 361.0, 421.0)
"""All that the clock shows when there is trade, in wall seconds since the start: search; choice and trading; the
reminders of doubt and silence are due; the gate has closed; the slot has ended; what is unpaid is said again; and
again."""
LATE_MS = 5_000
"""How long after its ttl a message may still be taken where clocks differ."""
HEARD_WHEN_LOST = ("search", "select", "confirm")
"""To these senders, and to who reports a reading, it makes a difference whether they heard an ACK or gave up. To all
others it makes none (checked at each step), so that an ACK of theirs is lost makes no state of its own."""
TABLES = (
    "contracts",
    "outbox",
    "inbox",
    "ledger",
    "readings",
    "reported",
    "held",
    "closings",
    "roles",
    "parties",
    "peers",
)

EVIDENCE = "evidence"
"""The last of the tables where it is one of them: what partners hold signed."""
LIGHT = ("search", "on_search")
"""What is sent without the outbox."""
Row = tuple[Any, ...]
Rows = tuple[Row, ...]
State = ContractState
_WAY = (State.QUOTED, State.AGREED, State.CONFIRMED, State.DELIVERED, State.SETTLED)
"""The only way forward; EXPIRED may come of the first two, CANCELLED of the first three."""


class _Connection(sqlite3.Connection):
    """One whose `commit` can be replaced."""


@dataclass(frozen=True, eq=False)
class Mind:
    """What a process has in mind only: purchases and their offers, light messages on their way, and reminders."""

    purchases: Mapping[str, Purchase]
    selections: Mapping[str, Mapping[str, Selection]]
    flying: tuple[Outgoing, ...]
    armed: Mapping[Alarm, float]


NOTHING = Mind({}, {}, (), {})
_CODEC = codecs_of(V1_ONLY, CURRENCY, GATEWAY)["v1"]


@dataclass(frozen=True, eq=False)
class Moment:
    """One state of one party. `opened`: its process has looked at the slot that the clock shows."""

    number: int
    tables: dict[str, Rows]
    mind: Mind
    opened: bool
    contracts: tuple[ContractRow, ...]
    under_way: tuple[Outgoing, ...]
    book: Book
    book_number: int

    @cached_property
    def received(self) -> frozenset[tuple[str, str, str]]:
        """What the inbox knows: sender, message id, action."""
        return frozenset((row[1], row[2], row[3]) for row in self.tables["inbox"])

    def knows(self, message: Outgoing) -> bool:
        return _name(message) in self.received


class Post:
    """Messages by what they say and until when: those that differ in the time they were written only are one.

    `phases_s` are the moments that the clock shows; `reports`: those of readings are among what is explored.
    """

    def __init__(self, phases_s: Sequence[float] = PHASES_S, *, reports: bool = False) -> None:
        self.phases_s = phases_s
        self.reports = reports
        self.phases_ms = [int((EPOCH_S + at) * 1000) for at in phases_s]
        self._known: dict[Hashable, Outgoing] = {}
        self._alike: dict[Outgoing, Outgoing] = {}

    def one(self, message: Outgoing) -> Outgoing:
        """The message that stands for all like this one."""
        found = self._alike.get(message)
        if found is None:
            body = json.loads(message.body)
            for field in ("timestamp", "ttl"):
                del body["context"][field]
            body["message"].get("order", {}).get("quote", {}).pop("ttl", None)  # until the contract's expires_ms
            # Refused by its sender's client from the first of these phases on, by its receiver from the second.
            late_ms = message.expires_ms + LATE_MS
            ends = bisect_left(self.phases_ms, message.expires_ms), bisect_right(self.phases_ms, late_ms)
            key = (message.party, message.message_id, message.action, message.recipient, ends, json.dumps(body))
            found = self._alike[message] = self._known.setdefault(key, message)
        return found


class Actor:
    """All states that one party was seen in, and the steps between them."""

    def __init__(
        self,
        config: Config,
        clock: StillClock,
        post: Post,
        events: type[Events] = Events,
        weather: Weather = Weather(),  # noqa: B008 - as it ever is
        tables: Sequence[str] = TABLES,
    ) -> None:
        with mock.patch.object(sqlite3, "connect", partial(sqlite3.connect, factory=_Connection)):
            self.node = Node(config, clock, weather, end_s=float(SLOT + SLOT_S), speed=SPEED, events=events)
        self.id = self.node.id
        self._tables = tables
        self.steps_run = 0
        self._flying: tuple[Outgoing, ...] = ()
        self.moments: list[Moment] = []
        self._post = post
        self._known: dict[Hashable, Moment] = {}
        self._books: dict[Book, int] = {}
        self._steps: dict[Hashable, tuple[Moment, Outcome | None]] = {}
        self._cases: set[Hashable] = set()
        self._over: dict[Hashable, Moment] = {}
        self._now: dict[str, Rows] = {}
        self._interned: dict[Rows, Rows] = {}
        self._columns = {table: self._column_names(table) for table in tables}

    def close(self) -> None:
        self.node.database.close()

    # --- steps ---

    def receive(self, moment: Moment, message: Outgoing) -> tuple[Moment, Outcome]:
        """A message arrives; and at once again, to see that this changes nothing and is answered the same."""

        def step() -> Outcome:
            return read_answer(self.node.receive(message.body, message.action))

        after, answer = self._step(moment, ("receive", message), step)
        assert answer is not None
        return after, answer

    def sent(self, moment: Moment, message: Outgoing, outcome: Outcome) -> Moment:
        """The post says how a message was answered."""

        def step() -> None:
            before = self._dump()
            self._flying = tuple(one for one in self._flying if one[:4] != message[:4])
            self.node.move()
            self.node.driver.answered(self.node.member, message, outcome)
            if isinstance(outcome, Acked):
                assert self._dump() == before, (
                    "an ACK that is only in mind has changed something: a crash would undo it"
                )
            self.node.driver.store.tidy()  # whatever comes next takes it out of the outbox

        tags = tuple(outcome.tags.items()) if isinstance(outcome, Acked) else ()
        after, _ = self._step(moment, ("sent", message, type(outcome).__name__, tags), step)
        if isinstance(outcome, Undelivered) and not heard_when_lost(message):
            assert after is self.sent(moment, message, Acked({})), (
                f"to give up a {message.action} is not as if it was taken"
            )
        return after

    def ring(self, moment: Moment, alarm: Alarm) -> Moment:
        """A reminder comes due."""
        return self._step(moment, ("ring", alarm), lambda: self.node.ring(alarm))[0]

    def open_slot(self, moment: Moment) -> Moment:
        """The process looks at the slot that has begun."""
        return self._step(moment, ("open",), self.node.open_slot, opened=True)[0]

    def crash(self, moment: Moment) -> Moment:
        """The process dies between two transactions and comes back."""

        def step() -> None:
            self._flying = ()
            self.node.restart()
            self.node.open_slot()

        return self._step(moment, ("crash",), step, opened=True)[0]

    def restore(self, copy: Moment, partners: Sequence[Moment]) -> Moment:
        """The process has died, comes back with an old copy of its database, and takes over what partners hold signed.

        A crash in between leaves the copy, which asks again.
        """
        kept = tuple(row for one in partners for row in one.tables[EVIDENCE] if row[2] == self.id)
        key = (copy.number, self.node.clock.now, "restore", kept)
        if key not in self._steps:
            self.steps_run += 1
            self._put_back(copy.tables, NOTHING)
            self.node.restart()
            signed = [_signed(row) for row in kept]
            if any(is_news(self.node.party, one) for one in signed):
                self.node.driver.take_over(self.node.member, signed)
            self.node.open_slot()
            self._now = self._dump()
            self._check_memory()
            self._steps[key] = self._moment(self._now, opened=True), None
        return self._steps[key][0]

    def do(self, moment: Moment, name: str, act: Callable[[Node], None]) -> Moment:
        """Something else that happens in a transaction."""

        def step() -> None:
            self.node.move()
            self.node.driver._act(self.node.party, name, lambda: act(self.node))

        return self._step(moment, ("do", name), step)[0]

    def clock_goes_on(self, moment: Moment, forgotten: frozenset[tuple[str, str, str]], *, slot_over: bool) -> Moment:
        """The clock shows its next phase. `forgotten` are received messages that nobody can ever send again."""
        if not moment.opened and not forgotten:
            return moment
        key = (moment.number, forgotten, slot_over)
        found = self._over.get(key)
        if found is None:
            inbox = tuple(row for row in moment.tables["inbox"] if (row[1], row[2], row[3]) not in forgotten)
            tables = {**moment.tables, "inbox": self._interned.setdefault(inbox, inbox)}
            self._put_back(tables, moment.mind)
            found = self._over[key] = self._moment(tables, moment.opened and not slot_over)
        return found

    def first(self) -> Moment:
        """The state the node is in, its slot looked at."""
        self._now = self._dump()
        return self._moment(self._now, opened=True)

    # --- how a step is run ---

    def _step(
        self,
        before: Moment,
        event: tuple[Hashable, ...],
        step: Callable[[], Outcome | None],
        opened: bool | None = None,
    ) -> tuple[Moment, Outcome | None]:
        key = (before.number, self.node.clock.now, event)
        found = self._steps.get(key)
        if found is None:
            self.steps_run += 1
            self._put_back(before.tables, before.mind)
            # What is in the outbox makes no difference to these two.
            case = (event, self.node.clock.now, before.opened, before.tables["contracts"])
            first = case not in self._cases
            self._cases.add(case)
            if first:
                self._fail_once(before, step)
            outcome, transactions = self._counting(step)
            assert transactions <= 1 or event[0] in ("sent", "crash", "open"), (
                "between two transactions a crash leaves half"
            )
            self._now = self._dump()
            self._check_memory()
            after = self._moment(self._now, before.opened if opened is None else opened)
            self._check(before, after)
            if first and event[0] == "receive":
                assert step() == outcome, "a message that comes again is answered otherwise"
                assert self._dump() == self._now, "a message that comes again changes something"
            found = self._steps[key] = after, outcome
        return found

    def _put_back(self, tables: dict[str, Rows], mind: Mind) -> None:
        """Make the node what it was: its journal, then its memory loaded from there, then what was in mind only."""
        with self.node.database.transaction("put back") as connection:
            for table in self._tables:
                if self._now.get(table) is not tables[table] or table == EVIDENCE:  # it goes with its contracts
                    connection.execute(f"DELETE FROM {table}")  # noqa: S608
                    marks = ", ".join("?" * len(self._columns[table]))
                    connection.executemany(f"INSERT INTO {table} VALUES ({marks})", tables[table])  # noqa: S608
        self._now = tables
        self.node.load()
        books = self.node.party.books
        books.purchases.update(mind.purchases)
        books.selections.update({name: dict(offers) for name, offers in mind.selections.items()})
        self._flying = mind.flying
        self.node.posted.clear()
        self.node.armed.clear()
        self.node.armed.update(mind.armed)

    def _mind(self) -> Mind:
        books = self.node.party.books
        light = {one[:4]: one for one in (*self._flying, *self.node.posted) if one.action in LIGHT}
        self._flying = tuple(light.values())
        selections = {name: dict(offers) for name, offers in books.selections.items() if offers}
        return Mind(dict(books.purchases), selections, self._flying, dict(self.node.armed))

    def _check_memory(self) -> None:
        """What is in memory is what the journal has."""
        party = self.node.party
        again = journal.load(self.node.database.connection, party.id, party.now.slot, party.books.standing)
        again.forget(party.now.slot)
        party.books.forget(party.now.slot)
        for one in (party.books, again):
            one.note_first_expiry()
        assert in_journal(party.books) == in_journal(again), "the state in memory is not that of the journal"

    def _fail_once(self, before: Moment, step: Callable[[], object]) -> None:
        """Let the disk refuse the step: nothing of it may remain, on disk or in memory, and nothing be sent."""
        connection: Any = self.node.database.connection

        def refuse() -> None:
            raise sqlite3.OperationalError("database or disk is full")

        connection.commit = refuse
        try:
            step()
        except sqlite3.OperationalError:
            stored = {Outgoing(*row) for row in before.tables["outbox"]}
            assert set(self.node.posted) <= stored, "a message of an undone step is sent"
            assert self._dump() == before.tables, "half a transaction stays"
            self._check_memory()
        else:
            assert self._dump() == before.tables, "something is written outside a transaction"
        finally:
            del connection.commit
        self._put_back(before.tables, before.mind)

    def _counting(self, step: Callable[[], Outcome | None]) -> tuple[Outcome | None, int]:
        """Run a step; how many transactions it took."""
        connection: Any = self.node.database.connection
        commits = 0

        def commit() -> None:
            nonlocal commits
            commits += 1
            type(connection).commit(connection)

        connection.commit = commit
        try:
            outcome = step()
            return outcome, commits
        finally:
            del connection.commit

    def _dump(self) -> dict[str, Rows]:
        connection = self.node.database.connection
        dump = {}
        for table in self._tables:
            rows = tuple(connection.execute(f"SELECT * FROM {table}"))  # noqa: S608
            dump[table] = self._interned.setdefault(rows, rows)
        return dump

    def _moment(self, tables: dict[str, Rows], opened: bool) -> Moment:
        mind = self._mind()
        key = (
            *(frozenset(map(self._essence(table), tables[table])) for table in self._tables),
            self._essentials(mind),
            opened,
        )
        found = self._known.get(key)
        if found is None:
            book = book_of(self.node)
            found = self._known[key] = Moment(
                len(self.moments),
                tables,
                mind,
                opened,
                book.contracts,
                (
                    *(self._post.one(Outgoing(*row)) for row in tables["outbox"]),
                    *(self._post.one(message) for message in mind.flying),
                ),
                book,
                self._books.setdefault(book, len(self._books)),
            )
            self.moments.append(found)
            self._check_promises()
        return found

    def _essence(self, table: str) -> Callable[[Row], Hashable]:
        """What of a row can make a difference to what happens.

        Not when a row was written or how long an answer is kept. Of times to come only the phase in which the clock
        passes them.
        """
        match table:
            case "contracts":
                times = ("created_ms", "updated_ms", "searched_ms", "confirmed_ms")
                dropped = {self._columns[table].index(name) for name in times}
                return lambda row: tuple(value for at, value in enumerate(row) if at not in dropped)
            case "inbox" | "peers":
                return lambda row: row[:-1]
            case "outbox":
                return lambda row: self._post.one(Outgoing(*row))
            case "evidence":
                return lambda row: (*row[1:4], _said(row[5]))
            case _:
                return lambda row: row

    def _column_names(self, table: str) -> list[str]:
        cursor = self.node.database.connection.execute(f"SELECT * FROM {table}")  # noqa: S608
        return [column[0] for column in cursor.description]

    def _essentials(self, mind: Mind) -> Hashable:
        """The same of what is in mind."""
        due = frozenset(
            (alarm, told and bisect_left(self._post.phases_ms, self.node.grid.wall_ms(due_s)))
            for alarm, due_s in mind.armed.items()
            for told in [self._post.reports or alarm.kind is not AlarmKind.REPORT]
        )
        return (
            frozenset(one._replace(searched_ms=0) for one in mind.purchases.values()),
            frozenset((name, frozenset(offers.items())) for name, offers in mind.selections.items()),
            frozenset(self._post.one(message) for message in mind.flying),
            due,
        )

    # --- what must hold of every step and state of one party ---

    def _check(self, before: Moment, after: Moment) -> None:
        assert before.received <= after.received, "the inbox has forgotten a message"
        new = {Outgoing(*row) for row in self._now["outbox"]} - {Outgoing(*row) for row in before.tables["outbox"]}
        assert new <= set(self.node.posted), "something stands in the outbox and is not sent"
        later = {(one.transaction_id, one.counterparty, one.slot): one for one in after.contracts}
        for old in before.contracts:
            check_progress(old, later[old.transaction_id, old.counterparty, old.slot])
        self._check_sun(self._sun_promised(before.tables), self._sun_promised(after.tables))

    def _check_sun(self, before: Mapping[int, int], after: Mapping[int, int]) -> None:
        """What of the sun is promised anew is expected at that moment. Clouds may come later."""
        party = self.node.party
        for slot, promised_wh in after.items():
            if isinstance(party, Household) and promised_wh > before.get(slot, 0):
                pv_wh, load_wh = party._forecast.expected(slot)
                assert promised_wh <= max(0, pv_wh - load_wh), "more sun than is expected"

    def _sun_promised(self, tables: Mapping[str, Rows]) -> Mapping[int, int]:
        """How much of its sun a seller has promised (Wh), by slot."""
        side, state, slot, sun_wh = map(self._columns["contracts"].index, ("side", "state", "slot", "sun_wh"))
        found = Counter[int]()
        for row in tables["contracts"]:
            if row[side] == Side.SELLER and row[state] in PROMISED:
                found[row[slot]] += row[sun_wh]
        return found

    def _check_promises(self) -> None:
        """A seller has what it has promised, and a buyer does not buy more than it needs."""
        party = self.node.party
        if not isinstance(party, Household):
            return
        books = party.books
        promises = [Promise(*promise) for promise in books.promises(Side.SELLER)]
        if promises:
            standing = books.standing
            spare_wh = standing.level_wh - party.battery.min_level_wh
            assert held_wh(party.battery, promises, standing.next_slot) <= spare_wh, "more is promised than there is"
            for slot in {promise.slot for promise in promises}:
                of_slot = [one for one in promises if one.slot == slot]
                given_wh = sum(one.stored_wh for one in of_slot)
                assert given_wh <= party.battery.discharge_limit_wh, "more than the inverter gives"
        for purchase in books.purchases.values():
            bought = books.of_transaction(purchase.transaction_id)
            taken_wh = sum(one.energy_wh for one in bought if one.state not in OVER)
            assert taken_wh <= purchase.need_wh, "more is contracted than needed"


def heard_when_lost(message: Outgoing) -> bool:
    """Whether it makes a difference to a message's sender if it heard an ACK or gave up."""
    return message.action in HEARD_WHEN_LOST or (message.action == "update" and message.recipient == GRID)


def in_journal(books: Books) -> dict[str, object]:
    """What of a party's state must be the same after a restart."""
    names = (
        "standing",
        "totals",
        "contracts",
        "open",
        "failed",
        "readings",
        "unbooked",
        "estimated",
        "roles",
        "reported",
        "held",
        "net_import_wh",
        "first_expiry_ms",
    )
    supplied = {key: sorted(entries) for key, entries in books.supplied.items()}
    return {"supplied": supplied, **{name: getattr(books, name) for name in names}}


def check_progress(old: ContractRow, new: ContractRow) -> None:
    """No state goes backwards, no term changes, an order id stays."""
    fixed = ("side", "item_id", "slot", "energy_wh", "amount_micro", "fee_micro")
    assert all(getattr(old, name) == getattr(new, name) for name in fixed), "the terms of a contract change"
    assert old.order_id in (None, new.order_id), "an order id changes"
    came_from = {State.EXPIRED: (*_WAY[:2], State.EXPIRED), State.CANCELLED: (*_WAY[:3], State.CANCELLED)}
    allowed = came_from.get(State(new.state)) or _WAY[: _WAY.index(State(new.state)) + 1]
    assert old.state in allowed, f"{old.state} becomes {new.state}"
    assert new.in_doubt or not old.in_doubt or new.state != State.AGREED, "a doubt goes without the seller's word"


@cache
def _kept(signed: bytes) -> SignedMessage:
    return read_kept("", 0, signed)


@cache
def _said(signed: bytes) -> str:
    """What was signed, whenever that was."""
    body = json.loads(_kept(signed).body)
    for field in ("timestamp", "ttl", "message_id"):
        del body["context"][field]
    return json.dumps(body)


def _signed(row: Row) -> Signed:
    """What a party has signed, by a row of its partner's evidence; whether the signature is good is not asked."""
    partner, transaction_id, _, action, _, signed = row
    call = received(_kept(signed).body.encode(), action)
    signed_ms = int(call.context.timestamp.timestamp() * 1000)
    return Signed(partner, transaction_id, signed_ms, _CODEC.decode(call))


def _name(message: Outgoing) -> tuple[str, str, str]:
    return message.party, message.message_id, message.action
