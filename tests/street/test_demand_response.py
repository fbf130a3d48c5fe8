"""In high demand the utility turns buyer; and what it may sell against what it bought."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.world.manifests import EXAMPLES, MARKET, RULES, example, households, planned, utility
from tests.world.street import Street, play, short
from wattmesh_beckn.transport import Reply, Transport, TransportError

# Five flats draw 1.4 to 1.6 kWh in a slot, the utility can supply 1.25 and wants to supply 0.75 at most. Its tariff is
# below what the roofs ask, so the flats buy of it; above 0.75 kWh it buys of the roofs, dearer than it sells.
CAPACITY_WH = 1250
START_WH = 750
MAX_PRICE_MICRO = 300_000
ROOF = "battery: {capacityKwh: 15, initialKwh: 15, powerKw: 3}, trading: {sellAbovePercent: 50, sellPrice: %s}"
STREET = planned(
    MARKET
    + utility(price="0.25", capacity_kw="5", more=", demandResponse: {startAtPercent: 60, maxPrice: 0.30}")
    + households("flat", "householdsPerPod: 5, load: {annualKwh: 10000}, strategy: rules", replicas=5)
    + households("roof", ROOF % "0.28", replicas=2)
    + households("dear", ROOF % "0.35")
)


def _settled_wh(street: Street, side: str) -> Counter[int]:
    """What the utility sold or bought by slot."""
    energy_wh: Counter[int] = Counter()
    for row in street.contracts(side, "utility"):
        if row.state == "SETTLED":
            energy_wh[row.slot] += row.energy_wh
    return energy_wh


def _check_buys_within_limit(street: Street, roofs: str, *, slots: int = 3) -> None:
    street.check_sound()
    street.check_settled()
    bought = [row for row in street.contracts("buyer", "utility") if row.state == "SETTLED"]
    assert len({row.slot for row in bought}) >= slots
    assert {short(row.counterparty).rpartition("-")[0] for row in bought} == {roofs}
    assert all((row.settled_micro or 0) * 1000 <= MAX_PRICE_MICRO * row.energy_wh for row in bought)


@pytest.fixture(scope="module")
def street() -> Street:
    return play(STREET, 1.5)


def test_above_its_start_the_utility_buys_from_those_below_its_limit(street: Street) -> None:
    _check_buys_within_limit(street, "roof")
    bought = [row for row in street.contracts("buyer", "utility") if row.state == "SETTLED"]
    assert all(row.settled_micro == 280 * row.energy_wh for row in bought)  # what the roofs ask
    first = bought[0]
    assert _settled_wh(street, "seller")[first.slot] - START_WH >= first.energy_wh
    reason, *_, success = street.told("utility", first.transaction_id)
    sold = _settled_wh(street, "seller")[first.slot]
    assert reason == f"high demand: {sold / 1000:.3f} kWh (sold {sold / 1000:.3f}, backstop 0.000) is above 0.750 kWh"
    assert success == (
        f"✅ Contract confirmed! Energy purchased. {first.energy_wh / 1000:.3f} kWh from "
        f"{short(first.counterparty)} relieve the feeder"
    )


def test_it_sells_its_capacity_and_what_it_bought_and_no_more(street: Street) -> None:
    sold, bought = _settled_wh(street, "seller"), _settled_wh(street, "buyer")
    assert [slot for slot in sold if sold[slot] > CAPACITY_WH + bought[slot]] == []
    assert max(sold.values()) > CAPACITY_WH


class _Cut:
    """A network on which the roofs never hear `init`: what the utility selects of them is never bought."""

    def __init__(self, inner: Transport) -> None:
        self._inner = inner

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], *, timeout_s: float) -> Reply:
        if "//roof" in url and url.endswith("/init"):
            raise TransportError("connection refused")
        return await self._inner.post(url, body, headers, timeout_s=timeout_s)


def test_it_does_not_sell_what_it_has_only_a_quote_for() -> None:
    street = play(STREET, 1.5, wrap=lambda inner, _: _Cut(inner))
    street.check_sound()
    street.check_settled()
    assert {row.state for row in street.contracts("buyer", "utility")} == {"EXPIRED"}
    sold = _settled_wh(street, "seller")
    assert 0 < max(sold.values()) <= CAPACITY_WH


@pytest.mark.parametrize(
    ("folder", "slots"), [pytest.param(RULES, 3, id="by rules"), pytest.param(EXAMPLES, 1, id="by plan")]
)
def test_the_utility_of_heatwave_buys_from_the_roofs(folder: Path, slots: int) -> None:
    _check_buys_within_limit(play(example("heatwave.yaml", folder=folder), 1.25), "rooftop", slots=slots)
