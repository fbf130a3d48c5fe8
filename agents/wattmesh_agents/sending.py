"""Sending a pod's messages: to where the registry says that their receivers live, until they are answered."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Callable, Coroutine, Mapping
from functools import partial

from wattmesh_agents.store.mail import Outgoing
from wattmesh_beckn.client import BecknClient, Outcome, Undelivered
from wattmesh_beckn.codec.v2.messages import PUBLISH, TO_DISCOVERY, is_callback
from wattmesh_beckn.receiver import Asked
from wattmesh_beckn.registry import Directory, RegistryUnavailable, SubscriberType
from wattmesh_beckn.signature import Signer
from wattmesh_beckn.transport import Transport
from wattmesh_common.clock import Clock
from wattmesh_common.runtime import RuntimeConfig

SENDS_AT_ONCE = 256
ASKED_S = 120.0
"""How long a request is remembered for what its callback says of it (wall time)."""


class Sender:
    """Sends messages side by side. `sent` is told of each: when it was first sent (wall time), and what came of it."""

    def __init__(
        self,
        config: RuntimeConfig,
        signers: Mapping[str, Signer],
        directory: Directory,
        transport: Transport,
        clock: Clock,
        rng: random.Random,
        sent: Callable[[Outgoing, float, Outcome], None],
    ) -> None:
        self._config = config
        self._signers = signers
        self._directory = directory
        self._client = BecknClient(transport, clock, rng)
        self._clock = clock
        self._sent = sent
        self.begin()

    def begin(self) -> None:
        """As in a new process: nothing is under way."""
        self._room = asyncio.Semaphore(SENDS_AT_ONCE)
        self.under_way = 0
        """How many messages are being sent now."""
        self._asked: dict[tuple[str, str, str], tuple[float, Asked]] = {}
        self._published: dict[str, tuple[str, asyncio.Lock]] = {}

    def asked(self, party: str, message_id: str, action: str) -> Asked | None:
        """A request of a party that was sent lately."""
        found = self._asked.get((party, message_id, action))
        return None if found is None else found[1]

    def send(self, message: Outgoing) -> Coroutine[None, None, None]:
        """Send a message until it is answered or its time is over; it is under way from now on."""
        self.under_way += 1
        return self._publish(message) if message.action == PUBLISH else self._send(message)

    async def post(self, call: str, party: str, counterparty: str, body: bytes, expires_s: float) -> Outcome | None:
        """Send a call beside Beckn until it is answered or its time is over; None when the counterparty has left."""
        try:
            url = await self._url(counterparty, "BPP") or await self._url(counterparty, "BAP")
        except RegistryUnavailable as error:
            return Undelivered(str(error))
        if url is None:
            return None
        async with self._room:
            return await self._client.send(self._signers[party], f"{url}/{call}", body, expires_s)

    async def _publish(self, message: Outgoing) -> None:
        """Send what a party publishes after what it published before; not at all, if something newer waits by then."""
        _, turn = self._published.get(message.party, ("", asyncio.Lock()))
        self._published[message.party] = (message.message_id, turn)
        async with turn:
            if self._published[message.party][0] == message.message_id:
                await self._send(message)
            else:
                self.under_way -= 1

    async def _send(self, message: Outgoing) -> None:
        try:
            async with self._room:
                at = self._clock.wall()
                outcome = await self._deliver(message)
            self._sent(message, at, outcome)
        finally:
            self.under_way -= 1

    async def _deliver(self, message: Outgoing) -> Outcome:
        if message.action == "search" or message.action in TO_DISCOVERY:
            url = self._config.gateway.url
        else:
            role: SubscriberType = "BAP" if message.action.startswith("on_") else "BPP"
            try:
                found = await self._url(message.recipient, role)
            except RegistryUnavailable as error:
                return Undelivered(str(error))
            if found is None:
                return Undelivered(f"{message.recipient} is not in the registry as {role}")
            url = found
        signer = self._signers[message.party]
        answered_later = "v2" in self._config.protocols and not is_callback(message.action)
        remember = partial(self._remember, message) if answered_later else None
        until_s = message.expires_ms / 1000
        return await self._client.send(signer, f"{url}/{message.action}", message.body, until_s, signed=remember)

    def _remember(self, message: Outgoing, authorization: str) -> None:
        """What a callback may say of it; requests of long ago are forgotten."""
        now = self._clock.wall()
        for key in [key for key, (at, _) in itertools.islice(self._asked.items(), 8) if at < now - ASKED_S]:
            del self._asked[key]
        self._asked[message.key[:3]] = (now, Asked(message.body, authorization))

    async def _url(self, subscriber_id: str, role: SubscriberType) -> str | None:
        for fresh in (False, True):
            for entry in await self._directory.find(subscriber_id, fresh=fresh):
                if entry.speaks_as(role, self._config.domain, self._clock.machine()):
                    return entry.url
        return None
