"""A party's refusals as v2 says them: with the JSON path of what each is about."""

from __future__ import annotations

from collections.abc import Mapping

from wattmesh_beckn.codec.refusals import refusal_at
from wattmesh_beckn.errors import Refusal
from wattmesh_market.trade.messages import Action
from wattmesh_market.trade.refusal import About, Refused

_CONTRACT = "message.contract"
_SERIES = f"{_CONTRACT}.commitments.0.commitmentAttributes"
_SETTLEMENT = f"{_CONTRACT}.settlements.0.settlementAttributes"
_PATHS: Mapping[About, str] = {
    About.TRANSACTION: "context.transactionId",
    About.ORDER: _CONTRACT,
    About.ORDER_ID: f"{_CONTRACT}.id",
    About.PROVIDER: f"{_CONTRACT}.commitments.0.offer.provider",
    About.ITEM: f"{_CONTRACT}.commitments.0.offer.id",
    About.ENERGY: f"{_SERIES}.intervals",
    About.SLOT: f"{_SERIES}.intervalPeriod",
    About.QUOTE: f"{_CONTRACT}.contractAttributes.quoteValidUntil",
    About.PRICE: f"{_CONTRACT}.consideration",
    About.CURRENCY: f"{_CONTRACT}.consideration",
    About.BREAKUP: f"{_CONTRACT}.consideration",
    About.PAYMENT_AMOUNT: f"{_SETTLEMENT}.amount",
    About.PAYMENT_STATUS: f"{_CONTRACT}.settlements.0",
    About.READING: f"{_SERIES}.intervals",
    About.GRID_FEE: f"{_CONTRACT}.consideration",
    About.TARGET: _CONTRACT,
}
_FILTER = "message.intent.filters.expression"


def to_wire(refused: Refused, action: Action) -> Refusal:
    """A party's refusal of a call, with Beckn's code, status and path; of several deliveries it leads to the first."""
    about = refused.about
    path = None if about is None else _FILTER if action is Action.SEARCH else _PATHS[about]
    return refusal_at(refused, path)
