"""Tables on a terminal: what does not fit is left out by importance, and no number is cut."""

from __future__ import annotations

import io
import re
import time
from collections.abc import Callable
from typing import NamedTuple

import pytest
from rich.console import Console

from wattmesh_cli import tables
from wattmesh_cli.tables import Column, ordered, print_table, watched


class Bill(NamedTuple):
    name: str
    micro: int | None
    note: str = "paid in full, by the utility, on the first of the month"


BILLS = [Bill("roof-0", -1_250_000), Bill("flat-0", 900_000), Bill("loft-0", None)]
NAME: Column[Bill] = Column("NAME", lambda bill: bill.name)
AMOUNT: Column[Bill] = Column(
    "AMOUNT",
    lambda bill: "-" if bill.micro is None else f"{bill.micro / 1e6:.6f}",
    key=lambda bill: bill.micro,
    right=True,
)
SHARE: Column[Bill] = Column("SHARE", lambda _: "100.0 %", rank=2, right=True)
DEBT: Column[Bill] = Column("DEBT", lambda _: "123.456789", rank=1, right=True)
ORDER: Column[Bill] = Column("ORDER", lambda _: "a31b0a2f", only_wide=True)
COLUMNS = [NAME, AMOUNT, SHARE, DEBT, ORDER]

Printed = Callable[..., list[str]]


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch) -> Printed:
    """Lines that a terminal of a width shows; None is no terminal."""

    def run(columns: list[Column[Bill]], width: int | None, **options: bool) -> list[str]:
        out = io.StringIO()

        def console(*, highlight: bool = True) -> Console:
            is_terminal = width is not None
            return Console(
                file=out, width=width or 80, force_terminal=is_terminal, color_system=None, highlight=highlight
            )

        monkeypatch.setattr(tables, "Console", console)
        print_table(columns, BILLS, **options)
        return [line.rstrip() for line in out.getvalue().splitlines()]

    return run


@pytest.mark.parametrize(
    ("width", "names"),
    [(80, ["NAME", "AMOUNT", "SHARE", "DEBT"]), (30, ["NAME", "AMOUNT", "DEBT"]), (20, ["NAME", "AMOUNT"])],
)
def test_the_least_important_columns_go_first(printed: Printed, width: int, names: list[str]) -> None:
    lines = printed(COLUMNS, width)
    assert lines[0].split() == names
    assert all(len(line) <= width for line in lines)
    assert ("Too narrow for" in " ".join(lines)) == (len(names) < 4)


def test_what_never_goes_is_whole_in_any_terminal(printed: Printed) -> None:
    assert any(line.endswith("-1.250000") for line in printed(COLUMNS, 10))


def test_wide_shows_all_columns_whatever_the_terminal(printed: Printed) -> None:
    assert printed(COLUMNS, 20, wide=True)[:2] == [
        "NAME       AMOUNT    SHARE        DEBT  ORDER",
        "roof-0  -1.250000  100.0 %  123.456789  a31b0a2f",
    ]


def test_elsewhere_nothing_is_left_out_or_wrapped(printed: Printed) -> None:
    note: Column[Bill] = Column("NOTE", lambda bill: bill.note, wraps=True)
    lines = printed([NAME, AMOUNT, note, SHARE], None)
    assert len(lines) == 1 + len(BILLS)
    assert lines[1].split() == ["roof-0", "-1.250000", *BILLS[0].note.split(), "100.0", "%"]


def test_words_wrap_where_a_column_may(printed: Printed) -> None:
    note: Column[Bill] = Column("NOTE", lambda bill: bill.note, wraps=True)
    lines = printed([NAME, AMOUNT, note], 50)
    assert all(len(line) <= 50 for line in lines)
    assert len(lines) > 1 + len(BILLS)
    assert " ".join(" ".join(lines).split()).count("month") == len(BILLS)


@pytest.mark.parametrize(
    ("by", "names"),
    [
        (None, ["roof-0", "flat-0", "loft-0"]),
        ("amount", ["roof-0", "flat-0", "loft-0"]),
        ("-amo", ["flat-0", "roof-0", "loft-0"]),
        ("NAME", ["flat-0", "loft-0", "roof-0"]),
    ],
)
def test_rows_are_sorted_by_value_and_those_without_one_are_last(by: str | None, names: list[str]) -> None:
    assert [bill.name for bill in ordered(COLUMNS, BILLS, by)] == names


@pytest.mark.parametrize(
    ("by", "what"),
    [
        ("size", "--sort-by size: no such column; there are NAME, AMOUNT, SHARE, DEBT, ORDER"),
        ("", "--sort-by : could be NAME, AMOUNT, SHARE, DEBT, ORDER"),
    ],
)
def test_a_column_that_is_none_is_refused(by: str, what: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(what)}$"):
        ordered(COLUMNS, BILLS, by)


def test_watching_shows_what_is_read_until_ctrl_c(monkeypatch: pytest.MonkeyPatch) -> None:
    values, seen = iter(range(3)), list[int]()

    def slept(_: float) -> None:
        if len(seen) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(time, "sleep", slept)
    watched(lambda: next(values), seen.append, watch=True)
    assert seen == [0, 1, 2]
