"""Books that may have been put back: a party asks its partners for what it has signed, before any event reaches it.

`evidence` is no Beckn action: `status` asks a seller about one order, and who has lost its books knows no orders, and
may be the seller. What is handed out is the asker's own word, with its signature. The asker believes it when its own
key, by its own entry in the registry, has made that signature in its dealings with that partner; all else is left.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from pydantic import ValidationError

from wattmesh_agents.driver import Driver
from wattmesh_agents.store.accounts import closed_until
from wattmesh_agents.store.evidence import last_received_ms, signed_by
from wattmesh_beckn.answers import json_reply
from wattmesh_beckn.codec.port import Codec
from wattmesh_beckn.errors import Refusal, invalid, require
from wattmesh_beckn.evidence import EVIDENCE, EvidenceAnswer, EvidenceCall, SignedMessage, read_signed
from wattmesh_beckn.receiver import proven, read_as, unauthorized
from wattmesh_beckn.registry import Directory, RegistryUnavailable, Subscription, lookup
from wattmesh_beckn.signature import AUTHORIZATION, SignatureProblem, Signer, parse_header
from wattmesh_beckn.transport import Reply, Transport, TransportError
from wattmesh_common.clock import Clock
from wattmesh_common.fields import ProtocolVersion
from wattmesh_common.limits import RateLimit
from wattmesh_common.runtime import RuntimeConfig
from wattmesh_market.parties.events import Events
from wattmesh_market.parties.household import Household
from wattmesh_market.parties.party import Party
from wattmesh_market.parties.restoring import Signed, is_news, parts_of, slots_of

log = logging.getLogger(__name__)

WITHIN_S = 10.0
"""How long a party that starts waits for its partners (wall time); whom it has not heard it asks when they speak."""
_EARLIER_MS = 3_600_000
"""How much older than the books what is asked for may be (wall time): clocks differ."""
_TRY_S, _AGAIN_S = 2.0, 1.0
_LATER_TRIES = 100
_PAGE, _MOST_PAGES = 100, 1_000
_CALLS_PER_S, _CALLS_AT_ONCE = 10.0, 100
"""What one subscriber may ask for."""


class Restoration:
    """Asks partners for what the parties of a pod have signed, and tells others what they have signed.

    `codecs` read what was signed in any version, whatever is spoken now.
    """

    def __init__(
        self,
        config: RuntimeConfig,
        driver: Driver,
        signers: Mapping[str, Signer],
        directory: Directory,
        transport: Transport,
        codecs: Mapping[ProtocolVersion, Codec],
        clock: Clock,
        spawn: Callable[[Coroutine[Any, Any, None]], object],
    ) -> None:
        self._config = config
        self._driver = driver
        self._signers = signers
        self._directory = directory
        self._transport = transport
        self._codecs = codecs
        self._clock = clock
        self._spawn = spawn
        self._limit = RateLimit(per_s=_CALLS_PER_S, burst=_CALLS_AT_ONCE)
        self.begin()

    def begin(self) -> None:
        """As in a new process: nobody was asked."""
        self._old: set[str] = set()
        self._since: dict[str, int] = {}
        self._under_way: set[tuple[str, str]] = set()
        self._asked: dict[tuple[str, str], float] = {}

    # --- telling others ---

    async def receive(self, party: Party, body: bytes, headers: Mapping[str, str]) -> Reply:
        """Tell another party what it has signed here. Raises Refusal with what is wrong."""
        raw, sender = await proven(
            body, headers, ("BAP", "BPP"), self._config.domain, self._directory, self._clock, party.id
        )
        require(self._limit, sender.subscriber_id, self._clock.wall())
        call = read_as(EvidenceCall, raw)
        if call.party != sender.subscriber_id:
            raise unauthorized(f"signed by {sender.subscriber_id!r} but party is {call.party!r}", party.id)
        if call.counterparty != party.id:
            raise invalid(f"counterparty is {call.counterparty!r} but this is {party.id!r}", "counterparty")
        connection = self._driver.store.connection
        found, after = signed_by(connection, party.id, call.party, call.since_ms, call.after, _PAGE)
        closed = closed_until(connection, party.id, call.party)
        return json_reply(200, EvidenceAnswer(messages=tuple(found), after=after, closed_until=closed))

    # --- asking ---

    def suspect(self, party: Party, *, is_new: bool) -> None:
        """A party starts: unless its books are new, they may be older than they should be."""
        if not is_new:
            self._old.add(party.id)
            self._since[party.id] = self._end_ms(party)

    async def restore(self, member: Events, *, is_new: bool) -> None:
        """Bring a party's books up to date that may have been put back, or are new though the party is not."""
        party, until = member.party, self._clock.wall() + WITHIN_S
        if is_new and not await self._was_here(party, until):
            return
        self._old.add(party.id)
        partners = self._partners(party)
        signed, silent = await self._ask_all(party, partners, until)
        if is_new or self._any_news(party, signed):
            more, unheard = await self._ask_all(party, await self._others(party, {*partners, party.id}, until), until)
            signed, silent = [*signed, *more], [*silent, *unheard]
        if signed and (is_new or self._any_news(party, signed)):
            self._driver.take_over(member, signed)
            if silent:
                log.warning("%s: not heard while its books were restored: %s", party.name, ", ".join(silent))
                self._spawn(self._ask_later(member, silent))

    def asks(self, member: Events, partner: str, *, again: bool) -> bool:
        """Ask a partner that speaks of what a party does not know; whether its answer is waited for.

        Each is asked once, if the party's books may be old; or `again` after a while.
        """
        party, key = member.party, (member.party.id, partner)
        asked = self._asked.get(key)
        if key in self._under_way:
            return True
        if again:
            wait = asked is not None and self._clock.wall() < asked + max(_TRY_S, party.slot_ms() / 1000)
        else:
            wait = asked is not None or party.id not in self._old
        if wait:
            return False
        self._under_way.add(key)
        self._spawn(self._ask_again(member, partner))
        return True

    async def _ask_later(self, member: Events, silent: Sequence[str]) -> None:
        """Ask those that were not heard once a slot: what they hold is taken over where it still can be, else told."""
        party = member.party
        for _ in range(_LATER_TRIES):
            await self._clock.sleep(max(WITHIN_S, party.slot_ms() / 1000))
            if self._driver.members.get(party.id) is not member:
                return
            signed, still_silent = await self._ask_all(party, silent, self._clock.wall())
            if self._took(member, signed):
                silent = still_silent
            if not silent:
                return

    async def _ask_again(self, member: Events, partner: str) -> None:
        try:
            signed, _ = await self._ask_all(member.party, [partner], self._clock.wall() + WITHIN_S)
            if not self._took(member, signed):
                del self._asked[member.party.id, partner]
        finally:
            self._under_way.discard((member.party.id, partner))

    def _took(self, member: Events, signed: Sequence[Signed]) -> bool:
        """Take over what there is; False when the disk refuses, so that it is to be asked for again."""
        try:
            if signed:
                self._driver.take_over(member, signed)
        except sqlite3.OperationalError as error:
            log.error("%s: the database cannot be written: %s", member.party.name, error)
            return False
        return True

    @staticmethod
    def _any_news(party: Party, signed: Iterable[Signed]) -> bool:
        return any(is_news(party, one) for one in signed)

    async def _was_here(self, party: Party, until: float) -> bool:
        """Whether the registry knows a party for longer than a slot."""
        entries = await self._registered(lambda: self._directory.find(party.id), until) or ()
        before_s = self._clock.machine() - party.slot_ms() / 1000
        return any(one.created is not None and one.created.timestamp() < before_s for one in entries)

    def _partners(self, party: Party) -> list[str]:
        """Whom a party's books know: its utility, and with whom it has or had contracts or readings."""
        books = party.books
        found = {one.counterparty for one in books.contracts.values()}
        found.update(household for of_slot in books.reported.values() for household in of_slot)
        if isinstance(party, Household):
            found.add(party.config.backstop.utility_id)
        return sorted(found)

    async def _others(self, party: Party, known: set[str], until: float) -> list[str]:
        """Who else is registered on the party's feeder."""
        found = set[str]()
        url = f"{self._config.gateway.url.rstrip('/')}/lookup"
        for role in ("BAP", "BPP"):
            look = partial(lookup, url, self._transport, type=role, domain=self._config.domain)
            entries = await self._registered(look, until) or ()
            found.update(one.subscriber_id for one in entries if one.location.city.code == party.feeder)
        return sorted(found - known)

    async def _ask_all(self, party: Party, partners: Iterable[str], until: float) -> tuple[list[Signed], list[str]]:
        """What partners hold that the party has signed, and who did not answer until then."""
        since_ms = self._since.setdefault(party.id, self._end_ms(party))
        partners = [*partners]
        keys = await self._own_keys(party, until)
        if keys is None:
            return [], partners
        answers = await asyncio.gather(*(self._ask(party, one, since_ms, until) for one in partners))
        signed: list[Signed] = []
        silent = []
        for partner, answer in zip(partners, answers, strict=True):
            if answer is None:
                silent.append(partner)
                continue
            self._asked[party.id, partner] = self._clock.wall()
            if answer.messages:
                signed += self._checked(party, partner, answer, keys)
        return signed, silent

    def _end_ms(self, party: Party) -> int:
        """Until when a party's books were kept (wall time), with some tolerance; 0 where they begin.

        By what they were told, as slots of a street that has stood still have other dates now.
        """
        return max(0, last_received_ms(self._driver.store.connection, party.id) - _EARLIER_MS)

    async def _ask(self, party: Party, partner: str, since_ms: int, until: float) -> EvidenceAnswer | None:
        """What a partner holds; None when it does not answer until then, or is not registered."""
        found: list[SignedMessage] = []
        after: int | None = 0
        closed = 0
        for _ in range(_MOST_PAGES):
            if after is None:
                break
            call = EvidenceCall(party=party.id, counterparty=partner, since_ms=since_ms, after=after)
            answer = await self._page(party, partner, call.model_dump_json().encode(), until)
            if answer is None:
                return None
            found += answer.messages
            after, closed = answer.after, answer.closed_until
        return EvidenceAnswer(messages=tuple(found), closed_until=closed)

    async def _page(self, party: Party, partner: str, body: bytes, until: float) -> EvidenceAnswer | None:
        while True:
            why = "it is not registered"
            try:
                if (url := await self._url(partner)) is not None:
                    signature = self._signers[party.id].sign_until(body, self._clock.wall() + _TRY_S, self._clock)
                    headers = {"content-type": "application/json", AUTHORIZATION: signature}
                    reply = await self._transport.post(f"{url}/{EVIDENCE}", body, headers, timeout_s=_TRY_S)
                    if reply.status == 200:
                        return EvidenceAnswer.model_validate_json(reply.body)
                    why = f"HTTP {reply.status}: {reply.body[:200].decode(errors='replace')}"
                    if reply.status in (400, 404):
                        until = 0.0  # it does not know the question
            except (TransportError, RegistryUnavailable, ValidationError) as error:
                why = str(error)
            if self._clock.wall() + _AGAIN_S >= until:
                log.info("%s: %s does not say what it holds: %s", party.name, partner, why)
                return None
            await self._clock.sleep(_AGAIN_S)

    async def _url(self, partner: str) -> str | None:
        for entry in await self._directory.find(partner):
            if entry.is_live(self._clock.machine()):
                self._driver.store.peers.meet(entry, int(self._clock.wall() * 1000))
                return entry.url
        return None

    async def _own_keys(self, party: Party, until: float) -> Mapping[str, Subscription] | None:
        """A party's keys by their ids, as the registry has or had them; None when it does not answer until then."""
        entries = await self._registered(lambda: self._directory.find(party.id), until)
        return None if entries is None else {one.key_id: one for one in entries}

    async def _registered(
        self, look: Callable[[], Awaitable[Sequence[Subscription]]], until: float
    ) -> Sequence[Subscription] | None:
        """What the registry says; None when it does not answer until then."""
        while True:
            try:
                return await look()
            except RegistryUnavailable as error:
                if self._clock.wall() + _AGAIN_S >= until:
                    log.warning("the registry does not answer: %s", error)
                    return None
            await self._clock.sleep(_AGAIN_S)

    def _checked(
        self, party: Party, partner: str, answer: EvidenceAnswer, keys: Mapping[str, Subscription]
    ) -> list[Signed]:
        """What of it the party has signed. The rest is not its word, whoever says so; an account that it has closed was
        that of another party of its name.
        """
        found = []
        for message in answer.messages:
            try:
                entry = keys.get(parse_header(message.authorization).key_id)
                if entry is None:
                    raise SignatureProblem(f"its key is none that the registry has of {party.id!r}")
                told, context = read_signed(message, entry, partner, self._codecs)
            except (SignatureProblem, Refusal) as problem:
                log.warning("%s: %s holds what is not its word: %s: %s", party.name, partner, message.action, problem)
                continue
            signed_ms = int(context.timestamp.timestamp() * 1000)
            found += [
                Signed(partner, str(context.transaction_id), signed_ms, part)
                for part in parts_of(told)
                if min(slots_of(part), default=answer.closed_until) >= answer.closed_until
            ]
        return found
