"""What a seller publishes, where a discovery service finds offers: all it has, and only what is other than before.

Who buys is not known yet, so the price of a household is told without the grid fee of local trade, and that beside it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wattmesh_market.parties.books import Published
from wattmesh_market.parties.selling import offered
from wattmesh_market.trade.messages import Call, Publish, PublishResult
from wattmesh_market.trade.refusal import Reason, Refused

if TYPE_CHECKING:
    from wattmesh_market.parties.party import Party


def publish(party: Party) -> None:
    """Tell the discovery service what could be had now, if that is other than what it was told last."""
    books, slot = party.books, party.following_slot()
    try:
        offers = offered(party, slot) if slot is not None else ()
    except Refused:  # there is nothing to sell
        offers = ()
    former = books.published
    if offers == former.offers:
        return
    books.publish(Published(offers, number=former.number + 1))
    until_ms = party.gate_ms(slot) if slot is not None else None
    occasion = f"{party.now.ms} {former.number}"
    party.send(party.around.gateway_id, party.derive_id("catalog"), Publish(offers), occasion, until_ms=until_ms)


def on_result(party: Party, call: Call, message: PublishResult) -> None:
    """The discovery service tells what became of what was published."""
    if call.sender != party.around.gateway_id:
        raise Refused(Reason.BUSINESS, f"nothing was published at {call.sender!r}")
    if message.refusal is not None:
        failed(party, message.refusal)


def failed(party: Party, why: str) -> None:
    """What was published has not arrived, or was refused."""
    party.tell("offers not published: %s", why)
    party.books.publish(party.books.published._replace(failed=True))


def again(party: Party) -> None:
    """A new slot: what has not arrived in the last one is to be published again."""
    if party.books.published.failed:
        party.books.publish(party.books.published._replace(offers=None, failed=False))
