"""What sellers offer, and what is looked for, from v2's messages of discovery."""

from __future__ import annotations

import re
from collections.abc import Iterator

from wattmesh_beckn.codec.v2.messages import CatalogsMessage, CatalogV2, DiscoverMessage, OfferV2
from wattmesh_beckn.codec.v2.parts import (
    CATALOGS,
    intervals_of,
    number_in,
    of_other_length,
    start_of,
    sum_of,
    whole_micro,
    whole_wh,
)
from wattmesh_beckn.codec.v2.writing import AVAILABLE, LOCAL_GRID_FEE, PRICE, delivery_id, filter_for, sought
from wattmesh_beckn.errors import ErrorCode, Refusal, declined
from wattmesh_beckn.registry import Subscription
from wattmesh_market.trade.messages import Search
from wattmesh_market.trade.offers import Offer
from wattmesh_market.units import MAX_ENERGY_WH

_OWN_OFFER = re.compile(r"energy-(\d{1,12})", re.ASCII)


def item_in(offer_id: str, series_start: int, slot: int, *, alone: bool) -> str:
    """The item of an offer in a slot: wattmesh's own name theirs, others' are told apart where there are several."""
    own = _OWN_OFFER.fullmatch(offer_id)
    if own is not None and int(own[1]) == series_start:
        return f"energy-{slot}"
    return offer_id if alone else f"{offer_id}@{slot}"


def read_search(message: DiscoverMessage) -> Search:
    """What a buyer looks for; declined where that is more than one seller can tell."""
    message.require_filters_alone()
    expression = message.intent.filters.expression if message.intent.filters else ""
    wanted = sought(expression)
    if wanted is None:
        text = f"a seller is asked for one slot: {filter_for(0)}; the discovery service takes any filter"
        raise declined(ErrorCode.ITEM_NOT_FOUND, text, "message.intent.filters.expression")
    return Search(wanted[0], None, wanted[1])


def all_offers(catalogs: CatalogsMessage, sender: Subscription, currency: str) -> Iterator[tuple[int, Offer]]:
    """The offers of catalogs. What the discovery service tells of one seller does not spoil what it tells of others."""
    for catalog in catalogs.catalogs:
        seller = catalog.bpp_id or sender.subscriber_id
        for offer in catalog.offers if catalog.is_active else ():
            try:
                yield from [*_offers(catalog, offer, seller, currency)]
            except Refusal:
                if sender.type != "BG":
                    raise


def _offers(catalog: CatalogV2, offer: OfferV2, seller: str, currency: str) -> Iterator[tuple[int, Offer]]:
    provider = None if catalog.provider.id == seller else catalog.provider.id
    attributes = offer.offer_attributes
    series = attributes.commitment_attributes if attributes else None
    if attributes is None or series is None or series.currency() not in (None, currency) or of_other_length(series):
        return
    alone = len(series.intervals) == 1
    fees = [flow for one in offer.considerations for flow in one.flows if flow.description == LOCAL_GRID_FEE]
    if any(fee.currency != currency for fee in fees):
        return
    start = start_of(series)
    for slot, interval in intervals_of(series, CATALOGS):
        price, available = number_in(interval, PRICE, path=CATALOGS), number_in(interval, AVAILABLE, path=CATALOGS)
        if price is None:
            continue
        available_wh = MAX_ENERGY_WH if available is None else whole_wh(available, CATALOGS)
        fee_micro = sum_of(one for one in fees if one.delivery_id in (delivery_id(slot), *([None] if alone else [])))
        item_id = item_in(offer.id, start, slot, alone=alone)
        price_micro, selects = whole_micro(price, CATALOGS), not attributes.select_optional
        yield slot, Offer(seller, item_id, price_micro, available_wh, provider, fee_micro, selects)
