"""What was found of the members of a resource → its conditions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from wattmesh_common.clock import rfc3339
from wattmesh_operator.desired.names import PAUSED
from wattmesh_operator.plan.graph import Problem
from wattmesh_operator.resources.reasons import FAILURES, Reason
from wattmesh_operator.resources.status import Condition, ConditionType, Phase, Status
from wattmesh_operator.status.trouble import Trouble

_MOST_NAMED = 3


@dataclass(frozen=True)
class Finding:
    """Whether something is so, why in one word, and why in words for people."""

    is_so: bool
    reason: Reason
    message: str


@dataclass(frozen=True)
class Member:
    """One of those a resource is: a household, a utility, or the gateway itself.

    `trouble` says why its pod could not be made or does not come up, `refused` why it is not in the registry.
    `halted` says why a rollout does not reach it, if so. `rekeying` is whether a new key is on its way, `former_until`
    when (unix seconds) its last former key ends.
    `waits_until` is the wall time at which grid time has caught up with its books, where these are ahead of it and it
    has said so.
    `volume` says why its volume has another size than it shall have. `pulled` is the image that its pod waits for.
    """

    name: str
    phase: Phase
    rolled_out: bool = True
    trouble: Trouble | None = None
    registered: bool = True
    refused: str = ""
    rekeying: bool = False
    former_until: int | None = None
    halted: str = ""
    paused: bool = False
    waits_until: datetime | None = None
    volume: Trouble | None = None
    pulled: str = ""


def conditions(
    findings: Mapping[ConditionType, Finding], previous: Status, generation: int, now: datetime
) -> tuple[Condition, ...]:
    """The conditions for these findings. The time of one changes only when its status does."""
    before = {condition.type: condition for condition in previous.conditions}
    told: list[Condition] = []
    for kind, finding in findings.items():
        status = "True" if finding.is_so else "False"
        same = kind in before and before[kind].status == status
        told.append(
            Condition(
                type=kind,
                status="True" if finding.is_so else "False",
                reason=finding.reason.value,
                message=finding.message[:32768],
                observed_generation=generation,
                last_transition_time=before[kind].last_transition_time if same else now.replace(microsecond=0),
            )
        )
    return tuple(told)


def impossible(problem: Problem) -> dict[ConditionType, Finding]:
    """What is found of a resource that cannot be made real."""
    finding = Finding(False, problem.reason, problem.message)
    stalled = Finding(True, problem.reason, problem.message)
    return {
        "Ready": finding,
        "Registered": finding,
        "Progressing": finding,
        "Reconciling": finding,
        "Stalled": stalled,
    }


def findings(members: Sequence[Member]) -> dict[ConditionType, Finding]:
    """What is found of a resource by its members."""
    ready, registered, progressing = _ready(members), _registered(members), _progressing(members)
    cause = progressing if progressing.reason in (Reason.ROLLOUT_HALTED, Reason.PAUSED) else ready
    stalls = not ready.is_so and cause.reason in (*FAILURES, Reason.ROLLOUT_HALTED, Reason.PAUSED)
    moving = progressing if progressing.is_so else ready
    # It trades on with the volume that it has, so this is a condition of its own, and only there while it is so.
    volume = _causes([(member, member.volume) for member in members if member.volume is not None])
    return {
        "Ready": ready,
        "Registered": registered,
        "Progressing": progressing,
        "Reconciling": Finding(not stalls and (progressing.is_so or not ready.is_so), moving.reason, moving.message),
        "Stalled": Finding(stalls, cause.reason, cause.message),
        **({"VolumeSizeDiffers": Finding(True, *volume)} if volume else {}),
    }


def ready_count(members: Sequence[Member]) -> int:
    """How many members trade and are registered."""
    return sum(member.phase == "Ready" and member.registered for member in members)


def _ready(members: Sequence[Member]) -> Finding:
    staying = [member for member in members if member.phase != "Draining"]
    if trouble := _causes([(member, member.trouble) for member in staying if member.trouble is not None]):
        return Finding(False, *trouble)
    waiting = [member for member in staying if member.phase == "Pending"]
    if waiting:
        pulled = next((f"; its node is pulling image {member.pulled}" for member in waiting if member.pulled), "")
        return Finding(False, Reason.POD_NOT_READY, f"{_names(waiting)}: the pod is not ready yet{pulled}")
    silent = [member for member in staying if member.phase == "Unreachable"]
    if silent:
        return Finding(False, Reason.POD_UNREACHABLE, f"{_names(silent)}: the pod does not answer")
    if ahead := [member for member in staying if member.phase == "Waiting"]:
        ends = [member.waits_until.timestamp() for member in ahead if member.waits_until]
        until = f", until {rfc3339(max(ends))}" if ends else ""
        text = f"{_names(ahead)}: grid time is behind the books, which were written by an older gateway's clock"
        return Finding(False, Reason.BOOKS_AHEAD, f"{text}; trading goes on when it has caught up{until}")
    if absent := [member for member in staying if not member.registered]:
        return Finding(False, Reason.NOT_REGISTERED, f"{_names(absent)}: not in the gateway's registry")
    if rolling := [member for member in staying if not member.rolled_out]:
        return Finding(False, *_rolling(rolling))
    return Finding(True, Reason.READY, f"{len(staying)} of {len(staying)} ready")


def _causes(troubles: Sequence[tuple[Member, Trouble]]) -> tuple[Reason, str] | None:
    """The reason and all causes, those that most members have first."""
    found: dict[Trouble, list[Member]] = {}
    for member, trouble in troubles:
        found.setdefault(trouble, []).append(member)
    if not found:
        return None
    causes = sorted(found.items(), key=lambda cause: -len(cause[1]))
    told = "; ".join(f"{_names(of)}: {trouble.message}" for trouble, of in causes[:_MOST_NAMED])
    more = f"; {len(causes) - _MOST_NAMED} more causes" if len(causes) > _MOST_NAMED else ""
    return causes[0][0].reason, f"{told}{more}"


def _registered(members: Sequence[Member]) -> Finding:
    absent = [member for member in members if not member.registered and member.phase != "Draining"]
    if absent:
        why = next((member.refused for member in absent if member.refused), "not written yet")
        return Finding(False, Reason.NOT_REGISTERED, f"{_names(absent)}: {why}")
    what = "the gateway's registry holds what it shall"
    if former := [(member.former_until, member) for member in members if member.former_until is not None]:
        until = rfc3339(max(end for end, _ in former))
        names = _names([member for _, member in former])
        return Finding(True, Reason.KEYS_RETIRING, f"{what}; former keys of {names} hold until {until}")
    return Finding(True, Reason.REGISTERED, what)


def _progressing(members: Sequence[Member]) -> Finding:
    if any(member.paused for member in members):
        return Finding(False, Reason.PAUSED, f"annotation {PAUSED}: what belongs to it is left as it is")
    draining = [member for member in members if member.phase == "Draining"]
    if draining:
        return Finding(True, Reason.DRAINING, f"{_names(draining)}: open contracts are settled before it goes")
    rolling = [member for member in members if not member.rolled_out]
    if rolling:
        reason, message = _rolling(rolling)
        return Finding(reason is Reason.ROLLING_OUT, reason, message)
    if rekeying := [member for member in members if member.rekeying]:
        return Finding(
            True, Reason.ROTATING_KEYS, f"{_names(rekeying)}: the new key is not in the gateway's registry yet"
        )
    return Finding(False, Reason.UP_TO_DATE, "all is as spec says")


def _rolling(members: Sequence[Member]) -> tuple[Reason, str]:
    """Why these are not what they shall be yet."""
    if halted := [member for member in members if member.halted]:
        return Reason.ROLLOUT_HALTED, f"stopped at {halted[0].halted}; {_names(halted)}: the former pod goes on"
    return Reason.ROLLING_OUT, f"{_names(members)}: the pod is not what it shall be yet"


def _names(members: Sequence[Member]) -> str:
    named = ", ".join(member.name for member in members[:_MOST_NAMED])
    return f"{named}{_more(members[_MOST_NAMED - 1 :])}"


def _more(members: Sequence[Member]) -> str:
    return f" and {len(members) - 1} more" if len(members) > 1 else ""
