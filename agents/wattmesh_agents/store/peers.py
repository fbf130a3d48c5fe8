"""Where other subscribers live, as the registry said when they were last heard."""

from __future__ import annotations

import sqlite3

from wattmesh_beckn.registry import Subscription


class Peers:
    """Addresses by subscriber id, within the caller's transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection

    def meet(self, entry: Subscription) -> None:
        """Remember where a subscriber lives, by its registry entry."""
        if self.url_of(entry.subscriber_id) != entry.url:
            self._db.execute("INSERT OR REPLACE INTO peers VALUES (?, ?)", (entry.subscriber_id, entry.url))

    def url_of(self, subscriber_id: str) -> str | None:
        """Where a subscriber lives, if it was met."""
        row = self._db.execute("SELECT url FROM peers WHERE subscriber_id = ?", (subscriber_id,)).fetchone()
        return None if row is None else str(row[0])
