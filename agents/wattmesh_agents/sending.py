"""Sending a pod's messages: to where the registry says that their receivers live, until they are answered."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine, Mapping

from wattmesh_agents.store.mail import Outgoing
from wattmesh_beckn.client import BecknClient, Outcome, Undelivered
from wattmesh_beckn.registry import Directory, RegistryUnavailable, SubscriberType
from wattmesh_beckn.signature import Signer
from wattmesh_beckn.transport import Transport
from wattmesh_common.clock import Clock
from wattmesh_common.runtime import RuntimeConfig

SENDS_AT_ONCE = 256


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

    def send(self, message: Outgoing) -> Coroutine[None, None, None]:
        """Send a message until it is answered or its time is over; it is under way from now on."""
        self.under_way += 1
        return self._send(message)

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

    async def _send(self, message: Outgoing) -> None:
        try:
            async with self._room:
                at = self._clock.wall()
                outcome = await self._deliver(message)
            self._sent(message, at, outcome)
        finally:
            self.under_way -= 1

    async def _deliver(self, message: Outgoing) -> Outcome:
        if message.action == "search":
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
        return await self._client.send(signer, f"{url}/{message.action}", message.body, message.expires_ms / 1000)

    async def _url(self, subscriber_id: str, role: SubscriberType) -> str | None:
        for fresh in (False, True):
            for entry in await self._directory.find(subscriber_id, fresh=fresh):
                if entry.speaks_as(role, self._config.domain, self._clock.machine()):
                    return entry.url
        return None
