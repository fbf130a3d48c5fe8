"""Finished runs beside each other: what their manifests say differently, and how far their KPIs are apart. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

Values = Mapping[str, Mapping[str, object]]
"""By party, its KPIs by name; "" where undefined."""


@dataclass(frozen=True)
class Setting:
    """What a run is told under a path; one value for each run, None where it has none."""

    path: str
    values: tuple[object, ...]


@dataclass(frozen=True)
class Compared:
    """A party's KPI in each run, None where undefined; `differences` are those from the first run."""

    party: str
    kpi: str
    values: tuple[Decimal | None, ...]

    @property
    def differences(self) -> tuple[Decimal | None, ...]:
        """Of each further run."""
        first, *others = self.values
        return tuple(None if first is None or value is None else value - first for value in others)

    @property
    def differs(self) -> bool:
        """Whether the runs do not agree."""
        return len(set(self.values)) > 1


def settings(told: Sequence[Mapping[str, Any]]) -> list[Setting]:
    """What differs in what runs were told, by path."""
    paths = dict.fromkeys(path for of_run in told for path in of_run)
    found = (Setting(path, tuple(of_run.get(path) for of_run in told)) for path in paths)
    return [one for one in found if any(value != one.values[0] for value in one.values)]


def compared(runs: Sequence[Values]) -> list[Compared]:
    """Every KPI of every party that a run has, in the order of the first that has it."""
    keys = dict.fromkeys((party, kpi) for run in runs for party, of_party in run.items() for kpi in of_party)
    return [
        Compared(party, kpi, tuple(_number(run.get(party, {}).get(kpi, "")) for run in runs)) for party, kpi in keys
    ]


def _number(value: object) -> Decimal | None:
    try:
        return Decimal(str(value))
    except InvalidOperation:
        return None
