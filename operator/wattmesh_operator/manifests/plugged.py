"""Whether the plug-ins that manifests name are installed here, where their households are to run."""

from __future__ import annotations

from collections.abc import Iterator

from wattmesh_market.parties.plugged import CATALOGS
from wattmesh_market.plugins import Kind
from wattmesh_operator.resources import SolarAgent
from wattmesh_operator.resources.devices import Needing
from wattmesh_operator.resources.mistakes import Mistake
from wattmesh_operator.resources.parsing import Manifest


def plugin_mistakes(manifest: Manifest) -> Iterator[Mistake]:
    """Each name that nothing installed has, or that cannot be loaded, with what there is."""
    if not isinstance(manifest.resource, SolarAgent):
        return
    spec = manifest.resource.spec
    devices: list[tuple[str, Needing | None]] = [("ev", spec.ev), ("heatPump", spec.heat_pump)]
    devices += [(f"shiftable[{number}]", one) for number, one in enumerate(spec.shiftable)]
    named = (
        ("spec.strategy", Kind.STRATEGY, spec.strategy),
        ("spec.trading.pricing", Kind.PRICING, spec.trading.pricing),
        ("spec.forecast", Kind.FORECAST, spec.forecast),
        *((f"spec.{field}.plugin", Kind.DEVICE, one.plugin) for field, one in devices if one is not None),
    )
    for path, kind, name in named:
        if name is not None:
            try:
                CATALOGS[kind][str(name)]
            except ValueError as error:
                yield manifest.mistake(path, str(error))
