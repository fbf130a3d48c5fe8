"""Where other subscribers live, as the registry said when they were last heard."""

from __future__ import annotations

import sqlite3

from wattmesh_beckn.registry import Subscription

HEARD_EVERY_MS = 3_600_000
"""How exactly it is known when a subscriber was last heard."""


class Peers:
    """Addresses by subscriber id, within the caller's transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection

    def meet(self, entry: Subscription, now_ms: int) -> None:
        """Remember where a subscriber that is heard now lives, by its registry entry."""
        self._db.execute(
            "INSERT INTO peers VALUES (?1, ?2, ?3) ON CONFLICT (subscriber_id) DO UPDATE SET url = ?2, heard_ms = ?3 "
            "WHERE url <> ?2 OR heard_ms < ?3 - ?4",
            (entry.subscriber_id, entry.url, now_ms, HEARD_EVERY_MS),
        )

    def url_of(self, subscriber_id: str) -> str | None:
        """Where a subscriber lives, if it was met."""
        row = self._db.execute("SELECT url FROM peers WHERE subscriber_id = ?", (subscriber_id,)).fetchone()
        return None if row is None else str(row[0])
