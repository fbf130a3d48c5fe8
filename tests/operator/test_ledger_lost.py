"""A ledger that is gone: a condition and a Warning that say what it showed last."""

from __future__ import annotations

from tests.operator.world import STREET, World, party_status, run

A, B = "aaaaaaaa-0000-4000-8000-000000000000", "bbbbbbbb-0000-4000-8000-000000000000"


async def street() -> World:
    """A street whose households and utility have traded, each with its ledger."""
    world = World()
    world.apply(STREET)
    await world.settle()
    for name in ("rooftop-0", "rooftop-1", "utility"):
        world.pods[name].parties[name] = party_status(name, account=A)
    await world.reconcile()
    return world


def new_ledger(world: World, name: str, account: str = B) -> None:
    """What a pod says on an empty volume."""
    world.pods[name].parties[name] = party_status(name, account=account, sold_wh=0, bought_wh=0, balance_micro=0)


def conditions(world: World, kind: str, name: str) -> dict[str, str]:
    return {one["type"]: one["message"] for one in world.read(kind, name)["status"]["conditions"]}


def warnings(world: World) -> list[tuple[str, str]]:
    events = [world.read("Event", name) for name in world.names("Event")]
    return sorted((one["involvedObject"]["name"], one["reason"]) for one in events if one["type"] == "Warning")


def test_a_lost_ledger_is_a_condition_and_one_warning() -> None:
    async def main() -> None:
        world = await street()
        assert "LedgerLost" not in conditions(world, "SolarAgent", "rooftop")
        new_ledger(world, "rooftop-1")
        for _ in range(3):
            await world.reconcile()
        assert world.condition("SolarAgent", "rooftop", "LedgerLost") == ("True", "LedgerLost")
        assert conditions(world, "SolarAgent", "rooftop")["LedgerLost"] == (
            "the ledger of rooftop-1 is gone, which showed 1.23 kWh sold, 0.25 kWh bought and a balance of -1.20 EUR."
            " A new one is kept now, with what partners hold of it; `wattmesh audit` tells what is at stake"
        )
        assert world.condition("SolarAgent", "rooftop") == ("True", "Ready")
        assert warnings(world) == [("rooftop", "LedgerLost")]

    run(main())


def test_a_backup_that_is_restored_ends_it() -> None:
    async def main() -> None:
        world = await street()
        new_ledger(world, "rooftop-1")
        await world.reconcile()
        world.pods["rooftop-1"].parties["rooftop-1"] = party_status("rooftop-1", account=A)
        await world.reconcile()
        assert "LedgerLost" not in conditions(world, "SolarAgent", "rooftop")

    run(main())


def test_it_stays_with_whoever_trades_on_and_goes_with_the_household() -> None:
    async def main() -> None:
        world = await street()
        new_ledger(world, "rooftop-1")
        await world.reconcile()
        world.reconciler = world.new_operator()
        await world.reconcile()
        assert "LedgerLost" in conditions(world, "SolarAgent", "rooftop")
        world.scale("rooftop", 1)
        for _ in range(4):
            await world.reconcile()
        assert "LedgerLost" not in conditions(world, "SolarAgent", "rooftop")

    run(main())


def test_a_volume_that_is_lost_while_its_household_is_scaled_down_is_noticed_when_it_returns() -> None:
    async def main() -> None:
        world = await street()
        world.scale("rooftop", 1)
        for _ in range(4):
            await world.reconcile()
        world.scale("rooftop", 2)
        await world.reconcile()
        await world.start_pods("rooftop-1")
        new_ledger(world, "rooftop-1")
        await world.reconcile()
        assert "LedgerLost" in conditions(world, "SolarAgent", "rooftop")

    run(main())


def test_of_a_utility_too() -> None:
    async def main() -> None:
        world = await street()
        new_ledger(world, "utility")
        await world.reconcile()
        text = conditions(world, "UtilityAgent", "utility")["LedgerLost"]
        assert text.startswith("the ledger of utility is gone, which showed 1.23 kWh sold")

    run(main())


def test_a_claim_that_is_gone_is_a_warning() -> None:
    async def main() -> None:
        world = await street()
        world.delete("PersistentVolumeClaim", "rooftop-1")
        await world.reconcile()
        assert warnings(world) == [("rooftop", "VolumeLost")]

    run(main())
