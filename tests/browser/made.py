"""A live page of pods that say what a test makes them say: towns of any size, and pods that fall silent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI

from tests.browser.support import Served
from tests.gateway.live.pages import GATEWAY, SLOT, Pods, contract, message, party, raw_page
from tests.security.http_support import served
from tests.world.subscribers import DOMAIN, entry_at, signer
from tests.world.tokens import TOKEN
from wattmesh_common.clock import SystemClock, utc
from wattmesh_common.connections import Limits
from wattmesh_gateway.live.routes import add_live_page
from wattmesh_gateway.live.watch import Watch
from wattmesh_gateway.registry import Registry

SLOT_S = 900
FEEDERS, HOMES = 20, 50
"""Of the town: a thousand households."""


class MadeStreet(Served):
    """Serves the live page of these subscribers, `{pod: {subscriber id: feeder}}`."""

    def __init__(self, members: Mapping[str, Mapping[str, str]]) -> None:
        super().__init__()
        self.pods = Pods()
        self._members = members

    def say(self, pod: str, *parties: dict[str, Any], **changes: Any) -> None:
        """What a pod says from now on."""
        self.pods.pages[f"http://{pod}"] = raw_page(*parties, **changes)

    def silence(self, pod: str) -> None:
        """The pod answers no more."""
        del self.pods.pages[f"http://{pod}"]

    async def serve(self) -> None:
        """See Served."""
        clock, registry, app = SystemClock(), Registry(None), FastAPI()
        now = clock.wall()
        valid = {"valid_from": utc(now - 60), "valid_until": utc(now + 3600)}
        for pod, members in self._members.items():
            for name, feeder in members.items():
                url = f"http://{pod}/{name.partition('.')[0]}"
                await registry.put(entry_at(now, signer(name), "BPP", url=url, feeder=feeder, **valid), now)
        watch = Watch(GATEWAY, DOMAIN, registry, self.pods, clock, TOKEN)
        add_live_page(app, watch, clock, TOKEN)
        async with served(app, Limits()) as street:
            await self.end(f"http://127.0.0.1:{street.port}/")
            await watch.stop()
        registry.close()


def town() -> MadeStreet:
    """A thousand households on twenty feeders, one pod and one utility each. On the later feeders more sun shines; in
    each, the households with an odd number buy from the one before; the eighth's purchase has come to nothing.
    """
    feeders = [f"f{number:02}" for number in range(1, FEEDERS + 1)]
    made = MadeStreet(
        {feeder: dict.fromkeys([f"utility-{feeder}.town", *_homes(feeder)], feeder) for feeder in feeders}
    )
    for number, feeder in enumerate(feeders, start=1):
        homes = _homes(feeder)
        sold = {"price_micro_per_kwh": 250_000, "next_price_micro_per_kwh": 250_000, "role": "seller"}
        utility = party(f"utility-{feeder}.town", kind="utility", capacity_wh=0, level_wh=0, slot=SLOT, **sold)
        made.say(
            feeder,
            utility,
            *(_home(name, at) for at, name in enumerate(homes)),
            contracts=[side for at in range(1, HOMES, 2) for side in _contracts(feeder, homes[at], homes[at - 1])],
            happenings=[message("search", homes[8], GATEWAY, 1_000 + number, transaction_id=f"{feeder}-8")],
            readings={name: [[SLOT - SLOT_S, *_reading(at, number)]] for at, name in enumerate(homes)},
            open_purchases=[],
        )
        slots = [SLOT + (at - 96) * SLOT_S for at in range(96)]
        made.pods.pages[f"http://{feeder}/history"] = {
            "until": SLOT,
            "more": False,
            "feeders": {feeder: [[slot, HOMES, *_sums(at, number)] for at, slot in enumerate(slots)]},
        }
        for slot in slots:
            made.pods.pages[f"http://{feeder}/history/{slot}"] = {
                "readings": {name: [slot, *_reading(at, number)] for at, name in enumerate(homes)},
                "contracts": [
                    {**side, "slot": slot, "state": "SETTLED"} for side in _contracts(feeder, homes[1], homes[0])
                ],
            }
    return made


def _homes(feeder: str) -> list[str]:
    return [f"home-{feeder}-{number}.town" for number in range(HOMES)]


def _home(name: str, at: int) -> dict[str, Any]:
    role = "buyer" if at % 2 else "seller"
    return party(name, slot=SLOT, level_wh=100 * (at + 1), next_role=role, role=role, bought_wh=100 * at)


def _contracts(feeder: str, buyer: str, seller: str) -> list[dict[str, Any]]:
    common: dict[str, Any] = {"transaction_id": f"{feeder}-{buyer}", "slot": SLOT}
    return [
        contract("buyer", "CONFIRMED", party=buyer, counterparty=seller, **common),
        contract("seller", "CONFIRMED", party=seller, counterparty=buyer, **common),
    ]


def _reading(at: int, number: int) -> list[int]:
    """Level, PV, load, bought, sold, imported, exported."""
    return [100 * (at + 1), 20 * number, 150, 100 * (at % 2), 100 * ((at + 1) % 2), 50, 0]


def _sums(at: int, number: int) -> list[int]:
    """Of the HistoryRow behind slot and households."""
    sun = max(0, 48 - abs(48 - at)) * number
    return [20 * sun, HOMES * 150, HOMES * 150 - 20 * sun, 0, 0, HOMES * 100, 50 * number, 1_000 * number, 0]
