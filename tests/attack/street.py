"""The street that is attacked, in a process of its own: `python -m tests.attack.street STATE SPEED PROTOCOL…`.

Gateway and pods as `wattmesh up` runs them, over HTTP on loopback. Writes where they listen, as JSON, to standard
output; ends when standard input does, and leaves its databases in STATE.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

from tests.world.manifests import households, market, planned, utility
from wattmesh_cli.state import locked
from wattmesh_cli.street.local import running_street
from wattmesh_common.logs import configure
from wattmesh_operator.plan import GatewayPlan

_MEMBERS = (
    utility()
    + households("roof", "battery: {capacityKwh: 10, initialKwh: 10}, trading: {sellAbovePercent: 50}", replicas=2)
    + households("low", "battery: {capacityKwh: 10, initialKwh: 1, powerKw: 4}, strategy: rules", replicas=2)
    + households("flat", "load: {annualKwh: 6000}", replicas=4)
)


def street_of(*protocols: str) -> GatewayPlan:
    """The street in a network that speaks these versions of Beckn."""
    return planned(market(f"protocols: [{', '.join(protocols)}]") + _MEMBERS)


STREET = street_of("v1")


async def _serve(plan: GatewayPlan, state: Path, speed: float) -> None:
    async with running_street(plan, state, speed=speed) as street:
        origins = {name: pod.url for pod in street.pods.values() for name in pod.parties}
        said = {"pid": os.getpid(), "origins": {"gateway": street.gateway_url, **origins}}
        sys.stdout.write(json.dumps(said) + "\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.read)


def main() -> None:
    """Serve until standard input ends."""
    configure(sys.stderr)
    state, speed, plan = Path(sys.argv[1]), float(sys.argv[2]), street_of(*sys.argv[3:])
    with locked(state):
        asyncio.run(_serve(plan, state, speed))


if __name__ == "__main__":
    main()
