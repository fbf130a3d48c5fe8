"""The live view of a street on a terminal: households and utilities above, the newest log lines below."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Console, ConsoleDimensions, Group, JustifyMethod
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from wattmesh_agents.status import party_state
from wattmesh_cli.street.local import beside
from wattmesh_cli.street.run import StreetRun
from wattmesh_cli.tables import Column, fitting
from wattmesh_common.logs import TextFormatter
from wattmesh_common.pod_pages import PartyState
from wattmesh_market.parties.party import Party
from wattmesh_market.units import kwh_text, money_text

_REFRESH_S = 0.25
_MOST_LINES = 200
_FEWEST_LINES = 4
_BAR = 12
_LONGEST_BAR = 40


class Recent(logging.Handler):
    """Keeps the newest log lines."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: deque[str] = deque(maxlen=_MOST_LINES)
        self.setFormatter(TextFormatter())

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one more."""
        self.lines.append(self.format(record))


@asynccontextmanager
async def live_view(street: StreetRun, console: Console) -> AsyncIterator[None]:
    """Show the street on the terminal while the block runs, in place of log lines."""
    recent = Recent()
    root = logging.getLogger()
    before = root.handlers[:]
    root.handlers[:] = [recent]
    try:
        with Live(console=console, auto_refresh=False, transient=True) as live:

            async def keep_showing() -> None:
                while True:
                    live.update(picture(street, list(recent.lines), console.size), refresh=True)
                    await asyncio.sleep(_REFRESH_S)

            async with beside(keep_showing()):
                yield
    finally:
        root.handlers[:] = before


@dataclass(frozen=True)
class _Row:
    """A party as it stands. `role` is that of the slot that is traded, or of the current one."""

    name: str
    state: PartyState
    role: str
    price: str


_COLUMNS: tuple[Column[_Row], ...] = (
    Column("HOUSEHOLD", lambda row: row.name),
    Column("BATTERY", lambda _: "", rank=3),
    Column("SOC", lambda row: _soc(row.state), rank=1, right=True),
    Column("ROLE", lambda row: row.role, rank=2),
    Column("PRICE", lambda row: row.price, rank=4, right=True),
    Column("BOUGHT kWh", lambda row: kwh_text(row.state.bought_wh), rank=3, right=True),
    Column("SOLD kWh", lambda row: kwh_text(row.state.sold_wh), rank=3, right=True),
    Column("BALANCE", lambda row: money_text(row.state.balance_micro)[:-4], right=True),
    Column("OPEN", lambda row: str(row.state.open_contracts), rank=5, right=True),
)


def picture(street: StreetRun, lines: Sequence[str], size: ConsoleDimensions) -> Group:
    """What is shown on a terminal of that size: grid time, a row for each party that there is room for, the newest
    lines in what is left.
    """
    parties = [party for pod in street.pods.values() for party in pod.parties.values()]
    # Title, names of columns, and the panel's borders take four lines; one more says how many parties are not shown.
    room = max(1, size.height - 4 - _FEWEST_LINES)
    rows = [_row(party) for party in (parties if len(parties) <= room else parties[: room - 1])]
    table = _table(rows, size.width)
    hidden = len(parties) - len(rows)
    if hidden:
        table.add_row(Text(f"and {hidden} more", "dim"))
    height = max(_FEWEST_LINES, size.height - 4 - len(rows) - bool(hidden))
    log = Text("\n".join(lines[-height:]), no_wrap=True, overflow="ellipsis")
    log.highlight_regex("✅.*", "green")
    panel = Panel(log, title="trades", height=height + 2, title_align="left", border_style="dim")
    return Group(_title(street), table, panel)


def _title(street: StreetRun) -> Text:
    grid = next(iter(street.pods.values())).grid
    missed = sum(pod.metrics.missed_gate_count for pod in street.pods.values())
    now = street.time.at(grid.clock.wall())
    title = Text(f"{now:%a %d %b %H:%M}  x{street.time.speed:g}  ", "bold", no_wrap=True, overflow="ellipsis")
    if missed:
        title.append(f"{missed} trades missed: too fast for this machine  ", "yellow")
    return title.append(f"{street.gateway_url}/", "dim")


def _table(rows: Sequence[_Row], width: int) -> Table:
    widths = [max(map(cell_len, (column.name, *map(column.text, rows)))) for column in _COLUMNS]
    bar = next(at for at, column in enumerate(_COLUMNS) if column.name == "BATTERY")
    widths[bar] = _BAR
    shown = fitting(_COLUMNS, widths, width)
    spare = width - sum(widths[at] + 2 for at in shown) + 2
    widths[bar] = min(_LONGEST_BAR, _BAR + max(0, spare))
    table = Table(box=None, pad_edge=False, header_style="bold")
    for at in shown:
        justify: JustifyMethod = "right" if _COLUMNS[at].right else "left"
        table.add_column(_COLUMNS[at].name, justify=justify, min_width=widths[at], no_wrap=True)
    for row in rows:
        cells = (
            _bar(row.state, widths[bar]) if at == bar else Text(_COLUMNS[at].text(row), _style(_COLUMNS[at].name, row))
            for at in shown
        )
        table.add_row(*cells)
    return table


def _style(column: str, row: _Row) -> str:
    match column:
        case "ROLE":
            return {"seller": "green", "buyer": "cyan"}.get(row.role, "dim")
        case "BALANCE":
            return "red" if row.state.balance_micro < 0 else "green"
    return ""


def _row(party: Party) -> _Row:
    slot, following, roles = party.now.slot, party.following_slot(), party.books.roles
    decided = (following is not None and roles.get(following)) or roles.get(slot)
    role = "seller" if party.kind == "utility" else decided or "-"
    price = money_text(party.price_micro_per_kwh(slot))[:-3] if role == "seller" else "-"
    return _Row(party.name, party_state(party), role, price)


def _soc(state: PartyState) -> str:
    if not state.capacity_wh:
        return "-"
    return f"{state.level_wh / 1000:.2f} kWh {100 * state.level_wh / state.capacity_wh:3.0f} %"


def _bar(state: PartyState, width: int) -> Text:
    if not state.capacity_wh:
        return Text("")
    share = state.level_wh / state.capacity_wh
    filled = round(share * width)
    bar = Text("█" * filled, "green" if share > 0.5 else "yellow" if share > 0.2 else "red")
    return bar.append("░" * (width - filled), "dim")
