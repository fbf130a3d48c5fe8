"""Where a trade can stand: each stage trades up to there and gives the good message that comes next."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable

from tests.street.puppet import Puppet
from tests.world.calls import Json, agreed, cancelled, catalog, delivered, paid, quantity, taken
from wattmesh_market.energy.slots import slot_range

Stage = Callable[[Puppet], Awaitable[Json]]
PRICE = "0.050000"
QUIET_S = 0.05
"""Trades take no virtual time: after this, what a message set going has come to its end."""


def fulfillment(slot: int) -> Json:
    start, end = (moment.isoformat().replace("+00:00", "Z") for moment in slot_range(slot))
    return {
        "id": f"slot-{slot}",
        "type": "energy",
        "stops": [{"type": "start", "time": {"range": {"start": start, "end": end}}}],
    }


# --- the puppet buys from roof-0, or is supplied by the utility ---


async def search(puppet: Puppet) -> Json:
    await puppet.until_slot(puppet.slot, 0.05)
    intent = {
        "item": {"descriptor": {"code": "energy"}, "quantity": quantity("1.000")},
        "fulfillment": fulfillment(puppet.next_slot),
    }
    call = puppet.call("search", "roof-0", {"intent": intent}, str(uuid.uuid4()))
    if puppet.protocol == "v2":  # it has no broadcast: a seller is asked by name
        call["context"] |= {"bpp_id": "roof-0.default", "bpp_uri": "http://roof-0/roof-0"}
    return call


async def select(puppet: Puppet) -> Json:
    await puppet.until_slot(puppet.slot, 0.05)
    slot = puppet.next_slot
    order = {
        "provider": {"id": "roof-0.default"},
        "items": [{"id": f"energy-{slot}", "quantity": quantity("1.000")}],
        "fulfillments": [fulfillment(slot)],
    }
    return puppet.call("select", "roof-0", {"order": order}, str(uuid.uuid4()))


async def init(puppet: Puppet) -> Json:
    call = await select(puppet)
    await puppet.say(call)
    quoted = (await puppet.hears("on_select", "roof-0"))["message"]["order"]
    return puppet.call("init", "roof-0", taken(quoted), call["context"]["transaction_id"])


async def confirm(puppet: Puppet) -> Json:
    call = await init(puppet)
    await puppet.say(call)
    agreed = (await puppet.hears("on_init", "roof-0"))["message"]["order"]
    return puppet.call("confirm", "roof-0", {"order": agreed}, call["context"]["transaction_id"])


async def status(puppet: Puppet) -> Json:
    call = await confirm(puppet)
    await puppet.say(call)
    order = (await puppet.hears("on_confirm", "roof-0"))["message"]["order"]
    return puppet.call("status", "roof-0", {"order_id": order["id"]}, call["context"]["transaction_id"])


async def cancel(puppet: Puppet) -> Json:
    call = await status(puppet)
    message = {"order_id": call["message"]["order_id"], "cancellation_reason_id": "changed-my-mind"}
    return puppet.call("cancel", "roof-0", message, call["context"]["transaction_id"])


async def late_cancel(puppet: Puppet) -> Json:
    call = await cancel(puppet)
    await puppet.until_slot(puppet.next_slot, 0.35)
    return _afresh(puppet, call)


async def late_confirm(puppet: Puppet) -> Json:
    call = await confirm(puppet)
    await puppet.until_slot(puppet.next_slot, 0.35)
    return _afresh(puppet, call)


async def early_pay(puppet: Puppet) -> Json:
    call = await confirm(puppet)
    await puppet.say(call)
    return puppet.call("update", "roof-0", paid(call["message"]["order"]), call["context"]["transaction_id"])


async def reading_at_roof(puppet: Puppet) -> Json:
    call = await reading(puppet)
    return puppet.call("update", "roof-0", call["message"], call["context"]["transaction_id"])


async def pay(puppet: Puppet) -> Json:
    call = await status(puppet)
    await puppet.until_slot(puppet.next_slot, 1.2)
    order = (await puppet.hears("on_status", "roof-0"))["message"]["order"]
    return puppet.call("update", "roof-0", paid(order), call["context"]["transaction_id"])


async def reading(puppet: Puppet) -> Json:
    await puppet.until_slot(puppet.next_slot, 0.35)
    tags = [
        {
            "descriptor": {"code": "meter"},
            "list": [
                {"descriptor": {"code": "imported_kwh"}, "value": "0.200"},
                {"descriptor": {"code": "exported_kwh"}, "value": "0.000"},
            ],
        }
    ]
    order = {
        "id": "supply-puppet.default",
        "fulfillments": [{**fulfillment(puppet.slot - 900), "tags": tags}],
    }
    message = {"update_target": "order.fulfillments", "order": order}
    return puppet.call("update", "utility", message, str(uuid.uuid4()))


# --- the puppet sells to low-0, which finds nothing cheaper ---


async def on_search(puppet: Puppet) -> Json:
    heard = {"context": await puppet.sought_by("low-0")}
    available = {"measure": {"value": "9.000", "unit": "kWh"}}
    message = catalog("cheap", PRICE, available, fulfillment(puppet.next_slot))
    return _answer(puppet, "on_search", message, heard)


async def on_select(puppet: Puppet) -> Json:
    await puppet.say(await on_search(puppet))
    heard = await puppet.hears("select", "low-0")
    price = {"currency": "EUR", "value": PRICE}  # low-0 buys 1 kWh
    order = {**heard["message"]["order"], "quote": {"price": price, "ttl": "PT20S"}}
    return _answer(puppet, "on_select", {"order": order}, heard)


async def on_init(puppet: Puppet) -> Json:
    await puppet.say(await on_select(puppet))
    heard = await puppet.hears("init", "low-0")
    return _answer(puppet, "on_init", agreed(heard["message"]["order"], "order-1"), heard)


async def on_confirm(puppet: Puppet) -> Json:
    await puppet.say(await on_init(puppet))
    heard = await puppet.hears("confirm", "low-0")
    return _answer(puppet, "on_confirm", {"order": {**heard["message"]["order"], "status": "ACTIVE"}}, heard)


async def on_status(puppet: Puppet) -> Json:
    call = await on_confirm(puppet)
    await puppet.say(call)
    await puppet.until_slot(puppet.next_slot, 1.35)
    return _delivered(puppet, call)


async def early_on_status(puppet: Puppet) -> Json:
    call = await on_confirm(puppet)
    await puppet.say(call)
    return _delivered(puppet, call)


def _delivered(puppet: Puppet, call: Json) -> Json:
    return puppet.call("on_status", "low-0", delivered(call["message"]["order"]), call["context"]["transaction_id"])


async def on_update(puppet: Puppet) -> Json:
    await puppet.say(await on_status(puppet))
    heard = await puppet.hears("update", "low-0")
    return _answer(puppet, "on_update", {"order": {**heard["message"]["order"], "status": "COMPLETE"}}, heard)


async def on_cancel(puppet: Puppet) -> Json:
    call = await on_confirm(puppet)
    await puppet.say(call)
    return _cancelled(puppet, call)


async def too_late_on_cancel(puppet: Puppet) -> Json:
    call = await on_status(puppet)
    await puppet.say(call)
    return _cancelled(puppet, call)


def _cancelled(puppet: Puppet, call: Json) -> Json:
    return puppet.call("on_cancel", "low-0", cancelled(call["message"]["order"]), call["context"]["transaction_id"])


def _afresh(puppet: Puppet, call: Json) -> Json:
    """The same, said now."""
    context = call["context"]
    return puppet.call(context["action"], "roof-0", call["message"], context["transaction_id"])


def _answer(puppet: Puppet, action: str, message: Json, heard: Json) -> Json:
    context = heard["context"]
    return puppet.call(action, "low-0", message, context["transaction_id"], context["message_id"])


STAGES: dict[str, Stage] = {
    stage.__name__: stage
    for stage in (
        search, select, init, confirm, late_confirm, status, cancel, late_cancel, early_pay, pay, reading,
        reading_at_roof,
        on_search, on_select, on_init, on_confirm, on_status, early_on_status, on_cancel, too_late_on_cancel, on_update,
    )
}  # fmt: skip
