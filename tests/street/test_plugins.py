"""Plug-ins on a live street: whatever they do, the books are right, and the pod's log and metrics name them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from itertools import count

import pytest

from tests.world import plugged
from tests.world.manifests import MARKET, households, planned, utility
from tests.world.street import Street, play
from wattmesh_agents.metrics import PodMetrics
from wattmesh_cli.street.run import StreetRun
from wattmesh_market.energy.devices.demand import devices
from wattmesh_market.energy.forecast import forecasts
from wattmesh_market.plugins.watch import Trouble
from wattmesh_market.strategies import strategies

ROOF = "pv: {peakKw: 8}, battery: {capacityKwh: 6, initialKwh: 5}, load: {annualKwh: 3500}"


def played(strategy: Callable[..., object], more: str = "", hours: float = 8) -> tuple[Street, tuple[Trouble, ...]]:
    """Two roofs with a strategy, and two flats; and what the roofs' pods know of their plug-ins in the end."""
    name = strategies.give(strategy)
    roofs = households("roof", f"{ROOF}, strategy: '{name}'{more}", replicas=2)
    plan = planned(MARKET + utility() + roofs + households("flat", "load: {annualKwh: 2500}", replicas=2))
    runs: list[StreetRun] = []

    async def remember(run: StreetRun) -> None:
        runs.append(run)

    street = play(plan, hours, watch=remember)
    street.check_sound()
    street.check_settled()
    return street, tuple(trouble for pod in runs[0].pods.values() for trouble in pod.watch.troubles)


def errors(street: Street) -> list[str]:
    return [record.getMessage() for record in street.log if record.levelno >= logging.ERROR]


def test_a_plugin_sells() -> None:
    street, troubles = played(plugged.fair)
    assert len(street.contracts("seller", "roof-0")) > 10
    assert troubles == ()
    assert errors(street) == []


@pytest.mark.parametrize(
    ("strategy", "what"),
    [
        (plugged.broken, "raised: ZeroDivisionError: at "),
        (plugged.wild, "answered nonsense: Sell.energy_wh must be from 0 to"),
        (plugged.wordy, "answered nonsense: it must be Buy(…), Sell(…) or Hold(), not "),
        (plugged.quits, "raised: SystemExit"),
    ],
)
def test_a_bad_strategy_holds_and_each_pod_says_so_once(strategy: Callable[..., object], what: str) -> None:
    street, troubles = played(strategy)
    assert len(errors(street)) == 2
    assert all(f"strategy {strategies.give(strategy)} (given in Python) {what}" in text for text in errors(street))
    assert min(trouble.times for trouble in troubles) > 5
    sold = [row for roof in ("roof-0", "roof-1") for row in street.contracts("seller", roof)]
    # The clock starts at 06:00; the broken one breaks at noon.
    assert {row.slot // 3600 % 24 for row in sold} == ({*range(6, 12)} if strategy is plugged.broken else set())


def test_a_bad_forecast_leaves_its_slots_out() -> None:
    street, _ = played(plugged.fair, f", forecast: '{forecasts.give(plugged.Oracle)}'", hours=14)
    sold = [row.slot // 3600 % 24 for row in street.contracts("seller", "roof-0")]
    assert sold
    assert max(sold) < 18
    assert "no weather for that slot" in errors(street)[0]


def test_a_bad_device_needs_what_is_configured() -> None:
    name = devices.give(plugged.thirsty)
    ev = f'ev: {{plugged: {{from: "09:00", to: "12:00"}}, needsKwh: 2, chargerKw: 4, plugin: "{name}"}}'
    street, _ = played(plugged.fair, f", {ev}")
    assert f"device {name} (given in Python) answered nonsense: what a device needs must be" in errors(street)[0]
    assert errors(street)[0].endswith("so it needs what is configured)")
    readings = [row for book in street.books for row in book.readings if row.party == "roof-0.default"]
    assert sum(one.taken_wh for row in readings for one in row.by_device) == 2000


def test_a_slow_strategy_is_set_aside_for_the_life_of_the_pod(monkeypatch: pytest.MonkeyPatch) -> None:
    # Each look at the stopwatch is 2 s after the one before.
    monkeypatch.setattr("wattmesh_agents.pod.stopwatch", count(0, 2).__next__)
    street, troubles = played(plugged.fair)
    faults = {(trouble.fault.value, trouble.plugin) for trouble in troubles}
    assert {fault for fault, _ in faults} == {"is slow", "is set aside"}
    assert any("is slow: it took 2.0 s for a household's slot, and may take 1 s" in text for text in errors(street))
    sold = sorted({row.slot for row in street.contracts("seller", "roof-0")})
    assert len(sold) <= 3
    assert any("is set aside: it took too long before" in text for text in errors(street))


def test_metrics_count_what_plugins_did_wrong() -> None:
    _, troubles = played(plugged.wild, hours=2)
    metrics = PodMetrics()
    metrics.show_plugins(troubles[:1])
    labels = {"plugin": troubles[0].plugin, "fault": "answered nonsense"}
    assert metrics.registry.get_sample_value("wattmesh_plugin_troubles", labels) == troubles[0].times
