"""Keys are rotated while the street trades: no trade is lost, and nothing that is under way is refused."""

from __future__ import annotations

import asyncio
import json
import random
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.operator.mortal import operate
from tests.operator.world import NOW, run
from tests.street.live import OVERLAP_S, Call, HttpWorld, LiveWorld
from tests.world.manifests import households, utility
from wattmesh_beckn.registry import SubscriptionStatus
from wattmesh_beckn.signature import AUTHORIZATION, Signer
from wattmesh_common.clock import LoopClock, utc

SPEED = 20
SLOT_S = 900 / SPEED
START = utc(NOW)
STREET = (
    f"kind: BecknGateway\nmetadata: {{name: market}}\nspec: {{clock: {{start: '{START.isoformat()}', speed: {SPEED}}}}}"
    + utility()
    + households("roof", "battery: {capacityKwh: 10, initialKwh: 10}, trading: {sellAbovePercent: 50}")
    + households("flat", "load: {annualKwh: 6000}")
)

AGENTS = [("SolarAgent", "roof"), ("SolarAgent", "flat"), ("UtilityAgent", "utility")]


def end_after(slots: float) -> datetime:
    return START + timedelta(seconds=900 * slots)


def transaction(body: bytes) -> str:
    return str(json.loads(body)["context"]["transaction_id"])


# --- over HTTP ---


def test_buyer_and_seller_rotate_in_the_middle_of_a_contract(tmp_path: Path) -> None:
    """Over real connections. The buyer's init is on its way, signed with the former key, as both get new ones."""

    async def main() -> None:
        async with HttpWorld(tmp_path, end_after(6)) as world:
            world.apply(STREET)
            await world.come_up()
            await world.held.go_on(5)
            old = {name: world.keys(name)[f"{name}.street"] for name in ("roof-0", "flat-0")}
            caught: list[str] = []

            async def rotate_both(url: str) -> None:
                if not url.endswith("/roof-0/init") or caught:
                    return
                caught.append(url)
                for agent in ("roof", "flat"):
                    world.rotate("SolarAgent", agent, "now")
                for _ in range(8):
                    await world.reconciler.run()
                    world.held.now += 1
                for pod in old:
                    world.bring_secret(pod)
                    await world.rings[pod].look()

            world.wire.calls.clear()
            world.wire.before = rotate_both
            await world.held.go_on(SLOT_S)
            assert caught
            confirm = next(call for call in world.wire.calls if call.url.endswith("/roof-0/confirm"))
            assert await said(world, old["flat-0"], confirm) != 401
            await world.held.go_on(11 * SLOT_S)
            new = {name: world.keys(name)[f"{name}.street"] for name in old}

            init = next(call for call in world.wire.calls if call.action == "init")
            steps = [c for c in world.wire.calls if c.action != "search" and c.signer.partition(".")[0] in old]
            steps = [call for call in steps if transaction(call.body) == transaction(init.body)]
            assert {call.key_id for call in steps if call.action in ("select", "init")} == {old["flat-0"].key_id}
            after = [call for call in steps if call.action in ("on_init", "confirm", "on_confirm", "update")]
            later = {call.action: call.key_id for call in reversed(after)}  # of each the first
            assert later == {
                "on_init": new["roof-0"].key_id,
                "confirm": new["flat-0"].key_id,
                "on_confirm": new["roof-0"].key_id,
                "update": new["flat-0"].key_id,
            }
            assert world.wire.refused == []

            assert await said(world, new["flat-0"], confirm) != 401
            assert await said(world, old["flat-0"], confirm) == 401
            answer = world.wire.refused[-1].decode()
            assert f"key '{old['flat-0'].key_id}' of subscriber 'flat-0.street' is valid from " in answer
            assert "; this clock says " in answer
            entries = await world.registries["market"].find("flat-0.street", world.held.now)
            assert {e.key_id: e.status for e in entries} == {
                old["flat-0"].key_id: SubscriptionStatus.EXPIRED,
                new["flat-0"].key_id: SubscriptionStatus.SUBSCRIBED,
            }

            contracts = await world.finish()
            assert {row.state for row in contracts} == {"SETTLED"}
            assert transaction(init.body) in {row.transaction_id for row in contracts}

    asyncio.run(main())


async def said(world: HttpWorld, signer: Signer, call: Call) -> int:
    """The status of the answer to a call that is made once more, signed anew."""
    created = int(world.held.now)
    signature = signer.sign(call.body, created=created, expires=created + 30)
    headers = {"content-type": "application/json", AUTHORIZATION: signature}
    return (await world.wire.post(call.url, call.body, headers, timeout_s=5.0)).status


# --- in virtual time ---


@pytest.mark.parametrize("seed", [41, 42])
def test_rotations_one_after_the_other_by_an_operator_that_is_killed_again_and_again(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)

    async def main() -> None:
        clock = LoopClock(NOW)
        world = LiveWorld(tmp_path, clock, end_after(8))
        world.apply(STREET)
        await world.come_up()
        keeping = [asyncio.ensure_future(ring.keep()) for ring in world.rings.values()]
        brought = dict.fromkeys(world.rings, clock.wall())
        killed = rotations = 0
        while clock.wall() < NOW + 10 * SLOT_S:
            if chance.random() < 0.15 and clock.wall() < NOW + 6 * SLOT_S:
                kind, name = chance.choice(
                    [("SolarAgent", "roof"), ("SolarAgent", "flat"), ("UtilityAgent", "utility")]
                )
                rotations += 1
                world.rotate(kind, name, str(rotations))
            killed += await operate(world, chance.choice([0, 1, 2, 3, 5, 100]))
            await clock.sleep(chance.uniform(0.5, 6))
            for pod, at in brought.items():
                if chance.random() < 0.1 or clock.wall() - at > OVERLAP_S / 2:
                    world.bring_secret(pod)
                    brought[pod] = clock.wall()
        for task in keeping:
            task.cancel()
        assert killed > 10
        assert len(world.wire.keys_of("flat-0.street")) > 3
        assert world.wire.keys_of("roof-0.street")[-1] == world.keys("roof-0")["roof-0.street"].key_id
        assert world.wire.refused == []
        contracts = await world.finish()
        assert {row.state for row in contracts} == {"SETTLED"}
        assert len({row.slot for row in contracts}) > 5

    run(main())


def test_a_message_that_waits_in_the_outbox_is_signed_with_the_new_key_after_a_restart(tmp_path: Path) -> None:
    async def main() -> None:
        clock = LoopClock(NOW)
        world = LiveWorld(tmp_path, clock, end_after(6))
        world.apply(STREET)
        await world.come_up()
        old = world.keys("flat-0")["flat-0.street"].key_id
        tried = asyncio.Event()

        async def catch(url: str) -> None:
            if url.endswith("/roof-0/confirm") and not tried.is_set():
                world.wire.cut.add("roof-0")
                tried.set()

        world.wire.calls.clear()
        world.wire.before = catch
        await tried.wait()
        await clock.sleep(0.01)
        await world.kill("flat-0")
        world.rotate("SolarAgent", "flat", "now")
        for _ in range(8):
            await world.reconcile()
        world.bring_secret("flat-0")
        world.wire.cut.clear()
        await world.revive("flat-0")
        await clock.sleep(10 * SLOT_S)
        new = world.keys("flat-0")["flat-0.street"].key_id
        assert new != old
        confirm = next(call for call in world.wire.calls if call.url.endswith("/roof-0/confirm"))
        assert confirm.key_id == new
        init = [c for c in world.wire.calls if c.action == "init" and transaction(c.body) == transaction(confirm.body)]
        assert {call.key_id for call in init} == {old}
        assert world.wire.refused == []
        contracts = await world.finish()
        assert {row.state for row in contracts} == {"SETTLED"}

    run(main())


def test_an_operator_that_dies_before_it_registers_the_new_keys_stops_no_trade(tmp_path: Path) -> None:
    """However long nobody comes to complete it: the pods have the new keys, and go on with the former ones."""

    async def main() -> None:
        clock = LoopClock(NOW)
        world = LiveWorld(tmp_path, clock, end_after(8))
        world.apply(STREET)
        await world.come_up()
        await clock.sleep(5)
        old = {name: world.keys(name)[f"{name}.street"].key_id for name in ("roof-0", "flat-0")}
        for agent in ("roof", "flat"):
            world.rotate("SolarAgent", agent, "now")
        assert await operate(world, 2)  # the two Secrets, and nothing else
        for pod in old:
            assert world.keys(pod)[f"{pod}.street"].key_id != old[pod]
            world.bring_secret(pod)
            await world.rings[pod].look()
        await clock.sleep(5 * SLOT_S)
        assert {pod: world.wire.keys_of(f"{pod}.street") for pod in old} == {pod: [key] for pod, key in old.items()}
        assert not await operate(world, 1000)
        for pod in old:
            world.bring_secret(pod)
            await world.rings[pod].look()
        await clock.sleep(5 * SLOT_S)
        for pod in old:
            assert world.wire.keys_of(f"{pod}.street")[1:] == [world.keys(pod)[f"{pod}.street"].key_id]
        assert world.wire.refused == []
        contracts = await world.finish()
        assert {row.state for row in contracts} == {"SETTLED"}
        assert len({row.slot for row in contracts}) > 5

    run(main())
