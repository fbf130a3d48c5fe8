"""A subscriber that a test plays by hand: it trades with a street's households, well or badly."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from hashlib import blake2b

from tests.street.translating import as_composed, on_wire, published
from tests.world.calls import Json, recipient
from tests.world.calls import call as good_call
from tests.world.manifests import MARKET, households, market, planned, utility
from tests.world.street import SLOT_S, Street, books_of, play
from tests.world.subscribers import entry_at
from wattmesh_beckn.answers import ack
from wattmesh_beckn.codec.v2.messages import BODIES, DISCOVER, ON_DISCOVER, ON_PUBLISH, VERSION, network_of
from wattmesh_beckn.signature import AUTHORIZATION, GATEWAY_AUTHORIZATION, Signer
from wattmesh_beckn.subscribing import subscribe
from wattmesh_beckn.transport import MemoryTransport, Reply, Transport
from wattmesh_cli.audit import Finding, audit
from wattmesh_cli.books import Book, LedgerEntry, Party
from wattmesh_cli.street.keys import derived_signers
from wattmesh_cli.street.run import StreetRun, subscriber_ids
from wattmesh_cli.street.virtual_time import EPOCH
from wattmesh_common.clock import Clock, LoopClock
from wattmesh_common.fields import ProtocolVersion
from wattmesh_common.runtime import REGISTRAR
from wattmesh_operator.plan import GatewayPlan

SEED = 31
PUPPET = "puppet.default"
STRANGER = "stranger.default"
"""Somebody with a key that the registry does not know."""
MEMBERS = (
    utility()
    + households("roof", "battery: {capacityKwh: 10, initialKwh: 10}, trading: {sellAbovePercent: 50}")
    + households("low", "battery: {capacityKwh: 10, initialKwh: 1, powerKw: 4}, strategy: rules")
    + households("flat", "load: {annualKwh: 6000}")
)
STREET = planned(MARKET + MEMBERS)
STREETS: Mapping[ProtocolVersion, GatewayPlan] = {"v1": STREET, "v2": planned(market("protocols: [v2]") + MEMBERS)}
NETWORK = network_of(STREET.subscriber_id)
_OF_CONTRACTS = BODIES.keys() - {DISCOVER, ON_DISCOVER, ON_PUBLISH}
START_S = int(STREET.resource.spec.clock.start.timestamp())
SPEED = 60


class Puppet:
    """Both BAP and BPP. Use it as `wrap` of a run; call `enter` first.

    It composes what it says in v1, and finds what it hears composed so, whichever `protocol` its street speaks.
    """

    sites: Transport
    clock: Clock
    url = "http://puppet"

    def __init__(self, protocol: ProtocolVersion = "v1") -> None:
        self.protocol = protocol
        self.signers = derived_signers([*subscriber_ids(STREET), PUPPET, STRANGER], SEED)
        self.me = self.signers[PUPPET]
        self.heard: list[Json] = []
        self.words: dict[str, str] = {}
        self._digests: dict[str, str] = {}
        """Of what it heard, by message id."""

    def __call__(self, sites: Transport, clock: LoopClock) -> Transport:
        assert isinstance(sites, MemoryTransport)
        self.sites, self.clock = sites, clock
        sites.attach("http://puppet", self)
        return sites

    async def enter(self, run: StreetRun) -> None:
        """Register in both roles."""
        self.run = run
        await self.register(self.me)

    async def register(self, owner: Signer, feeder: str = "main") -> None:
        """Let a subscriber, this one or another of the puppet's faces, trade in both roles."""
        for role in ("BAP", "BPP"):
            entry = entry_at(self.clock.wall(), owner, role, feeder=feeder, url=self.url, protocols=(self.protocol,))
            await subscribe("http://gateway", self.sites, self.clock, self.signers[REGISTRAR], entry)

    async def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> Reply:  # noqa: ARG002
        """Take everything."""
        call = json.loads(body)
        context = call.get("context", {})
        if context.get("version") == VERSION and context["action"] in _OF_CONTRACTS:
            self._digests[context["messageId"]] = base64.b64encode(blake2b(body).digest()).decode()
            call = as_composed(call, NETWORK)
        self.heard.append(call)
        return ack()

    # --- time ---

    @property
    def slot(self) -> int:
        """The slot that is delivered now."""
        return int((START_S + (self.clock.wall() - EPOCH) * SPEED) // SLOT_S) * SLOT_S

    @property
    def next_slot(self) -> int:
        """The slot that is traded now."""
        return self.slot + SLOT_S

    async def until_slot(self, slot: int, part: float = 0.0) -> None:
        """Wait for a part of a slot; 0 is its start."""
        await self.clock.sleep(EPOCH + (slot + part * SLOT_S - START_S) / SPEED - self.clock.wall() + 0.01)

    async def hears(self, action: str, sender: str) -> Json:
        """Wait for a message, from now on or before; each is given once."""
        while True:
            for call in self.heard:
                context = call["context"]
                who = context.get("bpp_id" if action.startswith("on_") else "bap_id")
                if (context["action"], who) == (action, f"{sender}.default"):
                    self.heard.remove(call)
                    return call
            await self.clock.sleep(0.01)

    async def sought_by(self, buyer: str) -> Json:
        """Wait for a buyer's search; its context. In v2 nobody but the discovery service hears it: the puppet knows
        what only that can.
        """
        if self.protocol == "v1":
            context: Json = (await self.hears("search", buyer))["context"]
            return context
        while True:
            for one in self.run.pods[buyer].parties[buyer].books.purchases.values():
                if one.slot == self.next_slot and not one.closed:
                    return {"transaction_id": one.transaction_id, "message_id": str(uuid.uuid4())}
            await self.clock.sleep(0.01)

    # --- messages ---

    def call(self, action: str, to: str, message: Json, transaction: str, message_id: str | None = None) -> Json:
        """A good message of the puppet."""
        mine, theirs = (PUPPET, "http://puppet"), (f"{to}.default", f"http://{to}/{to}")
        now = self.clock.wall()
        return good_call(action, mine, theirs, message, now=now, transaction=transaction, message_id=message_id)

    def written(self, call: Json) -> tuple[str, bytes]:
        """The action and the body of a call, as they stand on the wires."""
        context = call["context"]
        if self.protocol == "v1":
            return context["action"], json.dumps(call).encode()
        return on_wire(call, NETWORK, self._digests.get(context["message_id"]))

    def signed(self, body: bytes, by: Signer | None = None, *, created: int = 0, expires: int = 30) -> dict[str, str]:
        """Headers; `created` and `expires` are seconds from now."""
        now = int(self.clock.wall())
        signature = (by or self.me).sign(body, created=now + created, expires=now + expires)
        gateway = self.signers[STREET.subscriber_id].sign(body, created=now, expires=now + 30)
        return {AUTHORIZATION: signature, GATEWAY_AUTHORIZATION: gateway}

    async def send(self, to: str, action: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        """Post to a household's endpoint, past all clients."""
        return await self.sites.post(f"http://{to}/{to}/{action}", body, headers, timeout_s=5.0)

    async def say(self, call: Json) -> None:
        """Send a good message; it is taken."""
        action, body = self.written(call)
        reply = await self.send(recipient(call), action, body, self.signed(body))
        assert b'"ACK"' in reply.body, reply.body

    async def publish(self, message: Json) -> None:
        """Tell v2's discovery service what an `on_search` says; it is taken."""
        body = published(self.call("on_search", "nobody", message, str(uuid.uuid4())), NETWORK)
        reply = await self.sites.post("http://gateway/catalog/publish", body, self.signed(body), timeout_s=5.0)
        assert b'"ACK"' in reply.body, reply.body

    # --- what the street's books say, with a book of the puppet that mirrors them ---

    def findings(self) -> tuple[Finding, ...]:
        """What the audit says now."""
        return findings(books_of(self.run))


def findings(books: Sequence[Book]) -> tuple[Finding, ...]:
    """What the audit says of a street with the puppet, which holds just what the others say of it."""
    contracts = [row for book in books for row in book.contracts if row.counterparty == PUPPET]
    ledger = [row for book in books for row in book.ledger if row.counterparty == PUPPET]
    mirror = Book(
        "puppet",
        parties=(Party(PUPPET, "utility", 0, 0, 0, START_S, START_S),),
        contracts=tuple(
            replace(
                row,
                party=PUPPET,
                counterparty=row.party,
                side="seller" if row.side == "buyer" else "buyer",
                in_doubt=False,
                offered_micro_per_kwh=10**9 if row.side == "seller" else None,
            )
            for row in contracts
        ),
        ledger=tuple(
            LedgerEntry(PUPPET, row.kind, row.slot, row.party, row.reference, -row.energy_wh, -row.amount_micro)
            for row in ledger
            if row.kind == "trade"
        ),
    )
    return audit([*books, mirror]).findings


def puppet_play(
    work: Callable[[Puppet], Awaitable[None]], hours: float = 1.0, protocol: ProtocolVersion = "v1"
) -> Street:
    """Run the street with a puppet that does `work` in it."""
    puppet = Puppet(protocol)

    async def watch(run: StreetRun) -> None:
        await puppet.enter(run)
        await work(puppet)

    return play(STREETS[protocol], hours, seed=SEED, wrap=puppet, watch=watch)
