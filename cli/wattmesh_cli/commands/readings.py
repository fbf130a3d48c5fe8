"""`wattmesh readings`: what utilities hold for a person, and what a person decides about it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Annotated

import typer

from wattmesh_cli.books import SLOT_S, Book, BooksError, Held, LedgerEntry
from wattmesh_cli.deciding import Corrected, Decided, ToUtility
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
from wattmesh_cli.tables import Column, SortOption, ordered, print_table, say
from wattmesh_common.decide import MOST_SLOTS, Decision
from wattmesh_market.units import energy_from_kwh, kwh_text, money_text

app = typer.Typer(
    help="List meter readings that a utility holds, or has held, for a person, by slot.\n\n"
    "A utility holds a reading of more energy than all that is installed there can move in a slot. It is not booked "
    "until a person accepts it, has it estimated, or corrects it."
)
HouseholdArgument = Annotated[str, typer.Argument(metavar="HOUSEHOLD", help="Whose readings.")]
SlotsArgument = Annotated[
    list[str],
    typer.Argument(metavar="SLOT", help="Starts of slots, as listed: 2026-06-21T12:15, or in RFC 3339."),
]


@dataclass(frozen=True)
class HeldReading:
    """A reading that is or was held, and the net import that is billed for it now (Wh), once it is.

    `corrections` are the utility's ledger entries for what was billed before, the first one first.
    """

    held: Held
    billed_wh: int | None
    corrections: tuple[LedgerEntry, ...] = ()


@app.callback(invoke_without_command=True)
def readings(
    context_: typer.Context,
    only_held: Annotated[bool, typer.Option("--held", help="Only those that nobody has decided about yet.")] = False,
    state: FromStateOption = None,
    kubernetes: KubernetesOption = False,
    namespace: NamespaceOption = None,
    all_namespaces: AllNamespacesOption = False,
    context: ContextOption = None,
    sort_by: SortOption = None,
    output: TableOutputOption = DEFAULT_TABLE,
) -> None:
    """See `app`."""
    if context_.invoked_subcommand is not None:
        return
    try:
        chosen = source(
            state, kubernetes=kubernetes, namespace=namespace, all_namespaces=all_namespaces, context=context
        )
        books, zone = chosen.books(), chosen.zone()
        names = Names(party.party for book in books for party in book.parties)
        columns = _columns(names, zone)
        rows = ordered(columns, [row for row in _rows(books) if not only_held or row.held.state == "held"], sort_by)
    except (BooksError, ValueError) as error:
        refuse(error)
    if output is TableOutput.JSON:
        print_json([_as_json(row, zone) for row in rows])
    elif rows:
        print_table(columns, rows, wide=output is TableOutput.WIDE)
    else:
        say("no reading is held" if only_held else "no reading is or was held")


@app.command()
def accept(
    household: HouseholdArgument,
    slots: SlotsArgument,
    state: FromStateOption = None,
    kubernetes: KubernetesOption = False,
    namespace: NamespaceOption = None,
    context: ContextOption = None,
) -> None:
    """Have held readings booked as they were told. All of them or, where one is not held, none.

    The street must be running. On one machine who may read the state directory's keys may decide, in a cluster who may
    read the gateway's registrar Secret.
    """
    _decide(household, slots, "accept", state, kubernetes, namespace, context)


@app.command()
def estimate(
    household: HouseholdArgument,
    slots: SlotsArgument,
    state: FromStateOption = None,
    kubernetes: KubernetesOption = False,
    namespace: NamespaceOption = None,
    context: ContextOption = None,
) -> None:
    """Have a substitute booked in place of held readings. All of them or, where one cannot be estimated, none.

    It is the mean of the same slot on the three days before, else of the slots beside it, and never more than was told.
    The street must be running; for who may decide, see accept.
    """
    _decide(household, slots, "estimate", state, kubernetes, namespace, context)


@app.command()
def correct(
    household: HouseholdArgument,
    slot: Annotated[str, typer.Argument(metavar="SLOT", help="Start of the slot, as listed, or in RFC 3339.")],
    imported: Annotated[str | None, typer.Option(metavar="KWH", help="What was imported, net.")] = None,
    exported: Annotated[str | None, typer.Option(metavar="KWH", help="What was exported, net.")] = None,
    state: FromStateOption = None,
    kubernetes: KubernetesOption = False,
    namespace: NamespaceOption = None,
    context: ContextOption = None,
) -> None:
    """Have a reading billed by what it should have been: one that is held, or was estimated or corrected before.

    It is no more than what is installed there can move. What was billed before stays in both ledgers; the difference is
    paid back, or owed on top, by an entry of its own, up to 30 days after the slot and ten times. The street must be
    running; for who may correct, see accept.
    """
    try:
        if imported is not None and exported is None:
            net_wh = energy_from_kwh(imported)
        elif exported is not None and imported is None:
            net_wh = -energy_from_kwh(exported)
        else:
            raise BooksError("say what was imported or what was exported, net: --imported 0.250")
    except (BooksError, ValueError) as error:
        refuse(error)

    def corrected(holder: tuple[str, str], whose: str, slots: Sequence[int]) -> Corrected:
        return Corrected(*holder, whose, slots[0], net_wh)

    _tell(household, [slot], corrected, state, kubernetes, namespace, context)


def _decide(
    household: str,
    slots: Sequence[str],
    decision: Decision,
    state: FromStateOption,
    kubernetes: bool,
    namespace: NamespaceOption,
    context: ContextOption,
) -> None:
    def decided(holder: tuple[str, str], whose: str, slots: Sequence[int]) -> Decided:
        return Decided(*holder, whose, tuple(slots), decision)

    _tell(household, slots, decided, state, kubernetes, namespace, context)


def _tell(
    household: str,
    slots: Sequence[str],
    call: Callable[[tuple[str, str], str, Sequence[int]], ToUtility],
    state: FromStateOption,
    kubernetes: bool,
    namespace: NamespaceOption,
    context: ContextOption,
) -> None:
    """Tell who holds these readings; `call` makes of book and utility, household and slots what is told."""
    try:
        chosen = source(state, kubernetes=kubernetes, namespace=namespace, all_namespaces=False, context=context)
        books, zone = chosen.books(), chosen.zone()
        names = Names(party.party for book in books for party in book.parties)
        whose = names.resolve(household)
        wanted = tuple(dict.fromkeys(_slot(text, zone) for text in slots))
        if len(wanted) > MOST_SLOTS:
            raise BooksError(f"{len(wanted)} slots; at most {MOST_SLOTS} are decided about at once")
        billed_wh = chosen.decide(call(_holder(books, whose, wanted, zone), whose, wanted))
    except (BooksError, UnknownName, ValueError) as error:
        refuse(error)
    for slot, net_wh in billed_wh.items():
        way = "exported" if net_wh < 0 else "imported"
        say(f"{names.short(whose)}, {slot_text(slot, zone)}: billed {kwh_text(abs(net_wh))} kWh {way}")


def _holder(books: Iterable[Book], household: str, slots: Sequence[int], zone: tzinfo) -> tuple[str, str]:
    """The book and utility that hold, or held, all these readings; BooksError where there is not one."""
    held = [(one.slot, (book.name, one.party)) for book in books for one in book.held if one.household == household]
    for slot in slots:
        if not any(slot == at for at, _ in held):
            text = f"{household}: no reading of {slot_text(slot, zone)} is held; 'wattmesh readings --held' lists them"
            raise BooksError(text)
    holders = {holder for slot, holder in held if slot in slots}
    if len(holders) > 1:
        raise BooksError(f"{household}: several utilities hold these readings; name slots of one at a time")
    return holders.pop()


def _slot(text: str, zone: tzinfo) -> int:
    """The slot that begins at a moment; without an offset it is in the street's local time. ValueError."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text}: no moment; write 2026-06-21T12:15") from None
    start = int((moment if moment.tzinfo else moment.replace(tzinfo=zone)).timestamp())
    if start % SLOT_S:
        raise ValueError(f"{text}: no slot begins then; slots begin every 15 minutes")
    return start


def _rows(books: Sequence[Book]) -> list[HeldReading]:
    billed = {(one.party, one.slot, one.household): one.net_wh for book in books for one in book.reported}
    corrections = defaultdict[tuple[str, int, str], dict[int, LedgerEntry]](dict)
    for book in books:
        for entry in book.ledger:
            if (number := entry.correction) is not None:
                corrections[entry.party, entry.slot, entry.counterparty][number] = entry

    def row(held: Held) -> HeldReading:
        key = (held.party, held.slot, held.household)
        of_reading = tuple(entry for _, entry in sorted(corrections.get(key, {}).items()))
        billed_wh = billed.get(key)
        if billed_wh is not None:
            billed_wh -= sum(entry.energy_wh for entry in of_reading)
        return HeldReading(held, billed_wh, of_reading)

    rows = [row(one) for book in books for one in book.held]
    return sorted(rows, key=lambda row: (row.held.slot, row.held.household))


def _columns(names: Names, zone: tzinfo) -> list[Column[HeldReading]]:
    def energy(name: str, energy_wh: Callable[[HeldReading], int | None], rank: int = 0) -> Column[HeldReading]:
        def text(row: HeldReading) -> str:
            known = energy_wh(row)
            return "" if known is None else kwh_text(known)

        return Column(name, text, rank, key=energy_wh, right=True)

    return [
        Column("HOUSEHOLD", lambda row: names.short(row.held.household)),
        Column("SLOT", lambda row: slot_text(row.held.slot, zone).replace(" ", "T"), key=lambda row: row.held.slot),
        energy("IMPORTED kWh", lambda row: row.held.imported_wh),
        energy("EXPORTED kWh", lambda row: row.held.exported_wh),
        Column("STATE", lambda row: row.held.state),
        energy("BILLED kWh", lambda row: row.billed_wh, 1),
        Column("UTILITY", lambda row: names.short(row.held.party), 2),
    ]


def _as_json(row: HeldReading, zone: tzinfo) -> dict[str, object]:
    held = row.held
    return {
        "household": held.household,
        "utility": held.party,
        "slot_start": slot_json(held.slot, zone),
        "imported_kwh": kwh_text(held.imported_wh),
        "exported_kwh": kwh_text(held.exported_wh),
        "sold_kwh": kwh_text(held.sold_wh),
        "state": held.state,
        "billed_net_kwh": None if row.billed_wh is None else kwh_text(row.billed_wh),
        "corrections": [
            {"net_kwh": kwh_text(-entry.energy_wh), "paid_back": money_text(-entry.amount_micro)}
            for entry in row.corrections
        ],
    }
