"""The `wattmesh` command: what its parts are."""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated

import typer

from wattmesh_cli.commands.audit import audit
from wattmesh_cli.commands.backup import backup, restore
from wattmesh_cli.commands.compare import compare
from wattmesh_cli.commands.contracts import contracts
from wattmesh_cli.commands.demo import demo
from wattmesh_cli.commands.evidence import evidence
from wattmesh_cli.commands.forget import forget
from wattmesh_cli.commands.import_meter import import_meter
from wattmesh_cli.commands.kpis import kpis
from wattmesh_cli.commands.profiles import profiles
from wattmesh_cli.commands.readings import app as readings
from wattmesh_cli.commands.report import report
from wattmesh_cli.commands.simulate import simulate
from wattmesh_cli.commands.status import status
from wattmesh_cli.commands.up import up
from wattmesh_cli.commands.validate import validate

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,  # or [field] and [AGENT=] would be read as markup
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 fine; 1 audit or validate found something; 2 wrong usage or unusable input.",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"wattmesh {version('wattmesh')}")
        raise typer.Exit


@app.callback()
def wattmesh(
    _: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """A peer-to-peer energy market: households and utilities trade energy over the Beckn protocol."""


app.command()(up)
app.command()(simulate)
app.command()(demo)
app.command()(status)
app.command()(contracts)
app.add_typer(readings, name="readings")
app.command()(audit)
app.command()(evidence)
app.command()(forget)
app.command()(backup)
app.command()(restore)
app.command()(kpis)
app.command()(compare)
app.command()(report)
app.command()(validate)
app.command()(profiles)
app.command()(import_meter)
