"""A shared pod follows its configuration: households come and go while the others trade on."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.world.manifests import MARKET, households, planned, utility
from tests.world.street import Street, left_by, play
from tests.world.tokens import TOKEN
from wattmesh_agents.following import Following
from wattmesh_agents.keyring import KeyRing
from wattmesh_agents.pod import Pod
from wattmesh_cli.street.run import StreetRun
from wattmesh_common.clock import Clock
from wattmesh_common.runtime import RuntimeConfig
from wattmesh_market.parties.utility import Utility

PLAN = planned(
    MARKET
    + utility()
    + households("roof", "battery: {capacityKwh: 100, initialKwh: 95}, load: {annualKwh: 3000}, strategy: rules")
    + households("flat", "load: {annualKwh: 6000}, strategy: rules, householdsPerPod: 10", replicas=3)
)
POD = "flat-pod-0"
Work = Callable[[StreetRun, Callable[[int], None], "Following"], Awaitable[None]]


def played(folder: Path, work: Work) -> Street:
    """A street in which the flats' pod begins with two of its three households and follows a file."""
    file = folder / "config.json"

    async def watch(run: StreetRun) -> None:
        pod, clock = run.pods[POD], run._ports.clock
        whole = pod.config

        def write(number: int) -> None:
            file.write_text(whole.model_copy(update={"households": whole.households[:number]}).model_dump_json())

        write(2)
        following = follow(pod, file, clock)
        pod.follow(RuntimeConfig.model_validate_json(file.read_bytes()))
        await work(run, write, following)

    return play(PLAN, 3.0, seed=3, watch=watch)


def follow(pod: Pod, file: Path, clock: Clock) -> Following:
    text = file.read_bytes

    async def read() -> bytes:
        return text()

    async def keys() -> KeyRing:
        return ring

    ring = KeyRing(dict(pod._signers), keys, clock)
    return Following(pod, ring, read, text(), clock)


def test_who_may_read_is_followed_too(tmp_path: Path) -> None:
    async def work(run: StreetRun, _: Callable[[int], None], following: Following) -> None:
        pod, file = run.pods[POD], tmp_path / "config.json"
        file.write_text(pod.config.model_copy(update={"readers": (TOKEN.digest,)}).model_dump_json())
        await following.look()
        assert pod.config.readers == (TOKEN.digest,)

    played(tmp_path, work)


def test_a_household_that_comes_trades_and_those_who_stay_do_not_notice(tmp_path: Path) -> None:
    async def work(run: StreetRun, write: Callable[[int], None], following: Following) -> None:
        clock, pod = run._ports.clock, run.pods[POD]
        stays = pod.parties["flat-0"]
        await clock.sleep(30.0)
        assert "flat-2" not in pod.parties
        write(3)
        await following.look()
        assert pod.parties["flat-0"] is stays
        assert [one.name for one in pod.config.households] == ["flat-0", "flat-1", "flat-2"]

    street = played(tmp_path, work)
    street.check_sound()
    street.check_settled()
    assert [row for row in street.contracts("buyer", "flat-2") if row.state == "SETTLED"]
    slots = [row.slot for row in street.readings("flat-0")]
    assert slots == [*range(slots[0], slots[-1] + 900, 900)]


def test_one_that_left_and_returns_finds_its_ledger(tmp_path: Path) -> None:
    async def work(run: StreetRun, write: Callable[[int], None], following: Following) -> None:
        clock, pod = run._ports.clock, run.pods[POD]
        await clock.sleep(40.0)
        write(1)
        await following.look()
        assert [*pod.parties] == ["flat-0"]
        before.append(len([row for row in left_by(run).contracts("buyer", "flat-1") if row.state == "SETTLED"]))
        await clock.sleep(40.0)
        write(2)
        await following.look()

    before: list[int] = []
    street = played(tmp_path, work)
    street.check_sound()
    street.check_settled()
    assert 0 < before[0] < len([row for row in street.contracts("buyer", "flat-1") if row.state == "SETTLED"])
    slots = [row.slot for row in street.readings("flat-1")]
    assert slots == [*range(slots[0], slots[-1] + 900, 900)], "what it missed is metered when it returns"


def test_what_cannot_be_followed_is_told_once_and_tried_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def work(run: StreetRun, write: Callable[[int], None], following: Following) -> None:
        pod = run.pods[POD]
        caplog.set_level(logging.WARNING, "wattmesh_agents.following")
        logging.getLogger("wattmesh_agents").propagate = True
        (tmp_path / "config.json").write_text('{"pod": "half of')
        for _ in range(3):
            await following.look()
        signer = following._keys._signers.pop("flat-2.default")
        write(3)
        for _ in range(3):
            await following.look()
        assert [*pod.parties] == ["flat-0", "flat-1"]
        following._keys._signers["flat-2.default"] = signer
        await following.look()
        assert [*pod.parties] == ["flat-0", "flat-1", "flat-2"]

    played(tmp_path, work)
    told = [record.getMessage() for record in caplog.records if record.name == "wattmesh_agents.following"]
    assert len(told) == 2
    assert told[0].startswith("the configuration cannot be followed yet: ")
    assert told[1] == "the configuration cannot be followed yet: there is no key of flat-2.default yet"


def test_a_utility_follows_what_is_installed_at_its_customers() -> None:
    async def watch(run: StreetRun) -> None:
        pod = run.pods["utility"]
        [grid], party = pod.config.utilities, pod.parties["utility"]
        assert isinstance(party, Utility)
        pod.follow(pod.config.model_copy(update={"utilities": (replace(grid, installed=(("flat", 7),)),)}))
        assert party._installed == {"flat": 7}

    play(PLAN, 0.5, watch=watch)
