"""The client end of `subscribe`: writes one entry into a registry."""

from __future__ import annotations

from typing import Any

import pydantic_core

from wattmesh_beckn.registry import RegistryUnavailable, Subscription
from wattmesh_beckn.signature import AUTHORIZATION, Signer
from wattmesh_beckn.transport import Reply, Transport, TransportError
from wattmesh_common.clock import Clock

_SIGNATURE_S = 30
_TIMEOUT_S = 5.0


class SubscriptionRefused(Exception):
    """The registry answered that it does not take the entry, and why."""


async def subscribe(registry_url: str, transport: Transport, clock: Clock, signer: Signer, entry: Subscription) -> None:
    """Write `entry`, signed by a registrar or by the subscriber itself.

    Raises SubscriptionRefused, or RegistryUnavailable when there is no answer or the registry is too busy for one.
    """
    url = f"{registry_url.rstrip('/')}/subscribe"
    body = entry.model_dump_json(exclude_none=True).encode()
    signature = signer.sign_until(body, clock.wall() + _SIGNATURE_S, clock)
    headers = {"content-type": "application/json", AUTHORIZATION: signature}
    try:
        reply = await transport.post(url, body, headers, timeout_s=_TIMEOUT_S)
    except TransportError as error:
        raise RegistryUnavailable(f"{url}: {error}") from None
    if reply.status >= 500 or reply.status == 429:
        raise RegistryUnavailable(f"{url} answered {reply.status}")
    if reply.status != 200:
        raise SubscriptionRefused(f"{url} answered {reply.status}: {_reason(reply)}")


def _reason(reply: Reply) -> str:
    try:
        answer: Any = pydantic_core.from_json(reply.body)
        return str(answer["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return reply.body[:200].decode(errors="replace")
