"""The series of prices that manifests name, and every mistake in their files."""

from __future__ import annotations

from collections.abc import Iterator

from wattmesh_market.energy.tariff import PriceFile
from wattmesh_operator.manifests.measured import is_file
from wattmesh_operator.plan.participants import price_file
from wattmesh_operator.plan.prices import place_of, read_told
from wattmesh_operator.resources import BecknGateway, Resource, UtilityAgent
from wattmesh_operator.resources.mistakes import ManifestErrors, Mistake
from wattmesh_operator.resources.parsing import Manifest


def prices_told(resource: Resource) -> PriceFile | None:
    """A utility's prices, as a file on this machine or as text, and what its manifest tells of them."""
    series = resource.spec.tariff.series if isinstance(resource, UtilityAgent) else None
    return price_file(series) if series and series.config_map is None else None


def price_mistakes(manifest: Manifest, gateway: BecknGateway | None) -> Iterator[Mistake]:
    """What is wrong in a manifest's series of prices, and with its days on the gateway's clock."""
    file = prices_told(manifest.resource)
    if file is None:
        return
    field, name = place_of(file)
    if file.text is None and not is_file(file.path):
        yield manifest.mistake(field, f"must be a file; there is none at {file.path}")
        return
    try:
        series, found = read_told(manifest, file)
    except ManifestErrors as errors:
        yield from errors.mistakes
        return
    start = None if gateway is None else gateway.spec.clock.start
    if start is not None and not series.first <= start.timestamp() < series.end:
        first, end = found.time(series.first), found.time(series.end, end=True)
        what = (
            f"{name}has prices from {first:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M}, and clock.start is"
            f" {start:%Y-%m-%d %H:%M}: give prices from then on, or start when they do"
        )
        yield manifest.mistake(field, what)
