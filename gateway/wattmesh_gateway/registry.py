"""The registry: who may trade, with which keys, reachable where. One row per subscription entry.

Every entry has the number of its last change, by which readers learn what is new to them. Times are unix seconds
outside and whole milliseconds in the database. An entry past its `valid_until` is never marked so in the database: what
is EXPIRED is decided at the moment of asking.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import lru_cache
from math import floor
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, and_, bindparam, case, delete, func, insert, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert as upsert  # what it makes, SQLite understands as well

from wattmesh_beckn.context import Code, Location
from wattmesh_beckn.registry import Subscription, SubscriptionStatus
from wattmesh_common.clock import Clock, utc
from wattmesh_common.fields import V1_ONLY, ProtocolVersion, protocols_in
from wattmesh_gateway.catalogs import Catalogs
from wattmesh_gateway.database import Database, Rows, Run, SqliteDatabase
from wattmesh_gateway.members import Member
from wattmesh_gateway.tables import ACCEPTED, CATALOG, NUMBERING, SUBSCRIPTION

MOST_ENTRIES_OF_ONE = 64
"""Entries (keys times roles) kept for one subscriber; the longest ended are dropped to make room."""
GONE_DAYS = 30
"""How long a subscriber stays known after the last `valid_until`; then a registrar makes its first entry anew."""
FORGET_EVERY_S = 3_600.0
_MOST_FORGOTTEN = 1_000

_COLUMNS = (
    "subscriber_id", "type", "key_id", "url", "domain", "city", "country", "signing_public_key", "encr_public_key",
    "protocols", "valid_from_ms", "valid_until_ms", "status", "created_ms", "updated_ms",
)  # fmt: skip
_C = SUBSCRIPTION.c
_NOW_MS: ColumnElement[int] = bindparam("now_ms", type_=_C.updated_ms.type)
_STATUS_NOW = case((and_(_C.status == "SUBSCRIBED", _C.valid_until_ms <= _NOW_MS), "EXPIRED"), else_=_C.status)
_LIVE = and_(_C.status == "SUBSCRIBED", _C.valid_from_ms <= _NOW_MS, _C.valid_until_ms > _NOW_MS)
_ENTRY = [_STATUS_NOW.label("status") if name == "status" else _C[name] for name in _COLUMNS]
_FILTERS: Mapping[str, ColumnElement[Any]] = {name: _C[name] for name in _COLUMNS} | {"status": _STATUS_NOW}


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

    def __init__(self, database: Database | Path | None) -> None:
        """Of a database, or of the SQLite file at a path, or of one in memory. Raises DatabaseRefused."""
        self.database = SqliteDatabase(database) if database is None or isinstance(database, Path) else database
        self.catalogs = Catalogs(self.database)
        self._forgot_at = float("-inf")

    async def start(self, gateway: str) -> None:
        """Make it ready for a gateway. Raises DatabaseRefused."""
        await self.database.start(gateway)

    async def stop(self) -> None:
        """Give up connections, if there are any."""
        await self.database.stop()

    def close(self) -> None:
        """Close the database and let others have it."""
        self.database.close()

    async def find(self, subscriber_id: str, now: float) -> list[Subscription]:
        """All entries of a subscriber, their status as of `now`."""
        return await _find(self.database.run, subscriber_id, now)

    async def lookup(self, wanted: Mapping[str, str | int], now: float, *, most: int) -> list[Subscription]:
        """At most `most` entries that agree with `wanted` (column → value), status as of `now`, in order of their key.

        Columns are those of a subscription, but `city` and `country` for its location and whole milliseconds
        (`valid_from_ms`, …) for its times. Raises KeyError for any other.
        """
        query = (
            select(*_ENTRY)
            .where(*(_FILTERS[name] == bindparam(f"wanted_{name}") for name in wanted))
            .order_by(_C.subscriber_id, _C.type, _C.key_id)
            .limit(bindparam("most"))
        )
        rows = await self.database.run(query, {**_wanted(wanted), "now_ms": _ms(now), "most": most})
        return [_entry(row) for row in rows]

    async def changes(self, wanted: Mapping[str, str | int], now: float, *, after: str | None, most: int) -> Page:
        """At most `most` entries that agree with `wanted` (see `lookup`) and have changed since a cursor.

        Without a cursor all there are. An entry that changes while pages are read comes again on a later one; one that
        does not agree any more does not. Raises ChangesForgotten.
        """
        [(changed, dropped, era)] = await self.database.run(self._numbers)
        number = _change_of(after, era, dropped, changed)
        # Whatever else is asked for, a reader that is up to date shall cost nothing: only the index of changes serves.
        others = (_FILTERS[name] for name in wanted)
        query = (
            select(_C.changed, *_ENTRY)
            .where(_C.changed > bindparam("after"))
            .where(
                *(
                    case((one.is_not(None), one)) == bindparam(f"wanted_{name}")
                    for name, one in zip(wanted, others, strict=True)
                )
            )
            .order_by(_C.changed)
            .limit(bindparam("most"))
        )
        values = {**_wanted(wanted), "now_ms": _ms(now), "after": number, "most": most + 1}
        rows = await self.database.run(query, values)
        more = len(rows) > most
        upto = rows[most - 1][0] if more else changed
        return Page(tuple(_entry(row[1:]) for row in rows[:most]), f"{era}.{upto}", more)

    async def sellers(self, domain: str, feeder: str, now: float) -> list[Seller]:
        """The live BPPs of a feeder in order of subscriber id, each once, at the url it registered last."""
        rows = await self.database.run(_SELLERS, {"domain": domain, "feeder": feeder, "now_ms": _ms(now)})
        return [Seller(name, url, protocols_in(said)) for name, url, said in {row[0]: row for row in rows}.values()]

    async def members(self, domain: str, now: float, *, most: int) -> list[Member]:
        """At most `most` who live in a domain as BAP or BPP, in order of subscriber id, at the url registered last."""
        rows = await self.database.run(_MEMBERS, {"domain": domain, "now_ms": _ms(now), "most": most})
        return [Member(*row) for row in rows]

    async def read(self) -> None:
        """Read an entry, if there is one. Raises RegistryUnavailable where none can be read."""
        await self.database.run(_ANY, {})

    async def live_by_type(self, now: float) -> dict[str, int]:
        """How many live entries there are of each type."""
        counts = dict(tuple(row) for row in await self.database.run(_LIVE_BY_TYPE, {"now_ms": _ms(now)}))
        return {kind: counts.get(kind, 0) for kind in ("BAP", "BPP", "BG")}

    async def accepted_calls(self, subscriber_id: str) -> AcceptedCalls:
        """The newest subscribe calls for a subscriber."""
        return await _accepted_calls(self.database.run, subscriber_id)

    async def put(self, entry: Subscription, now: float) -> None:
        """Write an entry of the gateway's own, see `Writing.put`."""
        async with self.writing("subscribe", now) as writing:
            await writing.put(entry, now)

    @asynccontextmanager
    async def writing(self, call: str, now: float) -> AsyncIterator[Writing]:
        """Read what is known and write what is new, with nobody writing in between; all of it or nothing."""
        async with self.database.transaction(call) as run:
            [(changed,)] = await run(_HOLD)
            writing = Writing(run, changed)
            forgot = now - self._forgot_at >= FORGET_EVERY_S and await writing.forget_gone(now)
            yield writing
        if forgot:
            self._forgot_at = now

    @property
    def _numbers(self) -> Select[Any]:
        return select(NUMBERING.c.changed, NUMBERING.c.dropped, self.database.era)


class Writing:
    """The registry while one call writes to it."""

    def __init__(self, run: Run, changed: int) -> None:
        self._run = run
        self._changed = changed

    async def find(self, subscriber_id: str, now: float) -> list[Subscription]:
        """See Registry."""
        return await _find(self._run, subscriber_id, now)

    async def accepted_calls(self, subscriber_id: str) -> AcceptedCalls:
        """See Registry."""
        return await _accepted_calls(self._run, subscriber_id)

    async def put(self, entry: Subscription, now: float, accepted: AcceptedCall | None = None) -> None:
        """Add an entry or replace that of the same subscriber, type and key, and remember the call that asked for it.

        `created` and `updated` are set here. Where a subscriber has too many entries, those that ended first go;
        live ones never do.
        """
        self._changed += 1
        values = {
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
            "created_ms": _ms(now),
            "updated_ms": _ms(now),
            "changed": self._changed,
        }
        await self._run(_PUT, values)
        await self._run(_NUMBER, {"newest": self._changed})
        await self._drop_ended(entry, now)
        if accepted:
            call = {"subscriber_id": entry.subscriber_id, "call": accepted.call, "created_s": accepted.created_s}
            await self._run(_FORGET_CALLS, {"whose": entry.subscriber_id, "before_s": accepted.created_s})
            await self._run(insert(ACCEPTED), call)

    async def _drop_ended(self, entry: Subscription, now: float) -> None:
        [(held,)] = await self._run(_HELD, {"whose": entry.subscriber_id})
        if held > MOST_ENTRIES_OF_ONE:
            values = {"whose": entry.subscriber_id, "role": entry.type, "key": entry.key_id, "now_ms": _ms(now)}
            await self._note_dropped(await self._run(_DROP_ENDED, {**values, "most": held - MOST_ENTRIES_OF_ONE}))

    async def forget_gone(self, now: float) -> bool:
        """Forget subscribers that are long gone, with the calls accepted for them; whether none is left.

        Such a call sent again changes nothing: its entry is refused as past.
        """
        values = {"gone_ms": _ms(now) - GONE_DAYS * 86_400_000, "most": _MOST_FORGOTTEN}
        found = await self._run(_GONE, values)
        await self._note_dropped([(changed,) for _, changed in found])
        for name, _ in found:
            for table in (SUBSCRIPTION, ACCEPTED, CATALOG):
                await self._run(_FORGET[table.name], {"whose": name})
        return len(found) < _MOST_FORGOTTEN

    async def _note_dropped(self, changes: Rows) -> None:
        # Who has not read them yet would never learn that these entries have ended.
        if changes:
            await self._run(_DROPPED, {"newest": max(changed for (changed,) in changes)})


class OwnDirectory:
    """Beckn's Directory of the registry in this process."""

    def __init__(self, registry: Registry, clock: Clock) -> None:
        self._registry = registry
        self._clock = clock

    async def find(self, subscriber_id: str, *, fresh: bool = False) -> Sequence[Subscription]:  # noqa: ARG002 - always is
        """See Directory."""
        return await self._registry.find(subscriber_id, self._clock.machine())


async def _find(run: Run, subscriber_id: str, now: float) -> list[Subscription]:
    values = {"whose": subscriber_id, "now_ms": _ms(now), "most": MOST_ENTRIES_OF_ONE}
    return [_entry(row) for row in await run(_FIND, values)]


async def _accepted_calls(run: Run, subscriber_id: str) -> AcceptedCalls:
    rows = await run(_CALLS, {"whose": subscriber_id})
    return AcceptedCalls(
        created_s=rows[0][1] if rows else None,
        calls=frozenset(call for call, _ in rows),
    )


def _change_of(cursor: str | None, era: str, dropped: int, changed: int) -> int:
    if cursor is None:
        return 0
    start, _, number = cursor.rpartition(".")
    if start != era or not number.isdecimal() or not dropped <= int(number) <= changed:
        raise ChangesForgotten
    return int(number)


def _wanted(wanted: Mapping[str, str | int]) -> dict[str, str | int]:
    return {f"wanted_{name}": value for name, value in wanted.items()}


_WHOSE = _C.subscriber_id == bindparam("whose")
_FIND = select(*_ENTRY).where(_WHOSE).order_by(_C.type, _C.key_id).limit(bindparam("most"))
_SELLERS = (
    select(_C.subscriber_id, _C.url, _C.protocols)
    .where(_C.domain == bindparam("domain"), _C.city == bindparam("feeder"), _C.type == "BPP", _LIVE)
    .order_by(_C.subscriber_id, _C.updated_ms, _C.key_id)
)
_RANK = func.row_number().over(partition_by=_C.subscriber_id, order_by=(_C.updated_ms.desc(), _C.type, _C.key_id))
_LIVING = (
    select(_C.subscriber_id, _C.url, _C.city, _RANK.label("rank"))
    .where(_C.domain == bindparam("domain"), _C.type != "BG", _LIVE)
    .subquery()
)
_MEMBERS = (
    select(_LIVING.c.subscriber_id, _LIVING.c.url, _LIVING.c.city)
    .where(_LIVING.c.rank == 1)
    .order_by(_LIVING.c.subscriber_id)
    .limit(bindparam("most"))
)
_ANY = select(_C.key_id).limit(1)
_LIVE_BY_TYPE = select(_C.type, func.count()).where(_LIVE).group_by(_C.type)
_CALLS = select(ACCEPTED.c.call, ACCEPTED.c.created_s).where(ACCEPTED.c.subscriber_id == bindparam("whose"))
_HOLD = select(NUMBERING.c.changed).with_for_update()
_NUMBER = update(NUMBERING).values(changed=bindparam("newest"))
_DROPPED = update(NUMBERING).where(NUMBERING.c.dropped < bindparam("newest")).values(dropped=bindparam("newest"))
_NEW = upsert(SUBSCRIPTION)
_PUT = _NEW.on_conflict_do_update(
    index_elements=[_C.subscriber_id, _C.type, _C.key_id],
    set_={
        name: _NEW.excluded[name]
        for name in (*_COLUMNS, "changed")
        if name not in ("subscriber_id", "type", "key_id", "created_ms")
    },
)
_FORGET_CALLS = delete(ACCEPTED).where(
    ACCEPTED.c.subscriber_id == bindparam("whose"), ACCEPTED.c.created_s < bindparam("before_s")
)
_HELD = select(func.count()).where(_WHOSE)
_KEY = (_C.subscriber_id, _C.type, _C.key_id)
_DROP_ENDED = (
    delete(SUBSCRIPTION)
    .where(
        tuple_(*_KEY).in_(
            select(*_KEY)
            .where(_WHOSE, ~and_(_C.type == bindparam("role"), _C.key_id == bindparam("key")))
            .where(_STATUS_NOW != "SUBSCRIBED")
            .order_by(case((_C.status == "SUBSCRIBED", _C.valid_until_ms), else_=_C.updated_ms), _C.type, _C.key_id)
            .limit(bindparam("most"))
        )
    )
    .returning(_C.changed)
)
_GONE = (
    select(_C.subscriber_id, func.max(_C.changed))
    .group_by(_C.subscriber_id)
    .having(func.max(_C.valid_until_ms) < bindparam("gone_ms"))
    .limit(bindparam("most"))
)
_FORGET = {
    table.name: delete(table).where(table.c.subscriber_id == bindparam("whose"))
    for table in (SUBSCRIPTION, ACCEPTED, CATALOG)
}


def _entry(row: Sequence[Any]) -> Subscription:
    values = dict(zip(_COLUMNS, row, strict=True))
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
