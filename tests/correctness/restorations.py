"""The same exploration of a trade in which one side is put back, at any time, to how it was before the trade.

It comes back with a copy of its database of that moment, and takes over what the other side holds signed. What is
asked and answered about that is one step: a crash in between leaves the copy. Nothing that it has sent before may
still arrive late.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tests.correctness.explore import TOGETHER, Exploration, Whole
from tests.correctness.model import EVIDENCE, TABLES, Moment
from wattmesh_cli.audit import audit
from wattmesh_cli.books import Pair, paired

BUYER, SELLER = "home-0.default", "roof-0.default"
LOST = {
    BUYER: frozenset({("none", "AGREED"), ("IN_DOUBT", "SETTLED")}),
    SELLER: frozenset((state, "none") for state in ("QUOTED", "IN_DOUBT", "EXPIRED", "CANCELLED")),
}
"""What buyer and seller can be besides when one has lost what it knew: quotes and terms that commit nobody nobody holds
signed, and who has taken over what it confirmed asks what became of it."""
LOST_WITH_TWO = {
    BUYER: frozenset[tuple[str, str]](),
    SELLER: frozenset({("IN_DOUBT", "QUOTED"), ("CANCELLED", "QUOTED"), ("CANCELLED", "EXPIRED")}),
}
"""And with a fault more: a `select` whose answer was lost is said again, and the seller quotes once more."""
NAMED = {("IN_DOUBT", "none"), ("IN_DOUBT", "SETTLED")}
"""In these the audit names what is at stake, until the buyer has heard."""


class Restorations(Exploration):
    """One buyer and one seller, of which `who` is put back; that is one of the faults."""

    def __init__(self, who: str, level_wh: int, most_faults: int) -> None:
        super().__init__((level_wh,), most_faults=most_faults, tables=(*TABLES, EVIDENCE))
        self.together = TOGETHER | LOST[who] | (LOST_WITH_TWO[who] if most_faults > 1 else frozenset())
        self.who = self.names[who]

    def start(self, *, calm_search: bool = True) -> Whole:
        """All selects are to be sent; that is when the copy was made."""
        whole = super().start(calm_search=calm_search)
        self.copy = self._moment(whole, self.who)
        return whole

    def _moves(self, whole: Whole) -> Iterator[tuple[str, Whole]]:
        yield from super()._moves(whole)
        actor = self.actors[self.who]
        on_its_way = any(message.party == actor.id for message, _ in whole.late)
        if self._may_fail(whole) and self.who not in whole.asleep and not on_its_way:
            self._go_to(whole.phase)
            partners = [moment for at, moment in enumerate(self._moments(whole)) if at != self.who]
            after = self._set(whole, self.who, actor.restore(self.copy, partners))
            if after != whole:
                yield f"{actor.id} comes back with an old copy", self._fault(after)

    def _check_books(self, moments: Sequence[Moment]) -> None:
        """As ever, but for what the audit names while the buyer waits to hear of it."""
        named = NAMED & {*self._pairs(moments)} & LOST[self.actors[self.who].id]
        anew = any(_quoted_anew(pair) for pair in paired(row for moment in moments for row in moment.book.contracts))
        if not named and not anew:
            super()._check_books(moments)
            return
        kinds = {one.kind for one in audit([moment.book for moment in moments]).findings}
        assert ("contract-terms" if anew else "contract-states") in kinds, "the audit does not name what is at stake"
        assert kinds <= {"contract-states", "ledger-sum"} | ({"contract-terms"} if anew else set())


def _quoted_anew(pair: Pair) -> bool:
    """Whether a buyer asks what became of an order that its seller has lost, and quoted once more."""
    return bool(pair.buyer and pair.buyer.in_doubt and pair.seller and pair.seller.order_id is None)
