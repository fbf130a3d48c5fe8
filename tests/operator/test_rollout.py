"""Staged rollouts: a canary, then a few at a time, the gateway last; a bad one stops at its first pod."""

from __future__ import annotations

from tests.operator.test_trouble import exited, pod_of, waiting
from tests.operator.world import STREET, World, run
from wattmesh_operator.cluster.objects import RESOURCES, Object
from wattmesh_operator.controller.metrics import OperatorMetrics
from wattmesh_operator.controller.rollout import Step, held
from wattmesh_operator.controller.watch import Watcher
from wattmesh_operator.controller.watch_health import WatchHealth
from wattmesh_operator.controller.workers import Workers
from wattmesh_operator.desired.revision import Revision
from wattmesh_operator.desired.settings import PodSettings

OLD, NEW = PodSettings(image="runtime:1"), PodSettings(image="runtime:2")
BROKEN = pod_of("rooftop-0", **waiting("CrashLoopBackOff"), lastState=exited(1, "no module"))


async def street(replicas: int = 8) -> World:
    world = World()
    world.apply(STREET)
    world.scale("rooftop", replicas)
    await world.settle()
    assert world.condition("SolarAgent", "rooftop") == ("True", "Ready")
    return world


def watching(world: World) -> Workers:
    """Workers over a world, which hear of what its watches bring."""
    metrics = OperatorMetrics()
    workers = Workers(lambda _: world.reconciler, world.clock, metrics)
    watcher, kinds = Watcher(workers, WatchHealth(), metrics), {kind.kind for kind in RESOURCES}

    def bring(what: str, item: Object) -> None:
        if item["kind"] not in ("Event", "Lease"):
            tell = watcher.resource_event if item["kind"] in kinds else watcher.child_event
            tell(item, gone=what == "DELETED")

    world.cluster.watches.append(bring)
    return workers


def images(world: World) -> dict[str, str]:
    """The image of each pod by the pod's name."""
    return {
        name: world.read("Deployment", name)["spec"]["template"]["spec"]["containers"][0]["image"]
        for name in world.names("Deployment")
    }


def with_new_image(world: World) -> set[str]:
    return {name for name, image in images(world).items() if image == "runtime:2"}


def test_a_new_image_reaches_a_canary_then_a_few_at_a_time_and_the_gateway_last() -> None:
    async def main() -> None:
        world = await street()
        world.reconciler = world.new_operator(NEW)
        steps: list[set[str]] = []
        before: set[str] = set()
        while before != {*world.names("Deployment")}:
            await world.reconcile()
            now = with_new_image(world)
            steps.append(now - before)
            assert len(now) > len(before), steps
            ended = "rooftop-7" in before
            assert world.condition("SolarAgent", "rooftop")[0] == str(ended)
            world.cluster.roll_out(*now)
            before = now
        assert steps[:2] == [{"rooftop-0"}, {"rooftop-1", "rooftop-2"}]  # a quarter of 9 pods
        assert steps[-2:] == [{"rooftop-7", "utility"}, {"market"}]
        await world.reconcile()
        assert world.condition("SolarAgent", "rooftop") == ("True", "Ready")

    run(main())


def test_a_bad_image_stops_at_its_first_pod_and_all_others_go_on() -> None:
    async def main() -> None:
        world = await street()
        files = world.read("ConfigMap", "rooftop-1")
        world.reconciler = world.new_operator(NEW)
        await world.reconcile()
        world.take_down("rooftop-0")
        world.cluster.put(BROKEN)
        await world.reconcile()
        world.writes()
        for _ in range(20):
            await world.reconcile()
        assert world.writes() == []
        assert with_new_image(world) == {"rooftop-0"}
        assert world.read("ConfigMap", "rooftop-1") == files
        assert world.condition("SolarAgent", "rooftop") == ("False", "CrashLoopBackOff")
        assert world.condition("SolarAgent", "rooftop", "Progressing") == ("False", "RolloutHalted")
        assert world.condition("UtilityAgent", "utility") == ("False", "RolloutHalted")
        warnings = [event for event in world.events() if event[1] != "Registered"]
        assert warnings == [("market", "RolloutHalted"), ("rooftop", "RolloutHalted"), ("utility", "RolloutHalted")]
        [progressing] = [
            c for c in world.read("UtilityAgent", "utility")["status"]["conditions"] if c["type"] == "Progressing"
        ]
        assert progressing["message"].startswith("stopped at rooftop-0: exited with 1: no module; utility: ")
        assert world.read("SolarAgent", "rooftop")["status"]["ready"] == "7/8"

    run(main())


def test_what_a_pod_of_a_new_operators_rollout_meets_is_told_within_a_second() -> None:
    """Of the kubelet's word; how long a node tries to pull is its own matter."""

    async def main() -> None:
        world = await street()
        world.reconciler = world.new_operator(NEW)
        workers = watching(world)
        workers.changed("street")
        await world.clock.sleep(0.5)
        assert with_new_image(world) == {"rooftop-0"}
        world.take_down("rooftop-0")
        world.cluster.put(pod_of("rooftop-0", **waiting("ContainerCreating")))
        await world.clock.sleep(9.5)
        assert world.condition("SolarAgent", "rooftop") == ("False", "PodNotReady")
        world.cluster.put(pod_of("rooftop-0", **waiting("ErrImagePull", "not found")))
        await world.clock.sleep(1)
        assert world.condition("SolarAgent", "rooftop") == ("False", "ImagePullBackOff")
        assert world.condition("UtilityAgent", "utility") == ("False", "RolloutHalted")
        await workers.stop()

    run(main())


def test_a_template_that_is_put_back_or_right_ends_the_halt() -> None:
    async def main() -> None:
        world = await street(2)
        for settings in (OLD, PodSettings(image="runtime:3")):
            world.reconciler = world.new_operator(NEW)
            await world.reconcile()
            world.take_down("rooftop-0")
            world.cluster.put(BROKEN)
            await world.reconcile()
            world.reconciler = world.new_operator(settings)
            await world.reconcile()
            assert images(world)["rooftop-0"] == settings.image
            world.delete("Pod", BROKEN["metadata"]["name"])
            for _ in range(5):
                world.cluster.roll_out()
                await world.reconcile()
            assert {*images(world).values()} == {settings.image}
            assert world.condition("UtilityAgent", "utility") == ("True", "Ready")

    run(main())


def test_ready_is_never_said_of_a_generation_whose_rollout_has_not_ended() -> None:
    async def main() -> None:
        world = await street(3)
        item = world.read("SolarAgent", "rooftop")
        item["spec"]["trading"] = {"sellPrice": 0.11}
        generation = world.cluster.put(item)["metadata"]["generation"]
        seen: list[tuple[str, int]] = []
        for _ in range(6):
            await world.reconcile()
            [ready] = [c for c in world.read("SolarAgent", "rooftop")["status"]["conditions"] if c["type"] == "Ready"]
            seen.append((ready["status"], ready["observedGeneration"]))
            if ready["status"] == "True":
                break
            world.cluster.roll_out()
        hashes = {
            world.read("Deployment", f"rooftop-{n}")["metadata"]["annotations"]["wattmesh.io/revision"].split(".")[2]
            for n in range(3)
        }
        assert seen == [("False", generation)] * 3 + [("True", generation)]
        assert len(hashes) == 1

    run(main())


def test_a_pod_that_keeps_its_template_can_still_be_drained() -> None:
    async def main() -> None:
        world = await street(3)
        world.reconciler = world.new_operator(NEW)
        await world.reconcile()
        world.take_down("rooftop-0")
        world.pods["rooftop-2"].has_open("rooftop-2", 1)
        world.scale("rooftop", 2)
        await world.reconcile()
        deployment = world.read("Deployment", "rooftop-2")
        assert "wattmesh.io/draining" in deployment["metadata"]["annotations"]
        assert images(world)["rooftop-2"] == "runtime:1"

    run(main())


A, B = Revision("a", "i1", "s"), Revision("b", "i2", "s")


def test_a_pod_that_is_down_or_new_is_not_held_up() -> None:
    down, new = Step("down", A, B, up=False), Step("new", None, B, up=False)
    assert held([down, new, Step("up", A, B, up=True)], None, 5) == {"up"}


def test_what_one_pod_has_proven_the_others_get_within_the_bound() -> None:
    proven, waiting_ = Step("0", B, B, up=True), [Step(str(n), A, B, up=True) for n in range(1, 6)]
    assert held([proven, *waiting_], None, 2) == {"3", "4", "5"}
    assert held([proven, *waiting_, Step("down", B, B, up=False)], None, 2) == {"2", "3", "4", "5"}
