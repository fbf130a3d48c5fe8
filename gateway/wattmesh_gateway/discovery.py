"""The discovery service of Beckn v2: sellers publish what they have, a buyer asks once and is answered once.

An answer is built page by page while it is sent, from what the table holds then, so a long one takes neither much
memory nor the event loop for long.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import pydantic_core

from wattmesh_beckn.answers import ack
from wattmesh_beckn.client import Acked, BecknClient
from wattmesh_beckn.codec.v2.catalogs import (
    Conversation,
    Offered,
    Published,
    PublishMessage,
    Result,
    callback_context,
    conversation,
    read_catalog,
    trimmed,
    trimmed_body,
    with_seller,
    write_failure,
    write_found,
    write_results,
)
from wattmesh_beckn.codec.v2.messages import ON_DISCOVER, ON_PUBLISH, ContextV2, DiscoverMessage
from wattmesh_beckn.codec.v2.writing import sought
from wattmesh_beckn.errors import ErrorCode, Refusal, busy, declined, too_many
from wattmesh_beckn.proofs import Judge, Request
from wattmesh_beckn.receiver import Received
from wattmesh_beckn.registry import RegistryUnavailable, SubscriberType
from wattmesh_beckn.signature import Signer
from wattmesh_beckn.transport import Reply
from wattmesh_common.clock import Clock, stopwatch
from wattmesh_gateway.catalogs import Kept
from wattmesh_gateway.limits import Limit
from wattmesh_gateway.metrics import Metrics
from wattmesh_gateway.registry import OwnDirectory, Registry, Seller
from wattmesh_market.energy.grid_time import GridTime

if TYPE_CHECKING:
    from wattmesh_gateway.filters import Filter

MOST_PAGE_BYTES = 150 * 1024
ANSWER_TTL_S = 30.0
"""How long an answer holds, and how long it is tried to send it."""
MOST_ANSWERS = 256
"""Callbacks under way at once."""
MOST_ANSWERS_OF_ONE = 16
FILTERS_PER_S, FILTERS_AT_ONCE = 0.5, 10
"""Of one buyer, but for wattmesh's own filter, which costs next to nothing."""
LONGEST_FILTERING_S = 0.5
"""What one question may take of the processor; most take a hundredth of that."""
ASKED_AT_ONCE = 32
"""Sellers whose catalogs are read from the table at once."""

Match = Callable[[Kept, Seller], bytes | None]
"""What is found of a catalog, as JSON; None when that is nothing."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Asker:
    """Who is answered: its role, where it is reached, in which conversation, and until when (unix seconds of wall
    time).
    """

    subscriber_id: str
    role: SubscriberType
    url: str
    conversation: Conversation
    until: float


class Discovery:
    """Takes publications and answers questions. Between calls it sends callbacks as tasks of the running event loop."""

    def __init__(
        self,
        *,
        network: str,
        domain: str,
        signer: Signer,
        registry: Registry,
        client: BecknClient,
        time: GridTime,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self._network = network
        self._domain = domain
        self._signer = signer
        self._registry = registry
        self._client = client
        self._time = time
        self._clock = clock
        self._metrics = metrics
        self._judge = Judge(domain, OwnDirectory(registry, clock), clock, metrics.proven)
        self._filtering = Limit(
            registry.database, clock, per_s=FILTERS_PER_S, burst=FILTERS_AT_ONCE, what="filters of its own"
        )
        self._answers: dict[asyncio.Task[None], str] = {}

    @property
    def under_way(self) -> bool:
        """Whether a callback is being sent now."""
        return bool(self._answers)

    async def stop(self) -> None:
        """Give up what is under way."""
        for task in self._answers:
            task.cancel()
        await asyncio.gather(*self._answers, return_exceptions=True)

    async def publish(self, received: Received) -> Reply:
        """Take what a seller publishes, catalog by catalog; `catalog/on_publish` tells what became of each."""
        seller = received.sender.subscriber_id
        if "v2" not in received.sender.protocols:
            text = f"{seller!r} is registered without v2; subscribe with protocols that have it, and publish again"
            raise declined(ErrorCode.POLICY_ERROR, text)
        self._require_room(seller)
        message = received.read(PublishMessage)
        read: list[Published | Refusal] = []
        for raw in message.catalogs:
            try:
                read.append(read_catalog(raw, seller))
            except Refusal as refusal:
                read.append(refusal)
        sound = [one for one in read if isinstance(one, Published)]
        said_ms = int(received.context.timestamp.timestamp() * 1000)
        try:
            kept = iter(await self._registry.catalogs.put(seller, sound, said_ms, self._clock.wall()))
        except RegistryUnavailable as error:
            raise busy(str(error), 1) from error
        results = [
            Result(str(raw.get("id", ""))[:200], next(kept) if isinstance(one, Published) else one)
            for raw, one in zip(message.catalogs, read, strict=True)
        ]
        if message.results == "ALL" or any(one.refusal is not None for one in results):
            asker = self._asker(received)
            self._start(asker, self._tell(asker, results))
        return ack()

    async def discover(self, received: Received) -> Reply:
        """Take a buyer's question; `on_discover` has what sellers of its feeder offer, as far as it is asked for."""
        buyer = received.sender.subscriber_id
        message = received.read(DiscoverMessage)
        message.require_filters_alone()
        expression = message.intent.filters.expression if message.intent.filters else None
        slots = None if expression is None else sought(expression)
        found = None if expression is None or slots is not None else await self._filter(expression, buyer)
        self._require_room(buyer)
        try:
            feeder = received.sender.location.city.code
            here = await self._registry.sellers(self._domain, feeder, self._clock.machine())
        except RegistryUnavailable as error:
            raise busy(str(error), 1) from error
        sellers = [one for one in here if one.subscriber_id != buyer and "v2" in one.protocols]
        match = self._by_filter(buyer, found) if found is not None else self._by_slots(buyer, slots)
        asker = self._asker(received)
        self._start(asker, self._find(asker, sellers, match, slow=found is not None))
        return ack()

    async def _filter(self, expression: str, buyer: str) -> Filter:
        await self._filtering.require(buyer)
        from wattmesh_gateway.filters import compiled  # JSONPath, for which only who is asked with one waits

        return compiled(expression)

    def _require_room(self, sender: str) -> None:
        of_one = sum(whose == sender for whose in self._answers.values())
        if of_one >= MOST_ANSWERS_OF_ONE:
            raise too_many(f"{sender!r} has not taken {of_one} callbacks yet", 1)
        if len(self._answers) >= MOST_ANSWERS:
            raise busy(f"{len(self._answers)} callbacks are under way", 1)

    def _asker(self, received: Received) -> _Asker:
        context, sender = received.context, received.sender
        if not isinstance(context, ContextV2):
            raise TypeError(f"{received.action} is no call of v2")
        until = min(context.expires_at, self._clock.wall() + ANSWER_TTL_S)
        said = conversation(context, received.body)
        return _Asker(sender.subscriber_id, sender.type, sender.url, said, until)

    def _start(self, asker: _Asker, answer: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(answer)
        self._answers[task] = asker.subscriber_id
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        del self._answers[task]
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("a callback could not be sent", exc_info=error)

    # --- what is found ---

    def _by_slots(self, buyer: str, slots: tuple[int, int | None] | None) -> Match:
        """The offers whose series begins with a slot, or with one from it on before another, or all; none that are
        over, or are for others.
        """
        visible = self._visible(buyer)

        def is_sought(offer: Offered) -> bool:
            if slots is None:
                return True
            slot, until = slots
            if until is None or offer.starts is None:
                return offer.starts == slot
            return slot <= offer.starts < until

        def match(kept: Kept, seller: Seller) -> bytes | None:
            wanted = [number for number, offer in enumerate(kept.offers) if visible(offer) and is_sought(offer)]
            if len(wanted) == len(kept.offers) and (wanted or slots is None):
                return with_seller(kept.body, seller.subscriber_id, seller.url)
            return self._only(kept.body, wanted, seller)

        return match

    def _by_filter(self, buyer: str, found: Filter) -> Match:
        visible = self._visible(buyer)

        def match(kept: Kept, seller: Seller) -> bytes | None:
            wanted = [number for number, offer in enumerate(kept.offers) if visible(offer)]
            if kept.offers and not wanted:
                return None
            raw = pydantic_core.from_json(with_seller(kept.body, seller.subscriber_id, seller.url))
            seen = raw if len(wanted) == len(kept.offers) else trimmed(raw, wanted)
            chosen = found(seen)
            return None if chosen is None else pydantic_core.to_json(chosen)

        return match

    def _visible(self, buyer: str) -> Callable[[Offered], bool]:
        now = self._time.at(self._clock.wall())
        return lambda offer: (offer.ends is None or offer.ends > now) and offer.visible(buyer, self._network)

    def _only(self, body: bytes, wanted: Sequence[int], seller: Seller) -> bytes | None:
        if not wanted:
            return None
        return with_seller(trimmed_body(body, wanted), seller.subscriber_id, seller.url)

    async def _offered(self, sellers: Sequence[Seller]) -> AsyncIterator[tuple[Seller, Kept]]:
        for first in range(0, len(sellers), ASKED_AT_ONCE):
            some = sellers[first : first + ASKED_AT_ONCE]
            offered = await self._registry.catalogs.of([seller.subscriber_id for seller in some])
            for seller in some:
                for kept in offered.get(seller.subscriber_id, ()):
                    yield seller, kept

    async def _found(self, sellers: Sequence[Seller], match: Match, *, slow: bool) -> AsyncIterator[bytes]:
        spent_s = 0.0
        async for seller, kept in self._offered(sellers):
            begun = stopwatch()
            found = match(kept, seller)
            spent_s += stopwatch() - begun
            if slow:
                if spent_s > LONGEST_FILTERING_S:
                    raise declined(ErrorCode.POLICY_ERROR, "the filter takes too long; ask for less at once")
                await self._clock.sleep(0)  # others' turn
            if found is not None:
                yield found

    # --- what is sent ---

    async def _find(self, asker: _Asker, sellers: Sequence[Seller], match: Match, *, slow: bool) -> None:
        page, size = list[bytes](), 0
        try:
            async for found in self._found(sellers, match, slow=slow):
                if page and size + len(found) > MOST_PAGE_BYTES:
                    body = write_found(self._context(ON_DISCOVER, asker), page, more=True)
                    if not await self._send(ON_DISCOVER, asker, body):
                        return
                    page, size = [], 0
                page.append(found)
                size += len(found) + 1
        except Refusal as refusal:
            body = write_failure(self._context(ON_DISCOVER, asker), refusal)
        except RegistryUnavailable as error:
            body = write_failure(self._context(ON_DISCOVER, asker), busy(str(error), 1))
        else:
            body = write_found(self._context(ON_DISCOVER, asker), page, more=False)
        await self._send(ON_DISCOVER, asker, body)

    async def _tell(self, asker: _Asker, results: Sequence[Result]) -> None:
        await self._send(ON_PUBLISH, asker, write_results(self._context(ON_PUBLISH, asker), results))

    def _context(self, action: str, asker: _Asker) -> dict[str, Any]:
        return callback_context(action, asker.conversation, self._network, self._clock.machine(), ANSWER_TTL_S)

    async def _send(self, action: str, asker: _Asker, body: bytes) -> bool:
        url, heard = f"{asker.url.rstrip('/')}/{action}", partial(self._hear, action, asker, body)
        outcome = await self._client.send(self._signer, url, body, asker.until, answered=heard)
        self._metrics.callback(action, outcome)
        return isinstance(outcome, Acked)

    async def _hear(self, action: str, asker: _Asker, body: bytes, reply: Reply, authorization: str) -> None:
        message_id, asked = asker.conversation.message_id, asker.subscriber_id
        await self._judge.hear(reply, action, Request(body, message_id, authorization, asked, asker.role))
