"""Good calls as they stand on the wire, in plain JSON, and the parts that one makes of another's."""

from __future__ import annotations

import uuid
from typing import Any

from tests.world.subscribers import DOMAIN
from wattmesh_common.clock import rfc3339

Json = dict[str, Any]
Address = tuple[str, str]
"""Subscriber id and URL."""


def call(
    action: str,
    mine: Address,
    theirs: Address,
    message: Any,
    *,
    now: float,
    transaction: str | None = None,
    message_id: str | None = None,
    feeder: str = "main",
) -> Json:
    """A message from one subscriber to another, a buyer's request or a seller's callback."""
    bap, bpp = (theirs, mine) if action.startswith("on_") else (mine, theirs)
    context = {
        "domain": DOMAIN,
        "location": {"city": {"code": feeder}, "country": {"code": "DEU"}},
        "action": action,
        "version": "1.1.0",
        "bap_id": bap[0],
        "bap_uri": bap[1],
        "bpp_id": bpp[0],
        "bpp_uri": bpp[1],
        "transaction_id": transaction or str(uuid.uuid4()),
        "message_id": message_id or str(uuid.uuid4()),
        "timestamp": rfc3339(now),
        "ttl": "PT30S",
    }
    if action == "search":
        del context["bpp_id"], context["bpp_uri"]
    return {"context": context, "message": message}


def recipient(call: Json) -> str:
    """The name of whom a message is for: its id without the namespace."""
    context = call["context"]
    return str(context["bap_id" if context["action"].startswith("on_") else "bpp_id"]).partition(".")[0]


def quantity(kwh: str) -> Json:
    return {"selected": {"measure": {"value": kwh, "unit": "kWh"}}}


# --- messages about an order, made of what was said of it before ---


def taken(order: Json) -> Json:
    """`init`: a quote is taken."""
    return {"order": {**order, "billing": {"name": "puppet"}}}


def agreed(order: Json, order_id: str) -> Json:
    """`on_init`: what was quoted is due after delivery."""
    price = order["quote"]["price"]
    params = {"amount": price["value"], "currency": price["currency"]}
    payment = {"type": "POST-FULFILLMENT", "collected_by": "BPP", "status": "NOT-PAID", "params": params}
    return {"order": {**order, "id": order_id, "payments": [payment]}}


def paid(order: Json) -> Json:
    """`update`: what is due is paid."""
    payments = [{**order["payments"][0], "status": "PAID"}]
    return {"update_target": "order.payments", "order": {"id": order["id"], "payments": payments}}


def delivered(order: Json) -> Json:
    """`on_status`: all of it was delivered."""
    kwh = order["items"][0]["quantity"]["selected"]["measure"]["value"]
    tags = [{"descriptor": {"code": "delivery"}, "list": [{"descriptor": {"code": "delivered_kwh"}, "value": kwh}]}]
    fulfillment = {**order["fulfillments"][0], "state": {"descriptor": {"code": "DELIVERED"}}, "tags": tags}
    return {"order": {**order, "fulfillments": [fulfillment], "status": "COMPLETE"}}


def cancelled(order: Json) -> Json:
    """`on_cancel`: the seller cannot deliver."""
    ended = {**order["fulfillments"][0], "state": {"descriptor": {"code": "CANCELLED"}}}
    reason = {"reason": {"code": "CANCELLED", "name": "the battery broke"}}
    return {"order": {**order, "fulfillments": [ended], "status": "CANCELLED", "cancellation": reason}}


def catalog(item_id: str, price: str, available: Json, fulfillment: Json) -> Json:
    """`on_search`: the puppet's offer in a slot."""
    item = {
        "id": item_id,
        "descriptor": {"code": "energy", "name": "cheap energy"},
        "price": {"currency": "EUR", "value": price},
        "quantity": {"available": available},
        "fulfillment_ids": [fulfillment["id"]],
    }
    provider = {
        "id": "puppet.default",
        "descriptor": {"name": "puppet"},
        "items": [item],
        "fulfillments": [fulfillment],
    }
    return {"catalog": {"descriptor": {"name": "puppet"}, "providers": [provider]}}
