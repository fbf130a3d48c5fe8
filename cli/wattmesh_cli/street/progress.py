"""How far a simulation is: a bar with the time left on a terminal, a line now and then elsewhere. On stderr."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

_LINE_EVERY_S = 15.0


@contextmanager
def shown_progress(
    console: Console, start: datetime, slots: int, done: int, parties: int, slot: timedelta, *, bar: bool
) -> Iterator[Callable[[int], None]]:
    """Show how far a run of `slots` slots is, of which `done` were run before; gives what to call with the number of
    parties (of `parties`) whose slot was run.
    """
    steps = 0

    def reached() -> tuple[int, str]:
        whole = done + steps // parties
        return whole, f"{start + whole * slot:%a %d %b %H:%M}"

    if bar:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TextColumn("slots,"),
            TimeElapsedColumn(),
            TextColumn("gone,"),
            TimeRemainingColumn(),
            TextColumn("left"),
        )
        with Progress(*columns, console=console, transient=True, auto_refresh=False) as progress:
            task = progress.add_task(reached()[1], total=slots, completed=done)

            def advance(more: int) -> None:
                nonlocal steps
                steps += more
                whole, text = reached()
                progress.update(task, completed=whole, description=text, refresh=True)

            advance(0)
            yield advance
        return
    begun = told = time.monotonic()

    def tell(more: int) -> None:
        nonlocal steps, told
        steps += more
        now = time.monotonic()
        if steps and now - told >= _LINE_EVERY_S:
            told = now
            whole, text = reached()
            left_s = (now - begun) / steps * ((slots - done) * parties - steps)
            console.print(
                f"{text}: {whole} of {slots} slots, about {timedelta(seconds=round(left_s))} left", highlight=False
            )

    yield tell
