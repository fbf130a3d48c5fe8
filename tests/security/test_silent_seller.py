"""A seller that undercuts everybody, takes confirmations and is silent from then on: the attack on a whole street."""

from __future__ import annotations

from tests.security.cheap_seller import CheapSeller
from tests.security.partners import Played, honest_sales
from tests.street.puppet import PUPPET, Puppet
from wattmesh_cli.status import status_of
from wattmesh_market.trade.partners import MOST_DOUBTS, UNANSWERED

HOURS = 4.0


def test_honest_sales_go_on_beside_a_silent_seller_that_undercuts_everybody(played: Played) -> None:
    async def quiet(puppet: Puppet) -> None:
        await puppet.clock.sleep(1)

    silent: list[CheapSeller] = []

    async def attack(puppet: Puppet) -> None:
        silent.append(CheapSeller(puppet))
        await silent[0].play(int(HOURS * 4) - 2)

    before = honest_sales(played(quiet, hours=HOURS).books)
    street = played(attack, hours=HOURS)
    after = honest_sales(street.books)
    assert before >= 10
    assert after >= 0.8 * before, f"{after} of {before}"
    hung = [row for row in street.contracts("buyer") if row.counterparty == PUPPET and row.in_doubt]
    # Each buyer is taken in once; it asks again and again, and buys nothing more there meanwhile.
    assert len(hung) == len({row.party for row in hung}) == len(silent[0].confirmed) > 0
    assert len(hung) <= MOST_DOUBTS
    # Their readings are billed all the same.
    flat = [row for book in street.books for row in book.readings if row.party == hung[0].party]
    assert [row.state for row in flat].count("booked") >= len(flat) - 4
    taken_in = {row.party for row in hung}
    shown = {row.party: [(one.partner, one.why) for one in row.distrusts] for row in status_of(street.books, str)}
    assert all(shown[party] == [(PUPPET, UNANSWERED)] for party in taken_in)
    told = [record.getMessage() for record in street.log]
    assert any("passes over puppet: what became of a contract with it is not known" in line for line in told)
