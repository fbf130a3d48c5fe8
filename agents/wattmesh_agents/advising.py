"""Asking an adviser: outside of any transaction, beside everything else, and no longer than until a moment."""

from __future__ import annotations

import asyncio

from wattmesh_common.clock import Clock
from wattmesh_market.trade.advice import Advice, Adviser, NoChoice, Question


async def ask_until(adviser: Adviser, question: Question, until: float, clock: Clock) -> Advice | None:
    """What the adviser chooses, or that it failed; None when it has not answered until then (wall time).

    Of an error only the kind is told: its text is a stranger's, and may hold a key.
    """
    asking = asyncio.ensure_future(adviser.advise(question))
    late = asyncio.ensure_future(clock.sleep(until - clock.wall()))
    asking.add_done_callback(lambda task: task.cancelled() or task.exception())  # an error after the end is nobody's
    try:
        await asyncio.wait((asking, late), return_when=asyncio.FIRST_COMPLETED)
        return asking.result() if asking.done() else None
    except Exception as error:  # noqa: BLE001 - a model's library may raise anything, and the rules decide
        return NoChoice(f"it failed with {type(error).__name__}")
    finally:
        asking.cancel()
        late.cancel()
