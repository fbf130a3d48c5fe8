"""`wattmesh status`: how each household and utility stands."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import tzinfo

from wattmesh_cli.books import BooksError
from wattmesh_cli.names import Names
from wattmesh_cli.output import (
    DEFAULT_TABLE,
    TableOutput,
    TableOutputOption,
    print_json,
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
from wattmesh_cli.tables import Column, SortOption, WatchOption, ordered, print_table, watched
from wattmesh_market.units import kwh_text, money_text


def status(
    state: FromStateOption = None,
    kubernetes: KubernetesOption = False,
    namespace: NamespaceOption = None,
    all_namespaces: AllNamespacesOption = False,
    context: ContextOption = None,
    sort_by: SortOption = None,
    watch: WatchOption = False,
    output: TableOutputOption = DEFAULT_TABLE,
) -> None:
    """Show the battery, trades, balance and slot of each household and utility that there is now.

    SOLD, BOUGHT and BALANCE are all that is booked so far: energy of trades, money of trades and supply. Where somebody
    has not kept its word of late, DISTRUSTS names it; -o wide says why.
    """
    try:
        chosen = source(
            state, kubernetes=kubernetes, namespace=namespace, all_namespaces=all_namespaces, context=context
        )

        def read() -> list[PartyStatus]:
            books, zone = chosen.books(), chosen.zone()
            rows = status_of(books, lambda slot: slot_text(slot, zone))
            if kubernetes:
                return rows
            declared = chosen.declared().parties  # the books of households that left stay; a cluster's go with them
            return [row for row in rows if row.party in declared]

        def show(rows: list[PartyStatus]) -> None:
            zone = chosen.zone()
            columns = _columns(Names(row.party for row in rows), zone)
            if any(row.held_readings for row in rows):
                columns.append(Column("HELD", lambda row: str(row.held_readings or ""), 1, right=True))
            if any(row.distrusts for row in rows):
                columns += _distrusts(rows)
            rows = ordered(columns, rows, sort_by)
            if output is TableOutput.JSON:
                print_json([_as_json(row, zone) for row in rows])
            else:
                print_table(columns, rows, wide=output is TableOutput.WIDE)

        watched(read, show, watch=watch)
    except (BooksError, ValueError) as error:
        refuse(error)


def _columns(names: Names, zone: tzinfo) -> list[Column[PartyStatus]]:
    def number(
        name: str, value: Callable[[PartyStatus], int | None], shown: Callable[[int], str], rank: int
    ) -> Column[PartyStatus]:
        def text(row: PartyStatus) -> str:
            known = value(row)
            return "" if known is None else shown(known)

        return Column(name, text, rank, key=value, right=True)

    return [
        Column("NAME", lambda row: names.short(row.party)),
        Column("KIND", lambda row: row.kind, only_wide=True),
        number("SOC", lambda row: row.soc_tenths_percent, lambda tenths: f"{_percent(tenths)}%", 1),
        number("SOC kWh", lambda row: row.level_wh if row.capacity_wh else None, kwh_text, 5),
        replace(number("CAPACITY kWh", lambda row: row.capacity_wh or None, kwh_text, 6), only_wide=True),
        number("SOLD kWh", lambda row: row.sold_wh, kwh_text, 3),
        number("BOUGHT kWh", lambda row: row.bought_wh, kwh_text, 3),
        number("BALANCE", lambda row: row.balance_micro, money_text, 2),
        number("OPEN", lambda row: row.open_contracts, str, 4),
        Column("SLOT", lambda row: slot_text(row.slot, zone), 6, key=lambda row: row.slot),
    ]


def _distrusts(rows: list[PartyStatus]) -> list[Column[PartyStatus]]:
    names = Names(one.partner for row in rows for one in row.distrusts)

    def short(row: PartyStatus) -> list[str]:
        return [names.short(one.partner) for one in row.distrusts]

    def why(row: PartyStatus) -> str:
        return "; ".join(f"{name}: {one.why}" for name, one in zip(short(row), row.distrusts, strict=True))

    return [
        Column("DISTRUSTS", lambda row: ", ".join(short(row)), 2),
        Column("WHY", why, only_wide=True, wraps=True),
    ]


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
        "held_readings": row.held_readings,
        "distrusts": [one._asdict() for one in row.distrusts],
        "slot_start": slot_json(row.slot, zone),
    }


def _percent(tenths: int) -> str:
    return f"{tenths // 10}.{tenths % 10}"
