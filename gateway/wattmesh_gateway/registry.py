"""The registry: who may trade, with which keys, reachable where. Kept in SQLite, one row per subscription entry.

Every entry has the number of its last change, by which readers learn what is new to them. Times are unix seconds
outside and whole milliseconds in the database. An entry past its `valid_until` is never marked so in the database: what
is EXPIRED is decided at the moment of asking.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import lru_cache
from math import floor
from pathlib import Path
from typing import Any, NamedTuple

from wattmesh_beckn.context import Code, Location
from wattmesh_beckn.registry import Subscription, SubscriptionStatus
from wattmesh_common.clock import Clock, utc
from wattmesh_common.fields import V1_ONLY, ProtocolVersion, protocols_in
from wattmesh_gateway.catalogs import Catalogs
from wattmesh_gateway.database import available, transaction
from wattmesh_gateway.members import Member
from wattmesh_gateway.schema import opened

MOST_ENTRIES_OF_ONE = 64
"""Entries (keys times roles) kept for one subscriber; the longest ended are dropped to make room."""
GONE_DAYS = 30
"""How long a subscriber stays known after the last `valid_until`; then a registrar makes its first entry anew."""
FORGET_EVERY_S = 3_600.0
_MOST_FORGOTTEN = 1_000

_COLUMNS = (
    "subscriber_id, type, key_id, url, domain, city, country, signing_public_key, encr_public_key, "
    "protocols, valid_from_ms, valid_until_ms, status, created_ms, updated_ms"
)
_STATUS_NOW = "iif(status = 'SUBSCRIBED' AND valid_until_ms <= :now_ms, 'EXPIRED', status)"
_LIVE = "status = 'SUBSCRIBED' AND valid_from_ms <= :now_ms AND :now_ms < valid_until_ms"

_FILTERS = {
    column: f"{column} = :{column}"
    for column in (
        "subscriber_id", "type", "key_id", "url", "domain", "city", "country", "signing_public_key", "encr_public_key",
        "protocols", "valid_from_ms", "valid_until_ms", "created_ms", "updated_ms",
    )
} | {"status": f"{_STATUS_NOW} = :status"}  # fmt: skip


@dataclass(frozen=True)
class Seller:
    """Where a live BPP is asked, and in which versions of Beckn."""

    subscriber_id: str
    url: str
    protocols: tuple[ProtocolVersion, ...] = V1_ONLY


class ChangesForgotten(Exception):
    """What has changed since a cursor is not known any more: whoever has it reads from the beginning."""


class Page(NamedTuple):
    """Some entries in the order in which they changed last. `cursor` is behind them; `more`: whether others follow."""

    entries: tuple[Subscription, ...]
    cursor: str
    more: bool


@dataclass(frozen=True)
class AcceptedCalls:
    """The newest subscribe calls for one subscriber that had an effect.

    `created_s` is the second in which all of them were signed (None when there was none yet).
    """

    created_s: int | None
    calls: Collection[bytes]


@dataclass(frozen=True)
class AcceptedCall:
    """One subscribe call: what identifies it, and the unix second it was signed in."""

    call: bytes
    created_s: int


class Registry:
    """All subscriptions. Every method but `close` raises RegistryUnavailable when the database fails."""

    def __init__(self, path: Path | None) -> None:
        """Open the database at `path`, or one in memory. Raises DatabaseRefused."""
        self._open = ExitStack()
        self._db = self._open.enter_context(opened(path))
        self.catalogs = Catalogs(self._db)
        self._forgot_at = float("-inf")
        (self._changed,) = self._db.execute("SELECT coalesce(max(changed), 0) FROM subscription").fetchone()
        self._dropped = 0
        """The newest change that was dropped since the start."""
        self._start = secrets.token_hex(8)
        """In every cursor: the file may be another one after a start, an older backup for example."""

    def close(self) -> None:
        """Close the database and let others have it."""
        self._open.close()

    def find(self, subscriber_id: str, now: float) -> list[Subscription]:
        """All entries of a subscriber, their status as of `now`."""
        return self.lookup({"subscriber_id": subscriber_id}, now, most=MOST_ENTRIES_OF_ONE)

    def lookup(self, wanted: Mapping[str, str | int], now: float, *, most: int) -> list[Subscription]:
        """At most `most` entries that agree with `wanted` (column → value), status as of `now`, in order of their key.

        Columns are those of a subscription, but `city` and `country` for its location and whole milliseconds
        (`valid_from_ms`, …) for its times. Raises KeyError for any other.
        """
        where = " AND ".join(_FILTERS[column] for column in wanted) or "TRUE"
        query = (
            f"SELECT {_COLUMNS.replace('status', _STATUS_NOW)} FROM subscription WHERE {where} "  # noqa: S608 - no values
            "ORDER BY subscriber_id, type, key_id LIMIT :most"
        )
        with available():
            rows = self._db.execute(query, {**wanted, "now_ms": _ms(now), "most": most}).fetchall()
        return [_entry(row) for row in rows]

    def changes(self, wanted: Mapping[str, str | int], now: float, *, after: str | None, most: int) -> Page:
        """At most `most` entries that agree with `wanted` (see `lookup`) and have changed since a cursor.

        Without a cursor all there are. An entry that changes while pages are read comes again on a later one; one that
        does not agree any more does not. Raises ChangesForgotten.
        """
        values = {**wanted, "now_ms": _ms(now), "after": self._change_of(after), "most": most + 1}
        where = " AND ".join(["changed > :after", *(_FILTERS[column] for column in wanted)])
        # Whatever else is asked for, a reader that is up to date shall cost nothing.
        query = (
            f"SELECT changed, {_COLUMNS.replace('status', _STATUS_NOW)} "  # noqa: S608 - no values
            f"FROM subscription INDEXED BY subscription_by_change WHERE {where} ORDER BY changed LIMIT :most"
        )
        with available():
            rows = self._db.execute(query, values).fetchall()
        more = len(rows) > most
        upto = rows[most - 1][0] if more else self._changed
        return Page(tuple(_entry(row[1:]) for row in rows[:most]), f"{self._start}.{upto}", more)

    def _change_of(self, cursor: str | None) -> int:
        if cursor is None:
            return 0
        start, _, number = cursor.partition(".")
        if start != self._start or not number.isdecimal() or not self._dropped <= int(number) <= self._changed:
            raise ChangesForgotten
        return int(number)

    def sellers(self, domain: str, feeder: str, now: float) -> list[Seller]:
        """The live BPPs of a feeder in order of subscriber id, each once, at the url it registered last."""
        query = (
            "SELECT subscriber_id, url, protocols FROM subscription "  # noqa: S608 - no values
            f"WHERE domain = :domain AND city = :feeder AND type = 'BPP' AND {_LIVE} "
            "ORDER BY subscriber_id, updated_ms, key_id"
        )
        with available():
            rows = self._db.execute(query, {"domain": domain, "feeder": feeder, "now_ms": _ms(now)}).fetchall()
        return [Seller(name, url, protocols_in(said)) for name, url, said in {row[0]: row for row in rows}.values()]

    def members(self, domain: str, now: float, *, most: int) -> list[Member]:
        """At most `most` who live in a domain as BAP or BPP, in order of subscriber id, at the url registered last."""
        query = (
            "SELECT subscriber_id, url, city, max(updated_ms) FROM subscription "  # noqa: S608 - no values
            f"WHERE domain = :domain AND type <> 'BG' AND {_LIVE} GROUP BY subscriber_id ORDER BY subscriber_id "
            "LIMIT :most"
        )
        with available():
            rows = self._db.execute(query, {"domain": domain, "now_ms": _ms(now), "most": most}).fetchall()
        return [Member(*row[:3]) for row in rows]

    def live_by_type(self, now: float) -> dict[str, int]:
        """How many live entries there are of each type."""
        query = f"SELECT type, count(*) FROM subscription WHERE {_LIVE} GROUP BY type"  # noqa: S608 - no values
        with available():
            counts = dict(self._db.execute(query, {"now_ms": _ms(now)}).fetchall())
        return {kind: counts.get(kind, 0) for kind in ("BAP", "BPP", "BG")}

    def accepted_calls(self, subscriber_id: str) -> AcceptedCalls:
        """The newest subscribe calls for a subscriber."""
        query = "SELECT call, created_s FROM accepted WHERE subscriber_id = ?"
        with available():
            rows = self._db.execute(query, (subscriber_id,)).fetchall()
        return AcceptedCalls(
            created_s=rows[0][1] if rows else None,
            calls=frozenset(call for call, _ in rows),
        )

    def put(self, entry: Subscription, now: float, accepted: AcceptedCall | None = None) -> None:
        """Add an entry or replace that of the same subscriber, type and key, and remember the call that asked for it.

        `created` and `updated` are set here. Where a subscriber has too many entries, those that ended first go;
        live ones never do.
        """
        now_ms = _ms(now)
        self._changed += 1
        row = {
            "subscriber_id": entry.subscriber_id,
            "type": entry.type,
            "key_id": entry.key_id,
            "url": entry.url,
            "domain": entry.domain,
            "city": entry.location.city.code,
            "country": entry.location.country.code,
            "signing_public_key": entry.signing_public_key,
            "encr_public_key": entry.encr_public_key,
            "protocols": ",".join(entry.protocols),
            "valid_from_ms": _ms(entry.valid_from.timestamp()),
            "valid_until_ms": _ms(entry.valid_until.timestamp()),
            "status": entry.status,
            "now_ms": now_ms,
            "changed": self._changed,
        }
        with available(), transaction(self._db, "subscribe"):
            if now - self._forgot_at >= FORGET_EVERY_S:
                self._forget_gone(now_ms)
            self._db.execute(_PUT, row)
            self._note_dropped(self._db.execute(_DROP_ENDED, {**row, "most": MOST_ENTRIES_OF_ONE}).fetchall())
            if accepted:
                self._db.execute(
                    "DELETE FROM accepted WHERE subscriber_id = ? AND created_s < ?",
                    (entry.subscriber_id, accepted.created_s),
                )
                self._db.execute(
                    "INSERT INTO accepted (subscriber_id, call, created_s, status) VALUES (?, ?, ?, ?)",
                    (entry.subscriber_id, accepted.call, accepted.created_s, entry.status),
                )

    def _forget_gone(self, now_ms: int) -> None:
        """Forget subscribers that are long gone, with the calls accepted for them.

        Such a call sent again changes nothing: its entry is refused as past.
        """
        values = {"gone_ms": now_ms - GONE_DAYS * 86_400_000, "most": _MOST_FORGOTTEN}
        found = self._db.execute(_GONE, values).fetchall()
        self._note_dropped([(changed,) for _, changed in found])
        gone = [(name,) for name, _ in found]
        for table in ("subscription", "accepted", "catalog"):
            self._db.executemany(f"DELETE FROM {table} WHERE subscriber_id = ?", gone)  # noqa: S608 - no values
        if len(gone) < _MOST_FORGOTTEN:
            self._forgot_at = now_ms / 1000

    def _note_dropped(self, changes: Sequence[tuple[int]]) -> None:
        # Who has not read them yet would never learn that these entries have ended.
        self._dropped = max(self._dropped, *(changed for (changed,) in changes), 0)


class OwnDirectory:
    """Beckn's Directory of the registry in this process."""

    def __init__(self, registry: Registry, clock: Clock) -> None:
        self._registry = registry
        self._clock = clock

    async def find(self, subscriber_id: str, *, fresh: bool = False) -> Sequence[Subscription]:  # noqa: ARG002 - always is
        """See Directory."""
        return self._registry.find(subscriber_id, self._clock.machine())


_PUT = f"""
INSERT INTO subscription ({_COLUMNS}, changed) VALUES (
    :subscriber_id, :type, :key_id, :url, :domain, :city, :country, :signing_public_key, :encr_public_key,
    :protocols, :valid_from_ms, :valid_until_ms, :status, :now_ms, :now_ms, :changed
) ON CONFLICT DO UPDATE SET
    url = :url, domain = :domain, city = :city, country = :country, signing_public_key = :signing_public_key,
    encr_public_key = :encr_public_key, protocols = :protocols, valid_from_ms = :valid_from_ms,
    valid_until_ms = :valid_until_ms, status = :status, updated_ms = :now_ms, changed = :changed
"""  # noqa: S608 - no values
_DROP_ENDED = f"""
DELETE FROM subscription WHERE (subscriber_id, type, key_id) IN (
    SELECT subscriber_id, type, key_id FROM subscription WHERE subscriber_id = :subscriber_id
    AND NOT (type = :type AND key_id = :key_id)
    AND ({_STATUS_NOW} <> 'SUBSCRIBED')
    ORDER BY iif(status = 'SUBSCRIBED', valid_until_ms, updated_ms), type, key_id
    LIMIT max(0, (SELECT count(*) FROM subscription WHERE subscriber_id = :subscriber_id) - :most)
) RETURNING changed
"""  # noqa: S608 - no values
_GONE = """
SELECT subscriber_id, max(changed) FROM subscription GROUP BY subscriber_id
HAVING max(valid_until_ms) < :gone_ms LIMIT :most
"""


def _entry(row: tuple[Any, ...]) -> Subscription:
    values = dict(zip(_COLUMNS.split(", "), row, strict=True))
    values |= {name: utc(values.pop(f"{name}_ms") / 1000) for name in _TIMES}
    values["location"] = _location(values.pop("city"), values.pop("country"))
    values["status"] = SubscriptionStatus(values["status"])
    values["protocols"] = protocols_in(values["protocols"])
    # It was validated before it was written; once more would double the time of a lookup.
    return Subscription.model_construct(**values)


@lru_cache(maxsize=1_000)  # a feeder's entries share theirs
def _location(city: str, country: str) -> Location:
    return Location(city=Code(code=city), country=Code(code=country))


_TIMES = ("valid_from", "valid_until", "created", "updated")


def _ms(unix_s: float) -> int:
    return floor(unix_s * 1000)
