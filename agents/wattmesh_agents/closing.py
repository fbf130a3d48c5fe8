"""Closing accounts: a party that drains and has settled everything says so, signed, to all it has booked with.

From then on it rests: no slot is opened and nothing is answered until it is taken down, or called back. What others say
when they leave is kept with the ledger.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any

from wattmesh_agents.driver import Driver
from wattmesh_agents.store.accounts import Signed
from wattmesh_beckn.answers import ack
from wattmesh_beckn.client import Nacked, Outcome, Undelivered
from wattmesh_beckn.errors import ErrorCode, declined, invalid, require
from wattmesh_beckn.receiver import proven, read_as, unauthorized
from wattmesh_beckn.registry import Directory
from wattmesh_beckn.signature import AUTHORIZATION
from wattmesh_beckn.transport import Reply
from wattmesh_common.clock import Clock
from wattmesh_common.closing import ClosingRecord
from wattmesh_common.limits import RateLimit
from wattmesh_market.parties.books import Alarm, AlarmKind
from wattmesh_market.parties.party import Party
from wattmesh_market.trade.ledger import ReadingState

log = logging.getLogger(__name__)

TTL_S = 10.0
"""How long one try to tell a partner goes on; whoever asks for the drain asks again."""
RECORDS_PER_S, RECORDS_AT_ONCE = 1.0, 20
"""What one subscriber may send of them."""


Post = Callable[[str, str, bytes, float], Awaitable[Outcome | None]]
"""Sends what a party has to say to a counterparty until unix seconds; None when that one has left. See `Sender`."""


@dataclass
class _Closing:
    """An account that is being closed: what has still to be told, by counterparty, and whether that is under way."""

    untold: dict[str, ClosingRecord]
    telling: asyncio.Task[None] | None = None


class Closings:
    """The accounts that the parties of a pod close, and those that others close with them."""

    def __init__(
        self,
        driver: Driver,
        send: Post,
        directory: Directory,
        domain: str,
        clock: Clock,
        spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]],
    ) -> None:
        self._driver = driver
        self._send = send
        self._directory = directory
        self._domain = domain
        self._clock = clock
        self._spawn = spawn
        self._closing: dict[str, _Closing] = {}
        self._limit = RateLimit(per_s=RECORDS_PER_S, burst=RECORDS_AT_ONCE)

    def begin(self) -> None:
        """As in a new process: all accounts are open."""
        self._closing.clear()

    def forget(self, party: str) -> None:
        """A party that has left is forgotten: who comes under its name is another one."""
        self._closing.pop(party, None)

    def rests(self, party: Party) -> bool:
        """Whether a party's account is closed, so that no event may reach it."""
        return party.id in self._closing

    def drain(self, party: Party, *, draining: bool) -> bool:
        """Drain, or go on trading; whether the account is closed and all who can be reached know it.

        To be called again until it is: each call does what can be done now. sqlite3.OperationalError when the disk
        refuses.
        """
        party.drain(draining)
        if not draining:
            if self._closing.pop(party.id, None) is not None:
                log.info("%s: its account is open again", party.name)
            return False
        closing = self._closing.get(party.id)
        if closing is None:
            if party.is_ahead or not self._has_settled(party):
                return False
            closing = self._closing[party.id] = _Closing(self._records(party))
            log.info("%s: its account is closed; %d partners are told", party.name, len(closing.untold))
        if closing.untold and (closing.telling is None or closing.telling.done()):
            closing.telling = self._spawn(self._tell(party, closing))
        return not closing.untold

    async def receive(self, party: Party, body: bytes, headers: Mapping[str, str]) -> Reply:
        """Keep the closing record of another party.

        Raises Refusal with what is wrong, or sqlite3.OperationalError when the disk refuses.
        """
        # Those who close accounts are households, and all of them buy.
        raw, sender = await proven(body, headers, ("BAP",), self._domain, self._directory, self._clock, party.id)
        require(self._limit, sender.subscriber_id, self._clock.wall())
        record = read_as(ClosingRecord, raw)
        if record.party != sender.subscriber_id:
            raise unauthorized(f"signed by {sender.subscriber_id!r} but party is {record.party!r}", party.id)
        if record.counterparty != party.id:
            raise invalid(f"counterparty is {record.counterparty!r} but this is {party.id!r}", "counterparty")
        signed = Signed(record, body.decode(), headers[AUTHORIZATION], sender.signing_public_key)
        if not self._driver.ledgers.keep_closing(signed):
            raise declined(ErrorCode.POLICY_ERROR, "nothing is booked with you here, or too many accounts of yours")
        log.info("%s: %s has closed its account, with %d entries", party.name, record.party, record.entries)
        return ack()

    def _has_settled(self, party: Party) -> bool:
        """Whether nothing is open, unpriced or to be said.

        Readings that wait only for their moment, and not for the closing of their slot, are reported at once.
        """
        for slot in [*party.books.unbooked]:
            if not party.shares and party.books.readings[slot].state is ReadingState.FINAL:
                self._driver.ring(self._driver.members[party.id], Alarm(AlarmKind.REPORT, slot))
        return (
            party.settled()
            and not party.left_unpriced()
            and not party.open_contracts()
            and not any(message.party == party.id for message in self._driver.store.unsent)
        )

    def _records(self, party: Party) -> dict[str, ClosingRecord]:
        account, until = self._driver.ledgers.accounts[party.id], party.books.standing.next_slot
        return {
            total.counterparty: ClosingRecord(party=party.id, account=account, until=until, **total._asdict())
            for total in self._driver.ledgers.totals(party.id)
        }

    async def _tell(self, party: Party, closing: _Closing) -> None:
        expires = self._clock.wall() + TTL_S

        async def tell(counterparty: str, record: ClosingRecord) -> None:
            body = record.model_dump_json().encode()
            outcome = await self._send(party.id, counterparty, body, expires)
            if isinstance(outcome, Undelivered):
                text = "%s: %s does not know yet that its account is closed: %s"
                log.warning(text, party.name, counterparty, outcome.reason)
                return
            if isinstance(outcome, Nacked):
                log.warning("%s: %s keeps no closing record: %s", party.name, counterparty, outcome.message)
            closing.untold.pop(counterparty, None)

        await asyncio.gather(*(tell(*one) for one in [*closing.untold.items()]))
