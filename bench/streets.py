"""Streets that are run in this process by calls, without databases, and read as rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from wattmesh_cli.books import LedgerEntry, Reading
from wattmesh_cli.kpi import Rows
from wattmesh_cli.street.feeder_run import slot_start
from wattmesh_cli.street.feeders import by_feeder
from wattmesh_cli.street.memory import EPOCH
from wattmesh_cli.street.study import Part, run_part
from wattmesh_cli.terms import Terms, terms_of
from wattmesh_common.runtime import RuntimeConfig
from wattmesh_market.energy.battery import Battery
from wattmesh_market.energy.slots import SLOT_S, SLOTS_PER_DAY
from wattmesh_market.parties.books import Books, Changes
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

    @property
    def each_alone(self) -> tuple[tuple[RuntimeConfig, ...], ...]:
        """Each household as if on a feeder of its own, with all utilities of its feeder."""
        return tuple(
            (config.model_copy(update={"households": (household,)}), *(other for other in configs if other.utilities))
            for configs in self.feeders
            for config in configs
            for household in config.households
        )


def street(path: Path, forecast: str, folder: Path) -> Street:
    """A street by the loader of the command line. Files that it writes on the way are in `folder`."""
    resources = list(yaml.safe_load_all(path.read_text(encoding="utf-8")))
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


def run(
    feeders: tuple[tuple[RuntimeConfig, ...], ...],
    first: int,
    until: int,
    levels_wh: Mapping[str, int] | None = None,
) -> Rows:
    """Run feeders from slot `first` until `until` and settle; what parties booked and metered, without contracts.

    `levels_wh` is what batteries hold at the start, if not what the manifests say.
    """
    readings: dict[str, list[Reading]] = {}
    ledger: dict[str, list[LedgerEntry]] = {}
    households, utilities = set(), set()
    for configs in feeders:
        books = {}
        for config in configs:
            for household in config.households:
                name = household.subscriber_id
                households.add(name)
                books[name] = _books(first, household.battery, (levels_wh or {}).get(name))
            for utility in config.utilities:
                utilities.add(utility.subscriber_id)
                books[utility.subscriber_id] = _books(first, None, None)
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
        messages={},
    )


def _books(first: int, battery: Battery | None, level_wh: int | None) -> Books:
    standing = standing_at(first, battery)
    books = Books(standing if level_wh is None else standing._replace(level_wh=level_wh))
    books.stand(books.standing)
    return books


def _readings(party: str, changes: Changes) -> list[Reading]:
    return [
        Reading(
            party=party,
            slot=slot,
            level_before_wh=of.metered.level_before_wh,
            level_after_wh=of.metered.level_after_wh,
            capacity_wh=of.capacity_wh,
            pv_wh=of.metered.pv_wh,
            load_wh=of.metered.load_wh,
            bought_wh=of.metered.bought_wh,
            sold_wh=of.metered.sold_wh,
            imported_wh=of.metered.imported_wh,
            exported_wh=of.metered.exported_wh,
            losses_wh=of.metered.losses_wh,
            state=str(of.state),
        )
        for slot, of in changes.readings.items()
    ]
