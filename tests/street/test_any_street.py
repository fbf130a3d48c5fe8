"""Whatever the profiles, prices, batteries, pricings and forecasts: every Wh and every millionth is accounted for."""

from __future__ import annotations

import logging
import tempfile
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.street.meters import START, Meter, metered, profile_csv
from tests.street.test_simulation import natural, study
from tests.world.manifests import MARKET, households, planned, utility
from tests.world.street import SLOT_S, Street, play, short
from wattmesh_cli.street_record import Over
from wattmesh_market.energy.forecast import FORECASTS
from wattmesh_market.pricing import PRICINGS

FIRST = START + 6 * 3600
SLOTS = 5
MOST_WH = 2500


@dataclass(frozen=True)
class Home:
    """A household to draw: its profile, and the rest of its manifest."""

    meter: Meter
    spec: str


energies = st.integers(0, 100) | st.integers(0, MOST_WH)
percents = st.integers(10, 100)  # the minimum level is at most a tenth


def prices(least: int, most: int) -> st.SearchStrategy[str]:
    return st.integers(least, most).map(lambda thousandths: f"{thousandths / 1000}")


@st.composite
def trading(draw: st.DrawFn, *, by_rules: bool = True) -> str:
    fields = {"pricing": draw(st.sampled_from(sorted(PRICINGS)))} if by_rules else {}
    if draw(st.booleans()):
        fields["sellPrice"] = draw(prices(0, 300))
    if draw(st.booleans()):
        fields["maxBuyPrice"] = draw(prices(100, 500))
    return flow(fields)


@st.composite
def homes(draw: st.DrawFn) -> Home:
    """Any household with a battery, from empty to full; half of them have plenty to sell."""
    meter = draw(st.lists(st.tuples(energies, energies), min_size=1, max_size=7))
    capacity_wh = draw(st.integers(1, 500) | st.integers(2000, 10_000))
    level_wh = draw(st.just(capacity_wh) | st.integers(0, capacity_wh))
    below, target, above = sorted(draw(st.tuples(percents, percents, percents)))
    battery = {
        "capacityKwh": capacity_wh / 1000,
        "initialKwh": level_wh / 1000,
        "minKwh": draw(st.integers(0, min(level_wh, capacity_wh // 10))) / 1000,
        "chargePowerKw": draw(st.integers(0, 10_000)) / 1000,
        "dischargePowerKw": draw(st.just(0) | st.integers(1000, 10_000)) / 1000,
        "chargeEfficiencyPercent": draw(st.integers(60, 100)),
        "dischargeEfficiencyPercent": draw(st.integers(60, 100)),
        "selfDischargePercentPerDay": draw(st.sampled_from([0, 0.1, 5, 100])),
    }
    levels = f"buyBelowPercent: {below}, buyTargetPercent: {target}, sellAbovePercent: {above}"
    prices = draw(trading())[:-1]
    return Home(tuple(meter), f"battery: {flow(battery)}, trading: {prices}, {levels}}}, {draw(ways())}")


@st.composite
def planners(draw: st.DrawFn) -> Home:
    """Any household that plans, half of them with a battery; most have sun to sell."""
    meter = draw(st.lists(st.tuples(energies, energies), min_size=1, max_size=7))
    capacity_wh = draw(st.integers(2000, 10_000))
    battery = {
        "capacityKwh": capacity_wh / 1000,
        "initialKwh": draw(st.integers(capacity_wh // 2, capacity_wh)) / 1000,
        "minKwh": draw(st.integers(0, capacity_wh // 2)) / 1000,
        "powerKw": draw(st.integers(0, 10_000)) / 1000 or 1,
        "chargeEfficiencyPercent": draw(st.integers(60, 100)),
        "dischargeEfficiencyPercent": draw(st.integers(60, 100)),
        "selfDischargePercentPerDay": draw(st.sampled_from([0, 0.1, 5])),
    }
    store = f"battery: {flow(battery)}, " if draw(st.booleans()) else ""
    metered_kw = max(wh for slot in meter for wh in slot) * 4 / 1000  # a connection carries what was measured
    connection_kw = max(metered_kw, draw(st.sampled_from([1, 4, 30])))
    written = draw(trading(by_rules=False))
    return Home(
        tuple(meter),
        f"{store}trading: {written}, connectionKw: {connection_kw}, strategy: plan, {draw(ways())}",
    )


@st.composite
def flats(draw: st.DrawFn) -> Home:
    """Any household without a battery."""
    meter = draw(st.lists(st.tuples(st.just(0) | energies, energies), min_size=1, max_size=7))
    return Home(tuple(meter), f"trading: {draw(trading())}, {draw(ways())}")


@st.composite
def ways(draw: st.DrawFn) -> str:
    forecast = f"forecast: {draw(st.sampled_from(sorted(FORECASTS)))}, seed: {draw(st.integers(0, 100))}"
    return f"{forecast}{draw(devices())}"


@st.composite
def devices(draw: st.DrawFn) -> str:
    """Up to two devices, whose windows begin, end and meet within the slots of a run."""
    loads = []
    for number in range(draw(st.sampled_from([0, 0, 1, 2]))):
        begin, slots = draw(st.integers(0, SLOTS)), draw(st.integers(1, SLOTS))
        power_w = draw(st.integers(4, 11_000))
        start, end = (f"{6 + at // 4:02}:{at % 4 * 15:02}" for at in (begin, begin + slots))
        kwh = draw(st.integers(1, slots * (power_w // 4))) / 1000
        window = f'{{from: "{start}", to: "{end}"}}'
        loads.append(f"{{name: device{number}, window: {window}, kwh: {kwh}, kw: {power_w / 1000}}}")
    return (f", shiftable: [{', '.join(loads)}]" if loads else "") + draw(cars())


@st.composite
def cars(draw: st.DrawFn) -> str:
    """A car or none, which may give to the house what it brings along."""
    begin, slots, charger_w = draw(st.integers(0, SLOTS - 2)), draw(st.integers(1, SLOTS)), draw(st.integers(4, 11_000))
    if draw(st.integers(0, 2)):
        return ""
    start, end = (f"{6 + at // 4:02}:{at % 4 * 15:02}" for at in (begin, begin + slots))
    kwh = draw(st.integers(1, slots * (charger_w // 4))) / 1000
    store = f", vehicleToHome: {{capacityKwh: {draw(st.integers(1, 9000)) / 1000}}}" if draw(st.booleans()) else ""
    plugged = f'{{from: "{start}", to: "{end}"}}'
    return f", ev: {{plugged: {plugged}, needsKwh: {kwh}, chargerKw: {charger_w / 1000}{store}}}"


def flow(fields: dict[str, Any]) -> str:
    return f"{{{', '.join(f'{name}: {value}' for name, value in fields.items())}}}"


@given(
    st.lists(homes(), min_size=1, max_size=3),
    st.lists(flats() | planners(), min_size=1, max_size=3),
    prices(0, 100) | prices(200, 500),
    prices(0, 150),
    st.sampled_from(["0.5", "50"]),
)
@settings(max_examples=8, suppress_health_check=[HealthCheck.too_slow])
def test_energy_balances_to_the_watt_hour_and_money_to_the_millionth(
    with_batteries: list[Home], without: list[Home], price: str, feed_in: str, capacity_kw: str
) -> None:
    drawn = [*with_batteries, *without]
    street = live(drawn, utility(price=price, capacity_kw=capacity_kw).replace("0.08", feed_in))
    street.check_sound()
    street.check_settled()
    for number, home in enumerate(drawn):
        check_readings(street, f"home{number}-0", home)
    entries = [entry for book in street.books for entry in book.ledger]
    assert sum(entry.energy_wh for entry in entries) == sum(entry.amount_micro for entry in entries) == 0
    check_kept(street)


@given(
    st.lists(planners(), min_size=2, max_size=4),
    st.lists(flats(), max_size=1),
    prices(200, 500),
    prices(0, 150),
    st.sampled_from(["", ", localGridFee: 0.02"]),
)
@settings(max_examples=5, suppress_health_check=[HealthCheck.too_slow])
def test_a_street_of_plans_has_the_same_books_by_calls_and_by_messages(
    plans: list[Home], by_rules: list[Home], price: str, feed_in: str, fees: str
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        grid = utility(price=price, fees=fees).replace("0.08", feed_in)
        plan = planned(manifests_of([*plans, *by_rules], grid, Path(folder)))
        by_calls = study(plan, Path(folder) / "calls", SLOTS)
        by_messages = study(plan, Path(folder) / "messages", SLOTS, over=Over.MESSAGES)
    assert natural(by_messages) == natural(by_calls)


def test_a_leaky_roof_sells_to_a_flat_and_delivers_all() -> None:
    leaky = "{capacityKwh: 10, initialKwh: 10, selfDischargePercentPerDay: 100, dischargeEfficiencyPercent: 87}"
    roof = Home(
        ((0, 700),), f"battery: {leaky}, trading: {{pricing: level, sellAbovePercent: 50}}, forecast: persistence"
    )
    flat = Home(((0, 400), (0, 300)), "trading: {pricing: fixed}, forecast: perfect")
    street = live([roof, flat], utility())
    street.check_sound()
    check_readings(street, "home0-0", roof)
    check_kept(street)
    # All slots but the first, which nobody could buy for; the utility sells at 0.25.
    bought = street.contracts("buyer", "home1-0")
    assert [(one.energy_wh, one.delivered_wh, short(one.counterparty)) for one in bought] == [
        (energy_wh, energy_wh, "home0-0") for energy_wh in (300, 400, 300, 400)
    ]
    assert all(one.amount_micro < one.energy_wh * 250 for one in bought)


def check_kept(street: Street) -> None:
    """What was confirmed is delivered, at the price that was offered."""
    settled = [sale for sale in street.contracts("seller") if sale.state == "SETTLED"]
    assert [sale for sale in settled if sale.delivered_wh != sale.energy_wh] == []
    assert [line for line in map(logging.LogRecord.getMessage, street.log) if "refused the quote" in line] == []


def live(drawn: list[Home], grid: str) -> Street:
    """What a street with these households leaves after some slots."""
    with tempfile.TemporaryDirectory() as folder:
        return play(planned(manifests_of(drawn, grid, Path(folder))), SLOTS / 4)


def manifests_of(drawn: list[Home], grid: str, folder: Path) -> str:
    """The manifests of a street, its profiles in files of `folder`."""
    text = MARKET + grid
    for number, home in enumerate(drawn):
        file = folder / f"home{number}.csv"
        file.write_text(profile_csv(home.meter))
        text += households(f"home{number}", f"profile: {{csv: {file}}}, {home.spec}")
    return text


def check_readings(street: Street, name: str, home: Home) -> None:
    """Each reading balances, begins where the one before ended, and stays within the battery's bounds."""
    readings = street.readings(name)
    assert [reading.slot for reading in readings] == [FIRST + SLOT_S * number for number in range(SLOTS)]
    for reading in readings:
        taken_wh = sum(device.taken_wh for device in reading.by_device)
        assert (reading.pv_wh, reading.load_wh - taken_wh) == metered(home.meter, reading.slot)
        for device in reading.by_device:
            assert device.begin <= reading.slot < device.end
            assert device.taken_wh >= 0
            assert device.taken_wh + device.charged_wh <= 11_000 // 4 >= device.discharged_wh
            assert not device.left_wh or reading.slot + SLOT_S < device.end, "it has what it needs in the end"
        into_wh = reading.pv_wh + reading.bought_wh + reading.imported_wh
        out_wh = reading.load_wh + reading.sold_wh + reading.exported_wh + reading.losses_wh
        assert reading.level_after_wh - reading.level_before_wh == into_wh - out_wh
        assert 0 <= reading.level_after_wh <= reading.capacity_wh
        assert min(reading.bought_wh, reading.sold_wh, reading.losses_wh) >= 0
        assert min(reading.imported_wh, reading.exported_wh) == 0
    for before, after in pairwise(readings):
        assert after.level_before_wh == before.level_after_wh
    assert street.level_wh(name) == readings[-1].level_after_wh
