"""How often something may be done: a token bucket for each name. Pure; time is passed in."""

from __future__ import annotations

MOST_NAMES = 10_000
"""Names remembered; about 1 MB."""
TOLD_PER_S, TOLD_AT_ONCE = 0.1, 5
"""How often a server writes into its log that it has refused somebody: a flood of calls shall not be one of lines."""
_EPSILON_S = 1e-6
"""More than a difference of two floats of unix seconds is wrong by."""


class RateLimit:
    """`burst` at once and `per_s` a second (wall time), for each name by itself.

    Where there are more than `most` names, the one that asked longest ago is forgotten, and starts with a full bucket
    when it comes again. Asking in vain counts as asking: who wants its own bucket forgotten must be silent while
    `most` other names ask, so names must cost something (a subscription, an address).
    """

    def __init__(self, *, per_s: float, burst: int, what: str = "messages", most: int = MOST_NAMES) -> None:
        self._per_s = per_s
        self._burst = burst
        self._what = what
        self._most = most
        self._taken: dict[str, tuple[float, float]] = {}  # how many are missing, and as of when; who asked last is last

    def __len__(self) -> int:
        return len(self._taken)

    def wait_s(self, name: str, now: float) -> float:
        """Take one at unix seconds `now`: 0. Where there is none, nothing is taken: seconds until there is one."""
        taken, as_of = self._taken.pop(name, (0.0, now))
        # A clock that was set back adds nothing, and takes nothing away.
        taken = max(0.0, taken - max(0.0, now - as_of) * self._per_s)
        wait_s = (taken + 1 - self._burst) / self._per_s
        if wait_s <= _EPSILON_S:
            taken, wait_s = taken + 1, 0.0
        self._taken[name] = taken, now
        if len(self._taken) > self._most:
            del self._taken[next(iter(self._taken))]
        return wait_s

    def give_back(self, name: str) -> None:
        """Put one back that turned out not to count."""
        if name in self._taken:
            taken, as_of = self._taken[name]
            self._taken[name] = max(0.0, taken - 1), as_of

    def refusal(self, name: str) -> str:
        """What to tell somebody who has asked in vain."""
        return refusal(name, self._burst, self._what, self._per_s)


def refusal(name: str, burst: int, what: str, per_s: float) -> str:
    """What to tell somebody who has asked in vain."""
    return f"{name!r} may send {burst} {what} at once and {per_s:.4g} a second"
