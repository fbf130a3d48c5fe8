"""Noticing a watch that is dead: open, silent, and behind what a list shows.

A quiet watch looks like a dead one. So each list tells which version of an object there is, and a watch that does not
bring that object within a while is dead, however it looks.
"""

from __future__ import annotations

from collections.abc import Iterable

from wattmesh_operator.cluster.objects import Object, uid_of

DEAD_AFTER_S = 120.0
"""Longer than kopf takes to notice a broken stream by itself and to reconnect."""


class WatchHealth:
    """Compares what watches bring with what lists show, by kind."""

    def __init__(self) -> None:
        self._brought: dict[str, dict[str, str]] = {}
        self._missed: dict[str, dict[str, float]] = {}

    def brought(self, item: Object, *, gone: bool) -> None:
        """A watch brought this object; `gone` when it brought its end."""
        kind, uid = item["kind"], uid_of(item)
        self._missed.get(kind, {}).pop(uid, None)
        if gone:
            self._brought.get(kind, {}).pop(uid, None)
        else:
            self._brought.setdefault(kind, {})[uid] = str(item["metadata"]["resourceVersion"])

    def listed(self, kind: str, items: Iterable[Object], now: float) -> None:
        """A list showed these objects, all of their kind that are watched, at unix second `now`."""
        versions = {uid_of(item): str(item["metadata"]["resourceVersion"]) for item in items}
        brought, missed = self._brought.setdefault(kind, {}), self._missed.get(kind, {})
        behind = {uid for uid, version in versions.items() if brought.get(uid) != version}
        # Objects whose end was not brought are told by the list too; their versions are of no more use.
        behind |= brought.keys() - versions.keys()
        self._missed[kind] = {uid: missed.get(uid, now) for uid in behind}

    def lag_s(self, now: float) -> dict[str, float]:
        """For how long each kind's watch has been behind, in seconds; 0 where it is not."""
        return {kind: now - min(missed.values(), default=now) for kind, missed in self._missed.items()}

    def dead(self, now: float) -> list[str]:
        """The kinds whose watch is dead."""
        return [kind for kind, lag_s in self.lag_s(now).items() if lag_s >= DEAD_AFTER_S]
