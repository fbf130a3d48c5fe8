"""What every party has: an identity, its tables, a voice (outbox), alarms (timers) and a story (log)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from wattmesh_agents.happenings import StoryLine
from wattmesh_agents.store.contracts import ContractTable
from wattmesh_agents.store.database import Database
from wattmesh_agents.store.messages import Inbox, Outbox, Outgoing, Timer, Timers
from wattmesh_agents.store.peers import Peers
from wattmesh_agents.store.readings import MeterTable
from wattmesh_agents.trade.advice import Consultation
from wattmesh_beckn.context import Action, BecknModel, request_context
from wattmesh_beckn.errors import ErrorCode, declined
from wattmesh_beckn.messages import Fulfillment, Price, Stop, StopTime, TimeRange, write_call
from wattmesh_beckn.registry import Subscription
from wattmesh_common.clock import GridClock
from wattmesh_market.energy.slots import SLOT_S, local, slot_of, slot_range, slot_text
from wattmesh_market.ids import derive_uuid

DRIVE_EVERY_MS = 5_000
"""How often at most unfinished business is said again (wall time), however short a slot is."""
MOST_DRIVEN = 50
"""How much of each kind is said again at once; the oldest first, so all get their turn."""
MESSAGE_TTL_S = 30.0
"""How long a message is worth sending (wall time); what still matters then is said anew."""
_MIN_TTL_S = 1.0


@dataclass(frozen=True)
class Surroundings:
    """What the traders of one pod share.

    No slot that starts at or after `end_s` (unix seconds of grid time) is traded. `post` and `arm` take a message or an
    alarm once it is on disk, `happened` a line of somebody's story. `ask` has an adviser asked, outside of any
    transaction; None when there is none.
    """

    database: Database
    grid: GridClock
    end_s: float | None
    domain: str
    currency: str
    gateway_id: str
    post: Callable[[Outgoing], None]
    arm: Callable[[Timer], None]
    missed_gate: Callable[[], None]
    happened: Callable[[StoryLine], None]
    ask: Callable[[Consultation], None] | None = None


class Trader:
    """One party's means. All methods that write belong into a transaction of the pod's database."""

    def __init__(self, around: Surroundings, subscriber_id: str, url: str, feeder: str, log: logging.Logger) -> None:
        self.around = around
        self.id = subscriber_id
        self.url = url
        self.feeder = feeder
        self.currency = around.currency
        self._driven = -1
        self.draining = False
        """Makes no new contracts: the household is about to be taken down."""
        connection = around.database.connection
        self.contracts = ContractTable(connection, subscriber_id)
        self.meter = MeterTable(connection, subscriber_id)
        self.inbox = Inbox(connection, subscriber_id)
        self.peers = Peers(connection)
        self._outbox = Outbox(connection)
        self._timers = Timers(connection)
        self._salt = around.database.salt
        self._log = log

    # --- time ---

    @property
    def now_ms(self) -> int:
        """Wall time in milliseconds."""
        return int(self.around.grid.clock.wall() * 1000)

    @property
    def current_slot(self) -> int:
        """The slot that is being delivered now."""
        return slot_of(self.around.grid.now())

    def gate_open(self, slot: int) -> bool:
        """Whether contracts for a slot may still be made: until it starts."""
        return self.around.grid.now() < slot

    def following_slot(self) -> int | None:
        """The slot that is traded now: the next; None when trading ends before it."""
        slot = self.current_slot + SLOT_S
        return None if self.around.end_s is not None and slot >= self.around.end_s else slot

    def slot_ms(self) -> int:
        """Length of a slot in milliseconds of wall time."""
        return int(1000 * SLOT_S / self.around.grid.speed)

    def gate_ms(self, grid_s: float) -> int:
        """The wall time in milliseconds, rounded down, of a grid time: of a slot, when its gate closes."""
        return int(self.around.grid.wall_at(grid_s) * 1000)

    def wait_ms(self, longest_s: float, part_of_slot: float) -> int:
        """A waiting time in milliseconds of wall time: a part of a slot, but never longer than `longest_s`."""
        return int(1000 * min(longest_s, part_of_slot * SLOT_S / self.around.grid.speed))

    def new_occasion(self) -> int | None:
        """Once per slot, but not more often than every 5 s: a number for this occasion to say things again; else None.

        A machine that has fallen behind the grid must not be kept busy by what it says of it.
        """
        occasion = self.now_ms // max(DRIVE_EVERY_MS, self.slot_ms())
        if occasion == self._driven:
            return None

        def driven() -> None:
            self._driven = occasion

        self.around.database.after_commit(driven)
        return occasion

    def begin(self) -> None:
        """As after a restart: whatever is unfinished is said again at the first slot."""
        self._driven = -1

    def set_timer(self, kind: str, subject: str, due_ms: int) -> None:
        """Ask to be woken."""
        timer = Timer(self.id, kind, subject, due_ms)
        self._timers.put(timer)
        self.around.database.after_commit(lambda: self.around.arm(timer))

    def timer_set(self, kind: str, subject: str) -> bool:
        """Whether such an alarm is set."""
        return self._timers.is_set(self.id, kind, subject)

    def take_timer(self, kind: str, subject: str, due_ms: int) -> bool:
        """Take an alarm off before it rings; False when it is off already."""
        return self._timers.take(Timer(self.id, kind, subject, due_ms))

    # --- messages ---

    def derive_id(self, *parts: object) -> str:
        """An id that comes out the same when a step is run twice."""
        return derive_uuid(self._salt, self.id, *parts)

    def tell(
        self, action: Action, to: str, body: BecknModel, *, transaction_id: str, message_id: str,
        until_ms: int | None = None,
    ) -> None:  # fmt: skip
        """Put a message into the outbox; it is sent when the transaction is on disk. `until_ms` ends its ttl."""
        me, other = (self.id, self.url), (to, self.peers.url_of(to) or "")
        now_ms = self.now_ms
        ttl_s = MESSAGE_TTL_S if until_ms is None else min(MESSAGE_TTL_S, (until_ms - now_ms) / 1000)
        ttl_s = max(_MIN_TTL_S, ttl_s)
        callback = action.startswith("on_")
        context = request_context(
            domain=self.around.domain,
            feeder=self.feeder,
            action=action,
            bap=other if callback else me,
            bpp=None if action == "search" else me if callback else other,
            transaction_id=transaction_id,
            message_id=message_id,
            now=now_ms / 1000,
            ttl_s=ttl_s,
        )
        message = Outgoing(
            self.id, message_id, action, to, transaction_id, write_call(context, body), now_ms + int(ttl_s * 1000)
        )
        if self._outbox.put(message):
            self.around.database.after_commit(lambda: self.around.post(message))

    # --- others ---

    def require_near(self, other: Subscription) -> None:
        """Refuse who is registered on another feeder: energy is traded within one."""
        if other.location.city.code != self.feeder:
            raise declined(ErrorCode.POLICY_ERROR, f"{other.subscriber_id!r} is not on feeder {self.feeder!r}")

    # --- words ---

    def price(self, value_micro: int) -> Price:
        """Money in the street's currency."""
        return Price(currency=self.currency, value_micro=value_micro)

    def slot_text(self, slot: int) -> str:
        """A slot for people, in local time."""
        return slot_text(slot, self.around.grid.utc_offset_s)

    def story(self, text: str, *values: Any, transaction_id: str | None = None, level: int = logging.INFO) -> None:
        """Tell people what happened, once it is on disk."""
        if not self._log.isEnabledFor(level):
            return
        offset = self.around.grid.utc_offset_s
        extra = {
            "grid": f"{local(int(self.around.grid.now()), offset):%m-%d %H:%M}",
            "household": short(self.id),
            "transaction": transaction_id,
        }
        line = StoryLine(self.around.grid.clock.wall(), transaction_id, self.id, text, values)

        def tell() -> None:
            self._log.log(level, text, *values, extra=extra)
            self.around.happened(line)

        self.around.database.after_commit(tell)


def short(subscriber_id: str) -> str:
    """A subscriber's name for people: its id without the namespace."""
    return subscriber_id.partition(".")[0]


def delivery(slot: int, **more: Any) -> Fulfillment:
    """The fulfillment that stands for delivery in a slot."""
    start, end = slot_range(slot)
    stop = Stop(type="start", time=StopTime(range=TimeRange(start=start, end=end)))
    return Fulfillment(id=f"slot-{slot}", type="energy", stops=(stop,), **more)


def ttl_until(expires_ms: int, now_ms: int) -> timedelta:
    """What is left of a quote's time, at least a millisecond."""
    return timedelta(milliseconds=max(1, expires_ms - now_ms))
