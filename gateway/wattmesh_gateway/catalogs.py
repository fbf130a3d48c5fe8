"""The table of catalogs: what sellers that speak v2 have published last."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from typing import NamedTuple

from sqlalchemy import bindparam, delete, select
from sqlalchemy.dialects.postgresql import insert  # what it makes, SQLite understands as well

from wattmesh_beckn.codec.v2.catalogs import Offered, Published
from wattmesh_beckn.context import MAX_TTL_S
from wattmesh_beckn.errors import ErrorCode, Refusal, declined
from wattmesh_common.clock import rfc3339
from wattmesh_gateway.database import Database, Run
from wattmesh_gateway.tables import CATALOG

MOST_OF_ONE = 16
"""Catalogs of one seller. A household has one; a platform may have one for each of those it sells for."""


class Kept(NamedTuple):
    """A catalog that is offered now: its JSON without whose it is, and its offers, in order."""

    body: bytes
    offers: tuple[Offered, ...]


class Catalogs:
    """Catalogs by seller and id. Every method raises RegistryUnavailable when the database fails."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(self, seller: str, catalogs: Sequence[Published], said_ms: int, now: float) -> list[Refusal | None]:
        """Keep each catalog in place of that of the same id, or drop that: of each why not, or None.

        `said_ms` is when the seller said so, by its own clock: what it said before then has no effect any more.
        """
        async with self._database.transaction("catalog/publish") as run:
            # Nothing that was said so long ago is heard again.
            await run(_FORGET, {"seller": seller, "long_ago_ms": int((now - 2 * MAX_TTL_S) * 1000)})
            return [await self._put_one(run, seller, catalog, said_ms, now) for catalog in catalogs]

    async def _put_one(self, run: Run, seller: str, catalog: Published, said_ms: int, now: float) -> Refusal | None:
        held = {name: (said, there) for name, said, there in await run(_HELD, {"seller": seller})}
        newest_ms, _ = held.get(catalog.id, (said_ms, False))
        others = sum(there for name, (_, there) in held.items() if name != catalog.id)
        if said_ms >= newest_ms and catalog.is_active and others >= MOST_OF_ONE:
            return declined(ErrorCode.POLICY_ERROR, f"{seller!r} has {others} catalogs, and may have no more")
        row = {
            "subscriber_id": seller,
            "catalog_id": catalog.id,
            "said_ms": said_ms,
            "heard_ms": int(now * 1000),
            "offers": json.dumps([list(one) for one in catalog.offers]) if catalog.is_active else "[]",
            "body": catalog.body if catalog.is_active else None,
        }
        if await run(_PUT, row):
            return None
        text = f"what was said of {catalog.id!r} at {rfc3339(newest_ms / 1000)} is newer"
        return declined(ErrorCode.BUSINESS_ERROR, text)

    async def of(self, sellers: Collection[str]) -> dict[str, list[Kept]]:
        """What some sellers offer, each in order of its catalogs' ids; without those that offer nothing."""
        found: dict[str, list[Kept]] = {}
        for seller, body, offers in await self._database.run(_OF, {"sellers": list(sellers)}):
            found.setdefault(seller, []).append(Kept(body, _offers(offers)))
        return found


_OF_SELLER = CATALOG.c.subscriber_id == bindparam("seller")
_FORGET = delete(CATALOG).where(_OF_SELLER, CATALOG.c.body.is_(None), CATALOG.c.heard_ms < bindparam("long_ago_ms"))
_HELD = select(CATALOG.c.catalog_id, CATALOG.c.said_ms, CATALOG.c.body.is_not(None)).where(_OF_SELLER)
_NEW = insert(CATALOG)
_PUT = _NEW.on_conflict_do_update(
    index_elements=[CATALOG.c.subscriber_id, CATALOG.c.catalog_id],
    set_={name: _NEW.excluded[name] for name in ("said_ms", "heard_ms", "offers", "body")},
    where=CATALOG.c.said_ms <= _NEW.excluded.said_ms,
).returning(CATALOG.c.said_ms)
_OF = (
    select(CATALOG.c.subscriber_id, CATALOG.c.body, CATALOG.c.offers)
    .where(CATALOG.c.subscriber_id.in_(bindparam("sellers", expanding=True)), CATALOG.c.body.is_not(None))
    .order_by(CATALOG.c.subscriber_id, CATALOG.c.catalog_id)
)


def _offers(said: str) -> tuple[Offered, ...]:
    return tuple(
        Offered(starts, ends, tuple((kind, name) for kind, name in to)) for starts, ends, to in json.loads(said)
    )
