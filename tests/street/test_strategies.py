"""examples/strategies.yaml: every pricing finds its buyers, at the prices that it is to name."""

from __future__ import annotations

from collections import defaultdict

from tests.world.manifests import example
from tests.world.street import play, short
from wattmesh_market.units import amount_micro


def test_each_pricing_sells_within_its_bounds_and_no_quote_is_dearer_than_its_offer() -> None:
    street = play(example("strategies.yaml"), 1.0)
    street.check_sound()
    street.check_settled()
    asked: defaultdict[str, set[int]] = defaultdict(set)
    for row in street.contracts("buyer"):
        asked[short(row.counterparty)].add(row.offered_micro_per_kwh or 0)
    assert asked["fixed-roof-0"] == {170_000}
    assert asked["middle-roof-0"] == {190_000}
    assert all(120_000 <= price <= 300_000 for price in asked["level-roof-0"])
    assert all(80_000 <= price <= 300_000 for price in asked["random-roof-0"])
    assert min(len(asked["level-roof-0"]), len(asked["random-roof-0"])) > 1, "they move"
    sold = {short(sale.party) for sale in street.contracts("seller") if sale.state == "SETTLED"}
    assert {"fixed-roof-0", "level-roof-0", "middle-roof-0", "random-roof-0"} <= sold
    for bought in street.contracts("buyer", "middle-flat-0"):
        assert bought.amount_micro <= amount_micro(190_000, bought.energy_wh)
    assert [record.getMessage() for record in street.log if "refused the quote" in record.getMessage()] == []
