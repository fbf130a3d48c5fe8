"""Streets that are run in this process by calls, without databases, and read as rows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from wattmesh_cli.books import LedgerEntry, Reading
from wattmesh_cli.kpi import Rows
from wattmesh_cli.street.feeders import by_feeder
from wattmesh_cli.street.study import Part, run_part
from wattmesh_cli.street.virtual_time import EPOCH, slot_start
from wattmesh_cli.terms import Terms, terms_of
from wattmesh_common.runtime import RuntimeConfig
from wattmesh_market.energy.slots import SLOT_S, SLOTS_PER_DAY
from wattmesh_market.parties.books import Books, Changes
from wattmesh_market.parties.config import HouseholdConfig
from wattmesh_market.parties.party import standing_at
from wattmesh_operator.manifests import load
from wattmesh_operator.plan import GatewayPlan, plan, runtime_config


@dataclass(frozen=True)
class Street:
    """A street as its manifests have it; every household expects what forecast `forecast` says."""

    plan: GatewayPlan
    terms: Terms

    @property
    def first(self) -> int:
        """Its first slot."""
        return int(slot_start(self.plan, 0).timestamp())

    def slot(self, day: int) -> int:
        """The first slot of a day, the first day being 0."""
        return self.first + day * SLOTS_PER_DAY * SLOT_S

    @property
    def feeders(self) -> tuple[tuple[RuntimeConfig, ...], ...]:
        """The configuration of the pods of each feeder."""
        return tuple(
            tuple(runtime_config(pod, gateway_url="", epoch=EPOCH) for pod in feeder.pods)
            for feeder in by_feeder(self.plan)
        )


def street(path: Path, forecast: str, folder: Path) -> Street:
    """A street by the loader of the command line. Files that it writes on the way are in `folder`."""
    resources = [one for one in yaml.safe_load_all(path.read_text(encoding="utf-8")) if one]
    return street_of(resources, forecast, folder / path.name, beside=path.parent)


def street_of(resources: list[dict[str, Any]], forecast: str, path: Path, beside: Path | None = None) -> Street:
    """A street of resources, written to `path`; files that these name are in folder `beside`."""
    for resource in resources:
        spec = resource["spec"]
        if resource["kind"] == "BecknGateway":
            start = spec["clock"]["start"]
            spec["clock"]["start"] = start if isinstance(start, str) else start.isoformat()
        if resource["kind"] == "SolarAgent":
            spec["forecast"] = forecast
            if beside and "csv" in spec.get("profile", {}):
                spec["profile"]["csv"] = str(beside / spec["profile"]["csv"])
    path.write_text(yaml.safe_dump_all(resources), encoding="utf-8")
    (planned,) = plan(load([str(path)]))
    return Street(planned, terms_of(planned))


def run(of: Street, days: int) -> Rows:
    """Run a street for so many days and settle; what parties booked and metered, without contracts."""
    first, until = of.slot(0), of.slot(days)
    readings: dict[str, list[Reading]] = {}
    ledger: dict[str, list[LedgerEntry]] = {}
    households, utilities = set(), set()
    for configs in of.feeders:
        books = {}
        for config in configs:
            for household in config.households:
                name = household.subscriber_id
                households.add(name)
                books[name] = _books(first, household)
            for utility in config.utilities:
                utilities.add(utility.subscriber_id)
                books[utility.subscriber_id] = _books(first)
        done = run_part(Part(configs, 0, books, first, until, until, settling=True))
        for party, changes in done.changes.items():
            readings.setdefault(party, []).extend(_readings(party, changes))
            ledger.setdefault(party, []).extend(
                LedgerEntry(party, str(of.kind), of.slot, of.counterparty, of.reference, of.energy_wh, of.amount_micro)
                for of in changes.ledger
            )
    return Rows(
        households=tuple(sorted(households)),
        utilities=tuple(sorted(utilities)),
        readings={name: sorted(of, key=lambda reading: reading.slot) for name, of in readings.items()},
        ledger={name: sorted(of, key=lambda entry: entry.slot) for name, of in ledger.items()},
        pairs=(),
        purchases=dict.fromkeys(ledger, ()),
        covered_wh={},
        messages={},
    )


def _books(first: int, household: HouseholdConfig | None = None) -> Books:
    books = Books(standing_at(first, household))
    books.stand(books.standing)
    return books


def _readings(party: str, changes: Changes) -> list[Reading]:
    return [
        Reading(party=party, slot=slot, capacity_wh=of.capacity_wh, state=str(of.state), **of.metered._asdict())
        for slot, of in changes.readings.items()
    ]
