"""Noticing a watch that is dead: open, silent, and behind what a list shows.

A quiet watch looks like a dead one. So each list tells which version of an object there is, and a watch that does not
bring that object within a while is dead, however it looks.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from wattmesh_operator.cluster.objects import Object, namespace_of, uid_of

DEAD_AFTER_S = 120.0
"""Longer than kopf takes to notice a broken stream by itself and to reconnect."""


@dataclass(frozen=True)
class _Version:
    namespace: str
    version: str


class WatchHealth:
    """Compares what watches bring with what lists show, by kind."""

    def __init__(self) -> None:
        self._brought: dict[str, dict[str, _Version]] = {}
        self._missed: dict[str, dict[str, tuple[str, float]]] = {}

    def brought(self, item: Object, *, gone: bool) -> None:
        """A watch brought this object; `gone` when it brought its end."""
        kind, uid = item["kind"], uid_of(item)
        self._missed.get(kind, {}).pop(uid, None)
        if gone:
            self._brought.get(kind, {}).pop(uid, None)
        else:
            self._brought.setdefault(kind, {})[uid] = _version(item)

    def listed(self, kind: str, items: Iterable[Object], now: float, namespace: str | None = None) -> None:
        """A list showed these objects, all of their kind in that namespace (None: in all), at unix second `now`."""
        listed = {uid_of(item): _version(item) for item in items}
        brought, missed = self._brought.setdefault(kind, {}), self._missed.get(kind, {})
        behind = {uid: one.namespace for uid, one in listed.items() if brought.get(uid) != one}
        # Objects whose end was not brought are told by the list too; their versions are of no more use.
        behind |= {
            uid: one.namespace
            for uid, one in brought.items()
            if uid not in listed and namespace in (None, one.namespace)
        }
        elsewhere = {uid: one for uid, one in missed.items() if namespace not in (None, one[0])}
        self._missed[kind] = elsewhere | {uid: missed.get(uid, (within, now)) for uid, within in behind.items()}

    def forget(self, namespace: str) -> None:
        """A namespace can no longer be read; its watches are not expected to bring anything."""
        for brought in self._brought.values():
            for uid in [uid for uid, one in brought.items() if one.namespace == namespace]:
                del brought[uid]
        for missed in self._missed.values():
            for uid in [uid for uid, (within, _) in missed.items() if within == namespace]:
                del missed[uid]

    def lag_s(self, now: float) -> dict[str, float]:
        """For how long each kind's watch has been behind, in seconds; 0 where it is not."""
        return {
            kind: now - min((since for _, since in missed.values()), default=now)
            for kind, missed in self._missed.items()
        }

    def dead(self, now: float) -> list[str]:
        """The kinds whose watch is dead."""
        return [kind for kind, lag_s in self.lag_s(now).items() if lag_s >= DEAD_AFTER_S]


def _version(item: Object) -> _Version:
    return _Version(namespace_of(item), str(item["metadata"]["resourceVersion"]))
