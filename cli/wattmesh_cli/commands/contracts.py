"""`wattmesh contracts`: who buys what from whom."""

from __future__ import annotations

from datetime import tzinfo
from typing import Annotated

import typer

from wattmesh_cli.books import OPEN, BooksError, Pair, paired
from wattmesh_cli.kpi.money import price_micro_per_kwh
from wattmesh_cli.names import Names, UnknownName
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
    output: OutputOption = DEFAULT_OUTPUT,
) -> None:
    """List contracts by delivery slot, each once, with the seller's state where the two sides' differ.

    Energy and amount are those delivered once they are known, else those contracted.
    """
    try:
        chosen = source(
            state, kubernetes=kubernetes, namespace=namespace, all_namespaces=all_namespaces, context=context
        )
        books = chosen.books()
        zone = chosen.zone()
        names = Names(party.party for book in books for party in book.parties)
        of = None if household is None else names.resolve(household)
    except (BooksError, UnknownName) as error:
        refuse(error)
    pairs = [
        pair
        for pair in paired(row for book in books for row in book.contracts)
        if (of is None or of in (pair.known.buyer, pair.known.seller)) and (not only_open or _is_open(pair))
    ]
    if output is Output.JSON:
        print_json([_as_json(pair, zone) for pair in pairs])
        return
    print_table(
        ["TRANSACTION", "SLOT", "BUYER", "SELLER", "kWh", "PRICE/kWh", "AMOUNT", "STATE"],
        [_as_row(pair, names, zone) for pair in pairs],
        right=["kWh", "PRICE/kWh", "AMOUNT"],
    )


def _is_open(pair: Pair) -> bool:
    return any(row is not None and row.state in OPEN for row in (pair.buyer, pair.seller))


def _as_row(pair: Pair, names: Names, zone: tzinfo) -> tuple[str, ...]:
    row = pair.known
    return (
        row.transaction_id[:8],
        slot_text(row.slot, zone),
        names.short(row.buyer),
        names.short(row.seller),
        kwh_text(row.energy_wh if row.delivered_wh is None else row.delivered_wh),
        money_text(price_micro_per_kwh(row.amount_micro, row.energy_wh)),
        money_text(row.amount_micro if row.settled_micro is None else row.settled_micro),
        row.state,
    )


def _as_json(pair: Pair, zone: tzinfo) -> dict[str, object]:
    row = pair.known
    return {
        "transaction_id": row.transaction_id,
        "order_id": row.order_id,
        "slot_start": slot_json(row.slot, zone),
        "buyer": row.buyer,
        "seller": row.seller,
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
