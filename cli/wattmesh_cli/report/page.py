"""The report as one HTML file: style, scripts, plotly.js and data are all in it, and its policy forbids any other."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Sequence
from html import escape
from importlib.metadata import version
from pathlib import Path

from plotly.offline import get_plotlyjs

from wattmesh_cli.audit import AuditResult
from wattmesh_cli.books import SLOT_S
from wattmesh_cli.kpi import PartyKpis
from wattmesh_cli.report import sentences, tables
from wattmesh_cli.report.content import Content
from wattmesh_cli.report.drawn import step_s
from wattmesh_cli.report.figures import PALETTE, figures, level_choices
from wattmesh_cli.report.flows import TRADE, grouped
from wattmesh_cli.report.indicators import (
    NO_LOAD,
    NO_PV,
    NOT_METERED,
    NOT_TRADED,
    NOTHING_TAKEN,
    Cell,
    bill_cells,
    cell,
    comparison,
    indicators,
)
from wattmesh_cli.report.text import (
    UNDEFINED,
    both,
    kwh,
    many,
    moment,
    money,
    percent,
    period,
    price,
    zone_text,
)

_ASSETS = Path(__file__).parent / "assets"
_MOST_FINDINGS = 100
MOST_SLOT_ROWS = 7 * 96

Key = Sequence[tuple[str, str]]
"""What is drawn how: classes of the style sheet, and what each is."""
_POWER = [("area pv", "PV"), ("line load", "load"), ("dotted net", "net import")]
_LEVEL = [("area local", "stored"), ("dashed net", "capacity")]
_PRICE = [
    ("line utility", "utility’s tariff, grid fee included"),
    ("dotted utility", "feed-in"),
    ("dot local", "between households, likewise; larger for more energy"),
]
_TRADES = [
    ("local", "between households"),
    ("utility", "from utilities, on the market"),
    ("backstop", "from the backstop"),
    ("hatched utility", "to utilities"),
    ("hatched backstop", "to the backstop"),
]
_FLOWS = [("local", "between households"), ("utility", "with a utility, on the market"), ("backstop", "backstop")]


def page(shown: Content) -> str:
    """The whole file."""
    script = (_ASSETS / "page.js").read_text(encoding="utf-8")
    style = (_ASSETS / "page.css").read_text(encoding="utf-8")
    plotly = get_plotlyjs().replace("</script", "<\\/script")
    data = json.dumps({"palette": PALETTE, "figures": figures(shown)}, separators=(",", ":")).replace("<", "\\u003c")
    # Besides this file's own scripts nothing may run, and nothing may be fetched.
    allowed = " ".join(f"'sha256-{_sha256(text)}'" for text in (plotly, script))
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src {allowed}; img-src data: blob:"
    name = escape(shown.market.name)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{escape(policy)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{name}: market report</title>
<style>{style}</style>
</head>
<body>
<a class="skip" href="#main">Skip to the report</a>
<header>{_head(shown)}</header>
<main id="main">
{_headlines(shown)}
{_plots(shown)}
{_flow_section(shown)}
{_bills(shown)}
{_kpis(shown)}
{_energy(shown)}
{_audit(shown)}
{_slot_table(shown)}
</main>
<footer><p>wattmesh {escape(version("wattmesh"))}. All times are the street’s local time. “{UNDEFINED}” stands for
what is not defined or not known; it is never 0.</p></footer>
<script type="application/json" id="data">{data}</script>
<script>{plotly}</script>
<script>{script}</script>
</body>
</html>
"""


def _sha256(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


# --- header ---


def _head(shown: Content) -> str:
    market, audited = shown.market, shown.audited
    facts = [
        many(len(shown.households), "household"),
        many(len(shown.utilities), "utility", "utilities"),
        f"amounts in {escape(market.currency)}",
    ]
    if shown.end is not None:
        facts.insert(0, f"{period(shown.slots[0], shown.end, market.zone)} ({zone_text(shown.slots[0], market.zone)})")
    found = len(audited.findings)
    badge = (
        f'<a class="badge bad" href="#audit"><span aria-hidden="true">✗</span> Audit: {many(found, "finding")}</a>'
        if found
        else '<a class="badge good" href="#audit"><span aria-hidden="true">✓</span> Audit: nothing wrong</a>'
    )
    return f"""
<div><p class="kind">Market report</p><h1>{escape(market.name)}</h1>
<p class="facts">{" ".join(f"<span>{fact}</span>" for fact in facts)}</p></div>
<p class="verdict">{badge}<br><span>{_checked(audited)}</span></p>"""


def _checked(audited: AuditResult) -> str:
    return (
        f"{many(audited.contracts_checked, 'contract')}, {many(audited.readings_checked, 'reading')}, "
        f"{many(audited.ledger_entries_checked, 'ledger entry', 'ledger entries')} recomputed"
    )


# --- headline numbers ---


def _headlines(shown: Content) -> str:
    kpis, currency = shown.kpis, escape(shown.market.currency)
    energy, bills = kpis.community.energy, kpis.community.money
    at_tariff = shown.local_at_tariff_micro_per_kwh
    against = "" if at_tariff is None else f"the utility’s tariff for the same: {price(at_tariff)}"
    alone = bills.utility_only_benefit_micro
    saved = (
        "against “utility only” not known until all is booked"
        if alone is None
        else f"{both(alone)} against “utility only”"
    )
    cards = [
        (
            "Self-sufficiency",
            cell(energy.self_sufficiency, percent, NO_LOAD),
            "",
            f"of {kwh(energy.load_wh)} kWh used came from own PV",
        ),
        (
            "Local share",
            cell(energy.local_share, percent, NOTHING_TAKEN),
            "",
            "of what households took came from households",
        ),
        (
            "Benefit",
            cell(bills.no_market_savings_micro, money, ""),
            currency,
            f"against “no market”; {saved}",
        ),
        ("Peak import", cell(energy.peak_import_w, kwh, NOT_METERED), "kW", "most that came in, as a slot’s mean"),
        (
            "Local price",
            cell(kpis.local_trade.price_micro_per_kwh, price, NOT_TRADED),
            f"{currency}/kWh",
            against,
        ),
    ]
    listed = "".join(
        f"<div><dt>{name}</dt><dd><strong>{tables.shown(value)}</strong>{_unit(value, unit)}"
        f"<small>{more}</small></dd></div>"
        for name, value, unit, more in cards
    )
    warning = ""
    if kpis.unbooked_readings:
        slots = many(kpis.unbooked_readings, "metered slot")
        verb = "is" if kpis.unbooked_readings == 1 else "are"
        warning = f'<p class="note" role="note">{slots} {verb} not booked yet: bills are not final.</p>'
    return (
        f'<section aria-labelledby="in-short"><h2 id="in-short" class="hidden">In short</h2>{warning}'
        f'<dl class="cards">{listed}</dl></section>'
    )


def _unit(value: Cell, unit: str) -> str:
    return f' <span class="unit">{unit}</span>' if unit and value.why is None else ""


# --- plots ---


def _plots(shown: Content) -> str:
    currency = escape(shown.market.currency)
    per, each = _step_texts(step_s(shown))
    return f"""<section aria-labelledby="day"><h2 id="day">Over time</h2>
<p class="hint">All households together.{each} Drag over a plot to look closer, in all at once; double-click to see all
again.</p>
{_plot("power", "Load and PV", "kW", sentences.power(shown), key=_POWER)}
{_plot("level", "Battery level", "kWh", sentences.level(shown), _chooser(shown), key=_LEVEL)}
{_plot("price", "Prices", f"{currency} per kWh", sentences.prices(shown), key=_PRICE)}
{_plot("trades", "Trades and backstop", f"kWh per {per}", sentences.trades(shown), key=_TRADES)}
</section>"""


def _step_texts(step: int) -> tuple[str, str]:
    """How long a step of the plots is, and what is said of it where it is longer than a slot."""
    if step == SLOT_S:
        return "slot", ""
    hours = step // 3600
    per = {1: "hour", 24: "day"}.get(hours, f"{hours} hours")
    which = "each" if hours in (1, 24) else "every"
    means = "means of power and price, sums of trades, the battery’s level at its end"
    return per, f" The plots show {which} {per} as one: {means}."


def _plot(name: str, title: str, unit: str, summary: str, more: str = "", *, key: Key, rows: int = 0) -> str:
    tall = f' style="--rows: {rows}"' if rows else ""
    signs = f'<ul class="key">{"".join(f"<li class={sign!r}>{meaning}</li>" for sign, meaning in key)}</ul>'
    labels = f'aria-labelledby="{name}-title" aria-describedby="{name}-says"'
    return (
        f'<figure aria-labelledby="{name}-title">'
        f'<div class="title"><h3 id="{name}-title">{title} <span class="unit">{unit}</span></h3>{more}</div>{signs}'
        f'<div class="plot" id="{name}"{tall} role="img" {labels}></div><noscript>Plots need JavaScript.</noscript>'
        f'<figcaption id="{name}-says">{escape(summary)}</figcaption></figure>'
    )


def _chooser(shown: Content) -> str:
    choices = level_choices(shown)
    if not choices:
        return ""
    options = "".join(
        f'<option value="{number}">{escape(shown.names.short(name))}</option>'
        for number, name in enumerate(choices, start=1)
    )
    return (
        f'<label for="whose">Whose <select id="whose" aria-controls="level"><option value="0">all together</option>'
        f"{options}</select></label>"
    )


def _flow_section(shown: Content) -> str:
    begin = '<section aria-labelledby="flow"><h2 id="flow">Who sold to whom</h2>'
    if not shown.flows:
        return f"{begin}<p>{sentences.flows(shown)}</p></section>"
    how = shown.grouping.how
    nodes = f" Households are shown {how}, as they are many." if how else ""
    found = grouped(shown.flows, shown.grouping.groups)
    rows = max(len({flow.seller for flow in found}), len({flow.buyer for flow in found}))
    all_shown = "" if any(flow.kind == TRADE for flow in found) else " checked"
    choice = f'<label for="backstop"><input type="checkbox" id="backstop"{all_shown}> with the backstop</label>'
    return f"""{begin}
<p class="hint">Sellers on the left, buyers on the right; as wide as the energy.{nodes} The backstop is the
utility’s supply of what the market left, and its taking of what was fed in.</p>
{_plot("flows", "Energy sold", "kWh", sentences.flows(shown), choice, key=_FLOWS, rows=rows)}
</section>"""


# --- tables ---


def _bills(shown: Content) -> str:
    currency = escape(shown.market.currency)
    columns = [
        "Household", "Bill", "Grid fees", "No market", "Utility only", "Saved against no market",
        "Saved against utility only", "Stored more (kWh)", "Benefit",
    ]  # fmt: skip
    caption = f"Bills of each household and of all, in {shown.market.currency}"
    return f"""<section aria-labelledby="bills"><h2 id="bills">Bills</h2>
<p class="hint">In {currency}; a negative bill is earned. <em>Grid fees</em>: those of purchases and imports, in the
bill. <em>No market</em>: the same energy at the utility’s prices.
<em>Utility only</em>: each household alone with its battery and its utility. <em>Benefit</em>: saved against utility
only, and what it is worth that more is stored at the end.</p>
{_by_household(shown, caption, columns, lambda row: bill_cells(row.money))}
</section>"""


def _energy(shown: Content) -> str:
    columns = [
        "Household", "PV (kWh)", "Load (kWh)", "In (kWh)", "Out (kWh)", "Self-consumption", "Self-sufficiency",
        "Local share", "Peak import (kW)",
    ]  # fmt: skip
    return f"""<section aria-labelledby="energy"><h2 id="energy">Energy</h2>
{_by_household(shown, "Energy of each household and of all", columns, _energy_cells)}
</section>"""


def _energy_cells(row: PartyKpis) -> list[Cell]:
    energy = row.energy
    return [
        *(cell(wh, kwh, "") for wh in (energy.pv_wh, energy.load_wh, energy.inflow_wh, energy.outflow_wh)),
        cell(energy.self_consumption, percent, NO_PV),
        cell(energy.self_sufficiency, percent, NO_LOAD),
        cell(energy.local_share, percent, NOTHING_TAKEN),
        cell(energy.peak_import_w, kwh, NOT_METERED),
    ]


def _by_household(
    shown: Content, caption: str, columns: Sequence[str], cells: Callable[[PartyKpis], Sequence[Cell]]
) -> str:
    rows = [(shown.names.short(row.party), cells(row)) for row in shown.kpis.households]
    return tables.sortable(caption, columns, rows, ("All", cells(shown.kpis.community)))


def _kpis(shown: Content) -> str:
    currency = shown.market.currency
    compared = [
        (name, *map(tables.shown, values), escape(meaning))
        for name, *values, meaning in comparison(shown.kpis, currency)
    ]
    single = [
        (escape(row.name), tables.shown(row.cell) + _unit(row.cell, escape(row.unit)), escape(row.meaning))
        for row in indicators(shown.kpis, currency)
    ]
    return f"""<section aria-labelledby="kpis"><h2 id="kpis">Key performance indicators</h2>
<p class="hint">Of all households together. <code>docs/kpis.md</code> of wattmesh defines each exactly and says where it
misleads.</p>
{
        tables.plain(
            "The market against what would have been without it",
            ["", "As it was", "No market", "Utility only", "Meaning"],
            compared,
            kind="compared",
        )
    }
{tables.plain("Energy, trade and protocol", ["KPI", "Value", "Meaning"], single, kind="single")}
</section>"""


def _audit(shown: Content) -> str:
    audited, currency = shown.audited, shown.market.currency
    sums = (
        f"{_checked(audited)}, of the whole run; {audited.contracts_in_flight:,} in flight. All ledgers together sum "
        f"to {kwh(audited.energy_sum_wh, 3)} kWh and {money(audited.amount_sum_micro)} {currency}."
    )
    found = audited.findings
    rows = [
        (
            escape(finding.kind),
            escape(shown.names.short(finding.party or "")),
            "" if finding.slot is None else moment(finding.slot, shown.market.zone),
            escape(shown.names.shorten(finding.text)),
        )
        for finding in found[:_MOST_FINDINGS]
    ]
    listed = tables.plain("Findings", ["Kind", "Party", "Slot", "Finding"], rows, kind="words") if rows else ""
    rest = len(found) - len(rows)
    more = f"<p>{many(rest, 'more finding')}: see <code>wattmesh audit</code>.</p>" if rest else ""
    verdict = f"{many(len(found), 'finding')}." if found else "Nothing wrong."
    return f"""<section aria-labelledby="audit"><h2 id="audit">Audit</h2>
<p><strong>{verdict}</strong> {escape(sums)}</p>{listed}{more}
</section>"""


def _slot_table(shown: Content) -> str:
    """The numbers behind the plots, for who reads rather than looks."""
    if not 0 < len(shown.slots) <= MOST_SLOT_ROWS:
        return ""
    columns = [
        "Slot", "PV (kWh)", "Load (kWh)", "Net import (kWh)", "Battery level at its end (kWh)",
        "Sold between households (kWh)", "Their price", "From utilities (kWh)", "From the backstop (kWh)",
        "To utilities (kWh)", "To the backstop (kWh)",
    ]  # fmt: skip
    rows = [
        (
            moment(metered.slot, shown.market.zone),
            *(kwh(wh) for wh in (metered.pv_wh, metered.load_wh, metered.net_import_wh, metered.level_after_wh)),
            kwh(traded.local_wh),
            tables.shown(cell(traded.local_price_micro_per_kwh, price, NOT_TRADED)),
            kwh(traded.from_utilities_wh),
            kwh(metered.imported_wh),
            kwh(traded.to_utilities_wh),
            kwh(metered.exported_wh),
        )
        for metered, traded in zip(shown.community, shown.traded, strict=True)
    ]
    return f"""<section aria-labelledby="slots"><h2 id="slots">The numbers behind the plots</h2>
<details><summary>{many(len(rows), "slot")} of 15 minutes</summary>
{tables.plain("All households together, slot by slot", columns, rows, kind="numbers")}</details></section>"""
