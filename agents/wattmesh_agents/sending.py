"""Sending a pod's messages: to where the registry says that their receivers live, until they are answered."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine, Mapping
from functools import partial

from wattmesh_agents.store.mail import Outgoing
from wattmesh_beckn.client import BecknClient, Outcome, Undelivered
from wattmesh_beckn.codec.v2.messages import PUBLISH, TO_DISCOVERY
from wattmesh_beckn.proofs import Judge, Proof, Request
from wattmesh_beckn.receiver import Asked
from wattmesh_beckn.registry import Directory, RegistryUnavailable, SubscriberType
from wattmesh_beckn.signature import Signer
from wattmesh_beckn.transport import Reply, Transport
from wattmesh_common.clock import Clock
from wattmesh_common.runtime import RuntimeConfig

SENDS_AT_ONCE = 256


class Sender:
    """Sends messages side by side. `sent` is told of each: when it was first sent (wall time), and what came of it.

    `asked` knows how requests are signed whose callbacks may be signed over that; `proven` is told what the signature
    of an answer proves.
    """

    def __init__(
        self,
        config: RuntimeConfig,
        signers: Mapping[str, Signer],
        directory: Directory,
        transport: Transport,
        clock: Clock,
        rng: random.Random,
        sent: Callable[[Outgoing, float, Outcome], None],
        asked: Callable[[str, str, str], Asked | None],
        proven: Callable[[Proof], None],
    ) -> None:
        self._config = config
        self._signers = signers
        self._directory = directory
        self._client = BecknClient(transport, clock, rng)
        self._clock = clock
        self._sent = sent
        self._asked = asked
        self._judge = Judge(config.domain, directory, clock, proven)
        self.begin()

    def begin(self) -> None:
        """As in a new process: nothing is under way."""
        self._room = asyncio.Semaphore(SENDS_AT_ONCE)
        self.under_way = 0
        """How many messages are being sent now."""
        self._published: dict[str, tuple[str, asyncio.Lock]] = {}

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
        role: SubscriberType = "BAP" if message.action.startswith("on_") else "BPP"
        if message.action == "search" or message.action in TO_DISCOVERY:
            url, role = self._config.gateway.url, "BG"
        else:
            try:
                found = await self._url(message.recipient, role)
            except RegistryUnavailable as error:
                return Undelivered(str(error))
            if found is None:
                return Undelivered(f"{message.recipient} is not in the registry as {role}")
            url = found
        signer = self._signers[message.party]
        asked, until_s = self._asked(*message.key[:3]), message.expires_ms / 1000
        authorization = None if asked is None else asked.authorization
        judged = partial(self._hear, message, role) if "v2" in self._config.protocols else None
        return await self._client.send(
            signer, f"{url}/{message.action}", message.body, until_s, authorization=authorization, answered=judged
        )

    async def _hear(self, message: Outgoing, role: SubscriberType, reply: Reply, authorization: str) -> None:
        request = Request(message.body, message.message_id, authorization, message.recipient, role)
        await self._judge.hear(reply, message.action, request)

    async def _url(self, subscriber_id: str, role: SubscriberType) -> str | None:
        for fresh in (False, True):
            for entry in await self._directory.find(subscriber_id, fresh=fresh):
                if entry.speaks_as(role, self._config.domain, self._clock.machine()):
                    return entry.url
        return None
