"""`wattmesh contracts`: who buys what from whom."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import tzinfo
from typing import Annotated

import typer

from wattmesh_cli.books import OPEN, Book, BooksError, ContractRow, Pair, paired
from wattmesh_cli.kpi.money import price_micro_per_kwh
from wattmesh_cli.names import Names, UnknownName
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
from wattmesh_cli.tables import Column, SortOption, WatchOption, ordered, print_table, watched
from wattmesh_market.units import kwh_text, money_text


def contracts(
    state: FromStateOption = None,
    kubernetes: KubernetesOption = False,
    namespace: NamespaceOption = None,
    all_namespaces: AllNamespacesOption = False,
    context: ContextOption = None,
    household: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only contracts of this household or utility.")
    ] = None,
    only_open: Annotated[bool, typer.Option("--open", help="Only contracts that are not settled or ended.")] = False,
    sort_by: SortOption = None,
    watch: WatchOption = False,
    output: TableOutputOption = DEFAULT_TABLE,
) -> None:
    """List contracts by delivery slot, each once, with the seller's state where the two sides' differ.

    Energy and amount are those delivered once they are known, else those contracted.
    """

    def show(books: Sequence[Book]) -> None:
        names = Names(party.party for book in books for party in book.parties)
        of = None if household is None else names.resolve(household)
        zone = chosen.zone()
        columns = _columns(names, zone)
        pairs = [
            pair
            for pair in paired(row for book in books for row in book.contracts)
            if (of is None or of in (pair.known.buyer, pair.known.seller)) and (not only_open or _is_open(pair))
        ]
        pairs = ordered(columns, pairs, sort_by)
        if output is TableOutput.JSON:
            print_json([_as_json(pair, zone) for pair in pairs])
        else:
            print_table(columns, pairs, wide=output is TableOutput.WIDE)

    try:
        chosen = source(
            state, kubernetes=kubernetes, namespace=namespace, all_namespaces=all_namespaces, context=context
        )
        watched(chosen.books, show, watch=watch)
    except (BooksError, UnknownName, ValueError) as error:
        refuse(error)


def _columns(names: Names, zone: tzinfo) -> list[Column[Pair]]:
    def state(row: ContractRow | None) -> str:
        return "-" if row is None else row.state

    return [
        Column("TRANSACTION", lambda pair: pair.known.transaction_id[:8], 3),
        Column("SLOT", lambda pair: slot_text(pair.known.slot, zone), key=lambda pair: pair.known.slot),
        Column("BUYER", lambda pair: names.short(pair.known.buyer)),
        Column("SELLER", lambda pair: names.short(pair.known.seller)),
        Column("kWh", lambda pair: kwh_text(_energy_wh(pair)), key=_energy_wh, right=True),
        Column("PRICE/kWh", lambda pair: money_text(_price_micro(pair)), 2, key=_price_micro, right=True),
        Column("AMOUNT", lambda pair: money_text(_amount_micro(pair)), 1, key=_amount_micro, right=True),
        Column("STATE", lambda pair: pair.known.state, 1),
        Column("AT BUYER", lambda pair: state(pair.buyer), only_wide=True),
        Column("AT SELLER", lambda pair: state(pair.seller), only_wide=True),
        Column("GRID FEE", lambda pair: money_text(pair.known.fee_micro), key=lambda pair: pair.known.fee_micro,
               right=True, only_wide=True),
        Column("ORDER", lambda pair: pair.known.order_id or "-", only_wide=True),
        Column("REASON", lambda pair: pair.known.reason or "", only_wide=True),
    ]  # fmt: skip


def _energy_wh(pair: Pair) -> int:
    row = pair.known
    return row.energy_wh if row.delivered_wh is None else row.delivered_wh


def _amount_micro(pair: Pair) -> int:
    row = pair.known
    return row.amount_micro if row.settled_micro is None else row.settled_micro


def _price_micro(pair: Pair) -> int:
    return price_micro_per_kwh(pair.known.amount_micro, pair.known.energy_wh)


def _is_open(pair: Pair) -> bool:
    return any(row is not None and row.state in OPEN for row in (pair.buyer, pair.seller))


def _as_json(pair: Pair, zone: tzinfo) -> dict[str, object]:
    row = pair.known
    return {
        "transaction_id": row.transaction_id,
        "order_id": row.order_id,
        "slot_start": slot_json(row.slot, zone),
        "buyer": row.buyer,
        "seller": row.seller,
        "provider": row.provider or row.seller,
        "energy_kwh": kwh_text(row.energy_wh),
        "price_per_kwh": money_text(price_micro_per_kwh(row.amount_micro, row.energy_wh)),
        "amount": money_text(row.amount_micro),
        "grid_fee": money_text(row.fee_micro),
        "delivered_kwh": None if row.delivered_wh is None else kwh_text(row.delivered_wh),
        "settled_amount": None if row.settled_micro is None else money_text(row.settled_micro),
        "state": row.state,
        "buyer_state": None if pair.buyer is None else pair.buyer.state,
        "seller_state": None if pair.seller is None else pair.seller.state,
        "reason": row.reason,
    }
