"""A partner from elsewhere in a test's street: on its wires and in its registry, until it has done its work."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from tests.foreign.partner import Json, Partner
from tests.street.puppet import PUPPET, SEED, STREET, Puppet
from tests.world.street import Street, play
from wattmesh_beckn.answers import PLAIN_ACK
from wattmesh_beckn.transport import MemoryTransport, Reply, Transport
from wattmesh_cli.audit import audit
from wattmesh_cli.street.run import StreetRun, subscriber_ids
from wattmesh_common.clock import LoopClock

URL = "http://abroad"


class Visitor(Partner):
    """The partner, and the street's wires and clock."""

    def __init__(self) -> None:
        self.street = Puppet()
        me = self.street.me
        super().__init__(PUPPET, me.key_id, me._private_key.private_bytes_raw(), URL)
        self.street.heard, self.street.url = self.heard, URL
        self.answer = PLAIN_ACK
        """What it answers to every call."""
        self.now = lambda: self.street.clock.wall()

    def __call__(self, sites: Transport, clock: LoopClock) -> Transport:
        """Move in; see `play`."""
        assert isinstance(sites, MemoryTransport)
        self.street.sites, self.street.clock, self.send = sites, clock, self._send
        sites.attach(URL, self)
        return sites

    async def _send(self, url: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, Any]:
        all_headers = {"content-type": "application/json", **headers}
        reply = await self.street.sites.post(url, body, all_headers, timeout_s=5.0)
        return reply.status, json.loads(reply.body)

    async def enter(self, run: StreetRun) -> None:
        """Be registered, by the street's registrar."""
        self.street.run = run
        await self.street.register(self.street.me)

    async def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        """Take what comes, if its sender has signed it."""
        call = await self.verified(body, headers)
        assert path.rpartition("/")[2] == call["context"]["action"]
        self.heard.append(call)
        return self.answer

    async def hears(self, action: str, sender: str) -> Json:
        """Wait for a call; each is given once."""
        return await self.street.hears(action, sender)


def visited(act: Callable[[Visitor], Awaitable[None]], hours: float = 1.0) -> Street:
    """Run the street with a visitor that does `act`; its own books are right whatever that was."""
    visitor = Visitor()

    async def watch(run: StreetRun) -> None:
        await visitor.enter(run)
        await act(visitor)

    street = play(STREET, hours, seed=SEED, wrap=visitor, watch=watch)
    result = audit(street.books, frozenset(subscriber_ids(STREET)))
    assert result.findings == ()
    assert (result.energy_sum_wh, result.amount_sum_micro) == (0, 0)
    return street
