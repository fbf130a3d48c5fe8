"""A gateway's clock goes on for as long as anybody's books are dated by it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.operator.world import NOW, STREET, World, run
from wattmesh_common.clock import utc
from wattmesh_common.runtime import RuntimeConfig
from wattmesh_operator.cluster.objects import Object
from wattmesh_operator.desired.grid_clock import MarketClock, kept_clocks, market_clock
from wattmesh_operator.desired.names import GATEWAY, GRID_CLOCK
from wattmesh_operator.resources.beckn_gateway import Clock

START = datetime(2026, 6, 21, 6, tzinfo=UTC)
DAY_S = 86_400.0


def spec(speed: int = 60, start: datetime = START) -> Clock:
    return Clock.model_validate({"start": start.isoformat(), "speed": speed})


def kept(epoch: float = NOW, speed: float = 60, since: float = NOW) -> MarketClock:
    return MarketClock(start=START, epoch=epoch, speed=speed, since=since)


def test_a_new_gateway_starts_when_it_was_declared() -> None:
    clock = market_clock(spec(), NOW, [], NOW + 100)
    assert (clock.at(NOW), clock.at(NOW + 1)) == (START.timestamp(), START.timestamp() + 60)


def test_one_that_is_made_again_goes_on() -> None:
    assert market_clock(spec(), NOW + DAY_S, [kept()], NOW + DAY_S) == kept()


@pytest.mark.parametrize("speed", [1, 30, 120])
@pytest.mark.parametrize("start", [START, START - timedelta(days=30)])
def test_with_another_speed_or_an_earlier_start_it_goes_on_from_where_it_is(speed: int, start: datetime) -> None:
    changed = market_clock(spec(speed, start), NOW, [kept()], NOW + DAY_S)
    assert 0 <= changed.at(NOW + DAY_S) - kept().at(NOW + DAY_S) <= speed, "the epoch is a whole second"
    assert market_clock(spec(speed, start), NOW, [changed, kept()], NOW + 2 * DAY_S) == changed


def test_a_start_that_is_still_to_come_is_begun_with_now() -> None:
    start = START + timedelta(days=300)
    changed = market_clock(spec(start=start), NOW, [kept()], NOW + DAY_S)
    assert changed.at(NOW + DAY_S) == start.timestamp()


def test_of_several_the_newest_holds() -> None:
    """A household that comes back after the speed was changed twice has an old one on its volume."""
    now = kept(NOW + 50, since=NOW + 2000)
    assert market_clock(spec(), NOW, [kept(), now, kept(speed=30, since=NOW + 1000)], NOW + DAY_S) == now


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "{}", kept().model_dump_json().replace("60.0", "0"), kept().model_dump_json().replace("Z", "")],
)
def test_what_cannot_be_read_is_passed_over(text: str) -> None:
    def claim(gateway: str, annotation: str) -> Object:
        return {"metadata": {"labels": {GATEWAY: gateway}, "annotations": {GRID_CLOCK: annotation}}}

    good = kept().model_dump_json()
    assert kept_clocks("market", [None, claim("market", text), claim("other", good), claim("market", good)]) == [kept()]


def config(world: World, name: str) -> RuntimeConfig:
    return RuntimeConfig.model_validate(json.loads(world.read("ConfigMap", name)["data"]["config.json"]))


def test_grid_time_of_a_gateway_that_is_deleted_and_applied_again_goes_on() -> None:
    async def main() -> None:
        world = World()
        world.apply(STREET)
        await world.settle()
        before = config(world, "rooftop-0").clock
        await world.clock.sleep(DAY_S)
        world.delete("BecknGateway", "market")
        await world.reconcile()
        assert world.condition("SolarAgent", "rooftop") == ("False", "GatewayNotFound")
        await world.clock.sleep(DAY_S)
        world.apply(STREET)
        await world.settle()
        assert {config(world, name).clock for name in ("rooftop-0", "rooftop-1", "utility")} == {before}

    run(main())


def test_grid_time_does_not_go_back_when_it_is_slowed_down() -> None:
    async def main() -> None:
        world = World()
        world.apply(STREET)
        await world.settle()
        await world.clock.sleep(DAY_S)
        before, changed = config(world, "rooftop-0").clock.grid_time, world.clock.wall()
        world.apply(STREET.replace("speed: 120", "speed: 60"))
        for _ in range(5):
            await world.settle()
        [after] = {config(world, name).clock for name in ("rooftop-0", "rooftop-1", "utility")}
        assert after.speed == 60
        assert 0 <= after.grid_time.at(changed) - before.at(changed) < 600, "a few seconds of wall time"
        world.writes()
        await world.settle()
        await world.reconcile()
        assert world.writes() == []

    run(main())


def test_a_household_whose_books_are_ahead_is_not_ready_and_says_until_when() -> None:
    async def main() -> None:
        world = World()
        world.apply(STREET)
        await world.settle()
        parties: dict[str, Any] = world.pods["rooftop-1"].parties
        ready = parties["rooftop-1"]
        parties["rooftop-1"] = ready.model_copy(update={"waits_until": utc(NOW + 3600)})
        await world.reconcile()
        assert world.condition("SolarAgent", "rooftop") == ("False", "BooksAhead")
        status = world.read("SolarAgent", "rooftop")["status"]
        assert [household["phase"] for household in status["households"]] == ["Ready", "Waiting"]
        [message] = {c["message"] for c in status["conditions"] if c["type"] == "Ready"}
        assert message.startswith("rooftop-1: grid time is behind the books")
        assert message.endswith("until 2026-09-21T15:13:20.000Z")
        assert ("rooftop", "BooksAhead") in world.events()
        world.writes()
        await world.reconcile()
        assert world.writes() == [], "the same is not told again"
        parties["rooftop-1"] = ready
        await world.reconcile()
        assert world.condition("SolarAgent", "rooftop") == ("True", "Ready")

    run(main())
