"""The status of a SolarAgent with many households: sums, and those that are not ready."""

from __future__ import annotations

import json

from tests.operator.world import STREET, World, run
from wattmesh_operator.status.summary import MOST_LISTED

MANY = 2 * MOST_LISTED
LARGE = STREET.replace("replicas: 2", f"replicas: {MANY}, householdsPerPod: {MOST_LISTED}")


def test_a_large_status_has_sums_of_all_and_lists_only_who_is_not_ready() -> None:
    async def main() -> None:
        world = World()
        world.apply(LARGE)
        await world.settle()
        status = world.read("SolarAgent", "rooftop")["status"]
        assert (status["ready"], status["replicas"], status["soldKwh"]) == (f"{MANY}/{MANY}", MANY, "246.80")
        assert status["households"] == []
        assert len(json.dumps(status)) < 3_000
        world.take_down("rooftop-pod-1")
        await world.reconcile()
        status = world.read("SolarAgent", "rooftop")["status"]
        assert [one["name"] for one in status["households"]] == [f"rooftop-{n}" for n in range(MOST_LISTED, MANY)]
        assert (status["ready"], status["soldKwh"]) == (f"{MOST_LISTED}/{MANY}", "246.80")

    run(main())


def test_as_many_as_can_be_listed_are_listed() -> None:
    async def main() -> None:
        world = World()
        world.apply(STREET.replace("replicas: 2", f"replicas: {MOST_LISTED}, householdsPerPod: 10"))
        await world.settle()
        assert len(world.read("SolarAgent", "rooftop")["status"]["households"]) == MOST_LISTED

    run(main())


def test_an_operator_that_starts_while_a_pod_is_silent_keeps_the_sums() -> None:
    async def main() -> None:
        world = World()
        world.apply(LARGE)
        await world.settle()
        silent = world.pods.pop("rooftop-pod-1")
        world.reconciler = world.new_operator()
        await world.reconcile()
        status = world.read("SolarAgent", "rooftop")["status"]
        assert (status["ready"], status["soldKwh"], status["soc"]) == (f"{MANY}/{MANY}", "246.80", "50%")
        world.pods["rooftop-pod-1"] = silent
        world.writes()
        await world.reconcile()
        assert world.writes() == [], "nothing was lost, so there is nothing to tell"

    run(main())


def test_who_is_told_in_a_summary_comes_and_goes_as_ever() -> None:
    async def main() -> None:
        world = World()
        world.apply(LARGE)
        await world.settle()
        world.reconciler = world.new_operator()
        world.scale("rooftop", MANY + 1)
        await world.settle()
        assert world.read("SolarAgent", "rooftop")["status"]["ready"] == f"{MANY + 1}/{MANY + 1}"
        world.scale("rooftop", MANY - 1)
        for _ in range(4):
            await world.reconcile()
        status = world.read("SolarAgent", "rooftop")["status"]
        assert (status["ready"], len(status["retired"])) == (f"{MANY - 1}/{MANY - 1}", 2)
        assert {reason for name, reason in world.events() if name == "rooftop"} >= {"Draining", "ScaledDown"}

    run(main())


def test_a_lost_ledger_is_noticed_in_a_summary() -> None:
    async def main() -> None:
        world = World()
        world.apply(LARGE)
        await world.settle()
        pod = world.pods["rooftop-pod-1"]
        name = f"rooftop-{MANY - 1}"
        pod.parties[name] = pod.parties[name].model_copy(update={"account": "before"})
        await world.reconcile()
        pod.parties[name] = pod.parties[name].model_copy(update={"account": "after", "sold_wh": 0})
        await world.reconcile()
        [lost] = world.read("SolarAgent", "rooftop")["status"]["lostLedgers"]
        assert (lost["name"], lost["account"], lost["soldKwh"]) == (name, "before", "1.23")

    run(main())
