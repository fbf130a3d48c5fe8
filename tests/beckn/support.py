"""A street in small: two subscribers and a gateway with their keys, and one example of every message."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from tests.world.parties import FEEDER
from tests.world.subscribers import DOMAIN, entry_at, signer
from wattmesh_beckn.context import Context, request_context
from wattmesh_beckn.errors import Refusal
from wattmesh_beckn.registry import RegistryUnavailable, SubscriberType, Subscription, SubscriptionStatus
from wattmesh_beckn.signature import Signer
from wattmesh_beckn.transport import Reply
from wattmesh_common.clock import LoopClock, rfc3339, utc

Json = dict[str, Any]

NOW = 1_780_000_000.0
"""2026-05-28T20:26:40Z: when every test starts."""
TRANSACTION = "6d3f6c5e-0000-4000-8000-000000000001"
MESSAGE = "6d3f6c5e-0000-4000-8000-000000000002"
GONE = object()
"""In `changed`: the field is not there at all."""


def clock() -> LoopClock:
    """A clock that says NOW when the event loop starts."""
    return LoopClock(NOW)


def rng(seed: int) -> random.Random:
    """Chance that comes out the same every time."""
    return random.Random(seed)


BUYER, SELLER, GATEWAY = signer("buyer.street"), signer("seller.street"), signer("gateway.street")


def entry(
    owner: Signer,
    role: SubscriberType,
    *,
    status: SubscriptionStatus = SubscriptionStatus.SUBSCRIBED,
    valid_from: float = NOW - 1000,
    valid_until: float = NOW + 1000,
) -> Subscription:
    """What the registry says of a subscriber in a role."""
    validity: Json = {"valid_from": utc(valid_from), "valid_until": utc(valid_until)}
    return entry_at(NOW, owner, role, url=f"http://{owner.subscriber_id}/beckn", status=status, **validity)


class Entries:
    """A directory that holds `known`; with `down`, one that cannot be reached."""

    def __init__(self, *known: Subscription, fresh: Sequence[Subscription] = (), down: bool = False) -> None:
        self.known = known
        self.fresh = fresh
        self.down = down

    async def find(self, subscriber_id: str, *, fresh: bool = False) -> Sequence[Subscription]:
        if self.down:
            raise RegistryUnavailable("http://registry/lookup answered 500")
        return [one for one in (*self.known, *(self.fresh if fresh else ())) if one.subscriber_id == subscriber_id]


class Replies:
    """A transport that gives these answers one after the other, the last again and again, and keeps what was sent."""

    def __init__(self, *replies: Reply | Exception) -> None:
        self.replies = list(replies)
        self.sent: list[tuple[str, bytes, dict[str, str]]] = []
        self.timeouts: list[float] = []
        self.times: list[float] = []

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], *, timeout_s: float) -> Reply:
        self.sent.append((url, body, dict(headers)))
        self.timeouts.append(timeout_s)
        self.times.append(clock().wall())
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        if isinstance(reply, Exception):
            raise reply
        return reply


def refusal(info: pytest.ExceptionInfo[Refusal]) -> tuple[int, str, str, str | None]:
    """Status, code, message and path of a refusal."""
    return info.value.status, str(info.value.code), info.value.message, info.value.paths


def make_context(action: Any, *, now: float = NOW, ttl_s: float = 30.0, message_id: str = MESSAGE) -> Context:
    """The context of an `action` between buyer and seller."""
    return request_context(
        domain=DOMAIN,
        feeder=FEEDER,
        action=action,
        bap=("buyer.street", "http://buyer.street/beckn"),
        bpp=None if action == "search" else ("seller.street", "http://seller.street/beckn"),
        transaction_id=TRANSACTION,
        message_id=message_id,
        now=now,
        ttl_s=ttl_s,
    )


def changed(raw: Json, path: str, value: Any) -> Json:
    """A copy with the field at a dotted path set to `value`, or taken out when that is GONE."""
    result = copy.deepcopy(raw)
    *way, last = (int(part) if part.isdigit() else part for part in path.split("."))
    place: Any = result
    for part in way:
        place = place[part]
    if value is GONE:
        del place[last]
    else:
        place[last] = value
    return result


def example(action: str) -> Json:
    """A whole message as it stands on the wire, all its fields written out."""
    context = {
        "domain": DOMAIN,
        "location": {"city": {"code": FEEDER}, "country": {"code": "DEU"}},
        "action": action,
        "version": "1.1.0",
        "bap_id": "buyer.street",
        "bap_uri": "http://buyer.street/beckn",
        "bpp_id": "seller.street",
        "bpp_uri": "http://seller.street/beckn",
        "transaction_id": TRANSACTION,
        "message_id": MESSAGE,
        "timestamp": rfc3339(NOW),
        "ttl": "PT30S",
    }
    if action == "search":
        del context["bpp_id"], context["bpp_uri"]
    return {"context": context, "message": json.loads(json.dumps(EXAMPLES[action]))}


def wire(raw: Json) -> bytes:
    """JSON as bytes."""
    return json.dumps(raw).encode()


def _quantity(value: str) -> Json:
    return {"measure": {"value": value, "unit": "kWh"}}


_SLOT = {"start": "2026-05-28T10:00:00.000Z", "end": "2026-05-28T10:15:00.000Z"}
_STOP = {"time": {"range": _SLOT}}
_PRICE = {"currency": "EUR", "value": "0.187500"}
_TAGS = [{"descriptor": {"code": "delivery"}, "list": [{"descriptor": {"code": "delivered_kwh"}, "value": "1.100"}]}]
_SELECT: Json = {
    "provider": {"id": "seller.street"},
    "items": [{"id": "item-1", "quantity": {"selected": _quantity("1.250")}}],
    "fulfillments": [{"id": "slot-1", "stops": [_STOP], "tags": []}],
}
_QUOTED: Json = {
    **_SELECT,
    "quote": {
        "price": {"currency": "EUR", "value": "0.234375"},
        "breakup": [
            {
                "title": "energy",
                "price": {"currency": "EUR", "value": "0.234375"},
                "item": {"id": "item-1", "quantity": {"selected": _quantity("1.250")}},
            }
        ],
        "ttl": "PT12.5S",
    },
}
_INIT: Json = {**_QUOTED, "billing": {"name": "buyer.street"}}
_PAYMENT: Json = {
    "type": "POST-FULFILLMENT",
    "collected_by": "BPP",
    "status": "NOT-PAID",
    "params": {"amount": "0.234375", "currency": "EUR"},
}
_AGREED: Json = {**_INIT, "id": "order-1", "payments": [_PAYMENT]}
_DELIVERED: Json = {
    **_AGREED,
    "fulfillments": [
        {
            "id": "slot-1",
            "type": "DELIVERY",
            "state": {"descriptor": {"code": "DELIVERED"}},
            "stops": [
                {"type": "start", "location": {"city": {"code": FEEDER}, "country": {"code": "DEU"}}, **_STOP},
                {"type": "end", **_STOP},
            ],
            "tags": _TAGS,
        }
    ],
    "status": "COMPLETE",
}

EXAMPLES: dict[str, Json] = {
    "search": {
        "intent": {
            "item": {"descriptor": {"code": "energy"}, "quantity": {"selected": _quantity("5.200")}},
            "fulfillment": {"stops": [_STOP], "tags": []},
        }
    },
    "on_search": {
        "catalog": {
            "descriptor": {"name": "seller.street"},
            "providers": [
                {
                    "id": "seller.street",
                    "descriptor": {"name": "The house with the blue roof"},
                    "items": [
                        {
                            "id": "item-1",
                            "descriptor": {"code": "energy", "name": "Solar"},
                            "price": _PRICE,
                            "quantity": {"available": _quantity("1.250")},
                            "fulfillment_ids": ["slot-1"],
                        }
                    ],
                    "fulfillments": [{"id": "slot-1", "type": "DELIVERY", "stops": [_STOP], "tags": []}],
                }
            ],
        }
    },
    "select": {"order": _SELECT},
    "on_select": {"order": _QUOTED},
    "init": {"order": _INIT},
    "on_init": {"order": _AGREED},
    "confirm": {"order": _AGREED},
    "on_confirm": {"order": {**_AGREED, "status": "ACTIVE"}},
    "status": {"order_id": "order-1"},
    "on_status": {"order": _DELIVERED},
    "cancel": {"order_id": "order-1", "cancellation_reason_id": "no-longer-needed"},
    "on_cancel": {
        "order": {
            **_AGREED,
            "status": "CANCELLED",
            "cancellation": {"reason": {"descriptor": {"code": "no-longer-needed", "name": "No longer needed"}}},
        }
    },
    "update": {
        "update_target": "order.payments",
        "order": {"id": "order-1", "payments": [{**_PAYMENT, "status": "PAID"}]},
    },
    "on_update": {
        "order": {
            "id": "order-1",
            "payments": [{**_PAYMENT, "status": "PAID"}],
            "fulfillments": _DELIVERED["fulfillments"],
            "status": "COMPLETE",
            "quote": _QUOTED["quote"],
        }
    },
}
