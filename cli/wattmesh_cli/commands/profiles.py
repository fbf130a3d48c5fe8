"""`wattmesh profiles`: generation and consumption of each household, computed once and written to files."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wattmesh_cli.manifest_files import ManifestsOption, MoreFiles, loaded, named
from wattmesh_cli.output import refuse
from wattmesh_operator.plan import plan

if TYPE_CHECKING:
    from wattmesh_cli.field.street import AgentKey, HouseholdProfile

_LIBRARIES = frozenset({"demandlib", "h5py", "numpy", "pandas", "pvlib", "scipy"})
_DEFAULT_KIND = "h0"


def profiles(
    folder: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Where the profiles and the new manifest go.")
    ],
    files: ManifestsOption = None,
    more_files: MoreFiles = None,
    days: Annotated[
        int, typer.Option("--days", min=1, max=366, help="Days from that of clock.start on; later days repeat them.")
    ] = 7,
    weather: Annotated[
        Path | None,
        typer.Option(
            "--weather",
            metavar="FILE",
            help="EPW, TMY3, PVGIS or CSV; see docs/profiles.md.",
            show_default="a clear sky",
        ),
    ] = None,
    altitude: Annotated[
        float | None,
        typer.Option(
            "--altitude", metavar="M", min=-500, max=9000, help="Altitude in m.", show_default="from pvlib's table"
        ),
    ] = None,
    load_profiles: Annotated[
        list[str] | None,
        typer.Option(
            "--load-profile",
            metavar="[AGENT=]KIND",
            help="BDEW profile of all SolarAgents or of one: h0, g0 to g6, l0 to l2. May be repeated.",
            show_default=_DEFAULT_KIND,
        ),
    ] = None,
    kubernetes: Annotated[
        bool, typer.Option("--kubernetes", help="Write the manifest for a cluster, with ConfigMaps.")
    ] = False,
) -> None:
    """Compute each household's PV (pvlib) and load (BDEW profiles), slot by slot, and a manifest that uses them.

    The same manifest gives the same profiles. Needs the extra: pip install 'wattmesh[field]'.
    """
    try:
        from wattmesh_cli.field import consumption, street  # only who asks for profiles has and waits for these
        from wattmesh_cli.field.weather import read_weather
    except ModuleNotFoundError as error:
        library = (error.name or "").partition(".")[0]
        if library not in _LIBRARIES:
            raise
        refuse(ValueError(f"profiles need {library}, which is not installed: pip install 'wattmesh[field]'"))
    try:
        resources = loaded(named(files, more_files))
        plans = plan(resources)
        agents = street.agents_of(plans)
        if not agents:
            raise ValueError("no SolarAgent of these manifests has pv or load, and a household; nothing to compute")
        kind_of = _kinds(load_profiles or [], agents, consumption.KINDS)
        wanted = street.Wanted(days, kind_of, None if weather is None else read_weather(weather), altitude)
        _write(folder, street.street_profiles(plans, wanted), sum(agent.spec.replicas for agent in agents.values()))
        sizes = {key: _size(folder.joinpath(*key)) for key in agents} if kubernetes else {}
        _check_sizes(sizes, street.CONFIG_MAP_BYTES, days)
        text = street.manifests_with_profiles(resources, agents, mapped=kubernetes)
        (folder / street.MANIFESTS).write_text(text, encoding="utf-8")
    except OSError as error:
        refuse(ValueError(f"{error.filename}: cannot be written: {error.strerror}"))
    except ValueError as error:
        refuse(error)
    for namespace, name in agents if kubernetes else ():
        typer.echo(
            f"kubectl create configmap {street.config_map_name(name)} --namespace {namespace}"
            f" --from-file {folder / namespace / name}"
        )
    typer.echo(f"{'kubectl apply' if kubernetes else 'wattmesh up'} -f {folder / street.MANIFESTS}")


def _kinds(written: Iterable[str], agents: Iterable[AgentKey], known: Iterable[str]) -> dict[AgentKey, str]:
    """The load profile of each agent; ValueError for one that is not known."""
    names = {name for _, name in agents}
    chosen: dict[str, str] = {}
    for text in written:
        agent, _, kind = text.rpartition("=")
        if kind not in known:
            raise ValueError(f"--load-profile {text}: there is no {kind}; there are {', '.join(known)}")
        if agent and agent not in names:
            raise ValueError(f"--load-profile {text}: no SolarAgent {agent}; there are {', '.join(sorted(names))}")
        chosen[agent] = kind
    default = chosen.get("", _DEFAULT_KIND)
    return {(namespace, name): chosen.get(name, default) for namespace, name in agents}


def _write(folder: Path, profiles: Iterable[HouseholdProfile], households: int) -> None:
    """Write each profile as it is made, so that a street of any size needs the memory of one household."""
    with typer.progressbar(profiles, length=households, label=f"{households} profiles", file=sys.stderr) as made:
        for profile in made:
            path = folder / profile.file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(profile.text, encoding="utf-8")


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())


def _check_sizes(sizes: Mapping[AgentKey, int], limit: int, days: int) -> None:
    for (_, name), size in sizes.items():
        if size > limit:
            fit = days * limit // size
            advice = f"--days {fit} fits" if fit else "make several SolarAgents of it"
            raise ValueError(f"SolarAgent {name}: its profiles have {size} bytes, a ConfigMap holds {limit}; {advice}")
