"""Who attacks: a registered subscriber that goes on whatever it is answered, in virtual time or over HTTP alone."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from tests.attack.street import STREET
from tests.security.partners import tell
from tests.street.puppet import PUPPET, SEED, STRANGER, Puppet
from tests.world.calls import Json
from tests.world.loopback import Loopback
from wattmesh_beckn.answers import ack
from wattmesh_beckn.signature import Signer
from wattmesh_beckn.transport import Reply, TransportError
from wattmesh_cli.state import CLOCK, KEYS, TOKEN
from wattmesh_cli.street.keys import derived_signers, kept_signers
from wattmesh_cli.street.run import subscriber_ids
from wattmesh_cli.street.virtual_time import EPOCH
from wattmesh_common.clock import SystemClock
from wattmesh_common.reading_token import read_token
from wattmesh_market.energy.slots import SLOT_S, slot_of

MOST_HEARD = 1_000


class Foe(Puppet):
    """A puppet of the attacked street, at a speed. `origins` has the URLs by name, the gateway's too."""

    origins: Mapping[str, str]

    def __init__(self, signers: Mapping[str, Signer], speed: float) -> None:
        super().__init__()
        self.speed, self.slot_s = speed, SLOT_S / speed
        self.signers = {**signers, **derived_signers([PUPPET, STRANGER], SEED)}
        self.me = self.signers[PUPPET]
        self.sent = 0

    @property
    @abstractmethod
    def grid_s(self) -> float:
        """Grid time (unix seconds)."""

    @property
    def slot(self) -> int:
        """The slot that is delivered now."""
        return slot_of(self.grid_s)

    async def until_slot(self, slot: int, part: float = 0.0) -> None:
        """Wait for a part of a slot; 0 is its start."""
        await self.clock.sleep(max(0.0, (slot + part * SLOT_S - self.grid_s) / self.speed) + 0.01)

    async def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> Reply:  # noqa: ARG002
        """Take everything, and keep the newest of what is Beckn's."""
        call = json.loads(body)
        if "context" in call:
            self.heard.append(call)
        del self.heard[:-MOST_HEARD]
        return ack()

    async def send(self, to: str, action: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        """Post to a household's endpoint, past all clients."""
        self.sent += 1
        return await super().send(to, action, body, headers)

    async def say(self, call: Json) -> None:
        """Send a message, whatever is said to it."""
        try:
            await tell(self, call)
        except TransportError:
            await self.clock.sleep(0.05)


class VirtualFoe(Foe):
    """Use it as `wrap` of a run in memory at that speed; call `enter` first."""

    def __init__(self, speed: float) -> None:
        super().__init__(derived_signers(subscriber_ids(STREET), SEED), speed)
        self.origins = {"gateway": "http://gateway"}

    @property
    def grid_s(self) -> float:
        """Grid time, by the clock of the run."""
        return STREET.resource.spec.clock.start.timestamp() + (self.clock.wall() - EPOCH) * self.speed


class HttpFoe(Foe):
    """One outside of the process of a street at `origins`, whose files are in `state`: the registrar made its key."""

    def __init__(self, state: Path, origins: Mapping[str, str], speed: float) -> None:
        super().__init__(kept_signers(state / KEYS, subscriber_ids(STREET)), speed)
        self.origins, self._state = origins, state
        self.wires = Loopback()
        self.wires.origins.update(origins)
        self.sites, self.clock = self.wires, SystemClock()
        self.reading = read_token(state / TOKEN)
        """The market's: readers have the right to read, and misuse it."""

    async def join(self) -> None:
        """Listen, and be registered in both roles."""
        self.url = await self.wires.listen("puppet", self)
        await self.register(self.me)

    @property
    def grid_s(self) -> float:
        """Grid time, from what the street's process writes down twice a second."""
        kept = json.loads((self._state / CLOCK).read_bytes())
        since_s = self.clock.wall() - float(kept["wall"])
        return datetime.fromisoformat(kept["grid"]).timestamp() + since_s * self.speed

    async def send(self, to: str, action: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        """Post to a household's endpoint, past all clients."""
        self.wires.sent.clear()
        return await super().send(to, action, body, headers)
