"""Streets made up by seed: what a market has to do well on beside the streets that it was made with."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any


@dataclass(frozen=True)
class Family:
    """What its streets have in common: latitude (from, to), how many households, and how a tariff is made up."""

    name: str
    latitude: tuple[float, float]
    households: tuple[int, int]
    tariff: Callable[[random.Random], dict[str, Any]]

    def street(self, seed: int) -> list[dict[str, Any]]:
        """The resources of a street, the same for the same seed."""
        rng = random.Random(f"{self.name} {seed}")  # noqa: S311 - made-up streets
        latitude, longitude = rng.uniform(*self.latitude), rng.uniform(-180, 180)
        zone = timezone(timedelta(hours=round(longitude / 15)))
        start = datetime(2026, 1, 1, tzinfo=zone) + timedelta(days=rng.randrange(365))
        place = {"latitude": round(latitude, 2), "longitude": round(longitude, 2)}
        number = rng.randint(*self.households)
        return [
            _resource("BecknGateway", "market", {"clock": {"start": start.isoformat()}}),
            _resource("UtilityAgent", "utility", {"tariff": self.tariff(rng), "capacityKw": 10 * number}),
            *(_resource("SolarAgent", f"home-{home}", _home(rng, place, seed)) for home in range(number)),
        ]


def _resource(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "wattmesh.io/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec}


def _home(rng: random.Random, place: dict[str, float], seed: int) -> dict[str, Any]:
    """Panels on every second roof, a battery in every second home, a load in each."""
    spec: dict[str, Any] = {"load": {"annualKwh": rng.randrange(1200, 7000, 100)}, "seed": seed}
    if rng.random() < 0.55:
        azimuth = rng.gauss(180 if place["latitude"] > 0 else 0, 50) % 360
        spec["pv"] = {
            "peakKw": round(rng.uniform(2, 12), 1),
            **place,
            "tiltDegrees": rng.choice([0, 15, 30, 45]),
            "azimuthDegrees": round(azimuth),
        }
    if rng.random() < 0.5:
        capacity_kwh = round(rng.uniform(4, 15), 1)
        least_kwh = round(capacity_kwh * rng.choice([0, 0, 0.1]), 2)
        spec["battery"] = {
            "capacityKwh": capacity_kwh,
            "initialKwh": round(rng.uniform(least_kwh, capacity_kwh), 2),
            "minKwh": least_kwh,
            "powerKw": round(rng.uniform(1.5, 7), 1),
            "chargeEfficiencyPercent": rng.choice([92, 95, 97]),
            "dischargeEfficiencyPercent": rng.choice([92, 95, 97]),
            "selfDischargePercentPerDay": rng.choice([0, 0.1, 0.5]),
        }
    return spec


def _prices(rng: random.Random) -> tuple[float, float]:
    """What the utility asks and pays per kWh."""
    return round(rng.uniform(0.2, 0.35), 3), round(rng.uniform(0.04, 0.1), 3)


def _flat(rng: random.Random) -> dict[str, Any]:
    price, feed_in = _prices(rng)
    return {"price": price, "feedIn": feed_in}


def _with_periods(rng: random.Random) -> dict[str, Any]:
    price, feed_in = _prices(rng)
    periods = [{"from": "17:00", "to": "21:00", "price": round(price * rng.uniform(1.2, 1.7), 3)}]
    if rng.random() < 0.6:
        periods.append({"from": "23:00", "to": "05:00", "price": round(price * rng.uniform(0.5, 0.8), 3)})
    return {"price": price, "feedIn": feed_in, "periods": periods}


def _with_fees(rng: random.Random) -> dict[str, Any]:
    fees = {"gridFee": round(rng.uniform(0.04, 0.1), 3), "localGridFee": round(rng.uniform(0.01, 0.04), 3)}
    return _with_periods(rng) | fees


def _any(rng: random.Random) -> dict[str, Any]:
    return rng.choice([_flat, _with_periods, _with_fees])(rng)


FAMILIES: Mapping[str, Family] = {
    of.name: of
    for of in (
        Family("free", (36, 60), (4, 11), lambda rng: rng.choice([_flat, _with_periods])(rng)),
        Family("fees", (36, 60), (4, 11), _with_fees),
        Family("south", (-45, -15), (2, 25), _any),
    )
}
"""North without grid fees, north with night and peak prices and grid fees, south with any tariff and streets of any
size. All have streets of every season."""
