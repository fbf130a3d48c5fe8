"""The files of the run's street: what an operator would have written for the containers, and who registers."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import blake2b
from pathlib import Path
from typing import get_args

from tests.chaos.carrier import SINK
from tests.chaos.schedule import Kind
from tests.world.subscribers import gateway_config
from wattmesh_agents.store.database import Database
from wattmesh_beckn.signature import Signer
from wattmesh_cli.state import TOKEN
from wattmesh_cli.street.keys import kept_signers, kept_token
from wattmesh_cli.street.run import subscriber_ids
from wattmesh_common.fields import ProtocolVersion
from wattmesh_common.runtime import REGISTRAR, ClockConfig
from wattmesh_operator.manifests import load
from wattmesh_operator.plan import GatewayPlan, Participant, plan, runtime_config
from wattmesh_operator.registry.entries import Registrant

GATEWAY = "gateway"
FEEDERS = ("north", "south")
_MANIFEST = Path(__file__).parent / "street.yaml"
_FLOODERS = 8
"""One subscriber alone is held back by its own limit."""


@dataclass(frozen=True)
class Street:
    """A plan with its files in `state`; `url_of` says where the post reaches a process. `epoch` is unix seconds."""

    state: Path
    plan: GatewayPlan
    signers: dict[str, Signer]
    url_of: Callable[[str], str]
    epoch: float

    @property
    def registrar(self) -> Signer:
        """Who registers everybody."""
        return self.signers[REGISTRAR]

    @property
    def speed(self) -> float:
        """Grid seconds per second."""
        return float(self.plan.resource.spec.clock.speed)

    @property
    def broadcasts(self) -> bool:
        """Whether searches are broadcast, as in v1; else there is a discovery service alone."""
        return "v1" in self.plan.resource.spec.protocols

    def now(self) -> datetime:
        """Grid time."""
        start = self.plan.resource.spec.clock.start
        return start + timedelta(seconds=(time.time() - self.epoch) * self.speed)

    @property
    def pods(self) -> list[str]:
        """The agents' processes."""
        return [pod.name for pod in self.plan.pods]

    def kind(self, process: str) -> Kind:
        """What runs in a process."""
        return next(kind for kind in get_args(Kind) if process.startswith(kind))

    def feeder(self, process: str) -> str:
        """The feeder of a pod."""
        return next(pod.participants[0].feeder for pod in self.plan.pods if pod.name == process)

    def database(self, pod: str) -> Path:
        """A pod's database."""
        return self.state / "agents" / f"{pod}.db"

    def write(self, end: datetime | None = None) -> None:
        """Write every process's configuration; no slot that starts at or after `end` is traded."""
        (self.state / "agents").mkdir(exist_ok=True)
        url, database = self.url_of(GATEWAY), Path("gateway.db")
        spec = self.plan.resource.spec
        clock = ClockConfig(start=spec.clock.start, epoch=self.epoch, speed=self.speed)
        gateway = gateway_config(
            self.plan.subscriber_id, self.registrar, url, database, protocols=spec.protocols, clock=clock
        )
        kept_token(self.state / TOKEN)
        (self.state / "gateway.json").write_text(gateway.model_dump_json(), encoding="utf-8")
        for pod in self.plan.pods:
            config = runtime_config(pod, gateway_url=self.url_of(GATEWAY), epoch=self.epoch, end=end)
            (self.state / f"{pod.name}.json").write_text(config.model_dump_json(), encoding="utf-8")

    def command(self, process: str) -> list[str]:
        """What comes after `python -m` in the container."""
        files = ["--config", f"{process}.json", "--keys", "keys.json"]
        if process == GATEWAY:
            return ["wattmesh_gateway", *files, "--token", TOKEN]
        return ["wattmesh_agents", *files, "--database", str(self.database(process)), "--url", self.url_of(process)]

    def registrants(self) -> list[Registrant]:
        """Everybody who shall be in the registry, the flooders included."""
        living = [(participant, pod.name) for pod in self.plan.pods for participant in pod.participants]
        spoken = self.plan.resource.spec.protocols
        flooding = [
            (Participant(f"flood-{n}", flooder(n), FEEDERS[n % 2], ("BAP",), spoken), SINK) for n in range(_FLOODERS)
        ]
        return [
            Registrant(
                participant,
                f"{self.url_of(process)}/{participant.name}",
                self.signers[participant.subscriber_id].key_id,
                self.signers[participant.subscriber_id].public_key,
            )
            for participant, process in (*living, *flooding)
        ]

    def flooders(self, feeder: str) -> Sequence[Signer]:
        """Subscribers of a feeder that throw searches at the gateway."""
        return [self.signers[flooder(number)] for number in range(_FLOODERS) if FEEDERS[number % 2] == feeder]


def flooder(number: int) -> str:
    """A flooder's subscriber id."""
    return f"flood-{number}.default"


def make_street(
    seed: int, state: Path, url_of: Callable[[str], str], epoch: float, protocols: Sequence[ProtocolVersion]
) -> Street:
    """A new street in `state`. Its databases' salts come from the seed, and so do the ids of all messages."""
    manifest = state / "street.yaml"
    spoken = f"spec:\n  protocols: [{', '.join(protocols)}]\n  clock:"
    manifest.write_text(_MANIFEST.read_text(encoding="utf-8").replace("spec:\n  clock:", spoken), encoding="utf-8")
    (planned,) = plan(load([manifest]))
    ids = [*subscriber_ids(planned), *(flooder(number) for number in range(_FLOODERS))]
    street = Street(state, planned, kept_signers(state / "keys.json", ids), url_of, epoch)
    street.write()
    for pod in street.pods:
        salt = blake2b(f"{seed}/{pod}".encode(), digest_size=16).hexdigest()
        Database.open(street.database(pod), salt=salt).close()
    return street
