"""The table of catalogs: what sellers that speak v2 have published last."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from typing import NamedTuple

from wattmesh_beckn.codec.v2.catalogs import Offered, Published
from wattmesh_beckn.context import MAX_TTL_S
from wattmesh_beckn.errors import ErrorCode, Refusal, declined
from wattmesh_common.clock import rfc3339
from wattmesh_gateway.database import available, transaction

MOST_OF_ONE = 16
"""Catalogs of one seller. A household has one; a platform may have one for each of those it sells for."""


class Kept(NamedTuple):
    """A catalog that is offered now: its JSON without whose it is, and its offers, in order."""

    body: bytes
    offers: tuple[Offered, ...]


class Catalogs:
    """Catalogs by seller and id. Every method raises RegistryUnavailable when the database fails."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def put(self, seller: str, catalogs: Sequence[Published], said_ms: int, now: float) -> list[Refusal | None]:
        """Keep each catalog in place of that of the same id, or drop that: of each why not, or None.

        `said_ms` is when the seller said so, by its own clock: what it said before then has no effect any more.
        """
        with available(), transaction(self._db, "catalog/publish"):
            # Nothing that was said so long ago is heard again.
            over = (seller, int((now - 2 * MAX_TTL_S) * 1000))
            self._db.execute("DELETE FROM catalog WHERE subscriber_id = ? AND body IS NULL AND heard_ms < ?", over)
            return [self._put_one(seller, catalog, said_ms, now) for catalog in catalogs]

    def _put_one(self, seller: str, catalog: Published, said_ms: int, now: float) -> Refusal | None:
        query = "SELECT catalog_id, said_ms, body IS NOT NULL FROM catalog WHERE subscriber_id = ?"
        held = {row[0]: (row[1], bool(row[2])) for row in self._db.execute(query, (seller,))}
        newest_ms, _ = held.get(catalog.id, (said_ms, False))
        if said_ms < newest_ms:
            text = f"what was said of {catalog.id!r} at {rfc3339(newest_ms / 1000)} is newer"
            return declined(ErrorCode.BUSINESS_ERROR, text)
        others = sum(there for name, (_, there) in held.items() if name != catalog.id)
        if catalog.is_active and others >= MOST_OF_ONE:
            return declined(ErrorCode.POLICY_ERROR, f"{seller!r} has {others} catalogs, and may have no more")
        offers = json.dumps([list(one) for one in catalog.offers]) if catalog.is_active else "[]"
        body = catalog.body if catalog.is_active else None
        row = (seller, catalog.id, said_ms, int(now * 1000), offers, body)
        self._db.execute("INSERT OR REPLACE INTO catalog VALUES (?, ?, ?, ?, ?, ?)", row)
        return None

    def of(self, seller: str) -> list[Kept]:
        """What a seller offers, in order of the catalogs' ids."""
        query = "SELECT body, offers FROM catalog WHERE subscriber_id = ? AND body IS NOT NULL ORDER BY catalog_id"
        with available():
            rows = self._db.execute(query, (seller,)).fetchall()
        return [Kept(body, _offers(offers)) for body, offers in rows]


def _offers(said: str) -> tuple[Offered, ...]:
    return tuple(
        Offered(starts, ends, tuple((kind, name) for kind, name in to)) for starts, ends, to in json.loads(said)
    )
