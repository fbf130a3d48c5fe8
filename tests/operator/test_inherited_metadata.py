"""Labels and annotations of a resource reach its pods as they run: no pod is restarted for them."""

from __future__ import annotations

from typing import Any

from tests.operator.test_trouble import pod_of
from tests.operator.world import STREET, World, run
from wattmesh_operator.cluster.objects import Object
from wattmesh_operator.cluster.port import ClusterError
from wattmesh_operator.controller.watch import Watcher

LABELS = {"team": "grid", "argocd.argoproj.io/instance": "street", "app.kubernetes.io/instance": "street"}
ANNOTATIONS = {
    "example.org/cost": "4711",
    "kubectl.kubernetes.io/last-applied-configuration": "{}",
    "argocd.argoproj.io/tracking-id": "street:wattmesh.io/SolarAgent:street/rooftop",
    "meta.helm.sh/release-name": "street",
    "wattmesh.io/paused": "false",
}


async def street() -> World:
    world = World()
    world.apply(STREET)
    await world.settle()
    for name in ("market", "utility", "rooftop-0", "rooftop-1"):
        world.cluster.put(pod_of(name, ready=True))
    return world


def label(world: World, labels: dict[str, str], annotations: dict[str, str] | None = None) -> None:
    """`kubectl label` and `annotate` of the SolarAgent."""
    item = world.read("SolarAgent", "rooftop")
    item["metadata"] |= {"labels": labels, "annotations": annotations or {}}
    world.cluster.put(item)


def pod(world: World, name: str) -> Object:
    return world.read("Pod", f"{name}-6b7f8-x2x4z")


def set_of(world: World, name: str) -> tuple[dict[str, str], dict[str, str]]:
    """Labels and annotations of a pod, less those by which the operator finds it and what it noted."""
    metadata = pod(world, name)["metadata"]
    labels = {k: v for k, v in metadata["labels"].items() if not k.startswith("app.kubernetes.io/")}
    annotations = {k: v for k, v in metadata.get("annotations", {}).items() if k != "wattmesh.io/inherited"}
    return labels, annotations


def test_sensible_labels_and_annotations_reach_the_pods_and_nothing_restarts() -> None:
    async def main() -> None:
        world = await street()
        deployment = world.read("Deployment", "rooftop-0")
        before = pod(world, "rooftop-0")
        label(world, LABELS, ANNOTATIONS)
        await world.reconcile()
        expected = ({"team": "grid"}, {"example.org/cost": "4711"})
        assert (set_of(world, "rooftop-0"), set_of(world, "rooftop-1")) == (expected, expected)
        assert pod(world, "rooftop-0")["metadata"]["labels"].items() >= before["metadata"]["labels"].items()
        assert (set_of(world, "utility"), set_of(world, "market")) == (({}, {}), ({}, {}))
        assert world.read("Deployment", "rooftop-0")["spec"] == deployment["spec"]
        await world.settle()
        world.writes()
        await world.reconcile()
        assert world.writes() == []

    run(main())


def test_what_is_taken_from_the_resource_goes_from_its_pods_and_a_new_pod_gets_what_is_left() -> None:
    async def main() -> None:
        world = await street()
        label(world, {"team": "grid", "tier": "1"})
        await world.reconcile()
        label(world, {"team": "roofs"})
        world.cluster.put(pod_of("rooftop-1", ready=True))
        await world.reconcile()
        assert (set_of(world, "rooftop-0"), set_of(world, "rooftop-1")) == (({"team": "roofs"}, {}),) * 2
        label(world, {})
        await world.reconcile()
        assert (set_of(world, "rooftop-0"), set_of(world, "rooftop-1")) == (({}, {}),) * 2
        assert "wattmesh.io/inherited" not in pod(world, "rooftop-0")["metadata"]["annotations"]

    run(main())


def test_the_pod_template_wins() -> None:
    async def main() -> None:
        world = await street()
        item = world.read("SolarAgent", "rooftop")
        item["spec"]["pod"] = {"labels": {"team": "template"}}
        world.cluster.put(item)
        label(world, {"team": "resource", "tier": "1"})
        await world.settle()
        assert set_of(world, "rooftop-0")[0] == {"tier": "1"}  # this one is older than its template

    run(main())


def test_a_pod_that_goes_or_a_refusal_keeps_nobody_from_trading() -> None:
    async def main() -> None:
        world = await street()
        going = pod(world, "rooftop-0")
        going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
        world.cluster.put(going)
        label(world, {"team": "grid"})
        world.cluster.refuse = lambda verb, kind, name: (
            ClusterError(403, f"{name} is forbidden") if (verb, kind) == ("apply", "Pod") else None
        )
        done = await world.reconcile()
        assert done.faults == ("rooftop-1-6b7f8-x2x4z is forbidden",)
        assert world.condition("SolarAgent", "rooftop") == ("True", "Ready")

    run(main())


def test_a_label_that_counts_is_a_change_and_one_that_does_not_is_none() -> None:
    async def main() -> None:
        world = await street()
        changed: list[str] = []

        class Anything:
            def __getattr__(self, _: str) -> Any:
                return self

            def __call__(self, *_: Any, **__: Any) -> Any:
                return self

        class Marked:
            def changed(self, namespace: str) -> None:
                changed.append(namespace)

        watcher = Watcher(Marked(), Anything(), Anything())  # type: ignore[arg-type]
        for labels, more in (({}, {}), ({"team": "grid"}, {}), ({"team": "grid"}, ANNOTATIONS)):
            label(world, labels, more)
            watcher.resource_event(world.read("SolarAgent", "rooftop"), gone=False)
        assert len(changed) == 3  # it came, a label, an annotation
        label(world, {"team": "grid"}, {**ANNOTATIONS, "argocd.argoproj.io/tracking-id": "other"})
        watcher.resource_event(world.read("SolarAgent", "rooftop"), gone=False)
        assert len(changed) == 3

    run(main())
