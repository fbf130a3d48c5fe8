"""The measured profiles that manifests name: their paths, and every mistake in their files."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

from wattmesh_common.metering.reading import read_meter_file
from wattmesh_common.metering.told import MeterFileError, Told
from wattmesh_market.energy.slots import SLOT_S, local
from wattmesh_operator.plan.naming import household_names, profile_file
from wattmesh_operator.resources import BecknGateway, SolarAgent, UtilityAgent
from wattmesh_operator.resources.mistakes import Mistake
from wattmesh_operator.resources.parsing import Manifest
from wattmesh_operator.resources.quantities import watt

_SEASON_DAYS = 45
"""A study starts no more days of the year before or after what was measured."""
_YEAR_DAYS = 365


def with_absolute_paths(manifest: Manifest, folder: Path) -> Manifest:
    """The manifest with the path of its profile, or of its prices, resolved against its folder."""
    resource = manifest.resource
    if isinstance(resource, UtilityAgent):
        return Manifest(_with_absolute_prices(resource, folder), manifest.origin)
    if not isinstance(resource, SolarAgent) or resource.spec.profile is None:
        return manifest
    profile = resource.spec.profile
    if profile.csv is not None:
        profile = profile.model_copy(update={"csv": str((folder / profile.csv).absolute())})
    elif profile.folder is not None:
        profile = profile.model_copy(update={"folder": str((folder / profile.folder).absolute())})
    spec = resource.spec.model_copy(update={"profile": profile})
    return Manifest(resource.model_copy(update={"spec": spec}), manifest.origin)


def _with_absolute_prices(agent: UtilityAgent, folder: Path) -> UtilityAgent:
    tariff = agent.spec.tariff
    if tariff.series is None or tariff.series.csv is None:
        return agent
    series = tariff.series.model_copy(update={"csv": str((folder / tariff.series.csv).absolute())})
    spec = agent.spec.model_copy(update={"tariff": tariff.model_copy(update={"series": series})})
    return agent.model_copy(update={"spec": spec})


def profile_paths(agent: SolarAgent) -> list[Path]:
    """The files of an agent's profile on this machine, each once."""
    profile = agent.spec.profile
    if profile is not None and profile.csv is not None:
        return [Path(profile.csv)]
    if profile is not None and profile.folder is not None:
        return [Path(profile.folder, profile_file(household)) for household in household_names(agent)]
    return []


def profile_told(agent: SolarAgent) -> Told:
    """What a manifest tells of its profile's files."""
    return Told(connection_w=watt(agent.spec.connection_kw))


def profile_mistakes(manifest: Manifest, gateway: BecknGateway | None) -> Iterator[Mistake]:
    """What is wrong in the files of a manifest's profile, and with their season on the gateway's clock."""
    agent = manifest.resource
    if not isinstance(agent, SolarAgent) or agent.spec.profile is None:
        return
    field = "spec.profile.csv" if agent.spec.profile.csv is not None else "spec.profile.folder"
    paths = profile_paths(agent)
    missing = next((path for path in paths if not is_file(path)), None)
    if missing is not None:
        what = "must be a file" if field.endswith("csv") else "must hold a file for each household"
        yield manifest.mistake(field, f"{what}; there is none at {missing}")
    for path in paths:
        if not is_file(path):
            continue
        try:
            file = read_meter_file(path, profile_told(agent))
        except MeterFileError as error:
            yield from (manifest.mistake(field, f"{path}: {mistake}") for mistake in error.mistakes)
        except OSError as error:
            yield manifest.mistake(field, f"{path}: cannot be read: {error.strerror}")
        else:
            first = local(file.first, file.utc_offsets_s[0])
            last = local(file.first + (len(file.load_wh) - 1) * SLOT_S, file.utc_offsets_s[-1])
            if gateway is not None:
                yield from _of_other_season(manifest, field, path, (first, last), gateway.spec.clock.start)


def _of_other_season(
    manifest: Manifest, field: str, path: Path, measured: tuple[datetime, datetime], start: datetime
) -> Iterator[Mistake]:
    first, last = measured
    days = (last - first) // timedelta(days=1)
    after_first = (start.date() - first.date()).days % _YEAR_DAYS
    away = 0 if after_first <= days else min(after_first - days, _YEAR_DAYS - after_first)
    if away > _SEASON_DAYS:
        what = (
            f"{path}: was measured from {first:%d %B} to {last:%d %B}, and clock.start is {start:%d %B}, another"
            " season: give a file of that season, or say that this one stands for it: wattmesh import-meter --move-to"
            f" {start:%Y-%m-%d}"
        )
        yield manifest.mistake(field, what)


def is_file(path: Path) -> bool:
    """Whether there is a file that may be looked at."""
    try:
        return path.is_file()
    except OSError:  # a folder that may not be entered, a name that is too long
        return False
