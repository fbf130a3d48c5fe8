"""`wattmesh status`: how each household and utility stands."""

from __future__ import annotations

from datetime import tzinfo

from wattmesh_cli.books import BooksError
from wattmesh_cli.names import Names
from wattmesh_cli.output import (
    DEFAULT_OUTPUT,
    Output,
    OutputOption,
    print_json,
    print_table,
    refuse,
    slot_json,
    slot_text,
)
from wattmesh_cli.sources import (
    AllNamespacesOption,
    ContextOption,
    FromStateOption,
    KubernetesOption,
    NamespaceOption,
    source,
)
from wattmesh_cli.status import PartyStatus, status_of
from wattmesh_market.units import kwh_text, money_text


def status(
    state: FromStateOption = None,
    kubernetes: KubernetesOption = False,
    namespace: NamespaceOption = None,
    all_namespaces: AllNamespacesOption = False,
    context: ContextOption = None,
    output: OutputOption = DEFAULT_OUTPUT,
) -> None:
    """Show the battery, trades, balance and slot of each household and utility that there is now.

    SOLD, BOUGHT and BALANCE are all that is booked so far: energy of trades, money of trades and supply.
    """
    try:
        chosen = source(
            state, kubernetes=kubernetes, namespace=namespace, all_namespaces=all_namespaces, context=context
        )
        rows = status_of(chosen.books())
        if not kubernetes:  # the books of households that left stay; a cluster's go with them
            declared = chosen.declared()
            rows = [row for row in rows if row.party in declared]
        zone = chosen.zone()
    except BooksError as error:
        refuse(error)
    if output is Output.JSON:
        print_json([_as_json(row, zone) for row in rows])
        return
    names = Names(row.party for row in rows)
    numbers = ["SOC", "SOC kWh", "SOLD kWh", "BOUGHT kWh", "BALANCE", "OPEN"]
    print_table(
        ["NAME", *numbers, "SLOT"],
        [
            (
                names.short(row.party),
                "" if row.soc_tenths_percent is None else f"{_percent(row.soc_tenths_percent)}%",
                "" if row.soc_tenths_percent is None else kwh_text(row.level_wh),
                kwh_text(row.sold_wh),
                kwh_text(row.bought_wh),
                money_text(row.balance_micro),
                str(row.open_contracts),
                slot_text(row.slot, zone),
            )
            for row in rows
        ],
        right=numbers,
    )


def _as_json(row: PartyStatus, zone: tzinfo) -> dict[str, object]:
    return {
        "party": row.party,
        "kind": row.kind,
        "level_kwh": kwh_text(row.level_wh),
        "capacity_kwh": kwh_text(row.capacity_wh),
        "soc_percent": None if row.soc_tenths_percent is None else _percent(row.soc_tenths_percent),
        "sold_kwh": kwh_text(row.sold_wh),
        "bought_kwh": kwh_text(row.bought_wh),
        "balance": money_text(row.balance_micro),
        "open_contracts": row.open_contracts,
        "slot_start": slot_json(row.slot, zone),
    }


def _percent(tenths: int) -> str:
    return f"{tenths // 10}.{tenths % 10}"
