"""Numbers and times for people. Pure."""

from __future__ import annotations

from datetime import datetime, tzinfo
from fractions import Fraction

from wattmesh_cli.books import mean_power_w
from wattmesh_cli.kpi import AtBoth, Stored

UNDEFINED = "–"
"""Stands for what is not defined; never 0."""


def kwh(energy_wh: int, decimals: int = 2) -> str:
    """Energy as kWh; also power in W as kW."""
    return _signed(f"{energy_wh / 1000:,.{decimals}f}")


def kw(energy_wh: int) -> str:
    """The mean power (kW) of so much energy in one slot."""
    return kwh(mean_power_w(energy_wh))


def money(amount_micro: int) -> str:
    """Money with two decimals."""
    return _signed(f"{amount_micro / 1_000_000:,.2f}")


def both(amounts: AtBoth) -> str:
    """Money at either value of what is left in batteries, with two decimals: retail / feed-in."""
    texts = [money(amounts[stored]) for stored in Stored]
    return texts[0] if texts[0] == texts[1] else " / ".join(texts)


def price(price_micro_per_kwh: int) -> str:
    """A price per kWh with four decimals."""
    return _signed(f"{price_micro_per_kwh / 1_000_000:,.4f}")


def percent(value: Fraction) -> str:
    """A share as percent with one decimal."""
    return f"{float(value):.1%}"


def ratio(value: Fraction) -> str:
    """A number with two decimals."""
    return f"{float(value):.2f}"


def clock(slot: int, zone: tzinfo) -> str:
    """When a slot starts: 17:15."""
    return f"{datetime.fromtimestamp(slot, zone):%H:%M}"


def moment(slot: int, zone: tzinfo) -> str:
    """When a slot starts, with its date: Sun 21 Jun 17:15."""
    return f"{datetime.fromtimestamp(slot, zone):%a %d %b %H:%M}"


def period(first: int, end: int, zone: tzinfo) -> str:
    """From when until when; the date stands once where it is one day's."""
    start, stop = datetime.fromtimestamp(first, zone), datetime.fromtimestamp(end, zone)
    until = f"{stop:%H:%M}" if start.date() == stop.date() else f"{stop:%A %d %B %Y, %H:%M}"
    return f"{start:%A %d %B %Y, %H:%M} – {until}"


def zone_text(slot: int, zone: tzinfo) -> str:
    """How far local time is from UTC: UTC+02:00."""
    return f"UTC{datetime.fromtimestamp(slot, zone).isoformat()[-6:]}"


def many(number: int, one: str, more: str = "") -> str:
    """`1 household`, `2 households`; `more` is the plural where it is not made with an s."""
    return f"{number:,} {one if number == 1 else more or one + 's'}"


def _signed(text: str) -> str:
    """With a minus sign as wide as a plus; no minus before zero."""
    if text.startswith("-") and not text.strip("-0.,"):
        return text[1:]
    return text.replace("-", "−")
