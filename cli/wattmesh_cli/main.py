"""The `wattmesh` command: what its parts are."""

from __future__ import annotations

from typing import Annotated

import typer

from wattmesh_cli.late import LateCommand, LateGroup


def _late(name: str, summary: str, place: str = "") -> LateCommand:
    module, _, attribute = (place or name.replace("-", "_")).partition(":")
    return LateCommand(name, summary, f"wattmesh_cli.commands.{module}:{attribute or module}")


class _Commands(LateGroup):
    late = (
        _late("up", "Run a gateway with its households and utilities on this machine, until Ctrl-C."),
        _late("simulate", "Run a street as a study, as fast as this machine allows: the ledger that 'up' would write."),
        _late(
            "demo",
            "Run the street of examples/street.yaml for a June day, from 06:00 on, then show trades, bills and audit.",
        ),
        _late("status", "Show the battery, trades, balance and slot of each household and utility that there is now."),
        _late(
            "contracts",
            "List contracts by delivery slot, each once, with the seller's state where the two sides' differ.",
        ),
        _late("audit", "Recompute every contract, ledger and meter reading from the books."),
        _late(
            "evidence",
            "Write the evidence of a contract: each side's books, and the messages of the other side with their "
            "signatures.",
        ),
        _late("forget", "Have all books forget a household that has left, for good."),
        _late("backup", "Copy all books, each pod's as of one moment, while the street trades."),
        _late(
            "restore",
            "Put the books of a backup in the place of what there is, of all pods in it or of some.",
            "backup:restore",
        ),
        _late(
            "kpis",
            "Show self-consumption, bills, savings, local share, fairness and more, of each household and of all "
            "together.",
        ),
        _late(
            "compare",
            "Compare runs: what their manifests say differently, and each KPI with its difference from the first run.",
        ),
        _late(
            "report",
            "Write a report: load, PV, batteries, prices and trades over time, who sold to whom, bills, KPIs and "
            "the audit.",
        ),
        _late(
            "validate",
            "Check manifests and the profiles and prices that they name, all files together, and print every mistake.",
        ),
        _late(
            "profiles",
            "Compute each household's PV (pvlib) and load (BDEW profiles), slot by slot, and a manifest that "
            "uses them.",
        ),
        _late(
            "import-meter",
            "Turn a meter's CSV file into a profile: PV and load of each 15 minutes, in Wh, for spec.profile of "
            "a SolarAgent.",
        ),
        _late(
            "readings",
            "List meter readings that a utility holds, or has held, for a person, by slot.",
            "readings:app",
        ),
    )


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    rich_markup_mode=None,  # or [field] and [AGENT=] would be read as markup
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 fine; 1 audit or validate found something; 2 wrong usage or unusable input.",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version  # only who asks for it waits for it

        typer.echo(f"wattmesh {version('wattmesh')}")
        raise typer.Exit


@app.callback()
def wattmesh(
    _: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """A peer-to-peer energy market: households and utilities trade energy over the Beckn protocol."""
