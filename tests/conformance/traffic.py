"""All that goes over the wires of a street that trades, is cancelled, metered, shared and paid."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from tests.security.partners import bought
from tests.street.puppet import SEED, Puppet
from tests.world.manifests import households, market, planned, utility
from tests.world.street import play
from wattmesh_beckn.codec.v2.messages import BODIES, PUBLISH
from wattmesh_beckn.transport import Reply, Transport
from wattmesh_cli.street.run import StreetRun
from wattmesh_common.clock import LoopClock
from wattmesh_common.runtime import Vocabulary
from wattmesh_operator.plan import GatewayPlan

HOURS = 6.0


class Exchange(NamedTuple):
    """A call, and what it was answered with at once."""

    path: str
    request: Any
    answer: Any


class _Tap:
    """A transport that writes down what passes."""

    def __init__(self, wires: Transport, seen: list[Exchange]) -> None:
        self._wires, self._seen = wires, seen

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], *, timeout_s: float) -> Reply:
        reply = await self._wires.post(url, body, headers, timeout_s=timeout_s)
        path = next(
            (f"/{name}" for name in (*BODIES, PUBLISH) if url.endswith(f"/{name}")), f"/{url.rpartition('/')[2]}"
        )
        self._seen.append(Exchange(path, json.loads(body), json.loads(reply.body)))
        return reply


def traffic_v2() -> list[Exchange]:
    """The same of a street that speaks v2; in place of that buyer somebody repeats what it has not signed."""
    seen, wrapped = list[Exchange](), list[tuple[_Tap, LoopClock]]()

    def wrap(wires: Transport, clock: LoopClock) -> Transport:
        wrapped.append((_Tap(wires, seen), clock))
        return wrapped[0][0]

    async def repeat(run: StreetRun) -> None:  # noqa: ARG001
        [(tap, clock)] = wrapped
        while not (asked := [one.request for one in seen if one.path == "/select"]):
            await clock.sleep(1.0)
        body = json.dumps(asked[0]).encode()
        reply = await tap.post(f"{asked[0]['context']['bppUri']}/select", body, {}, timeout_s=1.0)
        assert reply.status == 401

    play(_street("protocols: [v2]"), HOURS, seed=SEED, wrap=wrap, watch=repeat)
    return seen


def traffic(vocabulary: Vocabulary) -> list[Exchange]:
    """What the members of a street say in six hours of a summer's day, and what they answer a buyer that cancels."""
    puppet, seen = Puppet(), list[Exchange]()

    def wrap(wires: Transport, clock: LoopClock) -> Transport:
        return _Tap(puppet(wires, clock), seen)

    async def cancel(run: StreetRun) -> None:
        await puppet.enter(run)
        order = await bought(puppet, "6743e9e2-4fb5-487c-92b7-13ba8018f176", kwh="0.200")
        body = {"order_id": order["id"], "cancellation_reason_id": "changed-mind"}
        await puppet.say(puppet.call("cancel", "roof-0", body, "6743e9e2-4fb5-487c-92b7-13ba8018f176"))
        await puppet.hears("on_cancel", "roof-0")

    play(_street(f"vocabulary: {vocabulary}"), HOURS, seed=SEED, wrap=wrap, watch=cancel)
    return seen


def _street(spec: str) -> GatewayPlan:
    return planned(
        market(spec)
        + utility(fees=", gridFee: 0.07, localGridFee: 0.02", more=", sharing: {key: proRata}")
        + households("roof", "battery: {capacityKwh: 10, initialKwh: 10}, pv: {peakKw: 8}, load: {annualKwh: 3000}")
        + households("low", "battery: {capacityKwh: 10, initialKwh: 1, powerKw: 4}, strategy: rules")
        + households("flat", "load: {annualKwh: 6000}", replicas=2)
    )
