"""Prints examples/town.yaml: a town of 1,000 households on 20 feeders, in three kinds of quarters.

.venv/bin/python hack/town.py > examples/town.yaml
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

HOUSEHOLDS_OF_A_FEEDER = 50
SIDES = {"south": (35, 180), "west": (30, 265), "east": (30, 95)}
"""Slope of the roofs and where they look, degrees."""


@dataclass(frozen=True)
class Quarter:
    """What stands on a feeder. The rest of its households are flats."""

    name: str
    feeders: int
    roofs: dict[str, int]
    peak_kw: str
    battery_kwh: str
    batteries: int
    house_kwh: int
    flat_kwh: int
    capacity_kw: int

    @property
    def flats(self) -> int:
        """How many households have neither panels nor battery."""
        return HOUSEHOLDS_OF_A_FEEDER - sum(self.roofs.values()) - self.batteries


QUARTERS = (
    Quarter("centre", 6, {"south": 3, "west": 2, "east": 2}, "5", "6", 3, 3600, 2200, 120),
    Quarter("terraces", 8, {"south": 6, "west": 4, "east": 4}, "7", "8", 4, 4000, 2600, 150),
    Quarter("suburb", 6, {"south": 9, "west": 6, "east": 5}, "10", "12", 4, 4800, 3000, 200),
)

HEAD = """\
# A town of 1,000 households: 20 feeders of 50, each with a utility of its own, in three kinds of quarters. Roofs that
# look south, west and east have panels and a battery; some homes have a battery only, and charge it where it is cheap;
# flats have neither, and buy what they use. A utility is cheap at night and dear in the early evening.
#
#   wattmesh profiles -f examples/town.yaml -o town --days 1   # needs the extra: pip install 'wattmesh[field]'
#   wattmesh simulate -f town/manifests.yaml --days 1
#
# Written by hack/town.py; change that.
apiVersion: wattmesh.io/v1alpha1
kind: BecknGateway
metadata: {name: market}
spec: {clock: {start: "2026-06-21T00:00:00+02:00", speed: 60}}
"""

UTILITY = """\
---
apiVersion: wattmesh.io/v1alpha1
kind: UtilityAgent
metadata: {{name: utility-{feeder}}}
spec:
  feeder: {feeder}
  tariff:
    price: 0.30
    feedIn: 0.08
    periods: [{{from: "00:00", to: "05:00", price: 0.24}}, {{from: "17:00", to: "21:00", price: 0.40}}]
  capacityKw: {quarter.capacity_kw}
  demandResponse: {{startAtPercent: 80, maxPrice: 0.30}}
"""

HOUSEHOLDS = """\
---
apiVersion: wattmesh.io/v1alpha1
kind: SolarAgent
metadata: {{name: {kind}-{feeder}}}
spec:
  feeder: {feeder}
  replicas: {replicas}
  householdsPerPod: {replicas}
"""

ROOF = """\
  pv: {{peakKw: {quarter.peak_kw}, latitude: 48.1, longitude: 11.6, tiltDegrees: {tilt}, azimuthDegrees: {azimuth}}}
  battery: {{capacityKwh: {quarter.battery_kwh}, initialKwh: {initial_kwh:g}}}
  load: {{annualKwh: {quarter.house_kwh}}}
"""

BATTERY = """\
  battery: {{capacityKwh: 13.5, initialKwh: 4}}
  load: {{annualKwh: {quarter.house_kwh}}}
"""

FLAT = """\
  load: {{annualKwh: {quarter.flat_kwh}}}
"""


def town() -> str:
    """The whole file."""
    quarters = [quarter for quarter in QUARTERS for _ in range(quarter.feeders)]
    return HEAD + "".join(_feeder(f"f{number:02}", quarter) for number, quarter in enumerate(quarters, 1))


def _feeder(feeder: str, quarter: Quarter) -> str:
    def households(kind: str, replicas: int, what: str, **more: object) -> str:
        return (HOUSEHOLDS + what).format(feeder=feeder, kind=kind, replicas=replicas, quarter=quarter, **more)

    roofs = [
        households(
            side,
            quarter.roofs[side],
            ROOF,
            tilt=tilt,
            azimuth=azimuth,
            initial_kwh=0.6 * float(quarter.battery_kwh),
        )
        for side, (tilt, azimuth) in SIDES.items()
    ]
    return "".join(
        (
            f"# --- {feeder}: {quarter.name}\n",
            UTILITY.format(feeder=feeder, quarter=quarter),
            *roofs,
            households("battery", quarter.batteries, BATTERY),
            households("flat", quarter.flats, FLAT),
        )
    )


if __name__ == "__main__":
    sys.stdout.write(town())
