"""What goes wrong in a run: a pure function of the seed, so that a run that failed can be had again.

What a seed fixes: the fate of each message at each try (by its id, which the seed also fixes), where each life of each
process ends, and which trouble comes when. What it cannot fix is the order in which two processes of a real machine
get their turn.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Literal

from wattmesh_common.faultpoints import FaultPoint
from wattmesh_common.fields import V1_ONLY, ProtocolVersion
from wattmesh_market.parties.books import AlarmKind

Kind = Literal["gateway", "roofs", "flats", "utility"]
"""What runs in a process."""

_TRADE = ("init", "confirm", "update")
_TOLD = ("on_init", "on_confirm", "on_status", "on_update")
_REQUESTS: Mapping[ProtocolVersion, tuple[str, ...]] = {"v1": ("select", *_TRADE), "v2": _TRADE}
"""What sellers receive and write of. A search, or what is published, is answered and leaves nothing in their books."""
_CALLBACKS: Mapping[ProtocolVersion, tuple[str, ...]] = {"v1": ("on_select", *_TOLD), "v2": _TOLD}
"""What buyers receive and write of: of offers when one is chosen, by an alarm."""
_BY_SELLERS: Mapping[ProtocolVersion, tuple[str, ...]] = {
    "v1": ("on_search", "on_select", *_TOLD),
    "v2": ("publish", *_TOLD),
}
_BY_BUYERS: Mapping[ProtocolVersion, tuple[str, ...]] = {
    "v1": ("search", "select", *_TRADE),
    "v2": ("discover", *_TRADE),
}
"""What is sent."""
_ALARMS = (AlarmKind.OFFERS_IN, AlarmKind.STALLED, AlarmKind.DOUBT)
_SENT: Mapping[Kind, Mapping[ProtocolVersion, str]] = {
    "roofs": {"v2": "sent catalog/publish"},
    "flats": {"v1": "sent search", "v2": "sent discover"},
}
"""What else is written when an answer comes."""
_RARE = frozenset({"start", "alarm stalled", "alarm doubt", "sent confirm", "status", "subscribe"}).union(
    *(spoken.values() for spoken in _SENT.values())
)
"""Reached so seldom that the first time must do."""


@dataclass(frozen=True)
class Fatal:
    """The end of a life: the `nth` time the point is reached for that occasion, after the first `after_s` seconds."""

    point: FaultPoint
    occasion: str
    nth: int
    after_s: float


def fatal_points(kind: Kind, protocols: Sequence[ProtocolVersion] = V1_ONLY) -> tuple[tuple[FaultPoint, str], ...]:
    """Where a process of that kind can be killed in a network that speaks these versions of Beckn."""
    commits, sends = (
        (FaultPoint.BEFORE_COMMIT, FaultPoint.AFTER_COMMIT),
        (FaultPoint.BEFORE_SEND, FaultPoint.AFTER_SEND),
    )
    if kind == "gateway":
        registry = (FaultPoint.BEFORE_REGISTRY_COMMIT, FaultPoint.AFTER_REGISTRY_COMMIT)
        broadcast = (FaultPoint.BEFORE_BROADCAST, FaultPoint.AFTER_BROADCAST)
        found = [(point, "subscribe") for point in registry]
        if "v1" in protocols:
            found += [(point, "search") for point in broadcast]
        if "v2" in protocols:
            found += [(point, "catalog/publish") for point in registry] + [(point, "on_discover") for point in sends]
        return tuple(found)
    written, sent = _written(kind, protocols), _sent(kind, protocols)
    return (
        *((point, occasion) for point in commits for occasion in written),
        *((point, action) for point in sends for action in sent),
    )


def _written(kind: Kind, protocols: Sequence[ProtocolVersion]) -> Sequence[str]:
    """What a pod of that kind commits."""
    heard = _of((_CALLBACKS if kind == "flats" else _REQUESTS), protocols)
    answered = [_SENT[kind][one] for one in protocols if one in _SENT.get(kind, {})]
    rest = {
        "roofs": ("start", "slot", "prune", "alarm report"),
        "flats": ("slot", "alarm report", *(f"alarm {one}" for one in _ALARMS), "sent confirm"),
        "utility": ("slot",),
    }
    return [*rest[kind], *(f"receive {one}" for one in heard), *answered]


def _sent(kind: Kind, protocols: Sequence[ProtocolVersion]) -> Sequence[str]:
    """What a pod of that kind sends."""
    if kind == "flats":
        return [*_of(_BY_BUYERS, protocols), "status"]
    return [*_of(_BY_SELLERS, protocols), *(["update"] if kind == "roofs" else [])]


def _of(names: Mapping[ProtocolVersion, Sequence[str]], protocols: Sequence[ProtocolVersion]) -> Sequence[str]:
    return list(dict.fromkeys(name for one in protocols for name in names[one]))


def lives(seed: int, process: str, kind: Kind, protocols: Sequence[ProtocolVersion] = V1_ONLY) -> Iterator[Fatal]:
    """How each life of a process ends, for ever: all its points in a shuffled order, then again.

    Points alternate between the names of `FaultPoint`, so that few lives reach all of them.
    """
    rng = random.Random(f"{seed}/lives/{process}")
    by_point: dict[FaultPoint, list[str]] = {}
    for point, occasion in fatal_points(kind, protocols):
        by_point.setdefault(point, []).append(occasion)
    while True:
        for occasions in by_point.values():
            rng.shuffle(occasions)
        for turn in range(max(map(len, by_point.values()))):
            for point in rng.sample(list(by_point), len(by_point)):
                occasion = by_point[point][turn % len(by_point[point])]
                bare = occasion.rpartition(" ")[2]
                nth = 1 if occasion in _RARE or bare in _RARE else rng.randint(1, 4)
                after_s = 0.0 if occasion == "start" else rng.uniform(5, 35)
                yield Fatal(point, occasion, nth, after_s)


@dataclass(frozen=True)
class Fate:
    """What the post does with a message at one try. Seconds are of wall time."""

    drop: bool = False
    drop_answer: bool = False
    copies: int = 1
    late_copy_s: float | None = None
    delay_s: float = 0.0
    overtaken: bool = False
    """Waits until another message to the same process has passed."""


def fate(seed: int, message: str, attempt: int) -> Fate:
    """The fate of a message (named by id, action and recipient) at its first, second, … try."""
    digest = blake2b(f"{seed}/fate/{message}/{attempt}".encode(), digest_size=8).digest()
    rng = random.Random(digest)
    chance = rng.random()
    for part, made in (
        (0.03, Fate(drop=True)),
        (0.03, Fate(drop_answer=True)),
        (0.03, Fate(copies=2)),
        (0.02, Fate(late_copy_s=rng.uniform(0.2, 6))),
        (0.04, Fate(delay_s=rng.uniform(0.05, 1.5))),
        (0.03, Fate(overtaken=True)),
    ):
        if chance < part:
            return made
        chance -= part
    return Fate()


@dataclass(frozen=True)
class Trouble:
    """Something that happens to a process for a while. `after_s` counts from the trouble before it.

    `kill`: SIGKILL. `slow`: every message to it takes `amount` seconds. `clock`: its clock is off by `amount` seconds.
    `disk`: it can write no file. `flood`: `amount` searches are thrown at the gateway while every message to it takes
    `for_s` seconds, so that they pile up.
    """

    kind: Literal["kill", "slow", "clock", "disk", "flood"]
    process: str
    after_s: float
    for_s: float = 0.0
    amount: float = 0.0


def troubles(seed: int, processes: Sequence[str]) -> Iterator[Trouble]:
    """What happens, for ever. `processes` are the agents' and `gateway`."""
    rng = random.Random(f"{seed}/troubles")
    agents = [name for name in processes if name != "gateway"]
    roofs = [name for name in agents if name.startswith("roofs")]
    while True:
        for kind in rng.sample(("kill", "kill", "slow", "clock", "disk", "flood"), 6):
            after_s = rng.uniform(3, 9)
            if kind == "kill":
                yield Trouble("kill", rng.choice(list(processes)), after_s)
            elif kind == "slow":
                yield Trouble("slow", rng.choice(agents), after_s, rng.uniform(3, 8), rng.uniform(0.3, 2.5))
            elif kind == "clock":
                amount = rng.choice((-1, 1)) * rng.uniform(0.5, 4)
                yield Trouble("clock", rng.choice(list(processes)), after_s, rng.uniform(3, 10), amount)
            elif kind == "disk":
                yield Trouble("disk", rng.choice(list(processes)), after_s, rng.uniform(1, 4))
            else:
                yield Trouble("flood", rng.choice(roofs), after_s, 1.5, rng.randint(600, 900))
