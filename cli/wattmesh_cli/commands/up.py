"""`wattmesh up`: run manifests on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from wattmesh_cli.durations import duration_s
from wattmesh_cli.manifest_files import ManifestsOption, MoreFiles, chosen
from wattmesh_cli.output import StateOption, refuse
from wattmesh_cli.state import DEFAULT_STATE, StateError
from wattmesh_cli.tables import say

if TYPE_CHECKING:
    from wattmesh_cli.street.session import SessionResult

SpeedOption = Annotated[
    float | None,
    typer.Option(
        "--speed",
        min=0.001,
        max=100_000,
        help="Grid seconds per second, for this run.",
        show_default="the gateway's clock.speed",
    ),
]
FreshOption = Annotated[
    bool, typer.Option("--fresh", help="Delete the street that the state directory holds, and begin anew.")
]


def up(
    files: ManifestsOption = None,
    more_files: MoreFiles = None,
    last: Annotated[
        str | None, typer.Option("--for", metavar="DURATION", help="Stop after this much grid time: 90m, 16h, 1d.")
    ] = None,
    state: StateOption = DEFAULT_STATE,
    speed: SpeedOption = None,
    port: Annotated[
        int, typer.Option("--port", min=0, max=65_535, help="Port of the live page.", show_default="any free one")
    ] = 0,
    open_page: Annotated[bool, typer.Option("--open", help="Open the live page in a browser, logged in.")] = False,
    fresh: FreshOption = False,
) -> None:
    """Run a gateway with its households and utilities on this machine, until Ctrl-C.

    Everything is kept in the state directory. Started again on it the street goes on where it stopped, without a
    manifest as it was, or with one in which households are edited, added or removed.
    """
    from wattmesh_cli.street.session import Session, run_session  # the agents take a second to import

    try:
        last_for_s = None if last is None else duration_s(last)
        session = Session(speed, last_for_s, port, open_page=open_page, fresh=fresh)
        result = run_session(chosen(files, more_files, state), state, session)
    except (StateError, ValueError) as error:
        refuse(error)
    typer.echo("stopped; all is kept, and goes on with the same command" if not result.completed else "time is over")
    say_missed(result)


def say_missed(result: SessionResult) -> None:
    """Tell of trades that were missed because the machine is too slow for the speed."""
    if result.missed_gates:
        say(
            f"{result.missed_gates} trades missed: the gate closed before they were done. This machine is too slow for "
            "this speed; a lower --speed trades more. The books are right all the same."
        )
