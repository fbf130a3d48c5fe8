"""`wattmesh up`: run manifests on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from wattmesh_cli.durations import duration_s
from wattmesh_cli.manifest_files import ManifestsOption, MoreFiles
from wattmesh_cli.output import BAD_INPUT, StateOption, refuse
from wattmesh_cli.state import DEFAULT_STATE, StateError
from wattmesh_operator.manifests import load
from wattmesh_operator.plan import GatewayPlan, plan
from wattmesh_operator.resources import SolarAgent
from wattmesh_operator.resources.mistakes import ManifestErrors

if TYPE_CHECKING:
    from wattmesh_cli.street.session import SessionResult

SpeedOption = Annotated[
    float | None,
    typer.Option(
        "--speed", min=0.001, max=100_000, help="Grid seconds per second. Default: the gateway's clock.speed."
    ),
]


def up(
    files: ManifestsOption,
    more_files: MoreFiles = None,
    last: Annotated[
        str | None, typer.Option("--for", metavar="DURATION", help="Stop after this much grid time: 90m, 16h, 1d.")
    ] = None,
    state: StateOption = DEFAULT_STATE,
    speed: SpeedOption = None,
) -> None:
    """Run a gateway with its households and utilities on this machine, until Ctrl-C.

    Everything is kept in the state directory; started again on it, the street goes on where it stopped.
    """
    from wattmesh_cli.street.session import run_session  # the agents take a second to import

    try:
        last_for_s = None if last is None else duration_s(last)
        result = run_session(planned([*files, *(more_files or [])]), state, speed, last_for_s)
    except (StateError, ValueError) as error:
        refuse(error)
    typer.echo("stopped; all is kept, and goes on with the same command" if not result.completed else "time is over")
    say_missed(result)


def say_missed(result: SessionResult) -> None:
    """Tell of trades that were missed because the machine is too slow for the speed."""
    if result.missed_gates:
        typer.echo(
            f"{result.missed_gates} trades missed: the gate closed before they were done. This machine is too slow for "
            "this speed; a lower --speed trades more. The books are right all the same."
        )


def planned(files: list[str]) -> GatewayPlan:
    """What manifests of one gateway run; ValueError when they have more. Ends the command at mistakes in them."""
    try:
        plans = plan(load(files))
    except ManifestErrors as errors:
        for mistake in errors.mistakes:
            typer.echo(str(mistake), err=True)
        raise typer.Exit(BAD_INPUT) from None
    for agent in (pod.owner for one in plans for pod in one.pods):
        if isinstance(agent, SolarAgent) and agent.spec.profile and agent.spec.profile.config_map:
            raise ValueError(
                f"SolarAgent {agent.metadata.name}: a profile's configMap is for a cluster; here, set profile.folder"
            )
    if len(plans) != 1:
        names = ", ".join(one.resource.metadata.name for one in plans)
        raise ValueError(f"these manifests have {len(plans)} gateways ({names}); run each with its own --state")
    return plans[0]
