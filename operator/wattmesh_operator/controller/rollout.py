"""Staged rollouts: which pods of a market get a new template in this pass, and which keep the one they have for now.

Pure, and level-triggered: what is decided follows from which pods are up and what template each has, so any pass of any
operator goes on where the last one stopped. A rollout that meets a pod that does not come up therefore halts by itself,
and a template that is put right, or put back, reaches the pods that are down at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from wattmesh_operator.desired.revision import Revision


@dataclass(frozen=True)
class Step:
    """One pod: the template it has (None: there is no pod yet) and shall have, and whether it is up as it is."""

    name: str
    has: Revision | None
    wants: Revision
    up: bool
    rank: int = 0
    """Lower ranks come first: households, then utilities, which are their backstop."""

    @property
    def waits(self) -> bool:
        """Whether a pod is up with another template than it shall have."""
        return self.up and self.has is not None and self.has != self.wants


def held(steps: Sequence[Step], gateway: Step | None, most: int) -> set[str]:
    """The names of those that keep their template in this pass.

    At most `most` pods are down at once, and one while it is the first with a new template (the canary). The gateway
    comes last, when all others are up. A pod that is down or new gets what it shall have at once.
    """
    proven = {part for step in steps if step.up and step.has is not None for part in step.has.parts}
    down = [step for step in steps if not step.up and step.has is not None]
    room = most - len(down)
    tried = any(not proven.issuperset(step.wants.parts) for step in down)
    keep: set[str] = set()
    for step in sorted(steps, key=lambda step: step.rank):
        if not step.waits:
            continue
        first = not proven.issuperset(step.wants.parts)
        if room <= 0 or (first and tried):
            keep.add(step.name)
            continue
        room -= 1
        tried = tried or first
    if gateway is not None and gateway.waits and any(not step.up or step.waits for step in steps):
        keep.add(gateway.name)
    return keep
