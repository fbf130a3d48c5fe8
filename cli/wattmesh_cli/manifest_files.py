"""How commands are told which manifests to read, and what runs for them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from wattmesh_cli.output import BAD_INPUT
from wattmesh_cli.state import STREET
from wattmesh_cli.street_record import read_record, resources_of
from wattmesh_market.parties.plugged import require_installed
from wattmesh_operator.manifests import load, with_values
from wattmesh_operator.plan import GatewayPlan, plan
from wattmesh_operator.resources import Resource, SolarAgent
from wattmesh_operator.resources.mistakes import ManifestErrors

ManifestsOption = Annotated[
    list[str] | None,
    typer.Option("--file", "-f", metavar="FILE", help="A manifest file, a folder of them, or - for standard input."),
]
MoreFiles = Annotated[
    list[str] | None, typer.Argument(metavar="FILE", help="The same; -f may be left out.", show_default=False)
]


def named(files: Sequence[str] | None, more_files: Sequence[str] | None) -> list[str]:
    """All files, of both kinds; ValueError when there are none."""
    found = [*(files or []), *(more_files or [])]
    if not found:
        raise ValueError("name a file of manifests, for example -f street.yaml")
    return found


def chosen(
    files: Sequence[str] | None,
    more_files: Sequence[str] | None,
    state: Path,
    values: Mapping[str, object] | None = None,
) -> GatewayPlan:
    """What the named files run; where none is named, what the state directory remembers. With these `values` by their
    path. ValueError as `one_gateway`; ends the command at mistakes in manifests.
    """
    if not files and not more_files and (state / STREET).exists():
        resources: Sequence[Resource] = resources_of(read_record(state).plan)
    else:
        resources = loaded(named(files, more_files))
    with _mistakes_told():
        return one_gateway(with_values(resources, values) if values else resources)


def loaded(files: Sequence[str]) -> tuple[Resource, ...]:
    """The resources of manifests. Ends the command at mistakes in them."""
    with _mistakes_told():
        return load(files)


@contextmanager
def _mistakes_told() -> Iterator[None]:
    try:
        yield
    except ManifestErrors as errors:
        for mistake in errors.mistakes:
            typer.echo(str(mistake), err=True)
        raise typer.Exit(BAD_INPUT) from None


def planned(files: Sequence[str]) -> GatewayPlan:
    """What manifests of one gateway run. ValueError as `one_gateway`; ends the command at mistakes in manifests."""
    return one_gateway(loaded(files))


def one_gateway(resources: Sequence[Resource]) -> GatewayPlan:
    """What resources of one gateway run. ValueError when they have none or several, need a cluster or a plug-in that
    is not installed; ManifestErrors when they do not fit together.
    """
    plans = plan(resources)
    for agent in (pod.owner for one in plans for pod in one.pods):
        if isinstance(agent, SolarAgent) and agent.spec.profile and agent.spec.profile.config_map:
            raise ValueError(
                f"SolarAgent {agent.metadata.name}: a profile's configMap is for a cluster; here, set profile.folder"
            )
    if len(plans) != 1:
        names = ", ".join(one.resource.metadata.name for one in plans)
        raise ValueError(f"these manifests have {len(plans)} gateways ({names}); run each with its own --state")
    require_installed(plans[0].households)
    return plans[0]
