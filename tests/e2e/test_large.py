"""Ten thousand households on a cluster: the gateway and the operator are real, the agents' pods are played."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.kube import Kube, Object, is_so, until
from tests.e2e.market import metrics, resource, solar, writes
from tests.e2e.played import PLACED, kubelet
from wattmesh_operator.cluster.objects import name_of

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.alone,
    pytest.mark.skipif(os.environ.get("E2E_LARGE") != "1", reason="takes a quarter of an hour; E2E_LARGE=1 runs it"),
]

HOUSEHOLDS, OF_AN_AGENT, OF_A_POD = 10_000, 500, 250
AGENTS = HOUSEHOLDS // OF_AN_AGENT
WITHIN_S = 1_800.0
QUIET_S = 60.0


def members() -> Iterator[Object]:
    """Feeders with a utility and 500 households each, in pods of 250."""
    for number in range(AGENTS):
        feeder = f"feeder-{number}"
        tariff = {"price": 0.25, "feedIn": 0.08}
        yield resource(
            "UtilityAgent",
            f"utility-{number}",
            {"tariff": tariff, "capacityKw": 1000, "feeder": feeder, "pod": PLACED},
        )
        yield solar(
            f"home-{number}",
            replicas=OF_AN_AGENT,
            householdsPerPod=OF_A_POD,
            feeder=feeder,
            load={"annualKwh": 3500},
            battery={"capacityKwh": 10, "initialKwh": 5},
            pod=PLACED,
        )


@pytest.fixture(scope="module")
def town(cluster: Kube) -> Iterator[Kube]:
    # The player's parties are of a namespace of that name.
    kube = cluster.of("scale")
    kube.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "scale"}})
    kube.apply(resource("BecknGateway", "market", {"clock": {"speed": 1}}))
    kube.ready("beckngateway/market")
    with kubelet(kube, f"wattmesh/runtime:{os.environ['E2E_TAG']}"):
        yield kube
        kube("delete", "namespace", "scale", timeout_s=600)


def ready_households(kube: Kube) -> int:
    return sum(int(item.get("status", {}).get("readyReplicas") or 0) for item in kube.list("solaragents"))


def statuses(kube: Kube) -> dict[str, Any]:
    """Of all SolarAgents, by name."""
    return {name_of(item): item["status"] for item in kube.list("solaragents")}


def test_ten_thousand_households_are_registered(town: Kube, measured: list[str]) -> None:
    before, began = metrics(town), time.monotonic()
    town.apply(*members())
    until("all are ready", lambda: ready_households(town) == HOUSEHOLDS, within_s=WITHIN_S, every_s=2)
    took_s = time.monotonic() - began
    everybody = HOUSEHOLDS + AGENTS
    until("all are counted", lambda: town.get("beckngateway", "market")["status"]["subscribers"] == everybody)
    after = metrics(town)
    written, memory = sum(writes(before, after).values()), after["process_resident_memory_bytes"] / 2**20
    measured.append(
        f"{HOUSEHOLDS:,} households applied → registered: {took_s:.0f} s; API writes: {written};"
        f" operator {memory:.0f} MiB"
    )
    until("all say so", lambda: all(is_so(agent, "Registered") for agent in town.list("solaragents")))
    assert all(len(agent["status"].get("households", ())) <= 100 for agent in town.list("solaragents"))


def test_nothing_is_written_while_nothing_happens(town: Kube, measured: list[str]) -> None:
    def passes_without_writes() -> bool:
        before = metrics(town)
        time.sleep(QUIET_S / 4)
        return not writes(before, metrics(town))

    until("all is told", passes_without_writes, within_s=300)
    before, began = metrics(town), time.monotonic()
    time.sleep(QUIET_S)
    after, took_s = metrics(town), time.monotonic() - began
    cpu = (after["process_cpu_seconds_total"] - before["process_cpu_seconds_total"]) / took_s
    measured.append(f"… at rest: {100 * cpu:.1f} % of a core, API writes in {took_s:.0f} s: {writes(before, after)}")
    assert writes(before, after) == {}


def test_one_more_household_is_soon_there_and_touches_nothing_of_others(town: Kube, measured: list[str]) -> None:
    others = statuses(town)
    del others["home-1"]
    began = time.monotonic()
    town("scale", "solaragent/home-1", f"--replicas={OF_AN_AGENT + 1}")
    until("it is ready", lambda: ready_households(town) == HOUSEHOLDS + 1, within_s=WITHIN_S)
    measured.append(f"… one more household: {time.monotonic() - began:.1f} s")
    time.sleep(QUIET_S)
    assert others.items() <= statuses(town).items()
