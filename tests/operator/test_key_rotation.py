"""`kubectl annotate … wattmesh.io/rotate-keys=…`: what the operator does then, seen in cluster and registry."""

from __future__ import annotations

import json

import pytest

from tests.operator.mortal import operate
from tests.operator.world import STREET, World, run
from tests.world.clocks import at_once
from wattmesh_beckn.registry import SubscriptionStatus
from wattmesh_operator.keys.key_files import held_keys, key_file

OVERLAP_S = 900


def rotate(world: World, name: str = "rooftop", value: str = "1", kind: str = "SolarAgent") -> None:
    """`kubectl annotate --overwrite`."""
    item = world.read(kind, name)
    item["metadata"]["annotations"] = {"wattmesh.io/rotate-keys": value}
    world.cluster.put(item)


def statuses(world: World, subscriber_id: str) -> dict[str, set[SubscriptionStatus]]:
    """What the registry says of each key of a subscriber."""
    told: dict[str, set[SubscriptionStatus]] = {}
    for entry in at_once(world.registries["market"].find(subscriber_id, world.clock.wall())):
        told.setdefault(entry.key_id, set()).add(entry.status)
    return told


def key(world: World, name: str) -> str:
    return world.keys(name)[f"{name}.street"].key_id


def former(world: World, secret: str) -> int:
    return sum(len(keys.retiring) for keys in held_keys(world.read("Secret", secret)).keys.values())


async def street(text: str = STREET) -> World:
    """A street that has come up and to which nothing is to be done."""
    world = World()
    world.apply(text)
    await world.settle()
    await world.clock.sleep(5)
    await world.reconcile()
    world.writes()
    return world


async def passes(world: World, count: int = 3) -> None:
    for _ in range(count):
        await world.clock.sleep(2)
        await world.reconcile()


def test_each_household_gets_a_new_key_and_the_old_one_holds_for_its_overlap() -> None:
    async def main() -> None:
        world = await street()
        old = {name: key(world, name) for name in ("rooftop-0", "rooftop-1", "utility")}
        pods = {name: world.read("Deployment", name)["spec"] for name in world.names("Deployment")}
        rotate(world)
        done = await world.reconcile()
        assert done.again_in_s == 2.0
        assert world.condition("SolarAgent", "rooftop", "Progressing") == ("True", "RotatingKeys")
        await passes(world)
        for name in ("rooftop-0", "rooftop-1"):
            assert key(world, name) != old[name]
            assert statuses(world, f"{name}.street") == {
                old[name]: {SubscriptionStatus.SUBSCRIBED},
                key(world, name): {SubscriptionStatus.SUBSCRIBED},
            }
        assert key(world, "utility") == old["utility"]
        assert {name: world.read("Deployment", name)["spec"] for name in pods} == pods
        assert world.read("SolarAgent", "rooftop")["status"]["rotatedKeys"] == "1"
        assert world.condition("SolarAgent", "rooftop") == ("True", "Ready")
        assert world.condition("SolarAgent", "rooftop", "Registered") == ("True", "KeysRetiring")
        assert world.condition("SolarAgent", "rooftop", "Progressing") == ("False", "UpToDate")
        assert world.events().count(("rooftop", "KeysRotated")) == 1

        world.writes()
        assert (await world.reconcile()).again_in_s is None
        assert world.writes() == []

        await world.clock.sleep(OVERLAP_S)
        await passes(world)
        assert statuses(world, "rooftop-0.street") == {
            old["rooftop-0"]: {SubscriptionStatus.EXPIRED},
            key(world, "rooftop-0"): {SubscriptionStatus.SUBSCRIBED},
        }
        assert former(world, "rooftop-0") == 0
        assert world.condition("SolarAgent", "rooftop", "Registered") == ("True", "Registered")
        world.writes()
        await world.reconcile()
        assert world.writes() == []
        assert world.events().count(("rooftop", "KeysRotated")) == 1

    run(main())


def test_a_utility_rotates_too_and_an_empty_value_asks_for_nothing() -> None:
    async def main() -> None:
        world = await street()
        old = key(world, "utility")
        rotate(world, "utility", "", "UtilityAgent")
        await passes(world)
        assert key(world, "utility") == old
        rotate(world, "utility", "today", "UtilityAgent")
        await passes(world)
        assert key(world, "utility") != old
        assert world.read("UtilityAgent", "utility")["status"]["rotatedKeys"] == "today"
        assert ("utility", "KeysRotated") in world.events()

    run(main())


def test_who_comes_later_has_a_new_key_already_and_rotates_no_more() -> None:
    async def main() -> None:
        world = await street()
        rotate(world)
        await passes(world)
        world.scale("rooftop", 3)
        await world.settle()
        await passes(world)
        assert former(world, "rooftop-2") == 0
        assert world.read("Secret", "rooftop-2")["metadata"]["annotations"]["wattmesh.io/rotated-keys"] == "1"

    run(main())


@pytest.mark.parametrize("pause_s", [0, 2 * OVERLAP_S])
def test_an_operator_killed_at_any_write_is_followed_by_one_that_completes_it(pause_s: int) -> None:
    """With and without the overlap's time between the two."""

    async def rotation(writes: int) -> bool:
        world = await street()
        names = ("rooftop-0", "rooftop-1")
        old = {name: key(world, name) for name in names}
        rotate(world)
        killed = await operate(world, writes)
        for name in names:
            held = held_keys(world.read("Secret", name)).keys[f"{name}.street"]
            assert {SubscriptionStatus.SUBSCRIBED} == statuses(world, f"{name}.street")[held.signing.key_id]
        await world.clock.sleep(pause_s)
        for name in names:
            # However long nobody is there: the key that the pod has signs.
            held = held_keys(world.read("Secret", name)).keys[f"{name}.street"]
            assert {SubscriptionStatus.SUBSCRIBED} == statuses(world, f"{name}.street")[held.signing.key_id]
        assert not await operate(world, 1000)
        assert world.read("SolarAgent", "rooftop")["status"]["rotatedKeys"] == "1"
        assert world.events().count(("rooftop", "KeysRotated")) <= 1
        await world.clock.sleep(OVERLAP_S)
        assert not await operate(world, 1000)
        for name in names:
            assert key(world, name) != old[name]
            ended = statuses(world, f"{name}.street")[old[name]]
            # Who comes after the end, and finds that the registry was never told of it, ends the key itself.
            assert ended <= {SubscriptionStatus.EXPIRED, *([SubscriptionStatus.UNSUBSCRIBED] if pause_s else [])}
            assert len(statuses(world, f"{name}.street")) == 2
            assert former(world, name) == 0
        world.writes()
        await world.reconcile()
        assert world.writes() == []
        return killed

    deaths = 0
    while run(rotation(deaths)):
        deaths += 1
    assert deaths > 10  # two Secrets twice, two keys with two roles twice, status and Event


def test_a_secret_that_somebody_changed_meanwhile_is_not_written_over() -> None:
    async def main() -> None:
        world = await street()
        rotate(world)
        old = key(world, "rooftop-0")

        def edit(verb: str, kind: str, name: str) -> None:
            if (verb, kind, name) == ("apply", "Secret", "rooftop-0"):
                world.cluster.refuse = lambda *_: None
                world.cluster.put(world.read(kind, name))

        world.cluster.refuse = edit
        done = await world.reconcile()
        assert done.faults
        assert key(world, "rooftop-0") == old
        assert "rooftop-0.street" in world.registered()
        await passes(world)
        assert key(world, "rooftop-0") != old

    run(main())


def test_households_that_leave_take_their_former_keys_with_them() -> None:
    async def main() -> None:
        world = await street()
        rotate(world)
        await passes(world)
        assert former(world, "rooftop-1") == 1
        world.scale("rooftop", 1)
        await passes(world, 4)
        assert "rooftop-1" not in world.names("Deployment")
        assert [*statuses(world, "rooftop-1.street").values()] == [{SubscriptionStatus.UNSUBSCRIBED}] * 2
        world.delete("SolarAgent", "rooftop")
        await world.reconcile()
        assert [*statuses(world, "rooftop-0.street").values()] == [{SubscriptionStatus.UNSUBSCRIBED}] * 2

    run(main())


def test_a_deleted_secret_ends_the_former_keys_as_well_and_rolls_the_pod() -> None:
    async def main() -> None:
        world = await street()
        rotate(world)
        await passes(world)
        before = world.read("Deployment", "rooftop-0")["spec"]["template"]
        known = statuses(world, "rooftop-0.street")
        assert len(known) == 2
        world.delete("Secret", "rooftop-0")
        await world.reconcile()
        assert world.read("Deployment", "rooftop-0")["spec"]["template"] != before
        await world.settle()
        for key_id in known:
            assert statuses(world, "rooftop-0.street")[key_id] == {SubscriptionStatus.UNSUBSCRIBED}
        assert {e.key_id for e in world.entries() if e.subscriber_id == "rooftop-0.street"} == {key(world, "rooftop-0")}

    run(main())


def test_a_registry_that_is_lost_in_the_overlap_has_both_keys_again() -> None:
    async def main() -> None:
        world = await street()
        rotate(world)
        await passes(world)
        before = statuses(world, "rooftop-0.street")
        world.registries.pop("market").close()
        await world.start_pods()
        await passes(world)
        assert statuses(world, "rooftop-0.street") == before
        assert len(before) == 2

    run(main())


def test_households_of_one_pod_rotate_together() -> None:
    async def main() -> None:
        world = await street(STREET.replace("replicas: 2", "replicas: 3, householdsPerPod: 3"))
        before = world.read("Deployment", "rooftop-pod-0")["spec"]
        old = world.keys("rooftop-pod-0")
        rotate(world)
        await passes(world)
        assert former(world, "rooftop-pod-0") == 3
        new = world.keys("rooftop-pod-0")
        assert all(old[name].key_id != new[name].key_id for name in old)
        assert world.read("Deployment", "rooftop-pod-0")["spec"] == before

    run(main())


def test_a_big_street_rotates_some_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise a look-up would bring more entries than the gateway answers with."""
    monkeypatch.setattr("wattmesh_operator.keys.schedule.MOST_ROTATING", 1)

    async def main() -> None:
        world = await street()
        rotate(world)
        await passes(world)
        assert [former(world, "rooftop-0"), former(world, "rooftop-1")] == [1, 0]
        assert "rotatedKeys" not in world.read("SolarAgent", "rooftop")["status"]
        assert world.condition("SolarAgent", "rooftop", "Progressing") == ("True", "RotatingKeys")
        await world.clock.sleep(OVERLAP_S)
        await passes(world)
        assert [former(world, "rooftop-0"), former(world, "rooftop-1")] == [0, 1]
        assert world.read("SolarAgent", "rooftop")["status"]["rotatedKeys"] == "1"

    run(main())


def test_no_private_key_is_anywhere_but_in_its_secret() -> None:
    async def main() -> None:
        world = await street()
        rotate(world)
        await passes(world)
        seeds = [key["private_key"] for key in json.loads(key_file(world.read("Secret", "rooftop-0"))).values()]
        kinds = ("SolarAgent", "ConfigMap", "Deployment", "Event")
        told = [world.read(kind, name) for kind in kinds for name in world.names(kind)]
        assert seeds
        for text in ("private_key", *seeds):
            assert text not in json.dumps([world.read("Secret", "rooftop-0")["metadata"], *told])

    run(main())
