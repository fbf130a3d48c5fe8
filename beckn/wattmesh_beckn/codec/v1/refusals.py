"""A party's refusals as v1 says them: with the JSON path of what each is about."""

from __future__ import annotations

from collections.abc import Mapping

from wattmesh_beckn.codec.refusals import refusal_at
from wattmesh_beckn.errors import Refusal
from wattmesh_market.trade.messages import Action
from wattmesh_market.trade.refusal import About, Refused

_PATHS: Mapping[About, str] = {
    About.TRANSACTION: "context.transaction_id",
    About.ORDER: "message.order",
    About.ORDER_ID: "message.order.id",
    About.PROVIDER: "message.order.provider",
    About.ITEM: "message.order.items.0.id",
    About.ENERGY: "message.order.items.0.quantity",
    About.SLOT: "message.order.fulfillments.0",
    About.QUOTE: "message.order.quote",
    About.PRICE: "message.order.quote.price.value",
    About.CURRENCY: "message.order.quote.price.currency",
    About.BREAKUP: "message.order.quote.breakup",
    About.PAYMENT_AMOUNT: "message.order.payments.0.params.amount",
    About.PAYMENT_STATUS: "message.order.payments.0",
    About.READING: "message.order.fulfillments.0.tags",
    About.GRID_FEE: "message.order.fulfillments.0.tags",
    About.TARGET: "message.update_target",
}
_TIME_RANGE = "message.order.fulfillments.0.stops.0.time.range"
_PATHS_IN: Mapping[tuple[Action, About], str] = {
    (Action.SEARCH, About.SLOT): _TIME_RANGE,
    (Action.SELECT, About.SLOT): _TIME_RANGE,
    (Action.SELECT, About.ITEM): "message.order.items.0",
}
"""Where an action's path is not the usual one."""


def path_of(action: Action, about: About) -> str:
    """The JSON path of what a refusal is about; in an order of several deliveries it leads to the first."""
    return _PATHS_IN.get((action, about)) or _PATHS[about]


def to_wire(refused: Refused, action: Action) -> Refusal:
    """A party's refusal of a call, with Beckn's code, status and path."""
    return refusal_at(refused, None if refused.about is None else path_of(action, refused.about))
