"""Consumption by the BDEW standard load profiles (VDEW, 1999) of demandlib, each household with its own ways."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import lru_cache
from random import Random

import numpy as np
from demandlib.bdew import ElecSlp

from wattmesh_cli.field.rounding import Series, shared_wh

KINDS = ("h0", "g0", "g1", "g2", "g3", "g4", "g5", "g6", "l0", "l1", "l2")
"""H0 households (with BDEW's dynamic factor for the season), G0 to G6 businesses, L0 to L2 farms."""
_LATEST_SHIFT = 4
_SLOTS_A_DAY = 96


def load_wh(kind: str, annual_wh: int, seed: int, start: datetime, slots: int) -> list[int]:
    """Consumption of a household in `slots` slots from `start` (local time) on, in whole Wh.

    It is cut out of calendar years that sum to `annual_wh` each. The same seed gives the same household.
    """
    wh: list[int] = []
    moment = start
    while len(wh) < slots:
        year_wh = year_load_wh(kind, annual_wh, seed, moment.year)
        first = (moment - moment.replace(month=1, day=1, hour=0, minute=0)) // timedelta(minutes=15)
        part = year_wh[first : first + slots - len(wh)]
        wh += part
        moment += len(part) * timedelta(minutes=15)
    return wh


def year_load_wh(kind: str, annual_wh: int, seed: int, year: int) -> list[int]:
    """Consumption of a household in each slot of a calendar year, in whole Wh that sum to `annual_wh`.

    The household rises and goes to bed up to an hour earlier or later than the profile says; a day takes 0.7 to 1.3
    of the profile's energy, and a slot of it 0.2 to 1.8 of its share.
    """
    shares = _standard_shares(kind, year)
    # Only `random()` of the standard library gives the same numbers in every version of Python.
    shift = int(Random(f"{seed}/shift").random() * (2 * _LATEST_SHIFT + 1)) - _LATEST_SHIFT  # noqa: S311
    chance = Random(f"{seed}/{year}")  # noqa: S311
    days = np.array([0.7 + 0.6 * chance.random() for _ in range(len(shares) // _SLOTS_A_DAY)])
    ways = np.array([0.2 + 1.6 * chance.random() for _ in range(len(shares))])
    return shared_wh(annual_wh, np.roll(shares, shift) * np.repeat(days, _SLOTS_A_DAY) * ways)


def standard_load_wh(kind: str, annual_wh: int, year: int) -> list[int]:
    """The standard profile itself in each slot of a calendar year, in whole Wh that sum to `annual_wh`."""
    return shared_wh(annual_wh, _standard_shares(kind, year))


def _standard_shares(kind: str, year: int) -> Series:
    """Share of the year's energy in each of its slots, about; they sum to 1 or nearly so."""
    shares: Series = _profiles(year).slp_frame["h0_dyn" if kind == "h0" else kind].to_numpy(dtype=np.float64)
    return shares


@lru_cache(maxsize=4)
def _profiles(year: int) -> ElecSlp:
    """All profiles of a year, without public holidays: those differ between regions."""
    return ElecSlp(year)
