"""What is measured and told at the end."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.kube import Kube, command, is_so, until
from tests.e2e.market import SPEED, gateway, metrics, solar, utility, writes

pytestmark = [pytest.mark.e2e, pytest.mark.alone]

CHART = Path(__file__).parents[2] / "charts/wattmesh"
WATCHED_S = 35
"""Two slots and more, in each of which households trade and have a new status."""


def test_an_idle_operator_writes_nothing_but_status(street: Kube, measured: list[str]) -> None:
    """Households trade all the time, so there is always a new status to tell, and nothing else."""
    until("no namespace goes", lambda: all(one["status"]["phase"] == "Active" for one in street.list("namespaces")))
    street.ready("beckngateway/market", "utilityagent/utility", "solaragent/rooftop", "solaragent/flat")
    before, began = metrics(street), time.monotonic()
    time.sleep(WATCHED_S)
    after, seconds = metrics(street), time.monotonic() - began

    written = writes(before, after)
    measured.append(f"API writes in {seconds:.0f} s of trading at {SPEED} times: {written}")
    measured.append(f"memory of the operator: {after['process_resident_memory_bytes'] / 2**20:.0f} MiB")
    assert not [what for what in written if not what.startswith("status ")]


def test_a_household_is_applied(street: Kube, measured: list[str]) -> None:
    before, began = metrics(street), time.monotonic()
    street.apply(solar("soon", load={"annualKwh": 3000}))

    street.ready("solaragent/soon")

    measured.append(f"kubectl apply → Ready and registered: {time.monotonic() - began:.1f} s")
    made = writes(before, metrics(street))
    status = {what: made.pop(what) for what in list(made) if what.startswith("status ")}
    measured.append(f"API writes for a new agent: {sum(made.values())} {made}; status of all resources: {status}")
    street("delete", "solaragent", "soon", timeout_s=60)
    until("it is gone", lambda: street.is_gone("deployment", "soon-0"))


def test_sizes(measured: list[str], tmp_path: Path) -> None:
    command("helm", "package", str(CHART), "--destination", str(tmp_path))
    [package] = tmp_path.iterdir()
    measured.append(f"chart: {package.stat().st_size / 1024:.0f} KiB")
    for part in ("operator", "runtime"):
        size = int(command("docker", "image", "inspect", f"wattmesh/{part}:dev", "--format", "{{.Size}}"))
        measured.append(f"image wattmesh/{part}: {size / 10**6:.0f} MB")


@pytest.fixture
def town(cluster: Kube) -> Iterator[Kube]:
    kube = cluster.of("town")
    kube.make()
    kube.apply(gateway(speed=1), utility())  # who is up already does not trade ninety times as fast meanwhile
    kube.ready("beckngateway/market", "utilityagent/utility")
    yield kube
    kube("delete", "namespace", "town", timeout_s=600)


@pytest.mark.skipif(os.environ.get("E2E_LARGE") != "1", reason="takes both cores for minutes; E2E_LARGE=1 runs it")
def test_fifty_solaragents_at_once(town: Kube, measured: list[str]) -> None:
    began = time.monotonic()
    town.apply(*(solar(f"house{number}", load={"annualKwh": 3000}) for number in range(50)))
    until(
        "all fifty are ready",
        lambda: sum(is_so(item, "Ready") for item in town.list("solaragents")) == 50,
        within_s=1800,
        every_s=2,
    )
    memory = metrics(town)["process_resident_memory_bytes"] / 2**20
    measured.append(f"50 SolarAgents at once → all Ready: {time.monotonic() - began:.0f} s; operator {memory:.0f} MiB")
