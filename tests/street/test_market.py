"""Who buys what from whom: prices, several sellers, many buyers at once, a small utility, demand response."""

from __future__ import annotations

from collections import Counter, defaultdict

from tests.world.manifests import MARKET, households, planned, utility
from tests.world.street import play, short

STORE = "battery: {capacityKwh: 10, initialKwh: %s, powerKw: %s}"
FLAT = "load: {annualKwh: %d}, strategy: rules"


def _store(initial_kwh: str, price: str, *, power_kw: str = "5", sell_above: int = 50) -> str:
    return f"{STORE % (initial_kwh, power_kw)}, trading: {{sellAbovePercent: {sell_above}, sellPrice: {price}}}"


def test_the_cheapest_mix_wins_and_a_large_need_is_filled_by_several_sellers() -> None:
    # A buyer of 5 kW needs 1.25 kWh in a slot. The cheapest can spare 0.5 kWh, the next 0.5 kWh, the utility the rest.
    text = (
        MARKET
        + utility(price="0.25")
        + households("cheap", _store("10", "0.10", power_kw="2"))
        + households("middle", _store("10", "0.18", power_kw="2"))
        + households("dear", _store("10", "0.26"))
        + households("empty", STORE % ("1", "5") + ", strategy: rules")
    )
    street = play(planned(text), 0.75)
    street.check_sound()
    street.check_settled()
    by_slot: defaultdict[int, dict[str, tuple[int, int]]] = defaultdict(dict)
    for bought in street.contracts("buyer", "empty-0"):
        by_slot[bought.slot][short(bought.counterparty)] = (bought.energy_wh, bought.amount_micro)
    assert list(by_slot.values()) == 2 * [
        {"cheap-0": (500, 50_000), "middle-0": (500, 90_000), "utility": (250, 62_500)}
    ]
    [chosen] = [line for line in street.told("empty-0") if line.startswith("chosen")][:1]
    assert chosen == (
        "chosen: 0.500 kWh from cheap-0 at 0.100000, 0.500 kWh from middle-0 at 0.180000, "
        "0.250 kWh from utility at 0.250000 (the cheapest mix of 3 offers)"
    )


def test_ten_buyers_at_once_get_no_more_than_the_seller_holds() -> None:
    # 1 kWh above the threshold gives 0.95 kWh at the terminals, and ten flats want about 0.3 kWh each.
    text = (
        MARKET
        + utility()
        + households("small", _store("6", "0.10"))
        + households("flat", FLAT % 9000 + ", seed: 7", replicas=10)
    )
    street = play(planned(text), 0.5)
    street.check_sound()
    street.check_settled()
    sales = street.contracts("seller", "small-0")
    settled = [sale for sale in sales if sale.state == "SETTLED"]
    assert 900 <= sum(sale.delivered_wh or 0 for sale in settled) <= 950
    assert all(sale.delivered_wh == sale.energy_wh for sale in settled)
    assert street.level_wh("small-0") >= 5000
    served = Counter(short(bought.counterparty) for bought in street.contracts("buyer") if bought.state == "SETTLED")
    assert served["small-0"] == len(settled) >= 2
    assert served["utility"] >= 7
    declined = [line for n in range(10) for line in street.told(f"flat-{n}") if line.startswith("small-0 declined")]
    assert set(declined) <= {"small-0 declined: 40002 nothing to sell for 06:15-06:30"}


def test_a_utility_never_sells_more_than_its_capacity_in_a_slot() -> None:
    # 1 kW is 250 Wh in a slot; five flats want about four times as much.
    text = MARKET + utility(capacity_kw="1") + households("flat", FLAT % 9000, replicas=5)
    street = play(planned(text), 1.0)
    street.check_sound()
    street.check_settled()
    sold: Counter[int] = Counter()
    for sale in street.contracts("seller", "utility"):
        if sale.state == "SETTLED":
            sold[sale.slot] += sale.energy_wh
    assert 240 < max(sold.values()) <= 250  # a rest of less than 10 Wh is no trade
    # What it did not sell the flats drew all the same, from the backstop.
    drawn = [reading.imported_wh for n in range(5) for reading in street.readings(f"flat-{n}")]
    assert sum(drawn) > 0
