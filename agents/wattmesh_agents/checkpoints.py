"""Checkpoints of ledgers: after each day a party signs where its chain stands, and gives that to whom it concerns.

Who was booked with since the last one gets it, and the household's utility: each keeps it, so that a chain that is made
anew does not go unseen. It is due until it is acknowledged, also after a restart.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from wattmesh_agents.closing import Post
from wattmesh_agents.ledgers import Ledgers
from wattmesh_agents.store.chain import Due, SignedCheckpoint
from wattmesh_beckn.answers import ack
from wattmesh_beckn.client import Acked, Nacked
from wattmesh_beckn.errors import ErrorCode, busy, declined, invalid, require
from wattmesh_beckn.receiver import proven, read_as, unauthorized
from wattmesh_beckn.registry import Directory
from wattmesh_beckn.signature import AUTHORIZATION, Signer
from wattmesh_beckn.transport import Reply
from wattmesh_common.chain import Checkpoint
from wattmesh_common.clock import Clock
from wattmesh_common.limits import RateLimit
from wattmesh_market.energy.slots import DAY_S
from wattmesh_market.parties.party import CLOCK_TOLERANCE_S, Party
from wattmesh_market.parties.supplied import Supplied
from wattmesh_market.trade.refusal import Refused

log = logging.getLogger(__name__)

TTL_S = 10.0
"""How long one try to give it goes on; the next is in the next slot."""
CHECKPOINTS_PER_S, CHECKPOINTS_AT_ONCE = 1.0, 20
"""What one subscriber may send of them to one party."""
OLDEST_S = 8 * DAY_S
"""How long after its day a checkpoint is taken (grid time)."""
_BEHIND_S = 2


class Checkpoints:
    """The checkpoints that the parties of a pod make, and those that they are given."""

    def __init__(
        self,
        ledgers: Ledgers,
        send: Post,
        directory: Directory,
        domain: str,
        clock: Clock,
        signers: Mapping[str, Signer],
        spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]],
    ) -> None:
        self._ledgers = ledgers
        self._send = send
        self._directory = directory
        self._domain = domain
        self._clock = clock
        self._signers = signers
        self._spawn = spawn
        self._under_way: set[Due] = set()
        self._limit = RateLimit(per_s=CHECKPOINTS_PER_S, burst=CHECKPOINTS_AT_ONCE)

    def begin(self) -> None:
        """As in a new process: nothing is under way."""
        self._under_way.clear()

    def look(self, party: Party) -> None:
        """In each slot: sign after a day has ended, and give what is due; sqlite3.OperationalError."""
        now = party.now.slot
        until = now - (now + party.grid.utc_offset_s) % DAY_S
        if until > party.books.standing.first_slot:
            besides = [party.config.backstop.utility_id] if isinstance(party, Supplied) else []
            self._ledgers.take_checkpoint(party.id, until, besides, lambda body: self._signed(party, body))
        for due, body in self._ledgers.checkpoints_due.items():
            if due.party == party.id and due not in self._under_way:
                self._under_way.add(due)
                self._spawn(self._give(due, body))

    async def receive(self, party: Party, body: bytes, headers: Mapping[str, str]) -> Reply:
        """Keep the checkpoint of another party.

        Raises Refusal with what is wrong, or sqlite3.OperationalError when the disk refuses.
        """
        # A utility sells, and a household that sells nothing buys.
        raw, sender = await proven(body, headers, ("BPP", "BAP"), self._domain, self._directory, self._clock, party.id)
        require(self._limit, f"{sender.subscriber_id} to {party.id}", self._clock.wall())
        checkpoint = read_as(Checkpoint, raw)
        if checkpoint.party != sender.subscriber_id:
            raise unauthorized(f"signed by {sender.subscriber_id!r} but party is {checkpoint.party!r}", party.id)
        if checkpoint.until > party.now.grid_s + CLOCK_TOLERANCE_S * party.grid.speed:
            raise busy("that day has not ended here", _BEHIND_S)
        if checkpoint.until < party.now.grid_s - OLDEST_S or (checkpoint.until + party.grid.utc_offset_s) % DAY_S:
            raise invalid("until is not the end of a day, or one of long ago", "until")
        signed = SignedCheckpoint(checkpoint, body.decode(), headers[AUTHORIZATION], sender.signing_public_key)
        try:
            near = sender.location.city.code == party.feeder
            self._ledgers.keep_checkpoint(party, signed, near=near)
        except Refused as refused:
            log.warning("%s keeps no checkpoint of %s: %s", party.name, sender.subscriber_id, refused.text)
            raise declined(ErrorCode.POLICY_ERROR, refused.text) from None
        return ack()

    def _signed(self, party: Party, body: bytes) -> tuple[str, str]:
        signer = self._signers[party.id]
        return signer.sign_until(body, self._clock.wall() + TTL_S, self._clock), signer.public_key

    async def _give(self, due: Due, body: bytes) -> None:
        try:
            outcome = await self._send(due.party, due.recipient, body, self._clock.wall() + TTL_S)
            if isinstance(outcome, Nacked):
                log.warning("%s keeps no checkpoint of %s: %s", due.recipient, due.party, outcome.message)
            if isinstance(outcome, Acked | Nacked):
                self._ledgers.given(due)
        except sqlite3.OperationalError as error:
            log.warning("%s: that its checkpoint was given is not on disk yet: %s", due.party, error)
        finally:
            self._under_way.discard(due)
