"""What a pod answers to `/ledger` → its book. Pure. Source: `wattmesh_agents.store.schema`."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, TypeVar

from wattmesh_cli.books import (
    Account,
    Book,
    BooksError,
    Carried,
    ChainLink,
    Checkpoint,
    Closing,
    ClosingRecord,
    ContractRow,
    Deletions,
    Forgetting,
    Held,
    LedgerEntry,
    Messages,
    Party,
    Reading,
    Reported,
)

Row = TypeVar(
    "Row",
    Party,
    ContractRow,
    LedgerEntry,
    Reading,
    Messages,
    Reported,
    Held,
    Closing,
    Account,
    ClosingRecord,
    ChainLink,
    Checkpoint,
    Carried,
    Deletions,
    Forgetting,
)

_TYPES: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "int": (int,),
    "str | None": (str, type(None)),
    "int | None": (int, type(None)),
}
_WANTED = {
    "str": "text",
    "int": "a whole number",
    "bool": "0 or 1",
    "str | None": "text or null",
    "int | None": "a whole number or null",
}


def book_of(name: str, answer: object) -> Book:
    """The book in parsed JSON; BooksError says where the answer is not what it must be.

    Columns and tables that an audit does not need are left out.
    """
    return Book(
        name=name,
        parties=tuple(sorted(_rows(name, answer, "parties", Party), key=lambda party: party.party)),
        contracts=_rows(name, answer, "contracts", ContractRow),
        ledger=_rows(name, answer, "ledger", LedgerEntry),
        readings=_rows(name, answer, "readings", Reading),
        messages=_rows(name, answer, "messages", Messages),
        reported=_rows(name, answer, "reported", Reported),
        held=_rows(name, answer, "held", Held),
        closings=_rows(name, answer, "closings", Closing),
        accounts=_rows(name, answer, "accounts", Account),
        closing_records=_rows(name, answer, "closing_records", ClosingRecord),
        chain=_rows(name, answer, "chain", ChainLink),
        checkpoints=_rows(name, answer, "checkpoints", Checkpoint),
        carried=_rows(name, answer, "carried", Carried),
        deletions=_rows(name, answer, "deletions", Deletions),
        forgettings=_rows(name, answer, "forgettings", Forgetting),
    )


def _rows(name: str, answer: object, table: str, kind: type[Row]) -> tuple[Row, ...]:
    rows = answer.get(table) if isinstance(answer, dict) else None
    if not isinstance(rows, list):
        raise BooksError(f"{name}: /ledger must be a JSON object with a list {table!r}")
    return tuple(_row(f"{name}: /ledger: {table}[{index}]", row, kind) for index, row in enumerate(rows))


def _row(at: str, row: object, kind: type[Row]) -> Row:
    if not isinstance(row, dict):
        raise BooksError(f"{at} must be an object")
    # Annotations are text, as the module of the rows postpones them.
    return kind(**{field.name: _value(at, row, field.name, str(field.type)) for field in fields(kind)})


def _value(at: str, row: dict[str, object], field: str, wanted: str) -> Any:
    if field not in row:
        raise BooksError(f"{at} has no {field!r}; is this another version of wattmesh?")
    value = row[field]
    # true and false are numbers to Python, but none that SQLite has written.
    if not isinstance(value, bool):
        if wanted == "bool" and isinstance(value, int) and value in (0, 1):
            return bool(value)
        if isinstance(value, _TYPES.get(wanted, ())):
            return value
    raise BooksError(f"{at}: {field!r} must be {_WANTED[wanted]}")
