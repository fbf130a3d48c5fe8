"""`subscribe`: a registrar, or a subscriber for itself, writes one entry of the registry.

In this order: size → parse → signature → rate → schema → replay → whether it may. Nobody else writes between reading
what is known and writing what is new.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from pydantic import ValidationError

from wattmesh_beckn.answers import json_reply
from wattmesh_beckn.errors import invalid
from wattmesh_beckn.receiver import check_size, parse, unauthorized
from wattmesh_beckn.registry import Subscription, SubscriptionStatus
from wattmesh_beckn.signature import (
    AUTHORIZATION,
    SignatureHeader,
    SignatureProblem,
    check_signature,
    check_times,
    parse_header,
)
from wattmesh_beckn.transport import Reply
from wattmesh_common.clock import Clock
from wattmesh_common.runtime import REGISTRAR
from wattmesh_gateway.limits import Limit
from wattmesh_gateway.problems import first_problem
from wattmesh_gateway.registry import AcceptedCall, Registry
from wattmesh_gateway.rules import (
    check_entry,
    check_key,
    check_not_reserved,
    check_order,
    check_renewal,
    identify,
    renewal_key,
)

CALLS_PER_S = 2.0
"""Of one subscriber for itself; each is a write to disk. Honest ones call once in months, for a new key or address.
Registrars are not limited: they register whole streets at once, and may write every entry anyway."""
CALLS_AT_ONCE = 20


class Subscribing:
    """The registry's writing end."""

    def __init__(self, *, gateway_id: str, registrar_keys: Mapping[str, str], registry: Registry, clock: Clock) -> None:
        self._gateway_id = gateway_id
        self._registrar_keys = registrar_keys
        self._registry = registry
        self._clock = clock
        self._reserved: Collection[str] = (REGISTRAR, gateway_id)
        self._limit = Limit(registry.database, clock, per_s=CALLS_PER_S, burst=CALLS_AT_ONCE, what="subscribe calls")

    async def answer(self, body: bytes, headers: Mapping[str, str]) -> Reply:
        """Write the entry in `body`. Raises Refusal, or RegistryUnavailable."""
        check_size(len(body))
        raw = parse(body)
        now = self._clock.machine()
        try:
            header = parse_header(headers.get(AUTHORIZATION))
            call = identify(header, body)
            await self._authenticate(header, raw, body, call, now)
        except SignatureProblem as problem:
            raise unauthorized(str(problem), self._gateway_id) from None
        if header.subscriber_id != REGISTRAR:
            await self._limit.require(header.subscriber_id)
        entry = _read(raw)
        check_entry(entry, now)
        async with self._registry.writing("subscribe", now) as writing:
            accepted = await writing.accepted_calls(entry.subscriber_id)
            if call.call in accepted.calls:
                return _TAKEN
            check_order(entry.subscriber_id, call, accepted)
            check_not_reserved(entry, self._reserved)
            held = await writing.find(entry.subscriber_id, now)
            if header.subscriber_id != REGISTRAR:
                check_renewal(entry, held, now)
            check_key(entry, held)
            await writing.put(entry, now, call)
        return _TAKEN

    async def _authenticate(
        self, header: SignatureHeader, raw: dict[str, Any], body: bytes, call: AcceptedCall, now: float
    ) -> None:
        claimed = raw.get("subscriber_id")
        check_times(header, self._clock.wall(), now)
        if header.subscriber_id == REGISTRAR:
            key = self._registrar_keys.get(header.key_id)
            if key is None:
                raise SignatureProblem(f"key {header.key_id!r} is no registrar's here")
        elif header.subscriber_id != claimed:
            raise SignatureProblem(
                f"signed by {header.subscriber_id!r} but subscriber_id is {claimed!r:.100}; only a registrar and the "
                "subscriber itself may write its entry"
            )
        else:
            known = call.call in (await self._registry.accepted_calls(header.subscriber_id)).calls
            key = renewal_key(header, await self._registry.find(header.subscriber_id, now), now, known=known)
        check_signature(header, body, key)


def _read(raw: dict[str, Any]) -> Subscription:
    try:
        return Subscription.model_validate(raw)
    except ValidationError as error:
        path, text = first_problem(error)
        raise invalid(text, path) from None


_TAKEN = json_reply(200, {"status": SubscriptionStatus.UNDER_SUBSCRIPTION})
"""What core's registry answers to any `subscribe` that it takes; how the entry stands is for `lookup` to say."""
