"""Receiving a pod's messages: proven calls go to their party; what stands beside Beckn is answered here."""

from __future__ import annotations

import logging
import sqlite3
import uuid
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import NamedTuple

from pydantic import BaseModel

from wattmesh_agents.checkpoints import Checkpoints
from wattmesh_agents.closing import Closings
from wattmesh_agents.driver import KEEP_AFTER_EXPIRY_MS, Driver
from wattmesh_agents.metrics import PodMetrics
from wattmesh_agents.registrar import asked_by_registrar, drain_reply
from wattmesh_agents.restoring import Restoration
from wattmesh_agents.store.mail import Answered
from wattmesh_beckn.answers import json_reply, nack
from wattmesh_beckn.codec.v2.messages import DISCOVER, ON_DISCOVER, ON_PUBLISH
from wattmesh_beckn.context import CALLBACKS, REQUESTS
from wattmesh_beckn.errors import ErrorCode, Refusal, busy, declined, require
from wattmesh_beckn.evidence import EVIDENCE, EvidenceCall
from wattmesh_beckn.receiver import Asked, FirstAnswer, Received, Receiver
from wattmesh_beckn.registry import Directory
from wattmesh_beckn.signature import Signer
from wattmesh_beckn.transport import Reply
from wattmesh_common.chain import CHECKPOINT, Checkpoint
from wattmesh_common.clock import Clock
from wattmesh_common.closing import CLOSE, ClosingRecord
from wattmesh_common.decide import CORRECT, DECIDE, Billed, CorrectCall, DecideAnswer, DecideCall
from wattmesh_common.drain import DRAIN, DrainCall
from wattmesh_common.fields import Protocols, ProtocolVersion
from wattmesh_common.forget import FORGET, ForgetAnswer, ForgetCall
from wattmesh_common.limits import TOLD_AT_ONCE, TOLD_PER_S, RateLimit
from wattmesh_common.runtime import REGISTRAR, RuntimeConfig
from wattmesh_market.energy.slots import SLOT_S
from wattmesh_market.parties.events import Events
from wattmesh_market.parties.party import Party
from wattmesh_market.trade.refusal import Refused

log = logging.getLogger(__name__)

_ACTIONS: Mapping[ProtocolVersion, frozenset[str]] = {
    "v1": frozenset((*REQUESTS, *CALLBACKS)),
    "v2": frozenset((*REQUESTS, *CALLBACKS, DISCOVER, ON_DISCOVER, ON_PUBLISH)) - {"search", "on_search"},
}
_BUSY_S = 2
"""When a caller may try again that the disk kept from being answered."""
MESSAGES_PER_SLOT = 100
"""What one subscriber may say to one party here. A contract takes each side about ten messages; a household has one or
two contracts per slot with the same party, and a reading."""
LEAST_MESSAGES_PER_S = 20.0
"""At slow grid speeds, where trading and telling again go by wall time."""
MESSAGES_AT_ONCE = 500
"""After an outage, when what is unfinished is said again: 50 of each kind, with what follows."""


class Reception:
    """Answers `POST /<party>/<action>`. `handle` acts on a proven call of a party."""

    def __init__(
        self,
        config: RuntimeConfig,
        driver: Driver,
        directory: Directory,
        clock: Clock,
        metrics: PodMetrics,
        closings: Closings,
        checkpoints: Checkpoints,
        restoration: Restoration,
        handle: Callable[[Events, Received], Reply],
        signers: Mapping[str, Signer],
        asked: Callable[[str, str, str], Asked | None],
        forgotten: Callable[[str], None],
    ) -> None:
        """`forgotten` has the pod let go of what else it remembers, once a household was forgotten."""
        self._forgotten = forgotten
        self._config = config
        self._driver = driver
        self._directory = directory
        self._clock = clock
        self._metrics = metrics
        self._closings = closings
        self._checkpoints = checkpoints
        self._restoration = restoration
        self._handle = handle
        self._signers = signers
        self._asked = asked
        self._told = RateLimit(per_s=TOLD_PER_S, burst=TOLD_AT_ONCE)
        self._members = {member.party.name: member for member in driver.members.values()}
        self._receivers = {name: self._receiver(member) for name, member in self._members.items()}

    def join(self, member: Events) -> None:
        """A party is here from now on."""
        self._members[member.party.name] = member
        self._receivers[member.party.name] = self._receiver(member)

    def leave(self, name: str) -> None:
        """A party is not here any more."""
        del self._members[name], self._receivers[name]

    async def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        """Answer a call."""
        name, _, action = path.lstrip("/").partition("/")
        receiver = self._receivers.get(name)
        if receiver is None:
            message = f"no household {name[:63]!r} here; there are {', '.join(sorted(self._members))}"
            return nack(Refusal(404, ErrorCode.INVALID_REQUEST, message))
        try:
            if (beside := BESIDE_BECKN.get(action)) is not None:
                return await beside.answer(self, self._members[name], body, headers)
            reply = await receiver.receive(action, body, headers)
        except Refusal as refusal:
            return nack(refusal)
        except sqlite3.OperationalError as error:
            return nack(_unusable(error))
        if reply.status == 429:
            self._metrics.limited.labels(action).inc()
            if not self._told.wait_s("", self._clock.wall()):
                log.warning("refused %s: %s", action, reply.body.decode())
        return reply

    def _receiver(self, member: Events) -> Receiver:
        party = member.party
        return Receiver(
            subscriber_id=party.id,
            domain=self._config.domain,
            actions=actions_of(self._config.protocols),
            directory=self._directory,
            inbox=_PartyInbox(self._driver, party.id),
            clock=self._clock,
            handler=partial(self._act_on, member),
            gateway_id=self._config.gateway.subscriber_id,
            limit=partial(
                self._admit, RateLimit(per_s=messages_per_s(self._config.clock.speed), burst=MESSAGES_AT_ONCE)
            ),
            protocols=self._config.protocols,
            signer=lambda: self._signers[party.id],
            asked=partial(self._asked, party.id),
        )

    async def _admit(self, limit: RateLimit, sender: str) -> None:
        require(limit, sender, self._clock.wall())

    async def _act_on(self, member: Events, received: Received) -> Reply:
        try:
            return self._handle(member, received)
        except sqlite3.OperationalError as error:
            raise _unusable(error) from None

    async def close_account(self, member: Events, body: bytes, headers: Mapping[str, str]) -> Reply:
        """Take the closing record of a party that leaves."""
        return await self._closings.receive(member.party, body, headers)

    async def take_checkpoint(self, member: Events, body: bytes, headers: Mapping[str, str]) -> Reply:
        """Take another party's checkpoint."""
        return await self._checkpoints.receive(member.party, body, headers)

    async def give_evidence(self, member: Events, body: bytes, headers: Mapping[str, str]) -> Reply:
        """Give another party what it has signed."""
        return await self._restoration.receive(member.party, body, headers)

    async def drain(self, member: Events, body: bytes, headers: Mapping[str, str]) -> Reply:
        """Have a party make no new contracts and close its account, or trade again."""
        party = member.party
        keys = self._config.registrar_keys
        call, header = asked_by_registrar(DrainCall, body, headers, keys, party.id, self._clock)
        if (first := self._driver.store.inbox.first_answer(party.id, REGISTRAR, call.message_id, DRAIN)) is not None:
            return first.reply
        closed = self._closings.drain(party, draining=call.draining)
        reply = drain_reply(
            draining=call.draining,
            open_contracts=len(party.open_contracts()),
            unpriced_readings=party.left_unpriced(),
            closed=closed,
        )
        until_ms = header.expires * 1000 + KEEP_AFTER_EXPIRY_MS
        self._driver.store.remember(
            "drain", Answered(party.id, REGISTRAR, call.message_id, DRAIN, reply, until_ms, None)
        )
        return reply

    async def decide(self, member: Events, body: bytes, headers: Mapping[str, str]) -> Reply:
        """Decide about held readings. Asked again, it has no further effect, so no answer is remembered."""
        keys = self._config.registrar_keys
        call, _ = asked_by_registrar(DecideCall, body, headers, keys, member.party.id, self._clock)
        self._require_bills(member.party)
        try:
            accept = call.decision == "accept"
            found = self._driver.decide_held(member, call.household, call.slots, accept=accept)
        except Refused as refused:
            raise declined(ErrorCode.BUSINESS_ERROR, refused.text, "slots") from None
        billed = tuple(Billed(slot=one.slot, net_wh=one.net_wh) for one in found)
        return json_reply(200, DecideAnswer(billed=billed))

    async def correct(self, member: Events, body: bytes, headers: Mapping[str, str]) -> Reply:
        """Correct a reading. Asked again, it has no further effect, so no answer is remembered."""
        keys = self._config.registrar_keys
        call, _ = asked_by_registrar(CorrectCall, body, headers, keys, member.party.id, self._clock)
        self._require_bills(member.party)
        try:
            self._driver.correct(member, call.household, call.slot, call.net_wh)
        except Refused as refused:
            raise declined(ErrorCode.BUSINESS_ERROR, refused.text, "slot") from None
        return json_reply(200, DecideAnswer(billed=(Billed(slot=call.slot, net_wh=call.net_wh),)))

    async def forget(self, member: Events, body: bytes, headers: Mapping[str, str]) -> Reply:
        """Forget a household that has left. Asked again, it has no further effect, so no answer is remembered."""
        keys = self._config.registrar_keys
        call, _ = asked_by_registrar(ForgetCall, body, headers, keys, member.party.id, self._clock)
        try:
            if call.only_count:
                rows = self._driver.deletions.left_behind(call.household, lost=call.lost)
                return json_reply(200, ForgetAnswer(rows=tuple(rows), wiped=False))
            salt = uuid.UUID(call.message_id).bytes
            rows = self._driver.deletions.forget_household(call.household, salt, lost=call.lost)
        except Refused as refused:
            raise declined(ErrorCode.BUSINESS_ERROR, refused.text, "household") from None
        self._forgotten(call.household)
        return json_reply(200, ForgetAnswer(rows=tuple(rows), wiped=self._driver.store.wipe()))

    def _require_bills(self, party: Party) -> None:
        if party.is_ahead or self._closings.rests(party):
            raise busy("it takes no decisions now: grid time is behind its books, or its account is closed", _BUSY_S)


class Beside(NamedTuple):
    """A call beside Beckn's: what it is for, its body, and who answers it. Raises Refusal, sqlite3.OperationalError."""

    summary: str
    body: type[BaseModel]
    answer: Callable[[Reception, Events, bytes, Mapping[str, str]], Awaitable[Reply]]


BESIDE_BECKN: Mapping[str, Beside] = {
    DRAIN: Beside("Make no new contracts (signed by the registrar)", DrainCall, Reception.drain),
    DECIDE: Beside(
        "Accept held readings, or have them estimated (signed by the registrar)", DecideCall, Reception.decide
    ),
    CORRECT: Beside(
        "Say what a held or estimated reading should have been (signed by the registrar)",
        CorrectCall,
        Reception.correct,
    ),
    FORGET: Beside(
        "Let go of what this pod keeps of a household that has left (signed by the registrar)",
        ForgetCall,
        Reception.forget,
    ),
    CLOSE: Beside(
        "How the account of a party that leaves stands (signed by that party)", ClosingRecord, Reception.close_account
    ),
    CHECKPOINT: Beside(
        "Where the chain of a party's ledger stood after a day (signed by that party)",
        Checkpoint,
        Reception.take_checkpoint,
    ),
    EVIDENCE: Beside(
        "What a party has signed and this one keeps (signed by that party)", EvidenceCall, Reception.give_evidence
    ),
}
"""By the last part of the path. The HTTP side routes these and no others."""


class _PartyInbox:
    """One party's part of the inbox."""

    def __init__(self, driver: Driver, party: str) -> None:
        self._driver = driver
        self._party = party

    async def first_answer(self, sender: str, message_id: str, action: str) -> FirstAnswer | None:
        """See Inbox."""
        return self._driver.store.inbox.first_answer(self._party, sender, message_id, action)


def actions_of(protocols: Protocols) -> frozenset[str]:
    """Beckn's calls that parties answer, by the names that they have in these versions."""
    return frozenset[str]().union(*(_ACTIONS[version] for version in protocols))


def _unusable(error: sqlite3.OperationalError) -> Refusal:
    return busy(f"the database cannot be used now: {error}", _BUSY_S)


def messages_per_s(speed: float) -> float:
    """How many messages a second (wall time) one subscriber may send to one party on a grid of that speed."""
    return max(LEAST_MESSAGES_PER_S, MESSAGES_PER_SLOT * speed / SLOT_S)
