"""The plots, as plotly figures in JSON form. Colours are those of the light theme; `PALETTE` has the dark ones."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from html import escape
from itertools import cycle
from typing import Any

import plotly.graph_objects as go

from wattmesh_cli.books import SLOT_S
from wattmesh_cli.report.content import Content, backstop_wh
from wattmesh_cli.report.drawn import drawn
from wattmesh_cli.report.flows import BACKSTOP, TRADE, Flow, grouped
from wattmesh_cli.report.series import Metered, devices
from wattmesh_cli.report.text import kwh, money, price

MOST_HOUSEHOLDS = 50
"""Up to so many households have a curve of their own."""
_MOST_GAPS = 100
"""Gaps between more bars than this would only be noise."""

# Light and dark: after Okabe and Ito's palette, which the colour-blind tell apart, moved until each stands out from its
# background by 3:1 at least.
_PAIRS = {
    "pv": ("#b86e00", "#f0b13c"),
    "pv_area": ("rgba(184,110,0,0.22)", "rgba(240,177,60,0.24)"),
    "load": ("#0b62a8", "#74b9f4"),
    "net": ("#565c66", "#b4bac6"),
    "local": ("#00795c", "#3fd0a0"),
    "local_link": ("rgba(0,121,92,0.42)", "rgba(63,208,160,0.42)"),
    "local_area": ("rgba(0,121,92,0.20)", "rgba(63,208,160,0.22)"),
    "utility": ("#a03c78", "#e592c6"),
    "utility_link": ("rgba(160,60,120,0.38)", "rgba(229,146,198,0.38)"),
    "backstop": ("#858b96", "#8b919c"),
    "backstop_link": ("rgba(133,139,150,0.30)", "rgba(139,145,156,0.30)"),
    "text": ("#1b2330", "#e8ebf1"),
    "grid": ("#e1e5ea", "#2c3440"),
    "zero": ("#9aa1ac", "#6a7280"),
    "hover": ("#fffffe", "#222a35"),
}
PALETTE = tuple(_PAIRS.values())
_LIGHT = {name: light for name, (light, _) in _PAIRS.items()}
_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', 'DejaVu Sans', sans-serif"
_STEP = {"shape": "hv"}
_DASHES = ("solid", "dash", "dot", "dashdot")
"""A value holds from its slot's start to its end."""


def figures(shown: Content) -> dict[str, Any]:
    """All plots by name."""
    shown = drawn(shown)
    return {
        "power": _power(shown),
        "level": _level(shown),
        "price": _price(shown),
        "trades": _trades(shown),
        "flows": _flows(shown, [flow for flow in _grouped(shown) if flow.kind == TRADE]),
        "flows-all": _flows(shown, _grouped(shown)),
    }


def level_choices(shown: Content) -> list[str]:
    """The households whose level can be looked at; `level` has their curves in this order, after those of all."""
    if len(shown.households) > MOST_HOUSEHOLDS:
        return []
    return [name for name, rows in shown.households.items() if any(row.capacity_wh for row in rows)]


def _power(shown: Content) -> dict[str, Any]:
    times = _starts(shown, shown.community)
    curves = (
        ("PV", [row.pv_wh for row in shown.community], {"color": _LIGHT["pv"], "width": 2}, _LIGHT["pv_area"]),
        ("Load", [row.load_wh for row in shown.community], {"color": _LIGHT["load"], "width": 2}, None),
        (
            "Net import",
            [row.net_import_wh for row in shown.community],
            {"color": _LIGHT["net"], "width": 1.5, "dash": "dot"},
            None,
        ),
        *(
            (
                f"of the load: {escape(name)}",
                [row.devices_wh.get(name, 0) for row in shown.community],
                {"color": _LIGHT["load"], "width": 1, "dash": dash},
                None,
            )
            for name, dash in zip(devices(shown.community), cycle(_DASHES))
        ),
    )
    return _over_time(
        [
            go.Scatter(
                x=times,
                y=_held([wh * 3.6 / (SLOT_S * row.slots) for row, wh in zip(shown.community, values, strict=True)]),
                name=name,
                line=line | _STEP,
                fill="tozeroy" if area else None,
                fillcolor=area,
                hovertemplate="%{y:.2f} kW",
            )
            for name, values, line, area in curves
        ],
        shown,
    )


def _level(shown: Content) -> dict[str, Any]:
    of_all = _levels(shown, "All batteries", shown.community, visible=True)
    apart = [
        curve
        for name in level_choices(shown)
        for curve in _levels(shown, escape(shown.names.short(name)), shown.households[name], visible=False)
    ]
    return _over_time([*of_all, *apart], shown)


def _levels(shown: Content, name: str, rows: tuple[Metered, ...], *, visible: bool) -> list[go.Scatter]:
    levels = [rows[0].level_before_wh, *(row.level_after_wh for row in rows)] if rows else []
    times = _starts(shown, rows)
    return [
        go.Scatter(
            x=times,
            y=[wh / 1000 for wh in levels],
            name=name,
            line={"color": _LIGHT["local"], "width": 2},
            fill="tozeroy",
            fillcolor=_LIGHT["local_area"],
            hovertemplate="%{y:.2f} kWh",
            visible=visible,
        ),
        go.Scatter(
            x=times,
            y=_held([row.capacity_wh / 1000 for row in rows]),
            name="Capacity",
            line={"color": _LIGHT["net"], "width": 1.5, "dash": "dash"} | _STEP,
            hovertemplate="%{y:.2f} kWh",
            visible=visible,
        ),
    ]


def _price(shown: Content) -> dict[str, Any]:
    times = _starts(shown, shown.community)
    several = len(shown.prices) > 1
    curves = []
    for of in shown.prices:
        whose = f", {escape(shown.names.short(of.utility))}" if several else ""
        for name, values, dash in (
            ("Utility’s tariff", of.tariff_micro, "solid"),
            ("Feed-in", of.feed_in_micro, "dot"),
        ):
            curves.append(
                go.Scatter(
                    x=times,
                    y=_held([micro / 1_000_000 for micro in values]),
                    name=name + whose,
                    line={"color": _LIGHT["utility"], "width": 2, "dash": dash} | _STEP,
                    hovertemplate="%{y:.4f}",
                )
            )
    if shown.worths:
        curves.append(
            go.Scatter(
                x=times,
                y=_held(
                    [None if (worth := row.worth_micro_per_kwh) is None else worth / 1e6 for row in shown.community]
                ),
                name="Worth of a stored kWh",
                line={"color": _LIGHT["load"], "width": 2} | _STEP,
                hovertemplate="%{y:.4f}",
            )
        )
    sold = [row for row in shown.traded if row.local_wh]
    largest_wh = max((row.local_wh for row in sold), default=1)
    curves.append(
        go.Scatter(
            x=[_time(row.slot + shown.step_s // 2, shown) for row in sold],
            y=[(row.local_price_micro_per_kwh or 0) / 1_000_000 for row in sold],
            name="Between households",
            mode="markers",
            marker={
                "color": _LIGHT["local"],
                "size": [7 + 9 * (row.local_wh / largest_wh) ** 0.5 for row in sold],
                "opacity": 0.85,
                "line": {"width": 0},
            },
            customdata=[kwh(row.local_wh) for row in sold],
            hovertemplate="%{y:.4f}, %{customdata} kWh",
        )
    )
    figure = _over_time(curves, shown)
    figure["layout"]["yaxis"]["rangemode"] = "tozero"
    return figure


def _trades(shown: Content) -> dict[str, Any]:
    backstop = backstop_wh(shown)
    bars = (
        ("Between households", [row.local_wh for row in shown.traded], "local", ""),
        ("From utilities, market", [row.from_utilities_wh for row in shown.traded], "utility", ""),
        ("From the backstop", [imported_wh for imported_wh, _ in backstop], "backstop", ""),
        ("To utilities, market", [-row.to_utilities_wh for row in shown.traded], "utility", "/"),
        ("To the backstop", [-exported_wh for _, exported_wh in backstop], "backstop", "/"),
    )
    times = [_time(slot, shown) for slot in shown.slots]
    drawn = [
        go.Bar(
            x=times,
            y=[wh / 1000 for wh in values],
            name=name,
            offset=0,
            width=shown.step_s * 1000 * (0.92 if len(times) <= _MOST_GAPS else 1),
            marker={
                "color": _LIGHT[colour],
                "line": {"width": 0},
                "pattern": {"shape": pattern, "size": 5, "solidity": 0.5, "fillmode": "overlay"},
            },
            hovertemplate="%{y:.3f} kWh",
        )
        for name, values, colour, pattern in bars
        if any(values)
    ]
    figure = _over_time(drawn, shown)
    figure["layout"]["barmode"] = "relative"
    return figure


def _grouped(shown: Content) -> tuple[Flow, ...]:
    return grouped(shown.flows, shown.grouping.groups)


def _flows(shown: Content, flows: Sequence[Flow]) -> dict[str, Any]:
    sellers, buyers = _by_size(flows, "seller"), _by_size(flows, "buyer")
    place = {("seller", name): number for number, name in enumerate(sellers)}
    place |= {("buyer", name): len(sellers) + number for number, name in enumerate(buyers)}
    currency = escape(shown.market.currency)
    utilities = frozenset(shown.grouping.groups.get(name, name) for name in shown.utilities)
    links = [
        (
            place["seller", flow.seller],
            place["buyer", flow.buyer],
            flow.energy_wh / 1000,
            _LIGHT[_link_colour(flow, utilities)],
            f"{escape(shown.names.short(flow.seller))} → {escape(shown.names.short(flow.buyer))}<br>"
            f"{kwh(flow.energy_wh)} kWh for {money(flow.amount_micro)} {currency} "
            f"({price(flow.price_micro_per_kwh)} per kWh){', backstop' if flow.kind == BACKSTOP else ''}",
        )
        for flow in flows
    ]
    sources, targets, values, colours, labels = zip(*links, strict=True) if links else ((), (), (), (), ())
    parties = [*sellers, *buyers]
    sankey = go.Sankey(
        arrangement="fixed",
        node={
            "label": [escape(shown.names.short(name)) for name in parties],
            "color": [_LIGHT["utility" if name in utilities else "local"] for name in parties],
            "pad": 10,
            "thickness": 14,
            "line": {"width": 0},
            "hovertemplate": "%{label}: %{value:.2f} kWh<extra></extra>",
        },
        link={
            "source": sources,
            "target": targets,
            "value": values,
            "color": colours,
            "customdata": labels,
            "hovertemplate": "%{customdata}<extra></extra>",
        },
        textfont={"color": _LIGHT["text"], "size": 13},
    )
    return _figure([sankey], {"margin": {"l": 8, "r": 8, "t": 8, "b": 8}})


def _link_colour(flow: Flow, utilities: frozenset[str]) -> str:
    if flow.kind == BACKSTOP:
        return "backstop_link"
    return "utility_link" if {flow.seller, flow.buyer} & utilities else "local_link"


def _by_size(flows: Sequence[Flow], side: str) -> list[str]:
    """Sellers or buyers, those of the most energy first."""
    energy_wh: dict[str, int] = {}
    for flow in flows:
        name = getattr(flow, side)
        energy_wh[name] = energy_wh.get(name, 0) + flow.energy_wh
    return sorted(energy_wh, key=lambda name: (-energy_wh[name], name))


def _over_time(curves: list[Any], shown: Content) -> dict[str, Any]:
    axis = {"gridcolor": _LIGHT["grid"], "zerolinecolor": _LIGHT["zero"], "linecolor": _LIGHT["zero"], "ticks": ""}
    return _figure(
        curves,
        {
            # The same on the left for all, so that their time axes stand below each other.
            "margin": {"l": 52, "r": 10, "t": 10, "b": 42},
            "hovermode": "x unified",
            "xaxis": axis | {"type": "date", "range": _whole(shown), "hoverformat": "%a %d %b %H:%M"},
            "yaxis": axis | {"automargin": False, "nticks": 6},
            "showlegend": False,  # the page's own keeps its form on a phone
        },
    )


def _figure(curves: list[Any], layout: dict[str, Any]) -> dict[str, Any]:
    figure = go.Figure(curves, {"template": go.layout.Template()} | layout)
    figure.update_layout(
        font={"family": _FONT, "size": 13, "color": _LIGHT["text"]},
        hoverlabel={"bgcolor": _LIGHT["hover"], "bordercolor": _LIGHT["grid"], "font": {"color": _LIGHT["text"]}},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        autosize=True,
        uirevision="kept",
    )
    made: dict[str, Any] = figure.to_plotly_json()
    return made


def _whole(shown: Content) -> list[str] | None:
    return None if shown.end is None else [_time(shown.slots[0], shown), _time(shown.end, shown)]


def _starts(shown: Content, rows: tuple[Metered, ...]) -> list[str]:
    """When each slot starts, and when the last ends."""
    return [_time(row.slot, shown) for row in rows] + [_time(row.slot + shown.step_s, shown) for row in rows[-1:]]


def _held(values: Sequence[float | None]) -> list[float | None]:
    """The last value holds until its slot's end."""
    return [*values, *values[-1:]]


def _time(unix_s: int, shown: Content) -> str:
    """The street's local time without its offset: plotly shows times as they are."""
    return f"{datetime.fromtimestamp(unix_s, shown.market.zone):%Y-%m-%d %H:%M:%S}"
