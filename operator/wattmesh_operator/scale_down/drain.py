"""Draining: households that leave make no new contracts, settle the open ones, close their account, deregister and go.

What is known of a drain is what is observed: the Deployments that are there, since when they say that their
households drain, what the households answer, and what the registry holds.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from pydantic import ValidationError

from wattmesh_beckn.signature import AUTHORIZATION, Signer
from wattmesh_beckn.transport import Transport, TransportError
from wattmesh_common.clock import Clock
from wattmesh_common.drain import DRAIN, DrainAnswer, DrainCall
from wattmesh_market.energy.slots import SLOT_S
from wattmesh_market.schedule import CLOSED_AFTER_S
from wattmesh_operator.cluster.objects import Object, annotations_of
from wattmesh_operator.desired.names import DRAINING, HOUSEHOLDS
from wattmesh_operator.resources.beckn_gateway import Clock as GridClockSpec

_LIMIT_S = 600.0
"""How long open contracts, unpriced readings, or a registry that does not answer can hold a household up, on top of
what it takes until its slots are closed (wall time)."""
_CLOSED_S = CLOSED_AFTER_S + 2 * SLOT_S
"""So long after its last trade for the slot traded now a household's readings are priced (grid time): it asks for its
bills a slot after they are there, and does not wait for their hour."""
_TIMEOUT_S = 2.0
_SIGNATURE_S = 30
_AT_ONCE = 50


@dataclass(frozen=True)
class Household:
    """A household that is there, as its pod's Deployment tells; `since` which unix second it drains, if it does."""

    name: str
    number: int
    pod: str
    since: int | None


@dataclass(frozen=True)
class Draining:
    """A household that shall go, since unix second `since`. `has_settled` is None when it does not answer.

    After `limit_s` it is not waited for any longer, nor for a registry that does not answer.
    """

    household: Household
    since: int
    has_settled: bool | None
    limit_s: float

    def is_late(self, now: float) -> bool:
        """Whether it has had all the time it gets."""
        return now - self.since >= self.limit_s

    def is_done(self, now: float) -> bool:
        """Whether nothing is open any more, or it took too long."""
        return self.has_settled is True or self.is_late(now)


def limit_s(gateway: Object | None) -> float:
    """How long (wall seconds) what is open, or a registry that does not answer, can hold up who trades there."""
    spec = (gateway or {}).get("spec") or {}
    speed = float((spec.get("clock") or {}).get("speed", GridClockSpec.model_fields["speed"].default))
    return _LIMIT_S + _CLOSED_S / speed


def households_of(agent: str, deployments: Sequence[Object]) -> list[Household]:
    """The households of a SolarAgent that are there, by their number."""
    found: list[Household] = []
    for deployment in deployments:
        annotations = annotations_of(deployment)
        listed = annotations.get(HOUSEHOLDS, ""), annotations.get(DRAINING, "{}")
        found += _households(agent, deployment["metadata"]["name"], *listed)
    return sorted(found, key=lambda household: household.number)


@lru_cache(maxsize=4_096)  # each pass looks at all, and most have not changed since the last one
def _households(agent: str, pod: str, names: str, draining: str) -> tuple[Household, ...]:
    since = _drains(draining)
    return tuple(
        Household(name, int(number), pod, since.get(name))
        for name in names.split(",")
        if (number := name.removeprefix(f"{agent}-")).isdecimal() and name.startswith(f"{agent}-")
    )


def drains_of(deployment: Object) -> dict[str, int]:
    """Since which unix second households of a pod drain; none if somebody wrote something else there."""
    return _drains(annotations_of(deployment).get(DRAINING, "{}"))


def _drains(text: str) -> dict[str, int]:
    try:
        return {str(name): int(since) for name, since in json.loads(text).items()}
    except (ValueError, TypeError, AttributeError):
        return {}


def replicas_now(replicas: int, drains: Sequence[Draining], gone: Collection[str]) -> int:
    """How many households shall be there now: the highest numbers go first, each when it is among the `gone`."""
    return max([replicas, *(d.household.number + 1 for d in drains if d.household.name not in gone)])


@dataclass(frozen=True)
class Asked:
    """A household to be asked, where it is reached, and whose word it takes."""

    subscriber_id: str
    url: str
    registrar: Signer


async def ask_to_drain(asked: Asked, draining: bool, transport: Transport, clock: Clock) -> bool | None:
    """Tell a household whether to drain; whether it has settled and closed its account, None if it does not answer."""
    # The name keeps others from handing the call on, the id from saying it again once it no longer holds.
    call = DrainCall(subscriber_id=asked.subscriber_id, message_id=str(uuid.uuid4()), draining=draining)
    body = call.model_dump_json().encode()
    signature = asked.registrar.sign_until(body, clock.wall() + _SIGNATURE_S, clock)
    headers = {"content-type": "application/json", AUTHORIZATION: signature}
    try:
        reply = await transport.post(f"{asked.url}/{DRAIN}", body, headers, timeout_s=_TIMEOUT_S)
        if reply.status != 200:
            return None
        answer = DrainAnswer.model_validate_json(reply.body)
        left = answer.open_contracts + answer.unpriced_readings
        return left == 0 if answer.closed is None else answer.closed
    except (TransportError, ValidationError):
        return None


async def ask_all(
    households: Mapping[str, Asked], draining: bool, transport: Transport, clock: Clock
) -> dict[str, bool | None]:
    """`ask_to_drain` for many households, by name; all of them have as long to answer as one has."""
    asking = asyncio.Semaphore(_AT_ONCE)

    async def ask(name: str) -> bool | None:
        async with asking:
            return await ask_to_drain(households[name], draining, transport, clock)

    asked = {name: asyncio.create_task(ask(name)) for name in households}
    try:
        if asked:
            await asyncio.wait(asked.values(), timeout=_TIMEOUT_S)
        return {name: task.result() if task.done() else None for name, task in asked.items()}
    finally:
        for task in asked.values():
            task.cancel()
