"""A platform from elsewhere that speaks Beckn v2.0.0 LTS, in a test's street: on its wires and in its registry."""

from __future__ import annotations

import json
import uuid
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

from tests.foreign.partner import Json
from tests.foreign.platform_v2 import PlatformV2, answered, digest, signer_of
from tests.street.puppet import MEMBERS, NETWORK, PUPPET, SEED, STREET, Puppet
from tests.world.manifests import market, planned
from tests.world.street import Hands, Street, play
from tests.world.subscribers import entry_at
from wattmesh_beckn.registry import SubscriberType
from wattmesh_beckn.subscribing import subscribe
from wattmesh_beckn.transport import MemoryTransport, Reply, Transport
from wattmesh_cli.audit import audit
from wattmesh_cli.street.run import StreetRun, subscriber_ids
from wattmesh_common.clock import LoopClock
from wattmesh_common.runtime import REGISTRAR

URL = "http://abroad"
OK = json.dumps({"status": "ACK"}).encode()
V2 = planned(market("protocols: [v2]") + MEMBERS)
"""The street, whose network speaks v2."""


class VisitorV2(PlatformV2):
    """The platform in the street, with one conversation. It answers each call with `answer`."""

    role: SubscriberType = "BAP"
    network = NETWORK

    def __init__(self) -> None:
        self.street = Puppet()
        self.street.url = URL
        me = self.street.me
        super().__init__(PUPPET, me.key_id, me._private_key.private_bytes_raw(), URL)
        self.transaction = str(uuid.uuid4())
        self.heard: list[Json] = []
        self.asked: dict[str, bytes] = {}
        """Its requests, by message id."""
        self.answer = OK

    def __call__(self, sites: Transport, clock: LoopClock) -> Transport:
        """Move in; see `play`."""
        assert isinstance(sites, MemoryTransport)
        self.street.sites, self.street.clock = sites, clock
        sites.attach(URL, self)
        return sites

    async def enter(self) -> None:
        """Be registered in its role, by the street's registrar."""
        street = self.street
        entry = entry_at(street.clock.wall(), street.me, self.role, feeder="main", url=URL).model_copy(
            update={"protocols": ("v2",)}
        )
        await subscribe("http://gateway", street.sites, street.clock, street.signers[REGISTRAR], entry)

    async def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        """Take what comes, if its sender has signed it and says which question it answers."""
        call = json.loads(body)
        if "context" not in call:  # what wattmesh says beside Beckn
            return Reply(404, b"{}", {})
        context = call["context"]
        action = context["action"]
        assert path.removeprefix("/") == action
        sender = STREET.subscriber_id if action in ("on_discover", "catalog/on_publish") else None
        signer = self.street.signers[sender or context["bppId" if action.startswith("on_") else "bapId"]]
        assert signer_of(headers, body, signer.public_key) == signer.subscriber_id
        if context["messageId"] in self.asked:
            assert context["requestDigest"] == {"digest": f"BLAKE-512={digest(self.asked[context['messageId']])}"}
        self.heard.append({**call, "signature": headers["authorization"]})
        return Reply(200, self.answer, {"content-type": "application/json"})

    async def send(self, call: Json, to: str, request: Json | None = None) -> Json:
        """Send a call to a household or the gateway; the answer, which that has signed.

        What answers a `request` is signed over that one's signature, too, as the reference adapter does.
        """
        action, now = call["context"]["action"], self.street.clock.wall()
        body = json.dumps(call).encode()
        self.asked.setdefault(call["context"]["messageId"], body)
        authorization = self.signature(body, now, None if request is None else request["signature"])
        headers = {"content-type": "application/json", "authorization": authorization}
        url = f"http://gateway/{action}" if to == "gateway" else f"http://{to}/{to}/{action}"
        reply = await self.street.sites.post(url, body, headers, timeout_s=5.0)
        signer = self.street.signers[STREET.subscriber_id if to == "gateway" else f"{to}.default"]
        return answered(reply.body, body, signer.public_key)

    async def hears(self, action: str, buyer: str | None = None) -> Json:
        """Wait for a call, of any buyer or of one, from now on or before; each is given once."""
        wanted = None if buyer is None else f"{buyer}.default"
        while True:
            for call in self.heard:
                context = call["context"]
                if context["action"] == action and wanted in (None, context.get("bapId")):
                    self.heard.remove(call)
                    return call
            await self.street.clock.sleep(0.01)


VisitorT = TypeVar("VisitorT", bound=VisitorV2)


def visited_by(
    visitor: VisitorT, act: Callable[[VisitorT], Awaitable[None]], hours: float = 1.0, hands: Hands | None = None
) -> Street:
    """Run the street with a visitor that does `act`; its own books are right whatever that was.

    `hands` may stop and start parts of the street meanwhile.
    """
    done = list[str]()

    async def watch(run: StreetRun) -> None:
        visitor.street.run = run
        if hands is not None:
            hands.hold(run)
        await visitor.enter()
        await act(visitor)
        done.append("all")

    if hands is not None:
        hands.wrap = visitor
    street = play(V2, hours, seed=SEED, wrap=hands or visitor, watch=watch)
    assert done, "the run is over before its visitor"
    result = audit(street.books, frozenset(subscriber_ids(STREET)))
    assert result.findings == ()
    assert (result.energy_sum_wh, result.amount_sum_micro) == (0, 0)
    return street
