"""Two statuses of a resource, before and after → Events for people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from wattmesh_operator.resources.reasons import Reason
from wattmesh_operator.resources.status import Condition, ConditionType, SolarAgentStatus, Status, TraderStatus
from wattmesh_operator.status.summary import is_summary


@dataclass(frozen=True)
class News:
    """What an Event of a resource says."""

    type: Literal["Normal", "Warning"]
    reason: str
    message: str


def news(before: Status, after: Status) -> list[News]:
    """What happened to a resource between two passes."""
    told: list[News] = []
    stalled, was_stalled = _condition(after, "Stalled"), _condition(before, "Stalled")
    registered, was_registered = _condition(after, "Registered"), _condition(before, "Registered")
    was = was_stalled.reason if was_stalled and was_stalled.status == "True" else None
    if stalled and stalled.status == "True" and stalled.reason not in (was, Reason.PAUSED):
        told.append(News("Warning", stalled.reason, stalled.message))
    ready, was_ready = _condition(after, "Ready"), _condition(before, "Ready")
    if ready and ready.reason == Reason.BOOKS_AHEAD and (was_ready is None or was_ready.reason != ready.reason):
        told.append(News("Warning", ready.reason, ready.message))
    volume, was_volume = _condition(after, "VolumeSizeDiffers"), _condition(before, "VolumeSizeDiffers")
    if volume and volume.reason not in (_reason(was_volume), Reason.VOLUME_EXPANDING):
        told.append(News("Warning", volume.reason, volume.message))
    lost, was_lost = _condition(after, "LedgerLost"), _condition(before, "LedgerLost")
    if lost and (was_lost is None or was_lost.message != lost.message):
        told.append(News("Warning", lost.reason, lost.message))
    if registered and registered.status == "True" and (was_registered is None or was_registered.status != "True"):
        told.append(News("Normal", "Registered", registered.message))
    elif (
        was_registered and was_registered.status == "True" and registered and registered.reason == Reason.NOT_REGISTERED
    ):
        told.append(News("Warning", "NotRegistered", registered.message))
    if isinstance(after, TraderStatus) and isinstance(before, TraderStatus) and was_registered:
        told.extend(_rekeyed(before, after))
    if isinstance(before, SolarAgentStatus) and isinstance(after, SolarAgentStatus):
        told.extend(_scaled(before, after))
    return told


def _rekeyed(before: TraderStatus, after: TraderStatus) -> list[News]:
    if after.rotated_keys in (None, before.rotated_keys):
        return []
    registered = _condition(after, "Registered")
    return [News("Normal", "KeysRotated", f"new keys: {registered.message if registered else ''}")]


def _scaled(before: SolarAgentStatus, after: SolarAgentStatus) -> list[News]:
    if not before.households or before.replicas is None or is_summary(before):
        return []
    told: list[News] = []
    were, are = ({household.name for household in status.households} for status in (before, after))
    if come := [household.name for household in after.households if household.name not in were]:
        told.append(News("Normal", "ScaledUp", f"{', '.join(come[:10])}{_more(come)}: made"))
    drained = {household.name for household in before.households if household.phase == "Draining"}
    draining = [h.name for h in after.households if h.phase == "Draining" and h.name not in drained]
    if draining:
        names = f"{', '.join(draining[:10])}{_more(draining)}"
        told.append(News("Normal", "Draining", f"{names}: no new contracts; open ones are settled first"))
    if gone := [household.name for household in before.households if household.name not in are]:
        names = f"{', '.join(gone[:10])}{_more(gone)}"
        told.append(News("Normal", "ScaledDown", f"{names}: gone; battery, ledger and key are kept for a return"))
    return told


def _more(names: list[str]) -> str:
    return f" and {len(names) - 10} more" if len(names) > 10 else ""


def _condition(status: Status, kind: ConditionType) -> Condition | None:
    return next((condition for condition in status.conditions if condition.type == kind), None)


def _reason(condition: Condition | None) -> str | None:
    return condition.reason if condition else None
