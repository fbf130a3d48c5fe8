"""What a seller publishes, where a discovery service finds offers: all it has, and only what is other than before.

Who buys is not known yet, so the price of a household is told without the grid fee of local trade, and that beside it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wattmesh_market.parties.books import Alarm, AlarmKind, Published
from wattmesh_market.parties.selling import offered
from wattmesh_market.schedule import AHEAD_S, PUBLISHED_S, quiet_until_s
from wattmesh_market.trade.messages import Call, Publish, PublishResult
from wattmesh_market.trade.offers import Offer
from wattmesh_market.trade.refusal import Reason, Refused

if TYPE_CHECKING:
    from wattmesh_market.parties.party import Party


def publish(party: Party) -> None:
    """Tell the discovery service what could be had now, if that is other than what it was told last.

    What passes is no news to it, so more is told than anybody asks for. While nobody looks, nothing is told.
    """
    books, slot, former = party.books, party.following_slot(), party.books.published
    offers = _offered(party, slot, AHEAD_S)
    if former.offers is not None:
        left = tuple([one for one in former.offers if one[0] > party.now.slot])
        asked = tuple([one for one in left if one[0] <= party.now.slot + AHEAD_S])
        if asked == offers and (offers or not left):
            return
        if (look_s := quiet_until_s(party.now.grid_s)) is not None:
            party.alarm(Alarm(AlarmKind.PUBLISH), look_s)
            return
    if offers:
        offers = _offered(party, slot, PUBLISHED_S)
    books.publish(Published(offers, number=former.number + 1))
    until_ms = party.gate_ms(slot) if slot is not None else None
    occasion = f"{party.now.ms} {former.number}"
    party.send(party.around.gateway_id, party.derive_id("catalog"), Publish(offers), occasion, until_ms=until_ms)


def _offered(party: Party, slot: int | None, ahead_s: int) -> tuple[tuple[int, Offer], ...]:
    """What could be had in the slot that is traded now, and up to so long from its start; nothing where it cannot."""
    try:
        return offered(party, slot, slot + ahead_s) if slot is not None else ()
    except Refused:
        return ()


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
