"""The planner with a receding horizon."""

from __future__ import annotations

import numpy as np
import pytest

from bench.rolling import HORIZON, Expected, Expects, roll
from wattmesh_cli.field.optimum import Home, Store, optimum
from wattmesh_cli.field.program import Values

SLOTS = 96


def home(sun_wh: Values, load_wh: Values) -> Home:
    """A battery without losses of 10 kWh; the night from 22:00 costs half."""
    hours = np.arange(len(sun_wh)) % 96 / 4
    return Home(
        pv_wh=sun_wh,
        load_wh=load_wh,
        tariff_micro=np.where((hours < 6) | (hours >= 22), 150_000.0, 300_000.0),
        feed_in_micro=np.full(len(sun_wh), 80_000.0),
        local_fee_micro=np.zeros(len(sun_wh)),
        store=Store(
            level_wh=0.0,
            min_level_wh=0.0,
            capacity_wh=np.full(len(sun_wh), 10_000.0),
            charge_wh=np.full(len(sun_wh), 1_250.0),
            discharge_wh=np.full(len(sun_wh), 1_250.0),
            charge_efficiency=1.0,
            discharge_efficiency=1.0,
            leak=np.zeros(len(sun_wh)),
        ),
        stored_micro_per_kwh=80_000,
    )


def days_of(slots: int) -> tuple[Values, Values]:
    """Sun from 09:00 to 15:00, and an even load."""
    hours = np.arange(slots) % 96 / 4
    return np.where((hours >= 9) & (hours < 15), 400.0, 0.0), np.full(slots, 150.0)


def foreseen(sun_wh: Values, load_wh: Values) -> Expects:
    """The same is expected whenever it is asked."""
    return lambda slot: Expected(sun_wh[slot : slot + HORIZON], load_wh[slot : slot + HORIZON])


def test_who_knows_all_to_come_plans_as_well_as_the_optimum() -> None:
    sun, load = days_of(SLOTS + HORIZON)
    homes = {"house": home(sun, load)}
    planned = roll(homes, {"house": foreseen(sun, load)}, None, SLOTS)
    known = {"house": home(*days_of(SLOTS))}
    bound = optimum(known)
    cost = planned.cost_micro({"house": 80_000})
    assert cost >= bound.cost_micro(known) - 1
    # What it keeps for a second day that is not counted is all that it lacks.
    assert cost == pytest.approx(bound.cost_micro(known), abs=50_000)


def test_who_expects_a_sun_that_does_not_come_pays_for_it() -> None:
    sun, load = days_of(SLOTS + HORIZON)
    dark = np.zeros(SLOTS + HORIZON)
    worth = {"house": 80_000}
    wrong = roll({"house": home(dark, load)}, {"house": foreseen(sun, load)}, None, SLOTS)
    right = roll({"house": home(dark, load)}, {"house": foreseen(dark, load)}, None, SLOTS)
    assert wrong.cost_micro(worth) > right.cost_micro(worth) + 100_000
