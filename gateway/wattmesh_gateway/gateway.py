"""The whole gateway, built from its ports."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Collection
from datetime import timedelta

from wattmesh_beckn.answers import ack
from wattmesh_beckn.client import BecknClient
from wattmesh_beckn.codec.v2.catalogs import TO_DISCOVERY_BODIES
from wattmesh_beckn.codec.v2.messages import DISCOVER, PUBLISH, network_of
from wattmesh_beckn.context import Code, Context, Location
from wattmesh_beckn.errors import busy
from wattmesh_beckn.receiver import Received, Receiver
from wattmesh_beckn.registry import RegistryUnavailable, Subscription
from wattmesh_beckn.signature import AUTHORIZATION, GATEWAY_AUTHORIZATION, Signer
from wattmesh_beckn.transport import Pages, Reply, Transport
from wattmesh_common.clock import Clock, utc
from wattmesh_common.reading_token import ReadingToken
from wattmesh_common.runtime import REGISTRAR, GatewayConfig
from wattmesh_gateway.broadcast import Broadcast, Cast
from wattmesh_gateway.config import ConfigError
from wattmesh_gateway.discovery import Discovery
from wattmesh_gateway.inbox import GatewayInbox
from wattmesh_gateway.limits import Limit
from wattmesh_gateway.live.watch import Watch
from wattmesh_gateway.lookup import Lookups
from wattmesh_gateway.metrics import Metrics
from wattmesh_gateway.registry import OwnDirectory, Registry
from wattmesh_gateway.site import GatewaySite
from wattmesh_gateway.subscribe import Subscribing

EVERYWHERE = "*"
"""City code of the gateway's own entry: it serves every feeder."""
VALIDITY = timedelta(days=3650)
CLOCK_MARGIN = timedelta(hours=1)
"""The own entry is valid from that long before it is made, so that slow clocks take it too."""
FORMER_KEY_HOLDS = timedelta(minutes=10)
"""What was signed with it is still on its way, and other replicas have it until they are replaced."""
SEARCHES_PER_S = 20.0
"""Of one subscriber. A household searches at most twice per slot: 2 a second at grid speed 960. Each search becomes one
message per seller, so one that asks without end would hold up the others' searches. What is asked in v2 counts, too."""
SEARCHES_AT_ONCE = 100
PUBLICATIONS_PER_S = 20.0
"""Of one subscriber, each a write to disk. A household publishes what has changed, at most once for each event."""
PUBLICATIONS_AT_ONCE = 200


class Gateway:
    """Registry, lookup, search broadcast and discovery for one domain.

    `site` answers its calls. Between `start` and `stop`, or as the lifespan of `app.create_app`, it broadcasts and
    answers; all of it runs in the event loop that called `start`. Registry and transport stay the caller's to close.
    """

    def __init__(
        self, config: GatewayConfig, signer: Signer, registry: Registry, transport: Transport, clock: Clock
    ) -> None:
        """Raises ConfigError when the key is another subscriber's or the registrars' name is taken for the gateway."""
        if signer.subscriber_id != config.subscriber_id:
            raise ConfigError(f"the key is {signer.subscriber_id!r}'s but the gateway is {config.subscriber_id!r}")
        if config.subscriber_id == REGISTRAR:
            raise ConfigError(f"subscriber_id cannot be {REGISTRAR!r}: registrars sign with it")
        self.metrics = Metrics()
        self._config = config
        self._signer = signer
        self._registry = registry
        self.clock = clock
        self._inbox = GatewayInbox(registry.database, clock)
        self._broadcast = Broadcast(transport, clock, self.metrics)
        self._discovery = Discovery(
            network=network_of(config.subscriber_id),
            domain=config.domain,
            signer=signer,
            registry=registry,
            client=BecknClient(transport, clock, random.Random(config.subscriber_id)),  # noqa: S311 - of waits
            time=config.clock.grid_time,
            clock=clock,
            metrics=self.metrics,
        )
        asking = ["search"] * ("v1" in config.protocols) + [DISCOVER] * ("v2" in config.protocols)
        searches = Limit(registry.database, clock, per_s=SEARCHES_PER_S, burst=SEARCHES_AT_ONCE, what="searches")
        publications = Limit(
            registry.database, clock, per_s=PUBLICATIONS_PER_S, burst=PUBLICATIONS_AT_ONCE, what="publications"
        )
        receivers = dict.fromkeys(asking, self._receiver(asking, searches))
        if "v2" in config.protocols:
            receivers[PUBLISH] = self._receiver([PUBLISH], publications)
        self.site = GatewaySite(
            receivers=receivers,
            subscribing=Subscribing(
                gateway_id=config.subscriber_id,
                registrar_keys=config.registrar_keys,
                registry=registry,
                clock=clock,
            ),
            lookups=Lookups(registry, clock),
            metrics=self.metrics,
            clock=clock,
        )

    def _receiver(self, actions: Collection[str], limit: Limit) -> Receiver:
        return Receiver(
            subscriber_id=self._config.subscriber_id,
            domain=self._config.domain,
            actions=frozenset(actions),
            directory=OwnDirectory(self._registry, self.clock),
            inbox=self._inbox,
            clock=self.clock,
            handler=self._handle,
            gateway_id=None,
            limit=limit.require,
            protocols=self._config.protocols,
            signer=lambda: self._signer,
            bodies=TO_DISCOVERY_BODIES,
        )

    async def start(self) -> None:
        """Register the gateway itself. Raises ConfigError when its key id is known with another key."""
        now = self.clock.machine()
        held = await self._registry.find(self._config.subscriber_id, now)
        own = own_entry(self._config, self._signer, now)
        for entry in held:
            if entry.key_id == own.key_id and entry.signing_public_key != own.signing_public_key:
                raise ConfigError(
                    f"key_id {own.key_id!r} is in the registry with another key; a new key needs a new one"
                )
        await self._registry.put(own, now)
        until = utc(now) + FORMER_KEY_HOLDS
        for entry in held:
            if entry.key_id != own.key_id and entry.is_live(now) and entry.valid_until > until:
                await self._registry.put(entry.model_copy(update={"valid_until": until}), now)

    @property
    def under_way(self) -> bool:
        """Whether a search is being sent to its sellers, or an answer to who asked or published, now."""
        return self._broadcast.under_way or self._discovery.under_way

    async def stop(self) -> None:
        """Refuse further searches, finish what is under way within 5 s and give up the rest."""
        await asyncio.gather(self._broadcast.stop(), self._discovery.stop())
        await self._registry.stop()

    def watched_through(self, pages: Pages, token: ReadingToken) -> Watch:
        """What the live page shows, read from the subscribers' pods through `pages` once somebody looks.

        `token` is the market's.
        """
        return Watch(self._config.subscriber_id, self._config.domain, self._registry, pages, self.clock, token)

    async def ready(self) -> bool:
        """Whether the registry can be read."""
        try:
            await self._registry.read()  # asked for every two seconds, so not all that it holds
        except RegistryUnavailable:
            return False
        return True

    async def metrics_text(self) -> bytes:
        """The metrics in Prometheus' text format. Raises RegistryUnavailable."""
        return self.metrics.text(await self._registry.live_by_type(self.clock.machine()), self._broadcast.waiting)

    async def _handle(self, received: Received) -> Reply:
        await self._inbox.require_room(received.sender.subscriber_id)
        if isinstance(received.context, Context):
            return await self._search(received, received.context)
        take = self._discovery.publish if received.action == PUBLISH else self._discovery.discover
        answer = await take(received)
        await self._inbox.remember(received, answer, min(received.context.expires_at, received.signature_expires))
        return answer

    async def _search(self, received: Received, context: Context) -> Reply:
        sender = received.sender
        feeder = context.feeder or sender.location.city.code
        try:
            sellers = await self._registry.sellers(self._config.domain, feeder, self.clock.machine())
        except RegistryUnavailable as error:
            raise busy(str(error), 1) from error
        # After its signature's expiry no seller would take it.
        expires_at = min(context.expires_at, received.signature_expires)
        headers = {
            "content-type": "application/json",
            AUTHORIZATION: received.authorization,
            GATEWAY_AUTHORIZATION: self._signer.sign_until(received.body, expires_at, self.clock),
        }
        others = [
            seller
            for seller in sellers
            if seller.subscriber_id != sender.subscriber_id and _hears_of(sender.protocols, seller.protocols)
        ]
        asked = self._broadcast.submit(Cast(received.body, headers, expires_at), others)
        answer = ack(recipients=str(asked))
        await self._inbox.remember(received, answer, expires_at)
        return answer


def _hears_of(buyer: Collection[str], seller: Collection[str]) -> bool:
    """Whether a seller is asked by a search: it reads one, and the buyer does not find it by `discover` anyway."""
    return "v1" in seller and not ("v2" in buyer and "v2" in seller)


def own_entry(config: GatewayConfig, signer: Signer, now: float) -> Subscription:
    """The registry entry of the gateway itself, for ten years."""
    return Subscription(
        subscriber_id=config.subscriber_id,
        url=config.url,
        type="BG",
        domain=config.domain,
        location=Location(city=Code(code=EVERYWHERE)),
        key_id=signer.key_id,
        signing_public_key=signer.public_key,
        protocols=config.protocols,
        valid_from=utc(now) - CLOCK_MARGIN,
        valid_until=utc(now) + VALIDITY,
    )
