"""`wattmesh validate`: every mistake in manifests, before anything is started."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import typer

from wattmesh_cli.manifest_files import ManifestsOption, MoreFiles, named
from wattmesh_cli.meter_text import found_json, how_it_was_read, how_prices_were_read, prices_json
from wattmesh_cli.output import DEFAULT_OUTPUT, FOUND, Output, OutputOption, print_json, refuse
from wattmesh_common.metering.prices import PricesFound
from wattmesh_common.metering.reading import read_meter_file
from wattmesh_common.metering.told import MeterFile
from wattmesh_common.price_files import prices_in
from wattmesh_market.energy.tariff import PriceSeries
from wattmesh_operator.manifests import load
from wattmesh_operator.manifests.measured import profile_paths, profile_told
from wattmesh_operator.manifests.priced import prices_told
from wattmesh_operator.resources import Pv, Resource, SolarAgent
from wattmesh_operator.resources.mistakes import ManifestErrors, Mistake
from wattmesh_operator.resources.quantities import plain


def validate(
    files: ManifestsOption = None,
    more_files: MoreFiles = None,
    output: OutputOption = DEFAULT_OUTPUT,
) -> None:
    """Check manifests and the profiles and prices that they name, all files together, and print every mistake.

    Exit code 1 when there is one. Without one it says how profiles and prices are read, and what several roofs come to.
    """
    mistakes: tuple[Mistake, ...] = ()
    resources: tuple[Resource, ...] = ()
    try:
        resources = load(named(files, more_files))
    except ValueError as error:
        refuse(error)
    except ManifestErrors as errors:
        mistakes = errors.mistakes
    if output is Output.JSON:
        profiles = [{"file": str(path), **found_json(file)} for path, file in _profiles(resources)]
        prices = [{"file": str(path), **prices_json(*read)} for path, read in _prices(resources)]
        found = {
            "mistakes": [_as_json(mistake) for mistake in mistakes],
            "profiles": profiles,
            "prices": prices,
            "pv": [_pv_json(agent, pv) for agent, pv in _panels(resources)],
        }
        print_json(found)
    elif mistakes:
        for mistake in mistakes:
            typer.echo(str(mistake))
    else:
        alike: dict[str, list[Path]] = {}
        for path, file in _profiles(resources):
            alike.setdefault(how_it_was_read(file.found), []).append(path)
        for how, paths in alike.items():
            more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
            typer.echo(f"{paths[0]}{more}: {how}")
        for path, read in _prices(resources):
            typer.echo(f"{path}: {how_prices_were_read(*read)}")
        for agent, pv in _panels(resources):
            if pv.roofs:
                typer.echo(f"SolarAgent {agent.metadata.name}: {_roofs_text(pv)}")
        typer.echo(f"{len(resources)} {'resource' if len(resources) == 1 else 'resources'}, no mistakes")
    if mistakes:
        raise typer.Exit(FOUND)


def _profiles(resources: Iterable[Resource]) -> Iterator[tuple[Path, MeterFile]]:
    """Each measured profile, read; they have no mistakes."""
    told = {
        path: profile_told(resource)
        for resource in resources
        if isinstance(resource, SolarAgent)
        for path in profile_paths(resource)
    }
    for path, known in told.items():
        yield path, read_meter_file(path, known)


def _prices(resources: Iterable[Resource]) -> Iterator[tuple[Path, tuple[PriceSeries, PricesFound]]]:
    """Each file of prices, as it is read by each utility."""
    for file in filter(None, map(prices_told, resources)):
        yield file.path, prices_in(file)


def _panels(resources: Iterable[Resource]) -> Iterator[tuple[SolarAgent, Pv]]:
    """Each SolarAgent with panels, and they."""
    for resource in resources:
        if isinstance(resource, SolarAgent) and resource.spec.pv is not None:
            yield resource, resource.spec.pv


def _roofs_text(pv: Pv) -> str:
    each = (
        f"{plain(roof.peak_kw)} kW to {plain(roof.azimuth_degrees)}° at {plain(roof.tilt_degrees)}°"
        for roof in pv.panels
    )
    number = len(pv.panels)
    return f"{number} {'roof' if number == 1 else 'roofs'}, {plain(pv.total_kw)} kW: {', '.join(each)}"


def _pv_json(agent: SolarAgent, pv: Pv) -> dict[str, object]:
    return {
        "namespace": agent.metadata.namespace,
        "name": agent.metadata.name,
        "peak_kw": float(pv.total_kw),
        "roofs": [{name: float(value) for name, value in roof._asdict().items()} for roof in pv.panels],
    }


def _as_json(mistake: Mistake) -> dict[str, object]:
    origin, identity = mistake.origin, mistake.identity
    return {
        "source": origin.source if origin else None,
        "document": origin.document if origin else None,
        "line": origin.line if origin else None,
        "kind": identity.kind if identity else None,
        "namespace": identity.namespace if identity else None,
        "name": identity.name if identity else None,
        "path": mistake.path,
        "text": mistake.what,
    }
