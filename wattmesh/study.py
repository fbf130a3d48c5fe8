"""A study: the resources of one market, and its run."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import tzinfo
from functools import cached_property
from hashlib import sha256
from os import PathLike
from shutil import rmtree
from tempfile import mkdtemp
from typing import Self
from weakref import finalize

from rich.console import Console

from wattmesh.results import Results
from wattmesh_cli.manifest_files import one_gateway
from wattmesh_cli.street.simulation import fingerprint, run_simulation, trouble_texts
from wattmesh_cli.street_record import Over
from wattmesh_market.mechanisms import BILATERAL, Mechanism, mechanism_named, mechanisms
from wattmesh_market.parties.plugged import plugins_of
from wattmesh_market.plugins import Given, given_of, take
from wattmesh_operator.manifests import Source, as_yaml, load, with_values
from wattmesh_operator.plan import GatewayPlan
from wattmesh_operator.resources import BecknGateway, Resource

_SEEDS = 2**53


class PluginWarning(UserWarning):
    """A plug-in has failed in a run, or is slow: which, when and how often. Households held meanwhile."""


@dataclass(frozen=True)
class Study:
    """The resources of one gateway's market: what a run follows from, with its days and seed.

    Raises ManifestErrors when they do not fit together, ValueError when they are not of one gateway.

    Where a resource has the name of a strategy, pricing, forecast or device, it may have the plug-in itself: a function
    from `StrategyView` to `Buy`, `Sell` or `Hold`; a `Pricing`; a class with `expected(slot)`; a function from
    `DeviceWindow` to Wh. It becomes its name, which this process and those that a sweep hands the study to know.
    """

    resources: tuple[Resource, ...]

    def __post_init__(self) -> None:
        self.plan  # noqa: B018 - checks them

    @classmethod
    def from_manifests(cls, manifests: Source | Iterable[Source]) -> Self:
        """The study of manifests: each a path, a mapping or a resource; one of them, or several.

        A path is a file of YAML documents or a folder of such files. A mapping is what YAML makes of a document:
        `{"apiVersion": "wattmesh.io/v1alpha1", "kind": "SolarAgent", "metadata": {"name": "roof"}, "spec": {…}}`. A
        resource is a `BecknGateway`, `UtilityAgent` or `SolarAgent`; its fields are those of a manifest, in
        snake_case, and their numbers may be `int`, `float` or `Decimal`: energy in kWh, power in kW, money in the
        gateway's currency. Relative paths of profiles start at the manifest's folder, without a file at the current
        one.

        Raises ManifestErrors with every mistake in all of them, ValueError when they are not of one gateway.
        """
        if isinstance(manifests, str | PathLike | Mapping | Resource):
            manifests = [manifests]
        return cls(load(manifests))

    def __getstate__(self) -> tuple[tuple[Resource, ...], tuple[Given, ...]]:
        return self.resources, given_of(plugins_of(self.plan.households))

    def __setstate__(self, state: tuple[tuple[Resource, ...], tuple[Given, ...]]) -> None:
        resources, given = state
        take(given)
        object.__setattr__(self, "resources", resources)

    @cached_property
    def plan(self) -> GatewayPlan:
        """What runs for the resources."""
        return one_gateway(self.resources)

    @property
    def zone(self) -> tzinfo:
        """The market's local time: that of `clock.start`."""
        zone = self.plan.resource.spec.clock.start.tzinfo
        assert zone is not None  # noqa: S101 - the model demands one
        return zone

    @property
    def fingerprint(self) -> str:
        """What tells one study from another: all that its parties are told, and what is in their profiles."""
        return fingerprint(self.plan)

    def with_values(self, values: Mapping[str, object]) -> Self:
        """The study with other values of some fields, by their path, as `wattmesh simulate --set` has them.

        `spec.battery.capacityKwh` is the field of every resource that has a battery, `solaragent/roof.spec.seed` of one
        resource. A value is what a manifest says there, or a part of a resource such as `Battery(…)`. Raises ValueError
        when a path leads nowhere, and as `from_manifests`.
        """
        return type(self)(with_values(self.resources, values))

    def redrawn(self, draw: int) -> Self:
        """The same study with another draw of all that is random: weather, load, random prices, lots.

        Draw 0 is the study itself. Every other one gives agents of equal `spec.seed` another equal seed, so
        neighbours stay under the same clouds.
        """
        if draw == 0:
            return self
        return self.with_values(
            {
                f"{agent.kind}/{agent.metadata.name}.spec.seed": _seed(agent.spec.seed, draw)
                for agent in self.resources
                if not isinstance(agent, BecknGateway)
            }
        )

    def to_yaml(self) -> str:
        """The manifests of the study, for `wattmesh up`, `wattmesh simulate` or `kubectl apply`."""
        return as_yaml(self.resources)

    def run(
        self,
        *,
        days: int = 1,
        seed: int = 0,
        progress: bool = True,
        state: str | PathLike[str] | None = None,
        jobs: int = 1,
        scheduler: str | None = None,
        over: Over | str = Over.CALLS,
        mechanism: str | Mechanism = BILATERAL,
        fresh: bool = False,
    ) -> Results:
        """Run the study up to `days` days after the gateway's `clock.start`, as `wattmesh simulate` does.

        The same study, days and `seed` (of ids and, over messages, keys) give the same ledger; for another draw of
        weather and prices see `redrawn`. `progress` is shown on standard error. `state` is the directory that keeps the
        run: the same call goes on after a stop, with more days it is extended, `fresh` deletes what is there. Without
        `state` the run is kept as long as its results. `jobs` processes share the feeders, or the cluster of the Dask
        scheduler at address `scheduler`. `over` messages instead of calls is the path that a live street takes.
        `mechanism` is how neighbours trade: bilateral, uniform-price, pool, the name of a plug-in, or a function from a
        slot's `Orders` to a list of `Match`.

        Raises BooksError (`state` holds another study, or cannot be written), ValueError (a profile does not have the
        slots, a plug-in cannot go to other processes), and KeyboardInterrupt when stopped, once all is saved. Warns
        (PluginWarning) of plug-ins that have failed.
        """
        if days < 1:
            raise ValueError(f"days must be at least 1, not {days}")
        named = mechanism_of(mechanism)
        way = Over(over)
        results = Results(mkdtemp(prefix="wattmesh-run-") if state is None else state)
        if state is None:
            finalize(results, rmtree, results.state, ignore_errors=True)
        result = run_simulation(
            self.plan,
            results.state,
            days=days,
            seed=seed,
            console=Console(stderr=True, quiet=not progress),
            log_level=logging.WARNING,
            jobs=jobs,
            scheduler=scheduler,
            over=way,
            mechanism=named,
            fresh=fresh,
        )
        for text in trouble_texts(self.plan, result):
            warnings.warn(text, PluginWarning, stacklevel=2)
        if not result.completed:
            raise KeyboardInterrupt(f"stopped after {result.slots} slots")
        return results


def mechanism_of(mechanism: str | Mechanism) -> str:
    """The name of a mechanism, which may be given as a function. ValueError where there is none."""
    if not isinstance(mechanism, str):
        return mechanisms.give(mechanism)
    mechanism_named(mechanism)
    return mechanism


def _seed(seed: int, draw: int) -> int:
    return int.from_bytes(sha256(f"{seed}/{draw}".encode()).digest()[:8], "big") % _SEEDS
