"""Ledgers that are gone: who trades with another one than it had, and what the former one showed last."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from wattmesh_operator.resources.reasons import Reason
from wattmesh_operator.resources.status import ConditionType, LostLedger
from wattmesh_operator.status.conditions import Finding

_MOST_TOLD = 3


def lost_ledgers(
    previous: Sequence[LostLedger], showed: Iterable[LostLedger], accounts: Mapping[str, str | None]
) -> tuple[LostLedger, ...]:
    """What is lost now, by `previous` and by what ledgers `showed` before.

    `accounts` are the present ledgers of all that trade; None of one that does not say. One that was lost and is there
    again, from a backup, is lost no longer, and neither is that of a household that has left.
    """
    lost = {one.name: one for one in showed if accounts.get(one.name) not in (None, "", one.account)}
    lost |= {one.name: one for one in previous}
    return tuple(one for name, one in sorted(lost.items()) if name in accounts and accounts[name] != one.account)


def ledger_lost(lost: Sequence[LostLedger]) -> dict[ConditionType, Finding]:
    """The condition, while there is any lost."""
    if not lost:
        return {}
    told = [
        f"the ledger of {one.name} is gone, which showed {one.sold_kwh} kWh sold, {one.bought_kwh} kWh bought and a"
        f" balance of {one.balance}"
        for one in lost[:_MOST_TOLD]
    ]
    more = f"; {len(lost) - _MOST_TOLD} more" if len(lost) > _MOST_TOLD else ""
    kept = "A new one is kept now, with what partners hold of it; `wattmesh audit` tells what is at stake"
    text = f"{'; '.join(told)}{more}. {kept}"
    return {"LedgerLost": Finding(True, Reason.LEDGER_LOST, text)}
