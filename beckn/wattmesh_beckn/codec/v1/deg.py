"""The vocabulary of the energy networks' layer-2 document for peer-to-peer trading (`uei:p2p_trading`, version 1.1.0).

It asks for more fields than core does, and for codes of its own. `enriched` makes of a message in wattmesh's own words
one that meets it; what these codes cannot tell apart stands beside them, in names that the document leaves free.
Reading takes both vocabularies, so this is only about writing.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from wattmesh_beckn.codec.port import Envelope
from wattmesh_beckn.messages import ENERGY, GRID_FEE
from wattmesh_common.clock import rfc3339
from wattmesh_market.energy.slots import SLOT_S
from wattmesh_market.parties.selling import CANCEL_BEFORE_PPM
from wattmesh_market.schedule import moment_s
from wattmesh_market.trade.contracts import DELIVERED, OVER, ContractState

Json = dict[str, Any]

_NO_PICTURE = "data:image/svg+xml,%3Csvg%20xmlns='http://www.w3.org/2000/svg'/%3E"
"""The document wants a picture of everything; wattmesh has none."""
_TITLES: Mapping[str, str] = {ENERGY: "ENERGY", GRID_FEE: "DISCOM_FEES"}
_CATEGORY = "energy"
_BY_SELLER = frozenset({"on_select", "on_init", "on_confirm", "on_status", "on_cancel", "on_update"})
_STATED = frozenset({"on_confirm", "on_status", "on_cancel", "on_update"})


def enriched(action: str, message: Json, envelope: Envelope, currency: str) -> Json:
    """The same message as the layer-2 document wants it."""
    if action == "on_search":
        return {"catalog": _catalog(message["catalog"])}
    if "order" not in message:
        return message
    order: Json = dict(message["order"])
    if "quote" in order:
        order["quote"] = _quote(order["quote"])
    if action == "on_update":
        order = _updated(order, envelope, currency)
    if "payments" in order:
        order["payments"] = [_payment(one, order) for one in order["payments"]]
    if action in _BY_SELLER:
        order["provider"] = {**order["provider"], "descriptor": _pictured(order["provider"]["id"])}
        order["items"] = [_item(one, order, currency) for one in order["items"]]
    if action in _STATED:
        order["fulfillments"] = [{**one, "state": _state(one)} for one in order["fulfillments"]]
    if action in _STATED or action == "on_init":
        order["cancellation_terms"] = [_cancellation_term(one["id"]) for one in order["fulfillments"]]
    if action == "on_init":
        order.pop("id", None)  # an order has its id once it is confirmed
    if action == "on_cancel":
        order["cancellation"] = {
            "time": rfc3339(envelope.now_ms / 1000),
            "cancelled_by": "CONSUMER",
            **order.get("cancellation", {}),
        }
    return {**message, "order": order}


def _catalog(catalog: Json) -> Json:
    if not catalog["providers"]:
        return {"descriptor": {"name": ENERGY}}
    providers = [
        {
            **provider,
            "descriptor": _pictured(provider["descriptor"]["name"]),
            "categories": [{"id": _CATEGORY, "descriptor": {"name": ENERGY}}],  # its codes are sun and wind alone
            "items": [{**item, "category_ids": [_CATEGORY]} for item in provider["items"]],
        }
        for provider in catalog["providers"]
    ]
    return {**catalog, "providers": providers}


def _pictured(name: str) -> Json:
    return {"name": name, "short_desc": name, "images": [{"url": _NO_PICTURE}]}


def _quote(quote: Json) -> Json:
    return {**quote, "breakup": [_part(part) for part in quote["breakup"]]}


def _part(part: Json) -> Json:
    title = part["title"]
    if title in _TITLES:
        return {**part, "title": _TITLES[title]}
    return {**part, "title": "ADD_ON", "item": {**part.get("item", {}), "descriptor": {"code": title}}}


def _payment(payment: Json, order: Json) -> Json:
    return {
        **payment,
        "id": payment.get("id") or order["fulfillments"][0]["id"],
        "type": payment["type"].replace("-", "_"),
        "status": payment["status"].replace("-", "_"),
    }


def _item(item: Json, order: Json, currency: str) -> Json:
    """An item with what a kWh of it costs, all in."""
    parts = order["quote"]["breakup"]
    if len(order["items"]) > 1:  # the grid fee of an only delivery names no item
        parts = [part for part in parts if part.get("item", {}).get("id") == item["id"]]
    amounts = [part["price"]["value"] for part in parts]
    energy_kwh = Decimal(item["quantity"]["selected"]["measure"]["value"])
    per_kwh = sum(map(Decimal, amounts)) / energy_kwh if energy_kwh else Decimal(0)
    price = {"currency": currency, "value": f"{per_kwh:.6f}"}
    return {**item, "descriptor": {"code": ENERGY, "name": ENERGY, "short_desc": item["id"]}, "price": price}


def _state(fulfillment: Json) -> Json:
    """The document has three codes; which state it is exactly stands in the name."""
    name = fulfillment.get("state", {}).get("descriptor", {}).get("code", ContractState.CONFIRMED.value)
    state = ContractState(name)
    code = "ORDER_COMPLETED" if state in DELIVERED else "CANCELLED" if state in OVER else "ORDER_PLACED"
    return {"descriptor": {"code": code, "name": name}}


def _cancellation_term(fulfillment_id: str) -> Json:
    """Until when a delivery may be cancelled, at no cost."""
    slot = int(fulfillment_id.removeprefix("slot-"))
    until = rfc3339(moment_s(slot - SLOT_S, CANCEL_BEFORE_PPM))
    return {"cancel_by": {"timestamp": until}, "cancellation_fee": {"percentage": "0"}}


def _updated(order: Json, envelope: Envelope, currency: str) -> Json:
    """A receipt or a priced reading with what an order has beside it: whose it is, what of, and how paid."""
    payments = order.get("payments") or [{"type": "POST-FULFILLMENT", "collected_by": "BPP", "status": "NOT-PAID"}]
    amount = str(sum([Decimal(one.get("params", {}).get("amount", "0")) for one in payments]))
    paid = [{"id": one.get("id", "slot-0"), "type": ENERGY} for one in payments]
    fulfillments = order.get("fulfillments") or paid
    price = {"currency": currency, "value": amount}
    bpp = envelope.bpp[0] if envelope.bpp else ""
    nothing = {"selected": {"measure": {"value": "0.000", "unit": "kWh"}}}
    return {
        "provider": {"id": bpp},
        "items": [{"id": order["id"], "quantity": nothing}],
        "quote": {"price": price, "breakup": [{"title": "ENERGY", "price": price}], "ttl": "PT30S"},
        "billing": {"name": envelope.bap[0]},
        **order,
        "fulfillments": fulfillments,
        "payments": payments,
    }
