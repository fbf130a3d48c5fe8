"""The report as one HTML file: style, scripts, plotly.js and data are all in it, and its policy forbids any other.

The page is the template `assets/page.html`; here is what it is filled with.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from wattmesh_cli.audit import overdue_text
from wattmesh_cli.books import SLOT_S
from wattmesh_cli.report import sentences, tables
from wattmesh_cli.report.content import Content
from wattmesh_cli.report.drawn import step_s
from wattmesh_cli.report.figures import PALETTE, figures, level_choices
from wattmesh_cli.report.flows import TRADE, grouped
from wattmesh_cli.report.text import UNDEFINED, kwh, many, money, period, zone_text

_ASSETS = Path(__file__).parent / "assets"
_TEMPLATES = Environment(
    loader=FileSystemLoader(_ASSETS), autoescape=True, undefined=StrictUndefined, keep_trailing_newline=True
)
_TEMPLATES.filters |= {"kwh": kwh, "many": many, "money": money}


@dataclass(frozen=True)
class Plot:
    """A figure: its name in `figures`, what it shows in words, and what is drawn how: classes of the style sheet, and
    what each is. A diagram of `rows` is as high as they need.
    """

    name: str
    title: str
    unit: str
    says: str
    key: Sequence[tuple[str, str]]
    rows: int = 0


def page(shown: Content) -> str:
    """The whole file."""
    script = (_ASSETS / "page.js").read_text(encoding="utf-8")
    plotly = get_plotlyjs().replace("</script", "<\\/script")
    # Besides this file's own scripts nothing may run, and nothing may be fetched.
    allowed = " ".join(f"'sha256-{_sha256(text)}'" for text in (plotly, script))
    data = json.dumps({"palette": PALETTE, "figures": figures(shown)}, separators=(",", ":")).replace("<", "\\u003c")
    per, each = _step_texts(step_s(shown))
    flows = grouped(shown.flows, shown.grouping.groups)
    return _TEMPLATES.get_template("page.html").render(
        policy=f"default-src 'none'; style-src 'unsafe-inline'; script-src {allowed}; img-src data: blob:",
        style=Markup((_ASSETS / "page.css").read_text(encoding="utf-8")),  # noqa: S704 - our own file
        script=Markup(script),  # noqa: S704 - our own file
        plotly=Markup(plotly),  # noqa: S704 - the library's
        data=Markup(data),  # noqa: S704 - JSON without a <
        version=version("wattmesh"),
        undefined=UNDEFINED,
        market=shown.market,
        origin=shown.origin,
        audited=shown.audited,
        overdue=overdue_text(shown.audited),
        opening=sentences.opening(shown),
        facts=_facts(shown),
        checked=_checked(shown),
        unbooked=shown.kpis.unbooked_readings,
        cards=tables.cards(shown),
        each=each,
        plots=_plots(shown, per, max(len({one.seller for one in flows}), len({one.buyer for one in flows}), 0)),
        choices=[shown.names.short(name) for name in level_choices(shown)],
        grouped=shown.grouping.how,
        market_flows=any(flow.kind == TRADE for flow in flows),
        no_flows=sentences.flows(shown),
        bills=tables.bills(shown),
        energy=tables.energy(shown),
        compared=tables.compared(shown),
        single=tables.single(shown),
        findings=tables.findings(shown),
        more_findings=max(0, len(shown.audited.findings) - tables.MOST_FINDINGS),
        slots=tables.slots(shown),
    )


def _sha256(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _facts(shown: Content) -> list[str]:
    zone = shown.market.zone
    facts = [
        many(len(shown.households), "household"),
        many(len(shown.utilities), "utility", "utilities"),
        f"amounts in {shown.market.currency}",
    ]
    if shown.end is not None:
        facts.insert(0, f"{period(shown.slots[0], shown.end, zone)} ({zone_text(shown.slots[0], zone)})")
    return facts


def _checked(shown: Content) -> str:
    audited = shown.audited
    return (
        f"{many(audited.deliveries_checked, 'delivery', 'deliveries')}, {many(audited.readings_checked, 'reading')}, "
        f"{many(audited.ledger_entries_checked, 'ledger entry', 'ledger entries')} recomputed"
    )


def _plots(shown: Content, per: str, rows: int) -> dict[str, Plot | None]:
    plots = [
        Plot(
            "power", "Load and PV", "kW", sentences.power(shown),
            [("area pv", "PV"), ("line load", "load"), ("dotted net", "net import")],
        ),
        Plot(
            "level", "Battery level", "kWh", sentences.level(shown),
            [("area local", "stored"), ("dashed net", "capacity")],
        ),
        Plot(
            "price", "Prices", f"{shown.market.currency} per kWh", sentences.prices(shown),
            [
                ("line utility", "utility’s tariff, grid fee included"),
                ("dotted utility", "feed-in"),
                ("dot local", "between households, likewise; larger for more energy"),
                *([("line load", "a stored kWh is worth, on average")] if shown.worths else []),
            ],
        ),
        Plot(
            "trades", "Trades and backstop", f"kWh per {per}", sentences.trades(shown),
            [
                ("local", "between households"),
                ("utility", "from utilities, on the market"),
                ("backstop", "from the backstop"),
                ("hatched utility", "to utilities"),
                ("hatched backstop", "to the backstop"),
            ],
        ),
    ]  # fmt: skip
    key = [("local", "between households"), ("utility", "with a utility, on the market"), ("backstop", "backstop")]
    flows = Plot("flows", "Energy sold", "kWh", sentences.flows(shown), key, rows) if shown.flows else None
    return {**{one.name: one for one in plots}, "flows": flows}


def _step_texts(step: int) -> tuple[str, str]:
    """How long a step of the plots is, and what is said of it where it is longer than a slot."""
    if step == SLOT_S:
        return "slot", ""
    hours = step // 3600
    per = {1: "hour", 24: "day"}.get(hours, f"{hours} hours")
    which = "each" if hours in (1, 24) else "every"
    means = "means of power and price, sums of trades, the battery’s level at its end"
    return per, f" The plots show {which} {per} as one: {means}."
