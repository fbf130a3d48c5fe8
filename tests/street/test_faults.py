"""Lost, late, doubled and reordered messages and answers change nothing wrongly."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from tests.world.faults import FAULTS, Faulty, Wrap
from tests.world.manifests import MARKET, households, planned, utility
from tests.world.street import play
from wattmesh_beckn.transport import Transport
from wattmesh_cli.street.virtual_time import EPOCH
from wattmesh_common.clock import LoopClock

# Two sellers that together do not have enough, three buyers of two kinds, and a utility that buys, too.
STREET = (
    MARKET
    + utility(capacity_kw="4", more=", demandResponse: {startAtPercent: 10, maxPrice: 0.30}")
    + households(
        "roof",
        "battery: {capacityKwh: 10, initialKwh: 8, powerKw: 2}, load: {annualKwh: 3000}, strategy: rules",
        replicas=2,
    )
    + households("store", "battery: {capacityKwh: 8, initialKwh: 7}, trading: {sellPrice: 0.28}, strategy: rules")
    + households(
        "low", "battery: {capacityKwh: 10, initialKwh: 1, powerKw: 3}, load: {annualKwh: 2000}, strategy: rules"
    )
    + households("flat", "load: {annualKwh: 6000}, strategy: rules", replicas=2)
)
FAULTY_S = 60
"""Four slots; then four without faults."""


def faulty(kinds: Sequence[str], seed: int, share: float, made: list[Faulty] | None = None) -> Wrap:
    def wrap(inner: Transport, clock: LoopClock) -> Transport:
        transport = Faulty(inner, clock, random.Random(seed), kinds, EPOCH + FAULTY_S, share)
        if made is not None:
            made.append(transport)
        return transport

    return wrap


def check_settles(kinds: Sequence[str], seed: int, share: float) -> None:
    made: list[Faulty] = []
    street = play(planned(STREET), 2.0, seed=seed, wrap=faulty(kinds, seed, share, made))
    assert made[0].done > 50
    street.check_sound()
    street.check_settled()
    slots = {row.slot for row in street.contracts("buyer") if row.state == "SETTLED"}
    assert len(slots) >= 3  # those that were traded without faults, at least


@pytest.mark.parametrize("kind", FAULTS)
def test_the_books_are_right_and_all_settles_once_the_faults_stop(kind: str) -> None:
    check_settles([kind], 1, share=0.3)


@pytest.mark.parametrize("seed", [2, 3, 4])
def test_all_kinds_of_faults_together(seed: int) -> None:
    check_settles(FAULTS, seed, share=0.5)


def test_the_books_are_right_in_the_middle_of_it() -> None:
    street = play(planned(STREET), 0.8, seed=7, wrap=faulty(FAULTS, 7, 0.5))
    street.check_sound()
