"""A street with a plug-in strategy, devices and a series of prices, and the image of the plug-in's own Dockerfile."""

from __future__ import annotations

import json
import os
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.e2e.kube import Kube, command, condition, until
from tests.e2e.market import Books, audit_findings, books, counted, gateway, resource, solar

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]
CHART, PLUGIN = str(ROOT / "charts/wattmesh"), str(ROOT / "examples/plugin")
REPOSITORY = "wattmesh/runtime-lp"
DAY = datetime.fromisoformat("2026-06-21T00:00+02:00")
PRICES = [0.20 + 0.01 * hour for hour in range(24)]
"""What the utility asks for a kWh in each hour of that day."""
HOUSES = ("roof-0", "car-0")
INSTALLED = "from importlib.metadata import entry_points; print(*entry_points(group='wattmesh.strategies').names)"


def street() -> list[dict[str, object]]:
    """A market by day: a roof that goes by the plug-in, and a house with a car and a dishwasher."""
    lines = [f"{(DAY + timedelta(hours=hour)).isoformat()},{price:.2f}" for hour, price in enumerate(PRICES)]
    text = "\n".join(("time,price (EUR/kWh)", *lines, ""))
    tariff = {"price": 0, "feedIn": 0.08, "series": {"inline": text}}
    car = {"plugged": {"from": "10:15", "to": "16:00"}, "needsKwh": 6, "chargerKw": 4}
    dishes = {"name": "dishwasher", "window": {"from": "10:30", "to": "15:00"}, "kwh": 1, "kw": 2}
    return [
        gateway(speed=60),  # so that the pods are there before the car drives off
        resource("UtilityAgent", "utility", {"tariff": tariff, "capacityKw": 60}),
        solar("roof", strategy="lp", pv={"peakKw": 10}, battery={"capacityKwh": 20, "initialKwh": 18, "powerKw": 5}),
        solar("car", load={"annualKwh": 9000}, ev=car, shiftable=[dishes]),
    ]


@pytest.fixture(scope="module")
def plugged(cluster: Kube) -> Kube:
    """The street, on a cluster whose agents' image has no plug-in yet."""
    kube = cluster.of("plugged")
    kube.make()
    kube.apply(*street())
    return kube


def image_with_plugin(cluster: Kube) -> str:
    """Have the cluster hold the agents' image with the plug-in: its tag."""
    tag = os.environ["E2E_TAG"]
    name = f"{REPOSITORY}:{tag}"
    runtime = "--build-arg=RUNTIME=wattmesh/runtime:dev"
    command("docker", "build", "--quiet", runtime, f"--tag={name}", PLUGIN, timeout_s=300)
    command("kind", "load", "docker-image", "--name", cluster.context.removeprefix("kind-"), name, timeout_s=300)
    return tag


def test_the_plugins_own_dockerfile_makes_an_image_that_has_it(cluster: Kube) -> None:
    """Early, since it takes a while; a second time it is there already."""
    tag = image_with_plugin(cluster)
    shown = command("docker", "run", "--rm", "--entrypoint=python", f"{REPOSITORY}:{tag}", "-c", INSTALLED)
    assert "lp" in shown.split()


@pytest.mark.alone
def test_an_image_without_the_plugin_is_told(plugged: Kube) -> None:
    plugged.ready("beckngateway/market", "utilityagent/utility", "solaragent/car")

    def told() -> bool:
        return "no strategy 'lp'" in condition(plugged.get("solaragent", "roof"), "Ready")["message"]

    until("the strategy that lacks is told", told)


@pytest.mark.alone
def test_with_it_the_street_trades_and_its_books_are_right(plugged: Kube, cluster: Kube) -> None:
    tag = image_with_plugin(cluster)
    image = f"runtimeImage.repository={REPOSITORY},runtimeImage.tag={tag}"
    cluster.helm("upgrade", "wattmesh", CHART, "--reuse-values", "--set", image, "--wait", "--timeout", "3m")
    command("docker", "rmi", f"{REPOSITORY}:{tag}")
    plugged.ready("solaragent/roof", "solaragent/car")

    def traded() -> bool:
        return len(books(plugged, "roof-0").settled("seller")) >= 3

    until("the plug-in has sold", traded)
    until("the car has charged", lambda: took(books(plugged, "car-0"), "ev") > 0)
    wrong = [name for name in counted(plugged, "deployment/roof-0") if name.startswith("wattmesh_plugin_troubles{")]
    assert not wrong
    billed = [row for pod in HOUSES for row in books(plugged, pod).tables["ledger"] if row["kind"] == "backstop"]
    bought = [row for row in billed if row["energy_wh"] > 0]
    assert bought
    for row in bought:
        hour = int((row["slot"] - DAY.timestamp()) // 3600)
        assert -row["amount_micro"] == pytest.approx(row["energy_wh"] * PRICES[hour] * 1000, abs=1)
    until("the audit finds nothing", lambda: audit_findings(plugged) == [])


def took(found: Books, device: str) -> int:
    """What a device has taken so far, in Wh."""
    devices = [json.loads(row["devices"] or "[]") for row in found.tables["readings"]]
    return sum(one["taken_wh"] for told in devices for one in told if one["name"] == device)
