"""The live view of a street on a terminal: households and utilities above, the newest log lines below."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from wattmesh_agents.status import party_state
from wattmesh_cli.street.run import StreetRun
from wattmesh_common.logs import TextFormatter
from wattmesh_market.parties.party import Party
from wattmesh_market.units import kwh_text, money_text

_REFRESH_S = 0.25
_LINES = 14
_BAR = 12


class Recent(logging.Handler):
    """Keeps the newest log lines."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: deque[str] = deque(maxlen=_LINES)
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
                    live.update(picture(street, list(recent.lines)), refresh=True)
                    await asyncio.sleep(_REFRESH_S)

            showing = asyncio.ensure_future(keep_showing())
            try:
                yield
            finally:
                showing.cancel()
    finally:
        root.handlers[:] = before


def picture(street: StreetRun, lines: list[str]) -> Group:
    """What is shown: grid time, a row for each party, the newest lines."""
    parties = [party for pod in street.pods.values() for party in pod.parties.values()]
    grid = next(iter(street.pods.values())).grid
    missed = sum(pod.metrics.missed_gate_count for pod in street.pods.values())
    now = street.time.at(grid.clock.wall())
    title = f"{now:%a %d %b %H:%M}  x{street.time.speed:g}  [dim]{street.gateway_url}/[/]"
    if missed:
        title += f"  [yellow]{missed} trades missed: too fast for this machine[/]"
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, header_style="bold")
    for column in ("HOUSEHOLD", "BATTERY", "SOC", "ROLE", "PRICE", "BOUGHT kWh", "SOLD kWh", "BALANCE", "OPEN"):
        table.add_column(column, justify="left" if column in ("HOUSEHOLD", "BATTERY", "ROLE") else "right")
    for party in parties:
        table.add_row(*_row(party))
    log = Text("\n".join(lines), no_wrap=True, overflow="ellipsis")
    log.highlight_regex("✅.*", "green")
    return Group(table, Panel(log, title="trades", height=_LINES + 2, title_align="left", border_style="dim"))


def _row(party: Party) -> list[Text | str]:
    state = party_state(party)
    slot, following, roles = party.now.slot, party.following_slot(), party.books.roles
    decided = (following is not None and roles.get(following)) or roles.get(slot)
    role = "seller" if party.kind == "utility" else decided or "-"
    price = money_text(party.price_micro_per_kwh(slot))[:-3] if role == "seller" else "-"
    soc, bar = "-", Text("")
    if state.capacity_wh:
        share = state.level_wh / state.capacity_wh
        filled = round(share * _BAR)
        bar = Text("█" * filled, "green" if share > 0.5 else "yellow" if share > 0.2 else "red")
        bar.append("░" * (_BAR - filled), "dim")
        soc = f"{state.level_wh / 1000:.2f} kWh {100 * share:3.0f} %"
    colour = {"seller": "green", "buyer": "cyan"}.get(role, "dim")
    return [
        Text(party.name),
        bar,
        soc,
        Text(role, colour),
        price,
        kwh_text(state.bought_wh),
        kwh_text(state.sold_wh),
        Text(money_text(state.balance_micro)[:-4], "red" if state.balance_micro < 0 else "green"),
        str(state.open_contracts),
    ]
